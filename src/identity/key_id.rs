//! The name of a key.

use std::fmt;

use crate::base::Digest;

/// SHA-256 of a public key's SPKI DER (RFC 8410), written as 64 lower-case hex digits: the `keyid` of DSSE
/// signatures and of the revocation list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Digest);

impl KeyId {
    /// The id of the key with this SPKI DER.
    #[must_use]
    pub(super) fn of(spki_der: &[u8]) -> Self {
        Self(Digest::sha256(spki_der))
    }

    /// Reads exactly 64 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Digest::from_hex(text.as_bytes()).map(Self)
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
