//! What an attacker does to a cache, as a library: a throw-away project with keys in memory, a sample that is sealed
//! anew for each attack, and the one code that each attack must be refused with.
//!
//! [`attacks`] is the list that `cacheseal drill` runs on a [`Bench`]. [`tampering`] and [`forgery`] are the single
//! changes that it is made of, to files and to `seal.json`; tests make the same changes to projects of their own.
#![expect(clippy::disallowed_methods, reason = "makes a directory of its own and tampers with it")]

mod attack;
mod bench;
mod error;
pub mod forgery;
mod sample;
pub mod tampering;

pub use attack::{Attack, Tried, attacks};
pub use bench::{Bench, Ground};
pub use error::DrillError;
