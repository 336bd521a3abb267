//! Zips made here: stored members, as wheels and Go modules have them.

use super::File;

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
