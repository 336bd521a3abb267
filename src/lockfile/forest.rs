//! The roots of a cache as a lockfile proof sees them.

use crate::tree::{Kind, Outline};

/// One root and the names in it.
#[derive(Debug)]
pub struct RootTree {
    /// The root as the policy writes it.
    pub spelling: String,
    /// The components of its path below home, the policy's directory or `/`.
    pub components: Vec<String>,
    /// What is in it; nothing in one that is absent.
    pub outline: Outline,
}

/// All roots of a cache, in the policy's order.
#[derive(Debug, Default)]
pub struct Forest {
    /// The roots.
    pub roots: Vec<RootTree>,
}

/// An entry of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The root, by its place in the policy's order.
    pub root: usize,
    /// The entry, by its number in the outline.
    pub node: u32,
}

impl Forest {
    /// The outline of a root.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "roots are counted from this list; a panic is a refusal")]
    pub fn outline(&self, root: usize) -> &Outline {
        &self.roots[root].outline
    }

    /// What an entry is.
    #[must_use]
    pub fn kind(&self, entry: EntryId) -> Kind {
        self.outline(entry.root).kind(entry.node)
    }

    /// An entry's name in its directory.
    #[must_use]
    pub fn name(&self, entry: EntryId) -> &[u8] {
        self.outline(entry.root).name(entry.node)
    }

    /// The text of a symlink.
    #[must_use]
    pub fn link(&self, entry: EntryId) -> Option<&[u8]> {
        self.outline(entry.root).link(entry.node)
    }

    /// The entries of a directory, sorted by the bytes of their names.
    pub fn children(&self, entry: EntryId) -> impl Iterator<Item = EntryId> {
        self.outline(entry.root).children(entry.node).iter().map(move |node| EntryId { root: entry.root, node: *node })
    }

    /// Everything below an entry, directories before what is in them.
    pub fn below(&self, entry: EntryId) -> impl Iterator<Item = EntryId> + use<> {
        self.outline(entry.root).below(entry.node).map(move |node| EntryId { root: entry.root, node })
    }

    /// The entry at a path below a directory, with `/` between names.
    #[must_use]
    pub fn find(&self, directory: EntryId, path: &[u8]) -> Option<EntryId> {
        let node = self.outline(directory.root).find(directory.node, path)?;
        Some(EntryId { root: directory.root, node })
    }

    /// The directory that an entry lies in; `None` for a root.
    #[must_use]
    pub fn parent(&self, entry: EntryId) -> Option<EntryId> {
        let node = self.outline(entry.root).parent(entry.node)?;
        Some(EntryId { root: entry.root, node })
    }

    /// An entry as refusals name it: the root as the policy writes it, then the path below it.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "roots are counted from this list; a panic is a refusal")]
    pub fn place(&self, entry: EntryId) -> Vec<u8> {
        let root = &self.roots[entry.root];
        let path = root.outline.path(entry.node);
        if path.is_empty() {
            root.spelling.clone().into_bytes()
        } else {
            [root.spelling.as_bytes(), b"/", &path].concat()
        }
    }

    /// The path of an entry below a directory of the same root.
    #[must_use]
    pub fn path_from(&self, directory: EntryId, entry: EntryId) -> Vec<u8> {
        self.outline(entry.root).path_from(directory.node, entry.node)
    }

    /// The roots that are there, each as an entry.
    pub fn roots(&self) -> impl Iterator<Item = (EntryId, &RootTree)> {
        let there = self.roots.iter().enumerate().filter(|(_, root)| !root.outline.is_empty());
        there.map(|(index, root)| (EntryId { root: index, node: Outline::ROOT }, root))
    }
}
