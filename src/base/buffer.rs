//! Memory to read into.

use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// A buffer for reading, aligned to a page: the kernel copies to an unaligned one at a third of the speed.
#[derive(Debug)]
pub struct Buffer {
    bytes: Bytes,
    start: usize,
    len: usize,
}

const PAGE: usize = 4096;

impl Buffer {
    /// A buffer of `len` zeros.
    #[must_use]
    pub fn new(len: usize) -> Self {
        // Where there is no mapping to be had, the allocator tells of it as always.
        let bytes = Bytes::zeroed(len + PAGE).unwrap_or_else(|_| Bytes(Held::Short(vec![0; len + PAGE])));
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, start, len }
    }

    /// All of it, to write into.
    #[expect(clippy::indexing_slicing, reason = "memory is as long as it was made; a panic is a refusal")]
    pub fn slice_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }

    /// All of it.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "memory is as long as it was made; a panic is a refusal")]
    pub fn slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

/// Bytes of a document as a whole. Long ones lie in large pages where the system has them: to fill and to free small
/// ones takes as long as to read the document.
#[derive(Debug)]
pub struct Bytes(Held);

#[derive(Debug)]
enum Held {
    Short(Vec<u8>),
    /// And how much of it is used.
    Long(MmapMut, usize),
}

/// Length of a large page, in bytes.
const LARGE_PAGE: usize = 2 << 20;

impl Bytes {
    /// `len` zeros. Fails if there is no memory for them.
    pub fn zeroed(len: usize) -> io::Result<Self> {
        if len < LARGE_PAGE {
            return Ok(Self(Held::Short(vec![0; len])));
        }
        // Of whole large pages: other mappings begin anywhere, and have small ones at both ends.
        let whole = len.checked_next_multiple_of(LARGE_PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let memory = MmapMut::map_anon(whole)?;
        // Where there are no large pages, small ones do.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(Self(Held::Long(memory, len)))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[expect(clippy::indexing_slicing, reason = "memory is as long as it was made; a panic is a refusal")]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Short(bytes) => bytes,
            Held::Long(bytes, len) => &bytes[..*len],
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl DerefMut for Bytes {
    #[expect(clippy::indexing_slicing, reason = "memory is as long as it was made; a panic is a refusal")]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Held::Short(bytes) => bytes,
            Held::Long(bytes, len) => &mut bytes[..*len],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_zero_and_as_many_as_asked_for() {
        for len in [0, 1, LARGE_PAGE - 1, LARGE_PAGE, LARGE_PAGE + 1] {
            let mut bytes = Bytes::zeroed(len).unwrap();
            assert!(bytes.len() == len && bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
        }
        assert!(Bytes::zeroed(usize::MAX).is_err());
    }
}
