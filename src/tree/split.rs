//! A large file, read and hashed by every thread that has nothing else to do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::read::{OpenFile, ReadError};
use crate::base::{Algorithm, Buffer, Digest, Subtree, Subtrees};

/// A file in parts. The thread that met it finishes it; others help.
pub(super) struct Split {
    file: OpenFile,
    parts: Subtrees,
    progress: Mutex<Progress>,
    returned: Condvar,
}

struct Progress {
    hashed: Vec<Option<Subtree>>,
    next: u64,
    /// Parts that are being read.
    out: usize,
    error: Option<ReadError>,
}

impl Split {
    /// How to cut a file of `size` bytes; `None` if it is too small or `algorithm` cannot be computed in parts.
    pub(super) fn parts(size: u64, algorithm: Algorithm) -> Option<Subtrees> {
        match algorithm {
            Algorithm::Blake3 => Subtrees::of(size),
            Algorithm::Sha256 => None,
        }
    }

    /// A file of which no part was taken yet.
    pub(super) fn new(file: OpenFile, parts: Subtrees) -> Self {
        let hashed = vec![None; usize::try_from(parts.count()).unwrap_or(0)];
        let progress = Progress { hashed, next: 0, out: 0, error: None };
        Self { file, parts, progress: Mutex::new(progress), returned: Condvar::new() }
    }

    /// Reads parts until all are taken.
    pub(super) fn work(&self, buffer: &mut Buffer) {
        while self.read_next(buffer) {}
    }

    /// Waits for the parts that others read. The digest of the whole, if nothing touched the file since it was opened.
    pub(super) fn finish(&self) -> Result<Digest, ReadError> {
        let mut progress = self.lock();
        while progress.out > 0 {
            progress = self.returned.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(error) = progress.error.take() {
            return Err(error);
        }
        self.file.unchanged()?;
        let hashed: Option<Vec<_>> = progress.hashed.iter().copied().collect();
        hashed.and_then(|hashed| Subtrees::digest(&hashed)).ok_or_else(lost)
    }

    /// Reads the next part; tells whether there was one.
    fn read_next(&self, buffer: &mut Buffer) -> bool {
        let Some(mut part) = self.take() else { return false };
        part.result = Some(self.hash(part.index, buffer));
        true
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Part<'_>> {
        let mut progress = self.lock();
        let index = progress.next;
        if progress.error.is_some() || index == self.parts.count() {
            return None;
        }
        progress.next += 1;
        progress.out += 1;
        Some(Part { split: self, index, result: None })
    }

    fn hash(&self, index: u64, buffer: &mut Buffer) -> Result<Subtree, ReadError> {
        let mut hasher = self.parts.hasher(index);
        self.file.read_range(self.parts.range(index), buffer, |piece| hasher.update(piece))?;
        Ok(hasher.finish())
    }
}

/// A thread ended without saying what it read.
fn lost() -> ReadError {
    std::io::Error::other("a part of it was not read").into()
}

/// A part that a thread has taken; if the thread panics it comes back too, so the others still end.
struct Part<'a> {
    split: &'a Split,
    index: u64,
    result: Option<Result<Subtree, ReadError>>,
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        let mut progress = self.split.lock();
        progress.out -= 1;
        match self.result.take().unwrap_or_else(|| Err(lost())) {
            Ok(subtree) => {
                if let Some(slot) = usize::try_from(self.index).ok().and_then(|index| progress.hashed.get_mut(index)) {
                    *slot = Some(subtree);
                }
            }
            Err(error) => progress.error = Some(error),
        }
        self.split.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::super::read::{BUFFER_BYTES, open_file};
    use super::*;

    const SIZE: u64 = (3 << 20) + 1;

    /// A file of zeros, not yet read, and the means to change it.
    fn split() -> (tempfile::TempDir, std::fs::File, Split) {
        let directory = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(directory.path().join("file")).unwrap();
        file.set_len(SIZE).unwrap();
        let open = open_file(std::fs::File::open(directory.path()).unwrap().as_fd(), b"file").unwrap();
        let parts = Split::parts(SIZE, Algorithm::Blake3).unwrap();
        (directory, file, Split::new(open, parts))
    }

    #[test]
    fn parts_in_any_order_make_the_digest() {
        let (_directory, _file, split) = split();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| split.work(&mut Buffer::new(BUFFER_BYTES)));
            }
        });
        let expected = Algorithm::Blake3.digest(&vec![0; usize::try_from(SIZE).unwrap()]);
        assert_eq!(split.finish().unwrap(), expected);
    }

    #[test]
    fn a_part_that_a_thread_gives_up_is_an_error() {
        let (_directory, _file, split) = split();
        drop(split.take());
        split.work(&mut Buffer::new(BUFFER_BYTES));
        assert!(matches!(split.finish(), Err(ReadError::Io(_))));
    }

    #[test]
    fn a_file_that_changes_meanwhile_has_no_digest() {
        for size in [0, SIZE - 1, SIZE + 1] {
            let (_directory, file, split) = split();
            split.read_next(&mut Buffer::new(BUFFER_BYTES));
            file.set_len(size).unwrap();
            split.work(&mut Buffer::new(BUFFER_BYTES));
            assert!(matches!(split.finish(), Err(ReadError::Changed)), "{size}");
        }
    }
}
