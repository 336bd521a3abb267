//! What a guard is told when it begins: where it runs, and what it is about.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::tree::Pattern;

/// The process's surroundings, as the later steps of the job have them too.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The effective user id.
    pub user: u32,
    /// Home, canonical.
    pub home: Option<PathBuf>,
    /// The home that the system knows of this user: ssh and java look there, whatever HOME says.
    pub account_home: Option<PathBuf>,
    /// Where relative paths begin.
    pub working_directory: PathBuf,
    /// The program file of this process: the verifier itself.
    pub program: Option<PathBuf>,
    /// All variables. Where later steps have another value than this process, both with a colon between.
    pub variables: BTreeMap<OsString, OsString>,
}

impl Surroundings {
    /// What a variable names that holds one path: that of this process first, then that of later steps.
    pub(super) fn named_by(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let value = self.variables.get(OsStr::new(name)).filter(|value| !value.is_empty());
        value.into_iter().flat_map(std::env::split_paths)
    }
}

/// What the guard is about.
#[derive(Debug, Clone, Default)]
pub struct Territory {
    /// The policy's directory, canonical.
    pub policy_directory: PathBuf,
    /// The policy, the key files that it names and the list of revocations: written, they are `policy-changed`.
    pub policy_files: Vec<PathBuf>,
    /// The lockfiles of all caches.
    pub lockfiles: Vec<PathBuf>,
    /// Roots and seals of the guarded caches, which are watched by themselves; the guard adds them.
    pub guarded: Vec<PathBuf>,
    /// Roots of the other caches of the policy.
    pub others: Vec<(String, PathBuf)>,
    /// Places that are not watched, by the command line or the policy.
    pub allowed: Vec<PathBuf>,
    /// Patterns of places that are not watched. None takes out home, the checkout, the working directory, the policy's
    /// directory, or what holds one of them.
    pub allowed_patterns: Vec<Pattern>,
    /// Places that are watched beside the known ones, by the command line.
    pub watched: Vec<PathBuf>,
}
