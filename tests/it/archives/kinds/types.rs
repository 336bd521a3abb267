//! Types and modes of members.

use crate::archives::kit::{Kind, members};
use crate::archives::sample::Draft;
use crate::archives::tar::{FLAG, MODE, NAME, dir, file, pax, typed};

const SPECIAL: &[&str] = &["special-file"];
const UNSUPPORTED: &[&str] = &["unsupported-member"];
const SPARSE: &[&str] = &["sparse-file"];
const FORBIDDEN: &[&str] = &["forbidden-mode"];

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
    members("type-solaris-extension", 12, UNSUPPORTED, |d| d.before("deps/tool", [pax(&[]).with(FLAG, b"X")])),
    members("type-solaris-acl", 12, UNSUPPORTED, |d| retype(d, b'A')),
    members("type-inode", 12, UNSUPPORTED, |d| retype(d, b'I')),
    members("type-unknown-letter", 12, UNSUPPORTED, |d| retype(d, b'Z')),
    members("type-unknown-byte", 12, UNSUPPORTED, |d| retype(d, 0xff)),
    members("type-space", 12, UNSUPPORTED, |d| retype(d, b' ')),
    members("type-eight", 12, UNSUPPORTED, |d| retype(d, b'8')),
    members("sparse-old-gnu", 12, SPARSE, |d| d.edit("deps/pkg/zero", |item| item.gnu().with(FLAG, b"S"))),
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
    members("mode-with-a-type", 12, &["malformed-header"], |d| d.edit("deps/tool", |item| item.mode(0o100_755))),
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
    members("attribute-trusted", 11, FORBIDDEN, |d| {
        d.before("deps/empty", [pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")])]);
    }),
];
