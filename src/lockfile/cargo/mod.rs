//! Cargo: `Cargo.lock`, and what a Cargo home keeps of the packages in it.

mod directories;
mod home;
mod lock;
mod registry;
mod vendor;

pub use lock::{CargoLock, Package, Source};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan};

/// The ecosystem of `Cargo.lock`.
#[derive(Debug)]
pub struct Cargo;

impl Ecosystem for Cargo {
    fn name(&self) -> &'static str {
        "Cargo"
    }

    fn reads(&self, file_name: &str) -> bool {
        file_name == "Cargo.lock"
    }

    fn whole_roots(&self, _: &str) -> &'static [&'static str] {
        &["~/.cargo/registry/cache", "~/.cargo/registry/src"]
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
