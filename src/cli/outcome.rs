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
    /// Where the output is what the command was run for, and not a report of it: what takes back what was made with it,
    /// if the output does not arrive.
    pub(super) product: Option<Undo>,
}

/// Takes back what is of no use without the output.
pub(super) type Undo = Box<dyn FnOnce()>;

impl Outcome {
    /// With a text for people, and the same as a value for programs.
    pub(super) fn of(exit: Exit, text: String, report: &impl Serialize) -> Self {
        // Strings, numbers and maps with text for keys: nothing that JSON could not hold.
        Self { exit, output: text.into_bytes(), json: serde_json::to_value(report).unwrap_or_default(), product: None }
    }

    /// The same, whose output has to arrive. Nothing else was made.
    pub(super) fn into_product(self) -> Self {
        Self { product: Some(Box::new(|| ())), ..self }
    }
}
