//! One module: its zip, its `go.mod`, and the directory that Go unpacks it into.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::dirhash::{Listed, h1, h1_of_go_mod};
use super::sum::{Module, Sum};
use super::zips;
use crate::lockfile::{Claim, EntryId, Files, Findings, Forest};
use crate::tree::{Kind, Unread};

/// The zips and directories of one module, whose digest is locked.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    pub(super) forest: &'a Forest,
    pub(super) module: &'a Module,
    pub(super) sum: Sum,
    pub(super) zips: Vec<EntryId>,
    pub(super) directories: Vec<EntryId>,
}

impl Claim for Contents<'_> {
    fn archive(&self) -> Option<EntryId> {
        self.zips.first().copied()
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let mut proven = None;
        for zip in &self.zips {
            let Ok(bytes) = files.bytes(*zip, zips::TOTAL_BYTES_MAX) else { continue };
            let listed = match &bytes {
                Some(bytes) => zips::list(bytes),
                None => Err("longer than Go takes"),
            };
            files.give_back(bytes.unwrap_or_default());
            match listed.map(|listed| (h1(&listed), listed)) {
                Ok((Some(sum), listed)) if sum == self.sum => {
                    findings.proven(*zip);
                    proven = Some(listed);
                }
                Ok((Some(sum), _)) => self.mismatch(*zip, sum.to_string(), findings),
                Ok((None, _)) => self.mismatch(*zip, "a name with a line feed".to_owned(), findings),
                // Another proxy may have packed the same files in another way, and some Go may read that otherwise.
                Err(what) => findings.unproven(*zip, format!("not a zip as Go packs it: {what}")),
            }
        }
        for directory in &self.directories {
            // What could not be read is refused already, and so is what cannot be compared without it.
            if let Ok(found) = self.unpacked(*directory, files, findings) {
                match &proven {
                    Some(expected) => self.compare(*directory, &found, expected, findings),
                    None => self.compare_whole(*directory, &found, findings),
                }
            }
        }
    }
}

/// A file of a directory.
struct Found {
    entry: EntryId,
    name: Vec<u8>,
    digest: [u8; 32],
}

impl Contents<'_> {
    fn mismatch(&self, entry: EntryId, found: String, findings: &mut Findings) {
        findings.mismatch(entry, format!("{}, of {}", self.sum, self.module.shown()), found);
    }

    /// The files of a directory. Links, executable files and directories without files are none of a module's.
    fn unpacked(
        &self,
        directory: EntryId,
        files: &mut dyn Files,
        findings: &mut Findings,
    ) -> Result<Vec<Found>, Unread> {
        let prefix = format!("{}@{}/", self.module.path, self.module.version).into_bytes();
        let mut found = Vec::new();
        let mut filled = BTreeSet::new();
        for entry in self.forest.below(directory) {
            let nothing = || format!("nothing: it is not in {}", self.module.shown());
            match self.forest.kind(entry) {
                Kind::Directory => {}
                Kind::File => {
                    let mut sha256 = Sha256::new();
                    let facts = files.read(entry, &mut |piece| sha256.update(piece))?;
                    if facts.executable {
                        let expected = format!("not executable, of {}", self.module.shown());
                        findings.mismatch(entry, expected, "executable");
                    }
                    let name = [&prefix[..], &self.forest.path_from(directory, entry)].concat();
                    found.push(Found { entry, name, digest: sha256.finalize().into() });
                    let mut above = self.forest.parent(entry);
                    while let Some(parent) = above.filter(|parent| filled.insert(*parent)) {
                        above = self.forest.parent(parent);
                    }
                }
                other => findings.mismatch(entry, nothing(), other.noun()),
            }
        }
        for entry in self.forest.below(directory) {
            if self.forest.kind(entry) == Kind::Directory && !filled.contains(&entry) {
                let expected = format!("nothing: it is not in {}", self.module.shown());
                findings.mismatch(entry, expected, "an empty directory");
            }
        }
        Ok(found)
    }

    /// Compares file by file with a zip that was proven.
    fn compare(&self, directory: EntryId, found: &[Found], expected: &Listed, findings: &mut Findings) {
        let shown = self.module.shown();
        let mut missing: BTreeSet<&[u8]> = expected.keys().map(Vec::as_slice).collect();
        for file in found {
            missing.remove(&file.name[..]);
            match expected.get(&file.name) {
                Some(digest) if *digest == file.digest => findings.proven(file.entry),
                Some(digest) => {
                    let sha256 = |digest| format!("sha256 {}", hex::encode(digest));
                    findings.mismatch(file.entry, format!("{}, of {shown}", sha256(digest)), sha256(&file.digest));
                }
                None => findings.mismatch(file.entry, format!("nothing: it is not in {shown}"), "a regular file"),
            }
        }
        let prefix = format!("{}@{}/", self.module.path, self.module.version);
        for name in missing {
            // A file outside the directory of the module could not be unpacked to it.
            let below = name.strip_prefix(prefix.as_bytes()).unwrap_or(name);
            let place = [&self.forest.place(directory)[..], b"/", below].concat();
            findings.missing(place, format!("a file, of {shown}"));
        }
    }

    /// Compares a directory as a whole: without the zip nothing says which file it is.
    fn compare_whole(&self, directory: EntryId, found: &[Found], findings: &mut Findings) {
        let listed: Listed = found.iter().map(|file| (file.name.clone(), file.digest)).collect();
        let sum = h1(&listed);
        if sum == Some(self.sum) {
            return found.iter().for_each(|file| findings.proven(file.entry));
        }
        let sum = sum.map_or_else(|| "a name with a line feed".to_owned(), |sum| sum.to_string());
        self.mismatch(directory, sum, findings);
        for file in found {
            findings.unproven(file.entry, "in a directory that is not as it is locked, and whose zip is not proven");
        }
    }
}

/// A `go.mod` in the cache, whose digest is locked.
#[derive(Debug)]
pub(super) struct GoMod<'a> {
    pub(super) module: &'a Module,
    pub(super) sum: Sum,
    pub(super) file: EntryId,
}

impl Claim for GoMod<'_> {
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let mut sha256 = Sha256::new();
        if files.read(self.file, &mut |piece| sha256.update(piece)).is_ok() {
            let found = h1_of_go_mod(sha256.finalize().into());
            if found == self.sum {
                findings.proven(self.file);
            } else {
                let expected = format!("{}, of the go.mod of {}", self.sum, self.module.shown());
                findings.mismatch(self.file, expected, found.to_string());
            }
        }
    }
}

/// A `.ziphash`, which Go compares with `go.sum` instead of the zip: it follows from the lockfile.
#[derive(Debug)]
pub(super) struct ZipHash<'a> {
    pub(super) module: &'a Module,
    pub(super) sum: Sum,
    pub(super) file: EntryId,
}

impl Claim for ZipHash<'_> {
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let expected = self.sum.to_string();
        match files.compare(self.file, expected.len() as u64, &mut expected.as_bytes()) {
            Ok((true, facts)) if !facts.executable => findings.proven(self.file),
            Ok(_) => {
                let expected = format!("{expected}, of {}", self.module.shown());
                findings.mismatch(self.file, expected, "another text");
            }
            Err(Unread) => {}
        }
    }
}
