//! Real caches: packages that npm installed, and this machine's own Cargo registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::tampering::{TAMPERINGS, Tree};
use super::{judge, must, text};
use crate::harness::{Project, Run, Verdict, copy_tree};

/// Packages with many files, large files and links in `.bin`.
const PACKAGES: [&str; 3] = ["webpack@5", "typescript@5", "eslint@9"];

/// A directory with `package-lock.json` and a `node_modules` that npm made of it. Kept between runs: nobody writes to
/// it but npm.
pub(super) fn installed() -> PathBuf {
    static INSTALL: Mutex<()> = Mutex::new(());
    let _one = INSTALL.lock().unwrap();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm");
    if !directory.join("complete").exists() {
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("package.json"), "{}").unwrap();
        let mut npm = judge("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]).args(PACKAGES).current_dir(&directory);
        must(&mut npm);
        fs::write(directory.join("complete"), "").unwrap();
    }
    directory
}

/// The Cargo registry of this machine.
fn registry() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"));
    let registry = home.join("registry");
    assert!(registry.join("cache").is_dir(), "expected a Cargo registry, as building this test fills it");
    registry
}

/// A project that has nothing yet but a lockfile.
pub(super) fn project(lockfile: &str, contents: impl AsRef<[u8]>) -> Project {
    let project = Project::empty("");
    fs::remove_file(project.path("cacheseal.toml")).unwrap();
    fs::remove_dir_all(project.path("keys")).unwrap();
    project.write(lockfile, contents);
    project
}

/// A project whose `node_modules` is a copy of the real one, with `init` done.
pub(super) fn npm_project() -> (Project, Tree) {
    let installed = installed();
    let project = project("package-lock.json", fs::read(installed.join("package-lock.json")).unwrap());
    let root = project.path("node_modules");
    copy_tree(&installed.join("node_modules"), &root);
    let tree = Tree::plant(&root);
    init(&project, None);
    (project, tree)
}

fn init(project: &Project, cargo_home: Option<&Path>) {
    let mut command = project.command();
    command.args(["init", "--project", "example.com/app", "--key-out", text(&project.private_key("first"))]);
    command.envs(cargo_home.map(|path| ("CARGO_HOME", path)));
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

pub(super) fn seal(project: &Project, cache: &str) {
    let run = project.run(&["seal", cache, "--key", text(&project.private_key("first"))]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

pub(super) fn verify(project: &Project, cache: &str) -> Verdict {
    project.json(&["verify", cache, "--gate", "ci", "--trust-checkout"])
}

fn each_tampering_is_refused(project: &Project, cache: &str, tree: &Tree) {
    verify(project, cache).expect(0, &[]);
    for tampering in TAMPERINGS {
        println!("{}", tampering.what);
        (tampering.apply)(tree);
        verify(project, cache).expect(11, tampering.codes);
        (tampering.undo)(tree);
        verify(project, cache).expect(0, &[]);
    }
}

#[test]
fn installed_packages_are_trusted_until_they_are_tampered_with() {
    let (project, tree) = npm_project();
    seal(&project, "npm");
    each_tampering_is_refused(&project, "npm", &tree);
}

#[test]
fn a_cargo_registry_is_trusted_where_it_is() {
    let registry = registry();
    let project = project("Cargo.lock", "version = 4\n");
    init(&project, registry.parent());
    seal(&project, "cargo");
    let verdict = verify(&project, "cargo");
    verdict.expect(0, &[]);
    let entries = verdict.json["seal"]["roots"][0]["entries"].as_u64().unwrap();
    assert!(entries > 1_000, "{:#}", verdict.json);
}

#[test]
fn a_copied_cargo_registry_is_trusted_until_it_is_tampered_with() {
    let project = project("Cargo.lock", "version = 4\n");
    let copy = project.home().join(".cargo/registry");
    copy_tree(&registry(), &copy);
    let tree = Tree::plant(&copy);
    init(&project, None);
    seal(&project, "cargo");
    each_tampering_is_refused(&project, "cargo", &tree);
}
