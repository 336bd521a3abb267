//! Reports in files, beside the one on stdout.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::arguments::Format;
use super::context::shown;
use super::failure::Failure;
use super::json_line::json_line;
use super::judging::in_form;
use super::outcome::Outcome;
use crate::base::{Code, Exit};
use crate::guard::Rendered;
use crate::report::{error_json, error_junit};
use crate::tree::Directory;

/// Writes the files and gives what is left to show. The verdict is what it is: a report that could not be written is
/// told, and takes the place of a success only.
pub(super) fn finish(mut rendered: Rendered, format: Format, reports: &[(Format, PathBuf)]) -> Outcome {
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
pub(super) fn fail(failure: Failure, cache: &str, gate: &str, reports: &[(Format, PathBuf)]) -> Failure {
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
fn write_all(reports: &[(Format, PathBuf)], bytes: impl Fn(Format) -> Vec<u8>) -> Vec<String> {
    let failed = |(format, path): &(Format, PathBuf)| {
        let error = write(path, &bytes(*format)).err()?;
        Some(format!("could not write the report {}: {error}", shown(path)))
    };
    reports.iter().filter_map(failed).collect()
}

/// Puts a file in place in one step: whoever reads it reads all of it.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| std::io::Error::other("expected the name of a file"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Directory::open(parent)?.replace_file(name, bytes)
}
