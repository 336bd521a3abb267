//! The command line: the only room that knows arguments, environment, clock, randomness and terminal.
#![expect(clippy::disallowed_methods, reason = "this room is the edge to the outside")]

mod arguments;
mod context;
mod diff;
mod drill;
mod export;
mod failure;
mod init;
mod inspect;
mod key;
mod key_file;
mod outcome;
mod policy;
mod revoke;
mod seal;
mod sealed;
mod setup;
mod unwritable;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;
use serde_json::Value;

use arguments::{Cli, Command, Format};
use context::Context;
use failure::Failure;
use outcome::Outcome;

use crate::base::Exit;
use crate::report::error_json;

/// Runs the program. The exit status is fixed before anything is written, so a closed pipe does not change it.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with 0, mistakes to stderr with 2.
            let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.number());
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let name = cli.command.name();
    let (exit, shown) = match dispatch(cli.command, &Context::of_process()) {
        Ok(outcome) => (outcome.exit, Shown::Outcome(outcome)),
        Err(failure) => (failure.code.exit(), Shown::Failure(failure)),
    };
    match (shown, cli.format) {
        (Shown::Outcome(outcome), Format::Text) => context::to_stdout(&outcome.output),
        (Shown::Outcome(outcome), Format::Json) => context::to_stdout(&json_line(&outcome.json)),
        (Shown::Failure(failure), Format::Text) => context::to_stderr(&failure.text()),
        (Shown::Failure(failure), Format::Json) => {
            let value = error_json(name, failure.code, exit, &failure.message, &failure.hints);
            context::to_stdout(&json_line(&value));
        }
    }
    ExitCode::from(exit.number())
}

enum Shown {
    Outcome(Outcome),
    Failure(Failure),
}

fn json_line(value: &Value) -> Vec<u8> {
    let mut text = value.to_string().into_bytes();
    text.push(b'\n');
    text
}

fn dispatch(command: Command, context: &Context) -> Result<Outcome, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, context),
        Command::Key(command) => key::run(&command, context),
        Command::Seal(arguments) => seal::run(&arguments, context),
        Command::Verify(arguments) => verify::run(&arguments, context),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Policy(command) => policy::run(&command, context),
        Command::Drill(arguments) => drill::run(&arguments, context),
    }
}
