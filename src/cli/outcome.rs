//! What a command ends with.

use serde_json::Value;

use crate::base::Exit;

/// The exit status, decided, and what is still to be shown.
pub(super) struct Outcome {
    pub(super) exit: Exit,
    /// For stdout, with `--format text`.
    pub(super) output: Vec<u8>,
    /// For stdout, with `--format json`.
    pub(super) json: Value,
}
