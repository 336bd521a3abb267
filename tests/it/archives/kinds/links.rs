//! Symlinks and hard links, rows 60 and 66.

use crate::archives::kit::{Kind, members};
use crate::archives::stage::ELSEWHERE;
use crate::archives::tar::{LINK, dir, file, gnu_long, hardlink, pax, symlink};

const HARD: &[&str] = &["unsafe-hardlink"];
const BELOW: &[&str] = &["entry-below-link"];
const INSIDE: &[&str] = &["--gate", "inside"];

pub(crate) const KINDS: &[Kind] = &[
    members("below-a-sealed-link", 12, BELOW, |d| d.add([file("deps/link/evil", "x")])),
    members("below-a-sealed-link-with-dot-slash", 12, BELOW, |d| d.add([file("./deps/link/evil", "x")])),
    members("below-a-sealed-link-that-leaves", 12, BELOW, |d| d.add([file("deps/pkg/away/evil", "x")])),
    members("below-a-sealed-link-a-directory", 12, BELOW, |d| d.add([dir("deps/pkg/away/evil/")])),
    members("below-a-sealed-file", 12, BELOW, |d| d.add([file("deps/tool/evil", "x")])),
    members("below-a-sealed-file-deep", 12, BELOW, |d| d.add([file("deps/tool/a/b/evil", "x")])),
    members("below-a-new-link", 12, &["entry-below-link", "extra-entry"], |d| {
        d.add([symlink("deps/evil", "../.."), file("deps/evil/.npmrc", "x")]);
    }),
    members("below-two-links", 12, &["entry-below-link", "extra-entry"], |d| {
        let up = symlink("deps/evil", "pkg/lib");
        d.add([up, symlink("deps/pkg/lib/up", "../../../.."), file("deps/evil/up/.npmrc", "x")]);
    }),
    members("below-a-link-by-pax-path", 12, BELOW, |d| {
        d.add([pax(&[("path", b"deps/pkg/away/evil")]), file("deps/pkg/evil", "x")]);
    }),
    members("directory-over-a-link-and-a-file-in-it", 12, &["duplicate-entry", "entry-below-link"], |d| {
        d.add([dir("deps/pkg/away/"), file("deps/pkg/away/evil", "x")]);
    }),
    members("directory-over-a-link", 12, &["duplicate-entry"], |d| d.add([dir("deps/pkg/away/").mode(0o700)])),
    members("link-before-what-is-below-it", 12, &["entry-below-link", "type-mismatch"], |d| {
        d.replace("deps/pkg/lib", [symlink("deps/pkg/lib", "../../elsewhere")]);
    }),
    members("file-before-what-is-below-it", 12, &["entry-below-link", "type-mismatch"], |d| {
        d.replace("deps/pkg/lib", [file("deps/pkg/lib", "x")]);
    }),
    members("hard-link-over-a-directory", 12, &["entry-below-link", "type-mismatch"], |d| {
        d.replace("deps/pkg/lib", [hardlink("deps/pkg/lib", "deps/pkg/index.js")]);
    }),
    // Targets.
    members("link-retargeted", 11, &["link-mismatch"], |d| d.edit("deps/link", |item| item.with(LINK, "pkg/twin.js"))),
    members("link-retargeted-to-the-same-file", 11, &["link-mismatch"], |d| {
        d.edit("deps/link", |item| item.with(LINK, "./pkg/index.js"));
    }),
    members("link-target-absolute", 11, &["link-mismatch"], |d| {
        d.edit("deps/link", |item| item.with(LINK, "/etc/passwd"));
    }),
    members("link-target-that-leaves", 11, &["link-mismatch"], |d| {
        d.edit("deps/link", |item| item.with(LINK, "../../.npmrc"));
    }),
    members("link-target-empty", 11, &["link-mismatch"], |d| d.edit("deps/link", |item| item.with(LINK, ""))),
    members("link-target-by-pax", 11, &["link-mismatch"], |d| {
        d.before("deps/link", [pax(&[("linkpath", b"../../.npmrc")])]);
    }),
    members("link-target-by-gnu-name", 11, &["link-mismatch"], |d| {
        d.before("deps/link", [gnu_long(b'K', "../../.npmrc")]);
        d.edit("deps/link", super::super::tar::Item::gnu);
    }),
    members("link-sealed-that-leaves-at-a-gate-that-minds", 11, &["link-escapes"], |_| {}).more(INSIDE),
    // Hard links.
    members("hard-link-to-nothing", 12, HARD, |d| d.relink("deps/pkg/twin.js", "deps/pkg/nothing")),
    members("hard-link-to-a-later-file", 12, HARD, |d| d.relink("deps/pkg/index.js", "deps/pkg/twin.js")),
    members("hard-link-to-itself", 12, HARD, |d| d.relink("deps/pkg/twin.js", "deps/pkg/twin.js")),
    members("hard-link-to-a-directory", 12, HARD, |d| d.relink("deps/pkg/twin.js", "deps/empty")),
    members("hard-link-to-a-symlink", 12, HARD, |d| d.relink("deps/pkg/twin.js", "deps/link")),
    members("hard-link-to-the-seal", 12, HARD, |d| d.relink("deps/pkg/twin.js", ".cacheseal/deps/seal.json"))
        .seal_first(),
    members("hard-link-to-a-stray", 15, &["stray-entry", "unsafe-hardlink"], |d| {
        d.begin([file("evil", "module.exports = 1\n")]);
        d.relink("deps/pkg/twin.js", "evil");
    }),
    members("hard-link-absolute", 12, HARD, |d| d.relink("deps/pkg/twin.js", ELSEWHERE)),
    members("hard-link-dotdot", 12, HARD, |d| d.relink("deps/pkg/twin.js", "../../etc/passwd")),
    members("hard-link-dotdot-to-a-member", 12, HARD, |d| d.relink("deps/pkg/twin.js", "deps/pkg/lib/../index.js")),
    members("hard-link-from-where-it-lies", 12, HARD, |d| d.relink("deps/pkg/twin.js", "index.js")),
    members("hard-link-empty", 12, HARD, |d| d.relink("deps/pkg/twin.js", "")),
    members("hard-link-by-pax", 12, HARD, |d| {
        d.relink("deps/pkg/twin.js", "deps/pkg/index.js");
        d.before("deps/pkg/twin.js", [pax(&[("linkpath", b"../../etc/passwd")])]);
    }),
    members("hard-link-to-what-was-refused", 12, &["special-file", "unsafe-hardlink"], |d| {
        d.edit("deps/pkg/index.js", |item| item.with(crate::archives::tar::FLAG, b"6").holding(""));
        d.relink("deps/pkg/twin.js", "deps/pkg/index.js");
    }),
    members("hard-link-to-other-bytes", 11, &["digest-mismatch"], |d| d.relink("deps/pkg/twin.js", "deps/big")),
    members("hard-link-unsealed", 11, &["extra-entry"], |d| d.add([hardlink("deps/evil", "deps/pkg/index.js")])),
    members("hard-link-with-another-mode", 12, &["ambiguous-header", "mode-mismatch"], |d| {
        d.relink("deps/pkg/twin.js", "deps/pkg/index.js");
        d.edit("deps/pkg/twin.js", |item| item.mode(0o755));
    }),
    members("hard-link-then-a-write", 12, &["duplicate-entry", "extra-entry"], |d| {
        d.add([hardlink("deps/evil", "deps/pkg/index.js"), file("deps/evil", "evil")]);
    }),
];
