//! What a proof found out about each entry.

use std::borrow::Cow;

use super::EntryId;

/// Why an entry is not proven, in a few words that fit after "unproven:".
pub type Reason = Cow<'static, str>;

/// What is known of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is what the lockfile asks for, or what the tool is known to write beside it.
    Proven,
    /// Nothing proves it.
    Unproven(Reason),
    /// It has the locked digest, but by an algorithm for which others can be made to have it too.
    Weak(Reason),
    /// The lockfile asks for something else at this place.
    Mismatch {
        /// What the lockfile asks for.
        expected: String,
        /// What is there.
        found: String,
    },
}

impl Finding {
    /// Of two findings about one entry: a contradiction beats a proof, and a proof beats the lack of one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Unproven(_) => 0,
            Self::Weak(_) => 1,
            Self::Proven => 2,
            Self::Mismatch { .. } => 3,
        }
    }
}

/// All that one claim, or a plan, found out.
#[derive(Debug, Default)]
pub struct Findings {
    /// Findings about entries; an entry may stand several times.
    pub entries: Vec<(EntryId, Finding)>,
    /// Places where a locked package wants something and nothing is: place and what is wanted.
    pub missing: Vec<(Vec<u8>, String)>,
    /// Files and directories of a package that is proven elsewhere too.
    pub copies: Vec<EntryId>,
}

impl Findings {
    /// Notes that an entry is proven.
    pub fn proven(&mut self, entry: EntryId) {
        self.entries.push((entry, Finding::Proven));
    }

    /// Notes why an entry is not proven.
    pub fn unproven(&mut self, entry: EntryId, reason: impl Into<Reason>) {
        self.entries.push((entry, Finding::Unproven(reason.into())));
    }

    /// Notes that an entry is not what was locked.
    pub fn mismatch(&mut self, entry: EntryId, expected: impl Into<String>, found: impl Into<String>) {
        let finding = Finding::Mismatch { expected: expected.into(), found: found.into() };
        self.entries.push((entry, finding));
    }

    /// Notes any finding.
    pub fn push(&mut self, entry: EntryId, finding: Finding) {
        self.entries.push((entry, finding));
    }

    /// Notes that an entry, and what is below it, is a further copy of something that counts already.
    pub fn copy(&mut self, entry: EntryId) {
        self.copies.push(entry);
    }

    /// Notes that something of a locked package is not there although the rest of it is.
    pub fn missing(&mut self, place: Vec<u8>, expected: impl Into<String>) {
        self.missing.push((place, expected.into()));
    }
}
