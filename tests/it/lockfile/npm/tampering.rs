//! What is tampered with, and where it is refused.

use std::fs;
use std::os::unix::fs::symlink;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::Digest as _;

use super::{LOCK, blob, index, installed, left, lockfile, packages, record, right, sri, url, write_left};
use crate::lockfile::Locked;
use crate::rows::{each, some};

fn relink(locked: &Locked, place: &str, text: &str) {
    let path = locked.path(place);
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(&path).unwrap();
    } else {
        fs::remove_file(&path).unwrap();
    }
    symlink(text, path).unwrap();
}

#[test]
fn what_npm_installs_is_proven_whole() {
    installed().trusted("");
}

/// What is done to an honest tree, and the code and place that the gate refuses it with.
type Row = (&'static str, fn(&Locked), &'static str, &'static str);

fn each_is_refused(rows: &[Row]) {
    each(some(rows), |(row, tamper, code, place)| {
        let at = installed();
        tamper(&at);
        at.refused(row, &[code], place);
    });
}

#[test]
fn what_is_changed_in_a_package_is_refused_where_it_is() {
    each_is_refused(&[
        (
            "other bytes of the same length",
            |at| at.write("node_modules/left/index.js", "exports.evil = 1\n"),
            "lockfile-mismatch",
            "node_modules/left/index.js",
        ),
        (
            "other bytes of an alias",
            |at| at.write("node_modules/alias/index.js", "exports.evil = 1\n"),
            "lockfile-mismatch",
            "node_modules/alias/index.js",
        ),
        (
            "a bundled package",
            |at| at.write("node_modules/pack/node_modules/inner/index.js", "exports.evil = 1\n"),
            "lockfile-mismatch",
            "node_modules/pack/node_modules/inner/index.js",
        ),
        (
            "a nested package",
            |at| at.write("node_modules/@s/right/node_modules/left/index.js", "exports.left = 1\n"),
            "lockfile-mismatch",
            "node_modules/@s/right/node_modules/left/index.js",
        ),
        (
            "a command",
            |at| at.write_mode("node_modules/left/cli.js", "#!/usr/bin/env node\nevil()\r\n", 0o755),
            "lockfile-mismatch",
            "node_modules/left/cli.js",
        ),
        (
            "a file more",
            |at| at.write("node_modules/left/index.json", "{}"),
            "lockfile-mismatch",
            "node_modules/left/index.json",
        ),
        (
            "a package that shadows another",
            |at| at.write("node_modules/left/node_modules/work/index.js", ""),
            "lockfile-mismatch",
            "node_modules/left/node_modules/work/index.js",
        ),
        (
            "a file less",
            |at| fs::remove_file(at.path("node_modules/left/.npmignore")).unwrap(),
            "lockfile-mismatch",
            "node_modules/left/.npmignore",
        ),
        (
            "an executable bit",
            |at| at.write_mode("node_modules/left/index.js", "exports.left = 1\n", 0o755),
            "lockfile-mismatch",
            "node_modules/left/index.js",
        ),
        (
            "an executable bit less",
            |at| at.write_mode("node_modules/left/tools/build.sh", "#!/bin/sh\n", 0o644),
            "lockfile-mismatch",
            "node_modules/left/tools/build.sh",
        ),
    ]);
}

#[test]
fn what_is_changed_around_packages_is_refused_where_it_is() {
    each_is_refused(&[
        (
            "a link for a package",
            |at| relink(at, "node_modules/alias", "left"),
            "lockfile-mismatch",
            "node_modules/alias",
        ),
        (
            "a workspace that is elsewhere",
            |at| relink(at, "node_modules/work", "../packages/evil"),
            "lockfile-mismatch",
            "node_modules/work",
        ),
        (
            "a command that is elsewhere",
            |at| relink(at, "node_modules/.bin/left", "../alias/cli.js"),
            "lockfile-mismatch",
            "node_modules/.bin/left",
        ),
        (
            "a command that is a file",
            |at| {
                fs::remove_file(at.path("node_modules/.bin/work")).unwrap();
                at.write_mode("node_modules/.bin/work", "#!/bin/sh\n", 0o755);
            },
            "lockfile-mismatch",
            "node_modules/.bin/work",
        ),
        (
            "a command of nobody",
            |at| symlink("../left/cli.js", at.path("node_modules/.bin/git")).unwrap(),
            "unproven-entry",
            "node_modules/.bin/git",
        ),
        (
            "a package that is not locked",
            |at| at.write("node_modules/evil/index.js", ""),
            "unproven-entry",
            "node_modules/evil/index.js",
        ),
        (
            "locked bytes under another name",
            |at| write_left(at, "node_modules/lefty", false),
            "unproven-entry",
            "node_modules/lefty/index.js",
        ),
        (
            "what an install script may have written",
            |at| at.write("node_modules/native/build/native.node", "\x7fELF"),
            "unproven-entry",
            "node_modules/native/build/native.node",
        ),
        (
            "what an install script may have changed",
            |at| at.write("node_modules/native/index.js", "evil()\n"),
            "unproven-entry",
            "node_modules/native/index.js",
        ),
    ]);
}

#[test]
fn what_is_changed_in_the_cache_is_refused_where_it_is() {
    let at = installed();
    at.write(&blob(&right()), left());
    at.refused("not what its place says", &["lockfile-mismatch", "unproven-entry"], &blob(&right()));
    let at = installed();
    at.write(&blob(b"evil"), "evil");
    at.refused("of nobody", &["unproven-entry"], &blob(b"evil"));
}

#[test]
fn a_link_on_the_way_to_packages_is_refused() {
    let at = installed();
    relink(&at, "node_modules/@s", "/tmp/s");
    at.refused("", &["lockfile-mismatch", "unproven-entry"], "node_modules/@s");
}

#[test]
fn a_record_that_says_something_else_is_not_proven() {
    type Change = fn(&mut Value);
    let rows: &[(&str, Change)] = &[
        ("another digest", |it| it["packages"]["node_modules/left"]["integrity"] = json!("sha512-AAAA")),
        ("another source", |it| it["packages"]["node_modules/left"]["resolved"] = json!("https://evil.example/")),
        ("a package more", |it| it["packages"]["node_modules/evil"] = json!({ "version": "1.0.0" })),
        ("one that is not there", |it| {
            it["packages"]["node_modules/absent"] = packages()["node_modules/absent"].clone();
        }),
        ("a package less", |it| {
            it["packages"].as_object_mut().unwrap().remove("node_modules/left");
        }),
        ("a field more", |it| it["evil"] = json!(1)),
        ("a field of another kind", |it| it["lockfileVersion"] = json!("3")),
        ("no packages", |it| {
            it.as_object_mut().unwrap().remove("packages");
        }),
        ("something else", |it| *it = json!([])),
    ];
    let place = "node_modules/.package-lock.json";
    each(some(rows), |(row, change)| {
        let at = installed();
        let mut changed = record();
        change(&mut changed);
        at.write(place, changed.to_string());
        at.refused(row, &["unproven-entry"], place);
    });
    let at = installed();
    at.write_mode(place, record().to_string(), 0o755);
    at.refused("executable", &["unproven-entry"], place);
    // npm can be told to leave out where packages come from.
    let mut less = record();
    for (_, package) in less["packages"].as_object_mut().unwrap() {
        if package.get("integrity").is_some() {
            package.as_object_mut().unwrap().remove("resolved");
        }
    }
    at.write(place, less.to_string());
    at.trusted("without sources");
}

#[test]
fn an_index_that_says_something_else_is_not_proven() {
    type Change = fn(&mut Value);
    let right_url = url("@s/right", "1.0.0");
    let rows: &[(&str, Change)] = &[
        ("bytes of another package", |it| it["integrity"] = json!(sri(&left()))),
        ("bytes of nobody", |it| it["integrity"] = json!(sri(b"evil"))),
        ("another URL", |it| it["metadata"]["url"] = json!("https://evil.example/")),
        ("another key", |it| it["key"] = json!("make-fetch-happen:request-cache:https://evil.example/")),
        ("a header that leads elsewhere", |it| {
            it["metadata"]["resHeaders"]["location"] = json!("https://evil.example/");
        }),
        ("a header with a line feed", |it| it["metadata"]["resHeaders"]["etag"] = json!("a\nb")),
        ("a field more", |it| it["evil"] = json!(1)),
        ("no time", |it| it["time"] = json!("now")),
        ("a status", |it| it["metadata"]["status"] = json!(301)),
    ];
    each(some(rows), |(row, change)| {
        let at = installed();
        let (place, _) = index(&right_url, &sri(&right()), |_| {});
        let (_, text) = index(&right_url, &sri(&right()), change);
        at.write(&place, text);
        at.refused(row, &["unproven-entry"], &place);
    });
    let at = installed();
    let (place, text) = index(&right_url, &sri(&right()), |_| {});
    at.write(&place, format!("{text}{text}"));
    at.trusted("fetched twice");
    at.write(&place, format!("{text} "));
    at.refused("another checksum of the line", &["unproven-entry"], &place);
    // The same from the registry that npm was told to use instead, and from one that has it under another name.
    fs::remove_dir_all(at.path("~/.npm/_cacache/index-v5")).unwrap();
    let (place, text) = index("http://mirror.example/npm/@s/right/-/right-1.0.0.tgz", &sri(&right()), |_| {});
    at.write(&place, text);
    at.trusted("a mirror");
    let (place, text) = index(&url("@s/wrong", "1.0.0"), &sri(&right()), |_| {});
    at.write(&place, text);
    at.refused("locked bytes under another name", &["unproven-entry"], &place);
}

#[test]
fn without_the_tarball_nothing_of_a_package_is_proven() {
    let at = installed();
    fs::remove_file(at.path(&blob(&left()))).unwrap();
    at.refused("", &["unproven-entry"], "node_modules/left/index.js");
    let at = installed();
    let mut packages = packages();
    packages["node_modules/left"]["integrity"] = json!(format!("sha1-{}", STANDARD.encode(sha1::Sha1::digest(left()))));
    at.write(LOCK, lockfile(&packages));
    at.refused("SHA-1 alone", &["unproven-entry"], "node_modules/left/index.js");
}
