//! Reading the policy and what it names, once, through handles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::context::{Context, shown, split};
use super::failure::Failure;
use crate::base::{Code, Digest, Limits, Refusal};
use crate::cache::Workspace;
use crate::lockfile::LockedSet;
use crate::policy::{Cache, Document, PlacedRoot, Policy, REVOCATIONS, Revocations, policy_digest};
use crate::tree::{ReadError, read_named_file};

/// Why the policy on disk can be believed. There is no default: a restore can have overwritten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Nothing was restored over the checkout since it was made, as at a desk or before a restore.
    Checkout,
    /// Policy and the files that it names have this SHA-256, which `cacheseal policy digest` prints. Lockfiles are not
    /// covered.
    Sha256(Digest),
}

/// A checkout with its policy, resolved and placed.
#[derive(Debug)]
pub struct Checkout {
    pub(crate) policy: Policy,
    pub(crate) workspace: Workspace,
    /// The SHA-256 that `--policy-sha256` pins.
    pub(crate) digest: Digest,
    /// The policy's directory, canonical.
    pub(crate) directory: PathBuf,
    /// What decides about trust, in that directory: the policy, the key files, and the list of revocations, whether or
    /// not there is one.
    pub(crate) files: Vec<String>,
    pub(super) trust: Trust,
    places: BTreeMap<String, Vec<PlacedRoot>>,
}

/// Why there is no checkout: its own files are wrong, or they are not the ones that were pinned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Policy or key files cannot be used.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// They are not the pinned ones.
    #[error("policy and keys are not the pinned ones: expected {}, found {}", .0.expected, .0.found)]
    Changed(Refusal),
}

impl Checkout {
    /// Reads the policy at the path `policy`, the keys and the lists that it names, all through handles, and says where
    /// its roots are in `context`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Changed`] if they are not the pinned ones, and [`OpenError::Failure`] if they cannot be used.
    pub fn open(policy: &Path, trust: Trust, context: &Context) -> Result<Self, OpenError> {
        let Trust::Sha256(pin) = trust else { return Ok(Self::load(policy, context)?) };
        let changed = |found: String| {
            let expected = format!("policy and keys of sha256 {pin}");
            let place = policy.as_os_str().as_encoded_bytes();
            OpenError::Changed(Refusal::new(Code::PolicyChanged, place, expected, found))
        };
        match Self::load(policy, context) {
            Ok(checkout) if checkout.digest == pin => Ok(Self { trust, ..checkout }),
            Ok(checkout) => Err(changed(format!("sha256 {}", checkout.digest))),
            // What says nothing about the policy itself.
            Err(failure) if matches!(failure.code, Code::Unreadable | Code::NoHome | Code::Usage) => {
                Err(failure.into())
            }
            // A policy that cannot even be read is not the one that was pinned.
            Err(failure) => Err(changed(failure.message)),
        }
    }

    /// The same of a checkout that nothing was restored over, or for what believes nothing of it.
    pub(crate) fn load(path: &Path, context: &Context) -> Result<Self, Failure> {
        let (directory, name) = split(path)?;
        let workspace = open_workspace(&directory, context)?;
        let max = context.limits.setup_bytes_max;
        let text =
            workspace.policy_directory().read_file(name.as_bytes(), max).map_err(|error| unreadable(path, &error))?;
        let document = Document::parse(&name, &text)?;
        let mut files = BTreeMap::new();
        for file in document.files() {
            let components: Vec<_> = file.split('/').collect();
            let bytes =
                workspace.policy_directory().read_below(&components, max).map_err(|error| no_key(file, &error))?;
            files.insert(file.to_owned(), bytes);
        }
        match workspace.policy_directory().read_below(&["keys", "revoked.toml"], max) {
            Ok(list) => {
                files.insert(REVOCATIONS.to_owned(), list);
            }
            // A list that is there and cannot be read is not the same as none.
            Err(ReadError::Absent) => {}
            Err(error) => return Err(no_list(Path::new(REVOCATIONS), &error)),
        }
        let policy = document.resolve(&files)?;
        files.insert(name.clone(), text);
        let home = context.home_directory();
        let places = policy.place(home.as_deref(), &directory, &name)?;
        let digest = policy_digest(&files);
        let mut files: Vec<_> = files.into_keys().collect();
        files.push(REVOCATIONS.to_owned());
        Ok(Self { policy, workspace, digest, directory, files, trust: Trust::Checkout, places })
    }

    /// What the lockfiles of a cache ask for, as they are in the checkout now.
    pub(crate) fn locked(&self, cache: &Cache, limits: &Limits) -> Result<LockedSet, Failure> {
        let max = limits.lockfile_bytes_max;
        let mut files = Vec::new();
        for path in &cache.lockfiles {
            let bytes = self.workspace.lockfile_bytes(path, max);
            files.push((path.as_str(), bytes.map_err(|error| no_lockfile(path, &error))?));
        }
        Ok(LockedSet::read(files.iter().map(|(path, bytes)| (*path, bytes.as_slice())))?)
    }

    /// The roots of a cache of the policy, in its order. No other cache is asked for: one without roots would be trusted
    /// for nothing.
    pub(crate) fn roots(&self, cache: &str) -> &[PlacedRoot] {
        &self.places[cache]
    }

    /// The roots of all caches.
    pub(crate) fn all_roots(&self) -> impl Iterator<Item = (&str, &PlacedRoot)> {
        self.places.iter().flat_map(|(cache, roots)| roots.iter().map(move |root| (cache.as_str(), root)))
    }
}

/// A list of revocations that the command line names, and its text.
pub(crate) fn named_revocations(path: &Path, context: &Context) -> Result<(Revocations, Vec<u8>), Failure> {
    let (text, _) = read_named_file(path, context.limits.setup_bytes_max).map_err(|error| no_list(path, &error))?;
    Ok((Revocations::parse(&path.to_string_lossy(), &text)?, text))
}

fn no_list(path: &Path, error: &ReadError) -> Failure {
    let code = if let ReadError::Io(_) = error { Code::Unreadable } else { Code::MalformedPolicy };
    Failure::new(code, format!("expected a list of revocations at {}, but it {error}", shown(path)))
}

fn open_workspace(directory: &Path, context: &Context) -> Result<Workspace, Failure> {
    Workspace::open(directory, context.home_directory())
        .map_err(|error| Failure::new(Code::Unreadable, format!("{}: {error}", shown(directory))))
}

fn unreadable(path: &Path, error: &ReadError) -> Failure {
    let message = format!("expected a policy at {}, but it {error}", shown(path));
    match error {
        ReadError::Absent => Failure::new(Code::NoPolicy, message)
            .hint("run `cacheseal init` to write one, or name it with `--policy FILE`"),
        ReadError::Io(_) => Failure::new(Code::Unreadable, message),
        _ => Failure::new(Code::MalformedPolicy, message),
    }
}

fn no_lockfile(path: &str, error: &ReadError) -> Failure {
    let message = format!("expected the lockfile {} that the cache names, but it {error}", shown(Path::new(path)));
    let code = match error {
        ReadError::Absent => Code::NoLockfile,
        ReadError::Io(_) => Code::Unreadable,
        _ => Code::MalformedLockfile,
    };
    Failure::new(code, message)
}

fn no_key(file: &str, error: &ReadError) -> Failure {
    let message = format!("expected the key file {} that the policy names, but it {error}", shown(Path::new(file)));
    match error {
        ReadError::Absent => Failure::new(Code::NoKey, message).hint("make one with `cacheseal key new`"),
        ReadError::Io(_) => Failure::new(Code::Unreadable, message),
        _ => Failure::new(Code::MalformedKey, message),
    }
}

/// The policy's directory, whether or not there is a policy in it.
pub(crate) fn policy_directory(path: &Path) -> Result<PathBuf, Failure> {
    split(path).map(|(directory, _)| directory)
}
