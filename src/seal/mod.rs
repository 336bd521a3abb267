//! The signed documents of a seal: manifests, the statement that names them, the envelope that signs it.

pub mod envelope;
pub mod manifest;
pub mod statement;
