//! The DER of Ed25519 keys (RFC 8410): the one form that is read and written, and a look at anything else for
//! the sake of a clear error.

use ed25519_dalek::pkcs8::spki::der::asn1::{AnyRef, OctetStringRef};
use ed25519_dalek::pkcs8::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use ed25519_dalek::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};

use super::KeyError;

/// What openssl writes before the 32 bytes of a public key.
pub(super) const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What openssl writes before the 32 bytes of a private key: PKCS#8 version 1.
pub(super) const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Length of a public key in SPKI.
pub(super) const SPKI_LEN: usize = SPKI_PREFIX.len() + 32;

/// Length of a private key in PKCS#8 version 1.
pub(super) const PKCS8_LEN: usize = PKCS8_PREFIX.len() + 32;

/// RFC 5958, section 3: an algorithm and an octet string, where a public key has a bit string.
type EncryptedPrivateKeyInfo<'a> = SubjectPublicKeyInfo<AnyRef<'a>, &'a OctetStringRef>;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const OTHERS: [(ObjectIdentifier, &str); 5] = [
    (ObjectIdentifier::new_unwrap("1.3.101.110"), "X25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.111"), "X448"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.2.1"), "ECDSA"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"), "RSA"),
];

/// Why this DER is not a public Ed25519 key.
pub(super) fn public_error(der: &[u8]) -> KeyError {
    if PrivateKeyInfoRef::try_from(der).is_ok() {
        return KeyError::PrivateGiven;
    }
    match SubjectPublicKeyInfoRef::try_from(der) {
        Ok(key) if key.algorithm.oid != ED25519 => algorithm_error(key.algorithm.oid),
        _ => KeyError::Der { expected: SPKI_LEN, found: der.len() },
    }
}

/// Why this DER is not a private Ed25519 key.
pub(super) fn private_error(der: &[u8]) -> KeyError {
    if SubjectPublicKeyInfoRef::try_from(der).is_ok() {
        return KeyError::PublicGiven;
    }
    if EncryptedPrivateKeyInfo::try_from(der).is_ok() {
        return KeyError::Encrypted;
    }
    match PrivateKeyInfoRef::try_from(der) {
        Ok(key) if key.algorithm.oid != ED25519 => algorithm_error(key.algorithm.oid),
        Ok(key) if key.public_key.is_some() => KeyError::Version,
        _ => KeyError::Der { expected: PKCS8_LEN, found: der.len() },
    }
}

fn algorithm_error(oid: ObjectIdentifier) -> KeyError {
    let known = OTHERS.iter().find(|(other, _)| *other == oid);
    KeyError::Algorithm { found: known.map_or("another algorithm", |(_, name)| name) }
}
