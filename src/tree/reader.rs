//! Reading the files of an outline, one after the other, each through the handle of its directory.

use std::io::BufRead;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Stat};
use rustix::io::retry_on_intr;

use super::entry::code_of;
use super::handle::{Directory, Kind, mode_of, open_directory};
use super::hardlinks::HardLinks;
use super::outline::Outline;
use super::read::{BUFFER_BYTES, OpenFile, ReadError, open_file};
use crate::base::{Buffer, Code, Refusal, Refusals, place};
use crate::seal::manifest::forbidden_bits;

/// What is known of a file from its inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Length in bytes.
    pub size: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// The facts of all files of an outline, filled by many readers at a time.
#[derive(Debug)]
pub struct FactTable(Vec<AtomicU64>);

const UNKNOWN: u64 = u64::MAX;

impl FactTable {
    /// A table for `outline` in which nothing is known.
    #[must_use]
    pub fn new(outline: &Outline) -> Self {
        Self(outline_len(outline).map(|_| AtomicU64::new(UNKNOWN)).collect())
    }

    /// What is known of an entry.
    #[must_use]
    pub fn get(&self, node: u32) -> Option<FileFacts> {
        let value = self.0.get(node as usize)?.load(Ordering::Relaxed);
        (value != UNKNOWN).then_some(FileFacts { size: value >> 1, executable: value & 1 != 0 })
    }

    /// Notes facts; says whether nothing was known before.
    fn set(&self, node: u32, facts: FileFacts) -> bool {
        // No file has 2^63 bytes.
        let value = facts.size.min(UNKNOWN >> 2) << 1 | u64::from(facts.executable);
        self.0.get(node as usize).is_some_and(|slot| slot.swap(value, Ordering::Relaxed) == UNKNOWN)
    }
}

fn outline_len(outline: &Outline) -> std::ops::Range<usize> {
    0..outline.len()
}

/// Reads files of one root on one thread. What it meets that no honest tree has, it refuses by itself: modes, and
/// files that change or cannot be read.
#[derive(Debug)]
pub struct Reader<'a> {
    root: &'a Directory,
    spelling: &'a str,
    outline: &'a Outline,
    facts: &'a FactTable,
    /// The directory that was used last, and those above it.
    open: Vec<(u32, OwnedFd)>,
    buffer: Buffer,
    refusals: Refusals,
    hardlinks: HardLinks,
}

/// A file that could not be read as it should be. The reader has refused it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file could not be read, and was refused for it")]
pub struct Unread;

impl<'a> Reader<'a> {
    /// A reader of `outline`, whose root is `root` and is called `spelling` in refusals. What it
    /// refuses is added to `refusals`.
    #[must_use]
    pub fn new(
        root: &'a Directory,
        spelling: &'a str,
        outline: &'a Outline,
        facts: &'a FactTable,
        refusals: Refusals,
    ) -> Self {
        Self {
            root,
            spelling,
            outline,
            facts,
            open: Vec::new(),
            buffer: Buffer::new(BUFFER_BYTES),
            refusals,
            hardlinks: HardLinks::default(),
        }
    }

    /// What was refused, and the files with several names that were met.
    #[must_use]
    pub fn into_parts(self) -> (Refusals, HardLinks) {
        (self.refusals, self.hardlinks)
    }

    /// Looks at a file without reading it.
    pub fn look(&mut self, node: u32) -> Result<FileFacts, Unread> {
        if let Some(facts) = self.facts.get(node) {
            return Ok(facts);
        }
        let name = self.outline.name(node);
        let outline = self.outline;
        let stat = match outline.parent(node) {
            Some(parent) => self.directory(parent).and_then(|directory| {
                let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if Kind::of_stat(&stat) == Kind::File { Ok(stat) } else { Err(ReadError::Changed) }
            }),
            None => Err(ReadError::Absent),
        };
        match stat {
            Ok(stat) => Ok(self.note(node, &stat)),
            Err(error) => Err(self.refuse(node, &error)),
        }
    }

    /// Gives all bytes of a file to `take`, in pieces.
    pub fn read(&mut self, node: u32, take: &mut dyn FnMut(&[u8])) -> Result<FileFacts, Unread> {
        let (file, facts) = self.file(node)?;
        let result = file.read_all(&mut self.buffer, |piece| -> Result<(), ReadError> {
            take(piece);
            Ok(())
        });
        match result {
            Ok(()) => Ok(facts),
            Err(error) => Err(self.refuse(node, &error)),
        }
    }

    /// Appends all bytes of a file to `bytes`.
    pub fn append_to(&mut self, node: u32, bytes: &mut Vec<u8>) -> Result<FileFacts, Unread> {
        let (file, facts) = self.file(node)?;
        match file.append_to(bytes) {
            Ok(()) => Ok(facts),
            Err(error) => Err(self.refuse(node, &error)),
        }
    }

    /// Whether a file has exactly the `size` bytes that `expected` gives, and what is known of it. A file of another
    /// size is not read. An error of `expected` counts as other bytes.
    pub fn compare(&mut self, node: u32, size: u64, expected: &mut dyn BufRead) -> Result<(bool, FileFacts), Unread> {
        let (file, facts) = self.file(node)?;
        if facts.size != size {
            return Ok((false, facts));
        }
        let result =
            file.read_all(&mut self.buffer, |piece| if gives(expected, piece) { Ok(()) } else { Err(Differs::Bytes) });
        match result {
            Ok(()) => Ok((true, facts)),
            Err(Differs::Bytes) => Ok((false, facts)),
            Err(Differs::Unread(error)) => Err(self.refuse(node, &error)),
        }
    }

    fn file(&mut self, node: u32) -> Result<(OpenFile, FileFacts), Unread> {
        let outline = self.outline;
        let file = match outline.parent(node) {
            Some(parent) => self.directory(parent).and_then(|directory| open_file(directory, outline.name(node))),
            None => Err(ReadError::Absent),
        };
        match file {
            Ok(file) => {
                let facts = self.note(node, &file.stat);
                Ok((file, facts))
            }
            Err(error) => Err(self.refuse(node, &error)),
        }
    }

    /// Notes what the first look at a file shows.
    fn note(&mut self, node: u32, stat: &Stat) -> FileFacts {
        let mode = mode_of(stat);
        let facts = FileFacts { size: u64::try_from(stat.st_size).unwrap_or(0), executable: mode & 0o100 != 0 };
        if self.facts.set(node, facts) {
            if let Some(found) = forbidden_bits(mode, true) {
                let expected = "no setuid, setgid or sticky bit, and not writable by others";
                self.refusals.push(Refusal::new(Code::ForbiddenMode, self.place(node), expected, found));
            }
            if stat.st_nlink > 1 {
                let place = self.place(node);
                self.hardlinks.push(stat, place);
            }
        }
        facts
    }

    fn place(&self, node: u32) -> Vec<u8> {
        place(self.spelling, &self.outline.path(node))
    }

    fn refuse(&mut self, node: u32, error: &ReadError) -> Unread {
        let expected = "an entry that stays as it is and can be read";
        self.refusals.push(Refusal::new(code_of(error), self.place(node), expected, error.to_string()));
        Unread
    }

    /// Opens a directory, from the nearest one above it that is still open.
    fn directory(&mut self, node: u32) -> Result<BorrowedFd<'_>, ReadError> {
        let mut way = Vec::new();
        let mut at = node;
        while at != Outline::ROOT && !self.open.iter().any(|(open, _)| *open == at) {
            way.push(at);
            at = self.outline.parent(at).ok_or(ReadError::Absent)?;
        }
        let kept = self.open.iter().position(|(open, _)| *open == at).map_or(0, |index| index + 1);
        self.open.truncate(kept);
        for next in way.into_iter().rev() {
            let above = self.open.last().map_or_else(|| self.root.fd(), |(_, fd)| fd.as_fd());
            let fd = retry_on_intr(|| open_directory(above, self.outline.name(next)))?;
            self.open.push((next, fd));
        }
        Ok(self.open.last().map_or_else(|| self.root.fd(), |(_, fd)| fd.as_fd()))
    }
}

/// Why a comparison ended before the file did.
enum Differs {
    Bytes,
    Unread(ReadError),
}

impl From<ReadError> for Differs {
    fn from(error: ReadError) -> Self {
        Self::Unread(error)
    }
}

/// Whether the next bytes that `expected` gives are those of `piece`.
#[expect(clippy::indexing_slicing, reason = "no more is consumed than there is; a panic is a refusal")]
fn gives(expected: &mut dyn BufRead, mut piece: &[u8]) -> bool {
    while !piece.is_empty() {
        let Ok(next) = expected.fill_buf() else { return false };
        let len = next.len().min(piece.len());
        if len == 0 || next.get(..len) != piece.get(..len) {
            return false;
        }
        expected.consume(len);
        piece = &piece[len..];
    }
    true
}
