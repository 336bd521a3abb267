//! Changes to `seal.json`. None of them signs anything: what needs a key is done by sealing again.

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::identity::KeyId;

/// The envelope at `path`, as JSON.
pub fn read(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Rewrites the envelope at `path`.
pub fn edit(path: &Path, change: impl FnOnce(&mut Value)) -> io::Result<()> {
    let mut envelope = read(path)?;
    change(&mut envelope);
    fs::write(path, envelope.to_string())
}

/// The statement that an envelope carries; empty where it carries none.
#[must_use]
pub fn payload(envelope: &Value) -> Vec<u8> {
    let text = envelope.pointer("/payload").and_then(Value::as_str).unwrap_or_default();
    STANDARD.decode(text).unwrap_or_default()
}

/// Puts another statement under the signatures that are there.
pub fn set_payload(envelope: &mut Value, payload: &[u8]) {
    set(envelope, "/payload", STANDARD.encode(payload).into());
}

/// Takes all signatures away.
pub fn remove_signatures(envelope: &mut Value) {
    set(envelope, "/signatures", Value::Array(Vec::new()));
}

/// Takes the signatures of another envelope in the place of its own.
pub fn take_signatures(envelope: &mut Value, other: &Value) {
    set(envelope, "/signatures", other.pointer("/signatures").cloned().unwrap_or_default());
}

/// Says that the first signature is by this key.
pub fn claim_key(envelope: &mut Value, key: KeyId) {
    set(envelope, "/signatures/0/keyid", key.to_string().into());
}

fn set(envelope: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = envelope.pointer_mut(pointer) {
        *place = value;
    }
}
