//! Reading packages whose digest has been proven.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// One member of a package.
pub struct Member<'a> {
    /// Its path as the archive writes it.
    pub path: &'a [u8],
    /// What it is.
    pub kind: MemberKind<'a>,
    /// Length of its contents in bytes.
    pub size: u64,
    /// Its contents; what is not read is skipped.
    pub content: &'a mut dyn BufRead,
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

/// Bytes of a member that are read at once.
const CHUNK: usize = 64 << 10;

/// Reads a gzipped tar, member by member, as the `tar` crate reads it: the first gzip member only, up to the end of
/// the tar. Give it nothing but bytes whose digest has been proven.
pub fn tar_gz(bytes: &[u8], take: &mut dyn FnMut(Member<'_>) -> Result<(), UnpackError>) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let mut buffer = vec![0; CHUNK];
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(Cow::into_owned).unwrap_or_default();
        let kind = kind_of(entry.header(), &link)?;
        let size = entry.size();
        let mut content = Chunks { from: &mut entry, buffer: &mut buffer, start: 0, end: 0 };
        take(Member { path: &path, kind, size, content: &mut content })?;
    }
    Ok(())
}

fn kind_of<'a>(header: &tar::Header, link: &'a [u8]) -> io::Result<MemberKind<'a>> {
    let kind = header.entry_type();
    Ok(if kind.is_file() || kind.is_contiguous() {
        MemberKind::File { executable: header.mode()? & 0o100 != 0 }
    } else if kind.is_dir() {
        MemberKind::Directory
    } else if kind.is_symlink() {
        MemberKind::Link(link)
    } else if kind.is_hard_link() {
        MemberKind::HardLink(link)
    } else {
        MemberKind::Other
    })
}

/// A reader with a borrowed buffer.
struct Chunks<'a, R> {
    from: R,
    buffer: &'a mut [u8],
    start: usize,
    end: usize,
}

impl<R: Read> Read for Chunks<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Chunks<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = self.from.read(self.buffer)?;
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.start = self.start.saturating_add(amount).min(self.end);
    }
}
