//! What is refused of a tree that is listed, to be sealed or to be proven: more than the limits, what others can change,
//! and what cannot be read.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::Stat;
use rustix::io::Errno;

use super::Options;
use super::entry::code_of;
use super::handle::{close_to_others, mode_of, stat_of};
use super::names::Names;
use super::read::ReadError;
use super::walk::{At, Trail};
use crate::base::{Code, Refusal, Refusals, place};
use crate::seal::manifest::forbidden_bits;

/// A walk that lists a tree, for all of its threads.
pub(super) struct Admission<'a> {
    spelling: &'a str,
    options: &'a Options<'a>,
    /// Directories so far, the root among them.
    directories: AtomicU32,
    entries: AtomicU64,
    /// Entries that others could write to, and no longer can.
    closed: AtomicU64,
}

/// What one thread refuses.
pub(super) type Refused = Option<Refusals>;

impl<'a> Admission<'a> {
    /// `spelling` is the root as refusals name it.
    pub(super) fn new(spelling: &'a str, options: &'a Options<'a>) -> Self {
        Self {
            spelling,
            options,
            directories: AtomicU32::new(1),
            entries: AtomicU64::new(1),
            closed: AtomicU64::new(0),
        }
    }

    /// The number of one more directory.
    pub(super) fn number(&self) -> u32 {
        self.directories.fetch_add(1, Ordering::Relaxed)
    }

    /// How many directories have a number.
    pub(super) fn directories(self) -> usize {
        self.directories.into_inner() as usize
    }

    /// A path below the root, as refusals name it.
    pub(super) fn place(&self, path: &[u8]) -> Vec<u8> {
        place(self.spelling, path)
    }

    pub(super) fn refuse(&self, to: &mut Refused, code: Code, path: &[u8], expected: &str, found: impl Into<String>) {
        let refusal = Refusal::new(code, place(self.spelling, path), expected, found);
        to.get_or_insert_with(|| self.options.refusals()).push(refusal);
    }

    pub(super) fn read_error(&self, to: &mut Refused, path: &[u8], error: &ReadError) {
        self.refuse(to, code_of(error), path, "an entry that stays as it is and can be read", error.to_string());
    }

    /// An entry that is neither a file nor a directory nor a symlink.
    pub(super) fn special(&self, to: &mut Refused, path: &[u8], noun: &str) {
        self.refuse(to, Code::SpecialFile, path, "a file, directory or symlink", noun);
    }

    /// Looks at a directory itself and sorts its names. `false` where it exceeds the limits: then all threads stop.
    pub(super) fn directory<P>(&self, at: &At<'_, P>, names: &mut Names, to: &mut Refused) -> bool {
        if let Some((code, limit, found)) = self.exceeded(at, names) {
            self.refuse(to, code, &at.trail.path(b""), &format!("at most {limit}"), found);
            return false;
        }
        match stat_of(at.fd) {
            Ok(stat) => {
                let stat = self.closed(at.fd, stat);
                if let Some(found) = forbidden_bits(mode_of(&stat), false) {
                    self.refuse(to, Code::ForbiddenMode, &at.trail.path(b""), "not writable by others", found);
                }
            }
            Err(errno) => self.read_error(to, &at.trail.path(b""), &errno.into()),
        }
        names.sort();
        true
    }

    /// The inode as it is to be sealed, with the permission of others to write taken away if that is wanted.
    pub(super) fn closed(&self, fd: BorrowedFd<'_>, stat: Stat) -> Stat {
        let closed = if self.options.clears_others_write { close_to_others(fd, &stat) } else { None };
        self.closed.fetch_add(u64::from(closed.is_some()), Ordering::Relaxed);
        closed.unwrap_or(stat)
    }

    /// How many entries others can no longer write to.
    pub(super) fn closed_entries(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// The limit that a directory exceeds, and what it has instead.
    fn exceeded<P>(&self, at: &At<'_, P>, names: &Names) -> Option<(Code, u64, &'static str)> {
        let limits = self.options.limits;
        // Entries are numbered in 32 bits.
        let entries_max = limits.entries_max.min(u32::MAX.into());
        let entries = self.entries.fetch_add(names.len() as u64, Ordering::Relaxed) + names.len() as u64;
        let longest = names.iter().map(|(name, _)| at.trail.path_len(name)).max().unwrap_or(0);
        if entries > entries_max {
            Some((Code::TooManyEntries, entries_max, "more"))
        } else if at.trail.depth > limits.depth_max {
            Some((Code::TooDeep, limits.depth_max as u64, "deeper"))
        } else if longest > limits.path_bytes_max {
            Some((Code::PathTooLong, limits.path_bytes_max as u64, "longer"))
        } else {
            None
        }
    }

    /// A directory that could not be opened or read.
    pub(super) fn obstacle(&self, to: &mut Refused, trail: &Trail, errno: Errno) {
        self.read_error(to, &trail.path(b""), &ReadError::of_directory(errno));
    }
}
