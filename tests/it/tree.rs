//! Contents and the set of entries, rows 1 to 13: each tampering has its exact codes and exit status.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use cacheseal::drill::tampering;

use crate::forge::remove;
use crate::harness::Project;
use crate::rows::{each, some};

type Tamper = fn(&Project);

/// Seals, tampers, and expects exactly these codes.
pub(crate) fn each_is_refused(cases: &[(&str, Tamper, &[&str])]) {
    each(some(cases), |(what, tamper, codes)| {
        let project = Project::new();
        project.seal();
        tamper(&project);
        project.verify("any").expect_of(what, 11, codes);
    });
}

#[test]
fn an_honest_cache_is_trusted() {
    let project = Project::new();
    project.seal();
    for gate in ["exact", "any"] {
        project.verify(gate).expect(0, &[]);
    }
}

#[test]
fn changed_contents_are_refused() {
    each_is_refused(&[
        ("row 1: the first byte", |p| p.write("deps/pkg/lib/a.js", "Exports.a = 1\n"), &["digest-mismatch"]),
        ("row 1: a byte in the middle", |p| p.write("deps/pkg/lib/a.js", "exports.a = 9\n"), &["digest-mismatch"]),
        ("row 1: the last byte", |p| p.write("deps/pkg/lib/a.js", "exports.a = 1 "), &["digest-mismatch"]),
        ("row 1: a byte more", |p| p.write("deps/pkg/lib/a.js", "exports.a = 1\n\n"), &["digest-mismatch"]),
        ("row 1: one of many bytes, in the other root", |p| last_byte_of_blob(p), &["digest-mismatch"]),
        ("row 2: same size, times put back", |p| same_size_and_times(p), &["digest-mismatch"]),
        ("row 3: truncated", |p| p.write("deps/pkg/lib/a.js", "exports"), &["digest-mismatch"]),
        ("row 3: emptied", |p| p.write("deps/pkg/lib/a.js", ""), &["digest-mismatch"]),
        ("row 3: an empty file filled", |p| p.write("deps/pkg/zero", "x"), &["digest-mismatch"]),
        ("row 4: contents exchanged", |p| p.swap("deps/pkg/lib/a.js", "deps/pkg/lib/b.js"), &["digest-mismatch"]),
        ("row 4: directories exchanged", |p| p.swap("deps/pkg/lib", "deps/empty"), &["missing-entry", "extra-entry"]),
        ("row 5: 1 TiB of holes", |p| grow(p, "deps/pkg/lib/a.js"), &["digest-mismatch"]),
        ("row 5: 1 TiB of holes added", |p| grow(p, "deps/pkg/lib/c.js"), &["extra-entry"]),
        ("row 6: line ends", |p| p.write("deps/pkg/lib/a.js", "exports.a = 1\r\n"), &["digest-mismatch"]),
    ]);
}

#[test]
fn additions_are_refused() {
    each_is_refused(&[
        ("row 7: a file", |p| p.write("deps/pkg/sitecustomize.py", "x"), &["extra-entry"]),
        ("row 7: a hidden, empty file", |p| p.write("deps/pkg/.npmrc", ""), &["extra-entry"]),
        ("row 7: an ignored file and what ignores it", |p| ignored(p), &["extra-entry"]),
        ("row 7: a name that is not UTF-8", |p| named(p, b"\xff\xfe"), &["extra-entry"]),
        ("row 7: a name with a line feed", |p| named(p, b"a\nb"), &["extra-entry"]),
        ("row 7: a name of 255 bytes", |p| named(p, &[b'n'; 255]), &["extra-entry"]),
        ("row 7: in the other root", |p| fs::write(p.home().join("store/b"), "").unwrap(), &["extra-entry"]),
        ("row 7: a link", |p| p.relink("deps/pkg/l", "index.js"), &["extra-entry"]),
        ("row 7: a repository", |p| p.write("deps/.git/hooks/post-checkout", "x"), &["extra-entry"]),
        ("row 8: an empty directory", |p| fs::create_dir(p.path("deps/pkg/new")).unwrap(), &["extra-entry"]),
        ("row 11: the seal's own names", |p| lookalikes(p), &["extra-entry"]),
    ]);
}

#[test]
fn removals_and_renames_are_refused() {
    each_is_refused(&[
        ("row 8: an empty directory", |p| remove(&p.path("deps/empty")), &["missing-entry"]),
        ("row 9: a file", |p| remove(&p.path("deps/tool")), &["missing-entry"]),
        ("row 9: a link", |p| remove(&p.path("deps/link")), &["missing-entry"]),
        ("row 9: a directory", |p| remove(&p.path("deps/pkg")), &["missing-entry"]),
        ("row 9: a root", |p| remove(&p.path("deps")), &["missing-entry"]),
        (
            "row 9: all roots",
            |p| {
                remove(&p.path("deps"));
                remove(&p.home().join("store"));
            },
            &["missing-entry"],
        ),
        ("row 9: the other root", |p| remove(&p.home().join("store")), &["missing-entry"]),
        ("row 10: renamed", |p| p.rename("deps/tool", "deps/tools"), &["missing-entry", "extra-entry"]),
        ("row 10: case", |p| p.rename("deps/tool", "deps/Tool"), &["missing-entry", "extra-entry"]),
        ("row 10: a directory", |p| p.rename("deps/pkg", "deps/pkh"), &["missing-entry", "extra-entry"]),
        ("row 13: everything in the roots", |p| empty_roots(p), &["missing-entry"]),
    ]);
}

/// Row 10: two spellings of one letter are two names.
#[test]
fn a_name_in_another_normal_form_is_refused() {
    let project = Project::new();
    project.write("deps/caf\u{e9}", "x");
    project.seal();
    project.rename("deps/caf\u{e9}", "deps/cafe\u{301}");
    project.verify("any").expect(11, &["missing-entry", "extra-entry"]);
}

/// Row 9: what is missing is told entry by entry; a root that is not there at all once, with the place looked at.
#[test]
fn every_missing_entry_is_told() {
    let project = Project::new();
    project.seal();
    for entry in fs::read_dir(project.path("deps")).unwrap() {
        remove(&entry.unwrap().path());
    }
    let verdict = project.verify("any");
    // Three directories, five files, one link.
    assert_eq!(verdict.json["counts"]["missing-entry"], 9, "{:#}", verdict.json);
    remove(&project.path("deps"));
    let verdict = project.verify("any");
    verdict.expect(11, &["missing-entry"]);
    assert_eq!(verdict.json["counts"]["missing-entry"], 1, "{:#}", verdict.json);
    let place = project.path("deps");
    assert!(verdict.json.to_string().contains(place.to_str().unwrap()), "{:#}", verdict.json);
}

/// Rows 7 and 51: names that package managers would not choose are names all the same.
#[test]
fn awkward_names_are_sealed_as_they_are() {
    let names: &[&[u8]] = &[
        b"a\nb",
        b"\xff\xfe\x80",
        &[b'n'; 255],
        b" ",
        b"-rf",
        b"\\",
        b"\\n",
        b"#mtree",
        b"a=b type=dir",
        b"...",
        b"\x01\x7f",
        b"C:\\x",
        b"*",
        "\u{202e}gpj.js".as_bytes(),
        b"::set-env name=PATH::",
        b"\x1b[2J",
        b"CON",
        b"a",
        b"a-b",
        b"a.b",
        b"A",
    ];
    let project = Project::new();
    for name in names {
        named(&project, name);
        fs::create_dir(project.path("deps/empty").join(OsStr::from_bytes(name))).unwrap();
    }
    project.seal();
    project.verify("any").expect(0, &[]);
    for name in some(names) {
        let path = project.path("deps/pkg").join(OsStr::from_bytes(name));
        fs::write(&path, "evil").unwrap();
        project.verify("any").expect(11, &["digest-mismatch"]);
        fs::write(&path, "x").unwrap();
        fs::remove_dir(project.path("deps/empty").join(OsStr::from_bytes(name))).unwrap();
        project.verify("any").expect(11, &["missing-entry"]);
        fs::create_dir(project.path("deps/empty").join(OsStr::from_bytes(name))).unwrap();
    }
    project.verify("any").expect(0, &[]);
}

/// Row 12: what cannot be read is never passed over. As nobody, because root reads everything.
#[test]
fn what_cannot_be_read_is_not_trusted() {
    let cases: &[(&str, Tamper, i32, &[&str])] = &[
        ("a sealed directory", |p| p.chmod("deps/pkg", 0), 4, &["unreadable"]),
        ("a sealed file", |p| p.chmod("deps/pkg/lib/a.js", 0), 4, &["unreadable"]),
        ("a root", |p| p.chmod("deps", 0), 4, &["unreadable"]),
        ("the seal", |p| p.chmod(".cacheseal/deps/seal.json", 0), 4, &["unreadable"]),
        ("a manifest", |p| p.chmod(".cacheseal/deps/0.mtree", 0), 4, &["unreadable"]),
        ("the seal's directory", |p| p.chmod(".cacheseal", 0), 4, &["unreadable"]),
        ("a directory that can be listed only", |p| p.chmod("deps/pkg", 0o400), 4, &["unreadable"]),
        ("an added directory", |p| hidden_directory(p), 11, &["extra-entry", "unreadable"]),
        (
            "a changed file beside it",
            |p| {
                p.chmod("deps/pkg", 0);
                p.write("deps/tool", "x");
            },
            11,
            &["digest-mismatch", "unreadable"],
        ),
    ];
    each(some(cases), |(what, tamper, exit, codes)| {
        let project = Project::new();
        project.seal();
        let verify = ["verify", "deps", "--gate", "any", "--trust-checkout"];
        project.run_unprivileged(&verify).verdict().expect(0, &[]);
        tamper(&project);
        project.run_unprivileged(&verify).verdict().expect_of(what, *exit, codes);
    });
}

fn last_byte_of_blob(project: &Project) {
    let path = project.home().join("store/blob");
    tampering::change_byte(&path, fs::metadata(&path).unwrap().len() - 1).unwrap();
}

fn same_size_and_times(project: &Project) {
    let path = project.path("deps/pkg/lib/a.js");
    let before = fs::metadata(&path).unwrap();
    tampering::change_byte(&path, 12).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.len(), after.modified().unwrap()), (before.len(), before.modified().unwrap()));
}

/// Reading it to the end would take hours.
fn grow(project: &Project, below: &str) {
    tampering::resize(&project.path(below), 1 << 40).unwrap();
}

fn named(project: &Project, name: &[u8]) {
    fs::write(project.path("deps/pkg").join(OsStr::from_bytes(name)), "x").unwrap();
}

fn ignored(project: &Project) {
    project.write("deps/.gitignore", "*.pth\n");
    project.write("deps/evil.pth", "x");
}

fn lookalikes(project: &Project) {
    for name in ["deps/seal.json", "deps/0.mtree", "deps/.cacheseal/deps/seal.json", "deps/cacheseal.toml"] {
        project.write(name, "{}");
    }
}

fn empty_roots(project: &Project) {
    remove(&project.path("deps"));
    remove(&project.home().join("store"));
    fs::create_dir(project.path("deps")).unwrap();
    fs::create_dir(project.home().join("store")).unwrap();
}

fn hidden_directory(project: &Project) {
    project.write("deps/hidden/evil.js", "x");
    project.chmod("deps/hidden", 0);
}
