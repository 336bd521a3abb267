//! The manifest: a closed, canonical list of a root's entries, in a strict profile of mtree(5) 2.0.
//! `docs/FORMAT.md` is its specification.

mod build;
mod difference;
mod encode;
mod entries;
mod export;
mod free;
mod parse;
mod rules;
#[cfg(test)]
mod tests;

pub use build::{Builder, NewEntry};
pub use difference::differences;
pub use entries::{Entries, Entry, Step};
pub use export::{digest_lines, mtree};
pub use parse::{ManifestError, ManifestErrorKind};
pub use rules::{LINK_INSIDE, forbidden_bits, leaves_root, link_text, missing};

use crate::base::{Algorithm, Digest};

/// First line of every manifest: the mark by which mtree(5) readers know the format.
pub const SIGNATURE: &str = "#mtree v2.0\n";

/// A tree as a manifest names it: the listings of its directories, the root's first. Small: a million
/// entries take some 70 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    algorithm: Algorithm,
    listings: Vec<Listing>,
    totals: Totals,
}

/// One directory: its entries sorted by the bytes of their names, unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Names and link texts, one after the other.
    text: Vec<u8>,
    records: Vec<Record>,
}

/// One entry of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    name: Span,
    /// What the entry is.
    pub node: Node,
}

/// What an entry is, and what of it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
        /// Digest of its bytes.
        digest: Digest,
    },
    /// A directory: index of its listing.
    Directory(u32),
    /// A symbolic link: its text, in the listing that holds the record.
    Link(Span),
}

/// A run of bytes in the text of a [`Listing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u16,
}

/// A listing cannot take more: its text would pass 4 GiB, or a name 65,535 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a directory's names and links together take more than 4 GiB")]
pub struct ListingFull;

/// Entries and content bytes of a manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines that name an entry, the root's own included.
    pub entries: u64,
    /// Sum of all file sizes.
    pub bytes: u64,
}

impl Totals {
    /// Adds what a listing has.
    pub fn count(&mut self, listing: &Listing) {
        self.entries += listing.records.len() as u64;
        for record in &listing.records {
            if let Node::File { size, .. } = record.node {
                self.bytes = self.bytes.saturating_add(size);
            }
        }
    }

    /// Adds what another part has.
    pub fn add(&mut self, part: Self) {
        self.entries += part.entries;
        self.bytes = self.bytes.saturating_add(part.bytes);
    }
}

impl Listing {
    /// A listing with nothing in it, and memory for so many entries and bytes of names and links.
    #[must_use]
    pub fn with_capacity(entries: usize, bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), records: Vec::with_capacity(entries) }
    }

    /// Adds an entry. Sort with [`Listing::finish`] when all are there.
    pub fn push(&mut self, name: &[u8], node: Node) -> Result<(), ListingFull> {
        let name = self.store(name)?;
        self.records.push(Record { name, node });
        Ok(())
    }

    /// Adds a symbolic link.
    pub fn push_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), ListingFull> {
        let name = self.store(name)?;
        let target = self.store(target)?;
        self.records.push(Record { name, node: Node::Link(target) });
        Ok(())
    }

    fn store(&mut self, bytes: &[u8]) -> Result<Span, ListingFull> {
        let start = u32::try_from(self.text.len()).map_err(|_| ListingFull)?;
        let len = u16::try_from(bytes.len()).map_err(|_| ListingFull)?;
        self.text.extend_from_slice(bytes);
        Ok(Span { start, len })
    }

    /// Sorts the entries by name and gives back unused memory.
    pub fn finish(&mut self) {
        let text = &self.text;
        // Most come sorted, or in a few sorted runs, which this sort takes as they are.
        self.records.sort_by(|a, b| bytes_of(text, a.name).cmp(bytes_of(text, b.name)));
        self.text.shrink_to_fit();
        self.records.shrink_to_fit();
    }

    /// Adds the entries of another part of the same directory. Sort with [`Listing::finish`] when all are there.
    pub fn append(&mut self, mut part: Self) -> Result<(), ListingFull> {
        let shift = u32::try_from(self.text.len()).map_err(|_| ListingFull)?;
        u32::try_from(self.text.len() + part.text.len()).map_err(|_| ListingFull)?;
        for record in &mut part.records {
            record.name.start += shift;
            if let Node::Link(target) = &mut record.node {
                target.start += shift;
            }
        }
        self.text.append(&mut part.text);
        self.records.append(&mut part.records);
        Ok(())
    }

    /// The entries, sorted by name.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The name of one of this listing's records.
    #[must_use]
    pub fn name(&self, record: &Record) -> &[u8] {
        bytes_of(&self.text, record.name)
    }

    /// The text of one of this listing's links.
    #[must_use]
    pub fn link(&self, target: Span) -> &[u8] {
        bytes_of(&self.text, target)
    }

    /// Where in [`Listing::records`] the entry `name` stands.
    #[must_use]
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.records.binary_search_by(|record| self.name(record).cmp(name)).ok()
    }

    fn find(&self, name: &[u8]) -> Option<&Record> {
        self.records.get(self.position(name)?)
    }
}

/// Spans are made by the listing that owns `text`, so they always lie inside it; one of another
/// listing is a mistake.
#[expect(clippy::indexing_slicing, reason = "spans are made by the listing that owns the text; a panic is a refusal")]
fn bytes_of(text: &[u8], span: Span) -> &[u8] {
    let start = span.start as usize;
    &text[start..start + usize::from(span.len)]
}

impl Manifest {
    /// A manifest from the listings of a tree, sorted, the root's first. Every [`Node::Directory`] must point
    /// into `listings`, each listing but the first exactly once.
    #[must_use]
    pub fn new(algorithm: Algorithm, listings: Vec<Listing>) -> Self {
        let mut totals = Totals::default();
        for listing in &listings {
            totals.count(listing);
        }
        Self::counted(algorithm, listings, totals)
    }

    /// The same where the listings were [counted](Totals::count) when they were made: to go through them takes longer
    /// when they are many.
    #[must_use]
    pub fn counted(algorithm: Algorithm, listings: Vec<Listing>, totals: Totals) -> Self {
        // The root has no record.
        let totals = Totals { entries: totals.entries + 1, ..totals };
        Self { algorithm, listings, totals }
    }

    /// The algorithm of all content digests.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The listing of a directory; 0 is the root's.
    #[must_use]
    pub fn listing(&self, index: u32) -> Option<&Listing> {
        self.listings.get(index as usize)
    }

    /// Entries and content bytes.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }
}
