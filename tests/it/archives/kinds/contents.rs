//! What is in the roots is not what was sealed, rows 1 to 13 in an archive.

use crate::archives::kit::{Kind, members};
use crate::archives::sample::Draft;
use crate::archives::tar::{NAME, SIZE, dir, evil_tar, file, pax, symlink};

const CHANGED: &[&str] = &["digest-mismatch"];
const EXTRA: &[&str] = &["extra-entry"];
const MISSING: &[&str] = &["missing-entry"];
const TYPE: &[&str] = &["type-mismatch"];
const RENAMED: &[&str] = &["extra-entry", "missing-entry"];

pub(crate) const KINDS: &[Kind] = &[
    members("first-byte", 11, CHANGED, |d| d.refill("deps/pkg/index.js", "Module.exports = 1\n")),
    members("middle-byte", 11, CHANGED, |d| {
        let mut contents = d.contents("deps/big");
        contents[1_600] ^= 1;
        d.refill("deps/big", contents);
    }),
    members("last-byte", 11, CHANGED, |d| d.refill("deps/pkg/index.js", "module.exports = 1\r")),
    members("one-byte-more", 11, CHANGED, |d| d.refill("deps/pkg/index.js", "module.exports = 1\n\n")),
    members("one-byte-less", 11, CHANGED, |d| d.refill("deps/pkg/index.js", "module.exports = 1")),
    members("emptied", 11, CHANGED, |d| d.refill("deps/pkg/lib/a.js", "")),
    members("empty-file-filled", 11, CHANGED, |d| d.refill("deps/pkg/zero", "evil")),
    members("much-longer", 11, CHANGED, |d| d.refill("deps/pkg/zero", vec![b'x'; 300_000])),
    members("line-ends", 11, CHANGED, |d| d.refill("deps/tool", "#!/bin/sh\r\necho tool\r\n")),
    members("two-exchanged", 11, CHANGED, |d| {
        let (one, other) = (d.contents("deps/pkg/lib/a.js"), d.contents("deps/pkg/lib/b.js"));
        d.refill("deps/pkg/lib/a.js", other);
        d.refill("deps/pkg/lib/b.js", one);
    }),
    members("changed-in-home", 11, CHANGED, |d| d.refill("store/blob", vec![8; 3_000])),
    members("added-file", 11, EXTRA, |d| d.add([file("deps/evil.js", "x")])),
    members("added-hidden-file", 11, EXTRA, |d| d.add([file("deps/.npmrc", "x")])),
    members("added-empty-file", 11, EXTRA, |d| d.add([file("deps/pkg/__init__.py", "")])),
    members("added-name-of-no-text", 11, EXTRA, |d| d.add([file(b"deps/\xff\xfe", "x")])),
    members("added-name-with-newline", 11, EXTRA, |d| d.add([file("deps/x\n::set-env name=PATH::/tmp", "x")])),
    members("added-name-with-escapes", 11, EXTRA, |d| d.add([file("deps/\x1b[2Jtrusted\u{202e}", "x")])),
    members("added-name-with-backslash", 11, EXTRA, |d| d.add([file("deps/..\\evil", "x")])),
    members("added-other-spelling", 11, EXTRA, |d| {
        d.add([file("deps/pkg/\u{fb01}le", "x"), file("deps/pkg/file", "x")]);
    }),
    members("added-other-case", 11, EXTRA, |d| d.add([file("deps/pkg/Index.js", "x")])),
    members("added-name-by-pax-with-newline", 11, EXTRA, |d| {
        d.add([pax(&[("path", b"deps/good\n19 path=deps/evil\n")]), file("deps/other", "x")]);
    }),
    members("added-directory", 11, EXTRA, |d| d.add([dir("deps/evil/")])),
    members("added-deep-file", 11, EXTRA, |d| d.add([file("deps/a/b/c/evil", "x")])),
    members("added-link", 11, EXTRA, |d| d.add([symlink("deps/evil", "tool")])),
    members("added-in-home", 11, EXTRA, |d| d.add([file("store/evil", "x")])),
    members("added-like-a-seal", 11, EXTRA, |d| d.add([file("deps/seal.json", "{}")])),
    members("added-root-that-was-absent-twice", 12, &["duplicate-entry"], |d| d.add([dir("never/"), dir("never/")])),
    members("added-root-that-was-absent-for-all", 11, &["forbidden-mode"], |d| d.add([dir("never/").mode(0o777)])),
    members("added-file-in-a-root-that-was-absent", 11, EXTRA, |d| d.add([file("never/evil", "x")])),
    members("added-much", 11, EXTRA, |d| d.add([file("deps/evil", vec![b'x'; 300_000])])),
    members("removed-file", 11, MISSING, |d| d.remove("deps/pkg/lib/b.js")),
    members("removed-link", 11, MISSING, |d| d.remove("deps/link")),
    members("removed-empty-directory", 11, MISSING, |d| d.remove("deps/empty")),
    members("removed-tree", 11, MISSING, |d| d.remove_all("deps/pkg/lib")),
    members("removed-root", 11, MISSING, |d| d.remove_all("deps")),
    members("removed-root-in-home", 11, MISSING, |d| d.remove_all("store")),
    members("removed-all-roots", 11, MISSING, |d| {
        d.remove_all("deps");
        d.remove_all("store");
    }),
    members("renamed-file", 11, RENAMED, |d| d.edit("deps/pkg/lib/b.js", |item| item.with(NAME, "deps/pkg/lib/c.js"))),
    members("renamed-case", 11, RENAMED, |d| d.edit("deps/tool", |item| item.with(NAME, "deps/Tool"))),
    members("renamed-trailing-space", 11, RENAMED, |d| d.edit("deps/tool", |item| item.with(NAME, "deps/tool "))),
    members("file-to-link", 11, TYPE, |d| d.replace("deps/pkg/twin.js", [symlink("deps/pkg/twin.js", "index.js")])),
    members("file-to-directory", 11, TYPE, |d| d.replace("deps/pkg/zero", [dir("deps/pkg/zero/")])),
    members("directory-to-file", 11, TYPE, |d| d.replace("deps/empty", [file("deps/empty", "")])),
    members("directory-to-link", 11, TYPE, |d| d.replace("deps/empty", [symlink("deps/empty", "pkg")])),
    members("link-to-file", 11, TYPE, |d| d.replace("deps/link", [file("deps/link", "module.exports = 1\n")])),
    members("link-to-directory", 11, TYPE, |d| d.replace("deps/link", [dir("deps/link/")])),
    // The inner tar of the file would be read as members by who believes that the file is empty.
    members("inner-tar-as-contents", 11, CHANGED, |d| {
        d.edit("deps/pkg/zero", |item| item.holding(evil_tar()));
    }),
    members("inner-tar-behind-an-empty-file", 12, &["extra-entry", "trailing-data"], hide_a_tar).seal_first(),
    members("inner-tar-behind-an-empty-file-before-any-seal", 12, &["trailing-data"], hide_a_tar).seal_last(),
];

/// Puts an archive behind an empty file: its members are read as the outer one's, and its end as the outer end.
fn hide_a_tar(draft: &mut Draft) {
    draft.edit("deps/pkg/zero", |item| item.number(SIZE, 0).followed_by(evil_tar()));
}
