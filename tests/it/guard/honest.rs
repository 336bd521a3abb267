//! What honest jobs do is no stray write, what a reviewed pattern allows is none either, and what cannot be watched is
//! said.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::job::Job;
use super::perimeter::{NOBODY, as_nobody, own, run_as_nobody};
use super::{Guarded, alone_json};
use crate::harness::{POLICY, Project, Run};

/// A socket as a server leaves it, or a fifo where sockets cannot be made without one.
fn make_socket(at: &Path) {
    #[cfg(target_os = "linux")]
    rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Socket, rustix::fs::Mode::RUSR, 0).unwrap();
    #[cfg(not(target_os = "linux"))]
    assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
}

#[test]
fn what_honest_jobs_do_is_no_stray_write() {
    let mut job = Job::new();
    let socket = job.at("srv/ssh/agent.1");
    fs::create_dir(job.at("srv/ssh")).unwrap();
    make_socket(&socket);
    let database = job.at("tmp/.s.PGSQL.5432");
    make_socket(&database);
    fs::write(job.at("tmp/.s.PGSQL.5432.lock"), "1\n").unwrap();
    fs::create_dir(job.at("tmp/hsperfdata_ci")).unwrap();
    fs::write(job.at("tmp/hsperfdata_ci/4711"), "counters").unwrap();
    let root = job.guarded.canonical_root().to_str().unwrap().to_owned();
    for (variable, value) in [
        ("SSH_AUTH_SOCK", socket.to_str().unwrap()),
        ("DATABASE_URL", "postgres://u:p@host:5432/srv/x"),
        ("LANG", "en_US.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("LOCPATH", "/usr/lib/locale"),
        ("PWD", &root),
        ("OLDPWD", "/"),
        ("SHELL", "/bin/bash"),
        ("_", "/usr/bin/env"),
        ("USR", "/usr"),
        ("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
        ("GPG_TTY", "/dev/null"),
        ("FD", "/proc/self/fd/1"),
        ("RUNNER_TEMP", job.at("srv/_temp").to_str().unwrap()),
        ("LONG", &format!("/{}", "x".repeat(300))),
    ] {
        job.variables.push((variable.to_owned(), value.to_owned()));
    }
    fs::create_dir_all(job.at("srv/_temp/_runner_file_commands")).unwrap();
    let before = job.at("srv/_temp/_runner_file_commands/set_env_1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    fs::write(&before, "").unwrap();
    job.start(&[]);
    job.guarded.restore();
    // Sockets are made anew, lock files and counters rewritten.
    for socket in [&socket, &database] {
        fs::remove_file(socket).unwrap();
        make_socket(socket);
    }
    fs::write(job.at("tmp/.s.PGSQL.5432.lock"), "2222\n").unwrap();
    fs::write(job.at("tmp/hsperfdata_ci/4711"), "more counters").unwrap();
    fs::remove_file(&before).unwrap();
    fs::write(job.at("srv/_temp/2b4e28ba-2fa1-11d2-883f-0016d3cca427.sh"), "make\n").unwrap();
    job.guarded.verify_guarded(&[]).expect(0, &[]);
    // The same names as anything else are refused.
    fs::set_permissions(job.at("tmp/hsperfdata_ci/4711"), fs::Permissions::from_mode(0o755)).unwrap();
    job.guarded.check().expect(15, &["stray-write"]);
    fs::remove_file(job.at("tmp/hsperfdata_ci/4711")).unwrap();
    job.guarded.check().expect(0, &[]);
    fs::write(job.at("tmp/hsperfdata_ci/4712"), "").unwrap();
    job.guarded.check().expect(15, &["stray-write"]);
    fs::remove_file(job.at("tmp/hsperfdata_ci/4712")).unwrap();
    fs::write(job.at("srv/_temp/_runner_file_commands/set_env"), "LD_PRELOAD=/x\n").unwrap();
    job.guarded.check().expect(15, &["stray-write"]);
}

#[test]
fn a_pattern_allows_what_it_matches_and_nothing_vital() {
    let policy = |allow: &str| format!("{POLICY}\n[guard]\nallow = {allow}\n");
    let place = |guarded: &Guarded| fs::canonicalize(guarded.outside("")).unwrap();
    let guarded = Guarded::of(Project::empty(POLICY));
    let allow = format!("[\"{}/agent-*\", \"~/logs/*.log\"]", place(&guarded).display());
    guarded.write("cacheseal.toml", policy(&allow));
    let above = format!("--allow={}/*", place(&guarded).display());
    guarded.start(&[]);
    for (path, exit) in [("agent-1", 0), ("home/logs/a.log", 15), ("agen", 15), ("app/agent-1", 15)] {
        let path = place(&guarded).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        let codes: &[&str] = if exit == 0 { &[] } else { &["stray-write"] };
        guarded.check().expect_of(path.display().to_string(), exit, codes);
        let first = if path.ends_with("a.log") { path.parent().unwrap() } else { &path };
        let removed = if first.is_dir() { fs::remove_dir_all(first) } else { fs::remove_file(first) };
        removed.unwrap();
    }
    guarded.json(&["guard", "stop"]).expect(0, &[]);
    // A pattern that matches home and the checkout leaves them watched.
    fs::create_dir(guarded.home().join("logs")).unwrap();
    guarded.start(&[&above]);
    fs::write(place(&guarded).join("anything"), "").unwrap();
    fs::write(guarded.home().join("logs/a.log"), "").unwrap();
    guarded.check().expect(0, &[]);
    fs::write(guarded.home().join(".bashrc"), "").unwrap();
    guarded.check().expect(15, &["stray-write"]);
    fs::remove_file(guarded.home().join(".bashrc")).unwrap();
    guarded.write("src/x", "");
    guarded.check().expect(15, &["stray-write"]);
}

#[test]
fn patterns_that_switch_the_guard_off_are_refused() {
    let guarded = Guarded::of(Project::empty(POLICY));
    let (root, home) = (guarded.canonical_root(), guarded.canonical_home());
    for pattern in [format!("{}/*", root.display()), format!("{}/*", home.display()), "~/*".to_owned()] {
        guarded.try_start(&["--allow", &pattern]).expect_error_of(&pattern, 2, "usage");
    }
    for pattern in ["/tmp/**", "tmp/*", "/tmp/?*", "/tmp/../*"] {
        guarded.try_start(&["--allow", pattern]).expect_error_of(pattern, 2, "usage");
    }
    for path in ["~/*".to_owned(), root.display().to_string(), home.parent().unwrap().display().to_string()] {
        guarded.write("cacheseal.toml", format!("{POLICY}\n[guard]\nallow = [\"{path}\"]\n"));
        guarded.try_start(&[]).expect_error_of(&path, 5, "malformed-policy");
    }
}

#[test]
fn an_own_directory_that_hides_a_watched_place_ends_the_start() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let guarded = as_nobody();
    let hidden = guarded.canonical_home().join("lk/bin");
    fs::create_dir_all(&hidden).unwrap();
    own(&hidden, "0755");
    own(hidden.parent().unwrap(), "0311");
    let start = || {
        let mut command: Command = guarded.command();
        command.args(alone_json()).env("PATH", &hidden).uid(NOBODY).gid(NOBODY);
        Run::of(command.output().unwrap()).verdict()
    };
    start().expect_error(4, "unreadable");
    own(hidden.parent().unwrap(), "0755");
    start().expect(0, &[]);
    run_as_nobody(&guarded, &["guard", "stop", "--format", "json"]).expect(0, &[]);
}

/// As where PATH was taken over from root.
#[test]
fn what_lies_in_a_closed_directory_of_another_is_no_obstacle() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let guarded = as_nobody();
    let closed = guarded.outside("of-root");
    fs::create_dir_all(closed.join(".pyenv/bin")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command: Command = guarded.command();
    command.args(alone_json()).env("PATH", closed.join(".pyenv/bin")).env("PYENV_ROOT", closed.join(".pyenv"));
    command.uid(NOBODY).gid(NOBODY);
    Run::of(command.output().unwrap()).verdict().expect(0, &[]);
    run_as_nobody(&guarded, &["guard", "check", "--format", "json"]).expect(0, &[]);
    run_as_nobody(&guarded, &["guard", "stop", "--format", "json"]).expect(0, &[]);
}

#[test]
fn in_a_shared_directory_others_come_and_go() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let guarded = as_nobody();
    let shared = fs::canonicalize(guarded.outside("")).unwrap().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let closed = |name: &str| {
        fs::create_dir(shared.join(name)).unwrap();
        fs::set_permissions(shared.join(name), fs::Permissions::from_mode(0o700)).unwrap();
    };
    closed("of-root");
    fs::write(shared.join("goes"), "").unwrap();
    let run = |arguments: &[&str]| {
        let mut command: Command = guarded.command();
        command.args(arguments).env("TMPDIR", &shared);
        command.uid(NOBODY).gid(NOBODY);
        Run::of(command.output().unwrap()).verdict()
    };
    let start = alone_json();
    let started = run(&start.iter().map(String::as_str).collect::<Vec<_>>());
    started.expect(0, &[]);
    assert_eq!(started.json["notWhollyWatched"], serde_json::json!([]));
    // As root: another user.
    closed("new-of-root");
    fs::write(shared.join("comes"), "").unwrap();
    fs::remove_file(shared.join("goes")).unwrap();
    let check = ["guard", "check", "--format", "json"];
    run(&check).expect(0, &[]);
    // What is open to this user is not theirs alone.
    fs::write(shared.join("open"), "").unwrap();
    fs::set_permissions(shared.join("open"), fs::Permissions::from_mode(0o666)).unwrap();
    run(&check).expect(15, &["stray-write"]);
    fs::remove_file(shared.join("open")).unwrap();
    run(&check).expect(0, &[]);
    fs::write(shared.join("own"), "").unwrap();
    own(&shared.join("own"), "0600");
    run(&check).expect(15, &["stray-write"]);
    run(&["guard", "stop", "--format", "json"]).expect(0, &[]);
}
