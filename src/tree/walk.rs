//! The parallel walk: threads over one stack of directories that wait. Each directory is opened from its
//! parent's handle, read by one thread, and its files are read by the same thread. When others have nothing to do, it
//! shares what it has left: the entries of the directory, and the bytes of a large file. Else it would be the last for
//! long.
//!
//! A walk that reads files begins with a thread for each processor: more only get in each other's way, unless they wait
//! for the disk. So a thread that had to wait for a file calls one more.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::Options;
use super::handle::open_directory;
use super::names::Names;
use super::queue::{Next, Queue};
use super::read::{BUFFER_BYTES, OpenFile, ReadError, open_file};
use super::split::Split;
use super::waits::Watch;
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

    /// The entries of the directory: all of them, or those that this thread takes.
    fn entries(
        &self,
        _at: &At<'_, Self::Place>,
        _portion: &mut Portion<'_, Self::Place>,
        _worker: &mut Worker<'_, Self::Place, Self::Found>,
    ) {
    }

    /// A directory that should be there could not be opened or read.
    fn obstacle(&self, trail: &Trail, place: Self::Place, errno: Errno, found: &mut Self::Found);
}

/// Entries of a directory that are worth the way to another thread.
const PORTION_MIN: usize = 8;
/// Of so many files, a thread looks at one whether it has to wait for it. The first that it reads is one of them.
const FILES_UNSEEN: usize = 64;

/// The directory that is being visited.
pub(super) struct At<'a, P> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) trail: &'a Arc<Trail>,
    pub(super) place: &'a P,
}

/// The entries of a directory that a thread has before it. Some may be taken by others while it goes through them.
pub(super) struct Portion<'a, P> {
    listed: &'a Arc<Listed<P>>,
    range: Range<usize>,
}

impl<'a, P> Portion<'a, P> {
    /// The names of the whole directory.
    pub(super) fn names(&self) -> &'a Names {
        &self.listed.names
    }

    /// The indices of what is left.
    pub(super) fn left(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The next entry, after giving away half of what is left if a thread waits for work.
    pub(super) fn next<F>(&mut self, worker: &Worker<'_, P, F>) -> Option<(&'a [u8], FileType)> {
        if self.range.len() >= 2 * PORTION_MIN && worker.queue.is_short() {
            let middle = self.range.start + self.range.len() / 2;
            let half = Job::Portion(Arc::clone(self.listed), middle..self.range.end);
            self.range.end = middle;
            worker.queue.push(std::iter::once(half));
        }
        self.names().get(self.range.next()?)
    }
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

    /// One thread, for a walk that is soon over.
    pub(super) fn single() -> Self {
        Self { first: 1, most: 1 }
    }

    /// As many as are of use while files come from memory, and more when they do not.
    pub(super) fn growing(options: &Options<'_>) -> Self {
        Self { first: options.threads.min(options.processors), most: options.threads }
    }
}

/// What a thread has for itself.
pub(super) struct Worker<'q, P, F> {
    buffer: Buffer,
    queue: &'q Queue<Job<P>>,
    /// Starts one more thread, if there may be more.
    call_thread: &'q dyn Fn(),
    /// Files opened so far.
    files: usize,
    /// Since before the file that is open now was opened, if this one is looked at.
    watch: Option<Watch>,
    pub(super) found: F,
    /// Directories to visit next: name and place.
    children: Vec<(Vec<u8>, P)>,
    stop: bool,
}

impl<P, F> Worker<'_, P, F> {
    /// Opens the regular file `name` in a directory, to be read next.
    pub(super) fn open(&mut self, directory: BorrowedFd<'_>, name: &[u8]) -> Result<OpenFile, ReadError> {
        // File systems that keep small files beside their names read them here.
        self.watch = (self.files.is_multiple_of(FILES_UNSEEN) && self.queue.may_grow()).then(Watch::begin);
        self.files = self.files.wrapping_add(1);
        open_file(directory, name)
    }

    /// The digest of a file's bytes.
    pub(super) fn digest(&mut self, file: OpenFile, algorithm: Algorithm) -> Result<Digest, ReadError> {
        let Some(parts) = Split::parts(file.size(), algorithm) else {
            let digest = file.digest(algorithm, &mut self.buffer);
            self.call_if_waited();
            return digest;
        };
        let split = Arc::new(Split::new(file, parts));
        self.queue.call_for_help(&split);
        split.work(&mut self.buffer);
        self.call_if_waited();
        self.queue.all_taken(&split);
        split.finish()
    }

    /// Starts one more thread if this one had to wait for a file.
    fn call_if_waited(&mut self) {
        if self.watch.take().is_some_and(|watch| watch.may_have_waited()) {
            (self.call_thread)();
        }
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
    /// Some entries of one.
    Portion(Arc<Listed<P>>, Range<usize>),
}

enum Source {
    Open(OwnedFd),
    In(Arc<OwnedFd>),
}

/// A directory whose names were read.
struct Listed<P> {
    fd: Arc<OwnedFd>,
    trail: Arc<Trail>,
    place: P,
    names: Names,
}

/// Visits every directory below `root` and gives back what each thread found.
pub(super) fn walk<V: Visit>(visit: &V, root: OwnedFd, place: V::Place, crew: Crew) -> Vec<V::Found> {
    let first = Job::Directory { source: Source::Open(root), trail: Trail::root(), place };
    let queue = Queue::new(first, crew.most);
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
    queue: &'env Queue<Job<V::Place>>,
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
        if self.queue.grow() {
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
            watch: None,
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
                    if !queue.is_stopped() {
                        visit_one(visit, job, &mut names, &mut worker);
                    }
                    if worker.stop {
                        queue.stop();
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
        Job::Portion(listed, range) => entries(visit, &listed, range, worker),
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
    let fd = Arc::new(fd);
    if !goes_on {
        push_children(worker, &fd, &trail);
        return;
    }
    let listed = Arc::new(Listed { fd, trail, place, names: std::mem::take(names) });
    entries(visit, &listed, 0..listed.names.len(), worker);
    // Nobody else may have it: then its memory serves the next directory.
    *names = Arc::into_inner(listed).map_or_else(Names::default, |listed| listed.names);
}

fn entries<V: Visit>(
    visit: &V,
    listed: &Arc<Listed<V::Place>>,
    range: Range<usize>,
    worker: &mut Worker<'_, V::Place, V::Found>,
) {
    let at = At { fd: listed.fd.as_fd(), trail: &listed.trail, place: &listed.place };
    visit.entries(&at, &mut Portion { listed, range }, worker);
    push_children(worker, &listed.fd, &listed.trail);
}

/// Has the directories that were met below `trail` visited.
fn push_children<P, F>(worker: &mut Worker<'_, P, F>, fd: &Arc<OwnedFd>, trail: &Arc<Trail>) {
    worker.queue.push(worker.children.drain(..).map(|(name, place)| {
        let trail = Trail::below(trail, &name);
        Job::Directory { source: Source::In(Arc::clone(fd)), trail, place }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::base::Limits;
    use crate::tree::Directory;

    const FILES: usize = 100;
    /// How often a thread looks for another one before it gives up.
    const PATIENCE: usize = 20_000_000;

    /// Goes on only when another thread has work too.
    #[derive(Default)]
    struct Patient {
        /// Threads that have met an entry.
        met: AtomicUsize,
    }

    impl Visit for Patient {
        type Place = ();
        type Found = Vec<Vec<u8>>;

        fn directory(&self, _: &At<'_, ()>, _: &mut Names, _: &mut Worker<'_, (), Self::Found>) -> bool {
            true
        }

        fn entries(&self, _: &At<'_, ()>, portion: &mut Portion<'_, ()>, worker: &mut Worker<'_, (), Self::Found>) {
            let wait_until = |happened: &dyn Fn() -> bool| {
                let came = (0..PATIENCE).any(|_| {
                    std::thread::yield_now();
                    happened()
                });
                assert!(came, "no other thread came");
            };
            if worker.found.is_empty() && self.met.fetch_add(1, Ordering::Relaxed) == 0 {
                wait_until(&|| worker.queue.is_short());
                worker.found.extend(portion.next(worker).map(|(name, _)| name.to_vec()));
                wait_until(&|| self.met.load(Ordering::Relaxed) > 1);
            }
            while let Some((name, _)) = portion.next(worker) {
                worker.found.push(name.to_vec());
            }
        }

        fn obstacle(&self, _: &Trail, (): (), errno: Errno, _: &mut Self::Found) {
            panic!("{errno}");
        }
    }

    #[test]
    fn entries_of_one_directory_are_shared_with_a_thread_that_waits() {
        let directory = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..FILES).map(|number| format!("{number:02}").into_bytes()).collect();
        for name in &names {
            std::fs::write(directory.path().join(std::str::from_utf8(name).unwrap()), "").unwrap();
        }
        let root = Directory::open(directory.path()).unwrap().into_fd();
        let options = Options::new(2, 2, &Limits::STANDARD);
        let found = walk(&Patient::default(), root, (), Crew::whole(&options));
        assert!(found.len() == 2 && found.iter().all(|found| !found.is_empty()));
        let mut found = found.concat();
        found.sort();
        assert_eq!(found, names);
    }
}
