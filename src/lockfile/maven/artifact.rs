//! Files of the local repository, `~/.m2/repository`.

use super::checksums::TrustedChecksums;
use crate::lockfile::{
    Artifact, Checksum, Claim, EntryId, Expected, Files, Finding, Findings, Forest, HashAlgorithm, ManyHasher, Match,
    Plan,
};
use crate::tree::Kind;

/// The files that Maven keeps beside an artifact, with the digest that a server said it has.
const BESIDE: [HashAlgorithm; 3] = [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha512];

pub(super) fn plan<'a>(trusted: &'a TrustedChecksums, plan: &mut Plan<'a>) {
    let forest = plan.forest;
    for artifact in trusted.artifacts() {
        for file in find(forest, &artifact.path) {
            let beside = BESIDE.into_iter().filter_map(|algorithm| {
                let path = format!("{}.{algorithm}", artifact.path);
                let entry = find(forest, &path).into_iter().find(|entry| entry.root == file.root)?;
                Some((algorithm, entry))
            });
            let expected = Expected::any_of(artifact.checksums.iter().cloned());
            plan.claim(Stored { artifact, expected, file, beside: beside.collect() });
        }
    }
}

/// A file of an artifact, and files with its digests.
#[derive(Debug)]
struct Stored<'a> {
    artifact: &'a Artifact,
    expected: Expected,
    file: EntryId,
    beside: Vec<(HashAlgorithm, EntryId)>,
}

impl Claim for Stored<'_> {
    fn archive(&self) -> Option<EntryId> {
        Some(self.file)
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let listed = self.expected.checksums().map(|checksum| checksum.algorithm);
        let mut hasher = ManyHasher::new(listed.chain(self.beside.iter().map(|(algorithm, _)| *algorithm)));
        let Ok(facts) = files.read(self.file, &mut |piece| hasher.update(piece)) else { return };
        let all = hasher.finish();
        let counts = |found: &&Checksum| self.expected.checksums().any(|other| other.algorithm == found.algorithm);
        let found: Vec<_> = all.iter().filter(counts).cloned().collect();
        match self.expected.judge(&found) {
            Match::Mismatch { expected, found } => {
                return findings.mismatch(self.file, format!("{expected}, of {}", self.artifact.shown()), found);
            }
            Match::Weak(algorithm) => {
                let reason = format!("the checksums have it by {algorithm} alone, which proves nothing");
                return findings.push(self.file, Finding::Weak(reason.into()));
            }
            Match::Proven if facts.executable => {
                let expected = format!("not executable, of {}", self.artifact.shown());
                return findings.mismatch(self.file, expected, "executable");
            }
            Match::Proven => findings.proven(self.file),
        }
        for (algorithm, entry) in &self.beside {
            if let Some(checksum) = all.iter().find(|checksum| checksum.algorithm == *algorithm) {
                self.beside(*entry, &checksum.hex(), files, findings);
            }
        }
    }
}

impl Stored<'_> {
    /// A file with a digest of a file that is proven: it follows from it.
    fn beside(&self, entry: EntryId, digits: &str, files: &mut dyn Files, findings: &mut Findings) {
        let Ok(facts) = files.look(entry) else { return };
        let text = if facts.size == digits.len() as u64 { digits.to_owned() } else { format!("{digits}\n") };
        match files.compare(entry, text.len() as u64, &mut text.as_bytes()) {
            Ok((true, facts)) if !facts.executable => findings.proven(entry),
            Ok(_) => findings.unproven(entry, format!("not the digest of {}", self.artifact.path)),
            Err(_) => {}
        }
    }
}

/// The files at a path below a local repository, in whichever roots it lies.
fn find(forest: &Forest, path: &str) -> Vec<EntryId> {
    let mut found = Vec::new();
    for (root, tree) in forest.roots() {
        let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
        let Some(at) = names.windows(2).position(|pair| pair == [".m2", "repository"]) else { continue };
        let prefix = names.into_iter().skip(at + 2).collect::<Vec<_>>().join("/");
        let below = if prefix.is_empty() {
            Some(path)
        } else {
            path.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('/'))
        };
        let entry = below.and_then(|below| forest.find(root, below.as_bytes()));
        found.extend(entry.filter(|entry| forest.kind(*entry) == Kind::File));
    }
    found
}
