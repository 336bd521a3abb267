//! cacheseal decides whether a restored dependency cache is exactly what a trusted job said it was.
//!
//! A **seal** lies beside the policy, in `.cacheseal/<cache>/`, and is saved with the cache: a signed envelope
//! that names one **manifest** a root, and the manifests, which name every entry of the roots. A job makes it with
//! `cacheseal seal` and a key that is its alone. A consuming job compares it with the **policy**, `cacheseal.toml`, by
//! [`Checkout::verify`], which gives either no refusal at all or every reason against the cache.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use cacheseal::base::Exit;
//! use cacheseal::{Checkout, Context, Trust};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let context = Context::of_process();
//! // Nothing was restored over this checkout, or else `Trust::Sha256` pins its policy and keys.
//! let checkout = Checkout::open(Path::new("cacheseal.toml"), Trust::Checkout, &context)?;
//! let verification = checkout.verify("cargo", "release", &context)?;
//! for refusal in verification.refusals.iter() {
//!     println!("{}: expected {}, found {}", refusal.code, refusal.expected, refusal.found);
//! }
//! assert_eq!(verification.exit(), Exit::Ok);
//! # Ok(())
//! # }
//! ```
//!
//! Imports between the modules point left only:
//!
//! ```text
//! base <- identity <- seal, policy <- tree, archive <- lockfile <- verify <- cache <- checkout, report <- guard, drill <- cli
//! ```
//!
//! Only `tree`, `checkout`, `guard`, `drill` and `cli` touch files. Clock and environment are read by `cli`, and for a
//! library's user by [`Context::of_process`]; arguments and randomness are known to `cli` alone.
//!
//! What is shown here is the interface of the library, and versions keep it. The modules that are hidden in this
//! documentation are for the program and for its tests: they can change in every version. Times are those of `jiff`,
//! which reads and compares what a statement says in RFC 3339.

#[doc(hidden)]
pub mod archive;
pub mod base;
#[doc(hidden)]
pub mod cache;
#[doc(hidden)]
pub mod checkout;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod drill;
#[doc(hidden)]
pub mod guard;
#[doc(hidden)]
pub mod identity;
#[doc(hidden)]
pub mod lockfile;
#[doc(hidden)]
pub mod policy;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod seal;
#[doc(hidden)]
pub mod tree;
#[doc(hidden)]
pub mod verify;

pub use cache::{Facts, Verification};
pub use checkout::{Checkout, Context, Failure, OpenError, Trust};
pub use identity::KeyId;
pub use seal::statement::{Platform, Predicate, SealedRoot, Source, Statement};
pub use verify::{Amount, Coverage, Rule};
