//! `modules-2/files-2.1/<group>/<name>/<version>/<SHA-1>/<file>`.

use super::metadata::VerificationMetadata;
use crate::lockfile::{
    Artifact, Checksum, Claim, EntryId, Expected, Files, Finding, Findings, Forest, HashAlgorithm, ManyHasher, Match,
    Plan,
};
use crate::tree::Kind;

pub(super) fn plan<'a>(metadata: &'a VerificationMetadata, plan: &mut Plan<'a>) {
    let forest = plan.forest;
    for artifact in metadata.artifacts() {
        let Some((version, name)) = artifact.path.rsplit_once('/') else { continue };
        for directory in find(forest, &format!("files-2.1/{version}")) {
            for digest in forest.children(directory) {
                let file = forest.find(digest, name.as_bytes());
                let Some(file) = file.filter(|file| forest.kind(*file) == Kind::File) else { continue };
                let expected = Expected::any_of(artifact.checksums.iter().cloned());
                if expected.is_empty() {
                    plan.unproven(file, "the metadata has no digest of it: a signature is no proof here");
                } else {
                    plan.claim(Stored { forest, artifact, expected, file });
                }
            }
        }
    }
    for store in find(forest, "files-2.1") {
        plan.unproven(store, "no artifact of the metadata");
    }
    for cache in find(forest, "") {
        plan.unproven(cache, "what Gradle keeps for itself: the metadata has digests of artifacts alone");
    }
}

/// A file of an artifact.
#[derive(Debug)]
struct Stored<'a> {
    forest: &'a Forest,
    artifact: &'a Artifact,
    expected: Expected,
    file: EntryId,
}

impl Claim for Stored<'_> {
    fn archive(&self) -> Option<EntryId> {
        Some(self.file)
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let algorithms = self.expected.checksums().map(|checksum| checksum.algorithm);
        let mut hasher = ManyHasher::new(algorithms.chain([HashAlgorithm::Sha1]));
        let Ok(facts) = files.read(self.file, &mut |piece| hasher.update(piece)) else { return };
        let mut found = hasher.finish();
        let sha1 = found.iter().find(|checksum| checksum.algorithm == HashAlgorithm::Sha1).map(Checksum::hex);
        found.retain(|checksum| self.expected.checksums().any(|other| other.algorithm == checksum.algorithm));
        match self.expected.judge(&found) {
            Match::Mismatch { expected, found } => {
                findings.mismatch(self.file, format!("{expected}, of {}", self.artifact.shown()), found);
            }
            Match::Weak(algorithm) => {
                let reason = format!("the metadata has it by {algorithm} alone, which proves nothing");
                findings.push(self.file, Finding::Weak(reason.into()));
            }
            Match::Proven if facts.executable => {
                findings.mismatch(self.file, format!("not executable, of {}", self.artifact.shown()), "executable");
            }
            Match::Proven if !sha1.is_some_and(|sha1| self.is_in_directory(&sha1)) => {
                findings.unproven(self.file, "in a directory that is not named by its SHA-1");
            }
            Match::Proven => findings.proven(self.file),
        }
    }
}

impl Stored<'_> {
    /// Whether the directory is named by a digest, which Gradle writes without zeros before it.
    fn is_in_directory(&self, sha1: &str) -> bool {
        let name = self.forest.parent(self.file).map(|parent| self.forest.name(parent)).unwrap_or_default();
        name == sha1.as_bytes() || name == sha1.trim_start_matches('0').as_bytes()
    }
}

/// The directories at a path below `modules-2`, in whichever roots they lie; `""` is `modules-2` itself.
fn find(forest: &Forest, path: &str) -> Vec<EntryId> {
    let mut found = Vec::new();
    for (root, tree) in forest.roots() {
        let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
        let below = match names.as_slice() {
            [.., "modules-2"] => path.to_owned(),
            [.., "modules-2", "files-2.1"] => match path.strip_prefix("files-2.1") {
                Some(rest) => rest.trim_start_matches('/').to_owned(),
                None => continue,
            },
            [.., ".gradle", "caches"] => format!("modules-2/{path}"),
            _ => continue,
        };
        let below = below.trim_end_matches('/');
        let entry = if below.is_empty() { Some(root) } else { forest.find(root, below.as_bytes()) };
        found.extend(entry.filter(|entry| forest.kind(*entry) == Kind::Directory));
    }
    found
}
