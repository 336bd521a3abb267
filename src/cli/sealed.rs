//! A seal as `inspect`, `diff` and `export` read it: consistent in itself, but by nobody in particular.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::{Code, Escaped, Limits, Refusals};
use crate::cache::{ByNobody, Loader, SealFiles, UnverifiedSeal, sealed_roots};
use crate::checkout::{Failure, shown};
use crate::seal::ENVELOPE;
use crate::seal::manifest::Manifest;
use crate::tree::{Directory, SealDirectory};

/// A seal that was found, and its files.
pub(super) struct FoundSeal {
    pub(super) seal: UnverifiedSeal,
    /// The seal as messages name it.
    place: String,
    files: Files,
}

/// Where the files of a seal are.
enum Files {
    Directory(SealDirectory),
    /// By name, out of an archive.
    Memory(BTreeMap<String, Vec<u8>>),
}

impl FoundSeal {
    /// Opens the seal directory at `path`; its `seal.json` may be named too.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Failure> {
        let directory = if path.file_name().is_some_and(|name| name == ENVELOPE) {
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
        } else {
            path
        };
        let opened = Directory::open(directory).and_then(SealDirectory::read).map_err(|error| {
            Failure::new(Code::Unreadable, format!("{}: expected a seal directory: {error}", shown(path)))
        })?;
        let place = Escaped(directory.as_os_str().as_encoded_bytes()).to_string();
        let seal = read(&opened, &place, limits)?;
        Ok(Self { seal, place, files: Files::Directory(opened) })
    }

    /// The seal whose files an archive holds at `place`.
    pub(super) fn of_files(place: &[u8], files: BTreeMap<String, Vec<u8>>, limits: &Limits) -> Result<Self, Failure> {
        let place = Escaped(place).to_string();
        let seal = read(&files, &place, limits)?;
        Ok(Self { seal, place, files: Files::Memory(files) })
    }

    /// The manifests of the roots that were there, if they are the ones that the statement names.
    pub(super) fn manifests(&self, limits: &Limits) -> Result<Vec<(&str, Manifest)>, Failure> {
        match &self.files {
            Files::Directory(directory) => self.manifests_of(directory, limits),
            Files::Memory(files) => self.manifests_of(files, limits),
        }
    }

    fn manifests_of(&self, files: &impl SealFiles, limits: &Limits) -> Result<Vec<(&str, Manifest)>, Failure> {
        let mut refusals = Refusals::new(limits.refusals_max);
        let mut loader = Loader::new(self.place.as_str(), limits, &mut refusals);
        let mut manifests = Vec::new();
        for (root, manifest) in sealed_roots(&self.seal.statement) {
            let Some((name, subject)) = manifest else { continue };
            let Some((manifest, _)) = loader.manifest(files, root, name, subject) else {
                return Err(first(&refusals));
            };
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

fn read(files: &impl SealFiles, place: &str, limits: &Limits) -> Result<UnverifiedSeal, Failure> {
    let mut refusals = Refusals::new(limits.refusals_max);
    let mut loader = Loader::new(place, limits, &mut refusals);
    let seal = loader.envelope(files).and_then(|envelope| loader.judge(&envelope, &mut ByNobody));
    seal.ok_or_else(|| first(&refusals))
}

/// The first thing that was refused, as an error of the command.
fn first(refusals: &Refusals) -> Failure {
    let Some(refusal) = refusals.iter().next() else {
        return Failure::new(Code::Internal, "a seal was refused without a reason".to_owned());
    };
    // The loader's places are escaped already.
    let place = String::from_utf8_lossy(&refusal.place);
    let (expected, found) = (&refusal.expected, &refusal.found);
    let found = if found.starts_with("it ") { format!("but {found}") } else { format!("found {found}") };
    Failure::new(refusal.code, format!("`{place}`: expected {expected}, {found}"))
}
