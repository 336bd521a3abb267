//! Verifying an archive in one pass: every member is held against the seal as it comes, or, where the seal comes
//! later, as soon as the seal is known. Nothing is written, unless a [`Sink`] takes what was accepted.

mod expected;
mod members;
mod progress;
mod request;
mod run;
mod seal;

pub(super) use request::Sink;
pub use request::{ArchiveRequest, ArchiveVerification};
pub use run::verify_archive;
pub(super) use run::{LookedAt, extract_archive, look_at_checkout};
