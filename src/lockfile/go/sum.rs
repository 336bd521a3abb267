//! `go.sum`: lines of module, version and digest.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::Escaped;
use crate::lockfile::{LockfileError, LockfileText};

/// An `h1:` digest: SHA-256 over the sorted list of names and digests of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum(pub [u8; 32]);

impl Sum {
    fn read(text: &str) -> Option<Self> {
        let value = STANDARD.decode(text.strip_prefix("h1:")?).ok()?;
        Some(Self(value.try_into().ok()?))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

/// One version of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The digest of its files; none where only its `go.mod` is needed.
    pub files: Option<Sum>,
    /// The digest of its `go.mod`.
    pub go_mod: Option<Sum>,
    /// File and line, for people.
    pub origin: String,
}

impl Module {
    /// `example.com/a v1.0.0 (go.sum:3)`
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {} ({})", self.path, self.version, self.origin)
    }

    /// The path as the module cache writes it: `!a` for `A`, for file systems that fold case.
    #[must_use]
    pub fn escaped_path(&self) -> String {
        escape(&self.path)
    }

    /// The version, written in the same way.
    #[must_use]
    pub fn escaped_version(&self) -> String {
        escape(&self.version)
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

/// The modules of one or several `go.sum`.
#[derive(Debug, Default)]
pub struct GoSum {
    modules: BTreeMap<(String, String), Module>,
}

impl GoSum {
    /// Reads all files of a cache.
    pub fn read(files: &[LockfileText<'_>]) -> Result<Self, LockfileError> {
        let mut sums = Self::default();
        for file in files {
            for (index, line) in file.text.lines().enumerate() {
                if !line.trim().is_empty() {
                    sums.add(file, index + 1, line)?;
                }
            }
        }
        Ok(sums)
    }

    /// The modules, sorted by path and version.
    #[must_use]
    pub fn modules(&self) -> impl ExactSizeIterator<Item = &Module> {
        self.modules.values()
    }

    fn add(&mut self, file: &LockfileText<'_>, line: usize, text: &str) -> Result<(), LockfileError> {
        let shown = || Escaped(text.as_bytes()).to_string();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [path, version, digest] = words.as_slice() else {
            return Err(file.malformed(line, format!("expected a module, a version and a digest, found `{}`", shown())));
        };
        let (version, is_go_mod) = version.strip_suffix("/go.mod").map_or((*version, false), |version| (version, true));
        if !path.split('/').all(is_element) || !version.starts_with('v') || !is_element(version) {
            return Err(file.malformed(line, format!("expected the path and version of a module, found `{}`", shown())));
        }
        let Some(sum) = Sum::read(digest) else {
            let message = format!("expected a digest like `h1:…` with 32 bytes in base64, found `{}`", shown());
            let is_other = digest.split_once(':').is_some_and(|(algorithm, _)| algorithm != "h1");
            return Err(if is_other { file.unsupported(line, message) } else { file.malformed(line, message) });
        };
        let module = self.modules.entry(((*path).to_owned(), version.to_owned())).or_insert_with(|| Module {
            path: (*path).to_owned(),
            version: version.to_owned(),
            files: None,
            go_mod: None,
            origin: file.origin(line),
        });
        let slot = if is_go_mod { &mut module.go_mod } else { &mut module.files };
        if slot.is_some_and(|known| known != sum) {
            let message = format!("expected each module with one digest, found another beside {}", module.origin);
            return Err(file.malformed(line, message));
        }
        *slot = Some(sum);
        Ok(())
    }
}

/// Whether a text is one element of a path: what module paths and versions are made of.
fn is_element(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+'))
        && !text.starts_with('.')
        && !text.ends_with('.')
}
