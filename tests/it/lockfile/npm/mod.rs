//! `node_modules` and npm caches made here, against `package-lock.json`. The real npm is a judge of its own.

mod missing;
mod reading;
mod tampering;

use std::fs;
use std::os::unix::fs::symlink;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheseal::base::Digest;
use serde_json::{Value, json};
use sha1::Digest as _;

use super::{Locked, tgz};

const CACHE: &str = "~/.npm/_cacache";
const ROOTS: [&str; 2] = ["node_modules", CACHE];
const LOCK: &str = "package-lock.json";

/// A digest as npm writes it.
pub(crate) fn sri(bytes: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(sha2::Sha512::digest(bytes)))
}

/// Where npm's cache keeps bytes.
pub(crate) fn blob(bytes: &[u8]) -> String {
    let hex = hex::encode(sha2::Sha512::digest(bytes));
    format!("{CACHE}/content-v2/sha512/{}/{}/{}", &hex[..2], &hex[2..4], &hex[4..])
}

fn url(name: &str, version: &str) -> String {
    format!("https://registry.npmjs.org/{name}/-/{}-{version}.tgz", name.rsplit('/').next().unwrap())
}

/// An entry of the index: where it lies, and its text.
fn index(url: &str, integrity: &str, change: impl Fn(&mut Value)) -> (String, String) {
    let key = format!("make-fetch-happen:request-cache:{url}");
    let mut entry = json!({ "key": key, "integrity": integrity, "time": 1_795_514_006_502_u64, "size": 3409,
        "metadata": { "time": 1_795_514_006_500_u64, "url": url, "reqHeaders": {},
            "resHeaders": { "content-type": "application/octet-stream", "date": "Tue, 24 Nov 2026 09:53:26 GMT" },
            "options": { "compress": true } } });
    change(&mut entry);
    let hash = Digest::sha256(key.as_bytes()).to_string();
    let entry = entry.to_string();
    let text = format!("\n{}\t{entry}", hex::encode(sha1::Sha1::digest(&entry)));
    (format!("{CACHE}/index-v5/{}/{}/{}", &hash[..2], &hash[2..4], &hash[4..]), text)
}

fn left() -> Vec<u8> {
    tgz(&[
        ("package/package.json", b"{\"name\":\"left\"}", 0o644),
        ("package/index.js", b"exports.left = 1\n", 0o644),
        ("package/.gitignore", b"*.log\n", 0o644),
        ("package/cli.js", b"#!/usr/bin/env node\r\nleft()\r\n", 0o644),
        ("package/tools/build.sh", b"#!/bin/sh\n", 0o755),
    ])
}

fn left_2() -> Vec<u8> {
    tgz(&[("package/index.js", b"exports.left = 2\n", 0o644)])
}

fn right() -> Vec<u8> {
    tgz(&[("right-x/index.js", b"require('left')\n", 0o644)])
}

fn pack() -> Vec<u8> {
    tgz(&[
        ("package/index.js", b"require('inner')\n", 0o644),
        ("package/node_modules/inner/index.js", b"exports.inner = 1\n", 0o644),
    ])
}

fn native() -> Vec<u8> {
    tgz(&[("package/index.js", b"require('./build/native.node')\n", 0o644)])
}

fn packages() -> Value {
    let package = |name: &str, version: &str, bytes: &[u8]| json!({ "version": version, "resolved": url(name, version), "integrity": sri(bytes), "license": "MIT" });
    let with = |mut value: Value, field: &str, what: Value| {
        value[field] = what;
        value
    };
    json!({
        "": { "name": "app", "version": "1.0.0", "workspaces": ["packages/*"] },
        "node_modules/@s/right": package("@s/right", "1.0.0", &right()),
        "node_modules/@s/right/node_modules/left": package("left", "2.0.0", &left_2()),
        "node_modules/absent": package("absent", "1.0.0", b"absent"),
        "node_modules/alias": with(package("left", "1.0.0", &left()), "name", json!("left")),
        "node_modules/left": with(package("left", "1.0.0", &left()), "bin", json!({ "left": "./cli.js" })),
        "node_modules/native": with(package("native", "1.0.0", &native()), "hasInstallScript", json!(true)),
        "node_modules/pack": with(package("pack", "1.0.0", &pack()), "bundleDependencies", json!(["inner"])),
        "node_modules/pack/node_modules/inner":
            { "version": "1.0.0", "inBundle": true, "bin": { "inner": "index.js" } },
        "node_modules/work": { "resolved": "packages/work", "link": true },
        "packages/work": { "version": "1.0.0", "bin": { "work": "work.js" } },
    })
}

fn lockfile(packages: &Value) -> String {
    let lock = json!({ "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": packages });
    serde_json::to_string_pretty(&lock).unwrap()
}

/// What npm writes into `node_modules` about itself.
fn record() -> Value {
    let mut packages = packages();
    for location in ["", "node_modules/absent"] {
        packages.as_object_mut().unwrap().remove(location);
    }
    json!({ "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": packages })
}

fn write_left(locked: &Locked, directory: &str, command: bool) {
    let cli = if command { "#!/usr/bin/env node\nleft()\r\n" } else { "#!/usr/bin/env node\r\nleft()\r\n" };
    locked.write(&format!("{directory}/package.json"), "{\"name\":\"left\"}");
    locked.write(&format!("{directory}/index.js"), "exports.left = 1\n");
    locked.write(&format!("{directory}/.npmignore"), "*.log\n");
    locked.write_mode(&format!("{directory}/cli.js"), cli, if command { 0o755 } else { 0o644 });
    locked.write_mode(&format!("{directory}/tools/build.sh"), "#!/bin/sh\n", 0o755);
}

/// A project whose packages are installed, and the cache that they were installed from.
fn installed() -> Locked {
    let locked = Locked::new(&ROOTS, LOCK);
    locked.write(LOCK, lockfile(&packages()));
    for (name, version, bytes) in [
        ("left", "1.0.0", left()),
        ("left", "2.0.0", left_2()),
        ("@s/right", "1.0.0", right()),
        ("pack", "1.0.0", pack()),
        ("native", "1.0.0", native()),
    ] {
        let (place, text) = index(&url(name, version), &sri(&bytes), |_| {});
        locked.write(&place, text);
        locked.write(&blob(&bytes), bytes);
    }
    write_left(&locked, "node_modules/left", true);
    write_left(&locked, "node_modules/alias", false);
    locked.write("node_modules/@s/right/index.js", "require('left')\n");
    locked.write("node_modules/@s/right/node_modules/left/index.js", "exports.left = 2\n");
    locked.write("node_modules/pack/index.js", "require('inner')\n");
    locked.write_mode("node_modules/pack/node_modules/inner/index.js", "exports.inner = 1\n", 0o755);
    locked.write("node_modules/native/index.js", "require('./build/native.node')\n");
    for (link, text) in [
        ("node_modules/work", "../packages/work"),
        ("node_modules/.bin/left", "../left/cli.js"),
        ("node_modules/.bin/work", "../work/work.js"),
        ("node_modules/pack/node_modules/.bin/inner", "../inner/index.js"),
    ] {
        fs::create_dir_all(locked.path(link).parent().unwrap()).unwrap();
        symlink(text, locked.path(link)).unwrap();
    }
    locked.write("node_modules/.package-lock.json", serde_json::to_string_pretty(&record()).unwrap());
    locked
}
