//! Signals that ask a command to end: it takes away what it began, then it ends.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::base::Code;
use crate::checkout::Failure;

/// What SIGINT, SIGTERM and SIGHUP set.
pub(super) struct Interrupt {
    /// Set when one came.
    pub(super) flag: Arc<AtomicBool>,
    /// Has something to read when one came.
    wake: PipeReader,
}

impl Interrupt {
    /// Listens from now on. The second signal ends the process at once, whatever it does.
    pub(super) fn listen() -> Result<Self, Failure> {
        register().map_err(|error| Failure::new(Code::Unreadable, format!("could not watch for signals: {error}")))
    }

    /// Reads `file` until a signal comes: a pipe that nobody writes to would else be waited for to the end of days.
    pub(super) fn reader(&self, file: File) -> Result<impl Read + Send + use<>, Failure> {
        match self.wake.try_clone() {
            Ok(wake) => Ok(InterruptibleReader { file, wake }),
            Err(error) => Err(Failure::new(Code::Unreadable, error.to_string())),
        }
    }
}

fn register() -> io::Result<Interrupt> {
    let flag = Arc::new(AtomicBool::new(false));
    let (wake, waker) = io::pipe()?;
    let ignored = ignored();
    // What is ignored stays so: somebody said `nohup`, or started this in the background.
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0) {
        flag::register_conditional_default(signal, Arc::clone(&flag))?;
        flag::register(signal, Arc::clone(&flag))?;
        pipe::register_raw(signal, waker.try_clone()?.into())?;
    }
    Ok(Interrupt { flag, wake })
}

struct InterruptibleReader {
    file: File,
    wake: PipeReader,
}

impl Read for InterruptibleReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut ready = [PollFd::new(&self.wake, PollFlags::IN), PollFd::new(&self.file, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut ready, None))?;
        let [woken, _] = ready;
        if woken.revents().is_empty() { self.file.read(bytes) } else { Err(io::Error::other("interrupted")) }
    }
}

/// The signals that this process was started to ignore, a bit for each, the lowest for signal 1; none where the system
/// does not tell (proc(5)).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// What a command says that has ended for a signal.
pub(super) fn interruption() -> Failure {
    Failure::new(Code::Interrupted, "a signal ended this run; what it had begun is gone, and nothing else has changed")
        .hint("run it again")
}
