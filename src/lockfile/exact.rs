//! Files that a tool always writes the same.

use super::{Claim, EntryId, Files, Findings};
use crate::tree::Unread;

/// A claim that a file has exact contents, and is not executable.
#[derive(Debug)]
pub struct Exact {
    /// The file.
    pub file: EntryId,
    /// The contents that are known, each of some version of the tool.
    pub contents: &'static [&'static [u8]],
    /// What the file is, for people: "the mark of an unpacked crate".
    pub what: &'static str,
}

impl Claim for Exact {
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let Ok(facts) = files.look(self.file) else { return };
        for contents in self.contents.iter().filter(|contents| contents.len() as u64 == facts.size) {
            match files.compare(self.file, facts.size, &mut &contents[..]) {
                Ok((true, facts)) if !facts.executable => return findings.proven(self.file),
                Ok(_) => {}
                Err(Unread) => return,
            }
        }
        findings.unproven(self.file, format!("not {} as the tool writes it", self.what));
    }
}
