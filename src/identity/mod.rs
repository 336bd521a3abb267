//! Who signs: Ed25519 keys (RFC 8032, pure) in the PEM files that `openssl pkey` reads and writes.

mod der;
mod error;
mod key_id;
mod pem;
mod public_key;
mod secret_key;
mod spelling;
#[cfg(test)]
mod tests;

pub use error::KeyError;
pub use key_id::KeyId;
pub use public_key::PublicKey;
pub use secret_key::SecretKey;
pub use spelling::{Shown, redact};
