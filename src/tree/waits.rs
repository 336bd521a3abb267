//! Whether a thread has to wait for what it reads.
//!
//! The voluntary context switches of getrusage(2) tell. Unlike `preadv2` with `RWF_NOWAIT`, the kernel counts them for
//! every file system: tmpfs and overlayfs, which containers have, do not answer that call.

use std::ffi::c_long;

/// How often this thread had waited for something, such as a disk or a lock, when it began to read. `None` where the
/// system does not tell.
pub(super) struct Watch(Option<c_long>);

impl Watch {
    /// Now.
    pub(super) fn begin() -> Self {
        Self(waits())
    }

    /// Whether this thread has waited since, or nobody can tell.
    pub(super) fn may_have_waited(&self) -> bool {
        self.0.is_none() || self.0 != waits()
    }
}

#[cfg(target_os = "linux")]
fn waits() -> Option<c_long> {
    use nix::sys::resource::{UsageWho, getrusage};
    getrusage(UsageWho::RUSAGE_THREAD).ok().map(|usage| usage.voluntary_context_switches())
}

/// Others count for whole processes only.
#[cfg(not(target_os = "linux"))]
fn waits() -> Option<c_long> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_handed_things_one_by_one_waits_for_them() {
        const THINGS: usize = 10_000;
        let (give, take) = std::sync::mpsc::sync_channel(0);
        let taking = std::thread::spawn(move || {
            let watch = Watch::begin();
            (take.iter().count(), watch.may_have_waited())
        });
        (0..THINGS).for_each(|thing| give.send(thing).unwrap());
        drop(give);
        assert_eq!(taking.join().unwrap(), (THINGS, true));
    }

    #[test]
    fn a_thread_that_only_counts_does_not_wait() {
        let has_only_counted = |_| {
            let watch = Watch::begin();
            std::hint::black_box((0..1000).sum::<u64>());
            !watch.may_have_waited()
        };
        // Memory that other tests ask for may be waited for now and then.
        assert!((0..100).any(has_only_counted));
    }
}
