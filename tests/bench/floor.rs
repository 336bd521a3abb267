//! The floor of every verification: walk a tree, open, stat and read each file, and do nothing else with it, or hash it.
//! `floor TREE... [--hash none|blake3|sha256] [--threads N]` prints files and bytes. `run.py` times it.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it reads files and prints what it met")]
#![expect(clippy::expect_used, reason = "a tree that cannot be read is no floor of anything")]

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use cacheseal::base::{Algorithm, Buffer, Hasher};
use rustix::fs::{FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

const BUFFER_BYTES: usize = 128 << 10;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory that waits: the handle of the one that holds it, and its name.
type Waiting = (Arc<OwnedFd>, Vec<u8>);

/// Directories that wait, and how many are under way.
struct Queue {
    state: Mutex<(Vec<Waiting>, usize)>,
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
        let queue = Queue { state: Mutex::new((vec![(Arc::new(root), b".".to_vec())], 0)), ready: Condvar::new() };
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
    while let Some((parent, name)) = next(queue) {
        let mut below = Vec::new();
        let directory = rustix::fs::openat(&parent, &*name, DIRECTORY, Mode::empty()).expect("a directory");
        let directory = Arc::new(directory);
        let mut names = RawDir::new(&directory, records.spare_capacity_mut());
        while let Some(record) = names.next() {
            let record = record.expect("a name");
            match (record.file_name().to_bytes(), record.file_type()) {
                (b"." | b"..", _) => {}
                (name, FileType::Directory) => below.push((Arc::clone(&directory), name.to_vec())),
                (name, FileType::RegularFile) => {
                    let bytes = read(&directory, name, algorithm, &mut buffer).expect("a file");
                    met.files.fetch_add(1, Ordering::Relaxed);
                    met.bytes.fetch_add(bytes, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        let mut state = queue.state.lock().expect("no thread panics with the lock");
        state.0.extend(below);
        state.1 -= 1;
        queue.ready.notify_all();
    }
}

fn next(queue: &Queue) -> Option<(Arc<OwnedFd>, Vec<u8>)> {
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

/// Reads a file whole: one stat, and one call for a small one.
fn read(directory: &OwnedFd, name: &[u8], algorithm: Option<Algorithm>, buffer: &mut Buffer) -> Result<u64, Errno> {
    let file = rustix::fs::openat(directory, name, FILE, Mode::empty())?;
    let size = u64::try_from(rustix::fs::fstat(file.as_fd())?.st_size).unwrap_or(0);
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
