//! Summary files of trusted checksums, `checksums.sha256` or, for one repository, `checksums-central.sha256`: lines of a
//! digest, two spaces, and a path below the local repository, as coreutils write them.

use std::collections::BTreeMap;

use crate::base::{EntryPath, Escaped};
use crate::lockfile::{Artifact, Checksum, HashAlgorithm, LockfileError, LockfileText};

/// The files that all summary files of a cache name.
#[derive(Debug, Default)]
pub struct TrustedChecksums {
    artifacts: BTreeMap<String, Artifact>,
}

/// The algorithm that the name of a summary file says; `None` for the name of another file.
pub(super) fn algorithm_of(file_name: &str) -> Option<HashAlgorithm> {
    let (stem, extension) = file_name.rsplit_once('.')?;
    let is_summary = stem.strip_prefix("checksums").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    HashAlgorithm::from_word(extension).filter(|_| is_summary)
}

impl TrustedChecksums {
    /// Reads all files of a cache.
    pub fn read(files: &[LockfileText<'_>]) -> Result<Self, LockfileError> {
        let mut all = Self::default();
        for file in files {
            let name = file.file.rsplit('/').next().unwrap_or(file.file);
            let Some(algorithm) = algorithm_of(name) else {
                let message = "expected the name of a summary file, such as `checksums.sha256`, found another";
                return Err(LockfileError::unsupported(file.file, None, message));
            };
            let mut here: BTreeMap<&str, usize> = BTreeMap::new();
            for (index, text) in file.text.lines().enumerate() {
                let line = index + 1;
                if text.is_empty() || text.starts_with('#') {
                    continue;
                }
                let (checksum, path) = read_line(algorithm, text).ok_or_else(|| {
                    let shown = Escaped(text.as_bytes()).to_string();
                    let expected = format!("expected a {algorithm} in hex, two spaces and a path, found `{shown}`");
                    file.malformed(line, expected)
                })?;
                if let Some(first) = here.insert(path, line) {
                    let shown = Escaped(path.as_bytes()).to_string();
                    return Err(
                        file.malformed(line, format!("expected each path once, found `{shown}` as in line {first}"))
                    );
                }
                let artifact = all.artifacts.entry(path.to_owned()).or_insert_with(|| Artifact {
                    path: path.to_owned(),
                    checksums: Vec::new(),
                    origin: file.origin(line),
                });
                artifact.checksums.push(checksum);
            }
        }
        Ok(all)
    }

    /// The files, sorted by path.
    #[must_use]
    pub fn artifacts(&self) -> impl ExactSizeIterator<Item = &Artifact> {
        self.artifacts.values()
    }
}

fn read_line(algorithm: HashAlgorithm, text: &str) -> Option<(Checksum, &str)> {
    let (digits, path) = text.split_once("  ")?;
    let plain = !path.is_empty() && EntryPath::new(path.as_bytes()).is_ok() && !path.contains(char::is_control);
    Some((Checksum::from_hex(algorithm, digits).filter(|_| plain)?, path))
}
