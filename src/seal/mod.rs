//! The signed documents of a seal: manifests, the statement that names them, the envelope that signs it.

pub mod envelope;
pub mod manifest;
pub mod statement;

/// The directory below the policy's that holds all seals, one directory a cache.
pub const SEALS: &str = ".cacheseal";

/// The signed envelope in a seal.
pub const ENVELOPE: &str = "seal.json";
