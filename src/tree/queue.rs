//! What a walk has still to do, shared by its threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::split::Split;

/// Jobs that wait, and large files of which parts may be taken.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    ready: Condvar,
    /// Whether there are threads that wait and no jobs for them.
    short: AtomicBool,
    stopped: AtomicBool,
    /// Threads that were started, and how many may be.
    threads: AtomicUsize,
    threads_max: usize,
}

struct State<J> {
    /// Last in, first out: the walk stays deep, so few handles are open at a time.
    waiting: Vec<J>,
    /// Large files of which parts may still be taken.
    splits: Vec<Arc<Split>>,
    busy: usize,
    /// Threads that wait: to wake one is a system call, whether or not there is any.
    idle: usize,
}

/// What a thread does next.
pub(super) enum Next<'q, J> {
    Visit(J, Busy<'q, J>),
    Help(Arc<Split>),
}

impl<J> Queue<J> {
    /// A queue with one job, for the thread that makes it and at most `threads_max` in all.
    pub(super) fn new(first: J, threads_max: usize) -> Self {
        Self {
            state: Mutex::new(State { waiting: vec![first], splits: Vec::new(), busy: 0, idle: 0 }),
            ready: Condvar::new(),
            short: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            threads: AtomicUsize::new(1),
            threads_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do next, or `None` when there is nothing and no thread can still add anything.
    pub(super) fn next(&self) -> Option<Next<'_, J>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop() {
                state.busy += 1;
                self.note_whether_short(&state);
                return Some(Next::Visit(job, Busy(self)));
            }
            if let Some(split) = state.splits.last() {
                return Some(Next::Help(Arc::clone(split)));
            }
            if state.busy == 0 {
                return None;
            }
            state.idle += 1;
            self.note_whether_short(&state);
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            self.note_whether_short(&state);
        }
    }

    pub(super) fn push(&self, jobs: impl Iterator<Item = J>) {
        let mut jobs = jobs.peekable();
        if jobs.peek().is_none() {
            return;
        }
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.extend(jobs);
        self.note_whether_short(&state);
        for _ in 0..state.idle.min(state.waiting.len() - before) {
            self.ready.notify_one();
        }
    }

    fn note_whether_short(&self, state: &State<J>) {
        self.short.store(state.idle > state.waiting.len(), Ordering::Relaxed);
    }

    /// Whether one more job would be taken at once. To ask is cheap; the answer may be a moment old.
    pub(super) fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    pub(super) fn call_for_help(&self, split: &Arc<Split>) {
        self.lock().splits.push(Arc::clone(split));
        self.ready.notify_all();
    }

    pub(super) fn all_taken(&self, split: &Arc<Split>) {
        self.lock().splits.retain(|waiting| !Arc::ptr_eq(waiting, split));
    }

    /// Whether there may be one more thread.
    pub(super) fn may_grow(&self) -> bool {
        self.threads.load(Ordering::Relaxed) < self.threads_max
    }

    /// Counts one more thread, if there may be one.
    pub(super) fn grow(&self) -> bool {
        let one_more = |count| (count < self.threads_max).then_some(count + 1);
        self.threads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Has all jobs passed over from now on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Held while a job is done; a thread that panics gives it back too, so the others still end.
pub(super) struct Busy<'a, J>(&'a Queue<J>);

impl<J> Drop for Busy<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy -= 1;
        if state.busy == 0 && state.waiting.is_empty() {
            self.0.ready.notify_all();
        }
    }
}
