//! The objects of a repository, each under its true name.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::{Id, Object, ObjectKind, TreeEntry};
use super::pack::{self, inflate};
use crate::lockfile::{EntryId, Files, Finding, Findings, Forest};
use crate::tree::Unread;

/// Packs and objects of a repository are read into memory up to this length, packed and unpacked alike.
const BYTES_MAX: usize = 512 << 20;

/// Why objects could not be read.
pub(super) enum Obstacle {
    /// A file could not be read, and was refused for it.
    Unread(Unread),
    /// Nothing can be computed, for a reason.
    Reason(&'static str),
}

impl From<Unread> for Obstacle {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Objects by their names, which were computed and not believed.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<Id, Object>,
    /// Files with objects in them, and the names of those.
    files: Vec<(EntryId, BTreeSet<Id>)>,
    bytes: usize,
}

impl Store {
    /// Adds an `objects` directory: its packs and its loose objects.
    pub(super) fn add(
        &mut self,
        forest: &Forest,
        directory: EntryId,
        files: &mut dyn Files,
        findings: &mut Findings,
    ) -> Result<(), Obstacle> {
        for entry in forest.children(directory) {
            match forest.name(entry) {
                b"pack" => {
                    for pack in forest.children(entry).filter(|pack| forest.name(*pack).ends_with(b".pack")) {
                        let name = forest.name(pack).strip_suffix(b"pack").unwrap_or_default();
                        let index = forest.find(entry, &[name, b"idx"].concat());
                        self.add_pack(pack, index, files, findings)?;
                    }
                }
                name if name.len() == 2 => {
                    for loose in forest.children(entry) {
                        let name = [name, forest.name(loose)].concat();
                        self.add_loose(loose, &name, files, findings)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The bytes of a file, if there is room for them.
    fn read(&mut self, entry: EntryId, files: &mut dyn Files) -> Result<Vec<u8>, Obstacle> {
        let size = usize::try_from(files.look(entry)?.size).unwrap_or(usize::MAX);
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > BYTES_MAX {
            return Err(Obstacle::Reason("a repository that is too large to be computed anew"));
        }
        Ok(files.bytes(entry)?)
    }

    fn add_pack(
        &mut self,
        entry: EntryId,
        index: Option<EntryId>,
        files: &mut dyn Files,
        findings: &mut Findings,
    ) -> Result<(), Obstacle> {
        let bytes = self.read(entry, files)?;
        let objects = pack::read(&bytes, BYTES_MAX.saturating_sub(self.bytes)).map_err(Obstacle::Reason)?;
        files.give_back(bytes);
        let mut offsets = BTreeMap::new();
        for (offset, object) in objects {
            self.bytes = self.bytes.saturating_add(object.bytes.len());
            let id = object.id();
            offsets.insert(id, offset);
            self.objects.insert(id, object);
        }
        let names: BTreeSet<Id> = offsets.keys().copied().collect();
        if let Some(index) = index {
            let bytes = self.read(index, files)?;
            if names_and_offsets(&bytes).is_some_and(|said| said == offsets) {
                self.files.push((index, names.clone()));
            } else {
                findings.mismatch(index, "the names that the objects of its pack truly have", "others");
            }
            files.give_back(bytes);
        }
        self.files.push((entry, names));
        Ok(())
    }

    fn add_loose(
        &mut self,
        entry: EntryId,
        name: &[u8],
        files: &mut dyn Files,
        findings: &mut Findings,
    ) -> Result<(), Obstacle> {
        let bytes = self.read(entry, files)?;
        let object = loose(&bytes, BYTES_MAX.saturating_sub(self.bytes));
        files.give_back(bytes);
        match object {
            Some(object) if object.id().to_string().as_bytes() == name => {
                self.bytes = self.bytes.saturating_add(object.bytes.len());
                let id = object.id();
                self.files.push((entry, BTreeSet::from([id])));
                self.objects.insert(id, object);
            }
            _ => findings.mismatch(entry, "the object of this name", "another"),
        }
        Ok(())
    }

    fn of_kind(&self, id: Id, kind: ObjectKind) -> Option<&Object> {
        self.objects.get(&id).filter(|object| object.kind == kind)
    }

    /// The tree of a commit.
    pub(super) fn tree_of(&self, commit: Id) -> Option<Id> {
        Some(self.of_kind(commit, ObjectKind::Commit)?.links_of_commit()?.0)
    }

    /// The entries of a tree.
    pub(super) fn tree(&self, id: Id) -> Option<Vec<TreeEntry<'_>>> {
        self.of_kind(id, ObjectKind::Tree)?.entries_of_tree()
    }

    /// The bytes of a file.
    pub(super) fn blob(&self, id: Id) -> Option<&[u8]> {
        self.of_kind(id, ObjectKind::Blob).map(|blob| blob.bytes.as_slice())
    }

    /// The objects that an object names.
    pub(super) fn links(&self, id: Id) -> Vec<Id> {
        let Some(object) = self.objects.get(&id) else { return Vec::new() };
        match object.kind {
            ObjectKind::Commit => object.links_of_commit().map(|(tree, mut parents)| {
                parents.push(tree);
                parents
            }),
            ObjectKind::Tree => object.entries_of_tree().map(|entries| entries.iter().map(|entry| entry.id).collect()),
            ObjectKind::Tag => object.link_of_tag().map(|id| vec![id]),
            ObjectKind::Blob => None,
        }
        .unwrap_or_default()
    }

    /// Says of each file with objects whether all of them are ones that the locked commits lead to.
    pub(super) fn judge_packs(&self, reachable: &BTreeSet<Id>, reason: &'static str, findings: &mut Findings) {
        for (entry, names) in &self.files {
            if names.is_subset(reachable) {
                findings.push(*entry, Finding::Weak(reason.into()));
            } else {
                findings.unproven(*entry, "holds objects that the locked commits do not lead to");
            }
        }
    }
}

fn loose(bytes: &[u8], max: usize) -> Option<Object> {
    // The length stands inside, so that nothing but trying tells it: the header is at most 32 bytes.
    let mut start = Vec::with_capacity(64);
    let mut stream = flate2::Decompress::new(true);
    stream.decompress_vec(bytes, &mut start, flate2::FlushDecompress::None).ok()?;
    let end = start.iter().position(|byte| *byte == 0)?;
    let length: usize = std::str::from_utf8(start.get(..end)?).ok()?.split_once(' ')?.1.parse().ok()?;
    let size = length.checked_add(end + 1).filter(|size| *size <= max)?;
    Object::loose(&inflate(bytes, size)?.0)
}

/// What a pack's index, version 2, says: names and offsets.
fn names_and_offsets(index: &[u8]) -> Option<BTreeMap<Id, u64>> {
    const TABLE: usize = 8 + 256 * 4;
    index.strip_prefix(b"\xfftOc\0\0\0\x02")?;
    let word = |at: usize| Some(u32::from_be_bytes(index.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let count = usize::try_from(word(TABLE - 4)?).ok()?;
    let names = index.get(TABLE..)?.get(..count.checked_mul(20)?)?;
    let offsets = TABLE + count * 24;
    let large = offsets + count * 4;
    let mut found = BTreeMap::new();
    let mut before: Option<Id> = None;
    for (place, name) in names.chunks_exact(20).enumerate() {
        let id = Id(name.try_into().ok()?);
        // Whoever looks a name up goes by the order and by the table of first bytes.
        let first = usize::from(*name.first()?);
        let range = if first == 0 { 0 } else { word(8 + (first - 1) * 4)? }..word(8 + first * 4)?;
        if before.is_some_and(|before| before >= id) || !range.contains(&u32::try_from(place).ok()?) {
            return None;
        }
        before = Some(id);
        let offset = word(offsets + place * 4)?;
        let offset = if offset >> 31 == 0 {
            offset.into()
        } else {
            let at = large + usize::try_from(offset & 0x7fff_ffff).ok()? * 8;
            u64::from_be_bytes(index.get(at..)?.get(..8)?.try_into().ok()?)
        };
        found.insert(id, offset);
    }
    Some(found)
}
