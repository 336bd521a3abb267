//! `--environment-of`: what the variables of later steps name is watched, beside what those of the guard's own name.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use super::perimeter::{NOBODY, as_nobody, run_as_nobody};
use super::{Guarded, alone_json};
use crate::harness::Run;

/// An environment as `env -0` writes it.
fn environment(guarded: &Guarded, variables: &[(&str, &str)]) -> PathBuf {
    let file = guarded.outside("environment");
    let records: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
    fs::write(&file, records.concat()).unwrap();
    file
}

#[test]
fn a_directory_on_the_path_of_later_steps_is_watched() {
    let guarded = Guarded::new();
    let tools = guarded.outside("srv/tools/bin");
    fs::create_dir_all(&tools).unwrap();
    let path = format!("{}:/usr/bin", tools.display());
    let file = environment(&guarded, &[("PATH", &path), ("LANG", "C.UTF-8"), ("EMPTY", "")]);
    guarded.start(&["--environment-of", file.to_str().unwrap()]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    fs::write(tools.join("npm"), "#!/bin/sh\n").unwrap();
    let checked = guarded.check();
    checked.expect(15, &["stray-write"]);
    assert_eq!(checked.places(), [tools.join("npm").to_str().unwrap().to_owned()].into());
}

#[test]
fn what_the_guards_own_variables_name_stays_watched() {
    let guarded = Guarded::new();
    let (own, later) = (guarded.outside("own"), guarded.outside("later"));
    fs::create_dir(&own).unwrap();
    fs::create_dir(&later).unwrap();
    let file = environment(&guarded, &[("PATH", later.to_str().unwrap()), ("PATH_OF_MINE", "")]);
    let mut command = guarded.command();
    command.env("PATH", format!("{}:/usr/bin:/bin", own.display())).args(alone_json());
    command.arg("--environment-of").arg(&file);
    Run::of(command.output().unwrap()).verdict().expect(0, &[]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    fs::write(own.join("npm"), "").unwrap();
    guarded.check().expect(15, &["stray-write"]);
    fs::remove_file(own.join("npm")).unwrap();
    fs::write(later.join("npm"), "").unwrap();
    let places = guarded.check().places();
    assert!(places.contains(later.join("npm").to_str().unwrap()), "{places:?}");
}

#[test]
fn what_is_not_the_output_of_env_starts_no_guard() {
    let guarded = Guarded::new();
    let file = guarded.outside("environment");
    let start = || guarded.try_start(&["--environment-of", file.to_str().unwrap()]);
    start().expect_error(4, "unreadable");
    for bytes in [&b""[..], b"A=1", b"A=1\nB=2\n", b"A\0", b"=a\0", b"A=1\0\0", b"A=1\0A=2\0"] {
        fs::write(&file, bytes).unwrap();
        start().expect_error(5, "malformed-environment");
        guarded.check().expect(15, &["guard-gone"]);
    }
    fs::write(&file, [&b"A="[..], &vec![b'a'; 8 << 20], b"\0"].concat()).unwrap();
    start().expect_error(5, "malformed-environment");
    // Before anything else is looked at: this policy is not even there.
    fs::remove_file(guarded.path("cacheseal.toml")).unwrap();
    start().expect_error(5, "malformed-environment");
}

/// By a pipe of the shell, as the orb hands it over; also to a guard whose memory is closed to its user.
#[test]
fn an_environment_comes_by_a_pipe() {
    let as_root = rustix::process::geteuid().is_root();
    let guarded = if as_root { as_nobody() } else { Guarded::new() };
    let mut command = guarded.command();
    let program = command.get_program().to_owned();
    let script = "\"$0\" \"$@\" --environment-of <(printf 'PATH=/bin:/usr/bin\\0')";
    let mut bash = std::process::Command::new("bash");
    bash.current_dir(guarded.root()).env_clear().env("HOME", guarded.home()).env("PATH", "/usr/bin:/bin");
    bash.args(["-c", script]).arg(program).args(alone_json());
    if as_root {
        bash.uid(NOBODY).gid(NOBODY);
    }
    Run::of(bash.output().unwrap()).verdict().expect(0, &[]);
    if as_root {
        run_as_nobody(&guarded, &["guard", "stop", "--format", "json"]).expect(0, &[]);
    }
    let _ = command.args(["guard", "stop"]);
}
