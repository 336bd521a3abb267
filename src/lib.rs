//! cacheseal decides whether a restored dependency cache is exactly what a trusted job said it was.
//!
//! A **seal** lies beside the policy, in `.cacheseal/<cache>/`, and is saved with the cache: a signed envelope
//! ([`mod@seal`]) that names one **manifest** a root, and the manifests, which name every entry of the roots. A job
//! makes it with [`seal()`] and a key that is its alone. A consuming job holds it against the **policy**
//! ([`policy`]) with [`verify()`], which gives either no refusal at all or every reason against the cache.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use std::path::Path;
//!
//! use cacheseal::base::{Exit, Limits};
//! use cacheseal::cache::{VerifyRequest, Workspace};
//! use cacheseal::policy::Document;
//! use cacheseal::seal::statement::Platform;
//! use cacheseal::tree::Options;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now = jiff::Timestamp::UNIX_EPOCH;
//! // The caller reads policy and keys, from where it trusts them to be what they should be.
//! let document = Document::parse("cacheseal.toml", &std::fs::read("cacheseal.toml")?)?;
//! let keys: Result<BTreeMap<_, _>, _> =
//!     document.files().into_iter().map(|file| Ok((file.to_owned(), std::fs::read(file)?))).collect();
//! let policy = document.resolve(&keys.map_err(|error: std::io::Error| error)?)?;
//!
//! let directory = std::fs::canonicalize(".")?;
//! let home = std::fs::canonicalize(Path::new("/home/ci"))?;
//! let places = policy.place(Some(&home), &directory, "cacheseal.toml")?;
//! let verification = cacheseal::verify(&VerifyRequest {
//!     workspace: &Workspace::open(&directory, Some(home))?,
//!     edge: &policy.edge("cargo", "release")?,
//!     roots: &places["cargo"],
//!     lockfiles_pinned: true,
//!     locked: None,
//!     now,
//!     platform: Platform { os: "linux".into(), arch: "x86_64".into() },
//!     keep: false,
//!     options: Options { threads: 16, processors: 2, limits: &Limits::STANDARD, differences: None },
//! });
//! assert_eq!(verification.exit(), Exit::Ok);
//! # Ok(())
//! # }
//! ```
//!
//! Imports between the modules point left only:
//!
//! ```text
//! base <- identity <- seal, policy <- tree, archive <- lockfile <- verify <- cache <- report <- guard, drill <- cli
//! ```
//!
//! Only `tree`, `guard`, `drill` and `cli` touch files; only `cli` knows arguments, environment, clock and randomness.

pub mod archive;
pub mod base;
pub mod cache;
pub mod cli;
pub mod drill;
pub mod guard;
pub mod identity;
pub mod lockfile;
pub mod policy;
pub mod report;
pub mod seal;
pub mod tree;
pub mod verify;

pub use cache::{pack, seal, unpack, verify};
