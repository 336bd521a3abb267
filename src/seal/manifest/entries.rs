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

/// One step through a manifest.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a, 'p> {
    /// An entry. A directory's contents may come much later: `a`, `a-b`, `a/x`.
    Entry(Entry<'a, 'p>),
    /// The contents of a directory begin, in the directory that is under way.
    Enter {
        /// The path below the root, without `./`.
        path: &'p [u8],
        /// The last name of the path.
        name: &'a [u8],
        /// The contents.
        listing: &'a Listing,
    },
    /// The contents of the directory that was entered last are over; at the very end, those of the root.
    Leave,
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

enum FrameStep<'a> {
    Entry(&'a Record),
    Enter(&'a [u8], u32),
    Leave,
}

/// A step without its path, which [`Entries`] holds.
enum Move<'a> {
    Entry(&'a Listing, &'a Record),
    Enter(&'a [u8], &'a Listing),
    Leave,
}

impl<'a> Frame<'a> {
    fn step(&mut self) -> FrameStep<'a> {
        let record = self.listing.records().get(self.next);
        if let Some((name, index)) = self.pending.pop() {
            if record.is_none_or(|record| contents_come_before(name, self.listing.name(record))) {
                return FrameStep::Enter(name, index);
            }
            self.pending.push((name, index));
        }
        let Some(record) = record else { return FrameStep::Leave };
        self.next += 1;
        if let Node::Directory(index) = record.node {
            self.pending.push((self.listing.name(record), index));
        }
        FrameStep::Entry(record)
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
            if let Move::Entry(listing, record) = self.advance()? {
                return Some(Entry { path: &self.path, listing, record });
            }
        }
    }

    /// The next step: every entry as in [`Entries::next_entry`], and when a directory's contents begin and end.
    pub fn next_step(&mut self) -> Option<Step<'a, '_>> {
        Some(match self.advance()? {
            Move::Entry(listing, record) => Step::Entry(Entry { path: &self.path, listing, record }),
            Move::Enter(name, listing) => {
                let path = self.path.strip_suffix(b"/").unwrap_or(&self.path);
                Step::Enter { path, name, listing }
            }
            Move::Leave => Step::Leave,
        })
    }

    #[expect(clippy::indexing_slicing, reason = "a directory has its listing; a panic is a refusal")]
    fn advance(&mut self) -> Option<Move<'a>> {
        let frame = self.frames.last_mut()?;
        self.path.truncate(frame.prefix_len);
        let listing = frame.listing;
        Some(match frame.step() {
            FrameStep::Entry(record) => {
                self.path.extend_from_slice(listing.name(record));
                Move::Entry(listing, record)
            }
            FrameStep::Enter(name, index) => {
                self.path.extend_from_slice(name);
                self.path.push(b'/');
                let listing = &self.manifest.listings[index as usize];
                self.frames.push(Frame::new(listing, self.path.len()));
                Move::Enter(name, listing)
            }
            FrameStep::Leave => {
                self.frames.pop();
                Move::Leave
            }
        })
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
