//! The documents of a seal, held against each other and the policy, but signed by nobody in particular.

use super::opening::{check_manifest, code_of};
use super::place::Workspace;
use crate::base::{Code, Digest, Escaped, Limits, Refusal, Refusals};
use crate::policy::{Cache, Policy};
use crate::seal::envelope::UnverifiedEnvelope;
use crate::seal::manifest::Manifest;
use crate::seal::statement::{SealedRoot, Statement, Subject};
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{Found, Kind, SealDirectory};

/// A seal of a cache: consistent in itself, for the cache and the roots that the policy names. Anybody may have made it.
pub(super) struct UnverifiedDocuments {
    /// `seal.json` as it is.
    pub(super) envelope: Vec<u8>,
    pub(super) statement: Statement,
    /// One for each root, `None` for one that was absent.
    pub(super) manifests: Vec<Option<Document>>,
}

/// A manifest, and the very bytes that it was read from.
pub(super) struct Document {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
}

impl UnverifiedDocuments {
    /// Reads the seal of `cache` from its place.
    pub(super) fn open(
        workspace: &Workspace,
        policy: &Policy,
        cache: &Cache,
        limits: &Limits,
    ) -> Result<Self, Refusals> {
        let mut reading =
            Reading { place: format!("{SEALS}/{}", cache.name), limits, refusals: Refusals::new(limits.refusals_max) };
        match reading.documents(workspace, policy, cache) {
            Some(documents) if reading.refusals.is_empty() => Ok(documents),
            _ => Err(reading.refusals),
        }
    }
}

struct Reading<'a> {
    /// The seal as refusals name it.
    place: String,
    limits: &'a Limits,
    refusals: Refusals,
}

impl Reading<'_> {
    fn refuse(&mut self, code: Code, name: &str, expected: impl Into<String>, found: impl Into<String>) {
        let place = if name.is_empty() { self.place.clone() } else { format!("{}/{name}", self.place) };
        self.refusals.push(Refusal::new(code, place, expected, found));
    }

    fn documents(&mut self, workspace: &Workspace, policy: &Policy, cache: &Cache) -> Option<UnverifiedDocuments> {
        let directory = self.directory(workspace, &cache.name)?;
        let envelope = self.file(&directory, ENVELOPE, self.limits.envelope_bytes_max)?;
        let statement = self.statement(&envelope)?;
        self.names(&directory, &statement);
        self.identity(&statement, policy, cache);
        let mut manifests = Vec::new();
        let mut subjects = statement.subjects.iter();
        for root in &statement.predicate.roots {
            let document = match &root.manifest {
                None => None,
                Some(name) => Some(self.manifest(&directory, name, subjects.next()?, root)?),
            };
            manifests.push(document);
        }
        Some(UnverifiedDocuments { envelope, statement, manifests })
    }

    fn directory(&mut self, workspace: &Workspace, cache: &str) -> Option<SealDirectory> {
        let (code, expected, found) = match SealDirectory::open(workspace.policy_directory(), cache) {
            Ok(Found::There(directory)) => return Some(directory),
            Ok(Found::Absent) => (Code::NoSeal, "a seal", "nothing".to_owned()),
            Ok(Found::Unsafe { kind, .. }) => {
                (Code::MalformedSeal, "a real directory below real directories", kind.noun().to_owned())
            }
            Err(error) => (Code::Unreadable, "a seal", error.to_string()),
        };
        self.refuse(code, "", expected, found);
        None
    }

    fn file(&mut self, directory: &SealDirectory, name: &str, max: u64) -> Option<Vec<u8>> {
        let error = match directory.file(name, max) {
            Ok(bytes) => return Some(bytes),
            Err(error) => error,
        };
        let (absent, too_large) = if name == ENVELOPE {
            (Code::NoSeal, Code::SealTooLarge)
        } else {
            (Code::ManifestMismatch, Code::ManifestTooLarge)
        };
        let code = code_of(&error, absent, too_large);
        self.refuse(code, name, "a regular file that stays as it is", format!("it {error}"));
        None
    }

    fn statement(&mut self, envelope: &[u8]) -> Option<Statement> {
        let envelope = match UnverifiedEnvelope::parse(envelope, self.limits) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.refuse(error.code(), ENVELOPE, "a DSSE envelope in strict JSON", error.to_string());
                return None;
            }
        };
        let (payload_type, payload) = envelope.unverified_payload();
        match Statement::parse(payload_type, payload, self.limits) {
            Ok(statement) => Some(statement),
            Err(error) => {
                self.refuse(error.code(), ENVELOPE, "a statement that this version reads", error.to_string());
                None
            }
        }
    }

    /// The seal holds exactly the envelope and the manifests that the statement names.
    fn names(&mut self, directory: &SealDirectory, statement: &Statement) {
        let named: Vec<_> = statement.predicate.roots.iter().filter_map(|root| root.manifest.as_deref()).collect();
        for (name, kind) in directory.names() {
            let is_named = name == ENVELOPE.as_bytes() || named.iter().any(|named| named.as_bytes() == name);
            if !is_named || *kind != Kind::File {
                let expected = "only `seal.json` and the manifests it names, regular files";
                self.refuse(Code::MalformedSeal, &Escaped(name).to_string(), expected, kind.noun());
            }
        }
    }

    /// It is a seal of this cache: whoever reads the archive looks for the roots where the policy has them.
    fn identity(&mut self, statement: &Statement, policy: &Policy, cache: &Cache) {
        let predicate = &statement.predicate;
        let list = |paths: &mut dyn Iterator<Item = &str>| {
            paths.map(|path| format!("`{}`", Escaped(path.as_bytes()))).collect::<Vec<_>>().join(", ")
        };
        let sealed = list(&mut predicate.roots.iter().map(|root| root.path.as_str()));
        let wanted = list(&mut cache.roots.iter().map(|root| root.spelling.as_str()));
        for (code, what, wanted, sealed) in [
            (
                Code::WrongProject,
                "project ",
                format!("`{}`", policy.project()),
                list(&mut [predicate.project.as_str()].into_iter()),
            ),
            (
                Code::WrongCache,
                "cache ",
                format!("`{}`", cache.name),
                list(&mut [predicate.cache.as_str()].into_iter()),
            ),
            (Code::WrongRoot, "roots ", wanted, sealed),
        ] {
            if wanted != sealed {
                self.refuse(code, ENVELOPE, format!("{what}{wanted}"), format!("{what}{sealed}"));
            }
        }
    }

    fn manifest(
        &mut self,
        directory: &SealDirectory,
        name: &str,
        subject: &Subject,
        root: &SealedRoot,
    ) -> Option<Document> {
        let bytes = self.file(directory, name, self.limits.manifest_bytes_max)?;
        let digest = Digest::sha256(&bytes);
        match check_manifest(&bytes, digest, subject, root, &format!("{}/{name}", self.place), self.limits) {
            Ok(manifest) => Some(Document { name: name.to_owned(), bytes, manifest }),
            Err(refusal) => {
                self.refusals.push(refusal);
                None
            }
        }
    }
}
