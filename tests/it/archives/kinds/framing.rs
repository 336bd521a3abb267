//! Where an archive begins and ends, and files that are none, rows 63, 64 and 69.

use crate::archives::kit::{Kind, members, stream, whole};
use crate::archives::tar::{BLOCK, evil_tar, gnu_long, pax};

const NONE: &[&str] = &["not-an-archive"];
const CUT: &[&str] = &["truncated-archive"];
const END: &[&str] = &["missing-end"];
const TRAILING: &[&str] = &["trailing-data"];

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>not found</body></html>\n";

/// One entry of the oldest of the portable cpio forms, and its trailer.
fn cpio() -> Vec<u8> {
    let entry = |name: &str, mode: u32, contents: &str| {
        let size = (name.len() + 1, contents.len());
        let fields = format!("070707{:06o}{:06o}{mode:06o}{:06o}{:06o}{:06o}{:06o}", 1, 2, 0, 0, 1, 0);
        format!("{fields}{:011o}{:06o}{:011o}{name}\0{contents}", 0, size.0, size.1)
    };
    (entry("deps/tool", 0o100_755, "evil\n") + &entry("TRAILER!!!", 0, "")).into_bytes()
}

/// Bytes of no order, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// Where the contents of the last member with contents begin: two blocks of zeros are behind it.
fn end(tar: &[u8]) -> usize {
    tar.len() - 2 * BLOCK
}

pub(crate) const KINDS: &[Kind] = &[
    whole("file-empty", 12, NONE, |_| Vec::new()),
    whole("file-of-one-byte", 12, NONE, |_| vec![b'x']),
    whole("file-of-one-zero", 12, NONE, |_| vec![0]),
    whole("file-of-text", 12, NONE, |_| b"not found\n".to_vec()),
    whole("file-of-html", 12, NONE, |_| PAGE.into()),
    whole("file-of-html-long", 12, NONE, |_| PAGE.repeat(20).into_bytes()),
    whole("file-of-json", 12, NONE, |_| b"{\"message\":\"not found\"}".repeat(40)),
    whole("file-of-noise", 12, NONE, |_| noise(4_096)),
    whole("file-of-cpio", 12, NONE, |_| cpio()),
    whole("file-of-zip", 12, NONE, |_| [&b"PK\x03\x04\x14\0\0\0\0\0"[..], &[0; 600]].concat()),
    whole("file-of-xz", 12, NONE, |_| [&b"\xfd7zXZ\0\0\x04"[..], &noise(600)].concat()),
    whole("file-of-bzip2", 12, NONE, |_| [&b"BZh91AY&SY"[..], &noise(600)].concat()),
    whole("file-of-lz4", 12, NONE, |_| [&[0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7][..], &noise(600)].concat()),
    whole("file-of-compress", 12, NONE, |_| [&[0x1f, 0x9d, 0x90][..], &noise(600)].concat()),
    whole("file-of-an-old-zstd-0.4", 12, NONE, |_| [&[0x24, 0xb5, 0x2f, 0xfd][..], &noise(600)].concat()),
    whole("file-of-an-old-zstd-0.5", 12, NONE, |_| [&[0x25, 0xb5, 0x2f, 0xfd][..], &noise(600)].concat()),
    whole("file-of-an-old-zstd-0.6", 12, NONE, |_| [&[0x26, 0xb5, 0x2f, 0xfd][..], &noise(600)].concat()),
    whole("file-of-an-old-zstd-0.7", 12, NONE, |_| [&[0x27, 0xb5, 0x2f, 0xfd][..], &noise(600)].concat()),
    whole("archive-behind-a-line-of-text", 12, NONE, |tar| [b"\n", tar].concat()),
    // Archives of nothing.
    stream("members-none", 3, &["nothing-restored"], |tar| *tar = vec![0; 2 * BLOCK]),
    stream("members-none-and-many-zeros", 3, &["nothing-restored"], |tar| *tar = vec![0; 20 * BLOCK]),
    stream("one-block-of-zeros-alone", 12, END, |tar| *tar = vec![0; BLOCK]),
    // Ends that come too soon.
    stream("cut-in-the-first-header", 12, NONE, |tar| tar.truncate(300)),
    stream("cut-in-a-header", 12, CUT, |tar| {
        let end = end(tar);
        tar.truncate(end);
        tar.extend_from_slice(&evil_tar()[..300]);
    }),
    stream("cut-in-the-envelope", 12, CUT, |tar| {
        let at = tar.windows(9).position(|bytes| bytes == b"\"payload\"").unwrap();
        tar.truncate(at + 300);
    }),
    stream("cut-in-sealed-contents", 12, CUT, |tar| {
        let at = tar.windows(4).position(|bytes| bytes == [7; 4]).unwrap();
        tar.truncate(at + 1_000);
    }),
    stream("cut-in-the-padding", 12, CUT, |tar| {
        let end = end(tar);
        tar.truncate(end - 1);
    }),
    stream("cut-in-the-end", 12, CUT, |tar| {
        let end = end(tar);
        tar.truncate(end + BLOCK + 100);
    }),
    stream("cut-behind-the-end", 12, CUT, |tar| tar.extend_from_slice(&[0; 100])),
    stream("cut-in-pax-records", 12, CUT, |tar| {
        let end = end(tar);
        tar.truncate(end);
        let extension = pax(&[("comment", &[b'x'; 900])]);
        tar.extend_from_slice(&extension.block());
        tar.extend_from_slice(&extension.data[..512]);
    }),
    stream("cut-in-a-gnu-name", 12, CUT, |tar| {
        let end = end(tar);
        tar.truncate(end);
        tar.extend_from_slice(&gnu_long(b'L', "x".repeat(800)).block());
    }),
    members("end-missing", 12, END, |d| d.tar.end.clear()),
    members("end-of-one-block", 12, END, |d| d.tar.end.truncate(BLOCK)),
    members("end-missing-after-a-pax-header", 12, END, |d| {
        d.tar.items.push(pax(&[("path", b"deps/evil")]));
        d.tar.end.clear();
    }),
    members("one-block-of-zeros-and-a-member", 12, END, |d| {
        d.tar.end.truncate(BLOCK);
        d.tar.end.extend_from_slice(&evil_tar());
    }),
    members("one-block-of-zeros-in-the-middle", 12, END, |d| {
        let at = d.at("deps/tool");
        let zeros = vec![0; BLOCK];
        d.tar.items[at].data.resize(BLOCK, 0);
        d.tar.items[at].data.extend_from_slice(&zeros);
    }),
    // What comes after the end.
    stream("garbage-behind-the-end", 12, TRAILING, |tar| tar.extend_from_slice(&noise(188))),
    stream("one-byte-behind-the-end", 12, TRAILING, |tar| {
        tar.extend_from_slice(&[0; 9 * BLOCK]);
        *tar.last_mut().unwrap() = 1;
    }),
    stream("member-behind-the-end", 12, TRAILING, |tar| tar.extend_from_slice(&evil_tar())),
    stream("archive-behind-the-end", 12, TRAILING, |tar| {
        let again = tar.clone();
        tar.extend_from_slice(&again);
    }),
    stream("archive-far-behind-the-end", 12, TRAILING, |tar| {
        tar.extend_from_slice(&[0; 200 * BLOCK]);
        tar.extend_from_slice(&evil_tar());
    }),
    stream("archive-behind-an-archive-of-nothing", 12, TRAILING, |tar| {
        let whole = std::mem::replace(tar, vec![0; 2 * BLOCK]);
        tar.extend_from_slice(&whole);
    }),
    stream("end-in-the-middle", 12, TRAILING, |tar| {
        let at = tar.windows(12).position(|bytes| bytes == b"deps/pkg/lib").unwrap();
        tar.splice(at..at, [0; 2 * BLOCK]);
    }),
    stream("zeros-behind-the-end-without-end", 13, &["expansion-limit"], |tar| tar.resize(tar.len() + (2 << 20), 0)),
];
