//! Names of files in JSON: bytes as in manifests, so that every name is exact.

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

use super::{escape_into, unescape};

/// Writes bytes as escaped text.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut escaped = Vec::new();
    escape_into(&mut escaped, bytes);
    serializer.serialize_str(&String::from_utf8_lossy(&escaped))
}

/// Reads the bytes of escaped text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut bytes = Vec::new();
    unescape(text.as_bytes(), &mut bytes).ok_or_else(|| D::Error::custom("no escaped name"))?;
    Ok(bytes)
}
