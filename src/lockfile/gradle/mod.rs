//! Gradle: `verification-metadata.xml`, and the files that Gradle keeps of the artifacts in it.

mod artifact;
mod metadata;

pub use metadata::VerificationMetadata;

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};

/// The ecosystem of `verification-metadata.xml`.
#[derive(Debug)]
pub struct Gradle;

/// What `init` knows of it.
const STARTERS: &[Starter] = &[Starter {
    lockfile: "gradle/verification-metadata.xml",
    marker: None,
    cache: "gradle",
    roots: &["~/.gradle/caches/modules-2"],
    proven: &["~/.gradle/caches/modules-2/files-2.1"],
    note: "downloaded artefacts",
}];

impl Ecosystem for Gradle {
    fn name(&self) -> &'static str {
        "Gradle"
    }

    fn reads(&self, file_name: &str) -> bool {
        file_name == "verification-metadata.xml"
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        Ok(Box::new(VerificationMetadata::read(files)?))
    }
}

impl Locked for VerificationMetadata {
    fn packages(&self) -> usize {
        self.artifacts().len()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        artifact::plan(self, plan);
    }
}
