//! Names that lead elsewhere, and names that stand twice, rows 60 and 61.

use crate::archives::kit::{Kind, members};
use crate::archives::stage::ELSEWHERE;
use crate::archives::tar::{NAME, PREFIX, SIZE, dir, file, gnu_long, hardlink, pax, symlink};

const UNSAFE: &[&str] = &["unsafe-path"];
const TWICE: &[&str] = &["duplicate-entry"];
/// What such a name stands for cannot be known, so the sealed entry is not there.
const LOST: &[&str] = &["missing-entry", "unsafe-path"];

/// A GNU long name of 120 bytes, so that no header can hold it, that ends in `end`.
fn long(start: &str, end: &str) -> String {
    format!("{start}/{}/{end}", "long".repeat(28))
}

pub(crate) const KINDS: &[Kind] = &[
    members("name-absolute", 12, UNSAFE, |d| d.add([file(ELSEWHERE, "x")])),
    members("name-two-slashes-first", 12, UNSAFE, |d| d.add([file(format!("/{ELSEWHERE}"), "x")])),
    members("name-dot-slash-absolute", 12, UNSAFE, |d| d.add([file(format!(".{ELSEWHERE}/../x"), "x")])),
    members("name-dot-slash-slash", 12, UNSAFE, |d| d.add([file(format!("./{ELSEWHERE}"), "x")])),
    members("name-dot-slash-twice", 12, UNSAFE, |d| d.add([file("././deps/evil", "x")])),
    members("name-dotdot-first", 12, UNSAFE, |d| d.add([file("../evil", "x")])),
    members("name-dotdot-middle", 12, UNSAFE, |d| d.add([file("deps/../../evil", "x")])),
    members("name-dotdot-deep", 12, UNSAFE, |d| d.add([file("deps/a/b/c/../../../../../evil", "x")])),
    members("name-dotdot-and-slash", 12, UNSAFE, |d| d.add([dir("../evil/")])),
    members("name-dotdot-last", 12, UNSAFE, |d| d.add([dir("deps/..")])),
    members("name-dotdot-alone", 12, UNSAFE, |d| d.add([dir("..")])),
    members("name-dotdot-in-a-sealed-one", 12, LOST, |d| {
        d.edit("deps/pkg/lib/a.js", |item| item.with(NAME, "deps/pkg/../pkg/lib/a.js"));
    }),
    members("name-dot-in-a-sealed-one", 12, LOST, |d| {
        d.edit("deps/pkg/index.js", |item| item.with(NAME, "deps/./pkg/index.js"));
    }),
    members("name-dot-last", 12, UNSAFE, |d| d.add([dir("deps/pkg/.")])),
    members("name-empty-component", 12, UNSAFE, |d| d.add([file("deps//evil", "x")])),
    members("name-empty-component-in-a-sealed-one", 12, LOST, |d| {
        d.edit("deps/pkg/index.js", |item| item.with(NAME, "deps//pkg/index.js"));
    }),
    members("name-two-slashes-last", 12, UNSAFE, |d| d.add([dir("deps/evil//")])),
    members("name-empty", 12, UNSAFE, |d| d.add([file("", "x")])),
    members("name-empty-directory", 12, UNSAFE, |d| d.add([dir("")])),
    members("name-slash-alone", 12, UNSAFE, |d| d.add([dir("/")])),
    members("name-dot-alone-file", 12, &["entry-below-link"], |d| d.add([file(".", "x")])),
    // bsdtar takes away what stands in front.
    members("name-unc", 12, UNSAFE, |d| d.add([file("\\\\server\\share\\evil", "x")])),
    members("name-backslash-first", 12, UNSAFE, |d| d.add([file("\\evil", "x")])),
    members("name-drive", 12, UNSAFE, |d| d.add([file("C:\\evil", "x")])),
    members("name-drive-before-dotdot", 12, UNSAFE, |d| d.add([file("C:../evil", "x")])),
    members("name-drive-before-a-sealed-one", 12, LOST, |d| {
        d.edit("deps/pkg/index.js", |item| item.with(NAME, "c:deps/pkg/index.js"));
    }),
    members("name-drive-behind-dot-slash", 12, UNSAFE, |d| d.add([file("./C:evil", "x")])),
    members("name-hardlink-to-a-drive", 12, &["unsafe-hardlink"], |d| {
        d.relink("deps/pkg/twin.js", "C:deps/pkg/index.js");
    }),
    members("name-link-absolute", 12, UNSAFE, |d| d.add([symlink(ELSEWHERE, "deps")])),
    members("name-link-dotdot", 12, UNSAFE, |d| d.add([symlink("../evil", "deps")])),
    members("name-hardlink-dotdot", 12, UNSAFE, |d| d.add([hardlink("../evil", "deps/tool")])),
    members("prefix-dotdot", 12, UNSAFE, |d| d.add([file("evil", "x").with(PREFIX, "..")])),
    members("prefix-absolute", 12, UNSAFE, |d| d.add([file("x", "x").with(PREFIX, ELSEWHERE)])),
    members("prefix-that-ends-in-a-slash", 12, UNSAFE, |d| d.add([file("evil", "x").with(PREFIX, "deps/")])),
    members("prefix-before-an-absolute-name", 12, UNSAFE, |d| d.add([file("/evil", "x").with(PREFIX, "deps")])),
    members("gnu-name-absolute", 12, UNSAFE, |d| {
        d.add([gnu_long(b'L', long(ELSEWHERE, "x")), file("deps/evil", "x").gnu()]);
    }),
    members("gnu-name-dotdot", 12, UNSAFE, |d| {
        d.add([gnu_long(b'L', long("deps", "../../../evil")), file("deps/evil", "x").gnu()]);
    }),
    members("pax-path-absolute", 12, UNSAFE, |d| {
        d.add([pax(&[("path", ELSEWHERE.as_bytes())]), file("deps/evil", "x")]);
    }),
    members("pax-path-dotdot", 12, UNSAFE, |d| d.add([pax(&[("path", b"deps/../../evil")]), file("deps/evil", "x")])),
    members("pax-path-dotdot-for-a-sealed-one", 12, LOST, |d| {
        d.before("deps/pkg/index.js", [pax(&[("path", b"deps/pkg/lib/../index.js")])]);
    }),
    // The same path twice.
    members("twice-the-same", 12, TWICE, |d| {
        d.after("deps/tool", [file("deps/tool", "#!/bin/sh\necho tool\n").mode(0o755)]);
    }),
    members("twice-other-bytes", 12, TWICE, |d| d.after("deps/tool", [file("deps/tool", "evil").mode(0o755)])),
    members("twice-other-bytes-at-the-end", 12, TWICE, |d| d.add([file("deps/pkg/index.js", "evil")])),
    members("twice-the-evil-one-first", 12, &["duplicate-entry", "digest-mismatch"], |d| {
        d.before("deps/pkg/index.js", [file("deps/pkg/index.js", "evil")]);
    }),
    members("twice-with-dot-slash", 12, TWICE, |d| d.add([file("./deps/pkg/index.js", "evil")])),
    members("twice-with-two-slashes", 12, UNSAFE, |d| d.add([file("deps//pkg/index.js", "evil")])),
    members("twice-by-pax-path", 12, TWICE, |d| {
        d.add([pax(&[("path", b"deps/pkg/index.js")]), file("deps/pkg/zero", "evil")]);
    }),
    members("twice-by-gnu-name", 12, TWICE, |d| {
        d.add([gnu_long(b'L', "deps/pkg/index.js"), file("deps/pkg/zero", "evil").gnu()]);
    }),
    members("twice-by-prefix", 12, TWICE, |d| d.add([file("index.js", "evil").with(PREFIX, "deps/pkg")])),
    members("twice-a-directory", 12, TWICE, |d| d.after("deps/empty", [dir("deps/empty/")])),
    members("twice-a-directory-without-slash", 12, TWICE, |d| d.add([dir("deps/pkg")])),
    members("twice-a-directory-with-another-mode", 12, TWICE, |d| d.add([dir("deps/empty/").mode(0o700)])),
    members("twice-a-root", 12, TWICE, |d| d.add([dir("deps/")])),
    members("twice-a-directory-above", 12, TWICE, |d| d.begin([dir("home/"), dir("home/")])).circle(),
    members("twice-a-link-with-another-target", 12, TWICE, |d| d.add([symlink("deps/link", "../../evil")])),
    members("twice-a-link-the-evil-one-first", 12, &["duplicate-entry", "link-mismatch"], |d| {
        d.before("deps/link", [symlink("deps/link", "../../evil")]);
    }),
    members("twice-as-hard-link", 12, TWICE, |d| d.add([hardlink("deps/pkg/twin.js", "deps/pkg/index.js")])),
    members("twice-file-then-directory", 12, TWICE, |d| d.add([dir("deps/tool/")])),
    members("twice-directory-then-file", 12, TWICE, |d| d.add([file("deps/empty", "evil")])),
    members("twice-directory-then-link", 12, TWICE, |d| d.add([symlink("deps/empty", "../../evil")])),
    members("twice-implied-directory-then-file", 12, &["entry-below-link"], |d| {
        d.remove("deps/pkg");
        d.add([file("deps/pkg", "evil")]);
    }),
    members("twice-in-the-seal", 12, TWICE, |d| {
        let envelope = d.contents(".cacheseal/deps/seal.json");
        d.after(".cacheseal/deps/seal.json", [file(".cacheseal/deps/seal.json", envelope)]);
    }),
    members("twice-unsealed", 12, &["duplicate-entry", "extra-entry"], |d| {
        d.add([file("deps/evil", "x"), file("deps/evil", "y")]);
    }),
    members("sealed-one-as-if-empty", 11, &["digest-mismatch"], |d| {
        d.edit("deps/pkg/index.js", |item| item.number(SIZE, 0).followed_by(""));
    }),
];
