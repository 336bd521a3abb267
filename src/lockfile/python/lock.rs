//! What the lockfiles of Python's tools lock, whichever tool wrote them.

use std::collections::{BTreeMap, BTreeSet};

use super::marker::Environment;
use super::name::{Name, Release, Version, is_file_name};
use super::needed::{Demand, needed};
use crate::base::Escaped;
use crate::lockfile::{Checksum, Expected, HashAlgorithm, LockfileError, LockfileText};
use crate::policy::Installed;

/// The releases that all lockfiles of a cache lock.
#[derive(Debug, Default)]
pub struct PythonLock {
    releases: BTreeMap<Release, Package>,
    /// What the project, and the releases, ask for.
    demands: Vec<Demand>,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name as a lockfile writes it.
    pub name: String,
    /// Its version as a lockfile writes it.
    pub version: String,
    /// Its files, where the lockfile names them.
    pub files: BTreeMap<String, LockedFile>,
    /// Digests of files that the lockfile does not name: each file of the release may have any of them.
    pub loose: Vec<Checksum>,
    /// File and line, for people.
    pub origin: String,
}

/// A file that a lockfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    /// Its digest; none where the lockfile has none that is read here.
    pub checksum: Option<Checksum>,
    /// Where it is downloaded from, where the lockfile says so.
    pub url: Option<String>,
}

/// One release as one lockfile has it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) package: Package,
}

/// What one lockfile has.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    pub(super) demands: Vec<Demand>,
}

impl Package {
    /// `six 1.16.0 (uv.lock:7)`
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.origin)
    }

    /// The digests that a file of this name may have; `None` if the lockfile does not have such a file.
    #[must_use]
    pub fn expected(&self, file: &str) -> Option<Expected> {
        let named = self.files.get(file);
        match named.and_then(|named| named.checksum.clone()) {
            Some(checksum) => Some(Expected::any_of([checksum])),
            None if self.loose.is_empty() => named.map(|_| Expected::default()),
            None => Some(Expected::any_of(self.loose.iter().cloned())),
        }
    }

    /// Whether the lockfile has no digest of it at all.
    #[must_use]
    pub fn is_without_digest(&self) -> bool {
        self.loose.is_empty() && self.files.values().all(|file| file.checksum.is_none())
    }

    fn release(&self) -> Option<Release> {
        Some((Name::new(&self.name)?, Version::new(&self.version)?))
    }

    /// Takes what another lockfile, or another place of the same one, says of the same release.
    fn merge(&mut self, other: Self, same_file: bool) -> Result<(), String> {
        for (file, locked) in other.files {
            let shown = Escaped(file.as_bytes()).to_string();
            let known = self.files.entry(file).or_insert_with(|| locked.clone());
            if let (Some(one), Some(two)) = (&known.checksum, &locked.checksum)
                && one.algorithm == two.algorithm
                && one != two
            {
                return Err(format!("expected `{shown}` with one digest, found another at {}", self.origin));
            }
            let strong = known.checksum.as_ref().is_some_and(|checksum| checksum.algorithm.is_strong());
            if !strong && locked.checksum.is_some() {
                known.checksum = locked.checksum;
            }
            if known.url.is_none() {
                known.url = locked.url;
            }
        }
        if same_file && self.loose != other.loose {
            return Err(format!("expected each release with one list of digests, found another at {}", self.origin));
        }
        self.loose.extend(other.loose);
        self.loose.sort();
        self.loose.dedup();
        Ok(())
    }
}

impl PythonLock {
    /// Takes the releases of one lockfile.
    pub(super) fn add(&mut self, file: &LockfileText<'_>, read: Read) -> Result<(), LockfileError> {
        let Read { entries, demands } = read;
        self.demands.extend(demands);
        for Entry { line, package } in entries {
            let Some(release) = package.release() else {
                let shown = Escaped(format!("{} {}", package.name, package.version).as_bytes()).to_string();
                return Err(file.malformed(line, format!("expected a name and a version, found `{shown}`")));
            };
            match self.releases.get_mut(&release) {
                Some(known) => {
                    let same_file = known.origin.rsplit_once(':').is_some_and(|(name, _)| name == file.file);
                    known.merge(package, same_file).map_err(|message| file.malformed(line, message))?;
                }
                None => {
                    self.releases.insert(release, package);
                }
            }
        }
        Ok(())
    }

    /// The releases that must be installed in an environment.
    pub(super) fn needed(&self, installed: &Installed, environment: &Environment<'_>) -> BTreeSet<&Release> {
        needed(&self.demands, &self.releases.keys().collect(), installed, environment)
    }

    /// A release and its package.
    #[must_use]
    pub fn release(&self, release: &Release) -> Option<(&Release, &Package)> {
        self.releases.get_key_value(release)
    }

    /// All releases and their packages.
    #[must_use]
    pub fn packages(&self) -> impl ExactSizeIterator<Item = (&Release, &Package)> {
        self.releases.iter()
    }
}

/// A digest as `sha256:…`. `None` in the result is an algorithm that is known and not read here.
pub(super) fn read_digest(text: &str) -> Result<Option<Checksum>, String> {
    let wrong = || format!("expected a digest like `sha256:…`, found `{}`", Escaped(text.as_bytes()));
    let (word, digits) = text.split_once(':').ok_or_else(wrong)?;
    match HashAlgorithm::from_word(word) {
        Some(algorithm) => Checksum::from_hex(algorithm, digits).map(Some).ok_or_else(wrong),
        None if OTHER_DIGESTS.contains(&word) => Ok(None),
        None => Err(wrong()),
    }
}

/// What Python's `hashlib` has besides: MD5 proves nothing, and no index serves the others.
const OTHER_DIGESTS: [&str; 8] =
    ["md5", "sha224", "sha3_224", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"];

/// A file name as a lockfile has it.
pub(super) fn read_file_name(text: &str) -> Result<String, String> {
    if is_file_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!("expected a file name, found `{}`", Escaped(text.as_bytes())))
}
