//! Members of packages whose digest has been proven.

use std::io::{self, BufRead, Read};

/// One member of a package.
pub struct Member<'a> {
    /// Its path as the archive writes it.
    pub path: &'a [u8],
    /// What it is.
    pub kind: MemberKind<'a>,
    /// Whether all tools make the same of its mode; where not, either is as locked.
    pub is_mode_clear: bool,
    /// Length of its contents in bytes.
    pub size: u64,
    /// Its contents; what is not read is skipped.
    pub content: &'a mut dyn BufRead,
}

impl Member<'_> {
    /// Whether the file that is made of it is executable; `None` where tools differ on that.
    #[must_use]
    pub fn executable(&self) -> Option<bool> {
        self.is_mode_clear.then_some(matches!(self.kind, MemberKind::File { executable: true }))
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind<'a> {
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symlink and its text.
    Link(&'a [u8]),
    /// A second name of a member that came before.
    HardLink(&'a [u8]),
    /// Anything else: devices, fifos.
    Other,
}

/// A proven package that could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("the package cannot be unpacked: {0}")]
pub struct UnpackError(#[from] io::Error);

impl UnpackError {
    /// An archive that is not as its format says.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self(io::Error::new(io::ErrorKind::InvalidData, what))
    }
}

/// What is done with each member. An error ends the reading.
pub type Take<'t> = dyn FnMut(Member<'_>) -> Result<(), UnpackError> + 't;

/// Bytes of a member that are read at once.
pub(super) const CHUNK: usize = 64 << 10;

/// A reader with a borrowed buffer.
pub(super) struct Chunks<'a, R> {
    from: R,
    buffer: &'a mut [u8],
    start: usize,
    end: usize,
}

impl<'a, R> Chunks<'a, R> {
    pub(super) fn new(from: R, buffer: &'a mut [u8]) -> Self {
        Self { from, buffer, start: 0, end: 0 }
    }
}

impl<R: Read> Read for Chunks<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Chunks<'_, R> {
    #[expect(clippy::indexing_slicing, reason = "a reader gives no more bytes than fit; a panic is a refusal")]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = self.from.read(self.buffer)?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start = self.start.saturating_add(amount).min(self.end);
    }
}
