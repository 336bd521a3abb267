//! Git's objects: what they are named, and what they name.

use std::fmt;

use sha1::{Digest as _, Sha1};

/// The name of an object: the SHA-1 of its kind, its length and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(pub(super) [u8; 20]);

impl Id {
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl ObjectKind {
    /// By its number in packs.
    pub(super) fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Commit,
            2 => Self::Tree,
            3 => Self::Blob,
            4 => Self::Tag,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// An object in memory.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) kind: ObjectKind,
    pub(super) bytes: Vec<u8>,
}

impl Object {
    /// Its true name.
    pub(super) fn id(&self) -> Id {
        let mut hasher = Sha1::new();
        hasher.update(format!("{} {}\0", self.kind.word(), self.bytes.len()));
        hasher.update(&self.bytes);
        Id(hasher.finalize().into())
    }

    /// A loose object after inflation: a header and the bytes.
    pub(super) fn loose(inflated: &[u8]) -> Option<Self> {
        let end = inflated.iter().position(|byte| *byte == 0)?;
        let header = std::str::from_utf8(inflated.get(..end)?).ok()?;
        let (word, length) = header.split_once(' ')?;
        let kinds = [ObjectKind::Commit, ObjectKind::Tree, ObjectKind::Blob, ObjectKind::Tag];
        let kind = kinds.into_iter().find(|kind| kind.word() == word)?;
        let bytes = inflated.get(end + 1..)?.to_vec();
        (length.parse() == Ok(bytes.len())).then_some(Self { kind, bytes })
    }

    /// The tree of a commit, and its parents.
    pub(super) fn links_of_commit(&self) -> Option<(Id, Vec<Id>)> {
        let mut lines = self.bytes.split(|byte| *byte == b'\n');
        let id = |line: &[u8], word: &[u8]| Id::from_hex(std::str::from_utf8(line.strip_prefix(word)?).ok()?);
        let tree = id(lines.next()?, b"tree ")?;
        let parents = lines.map_while(|line| id(line, b"parent "));
        Some((tree, parents.collect()))
    }

    /// The object that a tag is for.
    pub(super) fn link_of_tag(&self) -> Option<Id> {
        let line = self.bytes.split(|byte| *byte == b'\n').next()?;
        Id::from_hex(std::str::from_utf8(line.strip_prefix(b"object ")?).ok()?)
    }

    /// The entries of a tree.
    pub(super) fn entries_of_tree(&self) -> Option<Vec<TreeEntry<'_>>> {
        let mut rest = self.bytes.as_slice();
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let space = rest.iter().position(|byte| *byte == b' ')?;
            let end = rest.iter().position(|byte| *byte == 0).filter(|end| *end > space)?;
            let mode = Mode::of(rest.get(..space)?)?;
            let id = Id(rest.get(end + 1..)?.get(..20)?.try_into().ok()?);
            entries.push(TreeEntry { mode, name: rest.get(space + 1..end)?, id });
            rest = rest.get(end + 21..)?;
        }
        Some(entries)
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeEntry<'a> {
    pub(super) mode: Mode,
    pub(super) name: &'a [u8],
    pub(super) id: Id,
}

/// What an entry of a tree becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    File,
    Executable,
    Link,
    Tree,
    Submodule,
}

impl Mode {
    fn of(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"100644" | b"100664" => Self::File,
            b"100755" => Self::Executable,
            b"120000" => Self::Link,
            b"40000" => Self::Tree,
            b"160000" => Self::Submodule,
            _ => return None,
        })
    }
}
