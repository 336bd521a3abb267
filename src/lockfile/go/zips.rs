//! Zips of modules. A digest is over what is in them, so bytes are read that nothing has proven yet. Only one form is
//! taken, the one that Go itself writes: members back to back from the first byte, each with a header without sizes,
//! its contents and a descriptor, then the central directory in the same order, then its end. Whatever is not in that
//! form could be read in another way by some version of Go.

use std::collections::BTreeMap;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use sha2::{Digest as _, Sha256};

use super::dirhash::Listed;
use crate::lockfile::zip::{CENTRAL, CENTRAL_LEN, END, END_LEN, LOCAL, LOCAL_LEN, u16_at, u32_at};

/// The longest zip, and what all files of a module may come to: Go's `MaxZipFile`.
pub(super) const TOTAL_BYTES_MAX: u64 = 500 << 20;

/// Bytes that are unpacked at once.
const CHUNK: usize = 64 << 10;

/// What stands behind the contents of each member: this, its CRC-32 and its sizes.
const DESCRIPTOR: u32 = 0x0807_4b50;
const DESCRIPTOR_LEN: usize = 16;

/// The version of the format that is needed to read a member.
const VERSION: u16 = 20;

/// Sizes stand behind the contents; the second says besides that the name is UTF-8.
const FLAGS: [u16; 2] = [0x8, 0x808];

const CUT: &str = "a zip that was cut short";

/// Names and SHA-256 of all files of a module's zip; `Err` says what is not as Go packs it.
pub fn list(bytes: &[u8]) -> Result<BTreeMap<Vec<u8>, [u8; 32]>, &'static str> {
    let end = bytes.len().checked_sub(END_LEN).filter(|at| u32_at(bytes, *at) == Some(END)).ok_or("no zip")?;
    let half = |at: usize| u16_at(bytes, end + at).ok_or(CUT);
    let word = |at: usize| u32_at(bytes, end + at).ok_or(CUT);
    let (count, size, start) = (half(10)?, word(12)?, word(16)?);
    // Go up to 1.25 takes 0xffff as a size for the mark of a large zip, which has another directory.
    let is_mark = |number: u32| number == u32::from(u16::MAX) || number == u32::MAX;
    if [u32::from(count), size, start].into_iter().any(is_mark) {
        return Err("an end that may stand for that of a large zip");
    }
    let (size, start) = (usize::try_from(size).map_err(|_| CUT)?, usize::try_from(start).map_err(|_| CUT)?);
    if half(4)? != 0 || half(6)? != 0 || half(8)? != count || half(20)? != 0 || start.checked_add(size) != Some(end) {
        return Err("a central directory that is not directly before its end");
    }
    let mut reading = Reading { members: bytes.get(..start).ok_or(CUT)?, at: 0, left: TOTAL_BYTES_MAX };
    let mut directory = bytes.get(start..end).ok_or(CUT)?;
    let mut listed = Listed::new();
    for _ in 0..count {
        let (name, digest) = reading.member(&mut directory)?;
        if listed.insert(name, digest).is_some() {
            return Err("two members of one name");
        }
    }
    if !directory.is_empty() || reading.at != start {
        return Err("bytes that belong to no member");
    }
    Ok(listed)
}

/// Goes through the members, which must follow each other without a gap.
struct Reading<'a> {
    members: &'a [u8],
    at: usize,
    left: u64,
}

impl Reading<'_> {
    /// Takes the next record of the central directory, and reads the member that comes next.
    fn member(&mut self, directory: &mut &[u8]) -> Result<(Vec<u8>, [u8; 32]), &'static str> {
        let (record, rest) = directory.split_at_checked(CENTRAL_LEN).ok_or(CUT)?;
        let half = |at| u16_at(record, at).ok_or(CUT);
        let word = |at| u32_at(record, at).ok_or(CUT);
        let (name, rest) = rest.split_at_checked(half(28)?.into()).ok_or(CUT)?;
        *directory = rest;
        let numbers = Numbers { crc: word(16)?, packed: word(20)?, size: word(24)? };
        // No extra field, no comment, the first disk, no internal attributes.
        let is_plain = [30, 32, 34, 36].into_iter().all(|at| half(at) == Ok(0));
        if word(0)? != CENTRAL || !is_plain || half(6)? != VERSION || !FLAGS.contains(&half(8)?) {
            return Err("a central record in another form");
        }
        if name.is_empty() || name.ends_with(b"/") || usize::try_from(word(42)?) != Ok(self.at) {
            return Err("a directory, or members in another order than their records");
        }
        if [numbers.packed, numbers.size].contains(&u32::MAX) {
            return Err("a member in the form for large files");
        }
        self.left = self.left.checked_sub(numbers.size.into()).ok_or("more than the 500 MiB that Go unpacks")?;
        self.header(record, name)?;
        let digest = self.contents(half(10)?, &numbers)?;
        Ok((name.to_vec(), digest))
    }

    fn take(&mut self, len: usize) -> Result<&[u8], &'static str> {
        let part = self.members.get(self.at..).and_then(|rest| rest.get(..len)).ok_or(CUT)?;
        self.at += len;
        Ok(part)
    }

    /// The header before the contents: as the record from version to date, then no CRC-32, no sizes, no extra field.
    fn header(&mut self, record: &[u8], name: &[u8]) -> Result<(), &'static str> {
        let header = self.take(LOCAL_LEN)?;
        let is_same = header.get(4..14) == record.get(6..16) && header.get(26..28) == record.get(28..30);
        let is_empty = header.get(14..26) == Some(&[0; 12][..]) && header.get(28..30) == Some(&[0; 2][..]);
        if u32_at(header, 0) != Some(LOCAL) || !is_same || !is_empty || self.take(name.len())? != name {
            return Err("a member's header that is not as its record");
        }
        Ok(())
    }

    /// The contents and the descriptor behind them.
    fn contents(&mut self, method: u16, numbers: &Numbers) -> Result<[u8; 32], &'static str> {
        let packed = self.take(usize::try_from(numbers.packed).map_err(|_| CUT)?)?;
        let (digest, found) = match method {
            0 => hash(&mut &packed[..], numbers.size),
            8 => {
                let mut decoder = DeflateDecoder::new(packed);
                let hashed = hash(&mut decoder, numbers.size);
                if !decoder.into_inner().is_empty() {
                    return Err("a member with bytes behind its contents");
                }
                hashed
            }
            _ => return Err("a member packed by a method that Go does not use"),
        }?;
        let descriptor = self.take(DESCRIPTOR_LEN)?;
        let word = |at| u32_at(descriptor, at);
        let is_said = word(4) == Some(numbers.crc) && word(8) == Some(numbers.packed) && word(12) == Some(numbers.size);
        if word(0) != Some(DESCRIPTOR) || !is_said || found != (u64::from(numbers.size), numbers.crc) {
            return Err("a member whose size or CRC-32 is not what its record says");
        }
        Ok(digest)
    }
}

/// What a record says of the contents of its member.
struct Numbers {
    crc: u32,
    packed: u32,
    size: u32,
}

/// Digest, length and CRC-32 of contents, read up to one byte more than they should have.
fn hash(from: &mut dyn std::io::Read, size: u32) -> Result<([u8; 32], (u64, u32)), &'static str> {
    let max = u64::from(size) + 1;
    let (mut sha256, mut crc, mut length) = (Sha256::new(), Crc::new(), 0_u64);
    let mut buffer = vec![0; CHUNK.min(usize::try_from(max).unwrap_or(CHUNK))];
    while length < max {
        let read = from.read(&mut buffer).map_err(|_| "a member that cannot be unpacked")?;
        let piece = buffer.get(..read).ok_or("more bytes than were asked for")?;
        if piece.is_empty() {
            break;
        }
        sha256.update(piece);
        crc.update(piece);
        length += read as u64;
    }
    Ok((sha256.finalize().into(), (length, crc.sum())))
}
