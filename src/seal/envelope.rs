//! The envelope: DSSE 1.0.2 in strict JSON. What it carries comes out only through a key that signed it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::base::{Code, Json, JsonError, Limits};
use crate::identity::{KeyId, PublicKey, SecretKey};

/// Why bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Larger than [`Limits::envelope_bytes_max`].
    #[error("expected at most {max} bytes, found {found}")]
    TooLarge {
        /// Most bytes that are read.
        max: u64,
        /// How many there were.
        found: u64,
    },
    /// More than [`Limits::signatures_max`].
    #[error("expected at most {max} signatures, found {found}")]
    TooManySignatures {
        /// Most signatures that are looked at.
        max: usize,
        /// How many there were.
        found: usize,
    },
    /// Not strict JSON, or not the fields of an envelope.
    #[error("expected a DSSE envelope in JSON: {0}")]
    Json(#[from] JsonError),
    /// Not canonical base64 in one alphabet.
    #[error("`{field}` must be base64 with padding, standard or URL-safe, and nothing between its characters")]
    Base64 {
        /// The field.
        field: &'static str,
    },
}

impl EnvelopeError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::SealTooLarge,
            Self::TooManySignatures { .. } => Code::TooManySignatures,
            Self::Json(_) | Self::Base64 { .. } => Code::MalformedEnvelope,
        }
    }
}

/// The pre-authentication encoding (DSSE protocol, "Signature Definition"): the bytes that are signed.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

/// An envelope of which nothing is known to be true. Its payload comes out of [`Checked::payload`], or by the
/// name that says what it is.
#[derive(Debug, Clone)]
pub struct UnverifiedEnvelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone)]
struct Signature {
    /// Which key it claims to be by; empty when it does not say.
    keyid: String,
    /// `None` if it is not of 64 bytes: such a one is by no key, and no reason against the others.
    bytes: Option<[u8; 64]>,
}

impl UnverifiedEnvelope {
    /// Parses `seal.json`. Unknown fields are ignored, as the specification demands.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, EnvelopeError> {
        let found = bytes.len() as u64;
        if found > limits.envelope_bytes_max {
            return Err(EnvelopeError::TooLarge { max: limits.envelope_bytes_max, found });
        }
        let json = Json::parse(bytes, limits.json_depth_max)?;
        let fields = json.object("envelope")?;
        let signatures = Json::required(fields, "signatures")?.array("signatures")?;
        if signatures.len() > limits.signatures_max {
            return Err(EnvelopeError::TooManySignatures { max: limits.signatures_max, found: signatures.len() });
        }
        Ok(Self {
            payload_type: Json::required(fields, "payloadType")?.string("payloadType")?.to_owned(),
            payload: base64_field(fields, "payload")?,
            signatures: signatures.iter().map(Signature::parse).collect::<Result<_, _>>()?,
        })
    }

    /// Checks the signatures against `keys`, which the caller trusts. A `keyid` only chooses the key to try: a
    /// signature that names one of `keys` is tried with that key alone, one that names none is tried with each,
    /// one that names another is skipped.
    #[must_use]
    pub fn verified_by(&self, keys: &[PublicKey]) -> Checked<'_> {
        self.check(keys, true)
    }

    /// The same, but a signature that names no key is skipped: every signature of a seal names its own, and trying
    /// each with every key would let anybody buy much work with few bytes.
    #[must_use]
    pub fn verified_by_name(&self, keys: &[PublicKey]) -> Checked<'_> {
        self.check(keys, false)
    }

    fn check(&self, keys: &[PublicKey], nameless: bool) -> Checked<'_> {
        let message = pae(&self.payload_type, &self.payload);
        let keys: Vec<_> = keys.iter().map(|key| (key.id(), key)).collect();
        let mut checked = Checked { envelope: self, verified: BTreeSet::new(), mismatched: BTreeSet::new() };
        for signature in &self.signatures {
            let named = KeyId::parse(&signature.keyid);
            let tries_all = nameless && signature.keyid.is_empty();
            for (id, key) in keys.iter().filter(|(id, _)| tries_all || named == Some(*id)) {
                if signature.bytes.is_some_and(|bytes| key.verify(&message, &bytes)) {
                    checked.verified.insert(*id);
                } else if named.is_some() {
                    checked.mismatched.insert(*id);
                }
            }
        }
        checked
    }

    /// Type and bytes of the payload, which anybody may have written.
    #[must_use]
    pub fn unverified_payload(&self) -> (&str, &[u8]) {
        (&self.payload_type, &self.payload)
    }

    /// What each signature says it is by, empty where it does not say. Anybody may have written it: show it
    /// through [`crate::base::Escaped`].
    pub fn unverified_keyids(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().map(|signature| signature.keyid.as_str())
    }
}

impl Signature {
    fn parse(json: &Json) -> Result<Self, EnvelopeError> {
        let fields = json.object("signature")?;
        let keyid = Json::field(fields, "keyid").map_or(Ok(""), |keyid| keyid.string("keyid"))?;
        let bytes = base64_field(fields, "sig")?;
        Ok(Self { keyid: keyid.to_owned(), bytes: bytes.try_into().ok() })
    }
}

fn base64_field(fields: &[(String, Json)], field: &'static str) -> Result<Vec<u8>, EnvelopeError> {
    let text = Json::required(fields, field)?.string(field)?;
    // Each engine refuses the two characters of the other, so one value never mixes alphabets.
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(text).map_err(|_| EnvelopeError::Base64 { field })
}

/// What the signatures of an envelope prove.
#[derive(Debug, Clone)]
pub struct Checked<'e> {
    envelope: &'e UnverifiedEnvelope,
    verified: BTreeSet<KeyId>,
    mismatched: BTreeSet<KeyId>,
}

impl<'e> Checked<'e> {
    /// The keys that signed this payload, each once however often it was given or has signed.
    #[must_use]
    pub fn verified(&self) -> &BTreeSet<KeyId> {
        &self.verified
    }

    /// The keys that a signature names which is not theirs over this payload. A key that also has a good
    /// signature is in [`Checked::verified`] too.
    #[must_use]
    pub fn mismatched(&self) -> &BTreeSet<KeyId> {
        &self.mismatched
    }

    /// Whether the envelope carries any signature, by whomever.
    #[must_use]
    pub fn has_signatures(&self) -> bool {
        !self.envelope.signatures.is_empty()
    }

    /// The payload, if at least one of the keys signed it.
    #[must_use]
    pub fn payload(&self) -> Option<VerifiedPayload<'e>> {
        let UnverifiedEnvelope { payload_type, payload, .. } = self.envelope;
        (!self.verified.is_empty()).then_some(VerifiedPayload { payload_type, bytes: payload })
    }
}

/// The very bytes that a trusted key signed, and the type it signed them as. Only [`Checked::payload`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedPayload<'e> {
    payload_type: &'e str,
    bytes: &'e [u8],
}

impl<'e> VerifiedPayload<'e> {
    /// The payload type.
    #[must_use]
    pub fn payload_type(&self) -> &'e str {
        self.payload_type
    }

    /// The payload.
    #[must_use]
    pub fn bytes(&self) -> &'e [u8] {
        self.bytes
    }
}

/// Signs a payload: the bytes of `seal.json`, one signature a key, in the order of `keys`. The same input always
/// gives the same bytes.
#[must_use]
pub fn sign(payload_type: &str, payload: &[u8], keys: &[&SecretKey]) -> Vec<u8> {
    let message = pae(payload_type, payload);
    let signatures: Vec<_> = keys.iter().map(|key| signature_json(key, &message)).collect();
    encode(payload_type, payload, &signatures)
}

/// The bytes of an envelope with one signature more. Those that it has are kept, checked or not: no verifier takes
/// one on trust. One that is not 64 bytes long can never verify, and is left out.
#[must_use]
pub fn add_signature(envelope: &UnverifiedEnvelope, key: &SecretKey) -> Vec<u8> {
    let UnverifiedEnvelope { payload_type, payload, signatures } = envelope;
    let kept = signatures.iter().filter_map(|signature| {
        Some(serde_json::json!({ "keyid": signature.keyid, "sig": STANDARD.encode(signature.bytes?) }))
    });
    let added = signature_json(key, &pae(payload_type, payload));
    encode(payload_type, payload, &kept.chain([added]).collect::<Vec<_>>())
}

fn signature_json(key: &SecretKey, message: &[u8]) -> serde_json::Value {
    serde_json::json!({ "keyid": key.public().id().to_string(), "sig": STANDARD.encode(key.sign(message)) })
}

fn encode(payload_type: &str, payload: &[u8], signatures: &[serde_json::Value]) -> Vec<u8> {
    let envelope = serde_json::json!({
        "payloadType": payload_type,
        "payload": STANDARD.encode(payload),
        "signatures": signatures,
    });
    format!("{envelope:#}\n").into_bytes()
}
