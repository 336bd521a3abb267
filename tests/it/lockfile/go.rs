//! Module caches made here, against `go.sum`. The real Go is a judge of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheseal::base::Digest;

use super::zips::{go_zip, zip};
use super::{Locked, mutated};
use crate::rows::{each, some};

const DOWNLOAD: &str = "~/go/pkg/mod/cache/download/example.com/!demo/@v";
const DIRECTORY: &str = "~/go/pkg/mod/example.com/!demo@v1.0.0-!r!c1";
const FILES: [(&str, &str); 3] = [("go.mod", GO_MOD), ("demo.go", "package demo\n"), ("sub/sub.go", "package sub\n")];
const GO_MOD: &str = "module example.com/Demo\n";

/// `h1:` of names and contents, as its description says: SHA-256 over sorted lines of digest and name.
fn h1(files: &[(String, &str)]) -> String {
    let sorted: BTreeMap<_, _> = files.iter().map(|(name, contents)| (name, contents)).collect();
    let mut lines = String::new();
    for (name, contents) in sorted {
        let _ = writeln!(lines, "{}  {name}", Digest::sha256(contents.as_bytes()));
    }
    format!("h1:{}", STANDARD.encode(Digest::sha256(lines.as_bytes()).0))
}

fn module_h1() -> String {
    h1(&FILES.map(|(name, contents)| (format!("example.com/Demo@v1.0.0-RC1/{name}"), contents)))
}

fn go_sum() -> String {
    let go_mod = h1(&[("go.mod".to_owned(), GO_MOD)]);
    format!(
        "example.com/Demo v1.0.0-RC1 {}\nexample.com/Demo v1.0.0-RC1/go.mod {go_mod}\n\
         example.com/graph v0.1.0/go.mod {go_mod}\n",
        module_h1()
    )
}

fn module_zip(files: &[(&str, &str)]) -> Vec<u8> {
    let named: Vec<_> =
        files.iter().map(|(name, contents)| (format!("example.com/Demo@v1.0.0-RC1/{name}"), *contents)).collect();
    let members: Vec<_> = named.iter().map(|(name, contents)| (name.as_str(), contents.as_bytes())).collect();
    go_zip(&members)
}

/// A module cache with `example.com/Demo v1.0.0-RC1`, packed and unpacked, and without what no `go.sum` speaks of.
fn home() -> Locked {
    let locked = Locked::new(&["~/go/pkg/mod"], "go.sum");
    locked.write("go.sum", go_sum());
    locked.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.zip"), module_zip(&FILES));
    locked.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.ziphash"), module_h1());
    locked.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.mod"), GO_MOD);
    locked.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.lock"), "");
    locked.write("~/go/pkg/mod/cache/download/example.com/graph/@v/v0.1.0.mod", GO_MOD);
    locked.write("~/go/pkg/mod/cache/lock", "");
    for (name, contents) in FILES {
        locked.write(&format!("{DIRECTORY}/{name}"), contents);
    }
    locked
}

#[test]
fn an_honest_module_cache_is_proven_whole() {
    home().trusted("all of it");
    let home = home();
    fs::remove_file(home.path(&format!("{DOWNLOAD}/v1.0.0-!r!c1.zip"))).unwrap();
    home.trusted("without the zip");
    fs::remove_dir_all(home.path("~/go/pkg/mod/cache")).unwrap();
    home.trusted("the directory alone");
}

#[test]
fn parts_of_a_module_cache_may_be_roots() {
    for roots in [&["~/go/pkg/mod/cache/download"][..], &["~/go/pkg/mod/example.com"], &[DIRECTORY]] {
        let other = Locked::new(roots, "go.sum");
        other.write("go.sum", go_sum());
        other.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.zip"), module_zip(&FILES));
        for (name, contents) in FILES {
            other.write(&format!("{DIRECTORY}/{name}"), contents);
        }
        other.trusted(roots[0]);
    }
}

/// A tampering: what it is, what it does, and the code and place that it is refused with.
type Row = (&'static str, fn(&Locked), &'static str, String);

fn refused(rows: &[Row]) {
    each(some(rows), |(row, tamper, code, place)| {
        let home = home();
        tamper(&home);
        home.refused(row, &[code], place);
    });
}

#[test]
fn each_tampering_of_a_module_is_refused_where_it_is() {
    refused(&[
        (
            "other bytes of the same length",
            |home| home.write(&format!("{DIRECTORY}/demo.go"), "package evil\n"),
            "lockfile-mismatch",
            format!("{DIRECTORY}/demo.go"),
        ),
        (
            "a file more",
            |home| home.write(&format!("{DIRECTORY}/evil.go"), ""),
            "lockfile-mismatch",
            format!("{DIRECTORY}/evil.go"),
        ),
        (
            "a file less",
            |home| fs::remove_file(home.path(&format!("{DIRECTORY}/sub/sub.go"))).unwrap(),
            "lockfile-mismatch",
            format!("{DIRECTORY}/sub/sub.go"),
        ),
        (
            "a link for a file",
            |home| {
                fs::remove_file(home.path(&format!("{DIRECTORY}/demo.go"))).unwrap();
                symlink("go.mod", home.path(&format!("{DIRECTORY}/demo.go"))).unwrap();
            },
            "lockfile-mismatch",
            format!("{DIRECTORY}/demo.go"),
        ),
        (
            "an executable bit",
            |home| home.write_mode(&format!("{DIRECTORY}/demo.go"), "package demo\n", 0o755),
            "lockfile-mismatch",
            format!("{DIRECTORY}/demo.go"),
        ),
        (
            "a directory more",
            |home| fs::create_dir(home.path(&format!("{DIRECTORY}/evil"))).unwrap(),
            "lockfile-mismatch",
            format!("{DIRECTORY}/evil"),
        ),
        (
            "another go.mod",
            |home| home.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.mod"), "module example.com/evil\n"),
            "lockfile-mismatch",
            format!("{DOWNLOAD}/v1.0.0-!r!c1.mod"),
        ),
        (
            "the digest that Go looks at",
            |home| home.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.ziphash"), "h1:evil"),
            "lockfile-mismatch",
            format!("{DOWNLOAD}/v1.0.0-!r!c1.ziphash"),
        ),
    ]);
}

#[test]
fn what_go_sum_does_not_speak_of_is_unproven() {
    refused(&[
        (
            "a lock with something in it",
            |home| home.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.lock"), "x"),
            "unproven-entry",
            format!("{DOWNLOAD}/v1.0.0-!r!c1.lock"),
        ),
        (
            "a server's word",
            |home| home.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.info"), "{}"),
            "unproven-entry",
            format!("{DOWNLOAD}/v1.0.0-!r!c1.info"),
        ),
        (
            "a list",
            |home| home.write(&format!("{DOWNLOAD}/list"), "v1.0.0-RC1\n"),
            "unproven-entry",
            format!("{DOWNLOAD}/list"),
        ),
        (
            "the checksum database",
            |home| home.write("~/go/pkg/mod/cache/download/sumdb/x/lookup/y", ""),
            "unproven-entry",
            "~/go/pkg/mod/cache/download/sumdb/x/lookup/y".to_owned(),
        ),
        (
            "a module that is not locked",
            |home| home.write("~/go/pkg/mod/example.com/evil@v1.0.0/evil.go", ""),
            "unproven-entry",
            "~/go/pkg/mod/example.com/evil@v1.0.0/evil.go".to_owned(),
        ),
        (
            "a module whose go.mod alone is locked",
            |home| home.write("~/go/pkg/mod/example.com/graph@v0.1.0/graph.go", ""),
            "unproven-entry",
            "~/go/pkg/mod/example.com/graph@v0.1.0/graph.go".to_owned(),
        ),
        (
            "locked bytes under another version",
            |home| home.write(&format!("{DOWNLOAD}/v1.0.1.zip"), module_zip(&FILES)),
            "unproven-entry",
            format!("{DOWNLOAD}/v1.0.1.zip"),
        ),
        (
            "a path that is not escaped",
            |home| home.write("~/go/pkg/mod/example.com/Demo@v1.0.0-RC1/demo.go", "package demo\n"),
            "unproven-entry",
            "~/go/pkg/mod/example.com/Demo@v1.0.0-RC1/demo.go".to_owned(),
        ),
    ]);
}

/// A zip in the form that Go packs, with something changed at a place that no digest covers.
fn patched(at: impl Fn(&[u8]) -> usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = module_zip(&FILES);
    let at = at(&bytes);
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

fn first(signature: [u8; 4]) -> impl Fn(&[u8]) -> usize {
    move |bytes| bytes.windows(4).position(|window| window == signature).unwrap()
}

/// Whatever another reader could read otherwise is unproven: another proxy may have packed it, and nobody knows.
#[test]
fn a_zip_in_another_form_than_go_packs_is_unproven() {
    let honest = module_zip(&FILES);
    let evil = module_zip(&[("go.mod", GO_MOD), ("demo.go", "package evil\n")]);
    let (local, central, end) = (first(*b"PK\x03\x04"), first(*b"PK\x01\x02"), first(*b"PK\x05\x06"));
    let with_comment = {
        let mut bytes = honest.clone();
        let len = bytes.len();
        bytes.splice(len - 2.., [1, 0, b'x']);
        bytes
    };
    let named: Vec<_> =
        FILES.map(|(name, contents)| (format!("example.com/Demo@v1.0.0-RC1/{name}"), contents)).into_iter().collect();
    let stored: Vec<_> = named.iter().map(|(name, contents)| (name.as_str(), contents.as_bytes(), 0o644)).collect();
    let twice = module_zip(&[FILES[0], FILES[1], FILES[2], FILES[2]]);
    let descriptor = |bytes: &[u8]| first(*b"PK\x07\x08")(bytes) + 8;
    let rows = [
        ("sizes in front of the contents", zip(&stored)),
        ("something before", [&b"#!/bin/sh\n"[..], &honest].concat()),
        ("something behind", [&honest[..], b"x"].concat()),
        ("another zip before", [&evil[..], &honest].concat()),
        ("another zip behind", [&honest[..], &evil].concat()),
        ("a comment", with_comment),
        ("another CRC-32", patched(|bytes| central(bytes) + 16, &[0])),
        ("another descriptor", patched(descriptor, &[0xff])),
        ("a member twice", twice),
        ("cut short", honest[..honest.len() - 1].to_vec()),
        ("empty", Vec::new()),
        ("a name of its own in the header", patched(|bytes| local(bytes) + 30, b"E")),
        ("a method of its own in the header", patched(|bytes| local(bytes) + 8, &[0])),
        ("flags of its own in the header", patched(|bytes| local(bytes) + 6, &[9])),
        ("a size in the header", patched(|bytes| local(bytes) + 18, &[1])),
        ("encryption", patched(|bytes| central(bytes) + 8, &[9])),
        ("a later version", patched(|bytes| central(bytes) + 6, &[45])),
        ("another disk", patched(|bytes| central(bytes) + 34, &[1])),
        ("an attribute of text", patched(|bytes| central(bytes) + 36, &[1])),
        ("a member from elsewhere", patched(|bytes| central(bytes) + 42, &[1])),
        ("a directory of 0xffff bytes", patched(|bytes| end(bytes) + 12, &[0xff, 0xff])),
        ("a directory at 0xffffffff", patched(|bytes| end(bytes) + 16, &[0xff; 4])),
        ("0xffff members", patched(|bytes| end(bytes) + 8, &[0xff; 4])),
        ("fewer members", patched(|bytes| end(bytes) + 8, &[2, 0, 2, 0])),
    ];
    each(some(rows), |(row, bytes)| {
        assert_ne!(bytes, honest, "{row}");
        let home = home();
        home.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.zip"), bytes);
        let place = format!("{DOWNLOAD}/v1.0.0-!r!c1.zip");
        // What was unpacked is proven by its own digest.
        home.refused(row, &["unproven-entry"], &place);
        let verdict = home.verify("lock");
        assert_eq!(verdict.json["counts"]["unproven-entry"], 1, "{row}: {:#}", verdict.json);
    });
}

#[test]
fn a_zip_with_other_contents_is_a_mismatch() {
    let home = home();
    fs::remove_dir_all(home.path("~/go/pkg/mod/example.com")).unwrap();
    let place = format!("{DOWNLOAD}/v1.0.0-!r!c1.zip");
    home.write(&place, module_zip(&[("go.mod", GO_MOD), ("demo.go", "package evil\n")]));
    home.refused("", &["lockfile-mismatch"], &place);
}

/// A file without contents that says to be of 6 GiB: nothing of it is read.
#[test]
fn a_zip_that_is_longer_than_go_takes_is_not_read() {
    let home = home();
    let place = format!("{DOWNLOAD}/v1.0.0-!r!c1.zip");
    fs::File::options().write(true).open(home.path(&place)).unwrap().set_len(6 << 30).unwrap();
    home.refused("", &["unproven-entry"], &place);
    let verdict = home.verify("lock");
    let reason = verdict.json["coverage"]["entries"][0]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason, "not a zip as Go packs it: longer than Go takes");
}

#[test]
fn zip_directory_and_digest_that_agree_with_each_other_are_refused() {
    let home = home();
    let evil = [("go.mod", GO_MOD), ("demo.go", "package evil\n"), ("sub/sub.go", "package sub\n")];
    let named = evil.map(|(name, contents)| (format!("example.com/Demo@v1.0.0-RC1/{name}"), contents));
    home.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.zip"), module_zip(&evil));
    home.write(&format!("{DOWNLOAD}/v1.0.0-!r!c1.ziphash"), h1(&named));
    home.write(&format!("{DIRECTORY}/demo.go"), "package evil\n");
    home.refused("zip", &["lockfile-mismatch", "unproven-entry"], &format!("{DOWNLOAD}/v1.0.0-!r!c1.zip"));
    home.refused("digest", &["lockfile-mismatch", "unproven-entry"], &format!("{DOWNLOAD}/v1.0.0-!r!c1.ziphash"));
    home.refused("directory", &["lockfile-mismatch", "unproven-entry"], DIRECTORY);
}

#[test]
fn a_lockfile_that_cannot_be_read_is_an_error_with_its_line() {
    let sum = format!("h1:{}", STANDARD.encode([0; 32]));
    let other = format!("h1:{}", STANDARD.encode([1; 32]));
    each(
        [
            ("two words", format!("a/b v1.0.0 {sum}\na/b v1.0.0\n"), "malformed", 2),
            ("a path that leads out", format!("a/../b v1.0.0 {sum}\n"), "malformed", 1),
            ("no version", format!("\na/b 1.0.0 {sum}\n"), "malformed", 2),
            ("a short digest", "a/b v1.0.0 h1:AAAA\n".to_owned(), "malformed", 1),
            ("no digest", "a/b v1.0.0 x\n".to_owned(), "malformed", 1),
            ("a digest to come", format!("a/b v1.0.0 {}\n", sum.replace("h1", "h2")), "unsupported", 1),
            ("two digests", format!("a/b v1.0.0 {sum}\na/b v1.0.0 {other}\n"), "malformed", 2),
        ],
        |(row, text, code, line)| {
            let locked = Locked::new(&["~/go/pkg/mod"], "go.sum");
            locked.write("go.sum", text);
            let verdict = locked.verify("lock");
            verdict.expect_error_of(row, 5, &format!("{code}-lockfile"));
            let message = verdict.json["error"].to_string();
            assert!(message.contains(&format!("go.sum:{line}:")), "{row}: {message}");
        },
    );
}

#[test]
fn no_mutation_of_a_lockfile_makes_it_panic() {
    mutated("go.sum", go_sum().as_bytes());
}
