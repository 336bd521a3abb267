//! Asking a guard, and being sure that it is one.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use serde_json::Value;

use super::passed::send_with;
use super::socket::{SocketName, check_peer};
use crate::base::plural;

/// Longest answer: a report with all its refusals.
const ANSWER_BYTES_MAX: u64 = 512 << 20;

/// Most signs of life for one answer, one every five seconds: an hour. Who needs longer has stopped.
const SIGNS_MAX: u32 = 720;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Silence {
    /// Nobody has the name.
    #[error("nobody answers")]
    Nobody,
    /// Somebody has it and does not answer.
    #[error("{0}")]
    Gone(String),
    /// Somebody answers who is not a guard of ours.
    #[error("{0}")]
    Replaced(String),
}

/// Asks whoever has the name, after making sure that it is this program, run by `user`. Waits at most `patience` for
/// each sign of life. With `until_end`, waits after the answer until the other side has gone.
pub fn ask(
    name: &SocketName,
    user: u32,
    question: &Value,
    patience: Duration,
    until_end: bool,
) -> Result<Value, Silence> {
    ask_with(name, user, question, None, patience, until_end)
}

/// The same, with a descriptor that the other side may write to.
pub fn ask_with(
    name: &SocketName,
    user: u32,
    question: &Value,
    descriptor: Option<BorrowedFd<'_>>,
    patience: Duration,
    until_end: bool,
) -> Result<Value, Silence> {
    let connection = match name.connect(patience) {
        Ok(connection) => connection,
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            return Err(Silence::Nobody);
        }
        Err(error) => return Err(Silence::Gone(format!("the connection failed: {error}"))),
    };
    check_peer(connection.as_fd(), user).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Silence::Gone(error.to_string()),
        _ => Silence::Replaced(error.to_string()),
    })?;
    let mut line = question.to_string().into_bytes();
    line.push(b'\n');
    let mut connection = File::from(connection);
    let sent = match descriptor {
        Some(descriptor) => {
            send_with(connection.as_fd(), &line, descriptor).map_err(|error| silent(&error, patience))?
        }
        None => 0,
    };
    connection.write_all(line.get(sent..).unwrap_or_default()).map_err(|error| silent(&error, patience))?;
    let mut answers = BufReader::new(connection).take(ANSWER_BYTES_MAX);
    for _ in 0..SIGNS_MAX {
        let mut line = Vec::new();
        answers.read_until(b'\n', &mut line).map_err(|error| silent(&error, patience))?;
        match line.pop() {
            None => return Err(Silence::Gone("it closed the connection without an answer".to_owned())),
            Some(b'\n') if line.is_empty() => {}
            Some(b'\n') => {
                let answer = serde_json::from_slice(&line);
                let answer = answer.map_err(|_| Silence::Replaced("a process that does not speak JSON".to_owned()))?;
                if until_end {
                    // Data or a time-out instead of the end change nothing: the answer is there.
                    let _ = answers.read_until(b'\n', &mut line);
                }
                return Ok(answer);
            }
            Some(_) => return Err(Silence::Replaced("a process that does not end its answer".to_owned())),
        }
    }
    Err(Silence::Gone("an hour of signs of life without an answer".to_owned()))
}

fn silent(error: &io::Error, patience: Duration) -> Silence {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Silence::Gone(format!("no sign of life for {}", plural(patience.as_secs(), "second", "seconds")))
        }
        _ => Silence::Gone(format!("the connection broke: {error}")),
    }
}
