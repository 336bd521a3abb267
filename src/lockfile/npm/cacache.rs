//! npm's cache: `_cacache/content-v2`, where each file lies at its digest, and `index-v5`, which says what was fetched
//! from where.

use crate::lockfile::{Checksum, EntryId, Forest, Plan};
use crate::tree::Kind;

/// The directory of the cache in npm's own.
const CACACHE: &str = "_cacache";
const CONTENT: &str = "content-v2";
const INDEX: &str = "index-v5";

/// Names of directories that npm is told to use as its own: `~/.npm` is the default.
const OWN: [&str; 4] = [".npm", ".npm-cache", "npm", "npm-cache"];

/// The parts of npm's caches.
#[derive(Debug, Default)]
pub(super) struct Caches {
    /// The directories `content-v2`.
    contents: Vec<EntryId>,
    /// The directories `index-v5`.
    pub(super) indexes: Vec<EntryId>,
}

impl Caches {
    /// Finds the caches by the names of the roots, and says of everything in them that it is not proven; claims may
    /// still prove it.
    pub(super) fn find(plan: &mut Plan<'_>) -> Self {
        let mut caches = Self::default();
        let forest = plan.forest;
        for (root, tree) in forest.roots() {
            let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
            match names.as_slice() {
                [.., CACACHE, CONTENT] => caches.content(root, plan),
                [.., CACACHE, INDEX] => caches.index(root, plan),
                [.., CACACHE] => caches.whole(root, plan),
                [.., own] if OWN.contains(own) => {
                    plan.unproven(root, "npm's own directory, but not its cache: leave it out of the roots");
                    caches.whole_at(forest.find(root, CACACHE.as_bytes()), plan);
                }
                _ => {}
            }
        }
        caches
    }

    fn whole_at(&mut self, cache: Option<EntryId>, plan: &mut Plan<'_>) {
        if let Some(cache) = cache {
            self.whole(cache, plan);
        }
    }

    fn whole(&mut self, cache: EntryId, plan: &mut Plan<'_>) {
        // npm writes there what it is about to move into the cache, and leaves the directory.
        if let Some(temporary) = plan.forest.find(cache, b"tmp")
            && plan.forest.kind(temporary) == Kind::Directory
            && plan.forest.children(temporary).next().is_none()
        {
            plan.findings.proven(temporary);
        }
        if let Some(content) = plan.forest.find(cache, CONTENT.as_bytes()) {
            self.content(content, plan);
        }
        if let Some(index) = plan.forest.find(cache, INDEX.as_bytes()) {
            self.index(index, plan);
        }
    }

    fn content(&mut self, content: EntryId, plan: &mut Plan<'_>) {
        plan.unproven(content, "in npm's cache, but not a tarball of the lockfile");
        self.contents.push(content);
    }

    fn index(&mut self, index: EntryId, plan: &mut Plan<'_>) {
        plan.unproven(index, "in the index of npm's cache, but not of a tarball of the lockfile");
        self.indexes.push(index);
    }

    /// The files that lie where a file of this digest lies.
    pub(super) fn blobs(&self, forest: &Forest, checksum: &Checksum) -> Vec<EntryId> {
        let path = scattered(checksum.algorithm.as_str(), &checksum.hex());
        let at = |content: &EntryId| forest.find(*content, path.as_bytes());
        self.contents.iter().filter_map(at).filter(|blob| forest.kind(*blob) == Kind::File).collect()
    }
}

/// A path as the cache makes it of a digest: `sha512/ab/cd/ef…`.
fn scattered(first: &str, hex: &str) -> String {
    let (a, rest) = hex.split_at(2);
    let (b, rest) = rest.split_at(2);
    format!("{first}/{a}/{b}/{rest}")
}
