//! Types and modes of members, row 67.

use crate::archives::kit::{Kind, members};
use crate::archives::sample::Draft;
use crate::archives::tar::{FLAG, Item, MODE, NAME, PAD, PREFIX, SIZE, dir, file, global, pax, typed};

const SPECIAL: &[&str] = &["special-file"];
const UNSUPPORTED: &[&str] = &["unsupported-member"];
const SPARSE: &[&str] = &["sparse-file"];
const FORBIDDEN: &[&str] = &["forbidden-mode"];

/// A header of GNU tar with times where ustar has a prefix.
fn gnu_times(item: Item) -> Item {
    item.gnu().with(PREFIX, "14524770400\x0014524770400")
}

/// Gives a sealed file another type and nothing else.
fn retype(draft: &mut Draft, flag: u8) {
    draft.edit("deps/pkg/zero", |item| item.with(FLAG, [flag]));
}

pub(crate) const KINDS: &[Kind] = &[
    members("type-character-device", 11, SPECIAL, |d| retype(d, b'3')),
    members("type-block-device", 11, SPECIAL, |d| retype(d, b'4')),
    members("type-fifo", 11, SPECIAL, |d| retype(d, b'6')),
    members("type-fifo-unsealed", 11, SPECIAL, |d| d.add([typed("deps/evil", b'6')])),
    members("type-device-in-the-place-of-a-directory", 11, SPECIAL, |d| {
        d.edit("deps/empty", |item| item.with(NAME, "deps/empty").with(FLAG, b"3"));
    }),
    members("type-contiguous", 12, UNSUPPORTED, |d| retype(d, b'7')),
    members("type-dump", 12, UNSUPPORTED, |d| d.add([typed("deps/evil/", b'D').holding("Yx\0\0")])),
    members("type-multi-volume", 12, UNSUPPORTED, |d| retype(d, b'M')),
    members("type-long-names", 12, UNSUPPORTED, |d| d.add([typed("deps/evil", b'N').holding("Rename a to b\n")])),
    members("type-volume-label", 12, UNSUPPORTED, |d| d.begin([typed("deps", b'V')])),
    // As GNU tar writes them: `-V`, `-g` and `-M`, in its own format and in that of POSIX.
    members("type-volume-label-without-a-mode", 12, UNSUPPORTED, |d| {
        d.begin([typed("cache", b'V').gnu().with(MODE, "").with(SIZE, "00000000000")]);
    }),
    members("type-dump-with-times", 12, UNSUPPORTED, |d| {
        d.begin([gnu_times(typed("deps/", b'D')).holding("Yx\0\0")]);
    }),
    members("type-multi-volume-with-an-offset", 12, UNSUPPORTED, |d| {
        d.begin([gnu_times(typed("deps/tool", b'M'))]);
    }),
    members("volume-label-of-pax", 12, UNSUPPORTED, |d| d.begin([global(&[("GNU.volume.label", b"cache")])])),
    members("volume-name-of-pax", 12, UNSUPPORTED, |d| {
        d.before("deps/tool", [pax(&[("GNU.volume.filename", b"deps/tool")])]);
    }),
    members("dump-of-pax", 12, UNSUPPORTED, |d| d.before("deps/empty", [pax(&[("GNU.dumpdir", b"Yx\0\0")])])),
    members("type-solaris-extension", 12, UNSUPPORTED, |d| d.before("deps/tool", [pax(&[]).with(FLAG, b"X")])),
    members("type-solaris-acl", 12, UNSUPPORTED, |d| retype(d, b'A')),
    members("type-inode", 12, UNSUPPORTED, |d| retype(d, b'I')),
    members("type-unknown-letter", 12, UNSUPPORTED, |d| retype(d, b'Z')),
    members("type-unknown-byte", 12, UNSUPPORTED, |d| retype(d, 0xff)),
    members("type-space", 12, UNSUPPORTED, |d| retype(d, b' ')),
    members("type-eight", 12, UNSUPPORTED, |d| retype(d, b'8')),
    members("sparse-old-gnu", 12, SPARSE, |d| d.edit("deps/pkg/zero", |item| item.gnu().with(FLAG, b"S"))),
    members("sparse-old-gnu-with-its-map", 12, SPARSE, |d| {
        d.edit("deps/pkg/zero", |item| gnu_times(item).with(FLAG, b"S").with(PAD, b"\x000000000100"));
    }),
    members("sparse-solaris", 12, SPARSE, |d| d.before("deps/pkg/zero", [pax(&[("SUN.holesdata", b" 0 8")])])),
    members("sparse-for-all", 12, SPARSE, |d| d.begin([global(&[("GNU.sparse.major", b"1")])])),
    members("sparse-pax-0-0", 12, SPARSE, |d| {
        let map: [(&str, &[u8]); 4] = [
            ("GNU.sparse.size", b"10"),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"0"),
        ];
        d.before("deps/pkg/zero", [pax(&map)]);
    }),
    members("sparse-pax-0-1", 12, SPARSE, |d| d.before("deps/pkg/zero", [pax(&[("GNU.sparse.map", b"0,1,0,2")])])),
    members("sparse-pax-1-0", 12, SPARSE, |d| {
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"deps/evil"),
            ("GNU.sparse.realsize", b"0"),
        ];
        d.before("deps/pkg/zero", [pax(&records)]);
    }),
    members("sparse-name-alone", 12, SPARSE, |d| {
        d.before("deps/pkg/zero", [pax(&[("GNU.sparse.name", b"deps/evil")])]);
    }),
    members("sparse-schily", 12, SPARSE, |d| d.before("deps/pkg/zero", [pax(&[("SCHILY.realsize", b"8")])])),
    // Modes.
    members("mode-setuid", 11, FORBIDDEN, |d| d.edit("deps/tool", |item| item.mode(0o4755))),
    members("mode-setgid", 11, FORBIDDEN, |d| d.edit("deps/tool", |item| item.mode(0o2755))),
    members("mode-sticky", 11, FORBIDDEN, |d| d.edit("deps/tool", |item| item.mode(0o1755))),
    members("mode-all-bits", 11, FORBIDDEN, |d| d.edit("deps/tool", |item| item.mode(0o7777))),
    members("mode-others-write", 11, FORBIDDEN, |d| d.edit("deps/pkg/index.js", |item| item.mode(0o666))),
    members("mode-others-write-a-directory", 11, FORBIDDEN, |d| d.edit("deps/empty", |item| item.mode(0o777))),
    members("mode-others-write-a-sticky-directory", 11, FORBIDDEN, |d| d.edit("deps/pkg", |item| item.mode(0o1777))),
    members("mode-others-write-a-root", 11, FORBIDDEN, |d| d.edit("deps", |item| item.mode(0o777))),
    members("mode-others-write-above-a-root", 11, FORBIDDEN, |d| d.begin([dir("home/").mode(0o777)])).circle(),
    members("mode-executable", 11, &["mode-mismatch"], |d| d.edit("deps/pkg/index.js", |item| item.mode(0o755))),
    members("mode-not-executable", 11, &["mode-mismatch"], |d| d.edit("deps/tool", |item| item.mode(0o644))),
    members("mode-with-the-type-of-another", 12, &["malformed-header"], |d| {
        d.edit("deps/tool", |item| item.mode(0o040_755));
    }),
    members("mode-with-half-a-type", 12, &["malformed-header"], |d| d.edit("deps/tool", |item| item.mode(0o200_755))),
    members("mode-setuid-with-a-type", 11, FORBIDDEN, |d| d.edit("deps/tool", |item| item.mode(0o104_755))),
    // Of the seal's own files, which anybody could then change.
    members("mode-setuid-of-the-envelope", 11, FORBIDDEN, |d| {
        d.edit(".cacheseal/deps/seal.json", |item| item.mode(0o4755));
    }),
    members("mode-others-write-the-envelope", 11, FORBIDDEN, |d| {
        d.edit(".cacheseal/deps/seal.json", |item| item.mode(0o666));
    }),
    members("mode-others-write-a-manifest", 11, FORBIDDEN, |d| {
        d.edit(".cacheseal/deps/0.mtree", |item| item.mode(0o646));
    }),
    members("mode-others-write-the-seal", 11, FORBIDDEN, |d| d.edit(".cacheseal/deps", |item| item.mode(0o777))),
    members("mode-too-large", 12, &["malformed-header"], |d| d.edit("deps/tool", |item| item.with(MODE, "7777755"))),
    members("mode-setuid-unsealed", 11, &["extra-entry"], |d| {
        d.add([file("deps/evil", "x").mode(0o4755)]);
    }),
    // Attributes that give more than a mode does.
    members("capability", 11, FORBIDDEN, |d| {
        d.before("deps/tool", [pax(&[("SCHILY.xattr.security.capability", &[1, 0, 0, 2, 0xff, 0, 0, 0])])]);
    }),
    members("capability-of-libarchive", 11, FORBIDDEN, |d| {
        d.before("deps/tool", [pax(&[("LIBARCHIVE.xattr.security.capability", b"AQAAAv8AAAA")])]);
    }),
    members("capability-in-percent", 11, FORBIDDEN, |d| {
        d.before("deps/tool", [pax(&[("LIBARCHIVE.xattr.security%2Ecapability", b"AQAAAv8AAAA")])]);
    }),
    members("capability-of-the-seal", 11, FORBIDDEN, |d| {
        d.before(".cacheseal/deps/seal.json", [pax(&[("SCHILY.xattr.security.capability", b"x")])]);
    }),
    members("capability-of-a-directory-above", 11, FORBIDDEN, |d| {
        d.begin([pax(&[("SCHILY.xattr.security.ima", b"x")]), dir("home/")]);
    })
    .circle(),
    members("attribute-of-posix-acl", 11, FORBIDDEN, |d| {
        d.before("deps/tool", [pax(&[("SCHILY.xattr.system.posix_acl_access", b"x")])]);
    }),
    members("acl-of-nfs", 11, FORBIDDEN, |d| {
        d.before("deps/tool", [pax(&[("SCHILY.acl.ace", b"everyone@:rwxp:-:allow")])]);
    }),
    members("acl-that-opens-to-others", 11, FORBIDDEN, |d| {
        d.before("deps/pkg/index.js", [pax(&[("SCHILY.acl.access", b"user::rw-,group::r--,other::rw-")])]);
    }),
    members("acl-that-takes-the-executable-bit", 11, FORBIDDEN, |d| {
        d.before("deps/tool", [pax(&[("SCHILY.acl.access", b"user::rw-,group::r-x,other::r-x")])]);
    }),
    members("acl-that-gives-the-executable-bit", 11, FORBIDDEN, |d| {
        d.before("deps/pkg/index.js", [pax(&[("SCHILY.acl.access", b"user::rwx,group::r--,other::r--")])]);
    }),
    members("acl-for-somebody-else", 11, FORBIDDEN, |d| {
        let acl = b"user::rwx,user:daemon:rwx,group::r-x,mask::rwx,other::r-x";
        d.before("deps/tool", [pax(&[("SCHILY.acl.access", acl)])]);
    }),
    members("acl-for-what-comes-later", 11, FORBIDDEN, |d| {
        d.before("deps/empty", [pax(&[("SCHILY.acl.default", b"user::rwx,group::rwx,other::rwx")])]);
    }),
    members("acl-for-what-comes-later-of-a-file", 11, FORBIDDEN, |d| {
        d.before("deps/tool", [pax(&[("SCHILY.acl.default", b"user::rwx,group::r-x,other::r-x")])]);
    }),
    members("attribute-trusted", 11, FORBIDDEN, |d| {
        d.before("deps/empty", [pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")])]);
    }),
];
