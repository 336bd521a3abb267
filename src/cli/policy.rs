//! `policy digest`, `policy check` and `policy roots`.

use std::fmt::Write as _;

use serde_json::json;

use super::arguments::{PolicyArgument, PolicyCommand, PolicyRootsArguments};
use super::context::Context;
use super::failure::Failure;
use super::outcome::Outcome;
use super::setup::Setup;
use crate::base::{Exit, plural};

pub(super) fn run(command: &PolicyCommand, context: &Context) -> Result<Outcome, Failure> {
    match command {
        PolicyCommand::Digest(arguments) => digest(arguments, context),
        PolicyCommand::Check(arguments) => check(arguments, context),
        PolicyCommand::Roots(arguments) => roots(arguments, context),
    }
}

fn digest(arguments: &PolicyArgument, context: &Context) -> Result<Outcome, Failure> {
    let digest = Setup::load(&arguments.policy, context)?.digest.to_string();
    Ok(Outcome {
        exit: Exit::Ok,
        output: format!("{digest}\n").into_bytes(),
        json: json!({ "version": 1, "command": "policy digest", "exit": 0, "sha256": digest }),
    })
}

/// A policy that does not hold together is an error before this; here is only what is unwise.
fn check(arguments: &PolicyArgument, context: &Context) -> Result<Outcome, Failure> {
    let lints = Setup::load(&arguments.policy, context)?.policy.lints(context.now);
    let mut text = String::new();
    for lint in &lints {
        let _ = writeln!(text, "finding[{}]: {}: {}", lint.code, lint.origin, lint.message);
    }
    let _ = match lints.len() {
        0 => writeln!(text, "clean: nothing to find in the policy"),
        count => writeln!(text, "{}; see docs/POLICY.md", plural(count as u64, "finding", "findings")),
    };
    let exit = if lints.is_empty() { Exit::Ok } else { Exit::Findings };
    let findings =
        lints.iter().map(|lint| json!({ "code": lint.code.as_str(), "origin": lint.origin, "message": lint.message }));
    let json = json!({
        "version": 1, "command": "policy check", "exit": exit.number(), "findings": findings.collect::<Vec<_>>(),
    });
    Ok(Outcome { exit, output: text.into_bytes(), json })
}

/// For scripts that have to name the roots, so that nobody has to write them a second time.
fn roots(arguments: &PolicyRootsArguments, context: &Context) -> Result<Outcome, Failure> {
    let setup = Setup::load(&arguments.policy.policy, context)?;
    setup.policy.cache(&arguments.cache)?;
    let roots = setup.roots(&arguments.cache);
    let lines = roots.iter().flat_map(|placed| [placed.root.spelling.as_str(), "\n"]);
    let text: String = lines.collect();
    let listed =
        roots.iter().map(|placed| json!({ "root": placed.root.spelling, "path": placed.absolute.to_string_lossy() }));
    let json = json!({
        "version": 1, "command": "policy roots", "exit": 0, "cache": arguments.cache,
        "roots": listed.collect::<Vec<_>>(),
    });
    Ok(Outcome { exit: Exit::Ok, output: text.into_bytes(), json })
}
