//! Archives that are made to cost disk, memory or time, row 65.

use crate::archives::codec::{Frame, gzip_of_zeros, packed_zstd, skippable, zstd};
use crate::archives::kit::{Kind, members, whole};
use crate::archives::tar::{BLOCK, Item, SIZE, Tar, file, gnu_long, gnu_long_raw, pax, pax_raw, symlink};
use crate::harness::judged_or_plain;

const EXPANSION: &[&str] = &["expansion-limit"];
const EXTENSION: &[&str] = &["extension-too-large"];
const PATH: &[&str] = &["path-too-long"];
const CHANGED: &[&str] = &["digest-mismatch"];
const EXTRA: &[&str] = &["extra-entry"];

/// Blocks of 128 KiB: twice what an archive without a trusted seal may expand to, in a few kilobytes.
const BLOCKS: usize = 1 << 10;
/// The same in MiB, for gzip.
const MEBIBYTES: usize = 128;
/// What headers say of them.
const GIBIBYTES_8: u128 = 8 << 30;

/// The header of a file that is as large as its name says and not what was sealed.
fn huge(name: &str) -> Item {
    file(name, "").base256(SIZE, GIBIBYTES_8)
}

/// The members of a good archive, then a header, then zeros without end.
fn then_zeros(tar: &[u8], header: &Item) -> Vec<u8> {
    let start = &tar[..tar.len() - 1_024];
    Frame::new(&[start, &header.block()].concat()).zeros(BLOCKS).bytes()
}

/// The seal of a good archive that begins with it, then the header of a sealed file.
fn sealed_then(tar: &[u8], header: &Item) -> Vec<u8> {
    let at = tar.chunks(BLOCK).position(|block| block.starts_with(b"deps/\0")).unwrap() * BLOCK;
    [&tar[..at], &header.block()].concat()
}

/// The members of a good archive, then many whose names lead elsewhere, each byte of which has to be escaped.
fn then_names(tar: &[u8], length: usize, count: usize) -> Vec<u8> {
    let item = |at: usize| {
        let name = [format!("../{at}").as_bytes(), &vec![1; length]].concat();
        [pax(&[("path", &name)]), file("deps/evil", "")]
    };
    let strange = Tar::new((0..count).flat_map(item).collect());
    zstd(&[&tar[..tar.len() - 2 * BLOCK], &strange.bytes()].concat())
}

/// A few kilobytes that become much.
pub(crate) const BOMBS: &[Kind] = &[
    whole("bomb-zst-in-an-unsealed-file", 11, EXTRA, |tar| then_zeros(tar, &huge("deps/evil"))).seal_first(),
    whole("bomb-zst-in-a-sealed-file", 11, CHANGED, |tar| {
        Frame::new(&sealed_then(tar, &huge("deps/big"))).zeros(BLOCKS).bytes()
    })
    .seal_first(),
    whole("bomb-gz-in-a-sealed-file", 11, CHANGED, |tar| {
        gzip_of_zeros(&sealed_then(tar, &huge("deps/big")), MEBIBYTES)
    })
    .seal_first(),
    whole("bomb-zst-before-any-seal", 13, EXPANSION, |_| Frame::new(&huge("deps/big").block()).zeros(BLOCKS).bytes())
        .seal_last(),
    whole("bomb-gz-before-any-seal", 13, EXPANSION, |_| gzip_of_zeros(&huge("deps/big").block(), MEBIBYTES))
        .seal_last(),
    whole("bomb-zst-in-a-stray", 15, &["stray-entry", "expansion-limit"], |_| {
        Frame::new(&huge("evil").block()).zeros(BLOCKS).bytes()
    })
    .seal_last(),
    whole("bomb-zst-in-a-stray-of-a-sealed-one", 15, &["stray-entry"], |tar| then_zeros(tar, &huge("evil")))
        .seal_first(),
    whole("bomb-zst-behind-the-end", 13, EXPANSION, |tar| Frame::new(tar).zeros(BLOCKS).bytes()),
    whole("bomb-zst-in-frames-that-are-decoded-side-by-side", 13, EXPANSION, |tar| {
        [zstd(tar), packed_zstd(&vec![0; 4 << 20]).repeat(1 << 6)].concat()
    }),
    whole("bomb-zst-in-such-frames-alone", 13, EXPANSION, |_| packed_zstd(&vec![0; 4 << 20]).repeat(1 << 6)),
    whole("bomb-gz-behind-the-end", 13, EXPANSION, |tar| gzip_of_zeros(tar, MEBIBYTES)),
    whole("bomb-zst-of-nothing-but-zeros", 13, EXPANSION, |_| Frame::new(b"").zeros(BLOCKS).bytes()),
    whole("bomb-zst-of-text", 12, &["not-an-archive"], |_| {
        let mut frame = Frame::new(b"").zeros(BLOCKS);
        for block in &mut frame.blocks {
            block.2 = b"x".to_vec();
        }
        frame.bytes()
    }),
    whole("bomb-zst-in-pax-records", 13, EXTENSION, |tar| then_zeros(tar, &pax(&[]).base256(SIZE, GIBIBYTES_8))),
    whole("bomb-zst-in-a-gnu-name", 13, EXTENSION, |tar| {
        then_zeros(tar, &gnu_long(b'L', "").base256(SIZE, GIBIBYTES_8))
    }),
    whole("bomb-zst-in-a-manifest", 13, &["expansion-limit", "manifest-too-large"], |_| {
        let manifest = file(".cacheseal/deps/0.mtree", "").base256(SIZE, GIBIBYTES_8);
        Frame::new(&manifest.block()).zeros(BLOCKS).bytes()
    })
    .unpacked(13, &["manifest-too-large"]),
    whole("bomb-zst-in-the-envelope", 13, &["expansion-limit", "seal-too-large"], |_| {
        let envelope = file(".cacheseal/deps/seal.json", "").base256(SIZE, GIBIBYTES_8);
        Frame::new(&envelope.block()).zeros(BLOCKS).bytes()
    })
    .unpacked(13, &["seal-too-large"]),
    whole("bomb-of-empty-frames", 12, &["not-an-archive"], |_| zstd(b"").repeat(50_000)),
    whole("bomb-of-skippable-frames", 12, &["not-an-archive"], |_| skippable(b"").repeat(100_000)),
    whole("bomb-of-empty-blocks", 12, &["not-an-archive"], |_| {
        let mut frame = Frame::new(b"");
        frame.blocks = vec![(0, 0, Vec::new()); 200_000];
        frame.bytes()
    }),
];

/// Large names, and many.
pub(crate) const NAMES: &[Kind] = &[
    members("pax-records-of-a-mebibyte", 13, EXTENSION, |d| {
        d.before("deps/tool", [pax(&[("comment", &vec![b'x'; 1 << 20])])]);
    }),
    members("pax-records-of-a-size-alone", 13, EXTENSION, |d| {
        d.before("deps/tool", [pax_raw("").base256(SIZE, 1 << 40)]);
    }),
    members("pax-records-of-many", 13, EXTENSION, |d| {
        let records: Vec<u8> = (0..110_000).flat_map(|at| super::super::tar::record(format!("X.{at}"), "y")).collect();
        d.before("deps/tool", [pax_raw(records)]);
    }),
    members("gnu-name-of-a-mebibyte", 13, EXTENSION, |d| {
        d.edit("deps/tool", Item::gnu);
        d.before("deps/tool", [gnu_long(b'L', vec![b'x'; 1 << 20])]);
    }),
    members("gnu-link-of-a-mebibyte", 13, EXTENSION, |d| {
        d.edit("deps/link", Item::gnu);
        d.before("deps/link", [gnu_long_raw(b'K', vec![b'x'; (1 << 20) + 1])]);
    }),
    members("path-of-70000-bytes", 13, PATH, |d| {
        let path = format!("deps/{}", "long-name/".repeat(7_000) + "x");
        d.add([pax(&[("path", path.as_bytes())]), file("deps/evil", "x")]);
    }),
    members("path-of-70000-bytes-in-one-name", 13, PATH, |d| {
        let path = format!("deps/{}", "x".repeat(70_000));
        d.add([gnu_long(b'L', path), file("deps/evil", "x").gnu()]);
    }),
    whole("names-of-a-mebibyte-that-lead-elsewhere", 13, PATH, |tar| {
        then_names(tar, 1_000_000, judged_or_plain(20, 2))
    }),
    whole("names-of-60000-bytes-that-lead-elsewhere", 12, &["unsafe-path"], |tar| {
        then_names(tar, 60_000, judged_or_plain(300, 12))
    }),
    whole("targets-of-4000-bytes-by-the-thousand", 12, &["truncated-archive"], |_| {
        let target = [1; 4_000];
        let links = (0..judged_or_plain(2_000, 100)).flat_map(|at| {
            let item = symlink(format!("deps/evil{at}"), "x");
            [pax(&[("linkpath", &target[..])]), item]
        });
        // Nothing is said of them before a seal has come.
        zstd(&[Tar::new(links.collect()).without_end(), vec![1; 100]].concat())
    })
    .unpacked(12, &["seal-not-first"]),
    members("link-of-5000-bytes", 13, PATH, |d| {
        d.before("deps/link", [pax(&[("linkpath", "../".repeat(1_700).as_bytes())])]);
    }),
    members("path-of-5000-directories", 13, &["too-deep"], |d| {
        let path = format!("deps/{}x", "d/".repeat(5_000));
        d.add([pax(&[("path", path.as_bytes())]), file("deps/evil", "x")]);
    }),
    members("path-over-what-system-calls-take", 11, EXTRA, |d| {
        let path = format!("deps/{}x", "directory/".repeat(500));
        d.add([pax(&[("path", path.as_bytes())]), file("deps/evil", "x")]);
    }),
    members("directories-deep-each-listed", 11, EXTRA, |d| {
        let mut path = String::from("deps");
        let mut items = Vec::new();
        for _ in 0..judged_or_plain(1_000, 100) {
            path.push_str("/d");
            let item = super::super::tar::dir("deps/evil/");
            items.extend([pax(&[("path", format!("{path}/").as_bytes())]), item]);
        }
        d.add(items);
    }),
    members("entries-many-unsealed", 11, EXTRA, |d| d.add((0..3_000).map(|at| file(format!("deps/evil{at}"), "")))),
    members("entries-more-than-are-listened-to", 13, &["extra-entry", "too-many-entries"], |d| {
        d.add((0..10_050).map(|at| file(format!("deps/evil{at}"), "")));
    })
    .seal_first(),
    members("links-many-to-one-place", 11, EXTRA, |d| {
        d.add((0..500).map(|at| symlink(format!("deps/evil{at}"), "../../../../etc")));
    }),
];
