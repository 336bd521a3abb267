//! An error that ends a command before any verdict.

use std::fmt::{self, Write as _};

use crate::base::Code;
use crate::cache::SealError;
use crate::identity::KeyError;
use crate::lockfile::LockfileError;
use crate::policy::PolicyError;

/// What went wrong, its stable code, and what to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// Its stable code, which also says the exit status.
    pub code: Code,
    /// What was expected and what was found.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// For stderr.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("error[{}]: {}\n", self.code, self.message);
        for hint in &self.hints {
            let _ = writeln!(out, "hint: {hint}");
        }
        out
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

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
        let failure = Self::new(error.code(), error.to_string());
        match error {
            SealError::UnknownSigner(_) => failure
                .hint("look whether this is the right key file: `cacheseal key show FILE` says whose it is")
                .hint("a new key is added to a `[signer]` by a reviewed change of the policy"),
            SealError::NothingToSeal => failure.hint(
                "run the install first, and look whether HOME and `roots` lead where the tool puts its files: `cacheseal policy roots CACHE`",
            ),
            _ => failure,
        }
    }
}

/// A key that could not be used, with the place it came from.
pub(crate) fn key_failure(place: &str, error: &KeyError) -> Failure {
    Failure::new(error.code(), format!("{place}: {error}"))
}
