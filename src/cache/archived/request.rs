//! What is asked of an archive, what comes of it, and who takes what it holds.

use crate::archive::Expected;
use crate::base::{Limits, Refusal, Stream};
use crate::cache::place::Workspace;
use crate::cache::verifying::Verification;
use crate::policy::{Edge, PlacedRoot};
use crate::seal::statement::Platform;
use crate::tree::SealDirectory;

/// What to verify, and against what.
pub struct ArchiveRequest<'a> {
    /// The checkout: its lockfiles are compared with those of the seal.
    pub workspace: &'a Workspace,
    /// The cache and the gate.
    pub edge: &'a Edge<'a>,
    /// The cache's roots, in the policy's order.
    pub roots: &'a [PlacedRoot],
    /// The archive as refusals name it.
    pub name: &'a str,
    /// A seal beside the archive; without one, it is looked for in the archive.
    pub seal: Option<&'a SealDirectory>,
    /// Names in the archive and the index of the root that each of them is.
    pub mapped: &'a [(Vec<u8>, usize)],
    /// Where home and checkout are in the archive, where they have none of the usual shapes.
    pub expected: Expected,
    /// Now.
    pub now: jiff::Timestamp,
    /// The system that the cache is for.
    pub platform: Platform,
    /// The base-2 logarithm of the largest Zstandard window, bytes.
    pub window_log_max: u32,
    /// Processors to decode on.
    pub processors: usize,
    /// Caps on what is found.
    pub limits: &'a Limits,
    /// Where every difference goes as it is found, if that is wanted.
    pub differences: Option<&'a Stream>,
}

/// The outcome for an archive.
#[derive(Debug)]
#[non_exhaustive]
pub struct ArchiveVerification {
    /// Trusted if and only if there is no refusal.
    pub verification: Verification,
    /// The home that the archive has, escaped; empty for its top.
    pub home: Option<String>,
    /// The checkout that the archive has, escaped; empty for its top.
    pub checkout: Option<String>,
    /// Whether it was read to its end. If not, more may be wrong with it than was told.
    pub read_whole: bool,
}

/// Takes what has been held against a trusted seal, to write it somewhere. Paths are below their roots; parents may
/// come after what is in them, or not at all.
pub(in crate::cache) trait Sink {
    /// A file of the seal, which is trusted and complete.
    fn seal_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Refusal>;
    /// A directory.
    fn directory(&mut self, root: usize, path: &[u8]) -> Result<(), Refusal>;
    /// A file, whose contents follow in pieces.
    fn file(&mut self, root: usize, path: &[u8], executable: bool) -> Result<(), Refusal>;
    /// The next piece of it.
    fn piece(&mut self, piece: &[u8]) -> Result<(), Refusal>;
    /// The end of it: what came is what was sealed.
    fn file_end(&mut self) -> Result<(), Refusal>;
    /// A symlink and its text.
    fn link(&mut self, root: usize, path: &[u8], target: &[u8]) -> Result<(), Refusal>;
    /// One more name of the file at `from` below the root `from_root`, to become a file of its own.
    fn copy(&mut self, root: usize, path: &[u8], from_root: usize, from: &[u8]) -> Result<(), Refusal>;
}
