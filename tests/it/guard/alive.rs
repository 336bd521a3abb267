//! Whether there is a guard, and whether it is the one.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use cacheseal::guard::{Ended, Pace, Passed, Silence, SocketName, ask, serve};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::perimeter::{NOBODY, as_nobody, run_as_nobody};
use super::{Guarded, alone, alone_json};
use crate::harness::{POLICY, Project};

fn kill(process: i32, signal: Signal) {
    kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The name that the guard of a project has.
fn name_of(guarded: &Guarded) -> SocketName {
    SocketName::of(user(), &guarded.canonical_root().join("cacheseal.toml"), "")
}

/// Waits until nobody has a name. What is dropped here may still be open in a process that another test is starting,
/// which holds copies of all files and sockets of this one until it runs its program.
fn wait_until_free(name: &SocketName) {
    while ask(name, user(), &json!({}), Duration::from_millis(50), false) != Err(Silence::Nobody) {}
}

/// Every command that needs a guard.
fn refused_everywhere(guarded: &Guarded, code: &str) {
    guarded.check().expect_of("check", 15, &[code]);
    guarded.json(&["guard", "stop"]).expect_of("stop", 15, &[code]);
    guarded.verify_guarded(&[]).expect_of("verify", 15, &[code]);
    guarded.verify_guarded(&["--allow-miss"]).expect_of("verify", 15, &[code]);
    guarded.seal_guarded(&[]).expect_of("seal", 15, &[code]);
}

#[test]
fn without_a_guard_nothing_is_trusted() {
    let guarded = Guarded::new();
    refused_everywhere(&guarded, "guard-gone");
    guarded.restore();
    refused_everywhere(&guarded, "guard-gone");
    guarded.verify_guarded(&["--on-refusal", "purge"]).expect(15, &["guard-gone"]);
    assert!(guarded.path("deps").exists(), "who does not know the roots leaves them alone");
}

#[test]
fn a_guard_that_was_killed_is_gone() {
    let guarded = Guarded::new();
    let process = guarded.start(&[]);
    guarded.restore();
    kill(process, Signal::KILL);
    refused_everywhere(&guarded, "guard-gone");
    // Its name is free again, but what it knew is lost: the roots are not empty any more.
    guarded.try_start(&[]).expect_error(5, "root-not-empty");
}

#[test]
fn a_guard_that_was_stopped_is_gone_and_another_may_start_at_once() {
    let guarded = Guarded::new();
    for _ in 0..5 {
        guarded.start(&[]);
        let stopped = guarded.json(&["guard", "stop"]);
        assert_eq!((stopped.code, &stopped.json["verdict"]), (Some(0), &"stopped".into()));
    }
    refused_everywhere(&guarded, "guard-gone");
}

#[test]
fn a_second_guard_does_not_start() {
    let guarded = Guarded::new();
    let process = guarded.start(&[]);
    guarded.try_start(&[]).expect_error(5, "guard-running");
    guarded.try_start(&["--foreground"]).expect_error(5, "guard-running");
    // The first is as it was.
    let waited = guarded.json(&["guard", "wait", "deps"]);
    waited.expect(0, &[]);
    assert_eq!(waited.json["pid"], process);
}

#[test]
fn guards_of_two_jobs_or_checkouts_know_nothing_of_each_other() {
    let (one, other) = (Guarded::new(), Guarded::new());
    one.start(&[]);
    other.check().expect(15, &["guard-gone"]);
    let alone = alone();
    let alone: Vec<_> = alone.iter().map(String::as_str).collect();
    let job = |id: &str, arguments: &[&str]| {
        let mut command = one.command();
        command.env("CIRCLECI", "true").env("CIRCLE_WORKFLOW_JOB_ID", id);
        crate::harness::Run::of(command.args(arguments).args(["--format", "json"]).output().unwrap()).verdict()
    };
    job("a", &["guard", "check"]).expect(15, &["guard-gone"]);
    job("a", &alone).expect(0, &[]);
    job("a", &["guard", "check"]).expect(0, &[]);
    job("b", &["guard", "check"]).expect(15, &["guard-gone"]);
    job("a", &["guard", "stop"]).expect(0, &[]);
    one.check().expect(0, &[]);
}

#[test]
fn an_impostor_that_was_there_before_is_not_believed() {
    let guarded = Guarded::new();
    // Says what a guard would say, to whoever asks: but it is another program.
    let name = name_of(&guarded);
    let listener = name.listen().unwrap();
    // If this test fails, it ends with the impostor's time.
    let pace = Pace { lifetime: Duration::from_mins(1), heartbeat: Duration::from_secs(5) };
    let begun = std::time::Instant::now();
    let lie = |question: &Value, _: Passed| {
        let answer = json!({ "protocol": 1, "rendered": { "exit": 0, "text": "clean", "json": {}, "junit": "" } });
        (answer, question["ask"] == "the end")
    };
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(listener, pace, &|| begun.elapsed(), &lie));
        guarded.try_start(&[]).expect_error(5, "guard-running");
        guarded.json(&["guard", "wait", "--timeout", "1"]).expect(15, &["guard-replaced"]);
        refused_everywhere(&guarded, "guard-replaced");
        // To this process the server is the very same program, and may end.
        ask(&name, user(), &json!({ "ask": "the end" }), Duration::from_mins(1), true).unwrap();
        assert_eq!(server.join().unwrap().unwrap(), Ended::Stopped);
    });
}

#[test]
fn an_impostor_that_takes_the_name_of_the_dead_is_not_believed() {
    let guarded = Guarded::new();
    let process = guarded.start(&[]);
    guarded.restore();
    kill(process, Signal::KILL);
    // The kernel frees the name when the process is gone.
    let listener = std::iter::repeat_with(|| name_of(&guarded).listen()).find_map(Result::ok).unwrap();
    refused_everywhere(&guarded, "guard-replaced");
    drop(listener);
    wait_until_free(&name_of(&guarded));
    refused_everywhere(&guarded, "guard-gone");
}

/// Of one user nobody reads or writes the guard's memory, which has the policy and what was seen.
#[test]
fn the_memory_of_a_guard_is_closed_and_it_leaves_no_core() {
    if !cfg!(target_os = "linux") {
        return;
    }
    // As root as well as by the user without rights: everything is as it was, for honest jobs.
    let guarded = Guarded::new();
    let process = guarded.start(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.json(&["guard", "stop"]).expect(0, &[]);

    let (guarded, run) = by_an_ordinary_user();
    let arguments = alone_json();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let started = run(&guarded, &arguments);
    started.expect(0, &[]);
    let process = started.json["pid"].as_i64().unwrap();
    for file in ["mem", "environ", "maps", "auxv", "syscall"] {
        let path = format!("/proc/{process}/{file}");
        let opened = shell(&format!("exec 3<{path}"));
        assert!(!opened, "{path} of the guard is open to its user");
        // The same of a process of this user that is not a guard, to see that it is the guard's doing.
        assert!(shell(&format!("exec 3</proc/self/{file}")), "{file}");
    }
    run(&guarded, &["guard", "wait", "--format", "json"]).expect(0, &[]);
    run(&guarded, &["guard", "check", "--format", "json"]).expect(0, &[]);
    let verified = run(&guarded, &["verify", "deps", "--gate", "any", "--guard", "--format", "json"]);
    verified.expect(3, &["nothing-restored"]);
    run(&guarded, &["guard", "stop", "--format", "json"]).expect(0, &[]);
}

/// The process that made the guard's socket listen, and that says of what program the guard is.
#[test]
fn a_witness_holds_nothing_and_without_it_the_guard_ends() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let guarded = Guarded::new();
    let process = guarded.start(&[]);
    let witness = child_of(process);
    let held = std::fs::read_dir(format!("/proc/{witness}/fd")).unwrap();
    let held: Vec<_> = held.map(|fd| std::fs::read_link(fd.unwrap().path()).unwrap()).collect();
    let is_socket = |path: &std::path::PathBuf| path.to_string_lossy().starts_with("socket:");
    assert!(!held.iter().any(is_socket), "{held:?}");
    guarded.restore();
    kill(witness, Signal::KILL);
    refused_everywhere(&guarded, "guard-gone");
    // The guard ends too, so its name is free.
    drop(std::iter::repeat_with(|| name_of(&guarded).listen()).find_map(Result::ok).unwrap());
    // And the other way round.
    let guarded = Guarded::new();
    let process = guarded.start(&[]);
    let witness = child_of(process);
    kill(process, Signal::KILL);
    while std::fs::read_link(format!("/proc/{witness}/exe")).is_ok() {
        std::thread::yield_now();
    }
    // By hand it is nothing.
    guarded.json(&["guard", "witness"]).expect_error(2, "usage");
}

type RunBy = fn(&Guarded, &[&str]) -> crate::harness::Verdict;

/// Runs as a user without rights where this is root, and else as this one.
fn by_an_ordinary_user() -> (Guarded, RunBy) {
    if rustix::process::geteuid().is_root() {
        (as_nobody(), run_as_nobody)
    } else {
        (Guarded::of(Project::empty(POLICY)), |guarded, arguments| guarded.run(arguments).verdict())
    }
}

/// Whether a command works for that user.
fn shell(command: &str) -> bool {
    use std::os::unix::process::CommandExt as _;
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", command]).stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        bash.uid(NOBODY).gid(NOBODY);
    }
    bash.status().unwrap().success()
}

fn child_of(process: i32) -> i32 {
    let is_child = |name: &std::ffi::OsString| {
        let stat = std::fs::read_to_string(std::path::Path::new("/proc").join(name).join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&process.to_string())
    };
    let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    all.filter(is_child).find_map(|name| name.to_str()?.parse().ok()).unwrap()
}

#[test]
fn a_guard_with_another_policy_is_not_the_one_to_wait_for() {
    let more = "\n[cache.other]\nroots = [\"other\"]\n";
    let guarded = Guarded::of(Project::empty(&format!("{POLICY}{more}")));
    guarded.start(&[]);
    guarded.json(&["guard", "wait"]).expect(0, &[]);
    guarded.json(&["guard", "wait", "deps"]).expect(0, &[]);
    guarded.json(&["guard", "wait", "other"]).expect(15, &["guard-replaced"]);
    guarded.json(&["guard", "wait", "none"]).expect_error(5, "unknown-cache");
    guarded.write("cacheseal.toml", format!("{POLICY}{more}").replace("7d", "8d"));
    guarded.json(&["guard", "wait"]).expect(15, &["guard-replaced"]);
}

#[test]
fn waiting_ends() {
    let guarded = Guarded::new();
    guarded.json(&["guard", "wait", "--timeout", "1"]).expect(15, &["guard-gone"]);
    let process = guarded.start(&[]);
    kill(process, Signal::STOP);
    guarded.json(&["guard", "wait", "--timeout", "1"]).expect(15, &["guard-gone"]);
    kill(process, Signal::CONT);
    guarded.json(&["guard", "wait", "--timeout", "60"]).expect(0, &[]);
}

#[test]
fn a_guard_in_the_foreground_says_when_it_is_ready_and_when_it_ends() {
    let guarded = Guarded::new();
    let mut command = guarded.command();
    command.args(alone()).arg("--foreground").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The step after a background step.
    guarded.json(&["guard", "wait", "deps", "--timeout", "60"]).expect(0, &[]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next().unwrap().unwrap();
    assert_eq!(ready, format!("guarding: cache `deps` (process {})", child.id()));
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.json(&["guard", "stop"]).expect(0, &[]);
    assert_eq!(lines.last().unwrap().unwrap(), "ended: the guard was stopped");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A step in the background cannot fail a job; the one that waits for it can, and says why.
#[test]
fn a_guard_that_does_not_start_tells_the_step_that_waits() {
    let guarded = Guarded::new();
    guarded.restore();
    let file = guarded.outside("guard-failure");
    let path = file.to_str().unwrap().to_owned();
    let wait = || guarded.json(&["guard", "wait", "deps", "--timeout", "60", "--failure-file", &path]);
    let start = || guarded.try_start(&["--foreground", "--failure-file", &path]);
    let failed = start();
    failed.expect_error(5, "root-not-empty");
    let waited = wait();
    waited.expect_error(5, "root-not-empty");
    assert_eq!(waited.json["error"], failed.json["error"]);
    // What is there stays: another guard does not write over it, nor through a link.
    let before = std::fs::read(&file).unwrap();
    start().expect_error(5, "root-not-empty");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(guarded.outside("elsewhere"), &file).unwrap();
    start().expect_error(5, "root-not-empty");
    assert!(!guarded.outside("elsewhere").exists());
    wait().expect_error(4, "unreadable");
    // Without a guard in the foreground there is nobody to tell.
    guarded.try_start(&["--failure-file", &path]).expect_error(2, "usage");
}

/// The guard of the job lives, and a second one is still on its way to find that out: the step that waits for it is told
/// by the second one what to do.
#[test]
fn a_guard_of_other_caches_does_not_answer_for_the_one_that_is_starting() {
    let guarded = Guarded::of(Project::empty(&format!("{POLICY}\n[cache.other]\nroots = [\"other\"]\n")));
    guarded.start(&[]);
    let file = guarded.outside("guard-failure");
    let path = file.to_str().unwrap();
    let wait = ["guard", "wait", "other", "--failure-file", path, "--format", "json", "--timeout"];
    guarded.json(&["guard", "wait", "other", "--failure-file", path, "--timeout", "1"]).expect(15, &["guard-replaced"]);
    let mut waiting = guarded.command();
    let waiting = waiting.args(wait).arg("60").stdout(Stdio::piped()).spawn().unwrap();
    let start = ["guard", "start", "--foreground", "--failure-file", path, "other"];
    guarded.json(&start).expect_error(5, "guard-running");
    let waited = waiting.wait_with_output().unwrap();
    assert_eq!(waited.status.code(), Some(5));
    let told: Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert_eq!(told["error"]["code"], "guard-running");
}

/// Whatever lies there, it is never a success, and no status but that of an error.
#[test]
fn nothing_in_the_place_of_a_failure_is_a_success() {
    let guarded = Guarded::new();
    let file = guarded.outside("guard-failure");
    let wait = || guarded.json(&["guard", "wait", "deps", "--timeout", "60", "--failure-file", file.to_str().unwrap()]);
    // A guard that is ready does not change that: before it was started, nothing was there.
    guarded.start(&[]);
    wait().expect(0, &[]);
    let told = |code: &str| {
        let failed = json!({ "code": code, "message": "m", "hints": [] });
        json!({ "protocol": 4, "body": { "failed": failed } }).to_string()
    };
    for (code, exit) in [("no-policy", 5), ("guard-running", 5), ("nothing-restored", 3), ("internal", 1)] {
        std::fs::write(&file, told(code)).unwrap();
        wait().expect_error(exit, code);
    }
    let hello = json!({ "protocol": 4, "body": { "granted": "" } }).to_string();
    let raw = ["", "0", "0\n", "5", "5\n", "-1", "256", "{}", "null", "[]", "\u{1b}[2J"];
    for bytes in raw.into_iter().chain([hello.as_str(), &told("none"), &told(""), &told("ok")]) {
        std::fs::write(&file, bytes).unwrap();
        wait().expect_error(4, "unreadable");
    }
    std::fs::write(&file, " ".repeat(70_000)).unwrap();
    wait().expect_error(4, "unreadable");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    wait().expect_error(4, "unreadable");
    std::fs::remove_dir(&file).unwrap();
    wait().expect(0, &[]);
}

#[test]
fn a_detached_guard_holds_nothing_of_the_step_that_started_it() {
    let guarded = Guarded::new();
    // `output` waits until nobody holds the pipes any more.
    let process = guarded.start(&[]);
    let session = |process: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned()
    };
    if cfg!(target_os = "linux") {
        assert_eq!(session(process), process.to_string());
    }
}

/// A guard in this process, asked by this process: the protocol without the program around it.
fn served<T>(
    pace: Pace,
    answer: &(dyn Fn(&Value, Passed) -> (Value, bool) + Sync),
    asker: impl FnOnce(&SocketName) -> T,
) -> T {
    let here = tempfile::tempdir().unwrap();
    let name = SocketName::of(user(), here.path(), "test");
    let listener = name.listen().unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(listener, pace, &|| Duration::ZERO, answer));
        let answers = asker(&name);
        let _ = ask(&name, user(), &json!("stop"), Duration::from_mins(1), true);
        assert_eq!(server.join().unwrap().unwrap(), Ended::Stopped);
        answers
    })
}

const PACE: Pace = Pace { lifetime: Duration::from_mins(10), heartbeat: Duration::from_millis(20) };

#[test]
fn signs_of_life_keep_an_asker_waiting() {
    let (_sender, receiver) = mpsc::channel::<()>();
    let receiver = std::sync::Mutex::new(receiver);
    // Works for longer than the asker would wait in silence.
    let slow = |question: &Value, _: Passed| {
        if question == "work" {
            let _ = receiver.lock().unwrap().recv_timeout(Duration::from_millis(1_500));
        }
        (json!("done"), question == "stop")
    };
    let answer = served(PACE, &slow, |name| ask(name, user(), &json!("work"), Duration::from_secs(1), false));
    assert_eq!(answer, Ok(json!("done")));
}

#[test]
fn silence_is_told_from_nonsense() {
    let here = tempfile::tempdir().unwrap();
    let name = SocketName::of(user(), here.path(), "silence");
    let patience = Duration::from_millis(50);
    assert_eq!(ask(&name, user(), &json!({}), patience, false), Err(Silence::Nobody));
    let listener = name.listen().unwrap();
    let silent = ask(&name, user(), &json!({}), patience, false);
    assert_eq!(silent, Err(Silence::Gone("no sign of life for 0 seconds".to_owned())));
    // Of another user, whoever it is.
    let other = ask(&name, user() + 1, &json!({}), patience, false);
    assert!(matches!(other, Err(Silence::Replaced(_))), "{other:?}");
    drop(listener);
    wait_until_free(&name);
}

#[test]
fn a_question_that_fails_ends_nothing_but_itself() {
    let answer = |question: &Value, _: Passed| {
        assert!(question != "bad", "as meant");
        (question.clone(), question == "stop")
    };
    let (bad, good) = served(PACE, &answer, |name| {
        let ask = |question: Value| ask(name, user(), &question, Duration::from_mins(1), false);
        (ask(json!("bad")), ask(json!("good")))
    });
    assert!(matches!(bad, Err(Silence::Gone(_))), "{bad:?}");
    assert_eq!(good, Ok(json!("good")));
}

#[test]
fn a_guard_whose_time_is_over_ends() {
    let here = tempfile::tempdir().unwrap();
    let name = SocketName::of(user(), here.path(), "time");
    let pace = Pace { lifetime: Duration::from_mins(1), ..PACE };
    let ended =
        serve(name.listen().unwrap(), pace, &|| Duration::from_mins(1), &|question, _| (question.clone(), false));
    assert_eq!(ended.unwrap(), Ended::LifetimeOver);
    wait_until_free(&name);
    assert!(name.listen().is_ok());
}
