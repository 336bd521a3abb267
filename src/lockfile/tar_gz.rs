//! Gzipped tar: `.crate`, `.tgz`, `.tar.gz`.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use flate2::bufread::DeflateDecoder;
use libdeflater::Decompressor;

use super::archive::{CHUNK, Chunks, Member, MemberKind, Take, UnpackError};

/// Packages up to this length, unpacked, are unpacked into memory that is kept for the next one. That is twice as fast
/// as reading them as a stream.
const KEPT_MAX: usize = 16 << 20;

/// Larger packages are unpacked into memory too, while all threads together hold no more of them than this.
const LARGE_MAX: usize = 192 << 20;

/// What they hold at the moment.
static LARGE: AtomicUsize = AtomicUsize::new(0);

/// Memory that packages are unpacked into, for whoever comes next: what was used last is still in the processor's cache.
static SCRATCH: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Reads a gzipped tar, member by member, as the `tar` crate reads it: the first gzip member only, up to the end of
/// the tar. Give it nothing but bytes whose digest has been proven.
pub fn tar_gz(bytes: &[u8], take: &mut Take<'_>) -> Result<(), UnpackError> {
    let Some(length) = unpacked_length(bytes) else { return Err(UnpackError::new("not a gzip file")) };
    if length <= KEPT_MAX {
        let mut scratch = SCRATCH.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let result = unpack(bytes, length, &mut scratch, take);
        SCRATCH.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        return result;
    }
    match Large::hold(length) {
        Some(_held) => unpack(bytes, length, &mut Vec::new(), take),
        None => stream(bytes, take),
    }
}

/// A share of the memory for large packages, given back when it is dropped.
struct Large(usize);

impl Large {
    fn hold(length: usize) -> Option<Self> {
        let add = |held: usize| held.checked_add(length).filter(|all| *all <= LARGE_MAX);
        LARGE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok().map(|_| Self(length))
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        LARGE.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Unpacks into memory and goes through what is there. A length that was not the true one shows here, and then the
/// stream tells.
fn unpack(bytes: &[u8], length: usize, scratch: &mut Vec<u8>, take: &mut Take<'_>) -> Result<(), UnpackError> {
    match whole(bytes, length, scratch) {
        Some(tar) => members(tar, Some(tar), take),
        None => stream(bytes, take),
    }
}

fn stream(bytes: &[u8], take: &mut Take<'_>) -> Result<(), UnpackError> {
    members(DeflateDecoder::new(deflated(bytes)?), None, take)
}

/// The length that stands at the end of a gzip file: of its last member, modulo 4 GiB.
fn unpacked_length(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.last_chunk()?)).ok()
}

/// What is behind the header of the first gzip member (RFC 1952, 2.3). Its checksum is not looked at: the digest of
/// the whole file has been proven.
fn deflated(bytes: &[u8]) -> Result<&[u8], UnpackError> {
    const LEN: usize = 10;
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let cut = || UnpackError::new("a gzip header that was cut short");
    let [0x1f, 0x8b, 8, flags, ..] = bytes else { return Err(UnpackError::new("not a gzip file")) };
    let mut rest = bytes.get(LEN..).ok_or_else(cut)?;
    if flags & EXTRA != 0 {
        let length = rest.first_chunk().map(|length| usize::from(u16::from_le_bytes(*length))).ok_or_else(cut)?;
        rest = rest.get(2 + length..).ok_or_else(cut)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or_else(cut)?;
            rest = rest.get(end + 1..).ok_or_else(cut)?;
        }
    }
    rest.get(if flags & CHECKSUM != 0 { 2.. } else { 0.. }).ok_or_else(cut)
}

/// The first gzip member as a whole, if it has at most `length` bytes.
fn whole<'s>(bytes: &[u8], length: usize, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
    if scratch.len() < length {
        // Nothing of the old contents is wanted, so nothing of them is copied.
        *scratch = vec![0; length];
    }
    let found = Decompressor::new().gzip_decompress(bytes, scratch.get_mut(..length)?).ok()?;
    scratch.get(..found)
}

/// Goes through a tar. Where all of it is in memory, members are handed out without copying them.
fn members(from: impl Read, whole: Option<&[u8]>, take: &mut Take<'_>) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(from);
    let mut buffer = if whole.is_some() { Vec::new() } else { vec![0; CHUNK] };
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(Cow::into_owned).unwrap_or_default();
        let kind = kind_of(entry.header(), &link)?;
        let size = entry.size();
        let sparse = entry.header().entry_type().is_gnu_sparse();
        let in_memory = whole.filter(|_| !sparse).and_then(|tar| slice(tar, entry.raw_file_position(), size));
        if let Some(mut content) = in_memory {
            take(Member { path: &path, kind, size, content: &mut content })?;
        } else {
            buffer.resize(CHUNK, 0);
            take(Member { path: &path, kind, size, content: &mut Chunks::new(&mut entry, &mut buffer) })?;
        }
    }
    Ok(())
}

fn slice(tar: &[u8], start: u64, size: u64) -> Option<&[u8]> {
    let (start, size) = (usize::try_from(start).ok()?, usize::try_from(size).ok()?);
    tar.get(start..)?.get(..size)
}

fn kind_of<'a>(header: &tar::Header, link: &'a [u8]) -> io::Result<MemberKind<'a>> {
    let kind = header.entry_type();
    Ok(if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
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
