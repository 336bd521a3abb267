//! Why a text is not a key of ours.

use crate::base::{Code, Escaped};

/// Why a text is not the key that was wanted. Never holds anything that was read from the body of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not one PEM block, or something stands around it.
    #[error(
        "expected one PEM block labelled `{expected}` and nothing before or after it; write it with `openssl pkey`"
    )]
    NotPem {
        /// The label that was wanted.
        expected: &'static str,
    },
    /// A PEM block of something else.
    #[error("expected a PEM block labelled `{expected}`, found `{}`", Escaped(.found.as_bytes()))]
    Label {
        /// The label that was wanted.
        expected: &'static str,
        /// The label that was there.
        found: String,
    },
    /// The body is not canonical base64 (RFC 4648, section 4), in a PEM block in lines of 64 characters.
    #[error("expected canonical base64 with padding and nothing between its characters, in PEM in lines of 64")]
    Base64,
    /// A text that something was done to on its way.
    #[error(
        "expected a private key in one line of 64 characters, or as PEM, found {found}; `cacheseal key show \
         --private-line FILE` prints the line"
    )]
    Spelling {
        /// What was done.
        found: &'static str,
    },
    /// The DER is not the one form that openssl writes for Ed25519 (RFC 8410).
    #[error("expected the {expected} bytes of DER that openssl writes for an Ed25519 key, found {found} other bytes")]
    Der {
        /// How many bytes were wanted.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// A private key that carries its public key (RFC 5958, version 2): the two could disagree.
    #[error("expected PKCS#8 version 1, found version 2 with a public key inside; rewrite it with `openssl pkey`")]
    Version,
    /// A key for another algorithm.
    #[error("expected an Ed25519 key, found one for {found}; make one with `cacheseal key new`")]
    Algorithm {
        /// Name of the algorithm.
        found: &'static str,
    },
    /// A private key where a public one is wanted.
    #[error(
        "expected a public key, found a private key: consider it leaked, revoke it and make a new one with \
         `cacheseal key new`"
    )]
    PrivateGiven,
    /// A public key where a private one is wanted.
    #[error("expected a private key, found a public key")]
    PublicGiven,
    /// A private key under a passphrase.
    #[error(
        "expected a private key without a passphrase, found an encrypted one; a job cannot type it: decrypt it with \
         `openssl pkey`, or make a new one with `cacheseal key new`"
    )]
    Encrypted,
    /// The 32 bytes are no point of the curve.
    #[error("expected a point of the curve Ed25519, found 32 bytes that are none")]
    NotOnCurve,
    /// A point of small order: anybody can make signatures for it.
    #[error("expected a public key of full order, found one of small order, for which anybody can sign")]
    SmallOrder,
    /// A second spelling of a point (RFC 8032, section 5.1.3): the same key under another keyid.
    #[error("expected the canonical encoding of the public key, found another encoding of the same point")]
    NonCanonical,
}

impl KeyError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotPem { .. }
            | Self::Label { .. }
            | Self::Base64
            | Self::Spelling { .. }
            | Self::Der { .. }
            | Self::Version
            | Self::NotOnCurve => Code::MalformedKey,
            Self::Algorithm { .. } | Self::PrivateGiven | Self::PublicGiven => Code::WrongKeyType,
            Self::Encrypted => Code::EncryptedKey,
            Self::SmallOrder | Self::NonCanonical => Code::WeakKey,
        }
    }
}
