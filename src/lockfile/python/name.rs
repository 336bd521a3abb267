//! Names, versions and file names of distributions, as the Python packaging specifications normalise them.

/// A normalised name (PEP 503).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name: ASCII letters and digits, with `-`, `_` and `.` between them.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let bytes = text.bytes();
        let plain = bytes.clone().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !plain || !edge(bytes.clone().next()) || !edge(bytes.last()) {
            return None;
        }
        let mut name = String::with_capacity(text.len());
        for part in text.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
            if !name.is_empty() {
                name.push('-');
            }
            name.push_str(&part.to_ascii_lowercase());
        }
        Some(Self(name))
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A version whose spellings are one (PEP 440): `1.0`, `v1.0.0` and `1` are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

impl Version {
    /// Reads a version; none of a text that is no version.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let text = lower.strip_prefix('v').unwrap_or(&lower);
        let (public, local) = text.split_once('+').map_or((text, None), |(public, local)| (public, Some(local)));
        let mut rest = Rest(public);
        let mut canonical = String::new();
        if let Some((epoch, after)) = rest.0.split_once('!') {
            rest.0 = after;
            canonical = format!("{}!", number(epoch)?);
        }
        canonical.push_str(&rest.release()?);
        if let Some((word, count)) = rest.tagged(&PRE) {
            canonical.extend([word, &count]);
        }
        if let Some((_, count)) = rest.tagged(&POST) {
            canonical.extend([".post", &count]);
        } else if let Some(count) = rest.implicit_post() {
            canonical.extend([".post", &count]);
        }
        if let Some((_, count)) = rest.tagged(&DEV) {
            canonical.extend([".dev", &count]);
        }
        if !rest.0.is_empty() {
            return None;
        }
        if let Some(local) = local {
            canonical.push('+');
            canonical.push_str(&read_local(local)?);
        }
        Some(Self(canonical))
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Spellings of the tags of a version, and what each is normalised to. Longer ones first.
const PRE: [(&str, &str); 8] = [
    ("preview", "rc"),
    ("alpha", "a"),
    ("beta", "b"),
    ("pre", "rc"),
    ("rc", "rc"),
    ("a", "a"),
    ("b", "b"),
    ("c", "rc"),
];
const POST: [(&str, &str); 3] = [("post", "post"), ("rev", "post"), ("r", "post")];
const DEV: [(&str, &str); 1] = [("dev", "dev")];

/// What is left of a public version.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn digits(&mut self) -> Option<String> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        let count = number(digits)?;
        self.0 = rest;
        Some(count)
    }

    /// The numbers of a release, without zeros at the end.
    fn release(&mut self) -> Option<String> {
        let mut numbers = vec![self.digits()?];
        while let Some(rest) = self.0.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.0 = rest;
            numbers.push(self.digits()?);
        }
        while numbers.len() > 1 && numbers.last().is_some_and(|last| last == "0") {
            numbers.pop();
        }
        Some(numbers.join("."))
    }

    /// A tag and its number, with separators that mean nothing.
    fn tagged(&mut self, words: &[(&str, &'static str)]) -> Option<(&'static str, String)> {
        let separators = ['-', '_', '.'];
        let text = self.0.strip_prefix(separators).unwrap_or(self.0);
        let (rest, word) = words.iter().find_map(|(word, is)| Some((text.strip_prefix(word)?, *is)))?;
        let after = rest.strip_prefix(separators).unwrap_or(rest);
        self.0 = if after.starts_with(|c: char| c.is_ascii_digit()) { after } else { rest };
        let count = self.digits().unwrap_or_else(|| "0".to_owned());
        Some((word, count))
    }

    /// `-1` is `.post1`; file names write the dash as an underscore.
    fn implicit_post(&mut self) -> Option<String> {
        let rest = self.0.strip_prefix(['-', '_']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
        self.0 = rest;
        self.digits()
    }
}

/// Digits without leading zeros.
fn number(digits: &str) -> Option<String> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let short = digits.trim_start_matches('0');
    all.then(|| if short.is_empty() { "0" } else { short }.to_owned())
}

fn read_local(text: &str) -> Option<String> {
    let parts: Vec<_> = text.split(['-', '_', '.']).collect();
    let plain = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts.iter().all(plain).then(|| parts.join("."))
}

/// Name and version of one release.
pub type Release = (Name, Version);

/// The release that a wheel's file name is of: `name-version(-build)?-python-abi-platform.whl`.
pub(super) fn wheel_release(file: &str) -> Option<Release> {
    let parts: Vec<_> = file.strip_suffix(".whl")?.split('-').collect();
    let (name, version) = match parts.as_slice() {
        [name, version, _, _, _] => (name, version),
        [name, version, build, _, _, _] if build.starts_with(|c: char| c.is_ascii_digit()) => (name, version),
        _ => return None,
    };
    Some((Name::new(name)?, Version::new(version)?))
}

/// Ends of the names of source distributions.
const SOURCE_ENDS: [&str; 5] = [".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tar.z"];

/// The releases that a source distribution's file name can be of: a dash may be of the name or of the version.
pub(super) fn source_releases(file: &str) -> Vec<Release> {
    let lower = file.to_ascii_lowercase();
    let Some(stem) = SOURCE_ENDS.iter().find_map(|end| lower.strip_suffix(end)) else { return Vec::new() };
    let release = |(at, _)| Some((Name::new(stem.get(..at)?)?, Version::new(stem.get(at + 1..)?)?));
    stem.match_indices('-').filter_map(release).collect()
}

/// Whether a text is the name of a file, without directories.
pub(super) fn is_file_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '\\']) && !text.contains(char::is_control) && text != "." && text != ".."
}

/// Whether a file name is one of a wheel or a source distribution.
pub(super) fn is_archive(file: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    is_wheel(&lower) || SOURCE_ENDS.iter().any(|end| lower.ends_with(end))
}

/// Whether a file name is one of a wheel.
pub(super) fn is_wheel(file: &str) -> bool {
    file.strip_suffix(".whl").is_some()
}

/// The file name at the end of a URL or path, percent-decoded.
pub(super) fn file_of_url(url: &str) -> Option<String> {
    let path = url.split(['#', '?']).next()?;
    let last = path.rsplit('/').next()?;
    let mut bytes = Vec::new();
    let mut rest = last.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|name| is_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_normalised() {
        for (text, normal) in [("Foo.Bar__baz", "foo-bar-baz"), ("a", "a"), ("ruamel.yaml", "ruamel-yaml")] {
            assert_eq!(Name::new(text).unwrap().as_str(), normal);
        }
        for text in ["", "-a", "a-", "a b", "ä", "a/b"] {
            assert_eq!(Name::new(text), None, "{text}");
        }
        for (text, normal) in [
            ("1.0", "1"),
            ("v1.16.0", "1.16"),
            ("1.2.03", "1.2.3"),
            ("1!2.0", "1!2"),
            ("1.0.alpha-2", "1a2"),
            ("1.0RC", "1rc0"),
            ("1.0-1", "1.post1"),
            ("1.0_1", "1.post1"),
            ("1.0.post2.dev3", "1.post2.dev3"),
            ("2.0+Cu_118", "2+cu.118"),
            ("0", "0"),
            ("2023.7.22", "2023.7.22"),
        ] {
            assert_eq!(Version::new(text).map(|version| version.0).as_deref(), Some(normal), "{text}");
        }
        for text in ["", "x", "1.0.x", "1.*", "1.0+", "1..0", "1 0"] {
            assert_eq!(Version::new(text), None, "{text}");
        }
    }

    #[test]
    fn file_names_are_taken_apart() {
        let release = |name: &str, version: &str| (Name::new(name).unwrap(), Version::new(version).unwrap());
        assert_eq!(wheel_release("Foo_bar-1.0-py3-none-any.whl"), Some(release("foo-bar", "1")));
        assert_eq!(wheel_release("foo-1.0-2b-py3-none-any.whl"), Some(release("foo", "1")));
        assert_eq!(wheel_release("foo-1.0-b-py3-none-any.whl"), None);
        assert_eq!(wheel_release("foo-1.0.whl"), None);
        assert!(source_releases("python-dateutil-2.8.2.tar.gz").contains(&release("python-dateutil", "2.8.2")));
        assert_eq!(file_of_url("https://h/a%2Bb-1.0.tar.gz#sha256=1").as_deref(), Some("a+b-1.0.tar.gz"));
        assert_eq!(file_of_url("https://h/a%2fb.whl"), None);
        assert_eq!(file_of_url("https://h/a%"), None);
    }
}
