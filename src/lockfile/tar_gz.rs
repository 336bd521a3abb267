//! Gzipped tar: `.crate`, `.tgz`, `.tar.gz`.

use std::borrow::Cow;
use std::io;

use flate2::bufread::GzDecoder;

use super::archive::{CHUNK, Chunks, Member, MemberKind, Take, UnpackError};

/// Reads a gzipped tar, member by member, as the `tar` crate reads it: the first gzip member only, up to the end of
/// the tar. Give it nothing but bytes whose digest has been proven.
pub fn tar_gz(bytes: &[u8], take: &mut Take<'_>) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let mut buffer = vec![0; CHUNK];
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(Cow::into_owned).unwrap_or_default();
        let kind = kind_of(entry.header(), &link)?;
        let size = entry.size();
        let mut content = Chunks::new(&mut entry, &mut buffer);
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
