//! npm: `package-lock.json` and `npm-shrinkwrap.json`, npm's cache, and the `node_modules` that it fills from there.

mod bin;
mod bins;
mod cacache;
mod hidden;
mod index;
mod json;
mod lock;
mod modules;
mod needed;
mod tarball;

pub use bin::bins_of;
pub use lock::{Package, PackageLock};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};

/// The ecosystem of `package-lock.json`.
#[derive(Debug)]
pub struct Npm;

/// All its lockfiles of one cache.
#[derive(Debug)]
struct Locks(Vec<PackageLock>);

/// What `init` knows of it.
const STARTERS: &[Starter] = &[
    Starter {
        lockfile: "package-lock.json",
        marker: None,
        cache: "npm",
        roots: &["node_modules"],
        proven: &["node_modules", "~/.npm/_cacache"],
        note: "installed packages",
    },
    Starter {
        lockfile: "npm-shrinkwrap.json",
        marker: None,
        cache: "npm",
        roots: &["node_modules"],
        proven: &["node_modules", "~/.npm/_cacache"],
        note: "installed packages",
    },
];

impl Ecosystem for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn reads(&self, file_name: &str) -> bool {
        matches!(file_name, "package-lock.json" | "npm-shrinkwrap.json")
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        Ok(Box::new(Locks(PackageLock::read(files)?)))
    }
}

impl Locked for Locks {
    fn packages(&self) -> usize {
        let packages = self.0.iter().flat_map(|lock| lock.packages.values());
        packages.filter(|package| !package.link && !package.name.is_empty()).count()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        let caches = cacache::Caches::find(plan);
        modules::plan(&self.0, &caches, plan);
        index::plan(&self.0, &caches.indexes, plan);
    }
}
