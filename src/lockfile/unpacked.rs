//! A directory that a package was unpacked into: a closed set.

use std::collections::{BTreeMap, BTreeSet};

use super::{EntryId, Files, Finding, Findings, Forest, Member, MemberKind};
use crate::base::{EntryPath, Escaped};
use crate::tree::{Kind, Unread};

/// Compares a directory with the members of a proven package, which come one after the other. Whatever is in the
/// directory and in no member contradicts the lockfile.
#[derive(Debug)]
pub struct Unpacked<'a> {
    forest: &'a Forest,
    directory: EntryId,
    /// The package and where it is locked, for people.
    package: &'a str,
    /// Entries that members or others speak for; `None` where somebody else does, or a reader has refused it.
    seen: BTreeMap<EntryId, Option<Finding>>,
    /// Directories on the way to them.
    directories: BTreeSet<EntryId>,
    /// Paths of members that are not there, and what each is.
    missing: BTreeMap<Vec<u8>, &'static str>,
    /// Why what differs is not proven rather than a contradiction; `None` where it is one.
    altered: Option<&'static str>,
}

impl<'a> Unpacked<'a> {
    /// Nothing has been compared yet. `package` says what the directory should be, like `itoa 1.0.15 (Cargo.lock:7)`.
    #[must_use]
    pub fn new(forest: &'a Forest, directory: EntryId, package: &'a str) -> Self {
        let (seen, directories, missing) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { forest, directory, package, seen, directories, missing, altered: None }
    }

    /// What differs, and what is there besides the members, contradicts nothing: it is unproven for this reason.
    pub fn may_be_altered(&mut self, reason: &'static str) {
        self.altered = Some(reason);
    }

    /// The entry at a path below the directory.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<EntryId> {
        self.forest.find(self.directory, path)
    }

    /// Leaves an entry of the directory, and what is below it, to somebody else.
    pub fn leave(&mut self, entry: EntryId) {
        self.note_way(entry);
        self.seen.insert(entry, None);
        for below in self.forest.below(entry) {
            self.seen.insert(below, None);
        }
    }

    /// Compares the member that is unpacked to `path` below the directory. Of several members with one path the
    /// last counts, as it does for whoever unpacks them. `executable` is what the tool makes of the member's mode;
    /// `None` where it does not follow from the member.
    pub fn member(&mut self, path: &[u8], member: &mut Member<'_>, executable: Option<bool>, files: &mut dyn Files) {
        // The directory itself, or a path that no tool unpacks: what it stands for is not in the directory.
        let Some(path) = normal(path) else { return };
        let kind = match member.kind {
            MemberKind::File { .. } | MemberKind::HardLink(_) => Kind::File,
            MemberKind::Directory => Kind::Directory,
            MemberKind::Link(_) => Kind::Link,
            MemberKind::Other => return,
        };
        let Some(entry) = self.forest.find(self.directory, &path) else {
            self.missing.insert(path, kind.noun());
            return;
        };
        self.note_way(entry);
        let found = self.forest.kind(entry);
        if kind == Kind::Directory && found == kind {
            self.directories.insert(entry);
            return;
        }
        let finding = if found == kind {
            self.compare(entry, member, executable, files)
        } else {
            Ok(self.mismatch(kind.noun(), found.noun()))
        };
        self.seen.insert(entry, finding.ok());
    }

    fn compare(
        &self,
        entry: EntryId,
        member: &mut Member<'_>,
        executable: Option<bool>,
        files: &mut dyn Files,
    ) -> Result<Finding, Unread> {
        match member.kind {
            MemberKind::File { .. } => {
                let (equal, facts) = files.compare(entry, member.size, member.content)?;
                if !equal {
                    let other = if facts.size == member.size { "other " } else { "" };
                    let found = format!("a file of {} {other}bytes", facts.size);
                    return Ok(self.mismatch(&format!("a file of {} bytes", member.size), &found));
                }
                if executable.is_some_and(|executable| executable != facts.executable) {
                    let text = |executable| if executable { "executable" } else { "not executable" };
                    return Ok(self.mismatch(text(!facts.executable), text(facts.executable)));
                }
                Ok(Finding::Proven)
            }
            MemberKind::Link(target) => {
                let found = self.forest.link(entry);
                let text = |target| format!("a link to `{}`", Escaped(target));
                Ok(match found {
                    Some(found) if found == target => Finding::Proven,
                    found => self.mismatch(&text(target), &text(found.unwrap_or_default())),
                })
            }
            _ => Ok(Finding::Unproven("a hard link inside its package".into())),
        }
    }

    fn mismatch(&self, expected: &str, found: &str) -> Finding {
        self.other(format!("{expected}, of {}", self.package), found)
    }

    fn other(&self, expected: String, found: &str) -> Finding {
        match self.altered {
            Some(reason) => Finding::Unproven(format!("not as in {}: {reason}", self.package).into()),
            None => Finding::Mismatch { expected, found: found.to_owned() },
        }
    }

    fn note_way(&mut self, entry: EntryId) {
        let mut at = entry;
        while let Some(parent) = self.forest.parent(at) {
            if parent == self.directory || !self.directories.insert(parent) {
                break;
            }
            at = parent;
        }
    }

    /// All members have been compared: tells what was found, what is missing, and what is there that none of them is.
    pub fn finish(mut self, findings: &mut Findings) {
        for entry in self.forest.below(self.directory) {
            match self.seen.remove(&entry) {
                Some(Some(finding)) => findings.push(entry, finding),
                Some(None) => {}
                None if self.directories.contains(&entry) => findings.proven(entry),
                None => {
                    let noun = self.forest.kind(entry).noun();
                    findings.push(entry, self.other(format!("nothing: it is not in {}", self.package), noun));
                }
            }
        }
        findings.proven(self.directory);
        let directory = self.forest.place(self.directory);
        for (path, noun) in self.missing {
            findings.missing([&directory[..], b"/", &path].concat(), format!("{noun}, of {}", self.package));
        }
    }
}

/// A path without empty and `.` components, which every tool leaves out; `None` for one that leads elsewhere or nowhere.
fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let names: Vec<_> = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    let all_good = names.iter().all(|name| EntryPath::check_name(name).is_ok());
    (!names.is_empty() && all_good).then(|| names.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_that_tools_unpack_to() {
        for (path, normal_path) in [
            ("a/b", Some("a/b")),
            ("a//b/", Some("a/b")),
            ("./a/./b", Some("a/b")),
            ("/a", Some("a")),
            ("", None),
            ("./", None),
            ("a/../b", None),
            ("a\0b", None),
        ] {
            assert_eq!(normal(path.as_bytes()).as_deref(), normal_path.map(str::as_bytes), "{path:?}");
        }
    }
}
