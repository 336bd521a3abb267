//! Patterns for paths, as `[guard] allow` and `--allow` write them.

use super::{Glob, GlobError};
use crate::base::Escaped;

/// A pattern for absolute paths or paths below home: `*` is any run of characters within one component, everything else
/// is itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// The text as it was written.
    pub text: String,
    /// Whether it begins with `~/`.
    pub in_home: bool,
    /// The components before the first one with a star.
    pub literal: Vec<String>,
    /// From the first component with a star on; `None` for a plain path.
    pub rest: Option<Glob>,
}

/// Why a text is not a [`PathPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathPatternError {
    /// A sign of another language of patterns, or no text.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// Neither absolute nor below home.
    #[error("expected an absolute path or `~/…`, found `{}`", Escaped(.0.as_bytes()))]
    Relative(String),
    /// Two stars would match any number of components.
    #[error("expected `*` within components, found `**` in `{}`", Escaped(.0.as_bytes()))]
    DoubleStar(String),
    /// A component that is empty, `.` or `..`.
    #[error("expected a name between slashes, found `{}`", Escaped(.0.as_bytes()))]
    Component(String),
}

impl PathPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PathPatternError> {
        Glob::parse(text)?;
        let (in_home, path) = match (text.strip_prefix("~/"), text.strip_prefix('/')) {
            (Some(path), _) => (true, path),
            (None, Some(path)) => (false, path),
            (None, None) => return Err(PathPatternError::Relative(text.to_owned())),
        };
        if text.contains("**") {
            return Err(PathPatternError::DoubleStar(text.to_owned()));
        }
        let components: Vec<_> = path.split('/').collect();
        if components.iter().any(|name| matches!(*name, "" | "." | "..")) {
            return Err(PathPatternError::Component(text.to_owned()));
        }
        let plain = components.iter().position(|name| name.contains('*')).unwrap_or(components.len());
        let (literal, rest) = components.split_at(plain);
        Ok(Self {
            text: text.to_owned(),
            in_home,
            literal: literal.iter().map(|name| (*name).to_owned()).collect(),
            rest: if rest.is_empty() { None } else { Some(Glob::parse(&rest.join("/"))?) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_patterns_are_told_apart() {
        let read = |text: &str| {
            let pattern = PathPattern::parse(text).unwrap();
            (pattern.in_home, pattern.literal.join("/"), pattern.rest.map(|rest| rest.to_string()))
        };
        assert_eq!(read("/tmp/agent-*"), (false, "tmp".into(), Some("agent-*".into())));
        assert_eq!(read("~/*/x/y*z"), (true, String::new(), Some("*/x/y*z".into())));
        assert_eq!(read("~/.cache"), (true, ".cache".into(), None));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "tmp/x", "~", "~user/x", "/", "/tmp/", "/tmp//x", "/tmp/../x", "~/./x", "/tmp/**", "/tmp/a?"] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }
}
