//! Zstandard (RFC 8878), rows 63, 64 and 68: every frame, and nothing that it keeps for later.

use crate::archives::codec::{Frame, RAW, RESERVED, gzip, skippable, window, zstd, zstd_with};
use crate::archives::kit::{Kind, whole};
use crate::archives::tar::evil_tar;

const DAMAGED: &[&str] = &["damaged-archive"];
const TRAILING: &[&str] = &["trailing-data"];
const NONE: &[&str] = &["not-an-archive"];
const WINDOW: &[&str] = &["window-too-large"];

/// Cuts this many bytes off.
fn cut(mut bytes: Vec<u8>, count: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - count);
    bytes
}

/// A descriptor with a content size of eight bytes, a window beside it.
fn sized(tar: &[u8], size: u64) -> Vec<u8> {
    Frame::headed(tar, &[&[0xc0, window(17)], &size.to_le_bytes()]).bytes()
}

fn length(tar: &[u8]) -> u64 {
    u64::try_from(tar.len()).unwrap()
}

pub(crate) const KINDS: &[Kind] = &[
    whole("zst-wrong-checksum", 12, DAMAGED, |tar| {
        let mut bytes = zstd(tar);
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    }),
    whole("zst-cut-in-the-checksum", 12, DAMAGED, |tar| cut(zstd(tar), 2)),
    whole("zst-without-its-checksum", 12, DAMAGED, |tar| cut(zstd(tar), 4)),
    whole("zst-cut-in-a-block", 12, DAMAGED, |tar| cut(Frame::new(tar).bytes(), 100)),
    whole("zst-cut-in-half", 12, DAMAGED, |tar| {
        let whole = zstd(tar);
        whole[..whole.len() / 2].to_vec()
    }),
    whole("zst-cut-in-the-header", 12, DAMAGED, |tar| zstd(tar)[..5].to_vec()),
    whole("zst-magic-alone", 12, DAMAGED, |tar| zstd(tar)[..4].to_vec()),
    whole("zst-cut-in-the-magic", 12, NONE, |tar| zstd(tar)[..3].to_vec()),
    whole("zst-without-last-block", 12, DAMAGED, |tar| {
        // The descriptor, then one block that is not the last.
        let size = u32::try_from(1_024 << 3).unwrap().to_le_bytes();
        [&Frame::new(b"").bytes()[..6], &size[..3], &tar[..1_024]].concat()
    }),
    whole("zst-content-larger-than-told", 12, DAMAGED, |tar| sized(tar, length(tar) - 512)),
    whole("zst-content-smaller-than-told", 12, DAMAGED, |tar| sized(tar, length(tar) + 4_096)),
    whole("zst-content-of-8-exbibytes", 12, DAMAGED, |tar| sized(tar, 1 << 63)),
    whole("zst-block-reserved", 12, DAMAGED, |tar| {
        let mut frame = Frame::new(tar);
        frame.blocks.last_mut().unwrap().0 = RESERVED;
        frame.bytes()
    }),
    whole("zst-block-larger-than-may-be", 12, DAMAGED, |tar| {
        let large = [tar, &vec![0; (128 << 10) + 1][..]].concat();
        let mut frame = Frame::new(b"");
        frame.blocks = vec![(RAW, large.len(), large)];
        frame.bytes()
    }),
    whole("zst-descriptor-reserved", 12, DAMAGED, |tar| Frame::headed(tar, &[&[0x08, window(17)]]).bytes()),
    whole("zst-dictionary", 12, DAMAGED, |tar| Frame::headed(tar, &[&[0x01, window(17), 42]]).bytes()),
    whole("zst-dictionary-of-four-bytes", 12, DAMAGED, |tar| {
        Frame::headed(tar, &[&[0x03, window(17), 1, 2, 3, 4]]).bytes()
    }),
    whole("zst-dictionary-in-a-second-frame", 12, DAMAGED, |tar| {
        let (one, other) = tar.split_at(tar.len() / 2);
        [zstd(one), Frame::headed(other, &[&[0x01, window(17), 42]]).bytes()].concat()
    }),
    // Windows.
    whole("zst-window-of-256-mebibytes", 13, WINDOW, |tar| Frame::headed(tar, &[&[0, window(28)]]).bytes()),
    whole("zst-window-a-little-too-large", 13, WINDOW, |tar| Frame::headed(tar, &[&[0, window(27) | 1]]).bytes()),
    whole("zst-window-of-2-gibibytes", 13, WINDOW, |tar| Frame::headed(tar, &[&[0, window(31)]]).bytes()),
    whole("zst-window-of-3-tebibytes", 13, WINDOW, |tar| Frame::headed(tar, &[&[0, 0xff]]).bytes()),
    whole("zst-window-of-a-single-segment", 13, WINDOW, |tar| {
        Frame::headed(tar, &[&[0xe0], &(1_u64 << 40).to_le_bytes()]).bytes()
    }),
    whole("zst-window-of-1-gibibyte-where-512-are-allowed", 13, WINDOW, |tar| {
        Frame::headed(tar, &[&[0, window(30)]]).bytes()
    })
    .more(&["--window-log-max", "29"]),
    whole("zst-window-in-a-second-frame", 13, WINDOW, |tar| {
        let (one, other) = tar.split_at(tar.len() / 2);
        [zstd(one), Frame::headed(other, &[&[0, window(30)]]).bytes()].concat()
    }),
    // What comes after.
    whole("zst-and-garbage", 12, TRAILING, |tar| [&zstd(tar)[..], b"garbage"].concat()),
    whole("zst-and-zeros", 12, TRAILING, |tar| [&zstd(tar)[..], &[0; 512]].concat()),
    whole("zst-and-one-byte", 12, TRAILING, |tar| [&zstd(tar)[..], &[0]].concat()),
    whole("zst-and-half-a-magic", 12, DAMAGED, |tar| [&zstd(tar)[..], &[0x28, 0xb5]].concat()),
    whole("zst-and-a-tar", 12, TRAILING, |tar| [zstd(tar), evil_tar()].concat()),
    whole("zst-and-gzip", 12, TRAILING, |tar| [zstd(tar), gzip(&evil_tar())].concat()),
    whole("zst-second-frame-with-an-archive", 12, TRAILING, |tar| [zstd(tar), zstd(&evil_tar())].concat()),
    whole("zst-second-frame-without-checksum", 12, TRAILING, |tar| {
        [zstd(tar), zstd_with(&evil_tar(), 1, false, None)].concat()
    }),
    whole("zst-second-frame-behind-a-skippable-one", 12, TRAILING, |tar| {
        [zstd(tar), skippable(b"between"), zstd(&evil_tar())].concat()
    }),
    whole("zst-second-frame-damaged", 12, DAMAGED, |tar| {
        let (one, other) = tar.split_at(tar.len() / 2);
        [zstd(one), cut(zstd(other), 1)].concat()
    }),
    whole("zst-second-frame-missing", 12, &["truncated-archive"], |tar| zstd(&tar[..tar.len() / 2 + 100])),
    whole("zst-skippable-frame-cut", 12, DAMAGED, |tar| cut([zstd(tar), skippable(&[0; 600])].concat(), 100)),
    whole("zst-skippable-frame-cut-in-its-length", 12, DAMAGED, |tar| cut([zstd(tar), skippable(b"")].concat(), 2)),
    whole("zst-skippable-frame-alone", 12, NONE, |_| skippable(b"nothing else")),
    whole("zst-skippable-frame-with-the-archive", 12, NONE, skippable),
    // One layer, and a tar in it.
    whole("zst-in-zst", 12, NONE, |tar| zstd(&zstd(tar))),
    whole("zst-of-gzip", 12, NONE, |tar| zstd(&gzip(tar))),
    whole("zst-of-html", 12, NONE, |_| zstd(b"<!DOCTYPE html>\n<html></html>\n")),
    whole("zst-of-nothing", 12, NONE, |_| zstd(b"")),
];
