//! Signals that ask a command to end: it takes away what it began, then it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::failure::Failure;
use crate::base::Code;

/// A flag that is set when SIGINT, SIGTERM or SIGHUP comes. The second one ends the process at once, whatever it does.
pub(super) fn flag_of_signals() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let ignored = ignored();
    // What is ignored stays so: somebody said `nohup`, or started this in the background.
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0) {
        flag::register_conditional_default(signal, Arc::clone(&flag))
            .and_then(|_| flag::register(signal, Arc::clone(&flag)))
            .map_err(|error| Failure::new(Code::Internal, format!("could not watch for signals: {error}")))?;
    }
    Ok(flag)
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
