//! Names below a root: bytes, not text.

use std::fmt;

/// A path below a root: one or more names joined by `/`, none of them empty, `.` or `..`, no NUL.
/// The root itself is the empty path. Ordered by its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Vec<u8>);

/// Why bytes are not an [`EntryPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// `//`, a leading or a trailing slash.
    #[error("has an empty component")]
    EmptyComponent,
    /// `.` or `..`.
    #[error("has a `.` or `..` component")]
    DotComponent,
    /// A NUL byte.
    #[error("has a NUL byte")]
    Nul,
}

impl EntryPath {
    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// Checks and takes the bytes of a path; empty bytes are the root.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        if !bytes.is_empty() {
            for component in bytes.split(|byte| *byte == b'/') {
                Self::check_name(component)?;
            }
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Checks one component of a path.
    pub fn check_name(name: &[u8]) -> Result<(), PathError> {
        match name {
            b"" => Err(PathError::EmptyComponent),
            b"." | b".." => Err(PathError::DotComponent),
            _ if name.contains(&0) => Err(PathError::Nul),
            _ => Ok(()),
        }
    }

    /// The path below `directory` of one that is at it or below it.
    #[must_use]
    pub fn below(&self, directory: &[u8]) -> Option<Self> {
        if directory.is_empty() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(directory)? {
            [] => Some(Self::root()),
            [b'/', below @ ..] => Some(Self(below.to_vec())),
            _ => None,
        }
    }

    /// The bytes, without a leading `./`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryPath({})", super::Escaped(&self.0))
    }
}

/// The directory of a path, empty at the top, and the path's name in it.
#[must_use]
#[expect(clippy::indexing_slicing, reason = "a slash was found there; a panic is a refusal")]
pub fn split_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Whether a byte stands for itself in a manifest; all others are written `\ooo`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'\\' && byte != b'#'
}

/// Whether that holds for all of `bytes`, as it does for nearly all names. Without an early end, which costs more than
/// it saves.
fn all_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & is_plain(*byte))
}

/// Appends `bytes` to `out` as mtree(5) writes names: bytes outside printable ASCII and `\`, `#`, space
/// become a backslash and three octal digits.
pub fn escape_into(out: &mut Vec<u8>, bytes: &[u8]) {
    if all_plain(bytes) {
        out.extend_from_slice(bytes);
        return;
    }
    for &byte in bytes {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
        }
    }
}

/// Appends to `out` the bytes that `escaped` stands for. `None` if it is not exactly what [`escape_into`] writes.
#[must_use]
pub fn unescape(escaped: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if all_plain(escaped) {
        out.extend_from_slice(escaped);
        return Some(());
    }
    let mut rest = escaped;
    while let Some((&first, tail)) = rest.split_first() {
        if is_plain(first) {
            out.push(first);
            rest = tail;
            continue;
        }
        let (octal, tail) = tail.split_at_checked(3)?;
        let value = octal.iter().try_fold(0_u32, |value, digit| {
            matches!(digit, b'0'..=b'7').then(|| value * 8 + u32::from(digit - b'0'))
        })?;
        let byte = u8::try_from(value).ok()?;
        if first != b'\\' || is_plain(byte) {
            return None;
        }
        out.push(byte);
        rest = tail;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaping_is_undone_exactly(bytes: Vec<u8>) {
            let (mut escaped, mut back) = (Vec::new(), Vec::new());
            escape_into(&mut escaped, &bytes);
            prop_assert!(escaped.iter().all(u8::is_ascii_graphic));
            prop_assert_eq!(unescape(&escaped, &mut back), Some(()));
            prop_assert_eq!(back, bytes);
        }

        #[test]
        fn only_one_spelling_is_read(text: Vec<u8>) {
            let mut bytes = Vec::new();
            if unescape(&text, &mut bytes).is_some() {
                let mut again = Vec::new();
                escape_into(&mut again, &bytes);
                prop_assert_eq!(again, text);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["a b", "a#", "\\", "\\12", "\\400", "\\777", "\\141", "\\08x", "\\n", "caf\u{e9}"] {
            assert_eq!(unescape(text.as_bytes(), &mut Vec::new()), None, "{text}");
        }
    }

    #[test]
    fn what_is_below_a_directory_begins_after_its_slash() {
        for (path, directory, below) in [
            ("a/b", "", Some("a/b")),
            ("a/b", "a", Some("b")),
            ("a/b", "a/b", Some("")),
            ("a/bc", "a/b", None),
            ("a", "a/b", None),
            ("ab/c", "a", None),
        ] {
            let found = EntryPath::new(path.as_bytes()).unwrap().below(directory.as_bytes());
            assert_eq!(found, below.map(|below| EntryPath::new(below.as_bytes()).unwrap()), "{path} {directory}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["/a", "a/", "a//b", ".", "./a", "a/..", "..", "a/./b", "a\0b"] {
            assert!(EntryPath::new(path.as_bytes()).is_err(), "{path}");
        }
        for path in ["", "a", "a/b", "...", "a/.b/..c", "\u{e9}", "C:\\x"] {
            assert!(EntryPath::new(path.as_bytes()).is_ok(), "{path}");
        }
    }
}
