//! What is wrong with a lockfile, and where.

use crate::base::{Code, Escaped};

/// Why a lockfile could not be read. Harmless to print: text of the lockfile in it is escaped already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", location(.file, *.line))]
pub struct LockfileError {
    code: Code,
    /// The lockfile as the policy names it.
    pub file: String,
    /// The line, from 1; none if the error is about the file as a whole.
    pub line: Option<usize>,
    /// What was expected and what was found.
    pub message: String,
}

impl LockfileError {
    /// A lockfile that is not what its format says.
    pub fn malformed(file: &str, line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self { code: Code::MalformedLockfile, file: file.to_owned(), line: line.into(), message: message.into() }
    }

    /// A lockfile of an ecosystem, version or kind that is not read here.
    pub fn unsupported(file: &str, line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self { code: Code::UnsupportedLockfile, file: file.to_owned(), line: line.into(), message: message.into() }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

fn location(file: &str, line: Option<usize>) -> String {
    let file = Escaped(file.as_bytes());
    line.map_or_else(|| file.to_string(), |line| format!("{file}:{line}"))
}
