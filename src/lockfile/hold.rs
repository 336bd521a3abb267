//! A file held against the digests of a lockfile.

use super::{EntryId, Expected, Files, Finding, HashAlgorithm, Match, Reason};
use crate::tree::Unread;

/// Files up to this length are read once, into memory. Larger ones are hashed first and read again only when they are
/// proven, so that a hostile file takes no memory.
const ONCE_MAX: u64 = 32 << 20;

/// How a file compares with what is locked, and its bytes where they are.
#[derive(Debug)]
pub enum Held {
    /// It has the locked digest. Give the bytes back to [`Files::give_back`].
    Proven(Vec<u8>),
    /// It has the locked digest, by an algorithm that proves nothing; why, for people.
    Weak(Vec<u8>, Reason),
    /// It has another digest.
    Mismatch {
        /// What is locked.
        expected: String,
        /// What there is.
        found: String,
    },
    /// It is longer than any package that is read; why, for people.
    TooLarge(Reason),
}

/// Reads a whole file and holds it against `expected`.
pub fn hold(files: &mut dyn Files, entry: EntryId, expected: &Expected) -> Result<Held, Unread> {
    let size = files.look(entry)?.size;
    if size > ONCE_MAX && too_large(files, size).is_none() {
        let found = digest(files, entry, expected)?;
        if let Match::Mismatch { expected, found } = found {
            return Ok(Held::Mismatch { expected, found });
        }
    }
    let Some(bytes) = files.bytes(entry, files.package_bytes_max())? else {
        return Ok(Held::TooLarge(longer_than_packages(files)));
    };
    Ok(match expected.judge_bytes(&bytes) {
        Match::Proven => Held::Proven(bytes),
        Match::Weak(algorithm) => Held::Weak(bytes, weak(algorithm)),
        Match::Mismatch { expected, found } => {
            files.give_back(bytes);
            Held::Mismatch { expected, found }
        }
    })
}

/// Holds a file against `expected` without keeping its bytes, and says what is to be found of it. `package` is for
/// people, like `left-pad 1.3.0 (yarn.lock:7)`.
pub fn hold_file(files: &mut dyn Files, entry: EntryId, expected: &Expected, package: &str) -> Result<Finding, Unread> {
    let size = files.look(entry)?.size;
    if let Some(reason) = too_large(files, size) {
        return Ok(Finding::Unproven(reason));
    }
    Ok(match digest(files, entry, expected)? {
        Match::Proven => Finding::Proven,
        Match::Weak(algorithm) => Finding::Weak(weak(algorithm)),
        Match::Mismatch { expected, found } => {
            Finding::Mismatch { expected: format!("{expected}, of {package}"), found }
        }
    })
}

fn digest(files: &mut dyn Files, entry: EntryId, expected: &Expected) -> Result<Match, Unread> {
    let mut hasher = expected.hasher();
    files.read(entry, &mut |piece| hasher.update(piece))?;
    Ok(expected.judge(&hasher.finish()))
}

fn too_large(files: &dyn Files, size: u64) -> Option<Reason> {
    (size > files.package_bytes_max()).then(|| longer_than_packages(files))
}

fn longer_than_packages(files: &dyn Files) -> Reason {
    format!("longer than any package that is read, of at most {} bytes", files.package_bytes_max()).into()
}

fn weak(algorithm: HashAlgorithm) -> Reason {
    format!("as locked, but by {algorithm}, which proves nothing").into()
}
