//! What both walks, for sealing and for verifying, ask of an entry.

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::handle::Kind;
use super::read::ReadError;
use super::walk::At;
use crate::base::Code;

/// A refusal's place: the root as the policy writes it, then the entry.
pub(super) fn place(spelling: &str, path: &[u8]) -> Vec<u8> {
    let mut place = spelling.as_bytes().to_vec();
    if !path.is_empty() {
        place.push(b'/');
        place.extend_from_slice(path);
    }
    place
}

/// The code for an entry that the walk met but could not read as what it was listed as.
pub(super) fn code_of(error: &ReadError) -> Code {
    match error {
        ReadError::Absent | ReadError::Changed | ReadError::NotRegular(_) => Code::ChangedWhileRead,
        ReadError::TooLarge { .. } | ReadError::Io(_) => Code::Unreadable,
    }
}

/// Mode bits that no sealed entry has, named; `None` if there are none of them. Directories may be sticky or
/// setgid, as shared ones are.
pub(super) fn forbidden_bits(mode: u32, file: bool) -> Option<String> {
    let special = if file { mode & 0o7000 } else { 0 };
    ((special | mode & 0o002) != 0).then(|| format!("mode {:04o}", mode & 0o7777))
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
