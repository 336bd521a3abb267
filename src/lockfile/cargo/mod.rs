//! Cargo: `Cargo.lock`, and what a Cargo home keeps of the packages in it.

mod directories;
mod home;
mod lock;
mod registry;
mod vendor;

pub use lock::{CargoLock, Package, Source};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};

/// The ecosystem of `Cargo.lock`.
#[derive(Debug)]
pub struct Cargo;

/// What `init` knows of it.
const STARTERS: &[Starter] = &[Starter {
    lockfile: "Cargo.lock",
    marker: None,
    cache: "cargo",
    roots: &["~/.cargo/registry", "~/.cargo/git/db"],
    proven: &["~/.cargo/registry/cache", "~/.cargo/registry/src"],
    note: "crates and their unpacked sources",
}];

impl Ecosystem for Cargo {
    fn name(&self) -> &'static str {
        "Cargo"
    }

    fn reads(&self, file_name: &str) -> bool {
        file_name == "Cargo.lock"
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        Ok(Box::new(CargoLock::read(files)?))
    }
}

impl Locked for CargoLock {
    fn packages(&self) -> usize {
        self.packages().len()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        registry::plan(self, plan);
    }
}
