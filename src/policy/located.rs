//! A value of the policy, with the place where it stands.

use std::fmt;
use std::ops::Deref;

use toml::Spanned;

use super::PolicyError;

/// A value of the policy, and where it stands: [`super::Policy::origin`] says it for people. It is used as the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located<T> {
    /// What was read.
    pub value: T,
    at: Option<usize>,
}

impl<T> Located<T> {
    /// A value that stands in no policy.
    pub(super) fn nowhere(value: T) -> Self {
        Self { value, at: None }
    }

    pub(super) fn new(spanned: Spanned<T>) -> Self {
        Self { at: Some(spanned.span().start), value: spanned.into_inner() }
    }

    /// Another value in this place.
    pub(super) fn map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Located<U>, E> {
        Ok(Located { value: read(self.value)?, at: self.at })
    }
}

/// Reads a field that need not be written. Where it is not, its place is that of its table, at the offset `table`.
pub(super) fn field<S, T>(
    table: usize,
    written: Option<Spanned<S>>,
    read: impl FnOnce(Option<Spanned<S>>) -> Result<T, PolicyError>,
) -> Result<Located<T>, PolicyError> {
    let at = written.as_ref().map_or(table, Place::offset);
    Ok(Located { value: read(written)?, at: Some(at) })
}

/// What stands somewhere in the policy's text.
pub(super) trait Place {
    /// Where it begins, if it stands in the text at all.
    fn start(&self) -> Option<usize>;

    /// Where it begins, or the text does.
    fn offset(&self) -> usize {
        self.start().unwrap_or_default()
    }
}

impl<T> Place for Spanned<T> {
    fn start(&self) -> Option<usize> {
        Some(self.span().start)
    }
}

impl<T> Place for Located<T> {
    fn start(&self) -> Option<usize> {
        self.at
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq<T> for Located<T> {
    fn eq(&self, other: &T) -> bool {
        self.value == *other
    }
}

impl<T: fmt::Display> fmt::Display for Located<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

#[expect(clippy::into_iter_without_iter, reason = "the value has `iter`, which is found through `Deref`")]
impl<'l, T> IntoIterator for &'l Located<T>
where
    &'l T: IntoIterator,
{
    type IntoIter = <&'l T as IntoIterator>::IntoIter;
    type Item = <&'l T as IntoIterator>::Item;

    fn into_iter(self) -> Self::IntoIter {
        self.value.into_iter()
    }
}
