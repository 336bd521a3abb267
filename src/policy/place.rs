//! Where roots lie on a machine, and what they must not touch there.

use std::collections::BTreeMap;
use std::iter;
use std::path::{Component, Path, PathBuf};

use super::source::quoted;
use super::{Located, Policy, PolicyError, REVOCATIONS, RootBase, RootPath};
use crate::base::Code;

/// A root with its place on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRoot {
    /// The root as the policy writes it.
    pub root: RootPath,
    /// Its absolute path. Its own components have not been looked at: each must be a real directory.
    pub absolute: PathBuf,
}

/// A root of one of the caches, with its place in the policy.
#[derive(Clone, Copy)]
struct Named<'p> {
    cache: &'p str,
    root: &'p Located<RootPath>,
}

impl Policy {
    /// The places of all roots: by cache, in the policy's order. `home` and `policy_dir` must be canonical;
    /// `policy_file` is the policy's name in `policy_dir`. Roots must lie apart from each other, and none may contain
    /// home, the policy's directory, or what decides about trust there: policy, keys, lockfiles, seals, `.git`.
    /// A home that is not absolute counts as none.
    pub fn place(
        &self,
        home: Option<&Path>,
        policy_dir: &Path,
        policy_file: &str,
    ) -> Result<BTreeMap<String, Vec<PlacedRoot>>, PolicyError> {
        if !is_plain_absolute(policy_dir) {
            let message = "expected the policy's directory as an absolute path, found another";
            return Err(self.source.error_without_place(Code::Internal, message));
        }
        let home = home.filter(|home| is_plain_absolute(home));
        let mut placed: BTreeMap<String, Vec<PlacedRoot>> = BTreeMap::new();
        let mut by_path = BTreeMap::new();
        for cache in self.caches.values() {
            let roots = placed.entry(cache.name.value.clone()).or_default();
            for root in &cache.roots {
                let named = Named { cache: &cache.name, root };
                let absolute = self.absolute(root, home, policy_dir)?;
                if let Some(other) = by_path.insert(absolute.clone(), named) {
                    return Err(self.overlapping(named, "again, after", other));
                }
                roots.push(PlacedRoot { root: root.value.clone(), absolute });
            }
        }
        self.check_protected(&by_path, home, policy_dir, policy_file)?;
        self.check_apart(&by_path)?;
        Ok(placed)
    }

    fn absolute(
        &self,
        root: &Located<RootPath>,
        home: Option<&Path>,
        policy_dir: &Path,
    ) -> Result<PathBuf, PolicyError> {
        let base = match (root.base, home) {
            (RootBase::Policy, _) => policy_dir,
            (RootBase::Filesystem, _) => Path::new("/"),
            (RootBase::Home, Some(home)) => home,
            (RootBase::Home, None) => {
                let spelling = quoted(&root.spelling);
                let message = format_args!("expected HOME to be an absolute path for the root {spelling}, found none");
                return Err(self.source.error(Code::NoHome, root, message).with_hint("set HOME"));
            }
        };
        Ok(base.iter().chain(root.components.iter().map(AsRef::as_ref)).collect())
    }

    fn check_apart(&self, roots: &BTreeMap<PathBuf, Named<'_>>) -> Result<(), PolicyError> {
        for (path, inner) in roots {
            if let Some(outer) = path.ancestors().skip(1).find_map(|above| roots.get(above)) {
                return Err(self.overlapping(*inner, "inside", *outer));
            }
        }
        Ok(())
    }

    fn overlapping(&self, inner: Named<'_>, relation: &str, outer: Named<'_>) -> PolicyError {
        let show = |Named { cache, root }| {
            let line = self.source.line(root);
            format!("{} (cache {}, line {line})", quoted(&root.spelling), quoted(cache))
        };
        let message = format!("expected roots apart from each other, found {} {relation} {}", show(inner), show(outer));
        self.source.error(Code::OverlappingRoots, inner.root, message)
    }

    fn check_protected(
        &self,
        roots: &BTreeMap<PathBuf, Named<'_>>,
        home: Option<&Path>,
        policy_dir: &Path,
        policy_file: &str,
    ) -> Result<(), PolicyError> {
        let below = |name: &str, what: &str| (policy_dir.join(name), format!("{what} {}", quoted(name)));
        let keys = self.signers.values().flat_map(|signer| &signer.keys).map(|key| below(&key.file, "the key file"));
        let lockfiles = self.caches.values().flat_map(|cache| &cache.lockfiles).map(|name| below(name, "the lockfile"));
        let home = home.map(|home| (home.to_owned(), "home".to_owned()));
        // The seals and `.git` need no place here: no root has such a component, so one that contains them
        // contains the directory.
        let directory = (policy_dir.to_owned(), "the policy's directory".to_owned());
        let whole = iter::once(directory).chain(home);
        // Protected before it is there too: a restore must not be able to bring one, nor to take it away.
        let list = below(REVOCATIONS, "the list of revocations");
        let files = iter::once(below(policy_file, "the policy")).chain(keys).chain(lockfiles).chain([list]);

        for (path, what) in whole.chain(files) {
            if let Some(&Named { root, .. }) = path.ancestors().find_map(|above| roots.get(above)) {
                let spelling = quoted(&root.spelling);
                let message = format_args!("expected a root apart from {what}, found {spelling}, which contains it");
                return Err(self.source.error(Code::ForbiddenRoot, root, message));
            }
        }
        Ok(())
    }
}

/// Absolute and without `..`: what comparing paths by their components relies on.
fn is_plain_absolute(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|component| component == Component::ParentDir)
}
