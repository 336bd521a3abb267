//! Reports for programs: `version` 1, fields are only ever added.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::form::{ErrorReport, Format};
use super::verdict::VERSION;
use crate::base::{Code, Exit};

pub(super) const FORMAT: Format = Format { name: "json", render: |report| json_line(report), error };

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ErrorV1<'a> {
    version: u8,
    command: &'a str,
    verdict: &'static str,
    exit: Exit,
    error: Details<'a>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Details<'a> {
    code: Code,
    message: &'a str,
    hints: &'a [String],
}

fn error(report: &ErrorReport<'_>) -> Vec<u8> {
    json_line(&ErrorV1 {
        version: VERSION,
        command: report.command,
        verdict: "error",
        exit: report.code.exit(),
        error: Details { code: report.code, message: report.message, hints: report.hints },
    })
}

/// A value as one line of printable ASCII. Much that JSON lets stand as it is could still move a cursor or reorder text.
#[must_use]
pub fn json_line(value: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and maps with text for keys: nothing that JSON could not hold.
    let value: Value = serde_json::to_value(value).unwrap_or_default();
    let mut line = String::new();
    for character in value.to_string().chars() {
        if matches!(character, ' '..='~') {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line.push('\n');
    line.into_bytes()
}
