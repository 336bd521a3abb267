//! Open directories, reached component by component without following symlinks.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use crate::seal::manifest::forbidden_bits;

/// A directory held open. All access to what is in it goes through this handle, never through its path again.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// What a name turned out to be.
#[derive(Debug)]
pub enum Found<T> {
    /// Nothing has that name.
    Absent,
    /// It is there and as it should be.
    There(T),
    /// Something that is never followed or entered stands in its place.
    Unsafe {
        /// Number of components that were entered before it.
        depth: usize,
        /// What it is.
        kind: Kind,
    },
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Link,
    /// Fifo, socket or device: never opened.
    Special(&'static str),
}

impl Kind {
    /// The word for people, with its article.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Link => "a symlink",
            Self::Special(noun) => noun,
        }
    }

    /// The kind of a file type; `None` where the file system does not tell.
    pub(super) fn of(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            FileType::Fifo => Self::Special("a fifo"),
            FileType::Socket => Self::Special("a socket"),
            FileType::CharacterDevice => Self::Special("a character device"),
            FileType::BlockDevice => Self::Special("a block device"),
            FileType::Unknown => return None,
        })
    }

    /// The kind in the mode of a stat.
    pub(super) fn of_stat(stat: &Stat) -> Self {
        Self::of(FileType::from_raw_mode(stat.st_mode)).unwrap_or(Self::Special("an entry of unknown type"))
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

impl Directory {
    /// Opens a directory by its path, the way the kernel resolves it. Only for places that the user names:
    /// home, the policy's directory, `/`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        Ok(Self(retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?))
    }

    /// Whether the path leads to this very directory.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        let same = |one: Stat, other: Stat| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
        stat_of(self.0.as_fd()).is_ok_and(|own| rustix::fs::stat(path).is_ok_and(|there| same(own, there)))
    }

    /// Another handle of the same directory.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Opens the same directory once more. A duplicate of the handle would go on listing where this one stopped.
    pub fn reopen(&self) -> io::Result<Self> {
        Ok(Self(open_directory(self.0.as_fd(), b".")?))
    }

    /// Goes down `components`, each of which must be a real directory.
    pub fn descend<'a>(&self, components: impl IntoIterator<Item = &'a str>) -> io::Result<Found<Self>> {
        let mut current = self.try_clone()?;
        for (depth, name) in components.into_iter().enumerate() {
            current = match current.child(name.as_bytes())? {
                Found::There(next) => next,
                Found::Absent => return Ok(Found::Absent),
                Found::Unsafe { kind, .. } => return Ok(Found::Unsafe { depth, kind }),
            };
        }
        Ok(Found::There(current))
    }

    /// Opens a directory in this one.
    pub fn child(&self, name: &[u8]) -> io::Result<Found<Self>> {
        match open_directory(self.0.as_fd(), name) {
            Ok(fd) => Ok(Found::There(Self(fd))),
            Err(Errno::NOENT) => Ok(Found::Absent),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
                Ok(Found::Unsafe { depth: 0, kind: Kind::of_stat(&stat) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> io::Result<bool> {
        let mut names = super::names::Names::default();
        names.read(self.reopen()?.fd())?;
        Ok(names.is_empty())
    }

    /// What its mode has that no directory may have, in words.
    pub fn forbidden(&self) -> io::Result<Option<String>> {
        Ok(forbidden_bits(mode_of(&rustix::fs::fstat(&self.0)?), false))
    }

    /// Waits until what was written to it is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::from(self.0.try_clone()?).sync_all()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.0
    }
}

/// What all may read, before the umask.
pub(super) const MODE_FILE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);

/// What all may enter, before the umask.
pub(super) const MODE_DIRECTORY: Mode =
    Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);

/// Whether `name` in `directory` still is what is open.
pub(super) fn is_at(open: BorrowedFd<'_>, directory: &Directory, name: &[u8]) -> Result<bool, Errno> {
    let own = stat_of(open)?;
    match rustix::fs::statat(&directory.0, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Takes the permission of others to write away from a file or directory of this user's own, and says what the inode is
/// then; `None` where there is nothing to take, or it is not for this user to decide: a file with several names may be
/// somebody else's by another of them, and one with a set-user-ID bit and its kin is refused anyway.
pub(super) fn close_to_others(fd: BorrowedFd<'_>, stat: &Stat) -> Option<Stat> {
    let (mode, is_file) = (mode_of(stat), Kind::of_stat(stat) == Kind::File);
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if mode & 0o002 == 0 || !is_ours || is_file && (stat.st_nlink > 1 || mode & 0o7000 != 0) {
        return None;
    }
    rustix::fs::fchmod(fd, Mode::from_raw_mode(stat.st_mode).difference(Mode::WOTH)).ok()?;
    rustix::fs::fstat(fd).ok()
}

/// The permission bits and the type of a stat.
#[allow(clippy::useless_conversion, reason = "the field is narrower on macOS")]
pub(super) fn mode_of(stat: &Stat) -> u32 {
    u32::from(stat.st_mode)
}

/// The stat of an open file. Network file systems let signals interrupt even this.
pub(super) fn stat_of(fd: BorrowedFd<'_>) -> Result<Stat, Errno> {
    retry_on_intr(|| rustix::fs::fstat(fd))
}

/// Opens the directory `name` in `parent`, never through a symlink.
pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()))
}
