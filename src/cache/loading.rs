//! Loading a seal, wherever its files come from and whoever has to vouch for it: the one place that decides which files
//! a seal has, what each of them must be, and with which code it is refused.

use std::collections::BTreeMap;

use super::place::Workspace;
use crate::base::{Code, Digest, Escaped, Limits, Refusal, Refusals};
use crate::policy::Edge;
use crate::seal::envelope::UnverifiedEnvelope;
use crate::seal::manifest::{Manifest, Totals};
use crate::seal::statement::{SealedRoot, Statement, Subject};
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{Found, Kind, ReadError, SealDirectory};
use crate::verify::{Consumer, Rule, Trail, TrustedSeal, judge_envelope};

/// What a seal may hold.
pub(super) const FILES_OF_A_SEAL: &str = "only `seal.json` and the manifests it names, regular files";

/// The files of a seal.
pub(crate) trait SealFiles {
    /// A manifest as it is.
    type Manifest: AsRef<[u8]>;

    /// Everything that lies where the seal does.
    fn names(&self) -> impl Iterator<Item = (&[u8], Kind)>;

    /// `seal.json`, if it has at most `max` bytes.
    fn envelope(&self, max: u64) -> Result<Vec<u8>, ReadError>;

    /// A manifest, if it has at most `max` bytes, and its SHA-256.
    fn manifest(&self, name: &str, max: u64) -> Result<(Self::Manifest, Digest), ReadError>;
}

impl SealFiles for SealDirectory {
    type Manifest = crate::base::Bytes;

    fn names(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        Self::names(self).iter().map(|(name, kind)| (name.as_slice(), *kind))
    }

    fn envelope(&self, max: u64) -> Result<Vec<u8>, ReadError> {
        self.file(ENVELOPE, max)
    }

    fn manifest(&self, name: &str, max: u64) -> Result<(Self::Manifest, Digest), ReadError> {
        Self::manifest(self, name, max)
    }
}

/// Files out of an archive.
impl SealFiles for BTreeMap<String, Vec<u8>> {
    type Manifest = Vec<u8>;

    fn names(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.keys().map(|name| (name.as_bytes(), Kind::File))
    }

    fn envelope(&self, max: u64) -> Result<Vec<u8>, ReadError> {
        within(self.get(ENVELOPE).ok_or(ReadError::Absent)?, max).map(<[u8]>::to_vec)
    }

    fn manifest(&self, name: &str, max: u64) -> Result<(Self::Manifest, Digest), ReadError> {
        let bytes = within(self.get(name).ok_or(ReadError::Absent)?, max)?;
        Ok((bytes.to_vec(), Digest::sha256(bytes)))
    }
}

fn within(bytes: &[u8], max: u64) -> Result<&[u8], ReadError> {
    let size = bytes.len() as u64;
    if size <= max { Ok(bytes) } else { Err(ReadError::TooLarge { size, max }) }
}

/// Who has to vouch for what a seal says.
pub(crate) trait Trust {
    /// A seal that is vouched for so.
    type Seal;

    /// Judges the bytes of a `seal.json`, which refusals call `place`. Without a seal there is a refusal.
    fn judge(&mut self, envelope: &[u8], place: &str, limits: &Limits, refusals: &mut Refusals) -> Option<Self::Seal>;

    /// What the seal says.
    fn statement(seal: &Self::Seal) -> &Statement;
}

/// The signers that a gate accepts.
pub(super) struct ByGate<'a> {
    pub(super) edge: &'a Edge<'a>,
    pub(super) consumer: &'a Consumer,
    /// Every rule that was applied.
    pub(super) rules: Vec<Rule>,
}

impl Trust for ByGate<'_> {
    type Seal = TrustedSeal;

    fn judge(&mut self, envelope: &[u8], place: &str, limits: &Limits, refusals: &mut Refusals) -> Option<TrustedSeal> {
        let mut trail = Trail::new(place.to_owned(), limits.refusals_max);
        let trusted = judge_envelope(envelope, self.edge, self.consumer, limits, &mut trail);
        let (rules, found) = trail.into_parts();
        self.rules = rules;
        refusals.append(found);
        trusted
    }

    fn statement(seal: &TrustedSeal) -> &Statement {
        seal.statement()
    }
}

/// Nobody: the seal is read for what it says, and anybody may have made it.
pub(crate) struct ByNobody;

/// A seal for which nobody vouches.
pub(crate) struct UnverifiedSeal {
    /// Its signatures, unverified.
    pub(crate) envelope: UnverifiedEnvelope,
    /// What it says.
    pub(crate) statement: Statement,
    /// `seal.json` as it is.
    pub(crate) bytes: Vec<u8>,
}

impl Trust for ByNobody {
    type Seal = UnverifiedSeal;

    fn judge(&mut self, bytes: &[u8], place: &str, limits: &Limits, refusals: &mut Refusals) -> Option<UnverifiedSeal> {
        let mut refuse =
            |code, expected: &str, found: String| refusals.push(Refusal::new(code, place, expected, found));
        let envelope = UnverifiedEnvelope::parse(bytes, limits)
            .map_err(|error| refuse(error.code(), "a DSSE envelope in strict JSON", error.to_string()))
            .ok()?;
        let (payload_type, payload) = envelope.unverified_payload();
        let statement = Statement::parse(payload_type, payload, limits)
            .map_err(|error| refuse(error.code(), "a statement that this version reads", error.to_string()))
            .ok()?;
        Some(UnverifiedSeal { envelope, statement, bytes: bytes.to_vec() })
    }

    fn statement(seal: &UnverifiedSeal) -> &Statement {
        &seal.statement
    }
}

/// What was to be loaded has been refused.
pub(super) struct Refused;

/// Loads one seal.
pub(crate) struct Loader<'a> {
    place: String,
    limits: &'a Limits,
    refusals: &'a mut Refusals,
}

/// A root of a statement, with the manifest and its subject if it was there.
pub(crate) type Sealed<'s> = (&'s SealedRoot, Option<(&'s str, Option<&'s Subject>)>);

/// The roots of a statement. Subjects stand in the order of the roots that have a manifest; parsing has made sure of it.
pub(crate) fn sealed_roots(statement: &Statement) -> impl Iterator<Item = Sealed<'_>> {
    let mut subjects = statement.subjects.iter();
    statement.predicate.roots.iter().map(move |root| {
        let manifest = root.manifest.as_deref().map(|name| (name, subjects.next()));
        (root, manifest)
    })
}

impl<'a> Loader<'a> {
    /// `place` is the seal as refusals name it.
    pub(crate) fn new(place: impl Into<String>, limits: &'a Limits, refusals: &'a mut Refusals) -> Self {
        Self { place: place.into(), limits, refusals }
    }

    /// Of the seal of a cache beside the policy.
    pub(super) fn of_cache(cache: &str, limits: &'a Limits, refusals: &'a mut Refusals) -> Self {
        Self::new(format!("{SEALS}/{cache}"), limits, refusals)
    }

    /// Refuses a file of the seal, or, without a name, the seal.
    pub(super) fn refuse(&mut self, code: Code, name: &str, expected: impl Into<String>, found: impl Into<String>) {
        let place = self.at(name);
        self.refusals.push(Refusal::new(code, place, expected, found));
    }

    fn at(&self, name: &str) -> String {
        if name.is_empty() { self.place.clone() } else { format!("{}/{name}", self.place) }
    }

    /// The directory of a cache's seal; nothing if it is not there.
    pub(super) fn directory(&mut self, workspace: &Workspace, cache: &str) -> Result<Option<SealDirectory>, Refused> {
        match SealDirectory::open(workspace.policy_directory(), cache) {
            Ok(Found::There(directory)) => return Ok(Some(directory)),
            Ok(Found::Absent) => return Ok(None),
            Ok(Found::Unsafe { kind, .. }) => {
                self.refuse(Code::MalformedSeal, "", "a real directory below real directories", kind.noun());
            }
            Err(error) => self.refuse(Code::Unreadable, "", "a seal", error.to_string()),
        }
        Err(Refused)
    }

    /// A seal that others may replace is none, whatever it says.
    pub(super) fn modes(&mut self, directory: &SealDirectory) {
        let expected = "not writable by others, and no setuid, setgid or sticky bit on a file";
        for (place, found) in directory.forbidden() {
            self.refusals.push(Refusal::new(Code::ForbiddenMode, place.as_slice(), expected, found.as_str()));
        }
    }

    /// `seal.json` as it is.
    pub(crate) fn envelope(&mut self, files: &impl SealFiles) -> Option<Vec<u8>> {
        match files.envelope(self.limits.envelope_bytes_max) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let code = code_of(&error, Code::NoSeal, Code::SealTooLarge);
                self.refuse(code, ENVELOPE, "a regular file that stays as it is", format!("it {error}"));
                None
            }
        }
    }

    /// What `seal.json` says, if `trust` vouches for it.
    pub(crate) fn judge<T: Trust>(&mut self, envelope: &[u8], trust: &mut T) -> Option<T::Seal> {
        trust.judge(envelope, &self.at(ENVELOPE), self.limits, self.refusals)
    }

    /// The seal, if `trust` vouches for it; and refuses whatever lies beside the files that it names.
    pub(crate) fn open<T: Trust>(&mut self, files: &impl SealFiles, trust: &mut T) -> Option<T::Seal> {
        let envelope = self.envelope(files)?;
        let seal = self.judge(&envelope, trust)?;
        self.names(files, T::statement(&seal));
        Some(seal)
    }

    /// The seal holds exactly the envelope and the manifests that the statement names.
    pub(super) fn names(&mut self, files: &impl SealFiles, statement: &Statement) {
        let roots = &statement.predicate.roots;
        let is_named = |name: &[u8]| roots.iter().any(|root| root.manifest.as_deref().map(str::as_bytes) == Some(name));
        for (name, kind) in files.names() {
            if kind != Kind::File || !(name == ENVELOPE.as_bytes() || is_named(name)) {
                self.refuse(Code::MalformedSeal, &Escaped(name).to_string(), FILES_OF_A_SEAL, kind.noun());
            }
        }
    }

    /// A manifest of the seal, from the very bytes whose digest was signed, and those bytes.
    pub(crate) fn manifest<F: SealFiles>(
        &mut self,
        files: &F,
        root: &SealedRoot,
        name: &str,
        subject: Option<&Subject>,
    ) -> Option<(Manifest, F::Manifest)> {
        let Some(subject) = subject else {
            self.refuse(Code::ManifestMismatch, name, "a manifest that was signed", "no subject for it");
            return None;
        };
        let (bytes, found) = self.manifest_bytes(files, name, "the manifest that was signed")?;
        if found != subject.sha256 {
            let expected = format!("sha256 {}", subject.sha256);
            self.refuse(Code::ManifestMismatch, name, expected, format!("sha256 {found}"));
            return None;
        }
        let manifest = match Manifest::parse(bytes.as_ref(), root.digest, self.limits) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.refuse(error.code(), name, "a manifest in canonical form", error.to_string());
                return None;
            }
        };
        let signed = Totals { entries: root.entries, bytes: root.bytes };
        if manifest.totals() != signed {
            let text = |totals: Totals| format!("{} entries and {} bytes", totals.entries, totals.bytes);
            self.refuse(Code::MalformedManifest, name, text(signed), text(manifest.totals()));
            return None;
        }
        Some((manifest, bytes))
    }

    /// A manifest as it is.
    pub(super) fn manifest_bytes<F: SealFiles>(
        &mut self,
        files: &F,
        name: &str,
        expected: &str,
    ) -> Option<(F::Manifest, Digest)> {
        match files.manifest(name, self.limits.manifest_bytes_max) {
            Ok(read) => Some(read),
            Err(error) => {
                let code = code_of(&error, Code::ManifestMismatch, Code::ManifestTooLarge);
                self.refuse(code, name, expected, format!("it {error}"));
                None
            }
        }
    }
}

/// The code for a file of the seal that could not be read.
fn code_of(error: &ReadError, absent: Code, too_large: Code) -> Code {
    match error {
        ReadError::Absent => absent,
        ReadError::TooLarge { .. } => too_large,
        ReadError::NotRegular(_) => Code::MalformedSeal,
        ReadError::Changed => Code::ChangedWhileRead,
        ReadError::Io(_) => Code::Unreadable,
    }
}
