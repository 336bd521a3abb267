//! Verifying an archive in one pass: every member is held against the seal as it comes, or, where the seal comes
//! later, as soon as the seal is known. Nothing is written, unless a [`Sink`] takes what was accepted.

mod held;
mod members;
mod request;
mod run;
mod seal;

pub use request::{ArchiveRequest, ArchiveVerification, Sink};
pub use run::{extract_archive, verify_archive};
