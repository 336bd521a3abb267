//! A tarball in npm's cache, and the directories in `node_modules` that npm unpacked it into.

use std::collections::BTreeSet;

use super::lock::Package;
use crate::lockfile::{
    Claim, EntryId, Expected, Files, Finding, Findings, Forest, Held, Member, MemberKind, UnpackError, Unpacked, hold,
    tar_gz,
};
use crate::tree::Unread;

/// A tarball, wherever it is, and what was unpacked from it.
#[derive(Debug)]
pub(super) struct Tarball<'a> {
    pub(super) forest: &'a Forest,
    pub(super) file: EntryId,
    pub(super) expected: Expected,
    pub(super) places: Vec<Place<'a>>,
    /// The package as whom it is known where it was not unpacked.
    pub(super) package: &'a Package,
}

/// A directory that a package was unpacked into.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) directory: EntryId,
    pub(super) package: &'a Package,
    /// What in it others speak for: packages with tarballs of their own, links to commands.
    pub(super) others: Vec<EntryId>,
    /// Paths of the files in it that npm links to as commands.
    pub(super) commands: BTreeSet<String>,
}

impl Claim for Tarball<'_> {
    fn archive(&self) -> Option<EntryId> {
        Some(self.file)
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let bytes = match hold(files, self.file, &self.expected) {
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
        for place in &self.places {
            if let Err(error) = place.compare(self.forest, &bytes, files, findings) {
                let reason = format!("in the directory of {}: {error}", place.package.shown());
                place.unproven(self.forest, findings, &reason);
            }
        }
        files.give_back(bytes);
    }
}

impl Tarball<'_> {
    fn unproven(&self, findings: &mut Findings, reason: &str) {
        for place in &self.places {
            place.unproven(self.forest, findings, reason);
        }
    }
}

impl Place<'_> {
    fn unproven(&self, forest: &Forest, findings: &mut Findings, reason: &str) {
        for entry in forest.below(self.directory) {
            findings.unproven(entry, reason.to_owned());
        }
    }

    /// Compares the directory with what npm unpacks: everything below the first component of each path, no links,
    /// `.gitignore` as `.npmignore`, and commands executable and without a carriage return in their first line.
    fn compare(
        &self,
        forest: &Forest,
        bytes: &[u8],
        files: &mut dyn Files,
        findings: &mut Findings,
    ) -> Result<(), UnpackError> {
        let shown = self.package.shown();
        let mut unpacked = Unpacked::new(forest, self.directory, &shown);
        if self.package.has_install_script {
            unpacked.may_be_altered("its install script may have written it");
        }
        for other in &self.others {
            unpacked.leave(*other);
        }
        let commands: BTreeSet<&[u8]> = self.commands.iter().map(String::as_bytes).collect();
        let mut ignored: BTreeSet<Vec<u8>> = BTreeSet::new();
        tar_gz(bytes, &files.scratch(), &mut |mut member| {
            let Some(mut path) = unpacked_path(member.path) else { return Ok(()) };
            match member.kind {
                MemberKind::File { .. } if member.path.ends_with(b"/") => member.kind = MemberKind::Directory,
                MemberKind::File { .. } => match ignore_file(&path, &mut ignored) {
                    Ignore::Other => {}
                    Ignore::As(renamed) => path = renamed,
                    Ignore::Dropped => return Ok(()),
                },
                MemberKind::Directory => {}
                _ => return Ok(()),
            }
            if commands.contains(&path[..]) && matches!(member.kind, MemberKind::File { .. }) {
                return command(&mut unpacked, &path, member, files);
            }
            let executable = matches!(member.kind, MemberKind::File { executable: true });
            unpacked.member(&path, &mut member, Some(executable), files);
            Ok(())
        })?;
        unpacked.finish(findings);
        Ok(())
    }
}

/// Compares a command. npm makes it executable when it links to it, which it does not where another package has a
/// command of the same name; and it rewrites a first line that ends as on Windows.
fn command(
    unpacked: &mut Unpacked<'_>,
    path: &[u8],
    member: Member<'_>,
    files: &mut dyn Files,
) -> Result<(), UnpackError> {
    let Member { kind, content, size, .. } = member;
    let mut contents = Vec::new();
    std::io::Read::read_to_end(content, &mut contents)?;
    let rewritten = with_unix_first_line(&contents).filter(|rewritten| {
        let there = unpacked.find(path).and_then(|entry| files.look(entry).ok());
        there.is_some_and(|facts| facts.size == rewritten.len() as u64 && facts.size != size)
    });
    let contents = rewritten.unwrap_or(contents);
    let size = contents.len() as u64;
    unpacked.member(
        path,
        &mut Member { path, kind, is_mode_clear: true, size, content: &mut &contents[..] },
        None,
        files,
    );
    Ok(())
}

/// A script whose first line ended with a carriage return, as npm writes it anew: read as UTF-8, without it.
fn with_unix_first_line(contents: &[u8]) -> Option<Vec<u8>> {
    let end = contents.iter().position(|byte| *byte == b'\n')?;
    let line = contents.get(..end)?;
    (line.starts_with(b"#!") && line.ends_with(b"\r") && line.len() > 3).then(|| {
        let text = String::from_utf8_lossy(contents);
        text.replacen("\r\n", "\n", 1).into_bytes()
    })
}

/// The path that npm unpacks a member to: without its first component. `None` for one that it leaves out.
fn unpacked_path(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts = path.split(|byte| *byte == b'/');
    parts.next();
    let parts: Vec<&[u8]> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    (!parts.is_empty() && !parts.contains(&&b".."[..])).then(|| parts.join(&b'/'))
}

/// What becomes of a file by its name.
enum Ignore {
    Other,
    As(Vec<u8>),
    Dropped,
}

/// npm unpacks `.gitignore` as `.npmignore`, unless that has come before.
fn ignore_file(path: &[u8], seen: &mut BTreeSet<Vec<u8>>) -> Ignore {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(start);
    match name {
        b".npmignore" => {
            seen.insert(path.to_vec());
            Ignore::Other
        }
        b".gitignore" => {
            let renamed = [directory, b".npmignore"].concat();
            if seen.contains(&renamed) { Ignore::Dropped } else { Ignore::As(renamed) }
        }
        _ => Ignore::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_first_component() {
        let rows: &[(&str, Option<&str>)] = &[
            ("package/a.js", Some("a.js")),
            ("anything/lib/a.js", Some("lib/a.js")),
            ("package//lib/./a.js", Some("lib/a.js")),
            ("./package/a.js", Some("package/a.js")),
            ("package", None),
            ("package/", None),
            ("package/../a.js", None),
            ("/package/a.js", Some("package/a.js")),
        ];
        for (path, expected) in rows {
            assert_eq!(unpacked_path(path.as_bytes()).as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn only_a_first_line_that_names_an_interpreter_is_rewritten() {
        let rows: &[(&[u8], Option<&[u8]>)] = &[
            (b"#!/bin/sh\r\nexit\r\n", Some(b"#!/bin/sh\nexit\r\n")),
            (b"#!/bin/sh\r\n\xff", Some("#!/bin/sh\n\u{fffd}".as_bytes())),
            (b"#!/bin/sh\nexit\r\n", None),
            (b"exit\r\n", None),
            (b"#!\r\n", None),
            (b"#!/bin/sh", None),
        ];
        for (contents, expected) in rows {
            assert_eq!(with_unix_first_line(contents).as_deref(), *expected);
        }
    }
}
