//! `policy digest`.

use serde_json::json;

use super::arguments::PolicyCommand;
use super::context::Context;
use super::failure::Failure;
use super::outcome::Outcome;
use super::setup::Setup;
use crate::base::Exit;

pub(super) fn run(command: &PolicyCommand, context: &Context) -> Result<Outcome, Failure> {
    let PolicyCommand::Digest(arguments) = command;
    let digest = Setup::load(&arguments.policy, context)?.digest.to_string();
    Ok(Outcome {
        exit: Exit::Ok,
        output: format!("{digest}\n").into_bytes(),
        json: json!({ "version": 1, "command": "policy digest", "sha256": digest }),
    })
}
