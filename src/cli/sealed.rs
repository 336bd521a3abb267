//! A seal on disk as `inspect`, `diff` and `export` read it: consistent in itself, but by nobody in particular.

use std::collections::BTreeMap;
use std::path::Path;

use super::context::shown;
use super::failure::Failure;
use crate::base::{Code, Digest, Escaped, Limits};
use crate::seal::ENVELOPE;
use crate::seal::envelope::UnverifiedEnvelope;
use crate::seal::manifest::Manifest;
use crate::seal::statement::Statement;
use crate::tree::{Directory, ReadError, SealDirectory};

/// A seal whose signatures nobody has checked.
pub(super) struct UnverifiedSeal {
    pub(super) envelope: UnverifiedEnvelope,
    pub(super) statement: Statement,
    /// `seal.json` as it is.
    pub(super) bytes: Vec<u8>,
    files: Files,
}

/// Where the files of a seal are.
enum Files {
    Directory(SealDirectory),
    /// By name, out of an archive.
    Memory(BTreeMap<String, Vec<u8>>),
}

impl Files {
    fn file(&self, name: &str, max: u64) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Directory(directory) => directory.file(name, max),
            Self::Memory(files) => files.get(name).cloned().ok_or(ReadError::Absent),
        }
    }
}

impl UnverifiedSeal {
    /// Opens the seal directory at `path`; its `seal.json` may be named too.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Failure> {
        let directory = if path.file_name().is_some_and(|name| name == ENVELOPE) {
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
        } else {
            path
        };
        let failed = |code, what: String| Failure::new(code, format!("{}: {what}", shown(path)));
        let opened = Directory::open(directory).and_then(SealDirectory::read);
        let directory =
            opened.map_err(|error| failed(Code::Unreadable, format!("expected a seal directory: {error}")))?;
        Self::read(&shown(path), Files::Directory(directory), limits)
    }

    /// The seal whose files an archive holds at `place`.
    pub(super) fn of_files(place: &[u8], files: BTreeMap<String, Vec<u8>>, limits: &Limits) -> Result<Self, Failure> {
        Self::read(&format!("`{}`", Escaped(place)), Files::Memory(files), limits)
    }

    fn read(place: &str, files: Files, limits: &Limits) -> Result<Self, Failure> {
        let failed = |code, what: String| Failure::new(code, format!("{place}: {what}"));
        let bytes = files.file(ENVELOPE, limits.envelope_bytes_max).map_err(|error| match error {
            ReadError::Absent => failed(Code::NoSeal, format!("expected `{ENVELOPE}` in it, but it is not there")),
            ReadError::TooLarge { .. } => failed(Code::SealTooLarge, format!("`{ENVELOPE}` {error}")),
            ReadError::NotRegular(_) => failed(Code::MalformedSeal, format!("`{ENVELOPE}` {error}")),
            _ => failed(Code::Unreadable, format!("`{ENVELOPE}` {error}")),
        })?;
        let envelope =
            UnverifiedEnvelope::parse(&bytes, limits).map_err(|error| failed(error.code(), error.to_string()))?;
        let (payload_type, payload) = envelope.unverified_payload();
        let statement =
            Statement::parse(payload_type, payload, limits).map_err(|error| failed(error.code(), error.to_string()))?;
        Ok(Self { envelope, statement, bytes, files })
    }

    /// The manifests of the roots that were there, if they are the ones that the statement names.
    pub(super) fn manifests(&self, limits: &Limits) -> Result<Vec<(&str, Manifest)>, Failure> {
        let roots = self.statement.predicate.roots.iter().filter_map(|root| Some((root, root.manifest.as_deref()?)));
        let mut manifests = Vec::new();
        for ((root, name), subject) in roots.zip(&self.statement.subjects) {
            let failed = |code, what: String| Failure::new(code, format!("`{}`: {what}", Escaped(name.as_bytes())));
            let bytes = self.files.file(name, limits.manifest_bytes_max).map_err(|error| match error {
                ReadError::Absent => failed(Code::ManifestMismatch, error.to_string()),
                ReadError::TooLarge { .. } => failed(Code::ManifestTooLarge, error.to_string()),
                ReadError::NotRegular(_) => failed(Code::MalformedSeal, error.to_string()),
                _ => failed(Code::Unreadable, error.to_string()),
            })?;
            let found = Digest::sha256(&bytes);
            if found != subject.sha256 {
                let what = format!("expected sha256 {}, found {found}", subject.sha256);
                return Err(failed(Code::ManifestMismatch, what));
            }
            let manifest = Manifest::parse(&bytes, root.digest, limits)
                .map_err(|error| failed(error.code(), error.to_string()))?;
            manifests.push((root.path.as_str(), manifest));
        }
        Ok(manifests)
    }

    /// The one manifest that is meant: of the root named, or the only one.
    pub(super) fn manifest(&self, root: Option<&str>, limits: &Limits) -> Result<(String, Manifest), Failure> {
        let mut manifests = self.manifests(limits)?;
        let names: Vec<_> = manifests.iter().map(|(path, _)| format!("`{}`", Escaped(path.as_bytes()))).collect();
        let names = names.join(", ");
        let at = match root {
            Some(wanted) => manifests.iter().position(|(path, _)| *path == wanted),
            None if manifests.len() == 1 => Some(0),
            None => None,
        };
        match at {
            Some(at) => {
                let (path, manifest) = manifests.swap_remove(at);
                Ok((path.to_owned(), manifest))
            }
            None => Err(Failure::new(Code::Usage, format!("expected `--root` to name one of {names}"))),
        }
    }
}
