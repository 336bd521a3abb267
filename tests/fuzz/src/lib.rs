//! What several targets need.

use std::io::Read as _;

use cacheseal::archive::{ArchiveError, Entries, Kind, MemberKind, Reader, Stream, canonical};
use cacheseal::base::Limits;

/// What an archive holds, if it is accepted: canonical name, type, contents or link.
pub fn accepted(archive: &[u8]) -> Option<Vec<(Vec<u8>, char, Vec<u8>)>> {
    read(&mut Stream::of_bytes(archive, &Limits::STANDARD)).ok().flatten()
}

/// The same of a stream; `None` for members that may not stand where they do.
pub fn read(stream: &mut Stream<'_>) -> Result<Option<Vec<(Vec<u8>, char, Vec<u8>)>>, ArchiveError> {
    let mut reader = Reader::new(stream);
    let mut entries = Entries::new(&Limits::STANDARD);
    let mut members = Vec::new();
    let mut is_refused = false;
    while let Some(member) = reader.next_member()? {
        let mut contents = Vec::new();
        reader.contents(|piece| {
            contents.extend_from_slice(piece);
            Ok(())
        })?;
        let (letter, kind, text) = match member.kind {
            MemberKind::File { size } => {
                assert_eq!(contents.len() as u64, size);
                ('f', Kind::Leaf("a file"), contents)
            }
            MemberKind::Directory => ('d', Kind::Directory, Vec::new()),
            MemberKind::Link(text) => ('l', Kind::Leaf("a link"), text),
            MemberKind::HardLink(text) => ('h', Kind::Leaf("a hard link"), text),
            MemberKind::Special(_) => ('s', Kind::Leaf("a device"), Vec::new()),
        };
        match canonical(&member.unverified_name).and_then(|path| entries.admit(&path, kind).map(|_| path)) {
            Ok(path) => members.push((path.as_bytes().to_vec(), letter, text)),
            Err(_) => is_refused = true,
        }
    }
    Ok((!is_refused).then_some(members))
}

/// The same as the `tar` crate reads it.
pub fn as_tar_reads(archive: &[u8]) -> std::io::Result<Vec<(Vec<u8>, char, Vec<u8>)>> {
    let mut members = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        let name = entry.path_bytes().into_owned();
        let name = name.strip_suffix(b"/").unwrap_or(&name);
        let name = name.strip_prefix(b"./").unwrap_or(name);
        let name = if name == b"." { b"" } else { name };
        let link = || entry.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default();
        let (letter, text) = match entry.header().entry_type() {
            tar::EntryType::Regular => ('f', contents),
            tar::EntryType::Directory => ('d', Vec::new()),
            tar::EntryType::Symlink => ('l', link()),
            tar::EntryType::Link => ('h', link()),
            _ => ('s', Vec::new()),
        };
        members.push((name.to_vec(), letter, text));
    }
    Ok(members)
}

/// Whether a PAX value holds a line end, which the `tar` crate takes for the end of the record.
pub fn has_lines_in_values(records: &[u8]) -> bool {
    let mut rest = records;
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let len = std::str::from_utf8(&rest[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let Some((record, after)) = len.filter(|len| *len > 0).and_then(|len| rest.split_at_checked(len)) else {
            break;
        };
        if record[..record.len() - 1].contains(&b'\n') {
            return true;
        }
        rest = after;
    }
    false
}

/// Puts the right checksum into each block that has a magic: what is behind a wrong one is not reached.
pub fn mend_checksums(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].copy_from_slice(b"        ");
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// A header block of ustar.
pub fn header(name: &[u8], type_flag: u8, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = type_flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    mend_checksums(&mut block);
    block
}

/// Contents, filled to whole blocks.
pub fn padded(contents: &[u8]) -> Vec<u8> {
    let mut padded = contents.to_vec();
    padded.resize(contents.len().next_multiple_of(512), 0);
    padded
}
