//! The parallel walk: threads over one stack of directories that wait. Each directory is opened from its
//! parent's handle, read by one thread, and its files are read by the same thread. What is large is shared: the
//! entries of a directory with many, and the bytes of a file with many. Else one thread would be the last for long.
//!
//! A walk that reads files begins with a thread for each processor: more only get in each other's way, unless they wait
//! for the disk. So a thread that comes upon a file that is not in memory calls one more.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};

use rustix::io::Errno;

use super::Options;
use super::handle::open_directory;
use super::names::Names;
use super::read::{BUFFER_BYTES, OpenFile, ReadError};
use super::split::Split;
use crate::base::{Algorithm, Buffer, Digest};

/// The way from the root to a directory, shared by all that lies below it.
#[derive(Debug)]
pub(super) struct Trail {
    above: Option<Arc<Self>>,
    name: Vec<u8>,
    pub(super) depth: usize,
    /// Length of the path with a slash after it, in bytes.
    path_len: usize,
}

impl Trail {
    fn root() -> Arc<Self> {
        Arc::new(Self { above: None, name: Vec::new(), depth: 0, path_len: 0 })
    }

    fn below(above: &Arc<Self>, name: &[u8]) -> Arc<Self> {
        let (depth, path_len) = (above.depth + 1, above.path_len + name.len() + 1);
        Arc::new(Self { above: Some(Arc::clone(above)), name: name.to_vec(), depth, path_len })
    }

    /// Length of the path of `name` in this directory, in bytes.
    pub(super) fn path_len(&self, name: &[u8]) -> usize {
        self.path_len + name.len()
    }

    /// The path below the root of `name` in this directory; of the directory itself if `name` is empty.
    pub(super) fn path(&self, name: &[u8]) -> Vec<u8> {
        let mut names = vec![name];
        let mut trail = self;
        while let Some(above) = &trail.above {
            names.push(&trail.name);
            trail = above;
        }
        names.reverse();
        if name.is_empty() {
            names.pop();
        }
        names.join(&b'/')
    }
}

/// What is done with each directory.
pub(super) trait Visit: Sync {
    /// What travels from a directory to those in it.
    type Place: Send + Sync;
    /// What each thread gathers.
    type Found: Send + Default;

    /// A directory was opened and its names read. Whether [`Visit::entries`] is to follow.
    fn directory(
        &self,
        at: &At<'_, Self::Place>,
        names: &mut Names,
        worker: &mut Worker<'_, Self::Place, Self::Found>,
    ) -> bool;

    /// The entries of the directory whose names have the indices `range`: all of them, or those that this thread takes.
    fn entries(
        &self,
        _at: &At<'_, Self::Place>,
        _names: &Names,
        _range: Range<usize>,
        _worker: &mut Worker<'_, Self::Place, Self::Found>,
    ) {
    }

    /// A directory that should be there could not be opened or read.
    fn obstacle(&self, trail: &Trail, place: Self::Place, errno: Errno, found: &mut Self::Found);
}

/// Entries of a directory that one thread takes at once.
const SHARE: usize = 512;
/// Of so many files, a thread asks of one whether it is in memory. The first that it reads is one of them.
const FILES_UNSEEN: usize = 64;

/// The directory that is being visited.
pub(super) struct At<'a, P> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) trail: &'a Arc<Trail>,
    pub(super) place: &'a P,
}

/// How many threads walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crew {
    first: usize,
    most: usize,
}

impl Crew {
    /// All threads at once, for a walk that reads no file.
    pub(super) fn whole(options: &Options<'_>) -> Self {
        Self { first: options.threads, most: options.threads }
    }

    /// As many as are of use while files come from memory, and more when they do not.
    pub(super) fn growing(options: &Options<'_>) -> Self {
        Self { first: options.threads.min(options.processors), most: options.threads }
    }
}

/// What a thread has for itself.
pub(super) struct Worker<'q, P, F> {
    buffer: Buffer,
    queue: &'q Queue<P>,
    /// Starts one more thread, if there may be more.
    call_thread: &'q dyn Fn(),
    /// Files read so far.
    files: usize,
    pub(super) found: F,
    /// Directories to visit next: name and place.
    children: Vec<(Vec<u8>, P)>,
    stop: bool,
}

impl<P, F> Worker<'_, P, F> {
    /// The digest of a file's bytes.
    pub(super) fn digest(&mut self, file: OpenFile, algorithm: Algorithm) -> Result<Digest, ReadError> {
        if self.files.is_multiple_of(FILES_UNSEEN) && self.queue.may_grow() && file.is_cold() {
            (self.call_thread)();
        }
        self.files = self.files.wrapping_add(1);
        let Some(parts) = Split::parts(file.size(), algorithm) else {
            return file.digest(algorithm, &mut self.buffer);
        };
        let split = Arc::new(Split::new(file, parts));
        self.queue.call_for_help(&split);
        split.work(&mut self.buffer);
        self.queue.all_taken(&split);
        split.finish()
    }

    /// Has the directory `name` in the current one visited later.
    pub(super) fn enter(&mut self, name: &[u8], place: P) {
        self.children.push((name.to_vec(), place));
    }

    /// Ends the walk: what it finds no longer matters.
    pub(super) fn stop(&mut self) {
        self.stop = true;
    }
}

enum Job<P> {
    /// A directory, not yet opened.
    Directory { source: Source, trail: Arc<Trail>, place: P },
    /// A share of a large one.
    Share(Arc<Large<P>>, Range<usize>),
}

enum Source {
    Open(OwnedFd),
    In(Arc<OwnedFd>),
}

/// A directory with many entries.
struct Large<P> {
    fd: Arc<OwnedFd>,
    trail: Arc<Trail>,
    place: P,
    names: Names,
}

struct Queue<P> {
    state: Mutex<State<P>>,
    ready: Condvar,
    stopped: AtomicBool,
    /// Threads that were started, and how many may be.
    threads: AtomicUsize,
    threads_max: usize,
}

struct State<P> {
    /// Last in, first out: the walk stays deep, so few handles are open at a time.
    waiting: Vec<Job<P>>,
    /// Large files of which parts may still be taken.
    splits: Vec<Arc<Split>>,
    busy: usize,
    /// Threads that wait: to wake one is a system call, whether or not there is any.
    idle: usize,
}

/// What a thread does next.
enum Next<'q, P> {
    Visit(Job<P>, Busy<'q, P>),
    Help(Arc<Split>),
}

impl<P> Queue<P> {
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do next, or `None` when there is nothing and no thread can still add anything.
    fn next(&self) -> Option<Next<'_, P>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop() {
                state.busy += 1;
                return Some(Next::Visit(job, Busy(self)));
            }
            if let Some(split) = state.splits.last() {
                return Some(Next::Help(Arc::clone(split)));
            }
            if state.busy == 0 {
                return None;
            }
            state.idle += 1;
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Whether there may be one more thread.
    fn may_grow(&self) -> bool {
        self.threads.load(Ordering::Relaxed) < self.threads_max
    }

    fn push(&self, jobs: impl Iterator<Item = Job<P>>) {
        let mut jobs = jobs.peekable();
        if jobs.peek().is_none() {
            return;
        }
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.extend(jobs);
        for _ in 0..state.idle.min(state.waiting.len() - before) {
            self.ready.notify_one();
        }
    }

    fn call_for_help(&self, split: &Arc<Split>) {
        self.lock().splits.push(Arc::clone(split));
        self.ready.notify_all();
    }

    fn all_taken(&self, split: &Arc<Split>) {
        self.lock().splits.retain(|waiting| !Arc::ptr_eq(waiting, split));
    }
}

/// Held while a directory is visited; a thread that panics gives it back too, so the others still end.
struct Busy<'a, P>(&'a Queue<P>);

impl<P> Drop for Busy<'_, P> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy -= 1;
        if state.busy == 0 && state.waiting.is_empty() {
            self.0.ready.notify_all();
        }
    }
}

/// Visits every directory below `root` and gives back what each thread found.
pub(super) fn walk<V: Visit>(visit: &V, root: OwnedFd, place: V::Place, crew: Crew) -> Vec<V::Found> {
    let first = Job::Directory { source: Source::Open(root), trail: Trail::root(), place };
    let queue = Queue {
        state: Mutex::new(State { waiting: vec![first], splits: Vec::new(), busy: 0, idle: 0 }),
        ready: Condvar::new(),
        stopped: AtomicBool::new(false),
        threads: AtomicUsize::new(1),
        threads_max: crew.most,
    };
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let site = Site { scope, visit, queue: &queue, found: &found };
        for _ in 1..crew.first {
            site.call_thread();
        }
        site.work();
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// All that a thread needs to take part in a walk.
struct Site<'scope, 'env, V: Visit> {
    scope: &'scope Scope<'scope, 'env>,
    visit: &'env V,
    queue: &'env Queue<V::Place>,
    found: &'env Mutex<Vec<V::Found>>,
}

impl<V: Visit> Clone for Site<'_, '_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: Visit> Copy for Site<'_, '_, V> {}

impl<V: Visit> Site<'_, '_, V> {
    /// Starts one more thread, if there may be more. Where the system gives none, those that run do all the work.
    fn call_thread(self) {
        let Queue { threads, threads_max, .. } = self.queue;
        let one_more = |count| (count < *threads_max).then_some(count + 1);
        if threads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok() {
            let _ = Builder::new().spawn_scoped(self.scope, move || self.work());
        }
    }

    fn work(self) {
        let Self { visit, queue, .. } = self;
        let mut worker = Worker {
            buffer: Buffer::new(BUFFER_BYTES),
            queue,
            call_thread: &|| self.call_thread(),
            files: 0,
            found: V::Found::default(),
            children: Vec::new(),
            stop: false,
        };
        let mut names = Names::default();
        while let Some(next) = queue.next() {
            match next {
                Next::Help(split) => {
                    split.work(&mut worker.buffer);
                    queue.all_taken(&split);
                }
                Next::Visit(job, busy) => {
                    if !queue.stopped.load(Ordering::Relaxed) {
                        visit_one(visit, job, &mut names, &mut worker);
                    }
                    if worker.stop {
                        queue.stopped.store(true, Ordering::Relaxed);
                    }
                    drop(busy);
                }
            }
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(worker.found);
    }
}

fn visit_one<V: Visit>(visit: &V, job: Job<V::Place>, names: &mut Names, worker: &mut Worker<'_, V::Place, V::Found>) {
    match job {
        Job::Share(large, range) => share(visit, &large, range, worker),
        Job::Directory { source, trail, place } => {
            let opened = match source {
                Source::Open(fd) => Ok(fd),
                Source::In(parent) => open_directory(parent.as_fd(), &trail.name),
            };
            match opened.and_then(|fd| names.read(fd.as_fd()).map(|()| fd)) {
                Ok(fd) => directory(visit, fd, trail, place, names, worker),
                Err(errno) => visit.obstacle(&trail, place, errno, &mut worker.found),
            }
        }
    }
}

fn directory<V: Visit>(
    visit: &V,
    fd: OwnedFd,
    trail: Arc<Trail>,
    place: V::Place,
    names: &mut Names,
    worker: &mut Worker<'_, V::Place, V::Found>,
) {
    let at = At { fd: fd.as_fd(), trail: &trail, place: &place };
    let goes_on = visit.directory(&at, names, worker);
    if goes_on && names.len() > SHARE {
        let large = Arc::new(Large { fd: Arc::new(fd), trail, place, names: names.take() });
        worker.queue.push((SHARE..large.names.len()).step_by(SHARE).map(|start| {
            let end = (start + SHARE).min(large.names.len());
            Job::Share(Arc::clone(&large), start..end)
        }));
        share(visit, &large, 0..SHARE, worker);
    } else {
        if goes_on {
            visit.entries(&at, names, 0..names.len(), worker);
        }
        if !worker.children.is_empty() {
            push_children(worker, &Arc::new(fd), &trail);
        }
    }
}

fn share<V: Visit>(
    visit: &V,
    large: &Large<V::Place>,
    range: Range<usize>,
    worker: &mut Worker<'_, V::Place, V::Found>,
) {
    let at = At { fd: large.fd.as_fd(), trail: &large.trail, place: &large.place };
    visit.entries(&at, &large.names, range, worker);
    push_children(worker, &large.fd, &large.trail);
}

/// Has the directories that were met below `trail` visited.
fn push_children<P, F>(worker: &mut Worker<'_, P, F>, fd: &Arc<OwnedFd>, trail: &Arc<Trail>) {
    worker.queue.push(worker.children.drain(..).map(|(name, place)| {
        let trail = Trail::below(trail, &name);
        Job::Directory { source: Source::In(Arc::clone(fd)), trail, place }
    }));
}
