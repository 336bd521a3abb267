//! Why an archive is not read further.

use std::io;

use crate::base::{Code, Refusal};

/// The end of a reading before the end of the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive is not as an archive must be: a decided no.
    #[error("at byte {offset}: expected {expected}, found {found}")]
    Refused {
        /// The stable code.
        code: Code,
        /// Where in the uncompressed archive, in bytes: the header of the member, or the place itself.
        offset: u64,
        /// What was expected there.
        expected: &'static str,
        /// What was found. Text that came from outside is already escaped in it.
        found: String,
    },
    /// The source could not be read: nothing is decided.
    #[error("the archive could not be read: {0}")]
    Io(#[source] io::Error),
}

impl ArchiveError {
    /// As a refusal of the archive that `place` names.
    #[must_use]
    pub fn refusal(&self, place: &[u8]) -> Refusal {
        match self {
            Self::Refused { code, offset, expected, found } => {
                Refusal::new(*code, place, *expected, format!("{found} at byte {offset}"))
            }
            Self::Io(error) => Refusal::new(Code::Unreadable, place, "an archive that can be read", error.to_string()),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Io(_) => Code::Unreadable,
        }
    }
}

/// What is wrong with a piece of an archive, without its place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

impl Fault {
    pub(super) fn new(code: Code, expected: &'static str, found: impl Into<String>) -> Self {
        Self { code, expected, found: found.into() }
    }

    pub(super) fn at(self, offset: u64) -> ArchiveError {
        ArchiveError::Refused { code: self.code, offset, expected: self.expected, found: self.found }
    }
}
