//! `verify --differences`: every difference is in the file, each once, however many there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::archives::sample::{Form, Layout};
use crate::archives::stage::Stage;
use crate::guard::{Guarded, alone_json};
use crate::harness::{POLICY, Project, Run, Verdict, copy_tree};

/// Of each kind of difference: more than a report lists.
const EACH: usize = 1_003;
const CODES: [&str; 3] = ["digest-mismatch", "extra-entry", "missing-entry"];

/// Files in one directory, `a` of which are to be changed and `b` of which are to be removed.
fn many() -> Project {
    let project = Project::new();
    fs::create_dir(project.path("deps/many")).unwrap();
    for kind in ["a", "b", "c"] {
        (0..EACH).for_each(|at| fs::write(project.path(&format!("deps/many/{kind}{at}")), "as sealed").unwrap());
    }
    project
}

/// Changes, removes and adds, and gives back the code and place of each difference.
fn change(project: &Project) -> BTreeSet<(String, String)> {
    let mut expected = BTreeSet::new();
    for at in 0..EACH {
        let path = |kind: &str| format!("deps/many/{kind}{at}");
        fs::write(project.path(&path("a")), "otherwise").unwrap();
        fs::remove_file(project.path(&path("b"))).unwrap();
        fs::write(project.path(&path("n")), "new").unwrap();
        let found = CODES.iter().zip(["a", "n", "b"]).map(|(code, kind)| ((*code).to_owned(), path(kind)));
        expected.extend(found);
    }
    expected
}

/// The lines of a file of differences.
fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether a file has as many lines as the report counts, with these differences and each that the report lists.
#[track_caller]
fn assert_all(verdict: &Verdict, file: &Path, expected: &BTreeSet<(String, String)>) {
    let lines = lines(file);
    let counted: u64 = verdict.json["counts"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((lines.len() as u64, lines.len()), (counted, expected.len()));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found: BTreeSet<_> = lines.iter().map(|line| (text(&line["code"]), text(&line["place"]))).collect();
    assert_eq!(found, *expected);
    let all: BTreeSet<_> = lines.iter().map(Value::to_string).collect();
    assert!(verdict.json["refusals"].as_array().unwrap().iter().all(|one| all.contains(&one.to_string())));
}

pub(crate) fn option(file: &Path) -> String {
    format!("--differences={}", file.display())
}

#[test]
fn every_difference_is_in_the_file_once() {
    let project = many();
    project.seal();
    let file = project.outside("differences");
    fs::write(&file, "of an earlier run\n").unwrap();
    project.verify_with(&[&option(&file)]).expect(0, &[]);
    assert_eq!(fs::read(&file).unwrap(), b"");
    let expected = change(&project);
    let verdict = project.verify_with(&[&option(&file)]);
    verdict.expect(11, &CODES);
    assert_all(&verdict, &file, &expected);
    // A root that is gone.
    fs::remove_dir_all(project.path("deps")).unwrap();
    let verdict = project.verify_with(&[&option(&file)]);
    verdict.expect(11, &["missing-entry"]);
    assert_eq!(lines(&file).len() as u64, verdict.json["counts"]["missing-entry"].as_u64().unwrap());
    let beside: Vec<_> = fs::read_dir(project.outside("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(beside.iter().all(|name| !name.to_string_lossy().contains(".new")), "{beside:?}");
}

#[test]
fn a_guard_writes_every_difference_to_the_file_of_the_job() {
    let guarded = Guarded::saved(many());
    guarded.start(&[]);
    guarded.restore();
    // In the checkout, which the guard watches: there is no file yet while it looks.
    let file = guarded.path("differences.jsonl");
    let expected = change(&guarded);
    let verdict = guarded.verify_guarded(&["--differences", "differences.jsonl"]);
    verdict.expect(11, &CODES);
    assert_eq!(verdict.json["unwritten"], serde_json::json!([]));
    assert_all(&verdict, &file, &expected);
    // What is found elsewhere is a line too, and that file is itself such a thing by now.
    fs::write(guarded.home().join(".npmrc"), "registry=evil").unwrap();
    let verdict = guarded.verify_guarded(&["--differences", "differences.jsonl"]);
    let strays = verdict.json["counts"]["stray-write"].as_u64().unwrap();
    let told = lines(&file);
    assert_eq!(told.iter().filter(|line| line["code"] == "stray-write").count() as u64, strays);
    assert_eq!(told.len() as u64, expected.len() as u64 + strays);
}

#[test]
fn without_a_guard_there_is_the_one_line_that_says_so() {
    let project = Project::new();
    project.seal();
    let file = project.outside("differences");
    let verdict = project.json(&["verify", "deps", "--gate", "any", "--guard", &option(&file)]);
    verdict.expect(15, &["guard-gone"]);
    assert_eq!(lines(&file), *verdict.json["refusals"].as_array().unwrap());
}

#[test]
fn an_archive_has_every_difference_too() {
    let project = many();
    project.seal();
    let expected = change(&project);
    let stage = Stage::of(project);
    let file = stage.project.outside("differences");
    for seal_first in [true, false] {
        let tar = stage.sample.draft(Layout::Plain, Form::Gnu, seal_first).tar.bytes();
        let verdict = stage.verify(&tar, &[&option(&file)]);
        verdict.expect(11, &CODES);
        assert_all(&verdict, &file, &expected);
    }
}

#[test]
fn a_file_that_cannot_be_written_makes_nothing_better() {
    let project = Project::new();
    project.seal();
    let file = project.outside("differences");
    fs::create_dir(&file).unwrap();
    for path in [project.outside("none/differences"), file] {
        let verify = |more: &[&str]| project.verify_with(&[&[option(&path).as_str()], more].concat());
        let verdict = verify(&[]);
        verdict.expect_of(path.display(), 4, &[]);
        assert_eq!(verdict.json["verdict"], "trusted");
        let unwritten = verdict.json["unwritten"][0].as_str().unwrap();
        assert!(unwritten.starts_with("could not write the differences to `"), "{unwritten}");
        project.write("deps/extra", "");
        verify(&[]).expect_of(path.display(), 11, &["extra-entry"]);
        fs::remove_file(project.path("deps/extra")).unwrap();
        let run = project.run(&["verify", "deps", "--gate", "none", "--trust-checkout", &option(&path)]);
        assert_eq!(run.code, Some(5));
        assert!(run.stderr.contains("\nhint: could not write the differences to `"), "{}", run.stderr);
    }
}

/// Runs the binary where no file gets longer than 64 KiB: a write beyond that fails as one to a full disk does.
fn run_short(project: &Project, arguments: &[String]) -> Verdict {
    let plain = project.command();
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ && ulimit -f 64 && exec \"$@\"", "bash"]).arg(plain.get_program());
    command.args(arguments).current_dir(project.root()).env_clear().env("HOME", project.home());
    Run::of(command.output().unwrap()).verdict()
}

#[test]
fn a_write_that_fails_on_the_way_leaves_the_older_file_and_the_verdict() {
    let project = many();
    project.seal();
    change(&project);
    let file = project.outside("differences");
    fs::write(&file, "of an earlier run\n").unwrap();
    let option = option(&file);
    let arguments = ["verify", "deps", "--gate", "any", "--trust-checkout", "--format", "json", &option];
    let verdict = run_short(&project, &arguments.map(str::to_owned));
    verdict.expect(11, &CODES);
    let unwritten = verdict.json["unwritten"][0].as_str().unwrap();
    assert!(unwritten.starts_with("could not write the differences to `"), "{unwritten}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "of an earlier run\n");
}

#[test]
fn a_guard_that_cannot_write_says_so_with_its_verdict() {
    let guarded = Guarded::saved(many());
    let started = run_short(&guarded, &alone_json());
    assert_eq!(started.code, Some(0), "{:#}", started.json);
    guarded.restore();
    change(&guarded);
    let file = guarded.outside("differences");
    let verdict = guarded.verify_guarded(&[&option(&file)]);
    verdict.expect(11, &CODES);
    let unwritten = verdict.json["unwritten"][0].as_str().unwrap();
    assert!(unwritten.starts_with("the guard could not write the differences: "), "{unwritten}");
    assert!(!file.exists());
}

#[test]
fn after_an_error_the_file_is_empty() {
    let project = Project::new();
    let file = project.outside("differences");
    fs::write(&file, "of an earlier run\n").unwrap();
    let arguments = ["verify", "deps", "--gate", "none", "--trust-checkout", &option(&file)];
    project.json(&arguments).expect_error(5, "unknown-gate");
    assert_eq!(fs::read(&file).unwrap(), b"");
}

/// Digests of two kinds differ for the same file, and say nothing of it.
#[test]
fn seals_with_digests_of_two_kinds_are_not_compared() {
    let project = Project::new();
    project.seal();
    let first = project.outside("first");
    copy_tree(&project.seal_path(), &first);
    project.write("cacheseal.toml", POLICY.replace("[signer.job]", "digest = \"sha256\"\n[signer.job]"));
    project.seal();
    let first = first.to_str().unwrap();
    project.json(&["diff", first, ".cacheseal/deps"]).expect_error(2, "usage");
    let said = project.run(&["diff", first, ".cacheseal/deps"]).stderr;
    assert!(said.contains("found blake3 and sha256"), "{said}");
    for seal in [first, ".cacheseal/deps"] {
        assert_eq!(project.run(&["diff", seal, "deps", "--root", "deps"]).code, Some(0), "{seal}");
    }
}
