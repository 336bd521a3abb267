//! Everything that an archive holds, by nobody in particular: for those who want to look into it.

use std::collections::BTreeMap;

use super::entries::{Contents, Entries, Kind, Obstacle, canonical};
use super::error::ArchiveError;
use super::reader::{Member, MemberKind, Reader};
use super::stream::Stream;
use crate::base::{Algorithm, Code, Digest, EntryPath, Hasher, Limits};
use crate::seal::manifest::forbidden_bits;
use crate::seal::{ENVELOPE, SEALS};

/// The members of an archive and the seals among them.
#[derive(Debug)]
pub struct UnverifiedArchive {
    /// All members that may stand where they do.
    pub members: Vec<UnverifiedMember>,
    /// Members that no archive may have, by their names.
    pub obstacles: Vec<(Vec<u8>, Obstacle)>,
    /// The files of each seal, by its directory.
    pub seals: BTreeMap<Vec<u8>, BTreeMap<String, Vec<u8>>>,
    /// Why the reading ended before the end of the archive.
    pub error: Option<ArchiveError>,
}

/// A member as it is in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedMember {
    /// Its path from the archive's top.
    pub path: EntryPath,
    /// What it is.
    pub kind: UnverifiedKind,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnverifiedKind {
    /// A regular file, or one more name of one.
    File {
        /// Length in bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
        /// Digest of its bytes.
        digest: Digest,
    },
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Link(Vec<u8>),
}

impl UnverifiedArchive {
    /// Reads all of `stream`, with digests of `algorithm`.
    #[must_use]
    pub fn read(stream: &mut Stream<'_>, algorithm: Algorithm, limits: &Limits) -> Self {
        let mut archive = Self { members: Vec::new(), obstacles: Vec::new(), seals: BTreeMap::new(), error: None };
        let mut reader = Reader::new(stream);
        let mut entries = Entries::new(limits);
        archive.error = loop {
            match reader.next_member() {
                Ok(Some(member)) => {
                    if let Err(error) = archive.add(&mut reader, &mut entries, &member, algorithm, limits) {
                        break Some(error);
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        archive
    }

    fn add(
        &mut self,
        reader: &mut Reader<'_, '_>,
        entries: &mut Entries<'_>,
        member: &Member,
        algorithm: Algorithm,
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        let kind = if member.kind == MemberKind::Directory { Kind::Directory } else { Kind::Leaf("a file or link") };
        let path = canonical(&member.unverified_name);
        let (path, admitted) = match path.and_then(|path| Ok((entries.admit(&path, kind)?, path))) {
            Ok((admitted, path)) => (path, admitted),
            Err(obstacle) => {
                self.obstacles.push((member.unverified_name.clone(), obstacle));
                return Ok(());
            }
        };
        let executable = member.mode & 0o100 != 0;
        let kind = match &member.kind {
            MemberKind::File { size } => {
                let digest = self.read_contents(reader, &path, *size, algorithm, limits)?;
                entries.set_contents(admitted, Contents { root: 0, size: *size, mode: member.mode, digest });
                UnverifiedKind::File { size: *size, executable, digest }
            }
            MemberKind::HardLink(target) => match canonical(target).and_then(|target| entries.target(&target)) {
                Ok(Contents { size, digest, .. }) => UnverifiedKind::File { size, executable, digest },
                Err(obstacle) => {
                    let obstacle = Obstacle { code: Code::UnsafeHardlink, ..obstacle };
                    self.obstacles.push((member.unverified_name.clone(), obstacle));
                    return Ok(());
                }
            },
            MemberKind::Directory => UnverifiedKind::Directory,
            MemberKind::Link(text) => {
                entries.count(text);
                UnverifiedKind::Link(text.clone())
            }
            MemberKind::Special(noun) => {
                self.obstacle(member, Code::SpecialFile, "a file, directory or symlink", (*noun).to_owned());
                return Ok(());
            }
        };
        let is_file = matches!(kind, UnverifiedKind::File { .. });
        if let Some(found) = forbidden_bits(member.mode, is_file).filter(|_| !matches!(kind, UnverifiedKind::Link(_))) {
            self.obstacle(
                member,
                Code::ForbiddenMode,
                "no setuid, setgid or sticky bit, not writable by others",
                found,
            );
        }
        if let Some(privilege) = &member.privilege {
            self.obstacle(member, Code::ForbiddenMode, "no attribute that gives privileges", privilege.clone());
        }
        self.members.push(UnverifiedMember { path, kind });
        Ok(())
    }

    fn obstacle(&mut self, member: &Member, code: Code, expected: &'static str, found: String) {
        self.obstacles.push((member.unverified_name.clone(), Obstacle { code, expected, found }));
    }

    /// The digest of a file; its bytes are kept if it is of a seal.
    fn read_contents(
        &mut self,
        reader: &mut Reader<'_, '_>,
        path: &EntryPath,
        size: u64,
        algorithm: Algorithm,
        limits: &Limits,
    ) -> Result<Digest, ArchiveError> {
        let kept_max = limits.unverified_manifest_bytes_max;
        let kept_before: u64 = self.seals.values().flat_map(BTreeMap::values).map(|bytes| bytes.len() as u64).sum();
        let kept = seal_file(path.as_bytes()).filter(|_| kept_before.saturating_add(size) <= kept_max);
        let mut bytes = kept.map(|_| Vec::new());
        let mut hasher = Hasher::new(algorithm);
        reader.contents(|piece| {
            hasher.update(piece);
            if let Some(bytes) = &mut bytes {
                bytes.extend_from_slice(piece);
            }
            Ok(())
        })?;
        if let (Some((directory, name)), Some(bytes)) = (kept, bytes) {
            self.seals.entry(directory.to_vec()).or_default().insert(name.to_owned(), bytes);
        }
        Ok(hasher.finish())
    }
}

/// The directory and name of a file of a seal: `…/.cacheseal/CACHE/seal.json` or a manifest beside it.
fn seal_file(path: &[u8]) -> Option<(&[u8], &str)> {
    let (directory, name) = path.split_at(path.iter().rposition(|byte| *byte == b'/')?);
    let mut above = directory.rsplit(|byte| *byte == b'/');
    let name = std::str::from_utf8(name.get(1..)?).ok()?;
    let is_seal = above.nth(1) == Some(SEALS.as_bytes()) && (name == ENVELOPE || name.strip_suffix(".mtree").is_some());
    is_seal.then_some((directory, name))
}
