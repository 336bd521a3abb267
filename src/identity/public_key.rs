//! Public keys.

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};

use super::der::{self, SPKI_LEN, SPKI_PREFIX};
use super::pem::{self, Block};
use super::{KeyError, KeyId};

const LABEL: &str = "PUBLIC KEY";

/// What every private key's PEM label ends in, whatever the algorithm and protection.
const PRIVATE_MARK: &[u8] = b"PRIVATE KEY-----";

/// An Ed25519 public key of full order, canonically encoded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the PEM that `openssl pkey -pubout` writes: one block, nothing around it, LF or CRLF.
    /// A private key in the text, by label or by content, is [`KeyError::PrivateGiven`] whatever else is wrong.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        if text.windows(PRIVATE_MARK.len()).any(|window| window == PRIVATE_MARK) {
            return Err(KeyError::PrivateGiven);
        }
        let block = Block::read(text).ok_or(KeyError::NotPem { expected: LABEL })?;
        if block.label == "RSA PUBLIC KEY" {
            return Err(KeyError::Algorithm { found: "RSA" });
        }
        if block.label != LABEL {
            return Err(KeyError::Label { expected: LABEL, found: block.label.to_owned() });
        }
        Self::from_spki_der(&block.der().ok_or(KeyError::Base64)?)
    }

    fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let bytes = der.strip_prefix(&SPKI_PREFIX).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Self::from_bytes(bytes.ok_or_else(|| der::public_error(der))?)
    }

    fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotOnCurve)?;
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(KeyError::NonCanonical);
        }
        Ok(Self(key))
    }

    /// The public half of a private key, which always is of full order.
    pub(super) fn of(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key())
    }

    /// The PEM, exactly as `openssl pkey -pubout` writes it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::write(LABEL, &self.spki_der()).as_str().to_owned()
    }

    /// The SPKI DER (RFC 8410, section 4).
    #[must_use]
    pub fn spki_der(&self) -> [u8; SPKI_LEN] {
        let mut der = [0; SPKI_LEN];
        for (to, from) in der.iter_mut().zip(SPKI_PREFIX.iter().chain(self.0.as_bytes())) {
            *to = *from;
        }
        der
    }

    /// The key's id: SHA-256 of its SPKI DER.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.spki_der())
    }

    /// Whether this is the key's pure Ed25519 signature of `message`, by the strict rules: S is reduced, R is
    /// canonical and not of small order, and the equation holds without a cofactor.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}
