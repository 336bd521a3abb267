//! The orb's source by itself, and the compiler of the local `CircleCI`.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::{file, judge, must, text, told};
use crate::harness::copy_tree;

/// The tag of this version.
const TAG: &str = concat!("v", env!("CARGO_PKG_VERSION"));

fn python(script: &str, arguments: &[&str]) -> Output {
    judge("python3").arg("-B").arg(file(script)).args(arguments).output().unwrap()
}

#[test]
fn the_orb_passes_the_review() {
    let output = python("tests/orb/review.py", &[text(&file("orb/src")), "--tag", TAG]);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn each_check_of_the_review_finds_what_it_is_for() {
    let long = "echo this command is so long that it belongs into a script of its own";
    for (check, path, from, to) in [
        ("RC001", "@orb.yml", "source_url: ", "other_url: "),
        ("RC002", "commands/verify.yml", "description: >\n  Put", "other: >\n  Put"),
        ("RC005", "@orb.yml", "description: >\n", "description: short\nother: >\n"),
        ("RC008", "commands/install.yml", "      name: Install cacheseal\n", ""),
        ("RC009", "commands/install.yml", "<<include(scripts/install.sh)>>", long),
        ("RC010", "commands/install.yml", "  base_url:\n", "  base-url:\n"),
        ("RC008", "commands/install.yml", "name: Install cacheseal\n", "name: Install\n      teardown: [{run: x}]\n"),
        (
            "FILTERS",
            "examples/node.yml",
            "filters: pipeline.git.branch == \"main\"",
            "filters: {branches: {only: main}}",
        ),
        ("RC011", "examples/node.yml", "cacheseal@0.1", "cacheseal@1.1"),
        ("RC012", "commands/save.yml", "  key:\n    type: string\n", "  key:\n    type: string\n    default: $HOME\n"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("src");
        copy_tree(&file("orb/src"), &source);
        let text_before = fs::read_to_string(source.join(path)).unwrap();
        assert!(text_before.contains(from), "{check}: {path} has no `{from}`");
        fs::write(source.join(path), text_before.replacen(from, to, 1)).unwrap();
        let output = python("tests/orb/review.py", &[text(&source), "--tag", TAG]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let failed: Vec<_> = said.lines().filter(|line| line.ends_with(" failed")).collect();
        assert_eq!((output.status.code(), failed), (Some(1), vec![format!("{check} failed").as_str()]), "{said}");
    }
}

#[test]
fn examples_are_counted_and_named() {
    for (check, name) in [("RC003", None), ("RC004", Some("an_example.yml"))] {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("src");
        copy_tree(&file("orb/src"), &source);
        match name {
            None => fs::remove_dir_all(source.join("examples")).unwrap(),
            Some(name) => fs::rename(source.join("examples/node.yml"), source.join("examples").join(name)).unwrap(),
        }
        let output = python("tests/orb/review.py", &[text(&source)]);
        assert!(told(&output).contains(&format!("{check} failed")), "{}", told(&output));
    }
}

/// Compiles a configuration with the orb, and gives its jobs or what is wrong with it.
pub(super) fn compiled(config: &Value, more: &[&str]) -> Result<Value, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yml");
    fs::write(&path, config.to_string()).unwrap();
    let orb = format!("cacheseal/cacheseal={}", text(&file("orb/src")));
    let output = python("tests/orb/circleci.py", &[&["process", text(&path), "--orb", &orb], more].concat());
    match output.status.code() {
        Some(0) => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        Some(2) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        _ => panic!("{}", told(&output)),
    }
}

/// A usage example of the orb.
pub(super) fn example(path: &Path) -> Value {
    let dump =
        "import json,sys;sys.path.insert(0,sys.argv[1]);import config;print(json.dumps(config.load(sys.argv[2])))";
    let example = must(judge("python3").args(["-B", "-c", dump, text(&file("tests/orb")), text(path)]));
    serde_json::from_slice(&example).unwrap()
}

#[test]
fn every_usage_example_compiles() {
    for entry in fs::read_dir(file("orb/src/examples")).unwrap() {
        let path = entry.unwrap().path();
        let example = example(&path);
        let on = |more: &[&str]| {
            compiled(&example["usage"], more).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let jobs = [on(&[]), on(&["--tag", "v1.0.0"])];
        assert!(jobs.iter().any(|jobs| !jobs.as_array().unwrap().is_empty()), "{}", path.display());
    }
}

/// One job whose steps are these, beside a command with a parameter of every type.
pub(super) fn config_of(steps: &Value) -> Value {
    json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "executors": { "base": { "docker": [{ "image": "cimg/base:stable" }] } },
        "commands": { "all": {
            "parameters": {
                "text": { "type": "string" },
                "flag": { "type": "boolean", "default": false },
                "count": { "type": "integer", "default": 1 },
                "choice": { "type": "enum", "enum": ["a", "b"], "default": "a" },
                "variable": { "type": "env_var_name", "default": "HOME" },
                "inner": { "type": "steps", "default": [] },
            },
            "steps": [
                { "run": { "name": "<< parameters.text >>", "command": "<<parameters.count>> \\<< << parameters.flag >>" } },
                { "when": { "condition": "<< parameters.flag >>", "steps": [{ "run": "flag" }] } },
                { "unless": { "condition": { "equal": ["b", "<< parameters.choice >>"] }, "steps": [{ "run": "not b" }] } },
                { "steps": "<< parameters.inner >>" },
            ],
        } },
        "jobs": { "job": { "executor": "base", "steps": steps } },
        "workflows": { "main": { "jobs": ["job"] } },
    })
}

#[test]
fn parameters_and_conditions_are_resolved() {
    let inner = json!({ "all": { "text": "<< inner", "flag": true } });
    let jobs = compiled(&config_of(&json!([{ "all": { "text": "x", "choice": "b", "inner": [inner] } }])), &[]);
    assert!(jobs.unwrap_err().contains("must be written"), "a bare `<<` is an error");
    let inner = json!({ "all": { "text": "in", "flag": true } });
    let jobs =
        compiled(&config_of(&json!([{ "all": { "text": "x", "choice": "b", "inner": [inner] } }])), &[]).unwrap();
    let expected = json!([
        { "run": { "name": "x", "command": "1 << false" } },
        { "run": { "name": "in", "command": "1 << true" } },
        { "run": { "command": "flag" } },
        { "run": { "command": "not b" } },
    ]);
    assert_eq!(jobs[0]["steps"], expected, "{jobs:#}");
}

#[test]
fn what_does_not_compile_is_told() {
    for (steps, because) in [
        (json!([{ "all": {} }]), "argument `text` is missing"),
        (json!([{ "all": { "text": "x", "other": 1 } }]), "unexpected arguments ['other']"),
        (json!([{ "all": { "text": 1 } }]), "expected string"),
        (json!([{ "all": { "text": "x", "flag": "true" } }]), "expected boolean"),
        (json!([{ "all": { "text": "x", "count": true } }]), "expected integer"),
        (json!([{ "all": { "text": "x", "choice": "c" } }]), "expected one of"),
        (json!([{ "all": { "text": "x", "variable": "a b" } }]), "expected the name of a variable"),
        (json!([{ "none": {} }]), "no command `none`"),
        (json!([{ "cacheseal/none": {} }]), "no command `none`"),
        (json!([{ "other/none": {} }]), "no orb `other`"),
        (json!([{ "run": "<< parameters.none >>" }]), "unknown variable"),
        (json!([{ "restore_cache": { "paths": ["p"] } }]), "expected key or keys"),
        (json!([{ "cacheseal/verify": { "cache": "npm", "gate": "ci", "on_refusal": "ignore" } }]), "expected one of"),
    ] {
        let error = compiled(&config_of(&steps), &[]).expect_err(because);
        assert!(error.contains(because), "expected `{because}`: {error}");
    }
}

#[test]
fn filters_choose_the_jobs_of_a_branch_or_tag() {
    let mut config = config_of(&json!(["checkout"]));
    let count = |config: &Value, more: &[&str]| compiled(config, more).unwrap().as_array().unwrap().len();
    assert_eq!((count(&config, &[]), count(&config, &["--tag", "v1"])), (1, 0));
    config["workflows"]["main"]["jobs"] = json!([{ "job": { "filters": { "branches": { "only": "/rel.*/" } } } }]);
    assert_eq!((count(&config, &[]), count(&config, &["--branch", "rel-1"])), (0, 1));
    config["workflows"]["main"]["jobs"] =
        json!([{ "job": { "filters": { "branches": { "ignore": "/.*/" }, "tags": { "only": "/^v.*/" } } } }]);
    assert_eq!((count(&config, &[]), count(&config, &["--tag", "v1"]), count(&config, &["--tag", "w1"])), (0, 1, 0));
}

#[test]
fn the_pipeline_of_this_project_compiles_for_branches_and_tags() {
    let orb = format!("cacheseal/cacheseal={}", text(&file("orb/src")));
    let pipeline = file(".circleci/pipeline.yml");
    let of = |workflow: &str, more: &[&str]| {
        let arguments = [&["process", text(&pipeline), "--orb", &orb, "--workflow", workflow], more].concat();
        let output = python("tests/orb/circleci.py", &arguments);
        assert!(output.status.success(), "{}", told(&output));
        let jobs: Value = serde_json::from_slice(&output.stdout).unwrap();
        jobs.as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let names = |more: &[&str]| of("main", more);
    let publishes = |names: &[String]| names.iter().filter(|name| name.starts_with("publish-")).count();
    let seals = |names: &[String]| names.iter().any(|name| name == "seal-dependencies");
    let (main, branch, tag) = (names(&[]), names(&["--branch", "other"]), names(&["--tag", "v1.0.0"]));
    assert_eq!((publishes(&main), publishes(&branch), publishes(&tag)), (0, 0, 2));
    assert!(seals(&main) && !seals(&branch) && !seals(&tag));
    // A push looks up no advisories, and the schedule does nothing else.
    for push in [&[][..], &["--branch", "other"], &["--tag", "v1.0.0"]] {
        assert_eq!(of("advisories", push), [""; 0]);
    }
    let schedule = ["--schedule", "advisories"];
    assert_eq!((of("main", &schedule), of("advisories", &schedule)), (vec![], vec!["advisories".to_owned()]));
    assert_eq!(of("main", &["--schedule", "nightly"]), main);
}
