//! Gradle: `verification-metadata.xml`, and the files that Gradle keeps of the artifacts in it.

mod artifact;
mod metadata;
mod xml;

pub use metadata::{Artifact, VerificationMetadata};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan};

/// The ecosystem of `verification-metadata.xml`.
#[derive(Debug)]
pub struct Gradle;

impl Ecosystem for Gradle {
    fn name(&self) -> &'static str {
        "Gradle"
    }

    fn reads(&self, file_name: &str) -> bool {
        file_name == "verification-metadata.xml"
    }

    fn whole_roots(&self, _: &str) -> &'static [&'static str] {
        &["~/.gradle/caches/modules-2/files-2.1"]
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
