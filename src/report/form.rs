//! What a form of a report is.

use super::verdict::VerifyReport;
use crate::base::Code;

/// A form of a report.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// Shows an outcome.
    pub render: fn(&VerifyReport) -> Vec<u8>,
    /// Shows an error that came before any outcome.
    pub error: fn(&ErrorReport<'_>) -> Vec<u8>,
}

/// An error that ended a command before any outcome.
#[derive(Debug, Clone, Copy)]
pub struct ErrorReport<'a> {
    /// The verb.
    pub command: &'a str,
    /// The cache's name, if there is one.
    pub cache: &'a str,
    /// The gate's name, if there is one.
    pub gate: &'a str,
    /// What is wrong.
    pub code: Code,
    /// What was expected and what was found.
    pub message: &'a str,
    /// What to do.
    pub hints: &'a [String],
}

impl Format {
    /// Whether it is the one for programs, which every command has.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.name == "json"
    }

    /// The form of a name.
    #[must_use]
    pub fn named(name: &str, formats: &'static [Self]) -> Option<&'static Self> {
        formats.iter().find(|format| format.name == name)
    }
}
