//! The real pnpm, and a registry on the loopback device: it installs and runs what was tampered with, and we refuse it.
//! An honest store is refused as well where the lockfile alone must prove it: pnpm keeps no tarball.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::Digest as _;

use super::must;
use super::npm::{POISON, Registry, node, tool};
use super::recheck::{Watched, number};
use crate::forge::remove;
use crate::lockfile::Locked;
use crate::lockfile::npm::sri;

const STORE: &str = "~/store";

fn pnpm(at: &Locked, registry: &Registry, more: &[&str]) -> Command {
    let mut command = tool("pnpm", at, registry);
    command.args(["install", "--config.verify-store-integrity=true", "--config.ci=true", "--store-dir"]);
    command.arg(at.path(STORE)).args(more);
    command
}

fn installed(registry: &Registry) -> Locked {
    let at = Locked::new(&["node_modules", STORE], "pnpm-lock.yaml");
    registry.publish_samples();
    let dependencies = json!({ "@s/right": "1.0.0", "other": "npm:left@1.0.0" });
    at.write("package.json", json!({ "name": "app", "version": "1.0.0", "dependencies": dependencies }).to_string());
    must(&mut pnpm(&at, registry, &["--no-frozen-lockfile"]));
    at
}

#[test]
fn what_pnpm_installed_is_unproven_and_its_lockfile_is_read() {
    let registry = Registry::new();
    let at = installed(&registry);
    let verdict = at.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    assert_eq!(verdict.json["coverage"]["packages"], 2, "{:#}", verdict.json["coverage"]);
    let refusals = verdict.json["refusals"].as_array().unwrap();
    let nobody = |refusal: &&Value| refusal["found"].as_str().unwrap().contains("not a package of pnpm-lock.yaml");
    let unknown: Vec<_> = refusals.iter().filter(nobody).map(|refusal| refusal["place"].as_str().unwrap()).collect();
    let known = ["node_modules/.pnpm/lock.yaml", "node_modules/.pnpm/node_modules/"];
    assert!(unknown.iter().all(|place| known.iter().any(|known| place.starts_with(known))), "{unknown:?}");
}

/// The files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The store's index of the files of `left`, and what is in it.
fn index_of_left(store: &Path) -> (PathBuf, Value) {
    let read = |path: PathBuf| {
        let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).ok()?;
        (json["name"] == "left" && json["files"]["index.js"].is_object()).then_some((path, json))
    };
    files(store).into_iter().find_map(read).unwrap()
}

#[test]
fn a_consistent_rewrite_of_the_store_is_installed_by_pnpm_and_refused_by_us() {
    let registry = Registry::new();
    let at = installed(&registry);
    let (index, mut json) = index_of_left(&at.path(STORE));
    let poison = format!("console.log('{POISON}')\n");
    let hex = hex::encode(sha2::Sha512::digest(&poison));
    let layout = index.ancestors().find(|path| path.join("files").is_dir()).unwrap();
    let place = layout.join("files").join(&hex[..2]).join(&hex[2..]);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, &poison).unwrap();
    json["files"]["index.js"]["integrity"] = json!(sri(poison.as_bytes()));
    json["files"]["index.js"]["size"] = json!(poison.len());
    fs::write(&index, json.to_string()).unwrap();
    remove(&at.path("node_modules"));
    must(&mut pnpm(&at, &registry, &["--frozen-lockfile", "--offline"]));
    assert_eq!(node(&at, "require('@s/right')"), format!("{POISON}\n"));
    let spelled = format!("~/{}", place.strip_prefix(at.project.home()).unwrap().to_str().unwrap());
    at.refused("the store", &["unproven-entry"], &spelled);
    at.refused("what is run", &["unproven-entry"], "node_modules/.pnpm/left@1.0.0/node_modules/left/index.js");
}

#[test]
fn what_pnpm_links_from_a_verified_store_is_as_it_was() {
    let registry = Registry::new();
    let at = installed(&registry);
    remove(&at.path("node_modules"));
    let watched = Watched::verified(&at.project, &[STORE]);
    must(&mut pnpm(&at, &registry, &["--frozen-lockfile", "--offline", "--package-import-method=hardlink"]));
    assert_eq!(node(&at, "console.log(typeof require('other'))").lines().count(), 1);
    let verdict = watched.recheck(&["--allow-new", "~/store/*/projects/**", "--allow-new", "~/store/*/tmp/**"]);
    verdict.expect(0, &[]);
    // A link moves the change time of the file: it was read again.
    let read = ["touched", "recent", "untried"].iter().map(|name| number(&verdict, name)).sum::<u64>();
    assert!(read > 0, "{:#}", verdict.json);
}
