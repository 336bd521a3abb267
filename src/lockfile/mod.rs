//! What upstream promised: the packages that a lockfile of the checkout names, and what a cache holds of them.
//! Pure: bytes in, findings out. Each ecosystem is a folder of its own; `docs/LOCKFILES.md` has a table for each.
//!
//! A proof goes from the lockfile to the bytes and never the other way: [`Locked::plan`] looks at the names in the
//! roots and makes [`Claim`]s, each about one package at one place; [`Claim::prove`] reads the files and says of each
//! entry whether it is what was locked. What no claim speaks of is unproven.

mod archive;
mod artifact;
mod checksum;
mod claim;
mod ecosystem;
mod error;
mod exact;
mod findings;
mod forest;
mod hold;
mod scratch;
mod set;
mod source;
mod system;
mod tar_gz;
mod unpacked;
mod yaml;
mod zip;

pub mod cargo;
pub mod go;
pub mod gradle;
pub mod maven;
pub mod npm;
pub mod pnpm;
pub mod python;
pub mod yarn;

pub use archive::{Member, MemberKind, Take, UnpackError};
pub use artifact::Artifact;
pub use checksum::{Checksum, Expected, HashAlgorithm, ManyHasher, Match};
pub use claim::{Claim, Files, Plan};
pub use ecosystem::{Ecosystem, Locked, Starter};
pub use error::LockfileError;
pub use exact::Exact;
pub use findings::{Finding, Findings, Reason};
pub use forest::{EntryId, Forest, RootTree};
pub use hold::{Held, hold, hold_file};
pub use scratch::ScratchPool;
pub use set::{ECOSYSTEMS, LockedSet, SEALED_ONLY, ecosystem_of, starters};
pub use source::{Lines, LockfileText};
pub use system::System;
pub use tar_gz::tar_gz;
pub use unpacked::Unpacked;
pub use yaml::{Node, Yaml};
pub use zip::zip;
