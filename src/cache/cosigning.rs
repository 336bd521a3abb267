//! Adding a signature: a second job vouches for a seal after verifying it, tree and all.

use std::collections::{BTreeMap, BTreeSet};

use super::sealing::{SealError, check_signer};
use super::verifying::{Facts, Verification, VerifyRequest, verify_cache};
use crate::base::{Code, Digest, Escaped, Limits, Refusal, Refusals};
use crate::identity::{PublicKey, SecretKey};
use crate::seal::envelope::{UnverifiedEnvelope, add_signature};
use crate::seal::statement::Statement;
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{Found, SealDirectory, Staging};
use crate::verify::weaker_gate;

/// What the second job says of itself: it vouches for no word of the first that it does not know to be true.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The names and values that the seal must bind, all of them and no others.
    pub bindings: BTreeMap<String, String>,
    /// The branch or tag of this job, where its CI system tells one.
    pub ref_: Option<String>,
}

/// Verifies a seal as `request` says, then adds the signature of `key` and puts the new seal in place in one step.
/// The statement and the manifests stay byte for byte as they were.
pub fn cosign(request: &VerifyRequest<'_>, vouched: &Vouched, key: &SecretKey) -> Result<Statement, SealError> {
    let keyid = key.public().id();
    let (policy, limits) = (request.edge.policy, request.options.limits);
    let signer = policy.signer_of(&keyid).ok_or(SealError::UnknownSigner(keyid))?;
    let Verification { refusals, facts, .. } = verify_cache(request);
    let (true, Some(Facts { statement, signers, .. })) = (refusals.is_empty(), facts) else {
        return Err(SealError::Refused(refusals));
    };
    check_signer(&statement, policy, signer, key, request.now, limits)?;
    let cache = &request.edge.cache.name;
    let mut refusals = not_vouched(&statement, vouched, limits);
    let signers: Vec<_> = signers.into_iter().map(|(name, _)| name).collect();
    let bindings = &statement.predicate.bindings;
    if let Some((gate, found)) = weaker_gate(policy, cache, &signer.name, &signers, bindings, bindings) {
        let gate = &gate.name;
        let expected = format!("a seal by a signer of gate `{gate}`, which accepts `{}` too", signer.name);
        refusals.push(Refusal::new(Code::UnverifiedBase, format!("{SEALS}/{cache}/{ENVELOPE}"), expected, found));
    }
    if !refusals.is_empty() {
        return Err(SealError::Refused(refusals));
    }
    let Ok(Found::There(verified)) = SealDirectory::open(request.workspace.policy_directory(), cache) else {
        return Err(changed("it is gone"));
    };
    let envelope = reread_envelope(&verified, &statement, &key.public(), limits)?;
    let staging = Staging::begin(request.workspace.policy_directory(), cache)?;
    let manifests = statement.predicate.roots.iter().filter_map(|root| root.manifest.as_deref());
    for (name, subject) in manifests.zip(&statement.subjects) {
        let manifest = read(&verified, name, limits.manifest_bytes_max)?;
        if Digest::sha256(&manifest) != subject.sha256 {
            return Err(changed(name));
        }
        staging.write(name, &manifest)?;
    }
    let bytes = add_signature(&envelope, key);
    // One signature too many would make a good seal one that nobody reads.
    UnverifiedEnvelope::parse(&bytes, limits)?;
    staging.write(ENVELOPE, &bytes)?;
    staging.publish()?;
    Ok(statement)
}

/// Where the statement says something else than the second job knows.
fn not_vouched(statement: &Statement, vouched: &Vouched, limits: &Limits) -> Refusals {
    let predicate = &statement.predicate;
    let place = format!("{SEALS}/{}/{ENVELOPE}", predicate.cache);
    let mut refusals = Refusals::new(limits.refusals_max);
    let names: BTreeSet<_> = predicate.bindings.keys().chain(vouched.bindings.keys()).collect();
    for name in names {
        let (known, said) = (vouched.bindings.get(name), predicate.bindings.get(name));
        if known != said {
            let text = |value: Option<&String>| match value {
                Some(value) => format!("binding `{}`", Escaped(format!("{name}={value}").as_bytes())),
                None => format!("no binding `{}`", Escaped(name.as_bytes())),
            };
            refusals.push(Refusal::new(Code::WrongBinding, place.as_str(), text(known), text(said)));
        }
    }
    if let Some(known) = &vouched.ref_
        && predicate.source.ref_.as_ref() != Some(known)
    {
        let text = |name: &str| format!("sealed from `{}`", Escaped(name.as_bytes()));
        let said = predicate.source.ref_.as_deref().map_or_else(|| "sealed from no ref".to_owned(), text);
        refusals.push(Refusal::new(Code::WrongRef, place, text(known), said));
    }
    refusals
}

/// The envelope, if it still holds the statement that was just verified, and no signature of this key yet.
fn reread_envelope(
    verified: &SealDirectory,
    statement: &Statement,
    key: &PublicKey,
    limits: &Limits,
) -> Result<UnverifiedEnvelope, SealError> {
    let bytes = read(verified, ENVELOPE, limits.envelope_bytes_max)?;
    let envelope = UnverifiedEnvelope::parse(&bytes, limits).map_err(|error| changed(&error.to_string()))?;
    let (payload_type, payload) = envelope.unverified_payload();
    if Statement::parse(payload_type, payload, limits).ok().as_ref() != Some(statement) {
        return Err(changed(ENVELOPE));
    }
    // Only a good signature counts: anybody can put a bad one under this key's id, and it must not keep the job out.
    if envelope.verified_by_name(std::slice::from_ref(key)).verified().contains(&key.id()) {
        return Err(SealError::AlreadySigned(key.id()));
    }
    Ok(envelope)
}

fn read(verified: &SealDirectory, name: &str, max: u64) -> Result<Vec<u8>, SealError> {
    verified.file(name, max).map_err(|error| changed(&format!("`{name}` {error}")))
}

fn changed(what: &str) -> SealError {
    SealError::NotAsWritten(format!("the seal has changed since it was verified: {what}"))
}
