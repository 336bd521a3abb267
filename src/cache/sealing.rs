//! Sealing a cache.

use std::collections::BTreeMap;
use std::sync::mpsc::{channel, sync_channel};
use std::thread::Builder;

use jiff::Timestamp;

use super::place::{RootState, Workspace};
use crate::base::{Algorithm, Code, Digest, Escaped, Hasher, Limits, Refusal, Refusals, plural};
use crate::identity::{KeyId, SecretKey};
use crate::policy::{Cache, LinkRule, PlacedRoot, Policy, Signer};
use crate::seal::ENVELOPE;
use crate::seal::envelope::{EnvelopeError, UnverifiedEnvelope, sign};
use crate::seal::manifest::{Listing, Manifest, Totals};
use crate::seal::statement::{
    PAYLOAD_TYPE, Platform, Predicate, SealedLockfile, SealedRoot, Source, Statement, Subject, Tool,
};
use crate::tree::{HardLinks, Options, ReadError, SealDirectory, StagedFile, Staging, StoreError, snapshot};
use crate::verify::{Trail, key_rules, recalled_manifests, scope};

/// What to seal, and what to say of it.
pub struct SealRequest<'a> {
    /// Where roots and seal are.
    pub workspace: &'a Workspace,
    /// The policy.
    pub policy: &'a Policy,
    /// The cache.
    pub cache: &'a Cache,
    /// Its roots, in the policy's order.
    pub roots: &'a [PlacedRoot],
    /// The job's key.
    pub key: &'a SecretKey,
    /// The system this runs on.
    pub platform: Platform,
    /// The job.
    pub source: Source,
    /// Now.
    pub now: Timestamp,
    /// This tool's version.
    pub version: &'a str,
    /// Names and values of the caller's, signed with the rest.
    pub bindings: BTreeMap<String, String>,
    /// Threads and limits.
    pub options: Options<'a>,
}

/// A seal that was written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sealed {
    /// The signer of the policy whose key it was.
    pub signer: String,
    /// What was signed.
    pub statement: Statement,
    /// How many entries others could write to, and no longer can.
    pub closed: u64,
    /// What gates that accept the signer will refuse, in words, with the cure.
    pub warnings: Vec<String>,
}

/// Why nothing was sealed. The seal that was there before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Every root is absent or empty.
    #[error("every root of the cache is absent or empty: there is nothing to seal")]
    NothingToSeal,
    /// The key is under no signer of the policy: nobody would accept the seal.
    #[error("expected a key that the policy names under a signer, found key {0}")]
    UnknownSigner(KeyId),
    /// The key's signature is on the seal already.
    #[error("expected a key that has not signed this seal, found key {0} on it")]
    AlreadySigned(KeyId),
    /// Entries that are never sealed, or that could not be read.
    #[error("the cache cannot be sealed as it is")]
    Refused(Refusals),
    /// A lockfile that the cache names.
    #[error("expected the lockfile `{}` beside the policy, but it {source}", Escaped(.path.as_bytes()))]
    Lockfile {
        /// Its path in the policy.
        path: String,
        /// Why it could not be read.
        source: ReadError,
    },
    /// With this signature, the envelope would be one that no verifier reads.
    #[error("the seal takes no further signature: {0}")]
    Full(#[from] EnvelopeError),
    /// The seal could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was written is not what was meant: the disk or this program is at fault.
    #[error("the seal that was written does not verify: {0}; it was not put in place")]
    NotAsWritten(String),
}

impl SealError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NothingToSeal => Code::NothingToSeal,
            Self::UnknownSigner(_) => Code::UnknownSigner,
            Self::AlreadySigned(_) => Code::AlreadySigned,
            Self::Refused(refusals) => refusals.iter().next().map_or(Code::Internal, |refusal| refusal.code),
            Self::Lockfile { source: ReadError::Absent, .. } => Code::NoLockfile,
            Self::Lockfile { .. } => Code::Unreadable,
            Self::Full(error) => error.code(),
            Self::Store(_) => Code::Unwritable,
            Self::NotAsWritten(_) => Code::Internal,
        }
    }
}

/// Snapshots the roots, signs, verifies what was written, and puts it in place in one step.
pub fn seal_cache(request: &SealRequest<'_>) -> Result<Sealed, SealError> {
    let keyid = request.key.public().id();
    let signer = request.policy.signer_of(&keyid).ok_or(SealError::UnknownSigner(keyid))?;
    let lockfiles = lockfiles(request)?;
    let Taken { manifests, hardlinks, closed } = snapshots(request)?;
    let staging = Staging::begin(request.workspace.policy_directory(), &request.cache.name)?;
    let mut subjects = Vec::new();
    let mut roots = Vec::new();
    for (index, (root, manifest)) in request.roots.iter().zip(&manifests).enumerate() {
        let path = root.root.spelling.clone();
        let Some(manifest) = manifest else {
            roots.push(SealedRoot { path, manifest: None, digest: *request.cache.digest, entries: 0, bytes: 0 });
            continue;
        };
        let name = format!("{index}.mtree");
        let sha256 = write_manifest(&staging, &name, manifest, request.options.limits)?;
        let Totals { entries, bytes } = manifest.totals();
        roots.push(SealedRoot {
            path: path.clone(),
            manifest: Some(name),
            digest: *request.cache.digest,
            entries,
            bytes,
        });
        subjects.push(Subject { name: path, sha256 });
    }
    let statement = Statement { subjects, predicate: predicate(request, roots, lockfiles) };
    let limits = request.options.limits;
    check_signer(&statement, request.policy, signer, request.key, request.now, limits)?;
    let envelope = sign(PAYLOAD_TYPE, &statement.to_json(), &[request.key]);
    staging.write(ENVELOPE, &envelope)?;
    verify_own(&staging.reopen()?, &statement, request)?;
    staging.publish()?;
    manifests.into_iter().flatten().for_each(Manifest::free_aside);
    let warnings = strict_gates(request, &signer.name, hardlinks);
    Ok(Sealed { signer: signer.name.clone(), statement, closed, warnings })
}

/// Refuses what no gate would take: a seal outside the signer's scope, a key that is not in use, a recalled manifest.
pub(super) fn check_signer(
    statement: &Statement,
    policy: &Policy,
    signer: &Signer,
    key: &SecretKey,
    now: Timestamp,
    limits: &Limits,
) -> Result<(), SealError> {
    let mut trail = Trail::new(ENVELOPE, limits.refusals_max);
    let public = key.public();
    let named = signer.keys.iter().find(|named| named.key == public);
    let rules = named.map(|named| key_rules(statement.predicate.sealed_at, now, policy, signer, named));
    let scope = scope(&statement.predicate, policy, signer);
    let recalled = recalled_manifests(statement, policy);
    for rule in rules.iter().flatten().chain(&scope).chain(&recalled).filter(|rule| !rule.met) {
        trail.refuse(rule);
    }
    let (_, refusals) = trail.into_parts();
    if refusals.is_empty() { Ok(()) } else { Err(SealError::Refused(refusals)) }
}

fn predicate(request: &SealRequest<'_>, roots: Vec<SealedRoot>, lockfiles: Vec<SealedLockfile>) -> Predicate {
    Predicate {
        project: request.policy.project().value.clone(),
        cache: request.cache.name.value.clone(),
        roots,
        lockfiles,
        platform: request.platform.clone(),
        bindings: request.bindings.clone(),
        source: request.source.clone(),
        sealed_at: request.now,
        tool: Tool { name: "cacheseal".to_owned(), version: request.version.to_owned() },
    }
}

fn lockfiles(request: &SealRequest<'_>) -> Result<Vec<SealedLockfile>, SealError> {
    let max = request.options.limits.lockfile_bytes_max;
    let digest = |path: &String| match request.workspace.lockfile(path, max) {
        Ok(Some(sha256)) => Ok(SealedLockfile { path: path.clone(), sha256 }),
        Ok(None) => Err(SealError::Lockfile { path: path.clone(), source: ReadError::Absent }),
        Err(source) => Err(SealError::Lockfile { path: path.clone(), source }),
    };
    request.cache.lockfiles.iter().map(digest).collect()
}

/// What the roots hold.
struct Taken {
    /// `None` for a root that is absent.
    manifests: Vec<Option<Manifest>>,
    hardlinks: HardLinks,
    /// How many entries others could write to, and no longer can.
    closed: u64,
}

/// Takes the permission of others to write away where that is wanted, and lists the roots.
fn snapshots(request: &SealRequest<'_>) -> Result<Taken, SealError> {
    let mut refusals = Refusals::new(request.options.limits.refusals_max);
    let (mut manifests, mut hardlinks, mut closed) = (Vec::new(), HardLinks::default(), 0);
    for root in request.roots {
        let spelling = &root.root.spelling;
        match request.workspace.root(root) {
            Ok(RootState::Absent) => manifests.push(None),
            Ok(RootState::There(directory)) => {
                let taken = snapshot(directory, spelling, *request.cache.digest, &request.options);
                refusals.append(taken.refusals);
                hardlinks.append(taken.hardlinks);
                closed += taken.closed;
                manifests.push(Some(taken.manifest));
            }
            Ok(RootState::Unsafe(kind)) => {
                let expected = "a real directory below real directories";
                refusals.push(Refusal::new(Code::UnsafeRoot, spelling.as_str(), expected, kind.noun()));
            }
            Err(error) => {
                refusals.push(Refusal::new(Code::Unreadable, spelling.as_str(), "a directory", error.to_string()));
            }
        }
    }
    let holds_something =
        |manifest: &Manifest| manifest.listing(0).is_some_and(|root: &Listing| !root.records().is_empty());
    if !refusals.is_empty() {
        return Err(SealError::Refused(refusals));
    }
    if manifests.iter().flatten().any(holds_something) {
        Ok(Taken { manifests, hardlinks, closed })
    } else {
        Err(SealError::NothingToSeal)
    }
}

/// The gates that will refuse files with names outside, and what to do.
fn strict_gates(request: &SealRequest<'_>, signer: &str, hardlinks: HardLinks) -> Vec<String> {
    let outside = hardlinks.outside().count();
    let gates = request
        .policy
        .gates()
        .filter(|gate| gate.hardlinks == LinkRule::Inside && gate.signers.iter().any(|name| name == signer));
    let names: Vec<_> = gates.map(|gate| format!("`{}`", gate.name)).collect();
    if outside == 0 || names.is_empty() {
        return Vec::new();
    }
    let files = plural(outside as u64, "name is of a file", "names are of files");
    vec![format!(
        "{files} with other names outside the roots, which {} will refuse ({}): install by copies instead of hard links \
         (pnpm: `--package-import-method copy`), take the other place into `roots`, or say `hardlinks = \"any\"`",
        names.join(", "),
        Code::HardlinkOutside,
    )]
}

/// Entries of a manifest that is worth a thread of its own.
const LONG_ENTRIES: u64 = 10_000;
/// Bytes of a manifest that travel from thread to thread at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait to be written.
const PIECES: usize = 4;

/// Writes a manifest and tells its SHA-256. What was written is read back, and the text read as a verifier does.
fn write_manifest(staging: &Staging, name: &str, manifest: &Manifest, limits: &Limits) -> Result<Digest, SealError> {
    let is_long = manifest.totals().entries >= LONG_ENTRIES;
    let mut file = staging.create(name)?;
    let written = if is_long { write_in_pieces(&mut file, name, manifest, limits)? } else { None };
    let (text, sha256) = match written {
        Some(written) => written,
        None => write_whole(&mut file, name, manifest, limits)?,
    };
    let check_file = || {
        file.sync()?;
        check_file(staging, name, &text)
    };
    std::thread::scope(|scope| {
        let checking = is_long.then(|| Builder::new().spawn_scoped(scope, check_file).ok()).flatten();
        let checked = check_text(name, &text, manifest, limits);
        // Without a thread, or after a panic in it, this one does it.
        checking.and_then(|thread| thread.join().ok()).unwrap_or_else(check_file)?;
        checked
    })?;
    Ok(sha256)
}

/// Writes the text of a manifest, and gives it with its SHA-256.
fn write_whole(
    file: &mut StagedFile,
    name: &str,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<(Vec<u8>, Digest), SealError> {
    let text = manifest.encode();
    check_size(name, text.len() as u64, limits)?;
    file.write(&text)?;
    let sha256 = Digest::sha256(&text);
    Ok((text, sha256))
}

/// The same, while another thread hashes and writes what there is of the text. `None` if there is no such thread.
fn write_in_pieces(
    file: &mut StagedFile,
    name: &str,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<Option<(Vec<u8>, Digest)>, SealError> {
    let (pieces_in, pieces) = sync_channel::<Vec<u8>>(PIECES);
    let (used_in, used) = channel();
    let write = move || {
        let mut sha256 = Hasher::new(Algorithm::Sha256);
        for piece in pieces {
            sha256.update(&piece);
            file.write(&piece)?;
            // When nothing more is to come, nobody wants the memory.
            let _ = used_in.send(piece);
        }
        Ok::<_, StoreError>(sha256.finish())
    };
    std::thread::scope(|scope| {
        let Ok(writing) = Builder::new().spawn_scoped(scope, write) else { return Ok(None) };
        let (mut text, mut size) = (Vec::new(), 0);
        manifest.encode_pieces(PIECE_BYTES, |piece| {
            size += piece.len() as u64;
            if size > limits.manifest_bytes_max {
                // How long it is is all that is told of it.
                return Some(piece);
            }
            text.extend_from_slice(&piece);
            // Where the writing ended before its time, it tells why.
            pieces_in.send(piece).ok()?;
            Some(used.try_recv().unwrap_or_default())
        });
        drop(pieces_in);
        let sha256 = writing.join().map_err(|_| not_as_written(name, "the thread that writes it stopped"))??;
        check_size(name, size, limits)?;
        Ok(Some((text, sha256)))
    })
}

fn not_as_written(name: &str, what: &str) -> SealError {
    SealError::NotAsWritten(format!("`{name}`: {what}"))
}

/// Refuses what no verifier would read: the tree is too large to seal.
fn check_size(name: &str, size: u64, limits: &Limits) -> Result<(), SealError> {
    let max = limits.manifest_bytes_max;
    if size <= max {
        return Ok(());
    }
    let mut refusals = Refusals::new(1);
    let found = format!("it {}", ReadError::TooLarge { size, max });
    refusals.push(Refusal::new(Code::ManifestTooLarge, name, "a manifest that a verifier reads", found));
    Err(SealError::Refused(refusals))
}

fn check_text(name: &str, text: &[u8], manifest: &Manifest, limits: &Limits) -> Result<(), SealError> {
    let read = Manifest::parse(text, manifest.algorithm(), limits)
        .map_err(|error| not_as_written(name, &error.to_string()))?;
    let is_same = read.totals() == manifest.totals();
    read.free_aside();
    if is_same { Ok(()) } else { Err(not_as_written(name, "its entries")) }
}

fn check_file(staging: &Staging, name: &str, text: &[u8]) -> Result<(), SealError> {
    let holds = staging.holds(name, text).map_err(|error| read_error(name, error))?;
    if holds { Ok(()) } else { Err(not_as_written(name, "its bytes")) }
}

/// Reads the staged envelope back and opens it as a verifier does. The manifests were read back when they were written.
fn verify_own(written: &SealDirectory, statement: &Statement, request: &SealRequest<'_>) -> Result<(), SealError> {
    let limits = request.options.limits;
    let fault = |what: &dyn std::fmt::Display| SealError::NotAsWritten(what.to_string());
    let bytes = written.file(ENVELOPE, limits.envelope_bytes_max).map_err(|error| read_error(ENVELOPE, error))?;
    let envelope = UnverifiedEnvelope::parse(&bytes, limits).map_err(|error| fault(&error))?;
    let keys = [request.key.public()];
    let checked = envelope.verified_by(&keys);
    let payload = checked.payload().ok_or_else(|| fault(&"the signature"))?;
    let read = Statement::parse(payload.payload_type(), payload.bytes(), limits).map_err(|error| fault(&error))?;
    if read == *statement { Ok(()) } else { Err(fault(&"the statement")) }
}

fn read_error(name: &str, error: ReadError) -> SealError {
    match error {
        ReadError::Io(source) => StoreError::Io { doing: "read the seal back", source }.into(),
        error => SealError::NotAsWritten(format!("`{name}` {error}")),
    }
}
