//! `h1:` digests, as `golang.org/x/mod/sumdb/dirhash` makes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::sum::Sum;

/// SHA-256 of files, by their names with the module's before them.
pub(super) type Listed = BTreeMap<Vec<u8>, [u8; 32]>;

/// The digest of files: over a line of digest and name for each, sorted by the bytes of the names. `None` for a name
/// with a line feed, which has no line.
pub(super) fn h1(listed: &Listed) -> Option<Sum> {
    let mut all = Sha256::new();
    for (name, digest) in listed {
        if name.contains(&b'\n') {
            return None;
        }
        all.update(hex::encode(digest));
        all.update(b"  ");
        all.update(name);
        all.update(b"\n");
    }
    Some(Sum(all.finalize().into()))
}

/// The digest of a `go.mod`.
pub(super) fn h1_of_go_mod(digest: [u8; 32]) -> Sum {
    let mut line = hex::encode(digest);
    let _ = writeln!(line, "  go.mod");
    Sum(Sha256::digest(line).into())
}
