//! Answering: one line of JSON in, one out. While an answer is worked on, empty lines say that the guard lives.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde_json::Value;

use super::passed::{Incoming, Passed};
use super::socket::{Listener, set_patience};

/// Longest question. The largest carries lists of revocations.
const QUESTION_BYTES_MAX: u64 = 64 << 20;

/// How long somebody who connects may take to ask.
const QUESTION_WAIT: Duration = Duration::from_secs(10);

/// Most that ask at the same time. An honest job has one or two.
const CONNECTIONS_MAX: usize = 16;

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// Its time was over.
    LifetimeOver,
}

/// How time goes for a guard.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After this time since it began, it ends by itself.
    pub lifetime: Duration,
    /// How often it gives a sign of life while it works on an answer.
    pub heartbeat: Duration,
}

/// Answers questions until `answer` says to stop (the second of what it gives back), or until `elapsed`, the time
/// since the guard began, reaches its lifetime.
pub fn serve(
    listener: Listener,
    pace: Pace,
    elapsed: &dyn Fn() -> Duration,
    answer: &(dyn Fn(&Value, Passed) -> (Value, bool) + Sync),
) -> io::Result<Ended> {
    let (woken, waker) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
    let room = Room { answer, heartbeat: pace.heartbeat, waker, open: AtomicUsize::new(0), last: Mutex::new(None) };
    let ended = std::thread::scope(|scope| {
        loop {
            let Some(left) = pace.lifetime.checked_sub(elapsed()).filter(|left| !left.is_zero()) else {
                return Ok(Ended::LifetimeOver);
            };
            let watched = [Some(listener.fd()), Some(woken.as_fd()), listener.witness()].into_iter().flatten();
            let mut waiting: Vec<_> = watched.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut waiting, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(errno.into()),
            }
            let calls = |at: usize| waiting.get(at).is_some_and(|fd: &PollFd<'_>| !fd.revents().is_empty());
            if calls(1) {
                return Ok(Ended::Stopped);
            }
            if calls(2) {
                return Err(io::Error::other("its witness was ended"));
            }
            if !calls(0) {
                continue;
            }
            if let Some(connection) = listener.accept()? {
                // Where the system gives no thread, the connection is closed, and the other side refuses.
                let _ = Builder::new().spawn_scoped(scope, || room.converse(connection));
            }
        }
    });
    // In this order: who waits for the end of the guard finds its name free.
    drop(listener);
    drop(room);
    ended
}

struct Room<'a> {
    answer: &'a (dyn Fn(&Value, Passed) -> (Value, bool) + Sync),
    heartbeat: Duration,
    waker: OwnedFd,
    open: AtomicUsize,
    /// The connection that asked for the end, kept open until then.
    last: Mutex<Option<File>>,
}

impl Room<'_> {
    fn converse(&self, connection: OwnedFd) {
        if self.open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS_MAX {
            // Whoever asked and went away is no concern of the guard.
            let _ = self.question(connection);
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn question(&self, connection: OwnedFd) -> io::Result<()> {
        set_patience(connection.as_fd(), QUESTION_WAIT)?;
        let mut connection = File::from(connection);
        let mut line = Vec::new();
        let mut incoming = Incoming::new(connection.as_fd());
        BufReader::new(&mut incoming).take(QUESTION_BYTES_MAX).read_until(b'\n', &mut line)?;
        let passed = incoming.into_passed();
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let question: Value = serde_json::from_slice(&line)?;
        let (answer, stop) = self.work(&question, passed, &mut connection)?;
        let mut line = answer.to_string().into_bytes();
        line.push(b'\n');
        let told = connection.write_all(&line);
        if stop {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            rustix::io::write(&self.waker, b".")?;
        }
        told
    }

    /// Has the question answered on a thread of its own, and gives signs of life meanwhile. A panic there leaves the
    /// question without an answer, which the other side takes as a refusal.
    fn work(&self, question: &Value, passed: Passed, connection: &mut File) -> io::Result<(Value, bool)> {
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let worker = Builder::new().spawn_scoped(scope, move || {
                let _ = sender.send((self.answer)(question, passed));
            })?;
            let mut answer = receiver.recv_timeout(self.heartbeat);
            while let Err(RecvTimeoutError::Timeout) = answer {
                // What was begun is brought to its end, whoever listens.
                let _ = connection.write_all(b"\n");
                answer = receiver.recv_timeout(self.heartbeat);
            }
            let _ = worker.join();
            answer.map_err(|_| io::Error::other("the question could not be answered"))
        })
    }
}
