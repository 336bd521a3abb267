//! Opening a seal: signature first, then the payload from the very bytes that verified, then the rules.

use crate::base::{Code, Limits, Refusal, Refusals};
use crate::identity::{KeyId, PublicKey};
use crate::policy::Edge;
use crate::seal::envelope::{Checked, UnverifiedEnvelope};
use crate::seal::statement::Statement;
use crate::verify::rules::{Checkout, check, scope};

/// A seal whose signature, signer and statement the gate accepts. Only [`judge_envelope`] makes one.
#[derive(Debug)]
pub struct TrustedSeal {
    statement: Statement,
    signers: Vec<(String, KeyId)>,
}

impl TrustedSeal {
    /// What was signed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The accepted signers whose signatures verified, with the key each used.
    #[must_use]
    pub fn signers(&self) -> &[(String, KeyId)] {
        &self.signers
    }
}

/// Judges the bytes of a `seal.json`; `place` is what refusals call it.
pub fn judge_envelope(
    bytes: &[u8],
    edge: &Edge<'_>,
    checkout: &Checkout,
    place: &str,
    limits: &Limits,
) -> Result<TrustedSeal, Refusals> {
    let one = |code, expected: &str, found: String| {
        let mut refusals = Refusals::new(limits.refusals_max);
        refusals.push(Refusal::new(code, place, expected, found));
        refusals
    };
    let envelope = UnverifiedEnvelope::parse(bytes, limits)
        .map_err(|error| one(error.code(), "a DSSE envelope in strict JSON", error.to_string()))?;
    let keys: Vec<PublicKey> = edge.signers.iter().flat_map(|signer| &signer.keys).map(|key| key.key.clone()).collect();
    let checked = envelope.verified_by(&keys);
    let Some(payload) = checked.payload() else {
        let (code, found) = unsigned(&envelope, &checked, edge);
        return Err(one(code, &format!("a signature by {}", accepted(edge)), found));
    };
    if checked.verified_by_name().is_empty() {
        let found = "a good signature that does not name its key".to_owned();
        return Err(one(Code::UnknownSigner, &format!("a signature by {}", accepted(edge)), found));
    }
    let statement = Statement::parse(payload.payload_type(), payload.bytes(), limits)
        .map_err(|error| one(error.code(), "a statement that this version reads", error.to_string()))?;
    let (signers, scopes) = in_scope(&statement, edge, &checked, place, limits.refusals_max);
    let mut refusals = check(&statement.predicate, edge, checkout, place, limits.refusals_max);
    if signers.is_empty() {
        refusals.append(scopes);
    }
    if refusals.is_empty() { Ok(TrustedSeal { statement, signers }) } else { Err(refusals) }
}

/// The signers whose keys verified and that may make this seal; and why the others may not.
fn in_scope(
    statement: &Statement,
    edge: &Edge<'_>,
    checked: &Checked<'_>,
    place: &str,
    cap: usize,
) -> (Vec<(String, KeyId)>, Refusals) {
    let mut signers = Vec::new();
    let mut refusals = Refusals::new(cap);
    for signer in &edge.signers {
        let Some(key) = signer.keys.iter().map(|key| key.key.id()).find(|id| checked.verified_by_name().contains(id))
        else {
            continue;
        };
        let scope = scope(&statement.predicate, signer, place, cap);
        if scope.is_empty() {
            signers.push((signer.name.clone(), key));
        }
        refusals.append(scope);
    }
    (signers, refusals)
}

/// Why no signature counts: none at all, a bad one, one by a signer of another gate, or a stranger's.
fn unsigned(envelope: &UnverifiedEnvelope, checked: &Checked<'_>, edge: &Edge<'_>) -> (Code, String) {
    if !checked.has_signatures() {
        return (Code::NoSignature, "no signature".to_owned());
    }
    if !checked.mismatched().is_empty() {
        return (Code::SignatureMismatch, "a signature that names such a key but does not verify".to_owned());
    }
    for signer in &edge.others {
        let keys: Vec<PublicKey> = signer.keys.iter().map(|key| key.key.clone()).collect();
        if envelope.verified_by(&keys).payload().is_some() {
            let found = format!("a signature by `{}`, which this gate does not accept", signer.name);
            return (Code::SignerNotAccepted, found);
        }
    }
    (Code::UnknownSigner, "only signatures by keys that the policy does not name".to_owned())
}

fn accepted(edge: &Edge<'_>) -> String {
    edge.signers.iter().map(|signer| format!("`{}`", signer.name)).collect::<Vec<_>>().join(" or ")
}
