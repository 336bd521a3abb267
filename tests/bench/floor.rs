//! The floor of every verification: walk a tree, open, stat and read each file, and do nothing else with it, or hash it.
//! What is large is shared among the threads, as cacheseal does it.
//! `floor TREE... [--hash none|blake3|sha256] [--threads N]` prints files and bytes. `run.py` times it.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it reads files and prints what it met")]
#![expect(clippy::expect_used, reason = "a tree that cannot be read is no floor of anything")]

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use cacheseal::base::{Algorithm, Buffer, Hasher, Subtrees};
use rustix::fs::{FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

const BUFFER_BYTES: usize = 128 << 10;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Entries of a directory that one thread takes at once.
const SHARE: usize = 512;

/// What waits for a thread.
enum Job {
    /// A directory: the handle of the one that holds it, and its name.
    Directory(Arc<OwnedFd>, Vec<u8>),
    /// Some files of a large one.
    Files(Arc<OwnedFd>, Vec<Vec<u8>>),
    /// A part of a large file.
    Part(Arc<OwnedFd>, Subtrees, u64),
}

/// What waits, and how much is under way.
struct Queue {
    state: Mutex<(Vec<Job>, usize)>,
    ready: Condvar,
}

#[derive(Default)]
struct Met {
    files: AtomicU64,
    bytes: AtomicU64,
}

fn main() -> ExitCode {
    let (trees, algorithm, threads) = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            println!("{message}");
            return ExitCode::from(2);
        }
    };
    let met = Met::default();
    for tree in trees {
        let root = rustix::fs::open(&tree, DIRECTORY, Mode::empty()).expect("the tree is a directory");
        let first = Job::Directory(Arc::new(root), b".".to_vec());
        let queue = Queue { state: Mutex::new((vec![first], 0)), ready: Condvar::new() };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work(&queue, algorithm, &met));
            }
        });
    }
    println!("{} files, {} bytes", met.files.load(Ordering::Relaxed), met.bytes.load(Ordering::Relaxed));
    ExitCode::SUCCESS
}

fn arguments() -> Result<(Vec<OsString>, Option<Algorithm>, usize), String> {
    let (mut trees, mut algorithm, mut threads) = (Vec::new(), None, 16);
    // `cargo bench` adds `--bench`.
    let mut rest = std::env::args_os().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().and_then(|value| value.into_string().ok()).unwrap_or_default();
        match argument.to_str() {
            Some("--hash") => match value().as_str() {
                "none" => algorithm = None,
                word => algorithm = Some(Algorithm::from_word(word).ok_or("expected none, blake3 or sha256")?),
            },
            Some("--threads") => threads = value().parse().map_err(|_| "expected a number of threads")?,
            _ => trees.push(argument),
        }
    }
    if trees.is_empty() { Err("expected a tree".to_owned()) } else { Ok((trees, algorithm, threads)) }
}

fn work(queue: &Queue, algorithm: Option<Algorithm>, met: &Met) {
    let mut buffer = Buffer::new(BUFFER_BYTES);
    let mut records = Vec::with_capacity(32 << 10);
    while let Some(job) = next(queue) {
        let mut new = Vec::new();
        match job {
            Job::Directory(parent, name) => {
                let directory = rustix::fs::openat(&parent, &*name, DIRECTORY, Mode::empty()).expect("a directory");
                let directory = Arc::new(directory);
                let mut files = list(&directory, &mut records, &mut new);
                while files.len() > SHARE {
                    new.push(Job::Files(Arc::clone(&directory), files.split_off(files.len() - SHARE)));
                }
                read_all(&directory, &files, algorithm, &mut buffer, met, &mut new);
            }
            Job::Files(directory, files) => read_all(&directory, &files, algorithm, &mut buffer, met, &mut new),
            Job::Part(file, parts, index) => read_part(&file, parts, index, algorithm, &mut buffer).expect("a part"),
        }
        let mut state = queue.state.lock().expect("no thread panics with the lock");
        state.0.extend(new);
        state.1 -= 1;
        queue.ready.notify_all();
    }
}

fn next(queue: &Queue) -> Option<Job> {
    let mut state = queue.state.lock().expect("no thread panics with the lock");
    loop {
        if let Some(job) = state.0.pop() {
            state.1 += 1;
            return Some(job);
        }
        if state.1 == 0 {
            queue.ready.notify_all();
            return None;
        }
        state = queue.ready.wait(state).expect("no thread panics with the lock");
    }
}

/// The names of the files in a directory; its directories are added to `new`.
fn list(directory: &Arc<OwnedFd>, records: &mut Vec<u8>, new: &mut Vec<Job>) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut names = RawDir::new(directory, records.spare_capacity_mut());
    while let Some(record) = names.next() {
        let record = record.expect("a name");
        match (record.file_name().to_bytes(), record.file_type()) {
            (b"." | b"..", _) => {}
            (name, FileType::Directory) => new.push(Job::Directory(Arc::clone(directory), name.to_vec())),
            (name, FileType::RegularFile) => files.push(name.to_vec()),
            _ => {}
        }
    }
    files
}

fn read_all(
    directory: &OwnedFd,
    files: &[Vec<u8>],
    algorithm: Option<Algorithm>,
    buffer: &mut Buffer,
    met: &Met,
    new: &mut Vec<Job>,
) {
    for name in files {
        let bytes = read(directory, name, algorithm, buffer, new).expect("a file");
        met.files.fetch_add(1, Ordering::Relaxed);
        met.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Reads a file whole: one stat, and one call for a small one. The parts of a large one are added to `new`.
fn read(
    directory: &OwnedFd,
    name: &[u8],
    algorithm: Option<Algorithm>,
    buffer: &mut Buffer,
    new: &mut Vec<Job>,
) -> Result<u64, Errno> {
    let file = rustix::fs::openat(directory, name, FILE, Mode::empty())?;
    let size = u64::try_from(rustix::fs::fstat(file.as_fd())?.st_size).unwrap_or(0);
    if let Some(parts) = Subtrees::of(size).filter(|_| algorithm != Some(Algorithm::Sha256)) {
        let file = Arc::new(file);
        new.extend((0..parts.count()).map(|index| Job::Part(Arc::clone(&file), parts, index)));
        return Ok(size);
    }
    let mut hasher = None;
    let mut left = size;
    while left > 0 {
        let read = rustix::io::read(&file, &mut *buffer.slice_mut())?;
        let piece = &buffer.slice()[..read];
        match algorithm {
            Some(algorithm) if piece.len() as u64 == size => {
                std::hint::black_box(algorithm.digest(piece));
            }
            Some(algorithm) => hasher.get_or_insert_with(|| Hasher::new(algorithm)).update(piece),
            None => {}
        }
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read as u64);
    }
    if let Some(hasher) = hasher {
        std::hint::black_box(hasher.finish());
    }
    Ok(size)
}

fn read_part(
    file: &OwnedFd,
    parts: Subtrees,
    index: u64,
    algorithm: Option<Algorithm>,
    buffer: &mut Buffer,
) -> Result<(), Errno> {
    let range = parts.range(index);
    let mut hasher = algorithm.map(|_| parts.hasher(index));
    let mut at = range.start;
    while at < range.end {
        let want = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        let read = rustix::io::pread(file, &mut buffer.slice_mut()[..want], at)?;
        if let Some(hasher) = &mut hasher {
            hasher.update(&buffer.slice()[..read]);
        }
        at += (read as u64).max(1);
    }
    if let Some(hasher) = hasher {
        std::hint::black_box(hasher.finish());
    }
    Ok(())
}
