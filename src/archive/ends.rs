//! The two ends of a decoder: where bytes come from, and where they go.

use std::io::{self, BufRead, Read};

use super::error::ArchiveError;
use crate::base::Buffer;

/// Bytes that are read from the source at once.
pub(super) const INPUT_BYTES: usize = 128 << 10;

/// Takes what was decoded.
pub(super) trait Outlet {
    /// Space for the next bytes.
    fn space(&mut self) -> &mut [u8];

    /// `len` bytes of the space were filled, after `compressed` bytes of the source in all. `false` if nobody wants more.
    fn filled(&mut self, len: usize, compressed: u64) -> bool;

    /// Space for a frame that is decoded as a whole, of [`Outlet::filled_frame`]s that were used up. It is waited for;
    /// `None` if nobody wants more.
    fn used_frame(&mut self) -> Option<Buffer>;

    /// The first `len` bytes of `frame` come next, after `compressed` bytes of the source in all. `false` if nobody wants
    /// more. All frames come before what goes through [`Outlet::space`].
    fn filled_frame(&mut self, frame: Buffer, len: usize, compressed: u64) -> bool;
}

/// The source, with the bytes that are looked at before they are taken, and its own errors apart from a decoder's.
pub(super) struct Input<R> {
    source: R,
    buffer: Buffer,
    start: usize,
    end: usize,
    /// Bytes taken so far.
    pub(super) consumed: u64,
    /// Why the source could not be read, where a decoder has only been told that.
    pub(super) failure: Option<io::Error>,
}

impl<R: Read> Input<R> {
    pub(super) fn new(source: R) -> Self {
        Self::resumed(source, 0)
    }

    /// A source of which so many bytes were taken before.
    pub(super) fn resumed(source: R, consumed: u64) -> Self {
        Self { source, buffer: Buffer::new(INPUT_BYTES), start: 0, end: 0, consumed, failure: None }
    }

    /// The source, without what was read of it and not taken.
    pub(super) fn into_source(self) -> R {
        self.source
    }

    /// The next bytes, at least four unless fewer are left.
    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    pub(super) fn peek(&mut self) -> Result<&[u8], ArchiveError> {
        while self.end - self.start < 4 {
            self.buffer.slice_mut().copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let space = &mut self.buffer.slice_mut()[self.end..];
            let read = read_retrying(&mut self.source, space).map_err(ArchiveError::Io)?;
            if read == 0 {
                break;
            }
            self.end += read;
        }
        Ok(self.buffered())
    }

    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    fn buffered(&self) -> &[u8] {
        &self.buffer.slice()[self.start..self.end]
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = if self.start < self.end {
            let mut buffered = self.buffered();
            let read = buffered.read(out)?;
            self.start += read;
            read
        } else {
            read_retrying(&mut self.source, out)?
        };
        self.consumed += read as u64;
        Ok(read)
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            match read_retrying(&mut self.source, self.buffer.slice_mut()) {
                Ok(read) => (self.start, self.end) = (0, read),
                Err(error) => {
                    let kind = error.kind();
                    self.failure = Some(error);
                    return Err(kind.into());
                }
            }
        }
        Ok(self.buffered())
    }

    fn consume(&mut self, amount: usize) {
        self.start = self.end.min(self.start + amount);
        self.consumed += amount as u64;
    }
}

fn read_retrying(source: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
