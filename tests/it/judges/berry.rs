//! The real Yarn of today, and a registry on the loopback device.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::npm::{POISON, Registry, node, tool};
use super::{judge, must};
use crate::lockfile::Locked;

const CACHE: &str = ".yarn/cache";

/// Where `.ci/run` installs it: beside Yarn classic, which has the same name.
fn program() -> String {
    let root = String::from_utf8(must(judge("npm").args(["root", "--global"]))).unwrap();
    format!("{}/@yarnpkg/cli-dist/bin/yarn.js", root.trim())
}

fn yarn(at: &Locked, registry: &Registry, arguments: &[&str]) -> Command {
    let mut command = tool("node", at, registry);
    command.arg(program()).args(arguments);
    command
}

/// A project whose packages Yarn has installed into `node_modules`, from zips in the project.
fn installed(registry: &Registry, roots: &[&str]) -> Locked {
    let at = Locked::new(roots, "yarn.lock");
    registry.publish_samples();
    let dependencies = json!({ "@s/right": "1.0.0", "other": "npm:left@1.0.0" });
    at.write("package.json", json!({ "name": "app", "version": "1.0.0", "dependencies": dependencies }).to_string());
    let settings = format!(
        "nodeLinker: node-modules\nenableGlobalCache: false\nenableTelemetry: false\nnpmRegistryServer: {:?}\n\
         unsafeHttpWhitelist: [\"127.0.0.1\"]\nnpmMinimalAgeGate: 0\n",
        registry.url
    );
    at.write(".yarnrc.yml", settings);
    at.write("yarn.lock", "");
    must(&mut yarn(&at, registry, &["install", "--no-immutable"]));
    at
}

#[test]
fn the_zips_that_yarn_made_are_proven_whole() {
    let registry = Registry::new();
    let at = installed(&registry, &[CACHE]);
    at.trusted("");
    assert_eq!(node(&at, "console.log(require('@s/right'))"), "left right\n");
}

#[test]
fn another_zip_is_refused_by_us_as_by_yarn() {
    let registry = Registry::new();
    let at = installed(&registry, &[CACHE]);
    let names = fs::read_dir(at.path(CACHE)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.collect();
    let zip = |start: &str| names.iter().find(|name| name.starts_with(start)).unwrap();
    let place = format!("{CACHE}/{}", zip("left-npm-1.0.0-"));
    fs::copy(at.path(&format!("{CACHE}/{}", zip("@s-right-npm-"))), at.path(&place)).unwrap();
    let refused = yarn(&at, &registry, &["install", "--immutable"]).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stdout).contains("YN0018"));
    at.refused("", &["lockfile-mismatch"], &place);
}

#[test]
fn an_edited_module_is_run_after_an_immutable_install_and_refused_by_us() {
    let registry = Registry::new();
    let at = installed(&registry, &["node_modules", CACHE]);
    let place = "node_modules/left/index.js";
    at.write(place, format!("console.log('{POISON}')\n"));
    must(&mut yarn(&at, &registry, &["install", "--immutable"]));
    assert_eq!(node(&at, "require('@s/right')"), format!("{POISON}\n"));
    at.refused("", &["unproven-entry"], place);
}
