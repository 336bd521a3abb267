//! The one integration binary: a module for each area.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests read the repository and write to throw-away directories")]

mod architecture;
mod dsse;
mod ed25519;
mod harness;
#[cfg(feature = "judges")]
mod judges;
mod keys;
mod lockfiles;
mod tree;
