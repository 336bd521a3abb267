//! Which places are watched, and which are left alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::{Guarded, alone_json};
use crate::harness::{POLICY, Project, Run, copy_program};

/// The real binary as `guard start` in a project, with variables.
fn start_with(guarded: &Guarded, variables: &[(&str, &Path)]) {
    let mut command = guarded.command();
    command.args(alone_json()).envs(variables.iter().copied());
    Run::of(command.output().unwrap()).verdict().expect(0, &[]);
}

#[test]
fn roots_of_other_caches_are_watched() {
    let more = "\n[cache.other]\nroots = [\"~/others\", \"vendor-of-others\"]\n";
    let guarded = Guarded::of(Project::empty(&format!("{POLICY}{more}")));
    for below in [guarded.home().join("others"), guarded.path("vendor-of-others")] {
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("lib.js"), "1").unwrap();
    }
    guarded.start(&[]);
    for below in [guarded.canonical_home().join("others"), guarded.canonical_root().join("vendor-of-others")] {
        fs::write(below.join("lib.js"), "2").unwrap();
        let found = guarded.check().found(&below.join("lib.js"));
        assert!(found.ends_with(": belongs to the cache `other`"), "{found}");
    }
}

#[test]
fn the_checkout_is_the_whole_of_a_repository() {
    let guarded = Guarded::new();
    // The policy lies in a directory of the repository.
    let top = guarded.canonical_root().parent().unwrap().to_path_buf();
    fs::create_dir_all(top.join(".git/hooks")).unwrap();
    fs::write(top.join("Makefile"), "all:\n").unwrap();
    guarded.start(&[]);
    for (place, told) in [
        (".git/hooks/post-checkout", "runs at one of the next git commands"),
        (".git/config", "can make git run programs"),
        ("Makefile", "runs at the next make"),
        ("src/lib.rs", "becomes part of the next build"),
    ] {
        let at = top.join(place);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, "planted").unwrap();
        let found = guarded.check().found(&at);
        assert!(found.ends_with(&format!(": {told}")), "{found}");
    }
}

#[test]
fn what_tools_find_above_the_checkout_is_watched() {
    let guarded = Guarded::new();
    let above = guarded.canonical_root().parent().unwrap().to_path_buf();
    guarded.start(&[]);
    for name in ["node_modules/left-pad/index.js", ".cargo/config.toml", ".git/config", "conftest.py", "any.name"] {
        fs::create_dir_all(above.join(name).parent().unwrap()).unwrap();
        fs::write(above.join(name), "planted").unwrap();
        let found = guarded.check().found(&above.join(name));
        assert_eq!(found, "a regular file: is found by tools that look above the checkout", "{name}");
    }
}

#[test]
fn places_that_variables_name_are_watched() {
    let guarded = Guarded::new();
    let elsewhere = fs::canonicalize(guarded.outside("")).unwrap();
    let at = |name: &str| elsewhere.join(name);
    fs::create_dir_all(at("cargo-home")).unwrap();
    fs::write(at("env.sh"), "# fixed\n").unwrap();
    start_with(
        &guarded,
        &[
            ("CARGO_HOME", &at("cargo-home")),
            ("BASH_ENV", &at("env.sh")),
            ("CIRCLE_SHELL_ENV", &at("not-there-yet")),
            ("NODE_PATH", Path::new(&format!("{}:{}", at("n1").display(), at("n2").display()))),
            ("ZDOTDIR", Path::new("./relative")),
        ],
    );
    for (place, told) in [
        (at("cargo-home/config.toml"), "is named by $CARGO_HOME, for whichever tool reads that"),
        (at("env.sh"), "runs at the next shell"),
        (at("not-there-yet"), "runs at the next shell"),
        (at("n2/left-pad/index.js"), "is named by $NODE_PATH, for whichever tool reads that"),
        (guarded.canonical_root().join("relative/.zshrc"), "becomes part of the next build"),
    ] {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "planted").unwrap();
        let found = guarded.check().found(&place);
        assert!(found.ends_with(&format!(": {told}")), "{found}");
    }
}

#[test]
fn programs_on_path_are_watched() {
    let mut guarded = Guarded::new();
    let home = guarded.canonical_home();
    let system = fs::canonicalize(guarded.outside("")).unwrap().join("system");
    fs::create_dir_all(system.join("lib")).unwrap();
    for name in ["npm", "cargo"] {
        fs::write(system.join(name), "real").unwrap();
    }
    symlink(&system, guarded.outside("linked")).unwrap();
    guarded.path = Some(format!("{}/bin:{}:{}", home.display(), system.display(), guarded.outside("linked").display()));
    guarded.start(&[]);
    fs::create_dir(home.join("bin")).unwrap();
    for (place, told) in [
        (home.join("bin/npm"), "a regular file: shadows `npm` on PATH"),
        (home.join("bin/new"), "a regular file: runs as `new`, found on PATH"),
        (system.join("cargo"), "8 bytes, was 4: shadows `cargo` on PATH"),
    ] {
        fs::write(&place, "planted!").unwrap();
        assert_eq!(guarded.check().found(&place), told);
    }
    fs::remove_file(system.join("npm")).unwrap();
    assert_eq!(guarded.check().found(&system.join("npm")), "nothing: what was there ran as `npm`, found on PATH");
    // The link that is on PATH could lead elsewhere.
    fs::remove_file(guarded.outside("linked")).unwrap();
    symlink(&home, guarded.outside("linked")).unwrap();
    let linked = system.with_file_name("linked");
    assert!(guarded.check().places().contains(linked.to_str().unwrap()));
}

#[test]
fn the_verifier_itself_is_watched() {
    let guarded = Guarded::new();
    // Where nothing else is watched.
    let tools = fs::canonicalize(guarded.outside("")).unwrap().join("tools");
    let verifier = tools.join("cacheseal");
    fs::create_dir(&tools).unwrap();
    copy_program(&verifier);
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.current_dir(guarded.root()).env_clear().env("HOME", guarded.home()).args(arguments);
        Run::of(command.output().unwrap()).verdict()
    };
    run(&verifier, &texts(&alone_json())).expect(0, &[]);
    let kept = tools.join("kept");
    fs::rename(&verifier, &kept).unwrap();
    fs::write(&verifier, "#!/bin/sh\nexit 0\n").unwrap();
    // The file that the guard runs, under whatever name, may ask it.
    let check = ["guard", "check", "--format", "json"];
    let checked = run(&kept, &check);
    checked.expect(15, &["stray-write"]);
    let found = checked.found(&verifier);
    assert!(found.ends_with(": is the verifier itself"), "{found}");
    // Another file may not.
    guarded.check().expect(15, &["guard-replaced"]);
    run(&kept, &["guard", "stop", "--format", "json"]).expect(0, &[]);
}

#[test]
fn configuration_that_lies_elsewhere_is_followed() {
    let guarded = Guarded::new();
    let elsewhere = fs::canonicalize(guarded.outside("")).unwrap();
    fs::create_dir(elsewhere.join("dotfiles")).unwrap();
    fs::write(elsewhere.join("dotfiles/bashrc"), "").unwrap();
    symlink(elsewhere.join("dotfiles/bashrc"), guarded.home().join(".bashrc")).unwrap();
    guarded.start(&[]);
    fs::write(elsewhere.join("dotfiles/bashrc"), "planted").unwrap();
    assert!(guarded.check().places().contains(elsewhere.join("dotfiles/bashrc").to_str().unwrap()));
}

#[test]
fn what_is_allowed_is_left_alone_and_what_is_named_is_watched() {
    let guarded = Guarded::new();
    let elsewhere = fs::canonicalize(guarded.outside("")).unwrap();
    let extra = elsewhere.join("extra");
    let allowed = guarded.canonical_root().join("reports");
    guarded.start(&["--allow", "~/.cache", "--allow", allowed.to_str().unwrap(), "--watch", extra.to_str().unwrap()]);
    fs::create_dir_all(guarded.home().join(".cache/x")).unwrap();
    guarded.write("reports/junit.xml", "<x/>");
    guarded.check().expect(0, &[]);
    fs::write(guarded.home().join(".cachex"), "").unwrap();
    fs::create_dir(&extra).unwrap();
    let expected = [guarded.canonical_home().join(".cachex"), extra].map(|path| path.to_str().unwrap().to_owned());
    assert_eq!(guarded.check().places(), expected.into());
}

#[test]
fn the_guard_cannot_be_allowed_away() {
    let guarded = Guarded::new();
    let (root, home) = (guarded.canonical_root(), guarded.canonical_home());
    for path in [root.to_str().unwrap(), home.to_str().unwrap(), "~", "/", home.parent().unwrap().to_str().unwrap()] {
        guarded.try_start(&["--allow", path]).expect_error_of(path, 2, "usage");
    }
    for path in ["relative", "~user/x", ""] {
        guarded.try_start(&["--allow", path]).expect_error_of(path, 2, "usage");
    }
}

#[test]
fn a_directory_that_cannot_be_read_is_told_and_watched_from_outside() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let guarded = as_nobody();
    let closed = guarded.home().join("closed");
    fs::create_dir_all(closed.join("below")).unwrap();
    own(&closed.join("below"), "0755");
    let start = || run_as_nobody(&guarded, &texts(&alone_json()));
    // Whoever may go through it writes below it, and nobody can look.
    for mode in ["0300", "0100"] {
        own(&closed, mode);
        let started = start();
        started.expect_error(4, "unreadable");
        let message = started.json["error"]["message"].as_str().unwrap();
        assert!(message.contains("/home/closed"), "{message}");
    }
    // Else its mode has to be changed first, and that is seen.
    own(&closed, "0200");
    let started = start();
    started.expect(0, &[]);
    assert_eq!(started.json["unreadable"], 1);
    run_as_nobody(&guarded, &["guard", "check", "--format", "json"]).expect(0, &[]);
    own(&closed, "0700");
    fs::write(closed.join("below/planted"), "").unwrap();
    own(&closed, "0200");
    let checked = run_as_nobody(&guarded, &["guard", "check", "--format", "json"]);
    checked.expect(15, &["stray-write"]);
    run_as_nobody(&guarded, &["guard", "stop", "--format", "json"]).expect(0, &[]);
}

#[test]
fn what_this_user_cannot_write_needs_no_watch() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let guarded = as_nobody();
    // Of another user: only where it is open to all can a restore by this one write.
    for (name, mode) in [("theirs", 0o755), ("open", 0o777)] {
        let directory = guarded.home().join(name);
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        fs::write(directory.join("file"), "").unwrap();
    }
    run_as_nobody(&guarded, &texts(&alone_json())).expect(0, &[]);
    fs::write(guarded.home().join("theirs/file"), "changed").unwrap();
    run_as_nobody(&guarded, &["guard", "check", "--format", "json"]).expect(0, &[]);
    fs::write(guarded.home().join("open/file"), "changed").unwrap();
    let checked = run_as_nobody(&guarded, &["guard", "check", "--format", "json"]);
    checked.expect(15, &["stray-write"]);
    // Another user has no guard here, whatever they say.
    guarded.check().expect(15, &["guard-gone"]);
    run_as_nobody(&guarded, &["guard", "stop", "--format", "json"]).expect(0, &[]);
}

fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

pub(super) const NOBODY: u32 = 65_534;

/// A project that belongs to a user without rights.
pub(super) fn as_nobody() -> Guarded {
    let guarded = Guarded::of(Project::empty(POLICY));
    own(&guarded.outside(""), "0755");
    own(&guarded.home(), "0755");
    guarded
}

pub(super) fn own(path: &Path, mode: &str) {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    assert!(Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
}

pub(super) fn run_as_nobody(guarded: &Guarded, arguments: &[&str]) -> crate::harness::Verdict {
    use std::os::unix::process::CommandExt as _;
    let mut command = guarded.command();
    Run::of(command.args(arguments).uid(NOBODY).gid(NOBODY).output().unwrap()).verdict()
}
