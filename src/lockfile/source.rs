//! A lockfile of the checkout: its name, its text, and where things stand in it.

use super::LockfileError;

/// A lockfile's path in the policy and its text.
#[derive(Debug, Clone, Copy)]
pub struct LockfileText<'a> {
    /// The path as the policy writes it.
    pub file: &'a str,
    /// The text.
    pub text: &'a str,
}

impl<'a> LockfileText<'a> {
    /// The bytes of a lockfile as text. Every lockfile that is read here is UTF-8; a byte order mark is no part of it.
    pub fn new(file: &'a str, bytes: &'a [u8]) -> Result<Self, LockfileError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { file, text: text.strip_prefix('\u{feff}').unwrap_or(text) }),
            Err(error) => {
                let line = line_feeds(bytes.get(..error.valid_up_to()).unwrap_or_default()) + 1;
                Err(LockfileError::malformed(file, line, "expected UTF-8, found other bytes"))
            }
        }
    }

    /// The line of a byte offset, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        line_feeds(self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes())) + 1
    }

    /// The lines of many offsets that only grow: each part of the text is looked at once.
    #[must_use]
    pub fn lines(&self) -> Lines<'a> {
        Lines { text: self.text, offset: 0, line: 1 }
    }

    /// File and line, for people.
    #[must_use]
    pub fn origin(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }

    /// An error about a line.
    pub fn malformed(&self, line: usize, message: impl Into<String>) -> LockfileError {
        LockfileError::malformed(self.file, line, message)
    }

    /// Something on a line that is not read here.
    pub fn unsupported(&self, line: usize, message: impl Into<String>) -> LockfileError {
        LockfileError::unsupported(self.file, line, message)
    }
}

fn line_feeds(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count().saturating_sub(1)
}

/// Turns growing offsets into lines.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of an offset that is not before the last one asked for.
    pub fn of(&mut self, offset: usize) -> usize {
        let passed = self.text.as_bytes().get(self.offset..offset).unwrap_or_default();
        self.line += line_feeds(passed);
        self.offset = self.offset.max(offset);
        self.line
    }
}
