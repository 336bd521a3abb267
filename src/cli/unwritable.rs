//! Files that could not be made.

use std::path::Path;

use crate::base::Code;
use crate::checkout::{Failure, shown};

pub(super) fn exists(name: &str) -> Failure {
    Failure::new(Code::FileExists, format!("{} exists and is never overwritten", shown(Path::new(name))))
        .hint("choose another name, or move the old file away if nothing needs it")
}

/// A file that could not be made: because it is there, or for the system's reason.
pub(super) fn unwritable(name: &str, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return exists(name);
    }
    Failure::new(Code::Unwritable, format!("could not write {}: {error}", shown(Path::new(name))))
}
