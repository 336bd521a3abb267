//! A checkout with its policy, opened once, and what is asked of it.
#![expect(clippy::disallowed_methods, reason = "this room reads clock, environment and paths for all others")]

mod context;
mod failure;
mod judging;
mod open;

pub use context::Context;
pub(crate) use context::{shown, split};
pub use failure::Failure;
pub(crate) use failure::key_failure;
pub(crate) use judging::{Asked, Belief};
pub use open::{Checkout, OpenError, Trust};
pub(crate) use open::{named_revocations, policy_directory};
