//! The real npm, and a registry on the loopback device that it installs from: it accepts and runs what was tampered
//! with, and we refuse it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cacheseal::base::Digest;
use serde_json::{Value, json};
use sha1::Digest as _;

use super::{judge, must, text, told, without};
use crate::forge::remove;
use crate::lockfile::npm::{blob, sri};
use crate::lockfile::{File, Locked, tgz};

/// What a tampered package says when it is loaded.
pub(super) const POISON: &str = "poisoned";

/// Serves a directory; a directory in it by its `index.json`.
const SERVER: &str = r#"
import functools, http.server, os, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path):
        path = super().translate_path(path)
        return os.path.join(path, "index.json") if os.path.isdir(path) else path
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A registry of packages made here.
pub(super) struct Registry {
    directory: tempfile::TempDir,
    server: Child,
    pub(super) url: String,
}

impl Registry {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut python = judge("python3");
        let mut server = python.args(["-c", SERVER]).arg(directory.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        Self { directory, server, url }
    }

    /// Publishes version 1.0.0 of a package. `manifest` is what its `package.json` has besides name and version.
    pub(super) fn publish(&self, name: &str, manifest: &Value, files: &[File<'_>]) -> Vec<u8> {
        let base = name.rsplit('/').next().unwrap();
        let mut manifest = manifest.clone();
        manifest["name"] = json!(name);
        manifest["version"] = json!("1.0.0");
        let package_json = manifest.to_string();
        let mut members: Vec<File<'_>> = vec![("package/package.json", package_json.as_bytes(), 0o644)];
        members.extend_from_slice(files);
        let tarball = tgz(&members);
        let at = format!("{}/{name}/-/{base}-1.0.0.tgz", self.url);
        manifest["dist"] =
            json!({ "tarball": at, "integrity": sri(&tarball), "shasum": hex::encode(sha1::Sha1::digest(&tarball)) });
        let document = json!({ "name": name, "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": manifest } });
        let directory = self.directory.path().join(name);
        fs::create_dir_all(directory.join("-")).unwrap();
        fs::write(directory.join("index.json"), document.to_string()).unwrap();
        fs::write(directory.join(format!("-/{base}-1.0.0.tgz")), &tarball).unwrap();
        tarball
    }

    /// A package of each kind: with a command, in a scope, with another bundled, as an alias.
    pub(super) fn publish_samples(&self) {
        self.publish(
            "left",
            &json!({ "main": "index.js", "bin": "cli.js" }),
            &[
                ("package/index.js", b"module.exports = 'left'\n", 0o644),
                ("package/cli.js", b"#!/usr/bin/env node\r\nconsole.log(require('./index.js'))\r\n", 0o644),
                ("package/.gitignore", b"*.log\n", 0o644),
                ("package/tools/build.sh", b"#!/bin/sh\n", 0o755),
            ],
        );
        self.publish(
            "@s/right",
            &json!({ "dependencies": { "left": "^1.0.0" } }),
            &[("package/index.js", b"module.exports = require('left') + ' right'\n", 0o644)],
        );
        let inner = ("package/index.js", &b"#!/usr/bin/env node\n"[..], 0o644);
        self.publish("inner", &json!({ "bin": "index.js" }), &[inner]);
        self.publish(
            "pack",
            &json!({ "bundleDependencies": ["inner"], "dependencies": { "inner": "1.0.0" } }),
            &[
                ("package/index.js", b"require('inner')\n", 0o644),
                ("package/node_modules/inner/index.js", b"#!/usr/bin/env node\n", 0o644),
                (
                    "package/node_modules/inner/package.json",
                    b"{\"name\":\"inner\",\"version\":\"1.0.0\",\"bin\":{\"inner\":\"index.js\"}}",
                    0o644,
                ),
            ],
        );
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It serves until it is ended.
        let _: std::io::Result<()> = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A tool of Node.js in the project, with the project's home and this registry.
pub(super) fn tool(program: &str, locked: &Locked, registry: &Registry) -> Command {
    let mut command = judge(program);
    command.current_dir(locked.project.root()).env("HOME", locked.project.home());
    command.env("npm_config_registry", &registry.url).env("npm_config_userconfig", locked.path("~/.npmrc"));
    command
}

pub(super) fn node(locked: &Locked, code: &str) -> String {
    let output = must(judge("node").args(["-e", code]).current_dir(locked.project.root()));
    String::from_utf8(output).unwrap()
}

const QUIET: [&str; 3] = ["--no-audit", "--no-fund", "--no-update-notifier"];

/// A project whose packages npm has installed by `npm ci`, into an empty cache.
fn installed(registry: &Registry) -> Locked {
    installed_with(registry, &json!({}))
}

/// The same with more in the project's `package.json`.
fn installed_with(registry: &Registry, more: &Value) -> Locked {
    let locked = Locked::new(&["node_modules", "~/.npm/_cacache"], "package-lock.json");
    registry.publish_samples();
    let dependencies = json!({ "@s/right": "1.0.0", "pack": "1.0.0", "other": "npm:left@1.0.0" });
    let mut manifest =
        json!({ "name": "app", "version": "1.0.0", "workspaces": ["packages/*"], "dependencies": dependencies });
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    locked.write("package.json", manifest.to_string());
    locked.write("packages/work/package.json", r#"{"name":"work","version":"1.0.0","bin":"work.js"}"#);
    locked.write("packages/work/work.js", "#!/usr/bin/env node\n");
    let elsewhere = locked.path("~/elsewhere");
    must(tool("npm", &locked, registry).arg("install").args(QUIET).arg("--cache").arg(&elsewhere));
    remove(&locked.path("node_modules"));
    must(tool("npm", &locked, registry).arg("ci").args(QUIET));
    locked
}

#[test]
fn what_npm_installed_is_proven_whole() {
    let registry = Registry::new();
    let locked = installed(&registry);
    locked.trusted("");
    assert_eq!(node(&locked, "console.log(require('@s/right'))"), "left right\n");
    let links = ["left", "work"].map(|name| locked.path(&format!("node_modules/.bin/{name}")).is_symlink());
    assert_eq!(links, [true, true]);
    let commands = fs::read_dir(locked.path("node_modules/pack/node_modules/.bin")).unwrap().count();
    println!("commands of a bundled package: {commands}");
}

/// All that npm installs here is missed, also where its own record is made to fit; what it leaves out is not.
#[test]
fn each_package_that_is_taken_away_after_npm_is_missed() {
    let registry = Registry::new();
    for (name, manifest) in [
        ("fits", json!({ "os": ["!win32"] })),
        ("elsewhere", json!({ "os": ["win32"], "dependencies": { "only-there": "1.0.0" } })),
        ("only-there", json!({})),
        ("modest", json!({ "engines": { "node": ">=1" } })),
        ("choosy", json!({ "engines": { "node": ">=12" } })),
        ("wanting", json!({ "peerDependencies": { "wanted": "1.0.0" } })),
        ("wanted", json!({})),
    ] {
        registry.publish(name, &manifest, &[("package/index.js", b"", 0o644)]);
    }
    let optional = json!({ "fits": "1.0.0", "elsewhere": "1.0.0", "choosy": "1.0.0", "modest": "1.0.0" });
    let more = json!({ "optionalDependencies": optional, "devDependencies": { "wanting": "1.0.0" } });
    let locked = installed_with(&registry, &more);
    locked.trusted("all");
    let record = locked.path("node_modules/.package-lock.json");
    let text = fs::read_to_string(&record).unwrap();
    let noted: Value = serde_json::from_str(&text).unwrap();
    let (mut tried, mut not_missed) = (0, Vec::new());
    for location in noted["packages"].as_object().unwrap().keys().filter(|key| key.starts_with("node_modules/")) {
        let directory = locked.path(location);
        let mut paths = commands_of(&directory);
        paths.push(directory);
        let mut other = noted.clone();
        let packages = other["packages"].as_object_mut().unwrap();
        packages.retain(|kept, _| kept != location && !kept.starts_with(&format!("{location}/")));
        fs::write(&record, other.to_string()).unwrap();
        let verdict = without(&locked, &paths);
        fs::write(&record, &text).unwrap();
        tried += 1;
        if verdict.json["verdict"] == "trusted" {
            not_missed.push(location.clone());
        } else {
            verdict.expect_of(location, 14, &["lockfile-mismatch"]);
        }
    }
    // Which Node.js there is, no lockfile says: npm leaves out an optional package that its version does not fit.
    assert_eq!((tried, not_missed), (11, vec!["node_modules/choosy".to_owned()]));
    locked.trusted("as it was");
}

/// The links to a package's commands.
fn commands_of(directory: &Path) -> Vec<PathBuf> {
    let real = fs::canonicalize(directory).unwrap();
    let modules = directory.ancestors().find(|above| above.ends_with("node_modules")).unwrap();
    let links = fs::read_dir(modules.join(".bin")).into_iter().flatten().map(|entry| entry.unwrap().path());
    links.filter(|link| fs::canonicalize(link).unwrap().starts_with(&real)).collect()
}

#[test]
fn an_edited_module_is_up_to_date_for_npm_and_refused_by_us() {
    let registry = Registry::new();
    let locked = installed(&registry);
    let place = "node_modules/left/index.js";
    locked.write(place, format!("console.log('{POISON}')\nmodule.exports = 'left'\n"));
    for arguments in [&["install"][..], &["ls"], &["ci", "--dry-run"]] {
        must(tool("npm", &locked, &registry).args(arguments).args(QUIET));
    }
    assert_eq!(node(&locked, "require('@s/right')"), format!("{POISON}\n"));
    locked.refused("", &["lockfile-mismatch"], place);
}

/// The index of npm's cache for a URL.
fn index_of(locked: &Locked, url: &str) -> PathBuf {
    let hash = Digest::sha256(format!("make-fetch-happen:request-cache:{url}").as_bytes()).to_string();
    locked.path(&format!("~/.npm/_cacache/index-v5/{}/{}/{}", &hash[..2], &hash[2..4], &hash[4..]))
}

/// Makes the last line of an index say that its URL had these bytes, and puts them where they belong.
fn rewrite(locked: &Locked, index: &Path, bytes: &[u8]) {
    let line = fs::read_to_string(index).unwrap();
    let mut entry: Value = serde_json::from_str(line.rsplit('\t').next().unwrap()).unwrap();
    entry["integrity"] = json!(sri(bytes));
    entry["size"] = json!(bytes.len());
    let entry = entry.to_string();
    fs::write(index, format!("\n{}\t{entry}", hex::encode(sha1::Sha1::digest(&entry)))).unwrap();
    locked.write(&blob(bytes), bytes);
}

#[test]
fn a_consistent_rewrite_of_the_cache_is_installed_by_npm_and_refused_by_us() {
    let registry = Registry::new();
    let locked = installed(&registry);
    // A tool that is installed beside the lockfile, as `npx` does, is taken from the same cache.
    let elsewhere = locked.path("~/beside");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(elsewhere.join("package.json"), "{}").unwrap();
    let install = |more: &[&str]| {
        let mut npm = tool("npm", &locked, &registry);
        npm.args(["install", "left", "--no-package-lock"]).args(QUIET).args(more).current_dir(&elsewhere);
        npm.output().unwrap()
    };
    let honest = install(&[]);
    assert!(honest.status.success(), "{}", told(&honest));
    remove(&elsewhere.join("node_modules"));
    let poison = tgz(&[
        ("package/package.json", br#"{"name":"left","version":"1.0.0"}"#, 0o644),
        ("package/index.js", format!("console.log('{POISON}')\n").as_bytes(), 0o644),
    ]);
    let document = index_of(&locked, &format!("{}/left", registry.url));
    let mut packument: Value =
        serde_json::from_slice(&fs::read(registry.directory.path().join("left/index.json")).unwrap()).unwrap();
    packument["versions"]["1.0.0"]["dist"]["integrity"] = json!(sri(&poison));
    rewrite(&locked, &document, packument.to_string().as_bytes());
    rewrite(&locked, &index_of(&locked, &format!("{}/left/-/left-1.0.0.tgz", registry.url)), &poison);
    must(tool("npm", &locked, &registry).args(["cache", "verify"]));
    let poisoned = install(&["--offline"]);
    assert!(poisoned.status.success(), "{}", told(&poisoned));
    let said = must(judge("node").args(["-e", "require('left')"]).current_dir(&elsewhere));
    assert_eq!(String::from_utf8(said).unwrap(), format!("{POISON}\n"), "{}", text(&elsewhere));
    locked.refused("", &["unproven-entry"], &blob(&poison));
}
