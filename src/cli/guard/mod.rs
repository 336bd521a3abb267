//! `guard`, and what `verify` and `seal` ask of one.

mod asking;
mod duty;
mod environment;
mod failure_file;
mod process;
mod recheck;
mod start;

pub(super) use asking::{ask_for_base, ask_to_verify, note_seal};
pub(super) use start::unknown_root;

use super::arguments::GuardCommand;
use super::outcome::Outcome;
use crate::checkout::{Context, Failure};
use crate::report::Format;

pub(super) fn run(command: &GuardCommand, context: &Context, format: &Format) -> Result<Outcome, Failure> {
    match command {
        GuardCommand::Start(arguments) => start::run(arguments, context, format),
        GuardCommand::Wait(arguments) => asking::wait(arguments, context),
        GuardCommand::Check(arguments) => asking::check(arguments),
        GuardCommand::Recheck(arguments) => asking::recheck(arguments),
        GuardCommand::Stop(arguments) => asking::stop(arguments),
        GuardCommand::Witness => process::witness(),
    }
}
