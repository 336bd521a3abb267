//! What all who go through a tree, to seal, to verify or to pack, ask of an entry, and what they say of it.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::handle::Kind;
use super::read::ReadError;
use crate::base::{Algorithm, Code, Digest};
use crate::seal::manifest::forbidden_bits;

/// The code for an entry that the walk met but could not read as what it was listed as.
pub(super) fn code_of(error: &ReadError) -> Code {
    match error {
        ReadError::Absent | ReadError::Changed | ReadError::NotRegular(_) => Code::ChangedWhileRead,
        ReadError::TooLarge { .. } | ReadError::Io(_) => Code::Unreadable,
    }
}

/// The kind of an entry, asked of the file system where the directory does not tell.
pub(super) fn kind_of(directory: BorrowedFd<'_>, name: &[u8], file_type: FileType) -> Result<Kind, ReadError> {
    match Kind::of(file_type) {
        Some(kind) => Ok(kind),
        None => match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Kind::of_stat(&stat)),
            Err(Errno::NOENT) => Err(ReadError::Changed),
            Err(errno) => Err(errno.into()),
        },
    }
}

/// How a file's mode differs from what was sealed: code, what was expected, what was found.
pub(super) fn mode_differences(mode: u32, executable: bool) -> impl Iterator<Item = (Code, String, String)> {
    let forbidden = forbidden_bits(mode, true).map(|found| {
        let expected = "no setuid, setgid or sticky bit, and not writable by others";
        (Code::ForbiddenMode, expected.to_owned(), found)
    });
    let bit = |executable| if executable { "executable by its owner" } else { "not executable by its owner" };
    let is_executable = mode & 0o100 != 0;
    let differs = is_executable != executable;
    let mismatch = differs.then(|| (Code::ModeMismatch, bit(executable).to_owned(), bit(is_executable).to_owned()));
    forbidden.into_iter().chain(mismatch)
}

/// The contents of a file, for people.
pub(super) fn digest_text(size: u64, algorithm: Algorithm, digest: &Digest) -> String {
    format!("{size} bytes of {algorithm} {digest}")
}
