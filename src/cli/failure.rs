//! An error that ends a command before any verdict.

use std::fmt::Write as _;

use crate::base::Code;
use crate::cache::SealError;
use crate::identity::KeyError;
use crate::lockfile::LockfileError;
use crate::policy::PolicyError;
use crate::report::ErrorReport;

/// What went wrong, its stable code, and what to do.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hints: Vec<String>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// For stderr.
    pub(super) fn text(&self) -> String {
        let mut out = format!("error[{}]: {}\n", self.code, self.message);
        for hint in &self.hints {
            let _ = writeln!(out, "hint: {hint}");
        }
        out
    }

    /// As a report of a command.
    pub(super) fn report<'a>(&'a self, command: &'a str, cache: &'a str, gate: &'a str) -> ErrorReport<'a> {
        ErrorReport { command, cache, gate, code: self.code, message: &self.message, hints: &self.hints }
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<LockfileError> for Failure {
    fn from(error: LockfileError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// A key that could not be used, with the place it came from.
pub(super) fn key_failure(place: &str, error: &KeyError) -> Failure {
    Failure::new(error.code(), format!("{place}: {error}"))
}
