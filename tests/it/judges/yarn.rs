//! The real Yarn classic, and a registry on the loopback device: it installs and runs what was tampered with, and we
//! refuse it.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::must;
use super::npm::{POISON, Registry, node, tool};
use crate::forge::remove;
use crate::lockfile::Locked;

const CACHE: &str = "~/.cache/yarn/v6";
const MIRROR: &str = "~/mirror";

fn yarn(at: &Locked, registry: &Registry, more: &[&str]) -> Command {
    let mut command = tool("yarn", at, registry);
    command.args(["install", "--frozen-lockfile", "--non-interactive", "--no-progress"]).args(more);
    command
}

/// A project that Yarn has installed, with a cache and an offline mirror.
fn installed(registry: &Registry, roots: &[&str]) -> Locked {
    let at = Locked::new(roots, "yarn.lock");
    registry.publish_samples();
    let dependencies = json!({ "@s/right": "1.0.0", "pack": "1.0.0", "other": "npm:left@1.0.0" });
    at.write("package.json", json!({ "name": "app", "version": "1.0.0", "dependencies": dependencies }).to_string());
    let (mirror, cache) = (at.path(MIRROR), at.path("~/.cache/yarn"));
    let settings = format!("registry {:?}\nyarn-offline-mirror {mirror:?}\ncache-folder {cache:?}\n", registry.url);
    at.write(".yarnrc", settings);
    // Two downloads of one package at a time overwrite each other in Yarn's mirror.
    let alone = ["--network-concurrency", "1"];
    must(tool("yarn", &at, registry).args(["install", "--non-interactive", "--no-progress"]).args(alone));
    at
}

#[test]
fn what_yarn_classic_installed_is_proven_but_for_what_it_writes_itself() {
    let registry = Registry::new();
    installed(&registry, &[MIRROR]).trusted("the mirror");
    let at = installed(&registry, &["node_modules", CACHE, MIRROR]);
    let verdict = at.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    let refusals = verdict.json["refusals"].as_array().unwrap();
    let names = refusals.iter().map(|refusal| refusal["place"].as_str().unwrap().rsplit('/').next().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    println!("unproven: {names:?}, {}", verdict.json["coverage"]["total"]);
    // An empty directory is where Yarn unpacks what it has not put in its place yet.
    let known = [".yarn-integrity", ".yarn-metadata.json", "inner", "left", ".tmp"];
    assert!(names.iter().all(|name| known.contains(name)), "{refusals:#?}");
    at.project.seal();
    at.verify("both").expect(0, &[]);
}

#[test]
fn an_edited_module_is_up_to_date_for_yarn_and_refused_by_us() {
    let registry = Registry::new();
    let at = installed(&registry, &["node_modules", MIRROR]);
    let place = "node_modules/left/index.js";
    at.write(place, format!("console.log('{POISON}')\n"));
    must(&mut yarn(&at, &registry, &[]));
    must(tool("yarn", &at, &registry).args(["check", "--integrity"]));
    assert_eq!(node(&at, "require('@s/right')"), format!("{POISON}\n"));
    at.refused("", &["lockfile-mismatch", "unproven-entry"], place);
}

#[test]
fn an_edited_cache_is_installed_by_yarn_and_refused_by_us() {
    let registry = Registry::new();
    let at = installed(&registry, &[CACHE]);
    let packages = fs::read_dir(at.path(CACHE)).unwrap().map(|entry| entry.unwrap().file_name());
    let left = packages.into_iter().find(|name| name.to_str().unwrap().starts_with("npm-left-1.0.0-")).unwrap();
    let place = format!("{CACHE}/{}/node_modules/left/index.js", left.to_str().unwrap());
    at.write(&place, format!("console.log('{POISON}')\n"));
    remove(&at.path("node_modules"));
    must(&mut yarn(&at, &registry, &["--offline"]));
    assert_eq!(node(&at, "require('@s/right')"), format!("{POISON}\n"));
    at.refused("", &["lockfile-mismatch", "unproven-entry"], &place);
}
