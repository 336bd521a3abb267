//! A manifest from entries in any order.

use std::collections::HashMap;

use super::{Listing, ListingFull, Manifest, Node};
use crate::base::{Algorithm, Digest, EntryPath, split_name};

/// Gathers the entries of a tree. Each path is to be added once, and nothing below a file or link.
#[derive(Debug)]
pub struct Builder {
    algorithm: Algorithm,
    listings: Vec<Listing>,
    /// The listing of each directory.
    directories: HashMap<Vec<u8>, u32>,
}

/// An entry to add.
#[derive(Debug, Clone, Copy)]
pub enum NewEntry<'a> {
    /// A regular file.
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
    Link(&'a [u8]),
}

impl Builder {
    /// A tree with nothing in it.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, listings: vec![Listing::default()], directories: HashMap::from([(Vec::new(), 0)]) }
    }

    /// Adds an entry; directories above it that were not added are added with it.
    pub fn add(&mut self, path: &EntryPath, entry: NewEntry<'_>) -> Result<(), ListingFull> {
        let path = path.as_bytes();
        if let NewEntry::Directory = entry {
            return self.directory(path).map(|_| ());
        }
        let (parent, name) = split_name(path);
        let index = self.directory(parent)?;
        let Some(listing) = self.listings.get_mut(index as usize) else { return Err(ListingFull) };
        match entry {
            NewEntry::File { size, executable, digest } => listing.push(name, Node::File { size, executable, digest }),
            NewEntry::Link(target) => listing.push_link(name, target),
            NewEntry::Directory => Ok(()),
        }
    }

    /// The manifest of what was added.
    #[must_use]
    pub fn finish(mut self) -> Manifest {
        self.listings.iter_mut().for_each(Listing::finish);
        Manifest::new(self.algorithm, self.listings)
    }

    /// The listing of a directory, made with those above it if there is none.
    fn directory(&mut self, path: &[u8]) -> Result<u32, ListingFull> {
        let mut missing = Vec::new();
        let mut above = path;
        let mut index = loop {
            if let Some(index) = self.directories.get(above) {
                break *index;
            }
            missing.push(above);
            above = split_name(above).0;
        };
        for path in missing.into_iter().rev() {
            let new = u32::try_from(self.listings.len()).map_err(|_| ListingFull)?;
            let Some(listing) = self.listings.get_mut(index as usize) else { return Err(ListingFull) };
            listing.push(split_name(path).1, Node::Directory(new))?;
            self.listings.push(Listing::default());
            self.directories.insert(path.to_vec(), new);
            index = new;
        }
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    #[test]
    fn entries_in_any_order_make_the_same_canonical_manifest() {
        let file = NewEntry::File { size: 1, executable: false, digest: Digest([7; 32]) };
        let entries =
            [("a/b/c", file), ("a", NewEntry::Directory), ("a-b", NewEntry::Link(b"a")), ("d/e", NewEntry::Directory)];
        let build = |entries: &[(&str, NewEntry<'_>)]| {
            let mut builder = Builder::new(Algorithm::Sha256);
            for (path, entry) in entries {
                builder.add(&EntryPath::new(path.as_bytes()).unwrap(), *entry).unwrap();
            }
            builder.finish().encode()
        };
        let mut backward = entries;
        backward.reverse();
        let text = build(&entries);
        assert_eq!(text, build(&backward));
        assert_eq!(Manifest::parse(&text, Algorithm::Sha256, &Limits::STANDARD).unwrap().totals().entries, 7);
    }
}
