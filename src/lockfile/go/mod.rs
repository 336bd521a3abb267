//! Go: `go.sum`, and what a module cache keeps of the modules in it.

mod dirhash;
mod module;
mod plan;
mod sum;
mod zips;

pub use sum::{GoSum, Module, Sum};
pub use zips::list as zip_files;

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};

/// The ecosystem of `go.sum`.
#[derive(Debug)]
pub struct Go;

/// What `init` knows of it.
const STARTERS: &[Starter] = &[Starter {
    lockfile: "go.sum",
    marker: None,
    cache: "go",
    roots: &["~/go/pkg/mod"],
    proven: &["~/go/pkg/mod"],
    note: "module downloads and sources",
}];

impl Ecosystem for Go {
    fn name(&self) -> &'static str {
        "Go"
    }

    fn reads(&self, file_name: &str) -> bool {
        matches!(file_name, "go.sum" | "go.work.sum")
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        Ok(Box::new(GoSum::read(files)?))
    }
}

impl Locked for GoSum {
    fn packages(&self) -> usize {
        self.modules().len()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        plan::plan(self, plan);
    }
}
