//! Reports in files, beside the one on stdout.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::arguments::Format;
use super::context::{Context, shown};
use super::failure::Failure;
use super::json_line::json_line;
use super::judging::in_form;
use super::outcome::Outcome;
use crate::base::{Code, Exit};
use crate::guard::Rendered;
use crate::report::{error_json, error_junit};
use crate::tree::Ways;

/// The files that `verify` is to write, and what says where links are followed on the way to them.
pub(super) struct Reports<'a> {
    pub(super) files: &'a [(Format, PathBuf)],
    pub(super) policy: &'a Path,
    pub(super) context: &'a Context,
}

/// Writes the files and gives what is left to show. The verdict is what it is: a report that could not be written is
/// told, and takes the place of a success only.
pub(super) fn finish(mut rendered: Rendered, format: Format, reports: &Reports<'_>) -> Outcome {
    let unwritten = write_all(reports, |form| in_form(&rendered, form));
    if !unwritten.is_empty() && rendered.exit == Exit::Ok {
        rendered.exit = Exit::Io;
        rendered.json["exit"] = Exit::Io.number().into();
    }
    for line in &unwritten {
        let _ = writeln!(rendered.text, "error[{}]: {line}", Code::Unwritable);
    }
    rendered.json["unwritten"] = unwritten.into();
    let output = if format == Format::Junit { rendered.junit.into_bytes() } else { rendered.text.into_bytes() };
    Outcome { exit: rendered.exit, output, json: rendered.json }
}

/// Writes the files for an error that ended `verify` before any verdict.
pub(super) fn fail(failure: Failure, cache: &str, gate: &str, reports: &Reports<'_>) -> Failure {
    let unwritten = write_all(reports, |form| match form {
        Format::Text => failure.text().into_bytes(),
        Format::Json => {
            let exit = failure.code.exit();
            json_line(&error_json("verify", failure.code, exit, &failure.message, &failure.hints))
        }
        Format::Junit => error_junit(cache, gate, failure.code, &failure.message).into_bytes(),
    });
    unwritten.into_iter().fold(failure, Failure::hint)
}

/// Gives back what could not be written, in words.
fn write_all(reports: &Reports<'_>, bytes: impl Fn(Format) -> Vec<u8>) -> Vec<String> {
    if reports.files.is_empty() {
        return Vec::new();
    }
    let ways = reports.context.ways(reports.policy);
    let failed = |(format, path): &(Format, PathBuf)| {
        let ways = ways.as_ref().map_err(ToString::to_string);
        let written = ways.and_then(|ways| write(path, ways, &bytes(*format)).map_err(|error| error.to_string()));
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
