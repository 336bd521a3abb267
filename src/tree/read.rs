//! Reading files: each once, through one handle, with proof that it did not change meanwhile.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use zeroize::Zeroize as _;

use super::handle::{Directory, Kind, mode_of, stat_of};
use crate::base::{Algorithm, Buffer, Bytes, Digest, Hasher};

/// Why a file could not be read as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing has that name.
    #[error("is not there")]
    Absent,
    /// Not a regular file; it was not read.
    #[error("is {}, not a regular file", .0.noun())]
    NotRegular(Kind),
    /// Longer than the cap; it was not read.
    #[error("has {size} bytes, more than the limit of {max}")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The cap.
        max: u64,
    },
    /// It changed between the first look and the last.
    #[error("changed while it was being read")]
    Changed,
    /// The system's error.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// Why something that was a directory a moment ago could not be opened or read.
    pub(super) fn of_directory(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Self::Changed,
            errno => errno.into(),
        }
    }
}

impl From<Errno> for ReadError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            error => Self::other(error.to_string()),
        }
    }
}

/// Bytes that a worker reads at once; more bring nothing.
pub(super) const BUFFER_BYTES: usize = 128 << 10;

/// Bytes of a long file that are hashed while the next are read.
const PIECE_BYTES: usize = 1 << 20;

/// A file that is open for reading, as it was when it was opened.
pub(super) struct OpenFile {
    fd: OwnedFd,
    pub(super) stat: Stat,
}

/// Opens the regular file `name`. A fifo does not block it, a symlink is not followed.
pub(super) fn open_file(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OpenFile, ReadError> {
    const FILE: OFlags =
        OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
    let fd = match retry_on_intr(|| rustix::fs::openat(directory, name, FILE, Mode::empty())) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Err(ReadError::Absent),
        // A symlink, or a socket or device that nobody answers: say which.
        Err(errno @ (Errno::LOOP | Errno::NXIO | Errno::NODEV)) => return Err(not_regular(directory, name, errno)),
        Err(errno) => return Err(errno.into()),
    };
    let stat = stat_of(fd.as_fd())?;
    match Kind::of_stat(&stat) {
        Kind::File => Ok(OpenFile { fd, stat }),
        kind => Err(ReadError::NotRegular(kind)),
    }
}

fn not_regular(directory: BorrowedFd<'_>, name: &[u8], errno: Errno) -> ReadError {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Kind::of_stat(&stat)) {
        // It is not what it was when it was opened.
        Ok(Kind::File) | Err(Errno::NOENT) => ReadError::Changed,
        Ok(kind) => ReadError::NotRegular(kind),
        Err(_) => errno.into(),
    }
}

impl OpenFile {
    /// Its handle.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Size in bytes when it was opened.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// Gives all its bytes to `take`, in pieces, then makes sure that nothing touched the file since it was opened.
    /// Never reads past the size it had.
    #[expect(clippy::indexing_slicing, reason = "no more is read than fits; a panic is a refusal")]
    pub(super) fn read_all<E: From<ReadError>>(
        &self,
        buffer: &mut Buffer,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = self.size();
        let buffer = buffer.slice_mut();
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..want];
            let read = retry_on_intr(|| rustix::io::read(&self.fd, &mut *piece)).map_err(ReadError::from)?;
            if read == 0 {
                return Err(ReadError::Changed.into());
            }
            take(&piece[..read])?;
            left = left.saturating_sub(read as u64);
        }
        Ok(self.unchanged()?)
    }

    /// Gives the bytes of `range` to `take`, in pieces. What was read counts only if the file is [`Self::unchanged`]
    /// after the last range.
    #[expect(clippy::indexing_slicing, reason = "no more is read than fits; a panic is a refusal")]
    pub(super) fn read_range(
        &self,
        range: Range<u64>,
        buffer: &mut Buffer,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        let mut at = range.start;
        let buffer = buffer.slice_mut();
        while at < range.end {
            let want = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..want];
            let read = retry_on_intr(|| rustix::io::pread(&self.fd, &mut *piece, at))?;
            if read == 0 {
                return Err(ReadError::Changed);
            }
            take(&piece[..read]);
            at += read as u64;
        }
        Ok(())
    }

    /// Makes sure that nothing touched the file since it was opened.
    pub(super) fn unchanged(&self) -> Result<(), ReadError> {
        let now = stat_of(self.fd.as_fd())?;
        if same_file_state(&self.stat, &now) { Ok(()) } else { Err(ReadError::Changed) }
    }

    /// Appends all its bytes to `bytes`, read straight into its memory, and makes sure of the same.
    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
        let size = usize::try_from(self.size()).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let end = bytes.len().saturating_add(size);
        bytes.try_reserve_exact(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        while bytes.len() < end {
            if retry_on_intr(|| rustix::io::read(&self.fd, rustix::buffer::spare_capacity(bytes)))? == 0 {
                return Err(ReadError::Changed);
            }
        }
        // A file that has grown is not what it was.
        if bytes.len() == end { self.unchanged() } else { Err(ReadError::Changed) }
    }

    /// The digest of its bytes.
    pub(super) fn digest(&self, algorithm: Algorithm, buffer: &mut Buffer) -> Result<Digest, ReadError> {
        self.digest_and(algorithm, buffer, |_| Ok(()))
    }

    /// The digest of its bytes, which go to `take` too.
    pub(super) fn digest_and<E: From<ReadError>>(
        &self,
        algorithm: Algorithm,
        buffer: &mut Buffer,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Digest, E> {
        let size = self.size();
        let mut whole = None;
        let mut pieces = None;
        self.read_all(buffer, |piece| {
            // Most files come in one piece, which needs no hasher state.
            if piece.len() as u64 == size {
                whole = Some(algorithm.digest(piece));
            } else {
                pieces.get_or_insert_with(|| Hasher::new(algorithm)).update(piece);
            }
            take(piece)
        })?;
        Ok(whole.or_else(|| pieces.map(Hasher::finish)).unwrap_or_else(|| algorithm.digest(b"")))
    }

    /// Its size, if that is at most `max`.
    fn len(&self, max: u64) -> Result<usize, ReadError> {
        let size = self.size();
        if size > max {
            return Err(ReadError::TooLarge { size, max });
        }
        usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory).into())
    }

    /// Reads the next of its bytes, as many as `bytes` takes.
    #[expect(clippy::indexing_slicing, reason = "no more is read than fits; a panic is a refusal")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), ReadError> {
        let mut at = 0;
        while at < bytes.len() {
            match retry_on_intr(|| rustix::io::read(&self.fd, &mut bytes[at..]))? {
                0 => return Err(ReadError::Changed),
                read => at += read,
            }
        }
        Ok(())
    }

    /// Reads all its bytes into `bytes`, which are as many, makes sure of the same, and tells their SHA-256.
    fn fill_then_hash(&self, bytes: &mut [u8]) -> Result<Digest, ReadError> {
        self.fill(bytes)?;
        self.unchanged()?;
        Ok(Digest::sha256(bytes))
    }

    /// The same, while another thread hashes what was read.
    fn fill_and_hash(&self, bytes: &mut [u8]) -> Result<Digest, ReadError> {
        std::thread::scope(|scope| {
            let (filled, pieces) = std::sync::mpsc::channel::<&[u8]>();
            let hash = move || {
                let mut hasher = Hasher::new(Algorithm::Sha256);
                for piece in pieces {
                    hasher.update(piece);
                }
                hasher.finish()
            };
            let Ok(thread) = std::thread::Builder::new().spawn_scoped(scope, hash) else {
                return self.fill_then_hash(bytes);
            };
            for piece in bytes.chunks_mut(PIECE_BYTES) {
                self.fill(piece)?;
                // Only a panic of the thread ends it before the last piece, and joining tells of that.
                let _ = filled.send(piece);
            }
            drop(filled);
            self.unchanged()?;
            thread.join().map_err(|_| io::Error::other("the thread that hashes stopped").into())
        })
    }

    /// All its bytes, if there are at most `max`.
    pub(super) fn bytes(&self, max: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; self.len(max)?];
        match self.fill(&mut bytes).and_then(|()| self.unchanged()) {
            Ok(()) => Ok(bytes),
            Err(error) => {
                // They may have been those of a private key.
                bytes.zeroize();
                Err(error)
            }
        }
    }
}

/// Whether nothing was written, linked, renamed or re-moded between two looks at one open file. The change
/// time is the kernel's own: a program can put the modification time back, not this one.
fn same_file_state(before: &Stat, after: &Stat) -> bool {
    (before.st_size, before.st_mtime, before.st_mtime_nsec, before.st_ctime, before.st_ctime_nsec)
        == (after.st_size, after.st_mtime, after.st_mtime_nsec, after.st_ctime, after.st_ctime_nsec)
}

impl Directory {
    /// The bytes of the regular file `name`, if there are at most `max`.
    pub fn read_file(&self, name: &[u8], max: u64) -> Result<Vec<u8>, ReadError> {
        open_file(self.fd(), name)?.bytes(max)
    }

    /// The same of a file that may be long, and the SHA-256 of the bytes.
    pub fn read_long_file(&self, name: &[u8], max: u64) -> Result<(Bytes, Digest), ReadError> {
        let file = open_file(self.fd(), name)?;
        let mut bytes = Bytes::zeroed(file.len(max)?)?;
        let is_long = bytes.len() > PIECE_BYTES;
        let digest = if is_long { file.fill_and_hash(&mut bytes)? } else { file.fill_then_hash(&mut bytes)? };
        Ok((bytes, digest))
    }

    /// Whether the regular file `name` has exactly `bytes`.
    pub(super) fn holds(&self, name: &[u8], bytes: &[u8]) -> Result<bool, ReadError> {
        let file = open_file(self.fd(), name)?;
        let mut rest = Some(bytes);
        file.read_all(&mut Buffer::new(BUFFER_BYTES), |piece| -> Result<(), ReadError> {
            rest = rest.and_then(|rest| rest.strip_prefix(piece));
            Ok(())
        })?;
        Ok(rest.is_some_and(<[u8]>::is_empty))
    }

    /// The SHA-256 of the regular file at `components` below this directory, if it has at most `max` bytes.
    pub fn sha256_below(&self, components: &[&str], max: u64) -> Result<Digest, ReadError> {
        self.file_below(components, |file| {
            let size = file.size();
            if size > max {
                Err(ReadError::TooLarge { size, max })
            } else {
                file.digest(Algorithm::Sha256, &mut Buffer::new(BUFFER_BYTES))
            }
        })
    }

    /// The bytes of the regular file at `components` below this directory, if there are at most `max`.
    pub fn read_below(&self, components: &[&str], max: u64) -> Result<Vec<u8>, ReadError> {
        self.file_below(components, |file| file.bytes(max))
    }

    fn file_below<T>(
        &self,
        components: &[&str],
        read: impl FnOnce(&OpenFile) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let Some((name, above)) = components.split_last() else { return Err(ReadError::Absent) };
        match self.descend(above.iter().copied())? {
            super::Found::There(directory) => read(&open_file(directory.fd(), name.as_bytes())?),
            super::Found::Absent => Err(ReadError::Absent),
            super::Found::Unsafe { kind, .. } => Err(ReadError::NotRegular(kind)),
        }
    }
}

/// The text of the symlink `name`.
pub(super) fn read_link(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, ReadError> {
    match retry_on_intr(|| rustix::fs::readlinkat(directory, name, Vec::new())) {
        Ok(text) => Ok(text.into_bytes()),
        Err(Errno::NOENT | Errno::INVAL) => Err(ReadError::Changed),
        Err(errno) => Err(errno.into()),
    }
}

/// A key or other file that the user names by a path: regular, small, never a fifo or device that would block.
/// Symlinks are followed; the path is the user's own word. Also tells the mode bits.
pub fn read_named_file(path: &std::path::Path, max: u64) -> Result<(Vec<u8>, u32), ReadError> {
    let flags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
    let fd = match retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Err(ReadError::Absent),
        Err(errno) => return Err(errno.into()),
    };
    let stat = stat_of(fd.as_fd())?;
    match Kind::of_stat(&stat) {
        Kind::File => {
            let file = OpenFile { fd, stat };
            Ok((file.bytes(max)?, mode_of(&file.stat)))
        }
        kind => Err(ReadError::NotRegular(kind)),
    }
}
