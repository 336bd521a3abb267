//! Opening a seal, wherever its bytes come from.

use super::place::Workspace;
use crate::base::{Code, Digest, Limits, Refusal, Refusals};
use crate::policy::Edge;
use crate::seal::manifest::{Manifest, Totals};
use crate::seal::statement::{SealedRoot, Subject};
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{ReadError, SealDirectory};
use crate::verify::{Checkout, Lockfiles, Rule, Trail, TrustedSeal, judge_envelope};

/// Judges the bytes of a `seal.json`: the seal if the gate accepts it, every rule, and every refusal.
pub(super) fn judge_seal(
    bytes: &[u8],
    edge: &Edge<'_>,
    checkout: &Checkout,
    limits: &Limits,
) -> (Option<TrustedSeal>, Vec<Rule>, Refusals) {
    let place = format!("{SEALS}/{}/{ENVELOPE}", edge.cache.name);
    let mut trail = Trail::new(place, limits.refusals_max);
    let trusted = judge_envelope(bytes, edge, checkout, limits, &mut trail);
    let (rules, refusals) = trail.into_parts();
    (trusted, rules, refusals)
}

/// A seal that others may replace is none, whatever it says.
pub(super) fn forbidden_modes(seal: &SealDirectory) -> impl Iterator<Item = Refusal> {
    let expected = "not writable by others, and no setuid, setgid or sticky bit on a file";
    seal.forbidden()
        .iter()
        .map(move |(place, found)| Refusal::new(Code::ForbiddenMode, place.as_slice(), expected, found.as_str()))
}

/// A manifest, from the very bytes whose digest was signed: `found` is their SHA-256. `place` is the manifest as
/// refusals name it.
pub(super) fn check_manifest(
    bytes: &[u8],
    found: Digest,
    subject: &Subject,
    sealed: &SealedRoot,
    place: &str,
    limits: &Limits,
) -> Result<Manifest, Refusal> {
    if found != subject.sha256 {
        let expected = format!("sha256 {}", subject.sha256);
        return Err(Refusal::new(Code::ManifestMismatch, place, expected, format!("sha256 {found}")));
    }
    let manifest = Manifest::parse(bytes, sealed.digest, limits)
        .map_err(|error| Refusal::new(error.code(), place, "a manifest in canonical form", error.to_string()))?;
    let signed = Totals { entries: sealed.entries, bytes: sealed.bytes };
    if manifest.totals() != signed {
        let text = |totals: Totals| format!("{} entries and {} bytes", totals.entries, totals.bytes);
        return Err(Refusal::new(Code::MalformedManifest, place, text(signed), text(manifest.totals())));
    }
    Ok(manifest)
}

/// The lockfiles of a checkout that can be believed.
pub(super) fn read_lockfiles(workspace: &Workspace, edge: &Edge<'_>, limits: &Limits) -> (Lockfiles, Refusals) {
    let mut refusals = Refusals::new(limits.refusals_max);
    let mut digests = Vec::new();
    for path in &edge.cache.lockfiles {
        match workspace.lockfile(path, limits.lockfile_bytes_max) {
            Ok(digest) => digests.push(digest),
            Err(ReadError::Io(error)) => {
                return (Lockfiles::Unreadable { path: path.clone(), found: error.to_string() }, refusals);
            }
            // Something stands in its place.
            Err(error) => {
                refusals.push(Refusal::new(Code::Unreadable, path.as_str(), "a lockfile", format!("it {error}")));
                digests.push(None);
            }
        }
    }
    (Lockfiles::Known(digests), refusals)
}

/// The code for a file of the seal that could not be read.
pub(super) fn code_of(error: &ReadError, absent: Code, too_large: Code) -> Code {
    match error {
        ReadError::Absent => absent,
        ReadError::TooLarge { .. } => too_large,
        ReadError::NotRegular(_) => Code::MalformedSeal,
        ReadError::Changed => Code::ChangedWhileRead,
        ReadError::Io(_) => Code::Unreadable,
    }
}
