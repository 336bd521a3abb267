//! Directories on disk: walk, hash, compare, write. Every step is taken from an open directory handle and
//! follows no symlink, so that what was checked is what was read.
#![expect(clippy::disallowed_methods, reason = "this room is where files are touched")]

mod admission;
mod compare;
mod confine;
mod destination;
mod differences;
mod dispose;
mod entry;
mod exceptions;
mod export;
mod handle;
mod hardlinks;
mod known;
mod lead;
mod look;
mod names;
mod new_file;
mod outline;
mod queue;
mod read;
mod reader;
mod snapshot;
mod split;
mod spool;
mod staged;
mod stamp;
mod stamps;
mod store;
mod tree_writer;
mod trial;
mod waits;
mod walk;

pub use compare::{Comparison, Expectation, all_missing, compare, compare_absent};
pub use confine::{Confinement, confine};
pub use destination::Ways;
pub use differences::{Change, Difference};
pub use dispose::{Disposal, DisposalError, Quarantine};
pub use exceptions::{Exceptions, Pattern};
pub use export::{ExportError, ExportSink, export};
pub use handle::{Directory, Found, Kind};
pub use hardlinks::HardLinks;
pub use known::{Counts, Known, Memory};
pub use lead::{Lead, is_there, is_vacant, resolve, trace};
pub use look::{Look, Obstacle, Reach, Sight, look, look_with_leads};
pub use new_file::NewFile;
pub use outline::{Outline, Outlined, outline};
pub use read::{ReadError, read_named_file};
pub use reader::{FactTable, FileFacts, Reader, Unread};
pub use snapshot::{Snapshot, snapshot};
pub use spool::Spool;
pub use staged::{StageError, StagedTree};
pub use stamp::Stamp;
pub use stamps::Stamps;
pub use store::{SealDirectory, StagedFile, Staging, StoreError};
pub use tree_writer::{TreeWriter, WrittenFile};

use crate::base::{Limits, Refusals, Stream};

/// How to go through a tree.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options<'a> {
    /// The most threads that read and hash. More than there are processors keep a cold disk busy; they are started when a
    /// file has to come from it.
    pub threads: usize,
    /// Processors: a walk that reads files begins with a thread for each, and so many threads unpack and compare packages.
    /// With more of these, the largest package is the last for long, and memory is taken for all.
    pub processors: usize,
    /// Caps on what is found.
    pub limits: &'a Limits,
    /// Where every difference goes as it is found, if that is wanted.
    pub differences: Option<&'a Stream>,
    /// Whether a snapshot takes the permission of others to write away from what it lists.
    pub clears_others_write: bool,
}

impl Options<'_> {
    /// No refusal yet, of those that the limits and the stream are for.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        Refusals::streamed(self.limits.refusals_max, self.differences)
    }
}

impl<'a> Options<'a> {
    /// So many threads and processors, and these caps.
    #[must_use]
    pub fn new(threads: usize, processors: usize, limits: &'a Limits) -> Self {
        Self { threads, processors, limits, differences: None, clears_others_write: false }
    }
}
