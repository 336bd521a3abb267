//! Reports in files, beside the one on stdout.

use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use super::system::ways;
use crate::base::Exit;
use crate::checkout::{Context, Failure, shown};
use crate::identity::{Shown, redact};
use crate::report::{ErrorReport, Format, VerifyReport};
use crate::tree::Ways;

/// The files that `verify` is to write, and what says where links are followed on the way to them.
pub(super) struct Reports<'a> {
    pub(super) files: &'a [(&'static Format, PathBuf)],
    pub(super) policy: &'a Path,
    pub(super) context: &'a Context,
}

/// Writes the files and gives what is left to show. The verdict is what it is: a report that could not be written is
/// told, and takes the place of a success only.
pub(super) fn finish(mut report: VerifyReport, format: &Format, reports: &Reports<'_>) -> Outcome {
    settle(&mut report);
    report.unwritten.extend(write_all(reports, |form| (form.render)(&report)));
    settle(&mut report);
    // In JSON it is shown from the value.
    let output = if format.is_json() { Vec::new() } else { (format.render)(&report) };
    Outcome { output, ..Outcome::of(report.exit, String::new(), &report) }
}

/// An error as a report of a command.
pub(super) fn error_report<'a>(
    failure: &'a Failure,
    command: &'a str,
    cache: &'a str,
    gate: &'a str,
) -> ErrorReport<'a> {
    let Failure { code, message, hints } = failure;
    ErrorReport { command, cache, gate, code: *code, message, hints }
}

/// Has a success end as what was not written.
fn settle(report: &mut VerifyReport) {
    if !report.unwritten.is_empty() && report.exit == Exit::Ok {
        report.exit = Exit::Io;
    }
}

/// Writes the files for an error that ended `verify` before any verdict.
pub(super) fn fail(failure: Failure, cache: &str, gate: &str, reports: &Reports<'_>) -> Failure {
    let unwritten = write_all(reports, |form| (form.error)(&error_report(&failure, "verify", cache, gate)));
    unwritten.into_iter().fold(failure, Failure::hint)
}

/// Gives back what could not be written, in words.
fn write_all(reports: &Reports<'_>, bytes: impl Fn(&Format) -> Vec<u8>) -> Vec<String> {
    if reports.files.is_empty() {
        return Vec::new();
    }
    let ways = ways(reports.context, reports.policy);
    let failed = |(format, path): &(&Format, PathBuf)| {
        let ways = ways.as_ref().map_err(ToString::to_string);
        let written = ways.and_then(|ways| {
            write(path, ways, &redact(&bytes(format), Shown::Report)).map_err(|error| error.to_string())
        });
        Some(format!("could not write the report {}: {}", shown(path), written.err()?))
    };
    reports.files.iter().filter_map(failed).collect()
}

/// Puts a file in place in one step: whoever reads it reads all of it.
fn write(path: &Path, ways: &Ways, bytes: &[u8]) -> std::io::Result<()> {
    let (directory, name) = ways.to(path)?;
    let name = name.to_str().ok_or_else(|| std::io::Error::other("expected a name that is text"))?;
    directory.replace_file(name, bytes)
}
