//! `yarn.lock` as Yarn classic writes it, version 1.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Escaped;
use crate::lockfile::{Checksum, Expected, HashAlgorithm, LockfileError, LockfileText};

/// What the version is written behind.
const VERSION: &str = "# yarn lockfile v";

/// One lockfile.
#[derive(Debug, Default)]
pub struct ClassicLock {
    packages: Vec<Package>,
}

/// One package.
#[derive(Debug)]
pub struct Package {
    /// The names that it is installed as: one, but for aliases.
    pub names: BTreeSet<String>,
    /// Its version.
    pub version: String,
    /// Where it comes from, without the digest; empty for what is not fetched.
    pub resolved: String,
    /// The SHA-1 behind the URL, in hex.
    pub sha1: Option<String>,
    /// Whether the lockfile has digests besides the SHA-1 of the URL.
    pub has_integrity: bool,
    /// The digests of its tarball.
    pub integrity: Expected,
    /// File and line, for people.
    pub origin: String,
}

impl Package {
    /// `left-pad 1.3.0 (yarn.lock:5)`
    #[must_use]
    pub fn shown(&self) -> String {
        let name = self.names.first().map(String::as_str).unwrap_or_default();
        format!("{name} {} ({})", self.version, self.origin)
    }
}

impl ClassicLock {
    /// Reads one file.
    pub fn read(file: &LockfileText<'_>) -> Result<Self, LockfileError> {
        let mut lock = Self::default();
        let mut patterns: BTreeSet<String> = BTreeSet::new();
        let mut entry: Option<Entry> = None;
        let mut has_version = false;
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some(version) = line.strip_prefix(VERSION) {
                has_version = true;
                if version != "1" {
                    let shown = Escaped(version.as_bytes());
                    return Err(file.unsupported(number, format!("expected yarn lockfile v1, found v{shown}")));
                }
            }
            let text = line.trim_start_matches(' ');
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = || {
                let shown = Escaped(line.as_bytes());
                file.malformed(number, format!("expected a line as Yarn classic writes it, found `{shown}`"))
            };
            match line.len() - text.len() {
                0 => {
                    lock.packages.extend(entry.take().map(|entry| entry.finish(file)).transpose()?);
                    let mut keys = Vec::new();
                    for key in keys_of(text).ok_or_else(wrong)? {
                        if !patterns.insert(key.clone()) {
                            let shown = Escaped(key.as_bytes());
                            return Err(
                                file.malformed(number, format!("expected each pattern once, found `{shown}` again"))
                            );
                        }
                        keys.push(key);
                    }
                    entry = Some(Entry { line: number, keys, fields: BTreeMap::new(), section: false });
                }
                2 => entry.as_mut().and_then(|entry| entry.field(text)).ok_or_else(wrong)?,
                4 if entry.as_ref().is_some_and(|entry| entry.section) => {
                    pair(text).ok_or_else(wrong)?;
                }
                _ => return Err(wrong()),
            }
        }
        lock.packages.extend(entry.take().map(|entry| entry.finish(file)).transpose()?);
        if has_version { Ok(lock) } else { Err(file.malformed(1, format!("expected a line `{VERSION}1`, found none"))) }
    }

    /// The packages, in the order of the text.
    #[must_use]
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }
}

/// A package that is being read.
struct Entry {
    line: usize,
    keys: Vec<String>,
    fields: BTreeMap<String, String>,
    /// Whether the last field is one with lines of its own.
    section: bool,
}

impl Entry {
    /// Takes a field, `name value` or `name:`; `None` for one that is no such thing or comes twice.
    fn field(&mut self, text: &str) -> Option<()> {
        let (name, value) = match text.strip_suffix(':') {
            Some(name) => (word(name).filter(|(_, rest)| rest.is_empty())?.0, String::new()),
            None => pair(text)?,
        };
        self.section = text.ends_with(':');
        self.fields.insert(name, value).is_none().then_some(())
    }

    fn finish(mut self, file: &LockfileText<'_>) -> Result<Package, LockfileError> {
        let wrong = |what: &str| file.malformed(self.line, format!("expected {what}"));
        let version = self.fields.remove("version").ok_or_else(|| wrong("a `version`, found none"))?;
        let resolved = self.fields.remove("resolved").unwrap_or_default();
        let (resolved, fragment) = resolved.split_once('#').unwrap_or((resolved.as_str(), ""));
        let sha1 = Checksum::from_hex(HashAlgorithm::Sha1, fragment);
        let listed = match self.fields.remove("integrity") {
            None => None,
            Some(text) => Some(
                Expected::from_sri(&text)
                    .ok_or_else(|| wrong("digests of SHA-1 to SHA-512 as `integrity`, found others"))?,
            ),
        };
        let names: BTreeSet<String> = self.keys.iter().map(|key| name_of(key).to_owned()).collect();
        if let Some(name) = names.iter().chain([&version]).find(|name| !is_path(name)) {
            let shown = Escaped(name.as_bytes());
            return Err(file.malformed(self.line, format!("expected a name that can be a path, found `{shown}`")));
        }
        let has_integrity = listed.is_some();
        Ok(Package {
            names,
            version,
            resolved: resolved.to_owned(),
            sha1: sha1.as_ref().map(Checksum::hex),
            has_integrity,
            integrity: listed.unwrap_or_else(|| Expected::any_of(sha1)),
            origin: file.origin(self.line),
        })
    }
}

/// The patterns that an entry begins with: words with commas between them, and a colon.
fn keys_of(text: &str) -> Option<Vec<String>> {
    let mut rest = text.strip_suffix(':')?;
    let mut keys = Vec::new();
    loop {
        let (key, after) = word(rest)?;
        keys.push(key);
        if after.is_empty() {
            return Some(keys);
        }
        rest = after.strip_prefix(", ")?;
    }
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, rest) = word(text)?;
    let (value, rest) = word(rest.strip_prefix(' ')?)?;
    rest.is_empty().then_some((name, value))
}

/// A word, quoted as in JSON or bare, and what follows it.
fn word(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let word = stream.next()?.ok()?;
        return Some((word, text.get(stream.byte_offset()..)?));
    }
    let end = text.find([' ', ',', ':', '"']).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then(|| (word.to_owned(), rest))
}

/// The name in a pattern, `name@range` or `@scope/name@range`.
fn name_of(pattern: &str) -> &str {
    let at = pattern.char_indices().skip(1).find(|(_, c)| *c == '@').map_or(pattern.len(), |(at, _)| at);
    pattern.get(..at).unwrap_or(pattern)
}

/// Whether a name is a path of one component, or of two of which the first is a scope.
fn is_path(name: &str) -> bool {
    let component = |part: &str| !matches!(part, "" | "." | ".." | "node_modules") && !part.contains(['/', '\\', '\0']);
    match name.split_once('/') {
        Some((scope, name)) => scope.starts_with('@') && component(scope) && component(name),
        None => component(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names() {
        assert_eq!(word("a@^1.0.0, b"), Some(("a@^1.0.0".to_owned(), ", b")));
        assert_eq!(word("\"@s/a@1 || 2\":"), Some(("@s/a@1 || 2".to_owned(), ":")));
        assert_eq!(word("\"open"), None);
        assert_eq!(word(""), None);
        assert_eq!(keys_of("a@1, \"b c\":"), Some(vec!["a@1".to_owned(), "b c".to_owned()]));
        assert_eq!(keys_of("a@1,b:"), None);
        assert_eq!((name_of("@s/a@^1"), name_of("a@npm:b@1"), name_of("a")), ("@s/a", "a", "a"));
    }
}
