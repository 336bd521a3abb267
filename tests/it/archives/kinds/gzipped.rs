//! Gzip (RFC 1952), rows 63, 64 and 68: every byte of it is looked at.

use crate::archives::codec::{Gzip, gzip, header_crc, zstd};
use crate::archives::kit::{Kind, whole};
use crate::archives::tar::evil_tar;

const DAMAGED: &[&str] = &["damaged-archive"];
const TRAILING: &[&str] = &["trailing-data"];
const NONE: &[&str] = &["not-an-archive"];

/// Cuts this many bytes off.
fn cut(mut bytes: Vec<u8>, count: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - count);
    bytes
}

pub(crate) const KINDS: &[Kind] = &[
    whole("gz-wrong-crc", 12, DAMAGED, |tar| {
        let right = Gzip::new(tar);
        Gzip { crc: right.crc ^ 1, ..right }.bytes()
    }),
    whole("gz-wrong-length", 12, DAMAGED, |tar| {
        let right = Gzip::new(tar);
        Gzip { length: right.length + 1, ..right }.bytes()
    }),
    whole("gz-without-trailer", 12, DAMAGED, |tar| cut(gzip(tar), 8)),
    whole("gz-cut-in-the-trailer", 12, DAMAGED, |tar| cut(gzip(tar), 3)),
    whole("gz-cut-in-the-data", 12, DAMAGED, |tar| {
        let whole = gzip(tar);
        whole[..whole.len() / 2].to_vec()
    }),
    whole("gz-cut-in-the-header", 12, DAMAGED, |tar| gzip(tar)[..7].to_vec()),
    whole("gz-cut-in-the-magic", 12, NONE, |tar| gzip(tar)[..1].to_vec()),
    whole("gz-header-alone", 12, DAMAGED, |tar| Gzip::new(tar).head()),
    whole("gz-method-unknown", 12, DAMAGED, |tar| Gzip { method: 7, ..Gzip::new(tar) }.bytes()),
    whole("gz-flags-reserved", 12, DAMAGED, |tar| Gzip { flags: 0xe0, ..Gzip::new(tar) }.bytes()),
    whole("gz-flag-reserved-one", 12, DAMAGED, |tar| Gzip { flags: 0x20, ..Gzip::new(tar) }.bytes()),
    whole("gz-header-crc-wrong", 12, DAMAGED, |tar| {
        let mut member = Gzip { flags: 2, ..Gzip::new(tar) };
        let [low, high] = header_crc(&member.head());
        member.fields = vec![low ^ 1, high];
        member.bytes()
    }),
    whole("gz-name-without-end", 12, DAMAGED, |_| [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], &[b'x'; 400][..]].concat()),
    whole("gz-extra-cut", 12, DAMAGED, |_| vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 1, 2]),
    whole("gz-block-reserved", 12, DAMAGED, |tar| Gzip { deflated: vec![7], ..Gzip::new(tar) }.bytes()),
    whole("gz-stored-block-of-two-lengths", 12, DAMAGED, |tar| {
        Gzip { deflated: [&[1, 4, 0, 0, 0], &tar[..4]].concat(), ..Gzip::new(tar) }.bytes()
    }),
    whole("gz-distance-before-the-start", 12, DAMAGED, |tar| {
        // A block of fixed codes: length 3, distance 1, with nothing before.
        Gzip { deflated: vec![0x03, 0x02, 0, 0], ..Gzip::new(tar) }.bytes()
    }),
    whole("gz-data-changed", 12, DAMAGED, |tar| {
        let member = Gzip::new(tar);
        let stored: Vec<u8> = [&[1, 0, 2, 0xff, 0xfd], &tar[..512]].concat();
        Gzip { deflated: stored, ..member }.bytes()
    }),
    // What comes after.
    whole("gz-and-garbage", 12, TRAILING, |tar| [&gzip(tar)[..], b"garbage"].concat()),
    whole("gz-and-zeros", 12, TRAILING, |tar| [&gzip(tar)[..], &[0; 512]].concat()),
    whole("gz-and-one-byte", 12, TRAILING, |tar| [&gzip(tar)[..], &[0]].concat()),
    whole("gz-and-half-a-magic", 12, DAMAGED, |tar| [&gzip(tar)[..], &[0x1f]].concat()),
    whole("gz-and-a-tar", 12, TRAILING, |tar| [gzip(tar), evil_tar()].concat()),
    whole("gz-and-zstd", 12, TRAILING, |tar| [gzip(tar), zstd(&evil_tar())].concat()),
    whole("gz-second-member-with-an-archive", 12, TRAILING, |tar| [gzip(tar), gzip(&evil_tar())].concat()),
    whole("gz-second-member-with-text", 12, TRAILING, |tar| [gzip(tar), gzip(b"evil")].concat()),
    whole("gz-second-member-damaged", 12, DAMAGED, |tar| {
        let (one, other) = tar.split_at(tar.len() / 2);
        let right = Gzip::new(other);
        [gzip(one), Gzip { crc: right.crc ^ 1, ..right }.bytes()].concat()
    }),
    whole("gz-second-member-cut", 12, DAMAGED, |tar| {
        let (one, other) = tar.split_at(tar.len() / 2);
        [gzip(one), cut(gzip(other), 20)].concat()
    }),
    whole("gz-second-member-missing", 12, &["truncated-archive"], |tar| gzip(&tar[..tar.len() / 2 + 100])),
    // One layer, and a tar in it.
    whole("gz-in-gz", 12, NONE, |tar| gzip(&gzip(tar))),
    whole("gz-of-zstd", 12, NONE, |tar| gzip(&zstd(tar))),
    whole("gz-of-html", 12, NONE, |_| gzip(b"<!DOCTYPE html>\n<html></html>\n")),
    whole("gz-of-nothing", 12, NONE, |_| gzip(b"")),
];
