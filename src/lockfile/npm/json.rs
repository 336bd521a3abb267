//! Objects of a JSON lockfile, and where each field stands in its text.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::base::{Escaped, Json};
use crate::lockfile::{LockfileError, LockfileText};

/// Levels of objects and arrays in one field.
const DEPTH_MAX: usize = 64;

/// The fields of an object in the order of the text, each name once.
pub(super) struct Fields<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor).map(Self)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut fields, mut seen) = (Vec::new(), BTreeSet::new());
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format!("duplicate field `{}`", Escaped(name.as_bytes()))));
            }
            fields.push((name, value));
        }
        Ok(fields)
    }
}

impl<'a> Fields<'a> {
    /// The fields of an object that is a part of `file`'s text.
    pub(super) fn read(file: &LockfileText<'_>, part: &'a str) -> Result<Self, LockfileError> {
        serde_json::from_str(part).map_err(|error| {
            let line = line_of(file, part) + error.line().saturating_sub(1);
            let message = error.to_string();
            // The line in the message is one of the part.
            let message = message.split(" at line ").next().unwrap_or_default();
            file.malformed(line, format!("expected JSON as npm writes it: {}", Escaped(message.as_bytes())))
        })
    }

    /// The text of a field.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.get())
    }
}

/// The line that a part of a lockfile's text begins on.
pub(super) fn line_of(file: &LockfileText<'_>, part: &str) -> usize {
    file.line(offset_of(file, part))
}

/// Where a part of a lockfile's text begins.
pub(super) fn offset_of(file: &LockfileText<'_>, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(file.text.as_ptr().addr())
}

/// A part of a lockfile's text as a value.
pub(super) fn value(file: &LockfileText<'_>, line: usize, part: &str) -> Result<Json, LockfileError> {
    Json::parse(part.as_bytes(), DEPTH_MAX).map_err(|error| {
        let message = Escaped(error.0.as_bytes()).to_string();
        file.malformed(line, format!("expected JSON as npm writes it: {message}"))
    })
}
