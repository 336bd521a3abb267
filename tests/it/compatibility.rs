//! What version 0.1 wrote is read today, and what it said is still said: docs/COMPATIBILITY.md. The files in
//! `tests/vectors/0.1` were made by that version, whose private keys are gone. A seal is good on the system and
//! processor that made it, so only there these tests are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, copy_tree};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/0.1")
}

/// The project of version 0.1 in a state that its outputs were made in.
struct Old {
    directory: tempfile::TempDir,
}

impl Old {
    fn new(state: &str) -> Self {
        let old = Self { directory: tempfile::tempdir().unwrap() };
        copy_tree(&vectors().join("project"), &old.path("app"));
        copy_tree(&vectors().join("archives"), &old.path("app/archives"));
        fs::create_dir(old.path("home")).unwrap();
        if state != "empty" {
            // Trees have names that not every checkout can hold.
            for (cache, gate) in [("deps", "release"), ("mirror", "mirror")] {
                let archive = format!("archives/{cache}.tar.zst");
                let run = old.run(&["unpack", &archive, "--cache", cache, "--gate", gate]);
                assert_eq!(run.code, Some(0), "{state}: {}", run.stderr);
            }
        }
        match state {
            "empty" | "whole" => {}
            "changed" => fs::write(old.path("app/deps/lib/one.rs"), "pub fn two() {}\n").unwrap(),
            "revoked" => drop(fs::copy(vectors().join("revoked.toml"), old.path("app/keys/revoked.toml")).unwrap()),
            other => panic!("{other}"),
        }
        old
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cacheseal"));
        command.current_dir(self.path("app")).env_clear().env("HOME", self.path("home")).args(arguments);
        Run::of(command.output().unwrap())
    }
}

/// Fields whose words may become better: people read them.
const WORDS: [&str; 7] = ["message", "hints", "expected", "found", "rules", "warnings", "origin"];

/// Where `now` lacks something that `then` said, or says it otherwise. More fields are no loss.
fn loss(then: &Value, now: &Value, at: &str) -> Option<String> {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => then.iter().find_map(|(name, value)| {
            let at = format!("{at}/{name}");
            match now.get(name) {
                None => Some(format!("{at} is gone")),
                Some(now) if WORDS.contains(&name.as_str()) => {
                    let same = std::mem::discriminant(value) == std::mem::discriminant(now);
                    (!same).then(|| format!("{at}: {value} before, {now} now"))
                }
                Some(now) => loss(value, now, &at),
            }
        }),
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            let mut pairs = then.iter().zip(now).enumerate();
            pairs.find_map(|(index, (then, now))| loss(then, now, &format!("{at}/{index}")))
        }
        (then, now) => (then != now).then(|| format!("{at}: {then} before, {now} now")),
    }
}

#[test]
fn outputs_say_what_version_0_1_said() {
    let cases: Value = serde_json::from_slice(&fs::read(vectors().join("outputs.json")).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 25, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let state = case["before"].as_str().unwrap();
        let mut arguments: Vec<_> =
            case["arguments"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        let shown = format!("{state}: {}", arguments.join(" "));
        arguments.extend(["--format", "json"]);
        let run = Old::new(state).run(&arguments);
        let now: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{shown}: {}", run.stderr));
        if run.code.map(i64::from) != case["exit"].as_i64() {
            wrong.push(format!("{shown}: exit {} before, {:?} now: {now}", case["exit"], run.code));
        } else if let Some(loss) = loss(&case["output"], &now, "") {
            wrong.push(format!("{shown}: {loss}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_loss_is_found() {
    let then = serde_json::json!({ "a": [1, { "b": "x", "message": "old" }], "c": null });
    for (now, expected) in [
        (serde_json::json!({ "a": [1, { "b": "x", "message": "new", "d": 1 }], "c": null, "e": 2 }), None),
        (
            serde_json::json!({ "a": [1, { "b": "x", "message": 3 }], "c": null }),
            Some("/a/1/message: \"old\" before, 3 now"),
        ),
        (serde_json::json!({ "a": [1, { "message": "new" }], "c": null }), Some("/a/1/b is gone")),
        (serde_json::json!({ "a": [1], "c": null }), Some("/a: [1,{\"b\":\"x\",\"message\":\"old\"}] before, [1] now")),
        (serde_json::json!({ "a": [1, { "b": "x", "message": "" }], "c": 1 }), Some("/c: null before, 1 now")),
    ] {
        assert_eq!(loss(&then, &now, "").as_deref(), expected, "{now}");
    }
}
