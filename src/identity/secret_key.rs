//! Private keys. Every buffer that held one is cleared when it goes.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use super::der::{self, PKCS8_LEN, PKCS8_PREFIX};
use super::pem::{self, Block};
use super::spelling::misspelt;
use super::{KeyError, PublicKey};

const LABEL: &str = "PRIVATE KEY";

/// An Ed25519 private key. Cleared on drop; shown as its keyid alone.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of 32 random bytes (RFC 8032, section 5.1.5), which are cleared.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let key = SigningKey::from_bytes(&seed);
        drop(seed);
        Self(key)
    }

    /// Reads the PEM that `openssl genpkey -algorithm ed25519` writes: PKCS#8 version 1, one block, nothing
    /// around it, LF or CRLF, no passphrase.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = Block::read(text).ok_or(KeyError::NotPem { expected: LABEL })?;
        check_label(block.label)?;
        Self::from_pkcs8_der(&block.der().ok_or(KeyError::Base64)?)
    }

    /// Reads one line of a CI variable: base64 of the PKCS#8 DER, as [`SecretKey::to_line`] writes it. A whole PEM
    /// text is read too. White space around it is ignored: consoles and shells add it.
    pub fn from_line(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_ascii();
        let key = if text.starts_with("-----BEGIN") {
            Self::from_pem(text.as_bytes())
        } else {
            pem::decode(text.as_bytes()).ok_or(KeyError::Base64).and_then(|der| Self::from_pkcs8_der(&der))
        };
        key.map_err(|error| match (&error, misspelt(text)) {
            (KeyError::NotPem { .. } | KeyError::Base64 | KeyError::Der { .. }, Some(found)) => {
                KeyError::Spelling { found }
            }
            _ => error,
        })
    }

    fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let seed = der.strip_prefix(&PKCS8_PREFIX).and_then(|seed| <&[u8; 32]>::try_from(seed).ok());
        seed.map(|seed| Self(SigningKey::from_bytes(seed))).ok_or_else(|| der::private_error(der))
    }

    fn pkcs8_der(&self) -> Zeroizing<[u8; PKCS8_LEN]> {
        let mut der = Zeroizing::new([0; PKCS8_LEN]);
        for (to, from) in der.iter_mut().zip(PKCS8_PREFIX.iter().chain(self.0.as_bytes())) {
            *to = *from;
        }
        der
    }

    /// The key as one line without a line feed, for a CI variable: canonical base64 of the PKCS#8 DER.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        pem::encode(&*self.pkcs8_der())
    }

    /// The PEM, exactly as `openssl genpkey` writes it.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::write(LABEL, &*self.pkcs8_der())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::of(&self.0)
    }

    /// The pure Ed25519 signature of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

fn check_label(label: &str) -> Result<(), KeyError> {
    match label {
        LABEL => Ok(()),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::PublicGiven),
        "RSA PRIVATE KEY" => Err(KeyError::Algorithm { found: "RSA" }),
        "EC PRIVATE KEY" => Err(KeyError::Algorithm { found: "ECDSA" }),
        _ => Err(KeyError::Label { expected: LABEL, found: label.to_owned() }),
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().id())
    }
}
