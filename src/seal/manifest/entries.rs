//! The order of a manifest: all entries by the raw bytes of their whole paths.

use super::{Listing, Manifest, Node, Record};

/// Steps through a manifest's entries in canonical order, the root left out. Borrows the path, so it is not
/// an [`Iterator`].
#[derive(Debug)]
pub struct Entries<'a> {
    manifest: &'a Manifest,
    frames: Vec<Frame<'a>>,
    path: Vec<u8>,
}

/// One entry and its path below the root.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a, 'p> {
    /// The path below the root, without `./`.
    pub path: &'p [u8],
    /// The listing that holds the record.
    pub listing: &'a Listing,
    /// The entry itself.
    pub record: &'a Record,
}

/// A directory under way. Its subdirectories' contents sort as if each name ended in `/`, which may come
/// after later names (`a`, `a-b`, `a/x`): they wait in `pending`, the next to come last.
#[derive(Debug)]
struct Frame<'a> {
    listing: &'a Listing,
    next: usize,
    pending: Vec<(&'a [u8], u32)>,
    prefix_len: usize,
}

enum Step<'a> {
    Entry(&'a Record),
    Enter(&'a [u8], u32),
    Leave,
}

impl<'a> Frame<'a> {
    fn step(&mut self) -> Step<'a> {
        let record = self.listing.records().get(self.next);
        if let Some((name, index)) = self.pending.pop() {
            if record.is_none_or(|record| contents_come_before(name, self.listing.name(record))) {
                return Step::Enter(name, index);
            }
            self.pending.push((name, index));
        }
        let Some(record) = record else { return Step::Leave };
        self.next += 1;
        if let Node::Directory(index) = record.node {
            self.pending.push((self.listing.name(record), index));
        }
        Step::Entry(record)
    }
}

/// Whether `directory/` sorts before `name`.
fn contents_come_before(directory: &[u8], name: &[u8]) -> bool {
    let slashed = directory.iter().chain(b"/");
    slashed.cmp(name) == std::cmp::Ordering::Less
}

impl<'a> Entries<'a> {
    pub(super) fn new(manifest: &'a Manifest) -> Self {
        let frames = manifest.listings.first().map(|listing| Frame::new(listing, 0)).into_iter().collect();
        Self { manifest, frames, path: Vec::new() }
    }

    /// The next entry.
    pub fn next_entry(&mut self) -> Option<Entry<'a, '_>> {
        loop {
            let frame = self.frames.last_mut()?;
            self.path.truncate(frame.prefix_len);
            let listing = frame.listing;
            match frame.step() {
                Step::Entry(record) => {
                    self.path.extend_from_slice(listing.name(record));
                    return Some(Entry { path: &self.path, listing, record });
                }
                Step::Enter(name, index) => {
                    self.path.extend_from_slice(name);
                    self.path.push(b'/');
                    if let Some(listing) = self.manifest.listing(index) {
                        self.frames.push(Frame::new(listing, self.path.len()));
                    }
                }
                Step::Leave => {
                    self.frames.pop();
                }
            }
        }
    }
}

impl<'a> Frame<'a> {
    fn new(listing: &'a Listing, prefix_len: usize) -> Self {
        Self { listing, next: 0, pending: Vec::new(), prefix_len }
    }
}

impl Manifest {
    /// The entries in canonical order, the root left out.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(self)
    }
}
