//! Maven: trusted checksums that are committed, and the local repository.

mod artifact;
mod checksums;

pub use checksums::TrustedChecksums;

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};

/// The ecosystem of `.mvn/checksums/checksums.sha256`.
#[derive(Debug)]
pub struct Maven;

/// What `init` knows of it.
const STARTERS: &[Starter] = &[
    Starter {
        lockfile: ".mvn/checksums/checksums*.sha256",
        marker: None,
        cache: "maven",
        roots: &["~/.m2/repository"],
        proven: &["~/.m2/repository"],
        note: "downloaded artefacts",
    },
    Starter {
        lockfile: ".mvn/checksums/checksums*.sha512",
        marker: None,
        cache: "maven",
        roots: &["~/.m2/repository"],
        proven: &["~/.m2/repository"],
        note: "downloaded artefacts",
    },
];

impl Ecosystem for Maven {
    fn name(&self) -> &'static str {
        "Maven"
    }

    fn reads(&self, file_name: &str) -> bool {
        checksums::algorithm_of(file_name).is_some()
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        Ok(Box::new(TrustedChecksums::read(files)?))
    }
}

impl Locked for TrustedChecksums {
    fn packages(&self) -> usize {
        self.artifacts().len()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        artifact::plan(self, plan);
    }
}
