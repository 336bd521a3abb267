//! What is wrong with a policy, and where.

use crate::base::{Code, Escaped};

/// A place in the policy's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
}

/// Why a text is not a policy, or why a policy does not answer a question. Harmless to print: text of the
/// policy in it is escaped already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", location(.file, *.position))]
pub struct PolicyError {
    pub(super) code: Code,
    /// The policy file, as the caller named it.
    pub file: String,
    /// The offending value; none if the error is about something that the policy does not have.
    pub position: Option<Position>,
    /// What was expected and what was found.
    pub message: String,
    /// What to do, where that is not plain from the message.
    pub hint: Option<String>,
}

impl PolicyError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn location(file: &str, position: Option<Position>) -> String {
    let file = Escaped(file.as_bytes());
    match position {
        Some(Position { line, column }) => format!("{file}:{line}:{column}"),
        None => file.to_string(),
    }
}
