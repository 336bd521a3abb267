//! `--failure-file`: how a guard in a background step says why it did not start, to the step that waits for it.
//!
//! It is written before any restore, new, through no link; and read before any restore, or a restore could say what it
//! likes. What is there in another form is an error, and nothing that is there is ever a success.

use std::path::Path;

use super::super::system::ways;
use super::duty::failed;
use crate::base::Code;
use crate::checkout::{Context, Failure, shown};
use crate::guard::{Answer, of_wire, to_wire};
use crate::identity::{Shown, redact};
use crate::report::json_line;
use crate::tree::ReadError;

/// Longest one.
const BYTES_MAX: u64 = 64 << 10;

/// Leaves the failure at `path`, if nothing is there; what came of that is a hint of the failure.
pub(super) fn write(path: &Path, policy: &Path, context: &Context, failure: Failure) -> Failure {
    let line = json_line(&to_wire(&failed(failure.clone())));
    let line = redact(&line, Shown::Message);
    let written = ways(context, policy).and_then(|ways| ways.to(path)).and_then(|(directory, name)| {
        let name = name.to_str().ok_or_else(|| std::io::Error::other("expected a name that is text"))?;
        directory.create_file(name, true, &line)
    });
    match written {
        Ok(()) => failure,
        Err(error) => {
            failure.hint(format!("the step that waits is not told, since {} cannot be made: {error}", shown(path)))
        }
    }
}

/// The failure at `path`, if there is anything.
pub(super) fn read(path: &Path, policy: &Path, context: &Context) -> Option<Failure> {
    let read = match ways(context, policy).and_then(|ways| ways.to(path)) {
        Ok((directory, name)) => directory.read_file(name.as_encoded_bytes(), BYTES_MAX),
        Err(error) => Err(error.into()),
    };
    let strange = |found: String| {
        let message = format!("expected nothing at {}, or why a guard did not start; found {found}", shown(path));
        Failure::new(Code::Unreadable, message).hint("remove it before the guard starts, and run the job again")
    };
    match read {
        Ok(bytes) => {
            let answer = serde_json::from_slice(&bytes).ok().and_then(|line| of_wire(&line));
            let failure = understood(answer).err().flatten();
            let failure = failure.filter(|failure| !failure.text().contains(|c: char| c.is_control() && c != '\n'));
            Some(failure.unwrap_or_else(|| strange("something else".to_owned())))
        }
        Err(ReadError::Absent) => None,
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(strange(format!("that it {error}"))),
    }
}

/// The answer, or the failure that it is; `Err(None)` for what no guard says.
pub(super) fn understood(answer: Option<Answer>) -> Result<Answer, Option<Failure>> {
    match answer {
        Some(Answer::Failed { code, message, hints }) => {
            Err(Some(hints.into_iter().fold(Failure::new(code, message), Failure::hint)))
        }
        Some(answer) => Ok(answer),
        None => Err(None),
    }
}
