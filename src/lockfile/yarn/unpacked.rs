//! A tarball, and the directories that Yarn classic unpacked it into.

use std::collections::{BTreeMap, BTreeSet};

use super::classic::Package;
use crate::base::Json;
use crate::lockfile::npm::bins_of;
use crate::lockfile::{
    Claim, EntryId, Files, Finding, Findings, Forest, Held, MemberKind, ScratchPool, UnpackError, Unpacked, hold,
    tar_gz,
};
use crate::tree::Unread;

/// Levels of objects and arrays in a `package.json`.
const DEPTH_MAX: usize = 64;

/// Scripts that Yarn runs when it installs a package.
const SCRIPTS: [&str; 3] = ["preinstall", "install", "postinstall"];

/// A tarball, wherever it is, and what was unpacked from it.
#[derive(Debug)]
pub(super) struct Tarball<'a> {
    pub(super) forest: &'a Forest,
    pub(super) file: EntryId,
    pub(super) package: &'a Package,
    pub(super) directories: Vec<Directory>,
}

/// A directory that a package was unpacked into.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) entry: EntryId,
    /// What in it is not from the tarball, or may not be: what the tarball has below one of them is from it.
    pub(super) others: Vec<EntryId>,
    /// Links to the package's own commands.
    pub(super) links: Option<EntryId>,
    /// Whether commands and scripts of the package were at work there.
    pub(super) installed: bool,
}

impl Claim for Tarball<'_> {
    fn archive(&self) -> Option<EntryId> {
        Some(self.file)
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        if self.package.integrity.is_empty() {
            findings.unproven(self.file, "yarn.lock has no digest of it");
            return self.unproven(findings, "yarn.lock has no digest of its tarball");
        }
        let bytes = match hold(files, self.file, &self.package.integrity) {
            Ok(Held::Proven(bytes)) => bytes,
            Ok(Held::Weak(bytes, _)) => {
                files.give_back(bytes);
                let reason = format!("{} is locked by SHA-1 alone", self.package.shown());
                findings.push(self.file, Finding::Weak(reason.into()));
                return self.unproven(findings, "its tarball is locked by SHA-1 alone");
            }
            Ok(Held::Mismatch { expected, found }) => {
                findings.mismatch(self.file, format!("{expected}, of {}", self.package.shown()), found);
                return self.unproven(findings, "unpacked from a tarball that is not the locked one");
            }
            Ok(Held::TooLarge(reason)) => {
                findings.unproven(self.file, reason);
                return self.unproven(findings, "unpacked from a tarball that was not read");
            }
            Err(Unread) => return,
        };
        findings.proven(self.file);
        for directory in &self.directories {
            if let Err(error) = self.compare(directory, &bytes, files, findings) {
                let reason = format!("in the directory of {}: {error}", self.package.shown());
                directory.unproven(self.forest, findings, &reason);
            }
        }
        files.give_back(bytes);
    }
}

impl Directory {
    fn unproven(&self, forest: &Forest, findings: &mut Findings, reason: &str) {
        for entry in forest.below(self.entry) {
            findings.unproven(entry, reason.to_owned());
        }
    }
}

impl Tarball<'_> {
    fn unproven(&self, findings: &mut Findings, reason: &str) {
        for directory in &self.directories {
            directory.unproven(self.forest, findings, reason);
        }
    }

    /// Compares a directory with what Yarn unpacks: everything below the first component of each path.
    fn compare(
        &self,
        directory: &Directory,
        bytes: &[u8],
        files: &mut dyn Files,
        findings: &mut Findings,
    ) -> Result<(), UnpackError> {
        let shown = self.package.shown();
        let contents = Contents::of(bytes, &files.scratch())?;
        let mut unpacked = Unpacked::new(self.forest, directory.entry, &shown);
        if directory.installed && contents.has_scripts {
            unpacked.may_be_altered("its install script may have written it");
        }
        for other in &directory.others {
            if !contents.has_below(&self.forest.path_from(directory.entry, *other)) {
                unpacked.leave(*other);
            }
        }
        tar_gz(bytes, &files.scratch(), &mut |mut member| {
            let Some(path) = unpacked_path(member.path) else { return Ok(()) };
            if matches!(member.kind, MemberKind::File { .. } | MemberKind::Directory) {
                let executable = matches!(member.kind, MemberKind::File { executable: true });
                let is_command = contents.bins.values().any(|file| file.as_bytes() == path);
                let executable = (!is_command).then_some(executable);
                unpacked.member(&path, &mut member, executable, files);
            } else if let Some(entry) = unpacked.find(&path) {
                unpacked.leave(entry);
            }
            Ok(())
        })?;
        unpacked.finish(findings);
        for link in directory.links.into_iter().flat_map(|links| self.forest.children(links)) {
            let name = std::str::from_utf8(self.forest.name(link)).unwrap_or_default();
            let text = contents.bins.get(name).map(|target| format!("../{target}"));
            if self.forest.link(link).is_some_and(|found| text.is_some_and(|text| text.as_bytes() == found)) {
                findings.proven(link);
            } else {
                findings.unproven(link, "not a link to a command of the package");
            }
        }
        Ok(())
    }
}

/// What a tarball says of itself.
#[derive(Debug, Default)]
struct Contents {
    paths: BTreeSet<Vec<u8>>,
    /// The commands and their files, which Yarn makes executable.
    bins: BTreeMap<String, String>,
    has_scripts: bool,
}

impl Contents {
    fn of(bytes: &[u8], pool: &ScratchPool) -> Result<Self, UnpackError> {
        let mut contents = Self::default();
        tar_gz(bytes, pool, &mut |member| {
            let Some(path) = unpacked_path(member.path) else { return Ok(()) };
            if path == b"package.json" {
                let mut text = Vec::new();
                member.content.read_to_end(&mut text)?;
                contents.manifest(&text);
            }
            contents.has_scripts |= path == b"binding.gyp";
            contents.paths.insert(path);
            Ok(())
        })?;
        Ok(contents)
    }

    fn manifest(&mut self, text: &[u8]) {
        let Ok(json) = Json::parse(text, DEPTH_MAX) else { return };
        let Ok(fields) = json.object("package.json") else { return };
        let name = Json::field(fields, "name").and_then(|name| name.string("name").ok()).unwrap_or_default();
        if let Some(bin) = Json::field(fields, "bin") {
            self.bins = bins_of(name, bin);
        }
        if let Some(Json::Object(scripts)) = Json::field(fields, "scripts") {
            self.has_scripts |= scripts.iter().any(|(name, _)| SCRIPTS.contains(&name.as_str()));
        }
    }

    fn has_below(&self, path: &[u8]) -> bool {
        let below = [path, b"/"].concat();
        self.paths.contains(path)
            || self.paths.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
    }
}

/// The path that a member is unpacked to: without its first component.
fn unpacked_path(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts = path.split(|byte| *byte == b'/');
    parts.next();
    let parts: Vec<&[u8]> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    (!parts.is_empty() && !parts.contains(&&b".."[..])).then(|| parts.join(&b'/'))
}
