//! What a command ends with.

use serde::Serialize;
use serde_json::Value;

use crate::base::Exit;

/// The exit status, decided, and what is still to be shown.
pub(super) struct Outcome {
    pub(super) exit: Exit,
    /// For stdout, with every form but JSON.
    pub(super) output: Vec<u8>,
    /// For stdout, with `--format json`.
    pub(super) json: Value,
}

impl Outcome {
    /// With a text for people, and the same as a value for programs.
    pub(super) fn of(exit: Exit, text: String, report: &impl Serialize) -> Self {
        // Strings, numbers and maps with text for keys: nothing that JSON could not hold.
        Self { exit, output: text.into_bytes(), json: serde_json::to_value(report).unwrap_or_default() }
    }
}
