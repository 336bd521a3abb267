//! The one integration binary: a module for each area.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests read the repository and write to throw-away directories")]

mod advice;
mod architecture;
mod archives;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod compatibility;
mod cosign;
mod demand;
mod differences;
mod disposal;
mod drill;
mod dsse;
mod ed25519;
mod evidence;
mod explain;
mod faults;
mod flips;
mod forge;
mod guard;
mod harness;
mod init;
#[cfg(feature = "judges")]
mod judges;
mod keys;
mod keys_cli;
mod lockfile;
mod lockfiles;
mod manifests;
mod output;
mod pack;
mod packed;
mod policy_pairs;
mod policy_table;
mod policy_use;
mod policy_vectors;
mod properties;
mod races;
mod readme;
mod recall;
mod recipes;
mod reports;
mod roots;
mod rows;
#[cfg(feature = "schema")]
mod schema;
mod seal;
mod snapshots;
mod statement;
mod statement_lists;
mod tree;
mod types;
mod unpack;
mod versions;
