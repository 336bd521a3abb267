//! PAX records and GNU long names, row 62.

use crate::archives::kit::{Kind, members};
use crate::archives::sample::Draft;
use crate::archives::tar::{
    Item, LINK, MAGIC, SIZE, VERSION, dir, evil_tar, file, global, gnu_long, gnu_long_raw, pax, pax_raw, record,
};

const MALFORMED: &[&str] = &["malformed-extension"];
const AMBIGUOUS: &[&str] = &["ambiguous-header"];
const GLOBAL: &[&str] = &["global-header"];

const FILE: &str = "deps/pkg/index.js";

/// Puts a PAX header with these bytes before a sealed file.
fn raw(draft: &mut Draft, data: impl AsRef<[u8]>) {
    draft.before(FILE, [pax_raw(data)]);
}

/// Puts a PAX header with these records before a sealed file.
fn records(draft: &mut Draft, records: &[(&str, &[u8])]) {
    draft.before(FILE, [pax(records)]);
}

/// Puts extension headers before a sealed file that is written as GNU tar writes it.
fn before_gnu<const N: usize>(draft: &mut Draft, items: [Item; N]) {
    draft.edit(FILE, Item::gnu);
    draft.before(FILE, items);
}

pub(crate) const KINDS: &[Kind] = &[
    // The grammar of records.
    members("record-length-negative", 12, MALFORMED, |d| raw(d, "-9 path=x\n")),
    members("record-length-with-plus", 12, MALFORMED, |d| raw(d, "+11 path=xy\n")),
    members("record-length-no-number", 12, MALFORMED, |d| raw(d, "x1 path=xy\n")),
    members("record-length-zero", 12, MALFORMED, |d| raw(d, "0 path=x\n")),
    members("record-length-missing", 12, MALFORMED, |d| raw(d, " path=x\n")),
    members("record-length-too-short", 12, MALFORMED, |d| raw(d, "9 path=xy\n")),
    members("record-length-too-long", 12, MALFORMED, |d| raw(d, "99 path=xy\n")),
    members("record-length-beyond-any-number", 12, MALFORMED, |d| raw(d, "99999999999999999999999999 path=x\n")),
    members("record-length-with-zeros-first", 12, MALFORMED, |d| raw(d, "0013 path=xyz\n")),
    members("record-length-after-a-space", 12, MALFORMED, |d| raw(d, " 11 path=xy\n")),
    members("record-without-newline", 12, MALFORMED, |d| raw(d, "10 path=xy")),
    members("record-with-a-byte-for-the-newline", 12, MALFORMED, |d| raw(d, "11 path=xyz")),
    members("record-without-equals", 12, MALFORMED, |d| raw(d, "8 pathx\n")),
    members("record-without-key", 12, MALFORMED, |d| raw(d, record("", "x"))),
    members("record-cut", 12, MALFORMED, |d| raw(d, "30 mtime=17")),
    members("records-of-zeros", 12, MALFORMED, |d| raw(d, [0; 40])),
    members("records-and-zeros", 12, MALFORMED, |d| raw(d, [&record("mtime", "1")[..], &[0; 20]].concat())),
    members("records-and-garbage", 12, MALFORMED, |d| raw(d, [&record("mtime", "1")[..], b"garbage"].concat())),
    members("records-none", 12, MALFORMED, |d| raw(d, "")),
    // Values.
    members("pax-path-with-nul", 12, MALFORMED, |d| records(d, &[("path", b"deps/pkg/index.js\0evil")])),
    members("pax-path-that-ends-in-nul", 12, MALFORMED, |d| records(d, &[("path", b"deps/pkg/index.js\0")])),
    members("pax-path-empty", 12, MALFORMED, |d| records(d, &[("path", b"")])),
    members("pax-linkpath-with-nul", 12, MALFORMED, |d| {
        d.before("deps/link", [pax(&[("linkpath", b"pkg/index.js\0")])]);
    }),
    members("pax-linkpath-empty", 12, MALFORMED, |d| d.before("deps/link", [pax(&[("linkpath", b"")])])),
    members("pax-size-hexadecimal", 12, MALFORMED, |d| records(d, &[("size", b"0x13")])),
    members("pax-size-with-a-space", 12, MALFORMED, |d| records(d, &[("size", b"19 ")])),
    members("pax-size-with-nul", 12, MALFORMED, |d| records(d, &[("size", b"19\0")])),
    members("pax-size-with-plus", 12, MALFORMED, |d| records(d, &[("size", b"+19")])),
    members("pax-size-negative", 12, MALFORMED, |d| records(d, &[("size", b"-19")])),
    members("pax-size-empty", 12, MALFORMED, |d| records(d, &[("size", b"")])),
    members("pax-size-with-a-point", 12, MALFORMED, |d| records(d, &[("size", b"19.0")])),
    members("pax-size-with-zeros-first", 12, MALFORMED, |d| records(d, &[("size", b"0000000019")])),
    members("pax-size-of-2-to-the-64", 12, MALFORMED, |d| records(d, &[("size", b"18446744073709551616")])),
    members("pax-size-the-largest", 12, MALFORMED, |d| records(d, &[("size", b"18446744073709551615")])),
    members("pax-time-no-number", 12, MALFORMED, |d| records(d, &[("mtime", b"yesterday")])),
    members("pax-time-beyond-64-bits", 12, MALFORMED, |d| records(d, &[("mtime", b"9223372036854775808.5")])),
    members("pax-owner-beyond-32-bits", 12, MALFORMED, |d| records(d, &[("uid", b"4294967296")])),
    members("pax-owner-no-number", 12, MALFORMED, |d| records(d, &[("uid", b"circleci")])),
    members("pax-key-unknown", 12, MALFORMED, |d| records(d, &[("pathname", b"deps/evil")])),
    members("pax-key-of-a-vendor", 12, MALFORMED, |d| records(d, &[("ACME.meaning", b"x")])),
    members("pax-key-of-posix-to-come", 12, MALFORMED, |d| records(d, &[("realtime.x", b"1")])),
    members("pax-key-security", 12, MALFORMED, |d| records(d, &[("security.acl", b"x")])),
    members("pax-key-in-another-case", 12, MALFORMED, |d| records(d, &[("LIBARCHIVE.Creationtime", b"1")])),
    members("pax-key-of-a-file-type", 12, MALFORMED, |d| records(d, &[("SCHILY.filetype", b"directory")])),
    members("pax-attribute-unknown", 12, MALFORMED, |d| records(d, &[("SCHILY.xattr.acme.note", b"x")])),
    members("pax-attribute-that-is-the-contents", 12, MALFORMED, |d| {
        records(d, &[("SCHILY.xattr.com.apple.decmpfs", b"x")]);
    }),
    members("pax-flags-that-cannot-be-changed", 12, MALFORMED, |d| records(d, &[("SCHILY.fflags", b"schg")])),
    members("pax-uname-with-nul", 12, MALFORMED, |d| records(d, &[("uname", b"a\0b")])),
    members("pax-gname-with-nul", 12, MALFORMED, |d| records(d, &[("gname", b"\0")])),
    members("pax-comment-with-nul", 12, MALFORMED, |d| records(d, &[("comment", b"a\0")])),
    members("pax-label-with-nul", 12, MALFORMED, |d| records(d, &[("RHT.security.selinux", b"a\0")])),
    members("pax-uname-empty", 12, MALFORMED, |d| records(d, &[("uname", b"")])),
    members("pax-hdrcharset-unknown", 12, MALFORMED, |d| records(d, &[("hdrcharset", b"UTF-16")])),
    members("pax-inode-no-number", 12, MALFORMED, |d| records(d, &[("SCHILY.ino", b"-1")])),
    members("pax-symlinktype-unknown", 12, MALFORMED, |d| records(d, &[("LIBARCHIVE.symlinktype", b"x")])),
    // Extensions of nothing.
    members("pax-before-the-end", 12, MALFORMED, |d| d.tar.items.push(pax(&[("path", b"deps/evil")]))),
    members("gnu-name-before-the-end", 12, MALFORMED, |d| d.tar.items.push(gnu_long(b'L', "deps/evil"))),
    members("gnu-link-before-the-end", 12, MALFORMED, |d| d.tar.items.push(gnu_long(b'K', "deps/evil"))),
    members("pax-before-pax", 12, AMBIGUOUS, |d| d.before(FILE, [pax(&[("mtime", b"1")]), pax(&[("mtime", b"2")])])),
    members("gnu-link-for-a-file", 12, AMBIGUOUS, |d| before_gnu(d, [gnu_long(b'K', "deps/evil")])),
    members("pax-linkpath-for-a-file", 12, AMBIGUOUS, |d| records(d, &[("linkpath", b"deps/evil")])),
    members("gnu-name-empty", 12, MALFORMED, |d| before_gnu(d, [gnu_long_raw(b'L', "")])),
    members("gnu-name-of-one-nul", 12, MALFORMED, |d| before_gnu(d, [gnu_long(b'L', "")])),
    members("gnu-name-with-nul", 12, MALFORMED, |d| before_gnu(d, [gnu_long(b'L', "deps/pkg/index.js\0evil")])),
    members("gnu-name-with-two-nuls", 12, MALFORMED, |d| before_gnu(d, [gnu_long(b'L', "deps/pkg/index.js\0")])),
    members("gnu-link-with-nul", 12, MALFORMED, |d| {
        d.edit("deps/link", Item::gnu);
        d.before("deps/link", [gnu_long(b'K', "pkg/index.js\0evil")]);
    }),
    // Two answers to one question.
    members("pax-path-twice", 12, AMBIGUOUS, |d| records(d, &[("path", FILE.as_bytes()), ("path", b"deps/evil")])),
    members("pax-path-twice-the-same", 12, AMBIGUOUS, |d| {
        records(d, &[("path", FILE.as_bytes()), ("path", FILE.as_bytes())]);
    }),
    members("pax-linkpath-twice", 12, AMBIGUOUS, |d| {
        d.before("deps/link", [pax(&[("linkpath", b"pkg/index.js"), ("linkpath", b"../evil")])]);
    }),
    members("pax-size-twice", 12, AMBIGUOUS, |d| records(d, &[("size", b"19"), ("size", b"19")])),
    members("pax-time-twice", 12, AMBIGUOUS, |d| records(d, &[("mtime", b"1"), ("mtime", b"2")])),
    members("pax-size-where-the-header-says-none", 12, AMBIGUOUS, |d| {
        d.edit("deps/pkg/zero", |item| item.number(SIZE, 0).followed_by(evil_tar()));
        d.before("deps/pkg/zero", [pax(&[("size", evil_tar().len().to_string().as_bytes())])]);
    }),
    members("pax-size-none-where-the-header-says-some", 12, AMBIGUOUS, |d| {
        d.edit("deps/pkg/zero", |item| item.holding(evil_tar()));
        d.before("deps/pkg/zero", [pax(&[("size", b"0")])]);
    }),
    members("pax-size-other-than-the-header's", 12, AMBIGUOUS, |d| records(d, &[("size", b"18")])),
    members("pax-size-a-block-more", 12, AMBIGUOUS, |d| records(d, &[("size", b"531")])),
    members("pax-size-for-a-directory", 12, AMBIGUOUS, |d| d.before("deps/empty", [pax(&[("size", b"512")])])),
    members("pax-and-gnu-name", 12, AMBIGUOUS, |d| {
        before_gnu(d, [pax(&[("path", b"deps/evil")]), gnu_long(b'L', FILE)]);
    }),
    members("gnu-name-and-pax", 12, AMBIGUOUS, |d| {
        before_gnu(d, [gnu_long(b'L', FILE), pax(&[("path", b"deps/evil")])]);
    }),
    members("gnu-name-and-pax-of-other-things", 12, AMBIGUOUS, |d| {
        before_gnu(d, [gnu_long(b'L', FILE), pax(&[("mtime", b"1")])]);
    }),
    members("gnu-link-and-pax-linkpath", 12, AMBIGUOUS, |d| {
        d.edit("deps/link", Item::gnu);
        d.before("deps/link", [gnu_long(b'K', "pkg/index.js"), pax(&[("linkpath", b"../evil")])]);
    }),
    members("gnu-name-twice", 12, AMBIGUOUS, |d| before_gnu(d, [gnu_long(b'L', FILE), gnu_long(b'L', "deps/evil")])),
    members("gnu-link-where-the-header-has-none", 12, AMBIGUOUS, |d| {
        d.edit("deps/link", |item| item.gnu().with(LINK, ""));
        d.before("deps/link", [gnu_long(b'K', "pkg/index.js")]);
    }),
    members("gnu-link-twice", 12, AMBIGUOUS, |d| {
        d.edit("deps/link", Item::gnu);
        d.before("deps/link", [gnu_long(b'K', "pkg/index.js"), gnu_long(b'K', "../evil")]);
    }),
    members("pax-path-of-a-file-with-a-slash", 12, AMBIGUOUS, |d| records(d, &[("path", b"deps/pkg/index.js/")])),
    members("gnu-name-of-a-file-with-a-slash", 12, AMBIGUOUS, |d| {
        before_gnu(d, [gnu_long(b'L', "deps/pkg/index.js/")]);
    }),
    // Records for all that follows.
    members("global-path", 12, GLOBAL, |d| d.before(FILE, [global(&[("path", b"deps/evil")])])),
    members("global-size", 12, GLOBAL, |d| d.before(FILE, [global(&[("size", b"0")])])),
    members("global-hdrcharset", 12, GLOBAL, |d| d.begin([global(&[("hdrcharset", b"BINARY")])])),
    members("global-comment-and-path", 12, GLOBAL, |d| {
        d.before(FILE, [global(&[("comment", b"x"), ("path", b"deps/evil")])]);
    }),
    members("global-comment-twice", 12, AMBIGUOUS, |d| d.begin([global(&[("comment", b"x"), ("comment", b"y")])])),
    members("global-comment-with-nul", 12, MALFORMED, |d| d.begin([global(&[("comment", b"x\0")])])),
    members("global-of-gnu", 12, MALFORMED, |d| d.begin([global(&[("comment", b"x")]).gnu()])),
    members("global-comment-between-pax-and-its-member", 12, AMBIGUOUS, |d| {
        d.before(FILE, [pax(&[("mtime", b"1")]), global(&[("comment", b"x")])]);
    }),
    members("global-between-pax-and-its-member", 12, GLOBAL, |d| {
        d.before(FILE, [pax(&[("mtime", b"1")]), global(&[("path", b"deps/evil")])]);
    }),
    members("global-at-the-end", 12, MALFORMED, |d| d.tar.items.push(global(&[("comment", b"x")]))),
    // Headers of extensions that lie themselves.
    members("gnu-name-with-a-pax-size", 12, AMBIGUOUS, |d| {
        before_gnu(d, [pax(&[("size", b"0")]), gnu_long(b'L', FILE)]);
    }),
    members("gnu-name-in-a-ustar-header", 12, MALFORMED, |d| {
        d.before(FILE, [gnu_long(b'L', FILE).with(MAGIC, "ustar\0").with(VERSION, "00")]);
    }),
    members("gnu-name-of-a-ustar-member", 12, AMBIGUOUS, |d| d.before(FILE, [gnu_long(b'L', FILE)])),
    members("pax-in-a-gnu-header", 12, MALFORMED, |d| before_gnu(d, [pax(&[("mtime", b"1")]).gnu()])),
    members("pax-of-a-gnu-member", 12, AMBIGUOUS, |d| before_gnu(d, [pax(&[("mtime", b"1")])])),
    members("pax-of-an-old-member", 12, AMBIGUOUS, |d| {
        d.edit(FILE, Item::v7);
        records(d, &[("mtime", b"1")]);
    }),
    members("extension-with-data-behind-it", 12, &["malformed-header"], |d| {
        d.before(FILE, [pax(&[("mtime", b"1")])]);
        let at = d.at(FILE) - 1;
        d.tar.items[at].padding = b'x';
    }),
    members("pax-for-a-directory-with-path-of-a-file", 12, &["duplicate-entry"], |d| {
        d.add([pax(&[("path", b"deps/tool")]), dir("deps/other/")]);
    }),
    // Each is of no concern; together they must not cost more time than their bytes.
    members("pax-records-of-30000-keys", 11, &["extra-entry"], |d| {
        let records: Vec<u8> = (0..30_000).flat_map(|at| record(format!("SCHILY.xattr.user.{at}"), "y")).collect();
        d.add([pax_raw(records), file("deps/evil", "x")]);
    }),
    members("pax-newlines-that-hide-a-record", 11, &["extra-entry"], |d| {
        d.add([pax(&[("comment", b"x\n21 path=deps/tool2\n")]), file("deps/evil", "x")]);
    }),
];
