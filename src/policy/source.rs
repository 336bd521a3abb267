//! The text of a policy, kept to say where a value stands, and the words in which values are refused.

use std::fmt::Display;

use toml::Spanned;

use super::located::Place;
use super::similar::closest;
use super::{PolicyError, Position};
use crate::base::{Code, Escaped};

/// The policy's name and text. Places are looked up only when an error needs one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) file: String,
    pub(super) text: String,
}

impl Source {
    /// The position of a byte offset; the end of the text if it lies beyond.
    pub(super) fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |line_feed| line_feed + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        Position { line, column }
    }

    /// The line of a value; 0 if it stands nowhere.
    pub(super) fn line(&self, at: &impl Place) -> usize {
        at.start().map_or(0, |offset| self.position(offset).line)
    }

    /// An error about the text at a byte offset.
    pub(super) fn error_at(&self, code: Code, offset: usize, message: impl Display) -> PolicyError {
        PolicyError { position: Some(self.position(offset)), ..self.error_without_place(code, message) }
    }

    /// An error about a value.
    pub(super) fn error(&self, code: Code, at: &impl Place, message: impl Display) -> PolicyError {
        self.error_at(code, at.offset(), message)
    }

    /// An error about something that is not in the text.
    pub(super) fn error_without_place(&self, code: Code, message: impl Display) -> PolicyError {
        PolicyError { code, file: self.file.clone(), position: None, message: message.to_string(), hint: None }
    }

    /// A value that is not of the form its field wants.
    pub(super) fn malformed(&self, at: &impl Place, expected: impl Display, found: impl Display) -> PolicyError {
        self.error(Code::MalformedPolicy, at, format_args!("expected {expected}, found {found}"))
    }

    /// The meaning of one of a field's words; `default` if the field is not written.
    pub(super) fn word<T: Copy>(
        &self,
        value: Option<&Spanned<String>>,
        words: [(&str, T); 2],
        default: T,
    ) -> Result<T, PolicyError> {
        let Some(value) = value else { return Ok(default) };
        match words.iter().find(|(word, _)| word == value.get_ref()) {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(self.malformed(value, list(words.map(|(word, _)| word), "or"), quoted(value.get_ref()))),
        }
    }

    /// Checks the length of a list that must not be empty.
    pub(super) fn counted<T>(&self, items: &Spanned<Vec<T>>, max: usize) -> Result<(), PolicyError> {
        match items.get_ref().len() {
            0 => Err(self.malformed(items, "at least one item", "an empty list")),
            count if count > max => Err(self.malformed(items, format_args!("at most {max} items"), count)),
            _ => Ok(()),
        }
    }

    /// Checks that no item stands twice in a list.
    pub(super) fn unique(&self, items: &[Spanned<String>]) -> Result<(), PolicyError> {
        let mut seen = std::collections::BTreeSet::new();
        match items.iter().find(|item| !seen.insert(item.get_ref())) {
            Some(item) => Err(self.malformed(item, "each item once", format_args!("{} twice", quoted(item.get_ref())))),
            None => Ok(()),
        }
    }
}

/// Text of the policy or the command line, made harmless, in backticks.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", Escaped(text.as_bytes()))
}

/// "`a`, `b` and `c`".
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>, last: &str) -> String {
    let mut names: Vec<_> = names.into_iter().map(quoted).collect();
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => name,
        (Some(name), false) => format!("{} {last} {name}", names.join(", ")),
        (None, _) => "none".to_owned(),
    }
}

/// "did you mean `cargo`", if one of the names is close.
pub(super) fn did_you_mean<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    closest(name, names).map(|close| format!("did you mean {}", quoted(close)))
}
