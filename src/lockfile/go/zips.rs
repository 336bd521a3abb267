//! Zips of modules. A digest is over what is in them, so bytes are read that nothing has proven yet: only what every
//! reader reads in the same way is taken, and no more than Go would take.

use std::io::Read as _;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use sha2::{Digest as _, Sha256};

use super::dirhash::Listed;
use crate::lockfile::zip::{CENTRAL, CENTRAL_LEN, END, END_LEN, LOCAL, LOCAL_LEN, u16_at, u32_at};

/// What all files of a module may come to: Go's `MaxZipFile`.
const TOTAL_BYTES_MAX: u64 = 500 << 20;

/// Bytes that are unpacked at once.
const CHUNK: usize = 64 << 10;

/// Names and digests of all members; `Err` says why the zip is not one that Go makes.
pub(super) fn list(bytes: &[u8]) -> Result<Listed, &'static str> {
    let end = bytes.len().checked_sub(END_LEN).filter(|at| u32_at(bytes, *at) == Some(END)).ok_or("no zip")?;
    let half = |at: usize| u16_at(bytes, end + at).map(usize::from).ok_or("a zip that was cut short");
    let word = |at: usize| u32_at(bytes, end + at).and_then(|word| usize::try_from(word).ok()).ok_or("no zip");
    // One disk, no comment, and the central directory directly before its end: else readers differ on where it is.
    let (count, size, mut at) = (half(10)?, word(12)?, word(16)?);
    if half(4)? != 0 || half(6)? != 0 || half(8)? != count || half(20)? != 0 || at.checked_add(size) != Some(end) {
        return Err("a zip whose central directory is not plainly where its end says");
    }
    let mut listed = Listed::new();
    let mut left = TOTAL_BYTES_MAX;
    for _ in 0..count {
        at = member(bytes, at, end, &mut left, &mut listed)?;
    }
    if at == end { Ok(listed) } else { Err("a zip with more members than its end says") }
}

/// Reads the member of a record of the central directory; gives where the next record is.
fn member(bytes: &[u8], at: usize, end: usize, left: &mut u64, listed: &mut Listed) -> Result<usize, &'static str> {
    const CUT: &str = "a zip that was cut short";
    let record = bytes.get(at..end).and_then(|rest| rest.get(..CENTRAL_LEN)).ok_or(CUT)?;
    let half = |at| u16_at(record, at).map(usize::from).ok_or(CUT);
    let word = |at| u32_at(record, at).ok_or(CUT);
    if word(0)? != CENTRAL {
        return Err("a central directory with something else in it");
    }
    let (packed, size, local) = (word(20)?, word(24)?, word(42)?);
    if [packed, size, local].contains(&u32::MAX) {
        return Err("a zip in the form for large files, which modules do not need");
    }
    let name_at = at + CENTRAL_LEN;
    let next = name_at + half(28)? + half(30)? + half(32)?;
    if next > end {
        return Err(CUT);
    }
    let name = bytes.get(name_at..name_at + half(28)?).ok_or(CUT)?;
    *left = left.checked_sub(size.into()).ok_or("a zip of more than the 500 MiB that Go unpacks")?;
    let header = bytes.get(usize::try_from(local).map_err(|_| CUT)?..).ok_or(CUT)?;
    if u32_at(header, 0) != Some(LOCAL) {
        return Err("a member without its header");
    }
    let lengths = u16_at(header, 26).zip(u16_at(header, 28)).ok_or(CUT)?;
    let data = header.get(LOCAL_LEN + usize::from(lengths.0) + usize::from(lengths.1)..).ok_or(CUT)?;
    let data = data.get(..usize::try_from(packed).map_err(|_| CUT)?).ok_or(CUT)?;
    let (digest, found, crc) = match half(10)? {
        0 => contents(data, size),
        8 => contents(DeflateDecoder::new(data), size),
        _ => return Err("a member is compressed by a method that is not read here"),
    }?;
    if found != u64::from(size) || crc != word(16)? {
        return Err("a member whose size or CRC-32 is not what the zip says");
    }
    if listed.insert(name.to_vec(), digest).is_some() {
        return Err("a zip with two members of one name");
    }
    Ok(next)
}

/// Digest, length and CRC-32 of contents, read up to one byte more than they should have.
fn contents(from: impl std::io::Read, size: u32) -> Result<([u8; 32], u64, u32), &'static str> {
    let mut from = from.take(u64::from(size) + 1);
    let (mut sha256, mut crc, mut length) = (Sha256::new(), Crc::new(), 0_u64);
    let mut buffer = vec![0; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK) + 1)];
    loop {
        let read = from.read(&mut buffer).map_err(|_| "a member that cannot be unpacked")?;
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Ok((sha256.finalize().into(), length, crc.sum()));
        }
        sha256.update(piece);
        crc.update(piece);
        length += read as u64;
    }
}
