//! The policy, `cacheseal.toml`: which caches there are, who may seal them, what a consuming job demands.
//! Text and bytes in, types out; every error names file, line and column. `docs/POLICY.md` explains each field.
//!
//! A policy is read in two steps, because it names key files and nothing here opens them:
//! [`Document::parse`] says which files are needed ([`Document::files`]), [`Document::resolve`] takes their bytes.

mod cache;
mod check;
mod document;
mod duration;
mod error;
mod gate;
mod glob;
mod located;
mod path;
mod pattern;
mod pin;
mod place;
mod resolved;
mod revocations;
mod shape;
mod share;
mod signer;
mod similar;
mod source;
mod starter;
#[cfg(test)]
mod tests;
mod text;
mod validity;

pub use cache::{Cache, Installed};
pub use check::Lint;
pub use document::Document;
pub use duration::{MaxAge, MaxAgeError};
pub use error::{PolicyError, Position};
pub use gate::{Gate, LinkRule, LockfileRule, Require, Unproven};
pub use glob::{Glob, GlobError};
pub use located::Located;
pub use path::{RootBase, RootPath, SpellingError};
pub use pattern::{PathPattern, PathPatternError};
pub use pin::policy_digest;
pub use place::PlacedRoot;
pub use resolved::{Edge, Policy};
pub use revocations::{REVOCATIONS, Revocation, Revocations, entry_text};
pub use share::MinCoverage;
pub use signer::{Scope, Signer, SignerKey};
pub(crate) use similar::closest;
pub use starter::{StarterCache, lockfile_starter, starter};
pub use validity::{Standing, Validity, WARNING};
