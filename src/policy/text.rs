//! Reading the TOML of our own files: policy and revocations.

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::PolicyError;
use super::source::{Source, quoted};
use crate::base::{Code, Escaped};

/// The version of the policy's format that is read here.
const VERSION: i64 = 1;

/// The text of one of our files, which must be UTF-8.
pub(super) fn read_text(file_name: &str, text: &[u8]) -> Result<Source, PolicyError> {
    let source = |text: &str| Source { file: file_name.to_owned(), text: text.to_owned() };
    match std::str::from_utf8(text) {
        Ok(text) => Ok(source(text)),
        Err(error) => {
            let readable = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            let message = "expected UTF-8, found a byte that is not";
            Err(source(readable).error_at(Code::MalformedPolicy, error.valid_up_to(), message))
        }
    }
}

/// The fields of a text. Its version is looked at first of all: in another version, other fields are right.
pub(super) fn read_shape<'s, T: Deserialize<'s>>(source: &'s Source) -> Result<T, PolicyError> {
    let toml_error = |error: toml::de::Error| from_toml(source, &error);
    let mut root = DeTable::parse(&source.text).map_err(toml_error)?;
    let version = root.get_mut().remove("version");
    check_version(source, version)?;
    T::deserialize(toml::Deserializer::from(root)).map_err(toml_error)
}

/// The TOML reader's own words; they name the field, what was expected and what was found.
fn from_toml(source: &Source, error: &toml::de::Error) -> PolicyError {
    let offset = error.span().map_or(source.text.len(), |span| span.start);
    source.error_at(Code::MalformedPolicy, offset, Escaped(error.message().as_bytes()))
}

fn check_version(source: &Source, version: Option<Spanned<DeValue<'_>>>) -> Result<(), PolicyError> {
    let Some(version) = version else {
        let message = format_args!("expected `version = {VERSION}`, found no version");
        return Err(source.error_at(Code::MalformedPolicy, 0, message));
    };
    // An integer in any of TOML's spellings, and nothing that merely looks like one.
    let number = match version.get_ref() {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        _ => None,
    };
    if number == Some(VERSION) {
        return Ok(());
    }
    let found = source.text.get(version.span()).unwrap_or_default();
    Err(source
        .malformed(&version, format_args!("`version = {VERSION}`"), quoted(found))
        .with_hint("a policy of another version needs another release of cacheseal"))
}
