//! The command line: the only room that knows arguments, environment, clock, randomness and terminal.
#![expect(clippy::disallowed_methods, reason = "this room is the edge to the outside")]

mod archive_arguments;
mod archive_input;
mod archived;
mod arguments;
mod common_arguments;
mod diff;
mod differences;
mod drill;
mod explain;
mod export;
mod guard;
mod guard_arguments;
mod init;
mod inspect;
mod interrupt;
mod judging;
mod key;
mod key_file;
mod outcome;
mod pack;
mod policy;
mod policy_arguments;
mod reports;
mod revoke;
mod seal;
mod sealed;
mod system;
mod unpack;
mod unwritable;
mod verify;
mod verify_archive;

use std::borrow::Cow;
use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Cli, Command};
use outcome::Outcome;
use reports::error_report;

use crate::base::{Code, Exit};
use crate::checkout::{Context, Failure};
use crate::identity::{Shown, redact};
use crate::report::{ErrorReport, FORMATS, Format, json_line};

/// Runs the program. The exit status is fixed before anything is written, so a closed pipe does not change it.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return no_command(&error),
    };
    system::raise_open_file_limit();
    let name = cli.command.name();
    let report = if cli.command.takes_stdout() { system::to_stderr } else { system::to_stdout };
    let exit = match dispatch(cli.command, &Context::of_process(), cli.format) {
        Ok(outcome) => finish(outcome, cli.format.is_json(), report),
        Err(failure) => {
            // The verdict stands whether or not anyone listens.
            let _ = if cli.format.is_json() {
                report(&redact(&(cli.format.error)(&error_report(&failure, name, "", "")), Shown::Message))
            } else {
                system::to_stderr(&redact(failure.text().as_bytes(), Shown::Message))
            };
            failure.code.exit()
        }
    };
    ExitCode::from(exit.number())
}

/// Shows an outcome. Reports hold no key; what a command was run for goes out as it is, and has to arrive.
fn finish(outcome: Outcome, is_json: bool, report: fn(&[u8]) -> io::Result<()>) -> Exit {
    let Outcome { exit, output, json, product } = outcome;
    // Only `verify` gets this far with a form of its own, and its output is in that form then.
    let bytes = if is_json { json_line(&json) } else { output };
    let Some(undo) = product else {
        let _ = report(&redact(&bytes, Shown::Report));
        return exit;
    };
    let Err(error) = report(&bytes) else { return exit };
    undo();
    let failure = Failure::new(Code::Unwritable, format!("could not write to standard output: {error}"));
    let _ = system::to_stderr(failure.hint("nothing was kept: run it again").text().as_bytes());
    Code::Unwritable.exit()
}

/// Help and version go to stdout with 0, mistakes to stderr with 2; as JSON, if that is what was asked for.
fn no_command(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.number());
    if error.use_stderr() && asks_for_json() {
        let text = error.to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        let report = ErrorReport { command: "cacheseal", cache: "", gate: "", code: Code::Usage, message, hints: &[] };
        if let Some(json) = Format::named("json", FORMATS) {
            let _ = system::to_stdout(&redact(&(json.error)(&report), Shown::Message));
        }
    } else {
        let text = error.to_string();
        // With its colours, unless there is something to hide.
        let _ = match redact(text.as_bytes(), Shown::Message) {
            Cow::Borrowed(_) => error.print(),
            Cow::Owned(text) => system::to_stderr(&text),
        };
    }
    ExitCode::from(code)
}

/// Whether `--format json` is among arguments that could not be parsed.
fn asks_for_json() -> bool {
    let arguments: Vec<_> = std::env::args_os().collect();
    arguments.iter().any(|one| one == "--format=json")
        || arguments.windows(2).any(|pair| matches!(pair, [name, value] if name == "--format" && value == "json"))
}

fn dispatch(command: Command, context: &Context, format: &'static Format) -> Result<Outcome, Failure> {
    if !["text", "json"].contains(&format.name) && !matches!(command, Command::Verify(_)) {
        let message = format!("expected `--format {}` for `verify` alone", format.name);
        return Err(Failure::new(Code::Usage, message).hint("say `text` or `json`"));
    }
    match command {
        Command::Init(arguments) => init::run(&arguments, context),
        Command::Key(command) => key::run(&command, context),
        Command::Seal(arguments) => seal::run(&arguments, context),
        Command::Verify(arguments) => verify::run(&arguments, context, format),
        Command::Guard(command) => guard::run(&command, context, format),
        Command::Pack(arguments) => pack::run(&arguments, context),
        Command::Unpack(arguments) => unpack::run(&arguments, context),
        Command::Inspect(arguments) => inspect::run(&arguments, context),
        Command::Diff(arguments) => diff::run(&arguments, context),
        Command::Export(arguments) => export::run(&arguments, &context.limits),
        Command::Policy(command) => policy::run(&command, context),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Drill(arguments) => drill::run(&arguments, context),
    }
}
