//! Adding a signature: a second job vouches for a seal after verifying it, tree and all.

use super::sealing::{SealError, check_signer};
use super::verifying::{Facts, Verification, VerifyRequest, verify};
use crate::base::{Digest, Limits};
use crate::identity::{PublicKey, SecretKey};
use crate::seal::ENVELOPE;
use crate::seal::envelope::{UnverifiedEnvelope, add_signature};
use crate::seal::statement::Statement;
use crate::tree::{Found, SealDirectory, Staging};

/// Verifies a seal as `request` says, then adds the signature of `key` and puts the new seal in place in one step.
/// The statement and the manifests stay byte for byte as they were.
pub fn cosign(request: &VerifyRequest<'_>, key: &SecretKey) -> Result<Statement, SealError> {
    let keyid = key.public().id();
    let (policy, limits) = (request.edge.policy, request.options.limits);
    let signer = policy.signer_of(&keyid).ok_or(SealError::UnknownSigner(keyid))?;
    let Verification { refusals, facts, .. } = verify(request);
    let (true, Some(Facts { statement, .. })) = (refusals.is_empty(), facts) else {
        return Err(SealError::Refused(refusals));
    };
    check_signer(&statement, policy, signer, key, request.now, limits)?;
    let cache = &request.edge.cache.name;
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
