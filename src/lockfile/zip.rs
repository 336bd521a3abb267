//! Zip (APPNOTE.TXT 6.3): wheels. Not by `rawzip`, which guesses where the central directory begins if bytes precede a
//! zip, and reads on to the end record: Python does neither. No CRC-32 is compared: the digest of the zip is proven before.

use std::io::Read as _;

use flate2::bufread::DeflateDecoder;

use super::archive::{CHUNK, Chunks, Member, MemberKind, Take, UnpackError};

/// Signatures of the records.
pub(super) const LOCAL: u32 = 0x0403_4b50;
pub(super) const CENTRAL: u32 = 0x0201_4b50;
pub(super) const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// Fixed lengths of the records, without names and extra fields.
pub(super) const LOCAL_LEN: usize = 30;
pub(super) const CENTRAL_LEN: usize = 46;
pub(super) const END_LEN: usize = 22;
const LOCATOR_64_LEN: usize = 20;

/// The longest symlink that is read from a member.
const LINK_BYTES_MAX: u64 = 4_096;

/// Reads a zip, member by member in the order of its central directory, which is what every tool goes by. Only stored
/// and deflated members are read. Give it nothing but bytes whose digest has been proven.
pub fn zip(bytes: &[u8], take: &mut Take<'_>) -> Result<(), UnpackError> {
    let (count, start) = end(bytes)?;
    let mut at = usize::try_from(start).map_err(|_| cut())?;
    let mut buffer = vec![0; CHUNK];
    for _ in 0..count {
        let central = Central::read(bytes, at)?;
        at = central.next;
        let data = central.data(bytes)?;
        match central.method {
            0 => member(&central, Chunks::new(data.take(central.size), &mut buffer), take)?,
            8 => member(&central, Chunks::new(DeflateDecoder::new(data).take(central.size), &mut buffer), take)?,
            _ => return Err(UnpackError::new("a member is compressed by a method that is not read here")),
        }
    }
    Ok(())
}

fn member<R: std::io::Read>(
    central: &Central<'_>,
    mut content: Chunks<'_, R>,
    take: &mut Take<'_>,
) -> Result<(), UnpackError> {
    const TYPE: u32 = 0o170_000;
    let (mode, file_type) = (central.mode, central.mode & TYPE);
    let mut link = Vec::new();
    let kind = if central.made_on_unix && file_type == 0o120_000 {
        (&mut content).take(LINK_BYTES_MAX).read_to_end(&mut link)?;
        MemberKind::Link(&link)
    } else if central.name.ends_with(b"/") {
        MemberKind::Directory
    } else if central.made_on_unix && !matches!(file_type, 0o100_000 | 0) {
        MemberKind::Other
    } else {
        // pip asks for a regular file with any executable bit, whatever system made the zip.
        MemberKind::File { executable: file_type == 0o100_000 && mode & 0o111 != 0 }
    };
    // uv asks for the system and not for the type.
    let for_uv = central.made_on_unix && mode & 0o111 != 0;
    let is_mode_clear = !matches!(kind, MemberKind::File { executable } if executable != for_uv);
    take(Member { path: central.name, kind, is_mode_clear, size: central.size, content: &mut content })
}

/// Number of members and offset of the central directory.
fn end(bytes: &[u8]) -> Result<(u64, u64), UnpackError> {
    let no_end = || UnpackError::new("a zip without an end");
    let last = bytes.len().checked_sub(END_LEN).ok_or_else(no_end)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let is_end = |at: &usize| {
        let comment = u16_at(bytes, at + 20).map(usize::from);
        u32_at(bytes, *at) == Some(END) && comment == bytes.len().checked_sub(at + END_LEN)
    };
    let at = (first..=last).rev().find(is_end).ok_or_else(no_end)?;
    let count = u16_at(bytes, at + 10).ok_or_else(no_end)?;
    let start = u32_at(bytes, at + 16).ok_or_else(no_end)?;
    if count != u16::MAX && start != u32::MAX {
        return Ok((count.into(), start.into()));
    }
    let locator = at.checked_sub(LOCATOR_64_LEN).filter(|at| u32_at(bytes, *at) == Some(LOCATOR_64));
    let Some(locator) = locator else { return Ok((count.into(), start.into())) };
    let end_64 = u64_at(bytes, locator + 8).and_then(|at| usize::try_from(at).ok()).ok_or_else(no_end)?;
    if u32_at(bytes, end_64) != Some(END_64) {
        return Err(no_end());
    }
    let field = |offset| end_64.checked_add(offset).and_then(|at| u64_at(bytes, at)).ok_or_else(no_end);
    Ok((field(32)?, field(48)?))
}

/// One record of the central directory.
struct Central<'a> {
    name: &'a [u8],
    method: u16,
    packed: u64,
    size: u64,
    /// What a program on Unix takes for the mode.
    mode: u32,
    made_on_unix: bool,
    local: u64,
    next: usize,
}

impl<'a> Central<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Result<Self, UnpackError> {
        let record = bytes.get(at..).and_then(|rest| rest.get(..CENTRAL_LEN)).ok_or_else(cut)?;
        let (half, word) = (|at| u16_at(record, at).ok_or_else(cut), |at| u32_at(record, at).ok_or_else(cut));
        if word(0)? != CENTRAL {
            return Err(UnpackError::new("a central directory with something else in it"));
        }
        let (name_len, extra_len, comment_len) = (half(28)?.into(), half(30)?.into(), usize::from(half(32)?));
        let name_at = at + CENTRAL_LEN;
        let name = bytes.get(name_at..).and_then(|rest| rest.get(..name_len)).ok_or_else(cut)?;
        let extra = bytes.get(name_at + name_len..).and_then(|rest| rest.get(..extra_len)).ok_or_else(cut)?;
        let made_on_unix = half(4)? >> 8 == 3;
        let mut central = Self {
            name,
            method: half(10)?,
            packed: word(20)?.into(),
            size: word(24)?.into(),
            mode: word(38)? >> 16,
            made_on_unix,
            local: word(42)?.into(),
            next: name_at + name_len + extra_len + comment_len,
        };
        central.widen(extra);
        Ok(central)
    }

    /// Takes sizes and offset from the Zip64 field, where the record has no room for them.
    fn widen(&mut self, mut extra: &[u8]) {
        while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
            let Some(field) = extra.get(4..4 + usize::from(len)) else { return };
            if id == 1 {
                let mut values = field.chunks_exact(8).filter_map(|value| u64_at(value, 0));
                for slot in [&mut self.size, &mut self.packed, &mut self.local] {
                    if *slot == u64::from(u32::MAX) {
                        *slot = values.next().unwrap_or(*slot);
                    }
                }
            }
            (_, extra) = extra.split_at(4 + usize::from(len));
        }
    }

    /// The packed bytes, behind the local header.
    fn data(&self, bytes: &'a [u8]) -> Result<&'a [u8], UnpackError> {
        let local = usize::try_from(self.local).ok().and_then(|at| bytes.get(at..)).ok_or_else(cut)?;
        if u32_at(local, 0) != Some(LOCAL) {
            return Err(UnpackError::new("a member without its header"));
        }
        let lengths = u16_at(local, 26).zip(u16_at(local, 28)).ok_or_else(cut)?;
        let start = LOCAL_LEN + usize::from(lengths.0) + usize::from(lengths.1);
        let packed = usize::try_from(self.packed).map_err(|_| cut())?;
        local.get(start..).and_then(|rest| rest.get(..packed)).ok_or_else(cut)
    }
}

fn cut() -> UnpackError {
    UnpackError::new("a zip that was cut short")
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the members of a zip are, and their contents.
    fn members(bytes: &[u8]) -> Result<Vec<(String, String)>, UnpackError> {
        let mut found = Vec::new();
        zip(bytes, &mut |member| {
            let mut content = Vec::new();
            member.content.read_to_end(&mut content)?;
            let kind = format!("{:?} {} {}", member.kind, member.size, String::from_utf8_lossy(&content));
            found.push((String::from_utf8_lossy(member.path).into_owned(), kind));
            Ok(())
        })?;
        Ok(found)
    }

    /// Made by Python's `zipfile`: a deflated file, a stored executable one, a directory, a symlink; a comment.
    const SAMPLE: &str = "504b0304140000000800000021002ffaf8480b0000007800000005000000612e747874cb48cdc9c957c8a03b0900504b\
        0304140000000000000021001d9dfb040a0000000a00000004000000622e736823212f62696e2f73680a504b03041400\
        000000000000210000000000000000000000000002000000642f504b030414000000000000002100baf7ebc105000000\
        0500000004000000642f6c6e612e747874504b01021403140000000800000021002ffaf8480b00000078000000050000\
        000000000000000000a48100000000612e747874504b01021403140000000000000021001d9dfb040a0000000a000000\
        040000000000000000000000ed812e000000622e7368504b010214031400000000000000210000000000000000000000\
        0000020000000000000000001000ed415a000000642f504b0102140314000000000000002100baf7ebc1050000000500\
        0000040000000000000000000000ffa17a000000642f6c6e504b05060000000004000400c7000000a10000000200686a";

    fn sample() -> Vec<u8> {
        hex::decode(SAMPLE).unwrap()
    }

    #[test]
    fn a_zip_of_another_program_is_read() {
        let found = members(&sample()).unwrap();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.txt", "b.sh", "d/", "d/ln"]);
        assert_eq!(found[0].1, format!("File {{ executable: false }} 120 {}", "hello ".repeat(20)));
        assert_eq!(found[1].1, "File { executable: true } 10 #!/bin/sh\n");
        assert!(found[2].1.starts_with("Directory"));
        assert!(found[3].1.starts_with("Link([97, 46, 116, 120, 116])"), "{}", found[3].1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flips: Vec<(usize, u8)>) {
            let _ = members(&bytes);
            let mut changed = sample();
            let len = changed.len();
            for (at, value) in flips {
                changed[at % len] = value;
            }
            let _ = members(&changed);
        }
    }
}
