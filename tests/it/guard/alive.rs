//! Whether there is a guard, and whether it is the one.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use cacheseal::guard::{Ended, Pace, Silence, SocketName, ask, serve};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Guarded, alone};
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
    let lie = |question: &Value| {
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
    refused_everywhere(&guarded, "guard-gone");
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
fn served<T>(pace: Pace, answer: &(dyn Fn(&Value) -> (Value, bool) + Sync), asker: impl FnOnce(&SocketName) -> T) -> T {
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
    let slow = |question: &Value| {
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
    assert_eq!(ask(&name, user(), &json!({}), patience, false), Err(Silence::Nobody));
}

#[test]
fn a_question_that_fails_ends_nothing_but_itself() {
    let answer = |question: &Value| {
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
    let ended = serve(name.listen().unwrap(), pace, &|| Duration::from_mins(1), &|question| (question.clone(), false));
    assert_eq!(ended.unwrap(), Ended::LifetimeOver);
    assert!(name.listen().is_ok(), "its name is free");
}
