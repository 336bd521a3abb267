//! `pack`: exactly what was sealed, in one form, or no archive at all.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use cacheseal::archive::{CodecOptions, MemberKind, Reader, unwrapped};
use cacheseal::base::{Algorithm, Code, Digest, Limits};
use cacheseal::seal::manifest::Manifest;
use cacheseal::tree::{Directory, ExportError, ExportSink, export};
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use super::harness::{POLICY, Project, Run, Verdict};
use crate::rows::{each, some};

/// A member of an archive, as our own reader sees it: its name, its kind, its permission bits and its contents.
type Found = (String, &'static str, u32, Vec<u8>);

fn members(archive: &[u8]) -> Vec<Found> {
    let options = CodecOptions::new(27, 2, &Limits::STANDARD);
    unwrapped(archive, &options, |stream| {
        let mut reader = Reader::new(stream);
        let mut found = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            let mut contents = Vec::new();
            reader
                .contents(|piece| {
                    contents.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
            let kind = match member.kind {
                MemberKind::File { .. } => "file",
                MemberKind::Directory => "directory",
                MemberKind::Link(target) => {
                    contents = target;
                    "link"
                }
                other => panic!("{other:?}"),
            };
            found.push((String::from_utf8(member.unverified_name).unwrap(), kind, member.mode, contents));
        }
        found
    })
}

impl Project {
    fn pack(&self, out: &Path, more: &[&str]) -> Verdict {
        self.json(&[&["pack", "deps", "-o", out.to_str().unwrap()], more].concat())
    }

    /// Packs and gives the bytes of the archive; must work.
    fn packed(&self, name: &str, more: &[&str]) -> Vec<u8> {
        let out = self.outside(name);
        self.pack(&out, more).expect(0, &[]);
        let bytes = fs::read(&out).unwrap();
        fs::remove_file(out).unwrap();
        bytes
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_seal_comes_first_then_each_root_in_its_order() {
    let project = Project::new();
    project.seal();
    let seal = |name: &str| fs::read(project.path(&format!(".cacheseal/deps/{name}"))).unwrap();
    let file = |name: &str, contents: &[u8]| (name.to_owned(), "file", 0o644, contents.to_vec());
    let directory = |name: &str| (name.to_owned(), "directory", 0o755, Vec::new());
    let expected = [
        file("checkout/.cacheseal/deps/seal.json", &seal("seal.json")),
        file("checkout/.cacheseal/deps/0.mtree", &seal("0.mtree")),
        file("checkout/.cacheseal/deps/1.mtree", &seal("1.mtree")),
        directory("checkout/deps"),
        directory("checkout/deps/empty"),
        ("checkout/deps/link".to_owned(), "link", 0o755, b"pkg/index.js".to_vec()),
        directory("checkout/deps/pkg"),
        file("checkout/deps/pkg/index.js", b"module.exports = 1\n"),
        directory("checkout/deps/pkg/lib"),
        file("checkout/deps/pkg/lib/a.js", b"exports.a = 1\n"),
        file("checkout/deps/pkg/lib/b.js", b"exports.b = 2\n"),
        file("checkout/deps/pkg/zero", b""),
        ("checkout/deps/tool".to_owned(), "file", 0o755, b"#!/bin/sh\necho tool\n".to_vec()),
        directory("home/store"),
        file("home/store/blob", &vec![0; 200_000]),
    ];
    let plain = project.packed("a.tar", &[]);
    assert_eq!(members(&plain), expected);
    assert_eq!(members(&project.packed("a.tar.zst", &[])), expected);
    // A header for each, contents in whole blocks, two blocks of zeros and nothing to fill a record.
    let blocks: usize = expected
        .iter()
        .map(|(_, kind, _, contents)| 1 + if *kind == "file" { contents.len().div_ceil(512) } else { 0 })
        .sum();
    assert_eq!(plain.len(), (blocks + 2) * 512);
}

#[test]
fn an_absolute_root_and_one_that_was_absent_have_their_places() {
    let project = Project::empty("");
    let absolute = project.outside("opt/cache");
    fs::create_dir_all(&absolute).unwrap();
    fs::write(absolute.join("x"), "x").unwrap();
    let absolute = fs::canonicalize(absolute).unwrap();
    let roots = format!("roots = [\"gone\", \"{}\"]", absolute.display());
    project.write("cacheseal.toml", POLICY.replace("roots = [\"deps\", \"~/store\"]", &roots));
    project.seal();
    let found: Vec<_> = members(&project.packed("a.tar", &[])).into_iter().map(|(name, ..)| name).collect();
    let root = format!("root{}", absolute.display());
    assert_eq!(found[2..], [root.clone(), format!("{root}/x")]);
    assert_eq!(found[..2], ["checkout/.cacheseal/deps/seal.json", "checkout/.cacheseal/deps/1.mtree"]);
}

/// What a frame of an archive holds, all but the last.
const FRAME: u64 = 4 << 20;

/// The contents of each frame, bytes, by its own account.
fn frame_sizes(mut archive: &[u8]) -> Vec<u64> {
    let mut sizes = Vec::new();
    while !archive.is_empty() {
        sizes.push(get_frame_content_size(archive).unwrap_or_default().expect("a content size"));
        archive = &archive[find_frame_compressed_size(archive).unwrap()..];
    }
    sizes
}

#[test]
fn the_same_seal_always_gives_the_same_bytes() {
    let project = Project::new();
    project
        .write("deps/large", (0_u32..1_700_000).flat_map(|n| ((n / 5) ^ (n >> 2)).to_le_bytes()).collect::<Vec<u8>>());
    project.seal();
    let first = project.packed("a.tar.zst", &["--threads", "1"]);
    let sizes = frame_sizes(&first);
    assert!(matches!(sizes[..], [FRAME, rest] if rest > FRAME / 2), "{sizes:?}");
    // What is not sealed is not packed either.
    chmod(project.path("deps/pkg/index.js"), 0o600);
    chmod(project.path("deps/pkg"), 0o700);
    fs::File::open(project.path("deps/tool")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    for threads in ["2", "3", "8"] {
        assert!(project.packed("a.tar.zst", &["--threads", threads]) == first, "{threads}");
    }
    let archive = project.outside("b.tar.zst");
    fs::write(&archive, &first).unwrap();
    project.json(&["verify", "--archive", archive.to_str().unwrap(), "--gate", "exact"]).expect(0, &[]);
    let small = project.packed("a.tar.zst", &["--level", if cfg!(feature = "judges") { "19" } else { "9" }]);
    assert!(small.len() < first.len());
    assert_eq!(members(&small), members(&first));
}

#[test]
fn every_name_that_can_be_sealed_can_be_packed() {
    let project = Project::empty(POLICY);
    let long = "n".repeat(250);
    for name in
        ["a", "a b", "new\nline", "back\\slash", "n\u{f8}l", "-dash", long.as_str(), ".hidden", "x = y\n9 path=z\n"]
    {
        project.write(&format!("deps/{name}/{long}/{name}"), name);
        symlink(format!("{long}/{name}"), project.path(&format!("deps/{name}.link"))).unwrap();
    }
    // Sorted between a directory and its contents.
    project.write("deps/a-b", "");
    project.seal();
    let manifest = members(&project.packed("a.tar.zst", &[]));
    assert_eq!(manifest.len(), 2 + 1 + 9 * 4 + 1);
    let raw = project.path("deps").join(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    fs::write(raw, "").unwrap();
    project.seal();
    project.pack(&project.outside("a.tar"), &[]).expect(0, &[]);
}

#[test]
fn a_cache_that_is_not_as_sealed_is_not_packed() {
    type Change = fn(&Project);
    let changes: &[(&str, Change, i32, &[&str])] = &[
        ("other bytes", |p| p.write("deps/pkg/lib/a.js", "exports.a = 9\n"), 11, &["digest-mismatch"]),
        ("another size", |p| p.write("deps/pkg/lib/a.js", "exports.a = 10\n"), 11, &["digest-mismatch"]),
        ("one more, the first", |p| p.write("deps/.a", ""), 11, &["extra-entry"]),
        ("one more, the last", |p| p.write("deps/z", ""), 11, &["extra-entry"]),
        ("one more, where nothing was", |p| p.write("deps/empty/x", ""), 11, &["extra-entry"]),
        ("one less", |p| fs::remove_file(p.path("deps/pkg/zero")).unwrap(), 11, &["missing-entry"]),
        ("a whole directory less", |p| fs::remove_dir_all(p.path("deps/pkg")).unwrap(), 11, &["missing-entry"]),
        (
            "renamed",
            |p| fs::rename(p.path("deps/tool"), p.path("deps/tools")).unwrap(),
            11,
            &["extra-entry", "missing-entry"],
        ),
        ("made executable", |p| chmod(p.path("deps/pkg/zero"), 0o744), 11, &["mode-mismatch"]),
        ("no longer executable", |p| chmod(p.path("deps/tool"), 0o644), 11, &["mode-mismatch"]),
        ("setuid", |p| chmod(p.path("deps/tool"), 0o4755), 11, &["forbidden-mode"]),
        ("writable by all", |p| chmod(p.path("deps/pkg/zero"), 0o646), 11, &["forbidden-mode"]),
        ("a directory writable by all", |p| chmod(p.path("deps/pkg"), 0o777), 11, &["forbidden-mode"]),
        ("a root writable by all", |p| chmod(p.path("deps"), 0o777), 11, &["forbidden-mode"]),
        (
            "another link",
            |p| {
                fs::remove_file(p.path("deps/link")).unwrap();
                symlink("pkg/zero", p.path("deps/link")).unwrap();
            },
            11,
            &["link-mismatch"],
        ),
        (
            "a file for a link",
            |p| {
                fs::remove_file(p.path("deps/link")).unwrap();
                p.write("deps/link", "pkg/index.js");
            },
            11,
            &["type-mismatch"],
        ),
        (
            "a link for a directory",
            |p| {
                fs::rename(p.path("deps/pkg"), p.path("deps-pkg")).unwrap();
                symlink("../deps-pkg", p.path("deps/pkg")).unwrap();
            },
            11,
            &["type-mismatch"],
        ),
        (
            "a fifo for a file",
            |p| {
                fs::remove_file(p.path("deps/tool")).unwrap();
                make_fifo(&p.path("deps/tool"));
            },
            11,
            &["special-file"],
        ),
        ("a fifo more", |p| make_fifo(&p.path("deps/pkg/fifo")), 11, &["special-file"]),
        (
            "a link for a root",
            |p| {
                fs::rename(p.path("deps"), p.path("moved")).unwrap();
                symlink("moved", p.path("deps")).unwrap();
            },
            11,
            &["unsafe-root"],
        ),
        ("a root less", |p| fs::remove_dir_all(p.home().join("store")).unwrap(), 11, &["missing-entry"]),
        ("no seal", |p| fs::remove_dir_all(p.path(".cacheseal/deps")).unwrap(), 10, &["no-seal"]),
        ("no envelope", |p| fs::remove_file(p.path(".cacheseal/deps/seal.json")).unwrap(), 10, &["no-seal"]),
        ("no manifest", |p| fs::remove_file(p.path(".cacheseal/deps/0.mtree")).unwrap(), 10, &["manifest-mismatch"]),
        ("another manifest", |p| p.write(".cacheseal/deps/0.mtree", "#mtree v2.0\n"), 10, &["manifest-mismatch"]),
        ("a stranger in the seal", |p| p.write(".cacheseal/deps/x", ""), 10, &["malformed-seal"]),
        ("an envelope of nothing", |p| p.write(".cacheseal/deps/seal.json", "{}"), 10, &["malformed-envelope"]),
        (
            "an envelope that is too large",
            |p| p.write(".cacheseal/deps/seal.json", vec![b' '; (1 << 20) + 1]),
            13,
            &["seal-too-large"],
        ),
    ];
    each(some(changes), |(what, change, exit, codes)| {
        let project = Project::new();
        project.seal();
        change(&project);
        let out = project.outside("out");
        fs::create_dir(&out).unwrap();
        project.pack(&out.join("a.tar"), &[]).expect_of(what, *exit, codes);
        assert_eq!(names(&out), [""; 0], "{what}");
        // As `verify` has it, but for what a verifier asks of the seal before it looks at the files.
        project.verify("any").expect_of(what, *exit, codes);
    });
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn all_differences_are_told_not_the_first_alone() {
    let project = Project::new();
    project.seal();
    project.write("deps/a", "");
    fs::remove_file(project.path("deps/tool")).unwrap();
    fs::write(project.home().join("store/blob"), "short").unwrap();
    let verdict = project.pack(&project.outside("a.tar"), &[]);
    verdict.expect(11, &["digest-mismatch", "extra-entry", "missing-entry"]);
    assert_eq!(verdict.json["verdict"], "refused");
}

/// Changes the file that it is being given.
struct Meddler(PathBuf);

impl ExportSink for Meddler {
    fn directory(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, _: &[u8], _: u64, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn content(&mut self, _: &[u8]) -> io::Result<()> {
        fs::write(&self.0, "exports.a = 2\n")
    }

    fn link(&mut self, _: &[u8], _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_refused() {
    let project = Project::new();
    project.seal();
    let manifest = fs::read(project.path(".cacheseal/deps/0.mtree")).unwrap();
    let manifest = Manifest::parse(&manifest, Algorithm::Blake3, &Limits::STANDARD).unwrap();
    let root = Directory::open(&project.path("deps")).unwrap();
    let mut meddler = Meddler(project.path("deps/pkg/lib/a.js"));
    let Err(ExportError::Differs(refusal)) = export(&root, "deps", &manifest, &mut meddler) else { panic!() };
    // The file before it has been read by then, so it is not the one that is refused.
    assert_eq!((refusal.code, &*refusal.place), (Code::ChangedWhileRead, &b"deps/pkg/lib/a.js"[..]));
}

#[test]
fn a_root_that_was_absent_must_be_empty() {
    let project = Project::new();
    fs::remove_dir_all(project.home().join("store")).unwrap();
    project.seal();
    fs::create_dir(project.home().join("store")).unwrap();
    project.pack(&project.outside("a.tar"), &[]).expect(0, &[]);
    fs::write(project.home().join("store/a"), "").unwrap();
    project.pack(&project.outside("b.tar"), &[]).expect(11, &["extra-entry"]);
}

#[test]
fn the_seal_of_another_is_not_packed() {
    let project = Project::new();
    project.seal();
    for (from, to, code) in [
        ("github.com/acme/app", "github.com/acme/other", "wrong-project"),
        ("\"~/store\"]", "\"~/store2\"]", "wrong-root"),
    ] {
        project.write("cacheseal.toml", POLICY.replace(from, to));
        project.pack(&project.outside("a.tar"), &[]).expect_of(code, 10, &[code]);
    }
    project.write("cacheseal.toml", POLICY.replace("[cache.deps]", "[cache.deps2]"));
    fs::rename(project.path(".cacheseal/deps"), project.path(".cacheseal/deps2")).unwrap();
    project.json(&["pack", "deps2", "-o", "../a.tar"]).expect(10, &["wrong-cache"]);
}

#[test]
fn nothing_is_overwritten() {
    let project = Project::new();
    project.seal();
    let out = project.outside("a.tar");
    fs::write(&out, "mine").unwrap();
    project.pack(&out, &[]).expect_error(5, "file-exists");
    assert_eq!(fs::read(&out).unwrap(), b"mine");
    let link = project.outside("link.tar");
    symlink("nowhere", &link).unwrap();
    project.pack(&link, &[]).expect_error(5, "file-exists");
    project.pack(Path::new("none/a.tar"), &[]).expect_error(4, "unwritable");
    // Inside what is packed, it would be one entry more.
    project.pack(&project.path("deps/a.tar"), &[]).expect(11, &["extra-entry"]);
    project.pack(&project.path(".cacheseal/deps/a.tar"), &[]).expect(10, &["malformed-seal"]);
    project.verify("any").expect(0, &[]);
}

/// Where an archive lies until it is whole.
fn temporary(project: &Project, name: &str) -> PathBuf {
    project.outside(&format!(".cacheseal-new-{}", Digest::sha256(name.as_bytes()).short()))
}

#[test]
fn what_a_killed_run_has_left_is_in_nobodys_way() {
    let project = Project::new();
    project.seal();
    let expected = project.packed("a.tar", &[]);
    let left = temporary(&project, "a.tar");
    fs::write(&left, "half an archive").unwrap();
    assert!(project.packed("a.tar", &[]) == expected);
    assert!(!left.exists());
    // A link there is not followed.
    fs::write(project.outside("precious"), "precious").unwrap();
    symlink("precious", &left).unwrap();
    project.pack(&project.outside("a.tar"), &[]).expect_error(4, "unwritable");
    assert_eq!(fs::read(project.outside("precious")).unwrap(), b"precious");
}

#[test]
fn two_runs_do_not_write_one_archive() {
    let project = Project::new();
    project.seal();
    let other = fs::File::create(temporary(&project, "a.tar")).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    project.pack(&project.outside("a.tar"), &[]).expect_error(4, "unwritable");
    assert!(temporary(&project, "a.tar").exists());
    drop(other);
    project.pack(&project.outside("a.tar"), &[]).expect(0, &[]);
}

#[test]
fn stdout_takes_the_archive_and_nothing_else() {
    let project = Project::new();
    project.seal();
    let file = project.packed("a.tar.zst", &[]);
    for format in ["text", "json"] {
        let arguments = ["pack", "deps", "-o", "-", "--format", format];
        let output = project.command().args(arguments).output().unwrap();
        assert!(output.status.success() && output.stdout == file, "{}", Run::of(output).stderr);
        assert!(String::from_utf8_lossy(&output.stderr).contains("packed"));
    }
    project.write("deps/pkg/zero", "0");
    let output = project.command().args(["pack", "deps", "-o", "-"]).output().unwrap();
    let run = Run::of(output);
    assert_eq!(run.code, Some(11));
    assert!(run.stderr.contains("refused[digest-mismatch]: deps/pkg/zero"), "{}", run.stderr);
}

#[test]
fn the_name_says_how_it_is_compressed() {
    let project = Project::new();
    project.seal();
    for (name, more) in [("a.tar.gz", &[][..]), ("a.tgz", &[]), ("a.TAR.XZ", &[]), ("a.tar", &["--level", "3"])] {
        project.pack(&project.outside(name), more).expect_error_of(name, 2, "usage");
    }
    for (more, name) in [(["--level", "0"], "a.zst"), (["--level", "23"], "a.zst"), (["--threads", "0"], "a.zst")] {
        project.pack(&project.outside(name), &more).expect_error_of(more[1], 2, "usage");
    }
    assert!(project.packed("a.zst", &[]).starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
    assert!(project.packed("a", &[]).starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
}
