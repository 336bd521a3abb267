//! pnpm: `pnpm-lock.yaml`. It has the digest of each tarball, and pnpm keeps no tarball: its store has the files, each
//! under its own digest, and an index that says which of them a package had. That index lies in the same cache, so
//! nothing of it is proven; what is said here is why.

mod lock;

pub use lock::{Package, PnpmLock};

use std::collections::BTreeSet;

use super::{Ecosystem, EntryId, Locked, LockfileError, LockfileText, Plan, Starter};

/// The directory that packages lie in.
const MODULES: &str = "node_modules";

/// The directory in it where pnpm unpacks them.
const VIRTUAL: &str = ".pnpm";

/// Names of directories that hold a store, or are one.
const STORES: [&str; 3] = ["store", ".pnpm-store", "pnpm-store"];

/// The ecosystem of `pnpm-lock.yaml`.
#[derive(Debug)]
pub struct Pnpm;

/// All its lockfiles of one cache.
#[derive(Debug)]
struct Locks(Vec<PnpmLock>);

/// What `init` knows of it.
const STARTERS: &[Starter] = &[Starter {
    lockfile: "pnpm-lock.yaml",
    marker: None,
    cache: "pnpm",
    roots: &["node_modules", "~/.local/share/pnpm/store"],
    proven: &[],
    note: "installed packages, and the store that they are linked from",
}];

impl Ecosystem for Pnpm {
    fn name(&self) -> &'static str {
        "pnpm"
    }

    fn reads(&self, file_name: &str) -> bool {
        file_name == "pnpm-lock.yaml"
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        let locks: Result<_, _> = files.iter().map(PnpmLock::read).collect();
        Ok(Box::new(Locks(locks?)))
    }
}

impl Locked for Locks {
    fn packages(&self) -> usize {
        self.0.iter().map(|lock| lock.packages().len()).sum()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        let packages = self.0.iter().flat_map(PnpmLock::packages);
        let directories: BTreeSet<String> = packages.map(Package::directory).collect();
        let forest = plan.forest;
        for (root, tree) in forest.roots() {
            let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
            match names.as_slice() {
                [.., MODULES] => beside(root, &directories, plan),
                [.., MODULES, VIRTUAL] => unpacked(root, &directories, plan),
                names if names.iter().any(|name| STORES.contains(name)) => {
                    plan.unproven(
                        root,
                        "pnpm's store has files and no tarballs: the index of whose they are lies beside them",
                    );
                }
                _ => {}
            }
        }
    }
}

fn beside(modules: EntryId, locked: &BTreeSet<String>, plan: &mut Plan<'_>) {
    let forest = plan.forest;
    for entry in forest.children(modules) {
        if forest.name(entry) == VIRTUAL.as_bytes() {
            unpacked(entry, locked, plan);
        } else {
            plan.unproven(entry, "pnpm-lock.yaml does not say what pnpm writes beside the packages");
        }
    }
}

/// The packages in `node_modules/.pnpm`: a directory for each, named by name and version, and by the peers that it got.
fn unpacked(virtual_store: EntryId, locked: &BTreeSet<String>, plan: &mut Plan<'_>) {
    for entry in plan.forest.children(virtual_store) {
        let name = std::str::from_utf8(plan.forest.name(entry)).unwrap_or_default();
        let package = name.split_once('_').map_or(name, |(package, _)| package);
        if locked.contains(name) || locked.contains(package) {
            plan.unproven(entry, "unpacked from a tarball that pnpm does not keep: pnpm-lock.yaml has no other digest");
        } else {
            plan.unproven(entry, "not a package of pnpm-lock.yaml");
        }
    }
}
