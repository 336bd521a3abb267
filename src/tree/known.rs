//! What is remembered of a tree that was verified, and how a later look makes use of it.

use super::stamps::Stamps;
use crate::policy::Glob;

/// What a comparison remembers of the files that it reads, or what another one has remembered.
#[derive(Debug, Clone, Copy)]
pub enum Memory<'a> {
    /// Nothing.
    Nothing,
    /// Stamps are to be kept.
    Keep,
    /// The tree was as its manifest says before. Every difference is `changed-after-verify`.
    Known(&'a Known<'a>),
}

/// What is known of a tree that was verified before.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What the file system said of its files then. Without them, every file is read.
    pub stamps: Option<&'a Stamps>,
    /// Entries that the manifest does not name pass if one of these matches their place.
    pub new_allowed: &'a [Glob],
}

/// How files and new entries were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files whose stamps stood for their bytes.
    pub unread: u64,
    /// Files that were read because their stamps differed.
    pub touched: u64,
    /// Files that were read because they had changed so shortly before their stamps were taken.
    pub recent: u64,
    /// Files that were read because their file system proves nothing by its times.
    pub untried: u64,
    /// Files that were read because nothing but their bytes was to count.
    pub demanded: u64,
    /// New entries that were allowed.
    pub new: u64,
}

impl Known<'_> {
    /// Whether there may be a new entry at a place. A pattern for what is in a directory, such as `target/**`, takes in
    /// the directory.
    #[must_use]
    pub fn allows(&self, mut place: Vec<u8>, is_directory: bool) -> bool {
        let matches = |place: &[u8]| self.new_allowed.iter().any(|glob| glob.matches_bytes(place));
        matches(&place) || {
            place.push(b'/');
            is_directory && matches(&place)
        }
    }
}

impl Counts {
    /// Adds those of another tree.
    pub fn add(&mut self, other: Self) {
        self.unread += other.unread;
        self.touched += other.touched;
        self.recent += other.recent;
        self.untried += other.untried;
        self.demanded += other.demanded;
        self.new += other.new;
    }
}
