//! Writing tar archives: one form for each member, the same bytes for the same input, read alike by every tar.
//!
//! A member has a ustar header (POSIX.1-1988). What does not fit there stands in PAX records (POSIX.1-2001) before it,
//! and nothing else does.

use std::io::{self, Write};

/// Bytes of a header and of everything that is counted in an archive.
const BLOCK: usize = 512;
/// The size that the header's octal digits cannot tell, bytes: 8 GiB.
const OCTAL_SIZE_END: u64 = 1 << 33;
/// Bytes that the header has for a name, for what is put before it, and for a link's text.
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;
const LINK_BYTES: usize = 100;

/// Writes members one after the other. Names are written as they are: whoever calls has made sure that they are
/// relative, without `.` and `..`, and each once.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// The time of every member, seconds since 1970.
    mtime: u64,
    /// Bytes that the file under way still lacks, and the zeros that fill its last block.
    left: u64,
    padding: usize,
}

/// What a member is, as the header says it.
struct Kind<'a> {
    flag: u8,
    mode: u32,
    size: u64,
    link: &'a [u8],
}

impl<W: Write> Writer<W> {
    /// An archive without members. Every one will have the time `mtime`, seconds since 1970.
    pub fn new(out: W, mtime: u64) -> Self {
        // The last second that eleven octal digits tell is in the year 2242.
        Self { out, mtime: mtime.min(OCTAL_SIZE_END - 1), left: 0, padding: 0 }
    }

    /// A directory.
    pub fn directory(&mut self, path: &[u8]) -> io::Result<()> {
        let path = [path, b"/"].concat();
        self.member(&path, &Kind { flag: b'5', mode: 0o755, size: 0, link: b"" })
    }

    /// A file, whose `size` bytes follow through [`Writer::content`].
    pub fn file(&mut self, path: &[u8], size: u64, executable: bool) -> io::Result<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        self.member(path, &Kind { flag: b'0', mode, size, link: b"" })?;
        self.left = size;
        // Less than a block.
        self.padding = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0);
        self.end_of_file()
    }

    /// The next bytes of the file.
    pub fn content(&mut self, piece: &[u8]) -> io::Result<()> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| io::Error::other("more bytes for a file than were announced"))?;
        self.out.write_all(piece)?;
        self.end_of_file()
    }

    /// A symlink.
    pub fn link(&mut self, path: &[u8], target: &[u8]) -> io::Result<()> {
        self.member(path, &Kind { flag: b'2', mode: 0o755, size: 0, link: target })
    }

    /// Ends the archive: two blocks of zeros, and nothing to fill a record of a tape. Gives back what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.expect_whole()?;
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "padding is less than a block, and a slash was found there; a panic is a refusal"
    )]
    fn end_of_file(&mut self) -> io::Result<()> {
        if self.left == 0 {
            let padding = std::mem::take(&mut self.padding);
            self.out.write_all(&[0; BLOCK][..padding])?;
        }
        Ok(())
    }

    fn expect_whole(&self) -> io::Result<()> {
        if self.left == 0 { Ok(()) } else { Err(io::Error::other("fewer bytes for a file than were announced")) }
    }

    fn member(&mut self, path: &[u8], kind: &Kind<'_>) -> io::Result<()> {
        self.expect_whole()?;
        let fitting = split(path);
        let mut records = Vec::new();
        if fitting.is_none() {
            push_record(&mut records, b"path", path);
        }
        if kind.link.len() > LINK_BYTES {
            push_record(&mut records, b"linkpath", kind.link);
        }
        if !records.is_ascii() {
            // Names are bytes, in whatever encoding: without this, some programs read them as UTF-8.
            let names = std::mem::take(&mut records);
            push_record(&mut records, b"hdrcharset", b"BINARY");
            records.extend_from_slice(&names);
        }
        if kind.size >= OCTAL_SIZE_END {
            push_record(&mut records, b"size", kind.size.to_string().as_bytes());
        }
        if !records.is_empty() {
            let extension = Kind { flag: b'x', mode: 0o644, size: records.len() as u64, link: b"" };
            self.out.write_all(&header(b"", b"PaxHeaders/0", &extension, self.mtime))?;
            records.resize(records.len().next_multiple_of(BLOCK), 0);
            self.out.write_all(&records)?;
        }
        let (prefix, name) = fitting.unwrap_or((b"", cut(path)));
        self.out.write_all(&header(prefix, name, kind, self.mtime))
    }
}

/// Splits a path at a slash so that it fits in the two fields of a header; `None` if it does not.
#[expect(
    clippy::indexing_slicing,
    reason = "padding is less than a block, and a slash was found there; a panic is a refusal"
)]
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_BYTES {
        return Some((b"", path));
    }
    // A directory's own slash at the end is no place to split, nor is the very first byte.
    let end = PREFIX_BYTES.min(path.len().saturating_sub(2));
    let at = (1..=end).rev().find(|at| path.get(*at) == Some(&b'/'))?;
    let (prefix, name) = path.split_at(at);
    let name = &name[1..];
    (name.len() <= NAME_BYTES).then_some((prefix, name))
}

/// The beginning of a path that stands in PAX records, for the header's own field. A slash at the end would make a
/// directory of it in old programs.
fn cut(path: &[u8]) -> &[u8] {
    let mut cut = path.get(..NAME_BYTES).unwrap_or(path);
    while let Some(shorter) = cut.strip_suffix(b"/") {
        cut = shorter;
    }
    cut
}

/// Appends `LENGTH KEY=VALUE\n`, where the length counts the whole record, its own digits included.
fn push_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    records.extend_from_slice(len.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}

/// One header. Texts that are longer than their fields are cut: PAX records have the whole ones.
fn header(prefix: &[u8], name: &[u8], kind: &Kind<'_>, mtime: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, len: usize, bytes: &[u8]| {
        let bytes = bytes.get(..len).unwrap_or(bytes);
        if let Some(field) = block.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    put(0, NAME_BYTES, name);
    put(100, 8, format!("{:07o}", kind.mode).as_bytes());
    for id in [108, 116] {
        put(id, 8, b"0000000");
    }
    let size = if kind.size < OCTAL_SIZE_END { kind.size } else { 0 };
    put(124, 12, format!("{size:011o}").as_bytes());
    put(136, 12, format!("{mtime:011o}").as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[kind.flag]);
    put(157, LINK_BYTES, kind.link);
    put(257, 8, b"ustar\x0000");
    for device in [329, 337] {
        put(device, 8, b"0000000");
    }
    put(345, PREFIX_BYTES, prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(field) = block.get_mut(148..156) {
        field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<Vec<u8>>)) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 1_700_000_000);
        write(&mut writer);
        writer.finish().unwrap()
    }

    #[test]
    fn each_member_takes_a_header_and_whole_blocks() {
        let archive = written(|tar| {
            tar.directory(b"home/d").unwrap();
            tar.file(b"home/d/empty", 0, true).unwrap();
            tar.file(b"home/d/f", 513, false).unwrap();
            tar.content(&[b'x'; 500]).unwrap();
            tar.content(&[b'x'; 13]).unwrap();
            tar.link(b"home/d/l", b"f").unwrap();
        });
        assert_eq!(archive.len(), (4 + 2 + 2) * BLOCK);
        assert_eq!(&archive[..7], b"home/d/");
        assert_eq!(&archive[BLOCK + 100..BLOCK + 108], b"0000755\0");
        assert_eq!(&archive[2 * BLOCK + 124..2 * BLOCK + 136], b"00000001001\0");
        assert!(archive[5 * BLOCK - 511..5 * BLOCK].iter().all(|byte| *byte == 0));
        assert_eq!((archive[5 * BLOCK + 156], archive[5 * BLOCK + 157]), (b'2', b'f'));
    }

    #[test]
    fn names_are_split_where_they_fit_and_extended_where_not() {
        let long = |parts: &[usize]| parts.iter().map(|len| "n".repeat(*len)).collect::<Vec<_>>().join("/");
        for (path, directory, fits) in [
            (long(&[100]), false, true),
            (long(&[99]), true, true),
            (long(&[100]), true, false),
            (long(&[101]), false, false),
            (long(&[155, 100]), false, true),
            (long(&[155, 99]), true, true),
            (long(&[155, 100]), true, false),
            (long(&[156, 50]), false, false),
            (long(&[1, 100]), false, true),
            (long(&[100, 20, 33, 100]), false, true),
            (long(&[60, 60, 30, 60]), false, true),
            (long(&[60, 60, 60, 60]), false, false),
            (long(&[120, 120, 120]), false, false),
        ] {
            let path = path.as_bytes();
            let archive = written(|tar| {
                let written = if directory { tar.directory(path) } else { tar.file(path, 0, false) };
                written.unwrap();
            });
            assert_eq!(archive.len() == 3 * BLOCK, fits, "{}", path.len());
            if fits {
                let text = |range: std::ops::Range<usize>| {
                    let field = &archive[range];
                    field.split(|byte| *byte == 0).next().unwrap().to_vec()
                };
                let (prefix, name) = (text(345..500), text(0..100));
                let slash: &[u8] = if prefix.is_empty() { b"" } else { b"/" };
                let end: &[u8] = if directory { b"/" } else { b"" };
                assert_eq!([&prefix, slash, &name].concat(), [path, end].concat());
            }
        }
    }

    #[test]
    fn records_count_their_own_digits() {
        for (value, record) in [(1, "9 path=x\n".to_owned()), (2, "11 path=xx\n".to_owned())] {
            let mut records = Vec::new();
            push_record(&mut records, b"path", "x".repeat(value).as_bytes());
            assert_eq!(records, record.as_bytes());
        }
        for len in 80..1_100 {
            let mut records = Vec::new();
            push_record(&mut records, b"path", &vec![b'x'; len]);
            let digits: Vec<u8> = records.iter().copied().take_while(u8::is_ascii_digit).collect();
            assert_eq!(String::from_utf8(digits).unwrap(), records.len().to_string());
        }
    }

    #[test]
    fn what_is_too_long_stands_in_records() {
        let (path, target) = ("p".repeat(300), "t".repeat(101));
        let archive = written(|tar| tar.link(path.as_bytes(), target.as_bytes()).unwrap());
        assert_eq!(archive[156], b'x');
        let records = format!("310 path={path}\n115 linkpath={target}\n");
        assert!(archive[BLOCK..].starts_with(records.as_bytes()), "{}", String::from_utf8_lossy(&archive[BLOCK..]));
        let archive = written(|tar| tar.link(b"l", "\u{e9}".repeat(51).as_bytes()).unwrap());
        assert!(archive[BLOCK..].starts_with(b"21 hdrcharset=BINARY\n116 linkpath=\xc3\xa9"));
        let mut tar = Writer::new(Vec::new(), 0);
        tar.file(b"large", OCTAL_SIZE_END, false).unwrap();
        assert!(tar.out[BLOCK..].starts_with(b"19 size=8589934592\n"));
        assert_eq!(&tar.out[2 * BLOCK + 124..2 * BLOCK + 136], b"00000000000\0");
    }

    #[test]
    fn a_file_has_the_bytes_that_were_announced() {
        let mut tar = Writer::new(Vec::new(), 0);
        tar.file(b"f", 2, false).unwrap();
        assert!(tar.content(b"xxx").is_err());
        tar.content(b"x").unwrap();
        assert!(tar.directory(b"d").is_err());
        assert!(tar.finish().is_err());
    }
}
