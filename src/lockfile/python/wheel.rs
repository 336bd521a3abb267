//! One release: its archives in the roots, and what was installed or unpacked from its wheels.

use std::collections::BTreeSet;

use super::installed::{Install, Wheel};
use super::lock::Package;
use super::name::is_wheel;
use crate::lockfile::{
    Claim, EntryId, Expected, Files, Finding, Findings, Forest, Held, Unpacked, hold, hold_file, zip,
};
use crate::tree::Unread;

/// A wheel or source distribution that is kept as a file.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) file: EntryId,
    /// Its file name, by which the lockfile knows it.
    pub(super) name: String,
    pub(super) expected: Expected,
}

/// A directory that uv unpacked a wheel into, and the symlink that says which wheel.
#[derive(Debug)]
pub(super) struct Unzipped {
    pub(super) pointer: EntryId,
    pub(super) directory: EntryId,
}

/// All that the roots have of one release.
#[derive(Debug)]
pub(super) struct Distribution<'a> {
    pub(super) forest: &'a Forest,
    pub(super) package: &'a Package,
    pub(super) archives: Vec<Archive>,
    pub(super) installs: Vec<Install>,
    pub(super) unzipped: Vec<Unzipped>,
}

impl Claim for Distribution<'_> {
    fn archive(&self) -> Option<EntryId> {
        self.archives.first().map(|archive| archive.file)
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        self.copies(findings);
        let mut wheels = Vec::new();
        for archive in &self.archives {
            if let Ok(Some(bytes)) = self.archive_of(archive, files, findings) {
                wheels.push(Wheel { name: &archive.name, bytes });
            }
        }
        for (number, install) in self.installs.iter().enumerate() {
            match self.wheel_of(install, &wheels, files) {
                Ok(wheel) => install.compare(self.forest, self.package, wheel, number > 0, files, findings),
                Err(reason) => {
                    for entry in self.forest.below(install.info) {
                        findings.unproven(entry, reason);
                    }
                }
            }
        }
        for unzipped in &self.unzipped {
            match self.wheel_by_tags(unzipped.directory, &wheels, files) {
                Some(wheel) => self.unzipped(unzipped, wheel, files, findings),
                None => {
                    for entry in self.forest.below(unzipped.directory) {
                        findings.unproven(entry, "unpacked by uv from a wheel that is not in the roots as a file");
                    }
                }
            }
        }
    }
}

impl Distribution<'_> {
    /// What is there a second time counts once.
    fn copies(&self, findings: &mut Findings) {
        let mut names = BTreeSet::new();
        for archive in self.archives.iter().filter(|archive| !names.insert(&archive.name)) {
            findings.copy(archive.file);
        }
        for unzipped in self.unzipped.iter().skip(1) {
            findings.copy(unzipped.directory);
            findings.copy(unzipped.pointer);
        }
    }

    /// Judges an archive. Gives its bytes if they are proven and something was made of them.
    fn archive_of(
        &self,
        archive: &Archive,
        files: &mut dyn Files,
        findings: &mut Findings,
    ) -> Result<Option<Vec<u8>>, Unread> {
        let wanted = is_wheel(&archive.name) && !(self.installs.is_empty() && self.unzipped.is_empty());
        if !wanted {
            let finding = hold_file(files, archive.file, &archive.expected, &self.package.shown())?;
            findings.push(archive.file, finding);
            return Ok(None);
        }
        match hold(files, archive.file, &archive.expected)? {
            Held::Proven(bytes) => {
                findings.proven(archive.file);
                return Ok(Some(bytes));
            }
            Held::Weak(_, reason) => findings.push(archive.file, Finding::Weak(reason)),
            Held::TooLarge(reason) => findings.unproven(archive.file, reason),
            Held::Mismatch { expected, found } => {
                findings.mismatch(archive.file, format!("{expected}, of {}", self.package.shown()), found);
            }
        }
        Ok(None)
    }

    /// The wheel that was installed: the only one, or the one whose `WHEEL` is the installed one.
    fn wheel_of<'w>(
        &self,
        install: &Install,
        wheels: &'w [Wheel<'w>],
        files: &mut dyn Files,
    ) -> Result<&'w Wheel<'w>, &'static str> {
        match wheels {
            [] if self.archives.iter().any(|archive| is_wheel(&archive.name)) => {
                Err("installed from a wheel that is not the locked one")
            }
            [] => Err("installed from a wheel that is not in the roots as a file"),
            [only] => Ok(only),
            several => {
                self.tagged_as(install.info, several, files).ok_or("installed from none of the wheels in the roots")
            }
        }
    }

    /// The wheel that a directory of uv's was unpacked from: the only one, or the one whose `WHEEL` it has. uv shortens
    /// the tags in the name of a directory, so that the name does not say it.
    fn wheel_by_tags<'w>(
        &self,
        directory: EntryId,
        wheels: &'w [Wheel<'w>],
        files: &mut dyn Files,
    ) -> Option<&'w Wheel<'w>> {
        let [_, _, ..] = wheels else { return wheels.first() };
        let infos = self.forest.children(directory).filter(|entry| self.forest.name(*entry).ends_with(b".dist-info"));
        infos.into_iter().find_map(|info| self.tagged_as(info, wheels, files))
    }

    /// The wheel with the `WHEEL` that is in a `*.dist-info`: it names the tags.
    fn tagged_as<'w>(&self, info: EntryId, wheels: &'w [Wheel<'w>], files: &mut dyn Files) -> Option<&'w Wheel<'w>> {
        let there = files.bytes(self.forest.find(info, b"WHEEL")?, WHEEL_BYTES_MAX).ok().flatten()?;
        let path = [self.forest.name(info), b"/WHEEL"].concat();
        wheels.iter().find(|wheel| member_of(&wheel.bytes, &path).as_ref() == Some(&there))
    }

    /// Compares what uv unpacked: the wheel as it is.
    fn unzipped(&self, unzipped: &Unzipped, wheel: &Wheel<'_>, files: &mut dyn Files, findings: &mut Findings) {
        let shown = self.package.shown();
        let mut unpacked = Unpacked::new(self.forest, unzipped.directory, &shown);
        let result = zip(&wheel.bytes, &mut |mut member| {
            let path = member.path.strip_suffix(b"/").unwrap_or(member.path).to_vec();
            let executable = member.executable();
            unpacked.member(&path, &mut member, executable, files);
            Ok(())
        });
        match result {
            Ok(()) => {
                unpacked.finish(findings);
                findings.proven(unzipped.pointer);
            }
            Err(error) => {
                for entry in self.forest.below(unzipped.directory) {
                    findings.unproven(entry, format!("in the directory of {shown}: {error}"));
                }
            }
        }
    }
}

/// The longest `WHEEL` that is read.
const WHEEL_BYTES_MAX: u64 = 64 << 10;

fn member_of(bytes: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    let result = zip(bytes, &mut |member| {
        if member.path == path && member.size <= WHEEL_BYTES_MAX {
            let mut content = Vec::new();
            member.content.read_to_end(&mut content)?;
            found = Some(content);
        }
        Ok(())
    });
    result.ok().and(found)
}
