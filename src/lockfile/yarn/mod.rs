//! Yarn: `yarn.lock`, and what Yarn keeps: of Yarn classic an offline mirror, a cache and `node_modules`, of Yarn 2 and
//! later zips.

mod berry;
mod classic;
mod places;
mod unpacked;

pub use berry::{BerryLock, BerryPackage};
pub use classic::{ClassicLock, Package};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};

/// The ecosystem of `yarn.lock`.
#[derive(Debug)]
pub struct Yarn;

/// All its lockfiles of one cache.
#[derive(Debug, Default)]
struct Locks {
    classic: Vec<ClassicLock>,
    berry: Vec<BerryLock>,
}

/// What `init` knows of it.
const STARTERS: &[Starter] = &[
    Starter {
        lockfile: "yarn.lock",
        marker: Some(MARKER),
        cache: "yarn",
        roots: &[".yarn/cache"],
        proven: &[".yarn/cache"],
        note: "downloaded packages",
    },
    Starter {
        lockfile: "yarn.lock",
        marker: None,
        cache: "yarn",
        roots: &["node_modules"],
        proven: &[],
        note: "installed packages",
    },
];

/// The line of a lockfile of Yarn 2 and later.
const MARKER: &str = "__metadata:";

impl Ecosystem for Yarn {
    fn name(&self) -> &'static str {
        "Yarn"
    }

    fn reads(&self, file_name: &str) -> bool {
        file_name == "yarn.lock"
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        let mut locks = Locks::default();
        for file in files {
            if file.text.lines().any(|line| line == MARKER) {
                locks.berry.push(BerryLock::read(file)?);
            } else {
                locks.classic.push(ClassicLock::read(file)?);
            }
        }
        Ok(Box::new(locks))
    }
}

impl Locked for Locks {
    fn packages(&self) -> usize {
        let classic: usize = self.classic.iter().map(|lock| lock.packages().len()).sum();
        classic + self.berry.iter().map(|lock| lock.packages().len()).sum::<usize>()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        if !self.classic.is_empty() {
            places::plan(&self.classic, plan);
        }
        if !self.berry.is_empty() {
            berry::plan(&self.berry, plan);
        }
    }
}
