//! Gzipped tar: `.crate`, `.tgz`, `.tar.gz`.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::bufread::DeflateDecoder;
use libdeflater::Decompressor;

use super::archive::{CHUNK, Chunks, Member, MemberKind, Take, UnpackError};
use super::scratch::{Scratch, ScratchPool};

/// Packages up to this length, unpacked, are unpacked into memory as a whole, which is twice as fast as reading them as
/// a stream.
const WHOLE_MAX: usize = 256 << 20;

/// Reads a gzipped tar, member by member, as the `tar` crate reads it: the first gzip member only, up to the end of
/// the tar; into memory of `pool` where it fits. Give it nothing but bytes whose digest has been proven.
pub fn tar_gz(bytes: &[u8], pool: &ScratchPool, take: &mut Take<'_>) -> Result<(), UnpackError> {
    let length = unpacked_length(bytes).ok_or_else(|| UnpackError::new("not a gzip file"))?;
    match Some(length).filter(|length| *length <= WHOLE_MAX).and_then(|length| Scratch::take(pool, length)) {
        Some(mut scratch) => unpack(bytes, length, &mut scratch, take),
        None => stream(bytes, take),
    }
}

/// Unpacks into memory and goes through what is there. A length that was not the true one shows here, and then the
/// stream tells.
fn unpack(bytes: &[u8], length: usize, scratch: &mut Scratch, take: &mut Take<'_>) -> Result<(), UnpackError> {
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
fn whole<'s>(bytes: &[u8], length: usize, scratch: &'s mut Scratch) -> Option<&'s [u8]> {
    let memory = scratch.bytes(length)?;
    let found = Decompressor::new().deflate_decompress(deflated(bytes).ok()?, memory).ok()?;
    memory.get(..found)
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
            take(Member { path: &path, kind, is_mode_clear: true, size, content: &mut content })?;
        } else {
            buffer.resize(CHUNK, 0);
            take(Member {
                path: &path,
                kind,
                is_mode_clear: true,
                size,
                content: &mut Chunks::new(&mut entry, &mut buffer),
            })?;
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A tar of these files.
    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, contents) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *contents).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The members, as whoever takes them sees them.
    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, UnpackError> {
        let mut found = Vec::new();
        tar_gz(bytes, &ScratchPool::default(), &mut |member| {
            let mut contents = Vec::new();
            member.content.read_to_end(&mut contents)?;
            found.push((String::from_utf8_lossy(member.path).into_owned(), contents));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn a_package_is_read_the_same_whatever_its_last_bytes_say() {
        let large = vec![7; 300_000];
        let archive = tar(&[("p/a", b"one"), ("p/b", &large), ("p/c", b"")]);
        let expected = vec![
            ("p/a".to_owned(), b"one".to_vec()),
            ("p/b".to_owned(), large.clone()),
            ("p/c".to_owned(), Vec::new()),
        ];
        let honest = gzip(&archive);
        assert_eq!(read(&honest).unwrap(), expected);
        // The length at the end is only a hint: too small, absurd, or that of a second member, which nobody reads.
        for end in [[1, 0, 0, 0], [0xff; 4], [0, 0, 0, 0x10]] {
            let mut other = honest.clone();
            let at = other.len() - 4;
            other[at..].copy_from_slice(&end);
            assert_eq!(read(&other).unwrap(), expected, "{end:?}");
        }
        assert_eq!(read(&[honest.clone(), gzip(b"more")].concat()).unwrap(), expected);
        // Names and comments in the header.
        let named = flate2::GzBuilder::new().filename("n").comment("c").extra(vec![1, 2]);
        let mut encoder = named.write(Vec::new(), Compression::fast());
        encoder.write_all(&archive).unwrap();
        assert_eq!(read(&encoder.finish().unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_package_is_an_error() {
        for bytes in [&b""[..], b"abc", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", &gzip(b"no tar")[..]] {
            assert!(read(bytes).is_err() || read(bytes).unwrap().is_empty(), "{bytes:?}");
        }
        let whole = gzip(&tar(&[("p/a", &vec![7; 100_000])]));
        assert!(read(&whole[..whole.len() / 2]).is_err());
    }
}
