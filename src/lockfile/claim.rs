//! Claims: what a lockfile has to say about one package at one place.

use std::fmt::Debug;
use std::io::BufRead;

use super::scratch::ScratchPool;
use super::{EntryId, Finding, Findings, Forest, Reason, System};
use crate::policy::Installed;
use crate::tree::{FileFacts, Unread};

/// The files of the roots, as a claim reads them. What cannot be read is refused by the reader; a claim that gets
/// [`Unread`] has nothing more to say about that file.
pub trait Files {
    /// Size and executable bit, without reading.
    fn look(&mut self, entry: EntryId) -> Result<FileFacts, Unread>;

    /// Gives all bytes to `take`, in pieces.
    fn read(&mut self, entry: EntryId, take: &mut dyn FnMut(&[u8])) -> Result<FileFacts, Unread>;

    /// Whether the file has exactly the `size` bytes that `expected` gives. An error of `expected` counts as other bytes.
    fn compare(&mut self, entry: EntryId, size: u64, expected: &mut dyn BufRead) -> Result<(bool, FileFacts), Unread>;

    /// All bytes, of a file of at most `max`; `None` for a longer one, of which nothing is read.
    fn bytes(&mut self, entry: EntryId, max: u64) -> Result<Option<Vec<u8>>, Unread>;

    /// The longest file that is read as a package, in bytes.
    fn package_bytes_max(&self) -> u64;

    /// The memory that packages are unpacked into.
    fn scratch(&self) -> ScratchPool;

    /// Takes memory back that [`Files::bytes`] gave, to use it again.
    fn give_back(&mut self, bytes: Vec<u8>) {
        drop(bytes);
    }
}

/// One package at one place, to be proven. Claims are proven side by side, in any order.
pub trait Claim: Debug + Send + Sync {
    /// The archive that is unpacked for it: claims with large ones go first, so that none of them ends alone.
    fn archive(&self) -> Option<EntryId> {
        None
    }

    /// Reads what it needs of `files` and says what each entry is that it is about.
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings);
}

/// What is to be read, and what can be said already from the names alone.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The roots.
    pub forest: &'a Forest,
    /// What the project leaves out on purpose.
    pub installed: &'a Installed,
    /// The system that trees are used on.
    pub system: System,
    /// What is to be proven.
    pub claims: Vec<Box<dyn Claim + 'a>>,
    /// What the names alone say.
    pub findings: Findings,
}

impl<'a> Plan<'a> {
    /// An empty plan for these roots.
    #[must_use]
    pub fn new(forest: &'a Forest, installed: &'a Installed, system: System) -> Self {
        Self { forest, installed, system, claims: Vec::new(), findings: Findings::default() }
    }

    /// Adds a claim.
    pub fn claim(&mut self, claim: impl Claim + 'a) {
        self.claims.push(Box::new(claim));
    }

    /// Says that a locked package must be at a place of a tree that is used there, and is not. `setting` is the field
    /// of `installed` that says what a project leaves out.
    pub fn wanted(&mut self, place: Vec<u8>, package: &str, setting: &str) {
        let expected = format!(
            "{package}, which is locked; if it is left out on purpose, say so by `{setting}` in `installed` of the cache"
        );
        self.findings.missing(place, expected);
    }

    /// Says why an entry, and everything below it, is not proven. A claim that proves one of them still does.
    pub fn unproven(&mut self, entry: EntryId, reason: impl Into<Reason>) {
        let reason = reason.into();
        for below in self.forest.below(entry) {
            self.findings.push(below, Finding::Unproven(reason.clone()));
        }
        self.findings.push(entry, Finding::Unproven(reason));
    }
}
