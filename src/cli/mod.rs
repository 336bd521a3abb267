//! The command line: the only room that knows arguments, environment, clock, randomness and terminal.
#![expect(clippy::disallowed_methods, reason = "this room is the edge to the outside")]

mod archive_input;
mod archived;
mod arguments;
mod context;
mod diff;
mod drill;
mod export;
mod failure;
mod init;
mod inspect;
mod interrupt;
mod key;
mod key_file;
mod outcome;
mod pack;
mod policy;
mod revoke;
mod seal;
mod sealed;
mod setup;
mod unpack;
mod unwritable;
mod verify;
mod verify_archive;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use serde_json::Value;

use arguments::{Cli, Command, Format};
use context::Context;
use failure::Failure;
use outcome::Outcome;

use crate::base::{Code, Exit};
use crate::report::error_json;

/// Runs the program. The exit status is fixed before anything is written, so a closed pipe does not change it.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return no_command(&error),
    };
    let name = cli.command.name();
    let report: fn(&[u8]) = if cli.command.takes_stdout() { context::to_stderr } else { context::to_stdout };
    let (exit, shown) = match dispatch(cli.command, &Context::of_process()) {
        Ok(outcome) => (outcome.exit, Shown::Outcome(outcome)),
        Err(failure) => (failure.code.exit(), Shown::Failure(failure)),
    };
    match (shown, cli.format) {
        (Shown::Outcome(outcome), Format::Text) => report(&outcome.output),
        (Shown::Outcome(outcome), Format::Json) => report(&json_line(&outcome.json)),
        (Shown::Failure(failure), Format::Text) => context::to_stderr(failure.text().as_bytes()),
        (Shown::Failure(failure), Format::Json) => {
            let value = error_json(name, failure.code, exit, &failure.message, &failure.hints);
            report(&json_line(&value));
        }
    }
    ExitCode::from(exit.number())
}

/// Help and version go to stdout with 0, mistakes to stderr with 2; as JSON, if that is what was asked for.
fn no_command(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.number());
    if error.use_stderr() && asks_for_json() {
        let text = error.to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        context::to_stdout(&json_line(&error_json("cacheseal", Code::Usage, Exit::Usage, message, &[])));
    } else {
        let _ = error.print();
    }
    ExitCode::from(code)
}

/// Whether `--format json` is among arguments that could not be parsed.
fn asks_for_json() -> bool {
    let arguments: Vec<_> = std::env::args_os().collect();
    arguments.iter().any(|one| one == "--format=json")
        || arguments.windows(2).any(|pair| matches!(pair, [name, value] if name == "--format" && value == "json"))
}

enum Shown {
    Outcome(Outcome),
    Failure(Failure),
}

/// One line of printable ASCII. Much that JSON lets stand as it is could still move a cursor or reorder text.
fn json_line(value: &Value) -> Vec<u8> {
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

fn dispatch(command: Command, context: &Context) -> Result<Outcome, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, context),
        Command::Key(command) => key::run(&command, context),
        Command::Seal(arguments) => seal::run(&arguments, context),
        Command::Verify(arguments) => verify::run(&arguments, context),
        Command::Pack(arguments) => pack::run(&arguments, context),
        Command::Unpack(arguments) => unpack::run(&arguments, context),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Policy(command) => policy::run(&command, context),
        Command::Drill(arguments) => drill::run(&arguments, context),
    }
}
