//! Headers that say what no header says, and headers that programs read in different ways, row 62.

use crate::archives::kit::{Kind, members};
use crate::archives::sample::Draft;
use crate::archives::tar::{
    CHECKSUM, FLAG, Item, LINK, MAGIC, MAJOR, MODE, MTIME, NAME, PAD, PREFIX, SIZE, UID, VERSION, dir, evil_tar, file,
    pax,
};

const SUM: &[&str] = &["checksum-mismatch"];
const MALFORMED: &[&str] = &["malformed-header"];
const CUT: &[&str] = &["truncated-archive"];
const NONE: &[&str] = &["not-an-archive"];
const AMBIGUOUS: &[&str] = &["ambiguous-header"];

/// Edits the header of a sealed file.
fn edit(draft: &mut Draft, change: impl FnOnce(Item) -> Item) {
    draft.edit("deps/pkg/index.js", change);
}

/// Adds bytes as old programs did: each as a number from -128 to 127.
fn signed_sum(item: &Item) -> String {
    let sum: i32 = item.block().iter().map(|byte| i32::from(byte.cast_signed())).sum();
    let own: i32 = item.block()[148..156].iter().map(|byte| i32::from(byte.cast_signed())).sum();
    format!("{:06o}\0 ", sum - own + 8 * i32::from(b' '))
}

pub(crate) const KINDS: &[Kind] = &[
    members("checksum-of-the-first", 12, SUM, |d| d.tar.items[0].set(CHECKSUM, "000001\0 ")),
    members("checksum-of-a-later-one", 12, SUM, |d| edit(d, |item| item.with(CHECKSUM, "007777\0 "))),
    members("checksum-of-zeros", 12, SUM, |d| edit(d, |item| item.with(CHECKSUM, "000000\0 "))),
    members("checksum-of-a-changed-name", 12, SUM, |d| {
        edit(d, |item| {
            let block = item.block();
            item.with(CHECKSUM, &block[148..156]).with(NAME, "deps/pkg/other.js")
        });
    }),
    members("checksum-of-signed-bytes", 12, SUM, |d| {
        let item = file(b"deps/\xc3\xa9", "x");
        let sum = signed_sum(&item);
        d.add([item.with(CHECKSUM, sum)]);
    }),
    members("checksum-not-octal", 12, SUM, |d| edit(d, |item| item.with(CHECKSUM, "00x777\0 "))),
    members("checksum-blank", 12, SUM, |d| edit(d, |item| item.with(CHECKSUM, "        "))),
    // Numbers.
    members("size-not-octal", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, "00000000018"))),
    members("size-hexadecimal", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, "0x000000013"))),
    members("size-with-sign", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, "-0000000023"))),
    members("size-with-plus", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, "+0000000023"))),
    members("size-blank", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, "            "))),
    members("size-of-nuls", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, ""))),
    members("size-digits-after-the-end", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, b"000023\x0000000"))),
    members("size-digits-after-a-space", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, "000023 00000"))),
    members("size-negative", 12, MALFORMED, |d| edit(d, |item| item.with(SIZE, [0xff; 12]))),
    members("size-negative-of-one-block", 12, MALFORMED, |d| {
        let mut size = [0xff; 12];
        size[10..].copy_from_slice(&[0xfe, 0]);
        edit(d, |item| item.with(SIZE, size));
    }),
    members("size-of-2-to-the-87", 12, MALFORMED, |d| edit(d, |item| item.base256(SIZE, 1 << 87))),
    members("size-of-2-to-the-64", 12, MALFORMED, |d| edit(d, |item| item.base256(SIZE, 1 << 64))),
    members("size-of-2-to-the-63", 12, MALFORMED, |d| edit(d, |item| item.base256(SIZE, 1 << 63))),
    members("size-wraps-at-the-padding", 12, MALFORMED, |d| edit(d, |item| item.base256(SIZE, (1 << 64) - 1))),
    members("size-marked-otherwise", 12, MALFORMED, |d| {
        edit(d, |item| item.with(SIZE, b"\xc0\0\0\0\0\0\0\0\0\0\0\x13"));
    }),
    members("size-in-base-256-that-octal-can-tell", 12, AMBIGUOUS, |d| edit(d, |item| item.base256(SIZE, 19))),
    members("mode-not-octal", 12, MALFORMED, |d| edit(d, |item| item.with(MODE, "rw-r--r"))),
    members("mode-blank", 12, MALFORMED, |d| edit(d, |item| item.with(MODE, ""))),
    members("mode-negative", 12, MALFORMED, |d| edit(d, |item| item.with(MODE, [0xff; 8]))),
    members("owner-not-octal", 12, MALFORMED, |d| edit(d, |item| item.with(UID, "circle"))),
    members("owner-blank", 12, MALFORMED, |d| edit(d, |item| item.with(UID, "        "))),
    members("owner-beyond-32-bits", 12, MALFORMED, |d| edit(d, |item| item.base256(UID, 1 << 32))),
    members("time-blank", 12, MALFORMED, |d| edit(d, |item| item.with(MTIME, "            "))),
    members("time-beyond-64-bits", 12, MALFORMED, |d| edit(d, |item| item.base256(MTIME, 1 << 63))),
    members("time-not-octal", 12, MALFORMED, |d| edit(d, |item| item.with(MTIME, "yesterday"))),
    // Formats.
    members("magic-unknown", 12, MALFORMED, |d| edit(d, |item| item.with(MAGIC, "vstar"))),
    members("magic-without-its-end", 12, MALFORMED, |d| edit(d, |item| item.with(MAGIC, "ustarx"))),
    members("magic-of-two-forms", 12, MALFORMED, |d| edit(d, |item| item.with(MAGIC, "ustar ").with(VERSION, "00"))),
    members("version-unknown", 12, MALFORMED, |d| edit(d, |item| item.with(VERSION, "01"))),
    members("version-of-nuls", 12, MALFORMED, |d| edit(d, |item| item.with(VERSION, ""))),
    members("bytes-behind-the-last-field", 12, MALFORMED, |d| edit(d, |item| item.with(PAD, "tar"))),
    members("bytes-behind-the-contents", 12, MALFORMED, |d| {
        edit(d, |mut item| {
            item.padding = b'x';
            item
        });
    }),
    members("tar-behind-the-contents", 12, MALFORMED, |d| {
        edit(d, |item| {
            let mut data = item.data.clone();
            data.resize(512, 0);
            data[200..].copy_from_slice(&evil_tar()[..312]);
            item.followed_by(data)
        });
    }),
    members("old-header-first", 12, MALFORMED, |d| d.tar.items[0] = d.tar.items[0].clone().v7()),
    // What other programs take for something else than a tar.
    members("first-name-of-a-uuencoded-file", 12, NONE, |d| {
        d.begin([dir("begin 644 x\n#<`IN<&UR8P``\n`\nend\n/")]);
    }),
    members("first-name-of-a-uuencoded-file-in-a-second-line", 12, NONE, |d| {
        d.begin([dir("x\nbegin 644 x\n#<`IN<&UR8P``\n`\nend\n/")]);
    }),
    members("first-name-that-only-begins-so", 12, NONE, |d| d.begin([dir("begin 644 x/")])),
    members("first-name-of-an-extension-that-begins-so", 12, NONE, |d| {
        d.begin([pax(&[("mtime", b"1")]).with(NAME, "begin-base64 644 x\n"), dir("deps/")]);
    }),
    members("first-name-of-an-ar-archive", 12, NONE, |d| d.begin([dir("!<arch>\n/")])),
    members("first-name-of-an-old-ar-archive", 12, MALFORMED, |d| d.begin([file("!<arch>\n", "").v7()])),
    members("first-name-of-an-mtree", 12, NONE, |d| d.begin([dir("#mtree/")])),
    members("first-name-of-a-zip", 12, NONE, |d| d.begin([dir("PK\x03\x04/")])),
    members("first-name-of-a-compressed-file", 12, NONE, |d| d.begin([dir(b"\x1f\x9d\x90/")])),
    members("first-name-of-an-xz", 12, NONE, |d| d.begin([dir(b"\xfd7zXZ")])),
    members("first-name-of-an-lrzip", 12, NONE, |d| d.begin([dir("LRZI")])),
    members("first-name-of-a-cpio", 12, NONE, |d| d.begin([dir("070701/")])),
    members("first-name-of-an-lha", 12, NONE, |d| d.begin([dir("xx-lh0-/")])),
    // Read in different ways.
    members("file-with-a-slash", 12, AMBIGUOUS, |d| edit(d, |item| item.with(NAME, "deps/pkg/index.js/"))),
    members("empty-file-with-a-slash", 12, AMBIGUOUS, |d| d.add([file("deps/evil/", "")])),
    members("old-file-with-a-slash", 12, AMBIGUOUS, |d| d.edit("deps/empty", |item| item.with(FLAG, b"\0"))),
    members("link-with-a-slash", 12, AMBIGUOUS, |d| d.edit("deps/link", |item| item.with(NAME, "deps/link/"))),
    members("directory-with-contents", 12, AMBIGUOUS, |d| d.edit("deps/empty", |item| item.holding("Yevil\0\0"))),
    members("directory-with-an-inner-tar", 12, AMBIGUOUS, |d| d.edit("deps/empty", |item| item.holding(evil_tar()))),
    members("link-with-contents", 12, AMBIGUOUS, |d| d.edit("deps/link", |item| item.holding("evil"))),
    members("hard-link-with-contents", 12, AMBIGUOUS, |d| {
        d.relink("deps/pkg/twin.js", "deps/pkg/index.js");
        d.edit("deps/pkg/twin.js", |item| item.holding("module.exports = 1\n"));
    }),
    members("hard-link-with-a-size-alone", 12, AMBIGUOUS, |d| {
        d.relink("deps/pkg/twin.js", "deps/pkg/index.js");
        d.edit("deps/pkg/twin.js", |item| item.number(SIZE, 19));
    }),
    members("fifo-with-contents", 12, AMBIGUOUS, |d| {
        d.edit("deps/pkg/zero", |item| item.with(FLAG, b"6").holding("x"));
    }),
    members("name-with-bytes-behind-it", 12, AMBIGUOUS, |d| {
        edit(d, |item| item.with(NAME, b"deps/pkg/index.js\0/../../evil"));
    }),
    members("link-with-bytes-behind-it", 12, AMBIGUOUS, |d| {
        d.edit("deps/link", |item| item.with(LINK, b"pkg/index.js\0/../../../evil"));
    }),
    members("prefix-with-bytes-behind-it", 12, AMBIGUOUS, |d| {
        edit(d, |item| item.with(NAME, "pkg/index.js").with(PREFIX, b"deps\0/../.."));
    }),
    members("prefix-without-a-name", 12, AMBIGUOUS, |d| d.add([file("", "x").with(PREFIX, "deps/evil")])),
    members("prefix-in-a-gnu-header", 12, AMBIGUOUS, |d| edit(d, |item| item.gnu().with(PREFIX, "evil"))),
    members("devices-in-an-old-header", 12, MALFORMED, |d| edit(d, |item| item.v7().with(MAJOR, "0000001"))),
    members("prefix-in-an-old-header", 12, MALFORMED, |d| edit(d, |item| item.v7().with(PREFIX, "evil"))),
    // Sizes that lead far away.
    members("size-of-an-exbibyte-where-less-was-sealed", 11, &["digest-mismatch"], |d| {
        edit(d, |item| item.base256(SIZE, 1 << 60));
    })
    .seal_first(),
    members("size-of-an-exbibyte-where-nothing-was-sealed", 11, &["extra-entry"], |d| {
        d.add([file("deps/evil", "x").base256(SIZE, 1 << 60)]);
    })
    .seal_first(),
    members("size-of-an-exbibyte-before-any-seal", 12, CUT, |d| edit(d, |item| item.base256(SIZE, 1 << 60)))
        .seal_last(),
    members("size-of-eight-gibibytes-before-any-seal", 12, CUT, |d| edit(d, |item| item.with(SIZE, "77777777777")))
        .seal_last(),
];
