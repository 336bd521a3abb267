//! Maven: trusted checksums that are committed, and the local repository.

mod artifact;
mod checksums;

pub use checksums::{Artifact, TrustedChecksums};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan};

/// The ecosystem of `.mvn/checksums/checksums.sha256`.
#[derive(Debug)]
pub struct Maven;

impl Ecosystem for Maven {
    fn name(&self) -> &'static str {
        "Maven"
    }

    fn reads(&self, file_name: &str) -> bool {
        checksums::algorithm_of(file_name).is_some()
    }

    fn whole_roots(&self, _: &str) -> &'static [&'static str] {
        &["~/.m2/repository"]
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
