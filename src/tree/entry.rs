//! What both walks, for sealing and for verifying, ask of an entry.

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::handle::Kind;
use super::read::ReadError;
use super::walk::At;
use crate::base::Code;

/// The code for an entry that the walk met but could not read as what it was listed as.
pub(super) fn code_of(error: &ReadError) -> Code {
    match error {
        ReadError::Absent | ReadError::Changed | ReadError::NotRegular(_) => Code::ChangedWhileRead,
        ReadError::TooLarge { .. } | ReadError::Io(_) => Code::Unreadable,
    }
}

/// The kind of an entry, asked of the file system where the directory does not tell.
pub(super) fn kind_of<P>(at: &At<'_, P>, name: &[u8], file_type: FileType) -> Result<Kind, ReadError> {
    match Kind::of(file_type) {
        Some(kind) => Ok(kind),
        None => match rustix::fs::statat(at.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Kind::of_stat(&stat)),
            Err(Errno::NOENT) => Err(ReadError::Changed),
            Err(errno) => Err(errno.into()),
        },
    }
}
