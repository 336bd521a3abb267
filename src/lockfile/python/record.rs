//! `RECORD` of an installed distribution: rows of path, digest and size, as CSV.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use sha2::Digest as _;

use crate::base::Escaped;

/// What a row says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row {
    /// Its SHA-256 and its size.
    Digest(String, u64),
    /// A digest that is not known here: the file is outside the roots, and depends on where it is.
    Anything,
    /// The same, of a file that not every installer writes.
    Perhaps,
    /// No digest: `RECORD` itself.
    None,
}

impl Row {
    /// The row of a file with this SHA-256.
    pub(super) fn of(sha256: &[u8], size: u64) -> Self {
        Self::Digest(format!("sha256={}", URL_SAFE_NO_PAD.encode(sha256)), size)
    }

    /// The row of bytes.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self::of(&sha2::Sha256::digest(bytes), bytes.len() as u64)
    }

    fn is(&self, digest: &str, size: &str) -> bool {
        match self {
            Self::Digest(expected, len) => digest == expected && size == len.to_string(),
            Self::Anything | Self::Perhaps => {
                let value = digest.strip_prefix("sha256=").and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
                value.is_some_and(|value| value.len() == 32) && size.parse::<u64>().is_ok()
            }
            Self::None => digest.is_empty() && size.is_empty(),
        }
    }
}

/// Holds the text of a `RECORD` against the rows that follow from what was installed. Rows of modules that were
/// compiled are allowed. An error says what is wrong.
pub(super) fn check(text: &str, mut expected: BTreeMap<String, Row>) -> Result<(), String> {
    let modules: Vec<String> = expected.keys().filter_map(|path| Some(path.strip_suffix(".py")?.to_owned())).collect();
    let mut compiled = Vec::new();
    for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if line.is_empty() {
            continue;
        }
        let shown = || format!("`{}`", Escaped(line.as_bytes()));
        let (path, digest, size) = fields(line).ok_or_else(|| format!("a row that cannot be read, {}", shown()))?;
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        match expected.remove(&path) {
            Some(row) if row.is(digest, size) => {}
            Some(_) => return Err(format!("a row with another digest or size, {}", shown())),
            None => {
                let of_module = module_of(&path).is_some_and(|module| modules.contains(&module));
                if !of_module || !digest.is_empty() || !size.is_empty() || compiled.contains(&path) {
                    return Err(format!("a row of a file that does not belong to it, {}", shown()));
                }
                compiled.push(path);
            }
        }
    }
    match expected.iter().find(|(_, row)| **row != Row::Perhaps) {
        Some((path, _)) => Err(format!("no row of `{}`", Escaped(path.as_bytes()))),
        None => Ok(()),
    }
}

/// Path, digest and size. Only the path may be quoted: nothing else has commas.
fn fields(line: &str) -> Option<(String, &str, &str)> {
    if let Some(rest) = line.strip_prefix('"') {
        let mut end = 0;
        loop {
            end += rest.get(end..)?.find('"')?;
            if rest.get(end + 1..).is_some_and(|rest| rest.starts_with('"')) {
                end += 2;
            } else {
                break;
            }
        }
        let (digest, size) = rest.get(end + 1..)?.strip_prefix(',')?.split_once(',')?;
        return Some((rest.get(..end)?.replace("\"\"", "\""), digest, size));
    }
    let mut parts = line.split(',');
    let fields = (parts.next()?.to_owned(), parts.next()?, parts.next()?);
    parts.next().is_none().then_some(fields)
}

/// The module, without `.py`, that `a/__pycache__/b.cpython-312.pyc` is compiled from.
fn module_of(path: &str) -> Option<String> {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let above = directory.strip_suffix("__pycache__")?;
    if !above.is_empty() && !above.ends_with('/') {
        return None;
    }
    let stem = file.strip_suffix(".pyc")?;
    let stem = stem.strip_suffix(".opt-1").or_else(|| stem.strip_suffix(".opt-2")).unwrap_or(stem);
    let (module, tag) = stem.rsplit_once('.')?;
    (!module.is_empty() && !tag.is_empty()).then(|| format!("{above}{module}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> BTreeMap<String, Row> {
        let rows =
            [("a.py", Row::of_bytes(b"x")), ("p/b.py", Row::of_bytes(b"")), ("R", Row::None), ("a,\"b", Row::Anything)];
        rows.into_iter().map(|(path, row)| (path.to_owned(), row)).collect()
    }

    #[test]
    fn a_record_has_exactly_the_rows_that_follow() {
        let x = "sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE";
        let empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        let honest = format!("a.py,{x},1\r\n./p/b.py,{empty},0\r\nR,,\r\n\"a,\"\"b\",{x},9\r\n");
        assert_eq!(check(&honest, rows()), Ok(()));
        let with = |more: &str| check(&format!("{honest}{more}\n"), rows()).is_ok();
        assert!(with("__pycache__/a.cpython-312.pyc,,") && with("p/__pycache__/b.cpython-312.opt-1.pyc,,"));
        for more in [
            "evil.py,,",
            "__pycache__/evil.cpython-312.pyc,,",
            "x__pycache__/a.cpython-312.pyc,,",
            "__pycache__/a.cpython-312.pyc,sha256=x,1",
            "a.py,,",
            "../../../bin/sh,,",
            "one field",
            "\"open,,",
        ] {
            assert!(!with(more), "{more}");
        }
        assert!(check(&honest.replace(",1\r", ",2\r"), rows()).is_err());
        assert!(check(&honest.replace("R,,\r\n", ""), rows()).is_err());
    }
}
