//! Where a cache's roots and its seal are.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::{Code, Digest, Refusal};
use crate::policy::{PlacedRoot, RootBase};
use crate::seal::SEALS;
use crate::tree::{Directory, Disposal, DisposalError, Found, Kind, ReadError};

/// The places that a policy speaks of, opened once: its own directory, and home.
#[derive(Debug)]
pub struct Workspace {
    policy_directory: Directory,
    policy_path: PathBuf,
    home: Option<PathBuf>,
    /// Lockfiles as they were, by their paths; `None` for one that was not there.
    held: BTreeMap<String, Option<Vec<u8>>>,
    /// Directories that stand for roots, by the roots' spellings.
    elsewhere: BTreeMap<String, PathBuf>,
}

/// What a root is at the moment.
#[derive(Debug)]
pub enum RootState {
    /// Nothing has its name, or that of a directory above it.
    Absent,
    /// A real directory below real directories.
    There(Directory),
    /// It, or a directory above it, is something else.
    Unsafe(Kind),
}

impl Workspace {
    /// Opens the policy's directory. `home` is only opened when a root lies in it.
    pub fn open(policy_directory: &Path, home: Option<PathBuf>) -> io::Result<Self> {
        let policy_path = policy_directory.to_path_buf();
        let policy_directory = Directory::open(policy_directory)?;
        Ok(Self { policy_directory, policy_path, home, held: BTreeMap::new(), elsewhere: BTreeMap::new() })
    }

    /// The policy's directory.
    #[must_use]
    pub fn policy_directory(&self) -> &Directory {
        &self.policy_directory
    }

    /// The directory of the policy or `home`, as it is now, if it is not the one that is open here: what follows goes by
    /// paths and would find another one.
    #[must_use]
    pub fn displaced(&self, home: Option<&Path>) -> Option<&Path> {
        if !self.policy_directory.is_at(&self.policy_path) {
            return Some(&self.policy_path);
        }
        self.home.as_deref().filter(|known| Some(*known) != home)
    }

    /// From now on takes the directory at `place` for the root of this spelling.
    pub fn take_for_root(&mut self, spelling: &str, place: PathBuf) {
        self.elsewhere.insert(spelling.to_owned(), place);
    }

    /// Opens a root, component by component, none of them a symlink.
    pub fn root(&self, root: &PlacedRoot) -> io::Result<RootState> {
        if let Some(place) = self.elsewhere.get(&root.root.spelling) {
            return named_root(place);
        }
        let Some(base) = self.base(root)? else { return Ok(RootState::Absent) };
        Ok(match base.descend(root.root.components.iter().map(String::as_str))? {
            Found::There(directory) => RootState::There(directory),
            Found::Absent => RootState::Absent,
            Found::Unsafe { kind, .. } => RootState::Unsafe(kind),
        })
    }

    /// Where a root is, or would be.
    pub(super) fn path(&self, root: &PlacedRoot) -> Option<PathBuf> {
        if let Some(place) = self.elsewhere.get(&root.root.spelling) {
            return Some(place.clone());
        }
        Some(self.base_path(root.root.base)?.join(root.root.components.join("/")))
    }

    /// The directory that roots of this spelling start from; `None` for a home that nobody named.
    fn base_path(&self, base: RootBase) -> Option<&Path> {
        match base {
            RootBase::Policy => Some(&self.policy_path),
            RootBase::Home => self.home.as_deref(),
            RootBase::Filesystem => Some(Path::new("/")),
        }
    }

    /// The directory that a root's components start from; `None` if it does not exist.
    pub(super) fn base(&self, root: &PlacedRoot) -> io::Result<Option<Directory>> {
        if root.root.base == RootBase::Policy {
            return self.policy_directory.descend([]).map(there);
        }
        let Some(path) = self.base_path(root.root.base) else { return Ok(None) };
        match Directory::open(path) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads lockfiles into memory: whatever becomes of them on disk, they are these from now on.
    pub fn hold_lockfile(&mut self, path: &str, max: u64) -> Result<(), ReadError> {
        let components: Vec<_> = path.split('/').collect();
        let held = match self.policy_directory.read_below(&components, max) {
            Ok(bytes) => Some(bytes),
            Err(ReadError::Absent) => None,
            Err(error) => return Err(error),
        };
        self.held.insert(path.to_owned(), held);
        Ok(())
    }

    /// The SHA-256 of a lockfile of the checkout; `None` if it is not there.
    pub fn lockfile(&self, path: &str, max: u64) -> Result<Option<Digest>, ReadError> {
        if let Some(held) = self.held.get(path) {
            return Ok(held.as_deref().map(Digest::sha256));
        }
        let components: Vec<_> = path.split('/').collect();
        match self.policy_directory.sha256_below(&components, max) {
            Ok(digest) => Ok(Some(digest)),
            Err(ReadError::Absent) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a lockfile of the checkout, the held ones if they were held.
    pub fn lockfile_bytes(&self, path: &str, max: u64) -> Result<Vec<u8>, ReadError> {
        match self.held.get(path) {
            Some(held) => held.clone().ok_or(ReadError::Absent),
            None => self.policy_directory.read_below(&path.split('/').collect::<Vec<_>>(), max),
        }
    }

    /// Takes the seal of `cache` and then its roots out of their places; gives back the directories that hold them now,
    /// and what could not be taken away. The seal goes first: what an interruption leaves has no seal and is refused.
    pub fn dispose(&self, cache: &str, roots: &[PlacedRoot], disposal: Disposal) -> (Vec<PathBuf>, Vec<Refusal>) {
        let (mut aside, mut failures) = (Vec::new(), Vec::new());
        let mut note = |place: &str, result: Result<Option<PathBuf>, DisposalError>| match result {
            Ok(directory) => aside.extend(directory),
            Err(error) => {
                let expected = "moved out of its place";
                failures.push(Refusal::new(Code::DisposalFailed, place, expected, error.to_string()));
            }
        };
        let seal = self.policy_path.join(SEALS).join(cache);
        note(SEALS, dispose_of(&self.policy_directory, &seal, &[SEALS, cache], disposal));
        for root in roots {
            let components: Vec<_> = root.root.components.iter().map(String::as_str).collect();
            let result = match self.base(root) {
                Ok(Some(base)) => dispose_of(&base, &root.absolute, &components, disposal),
                Ok(None) => Ok(None),
                Err(source) => Err(DisposalError { doing: "reach it", source }),
            };
            note(&root.root.spelling, result);
        }
        (aside, failures)
    }
}

/// Takes what is at `components` below `base` out of its place, which is `place`; gives back the directory that holds
/// it now.
fn dispose_of(
    base: &Directory,
    place: &Path,
    components: &[&str],
    disposal: Disposal,
) -> Result<Option<PathBuf>, DisposalError> {
    match disposal {
        Disposal::Keep => Ok(None),
        Disposal::Purge => base.purge(components).map(|_| None),
        Disposal::Quarantine => {
            let holder = |depth: usize| place.ancestors().nth(components.len() - depth);
            let quarantine = base.quarantine(components)?;
            Ok(quarantine.and_then(|made| Some(holder(made.depth)?.join(made.directory))))
        }
    }
}

/// A directory that the user names: the way to it is theirs, it itself is a real directory.
fn named_root(place: &Path) -> io::Result<RootState> {
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else { return Ok(RootState::Absent) };
    let parent = match Directory::open(parent) {
        Ok(parent) => parent,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RootState::Absent),
        Err(error) => return Err(error),
    };
    Ok(match parent.child(name.as_encoded_bytes())? {
        Found::There(directory) => RootState::There(directory),
        Found::Absent => RootState::Absent,
        Found::Unsafe { kind, .. } => RootState::Unsafe(kind),
    })
}

fn there(found: Found<Directory>) -> Option<Directory> {
    match found {
        Found::There(directory) => Some(directory),
        Found::Absent | Found::Unsafe { .. } => None,
    }
}
