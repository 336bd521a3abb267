//! Zips made here: stored members, as wheels have them, and members as Go packs them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::File;

/// A member of a Go zip as the bytes between the fields of its headers say it.
#[derive(Debug, Clone)]
pub(crate) struct GoMember {
    pub(crate) name: Vec<u8>,
    pub(crate) packed: Vec<u8>,
    pub(crate) size: u32,
    pub(crate) crc: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    /// What the header before the contents has for CRC-32 and sizes.
    pub(crate) local: [u32; 3],
    /// What stands behind the contents.
    pub(crate) descriptor: Vec<u8>,
    pub(crate) local_extra: Vec<u8>,
    pub(crate) extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    /// Bytes between this member and the next.
    pub(crate) gap: Vec<u8>,
}

impl GoMember {
    /// A member as Go's `archive/zip` writes it.
    pub(crate) fn new(name: &str, contents: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(contents).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        let mut member = Self {
            name: name.as_bytes().to_vec(),
            packed,
            size: u32::try_from(contents.len()).unwrap(),
            crc: crc.sum(),
            flags: 8,
            method: 8,
            local: [0; 3],
            descriptor: Vec::new(),
            local_extra: Vec::new(),
            extra: Vec::new(),
            comment: Vec::new(),
            gap: Vec::new(),
        };
        member.describe();
        member
    }

    /// Sets the descriptor to what follows from the other fields.
    pub(crate) fn describe(&mut self) {
        let words = [0x0807_4b50, self.crc, u32::try_from(self.packed.len()).unwrap(), self.size];
        self.descriptor = words.into_iter().flat_map(u32::to_le_bytes).collect();
    }
}

/// A zip of these members, each header and the end as they say; `end` is what the end record has for the number of
/// members, the size and the place of the central directory, where that is not what follows.
pub(crate) fn go_zip_of(members: &[GoMember], end: [Option<u32>; 3]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    let len = |part: &[u8]| u16::try_from(part.len()).unwrap().to_le_bytes();
    for member in members {
        let offset = u32::try_from(bytes.len()).unwrap();
        let mut shared = Vec::new();
        for half in [20, member.flags, member.method, 0, 0] {
            shared.extend(half.to_le_bytes());
        }
        bytes.extend(0x0403_4b50_u32.to_le_bytes());
        bytes.extend(&shared);
        bytes.extend(member.local.into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(len(&member.name));
        bytes.extend(len(&member.local_extra));
        for part in [&member.name, &member.local_extra, &member.packed, &member.descriptor, &member.gap] {
            bytes.extend(part);
        }
        central.extend(0x0201_4b50_u32.to_le_bytes());
        central.extend(20_u16.to_le_bytes());
        central.extend(&shared);
        let packed = u32::try_from(member.packed.len()).unwrap();
        central.extend([member.crc, packed, member.size].into_iter().flat_map(u32::to_le_bytes));
        for part in [&member.name, &member.extra, &member.comment] {
            central.extend(len(part));
        }
        central.extend([0; 8]);
        central.extend(offset.to_le_bytes());
        for part in [&member.name, &member.extra, &member.comment] {
            central.extend(part);
        }
    }
    let follows = [members.len(), central.len(), bytes.len()].map(|number| u32::try_from(number).unwrap());
    let [count, size, start] = [0, 1, 2].map(|index| end[index].unwrap_or(follows[index]));
    let count = u16::try_from(count).unwrap().to_le_bytes();
    bytes.extend(central);
    bytes.extend(0x0605_4b50_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([count, count].concat());
    bytes.extend([size, start].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend([0; 2]);
    bytes
}

/// A zip of these files as Go packs a module.
pub(crate) fn go_zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let members: Vec<_> = files.iter().map(|(name, contents)| GoMember::new(name, contents)).collect();
    go_zip_of(&members, [None; 3])
}

/// A zip of these members, in this order. A path with a final slash is a directory.
pub(crate) fn zip(members: &[File<'_>]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (path, contents, mode) in members {
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        let (size, name) = (u32::try_from(contents.len()).unwrap(), u16::try_from(path.len()).unwrap());
        // Version, flags, method, time, date: what both headers have.
        let mut shared = Vec::new();
        for half in [20_u16, 0, 0, 0, 0x21] {
            shared.extend(half.to_le_bytes());
        }
        for word in [crc.sum(), size, size] {
            shared.extend(word.to_le_bytes());
        }
        shared.extend(name.to_le_bytes());
        shared.extend(0_u16.to_le_bytes());
        let offset = u32::try_from(bytes.len()).unwrap();
        bytes.extend(0x0403_4b50_u32.to_le_bytes());
        bytes.extend(&shared);
        bytes.extend(path.as_bytes());
        bytes.extend(*contents);
        let kind = if path.ends_with('/') { 0o040_000 } else { 0o100_000 };
        central.extend(0x0201_4b50_u32.to_le_bytes());
        central.extend([20, 3]);
        central.extend(&shared);
        central.extend([0; 6]);
        central.extend(((kind | mode) << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(path.as_bytes());
    }
    let (start, size) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(central.len()).unwrap());
    let count = u16::try_from(members.len()).unwrap();
    bytes.extend(central);
    bytes.extend(0x0605_4b50_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}
