//! Files of a repository that a lockfile lists by their paths.

use super::Checksum;

/// A listed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its path in the repository.
    pub path: String,
    /// Digests, each of which is trusted. None where it is trusted by signatures alone.
    pub checksums: Vec<Checksum>,
    /// File and line, for people.
    pub origin: String,
}

impl Artifact {
    /// `org/example/lib/1.0/lib-1.0.jar (.mvn/checksums/checksums.sha256:3)`
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} ({})", self.path, self.origin)
    }
}
