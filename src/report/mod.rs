//! One report of a run, and the forms it is shown in.

mod json;
mod junit;
mod text;

pub use json::{counts_json, error_json, refusals_json};
pub use junit::error_junit;
pub use text::{bytes_text, candidates_text, refusals_text};

use crate::base::{Exit, Refusals};
use crate::cache::{ArchiveVerification, Facts, Unpacked};
use crate::verify::{Coverage, Rule};

/// The outcome of `verify` or `unpack`.
#[derive(Debug)]
pub struct Report<'a> {
    /// The verb.
    pub command: &'a str,
    /// The cache's name.
    pub cache: &'a str,
    /// The gate's name.
    pub gate: &'a str,
    /// The outcome, fixed before anything is shown.
    pub outcome: Exit,
    /// The exit status that follows: the outcome's, but for a miss that is allowed.
    pub exit: Exit,
    /// Every reason against the cache.
    pub refusals: &'a Refusals,
    /// What the seal says, if it was opened.
    pub facts: Option<&'a Facts>,
    /// How much each proof covers, where there was a lockfile proof.
    pub coverage: Option<&'a Coverage>,
    /// Every rule that was applied, where that is wanted.
    pub rules: Option<&'a [Rule]>,
    /// What a guard would have refused if it did more than report.
    pub candidates: Option<&'a Refusals>,
    /// What was done with a refused cache, in words; empty if nothing.
    pub disposal: Vec<String>,
    /// What there is to say of an archive, if one was verified.
    pub archive: Option<&'a ArchiveVerification>,
    /// What came of the archive, if it was to be unpacked.
    pub unpacked: Option<&'a Unpacked>,
}

/// The word for an outcome.
#[must_use]
pub fn verdict(exit: Exit) -> &'static str {
    match exit {
        Exit::Ok => "trusted",
        Exit::Miss => "miss",
        exit if exit.is_refusal() => "refused",
        _ => "undecided",
    }
}
