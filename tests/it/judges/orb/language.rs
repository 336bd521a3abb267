//! The language of configurations as it is since autumn 2026: filters that are expressions, teardowns, `when` on every
//! step, plain texts for lists. Both the local `CircleCI` and `CircleCI`'s own schema have to know it.

use std::fs;

use serde_json::{Value, json};

use super::review::{compiled, config_of};
use super::{Push, Site, file, judge, must, text, told};

/// What starts a pipeline: main, another branch, a pull request of a fork whose branch is main, and two tags.
const PUSHES: [&[&str]; 5] =
    [&[], &["--branch", "other"], &["--fork", "eve/app"], &["--tag", "v1.0.0"], &["--tag", "w1"]];

/// One job, filtered.
fn filtered(filter: &Value) -> Value {
    let mut config = config_of(&json!(["checkout"]));
    config["workflows"]["main"]["jobs"] = json!([{ "job": { "filters": filter } }]);
    config
}

#[test]
fn an_expression_alone_decides_whether_a_job_runs() {
    for (filter, expected) in [
        (r#"pipeline.git.branch == "main""#, [true, false, false, false, false]),
        (r#"pipeline.git.tag starts-with "v""#, [false, false, false, true, false]),
        (r#"pipeline.git.branch != "" or pipeline.git.tag starts-with "v""#, [true, true, true, true, false]),
        (r#"pipeline.git.branch != "main""#, [false, true, true, true, true]),
        (r#"not (pipeline.git.branch == "main")"#, [false, true, true, true, true]),
        (
            r#"pipeline.git.tag == "" and not (pipeline.git.branch starts-with "pull/")"#,
            [true, true, false, false, false],
        ),
        // `and` binds closer than `or`.
        (r#"true or false and pipeline.git.branch == "main""#, [true; 5]),
        (r#"(true or false) and pipeline.git.branch == "main""#, [true, false, false, false, false]),
        // What a short circuit leaves out is not looked up.
        ("true or pipeline.none", [true; 5]),
        ("false and pipeline.none", [false; 5]),
        // Types differ, so this is never equal.
        ("pipeline.number == \"1\"", [false; 5]),
        ("pipeline.number == 1", [true; 5]),
        ("true", [true; 5]),
    ] {
        for (push, expected) in PUSHES.iter().zip(expected) {
            let jobs = compiled(&filtered(&json!(filter)), push).unwrap();
            assert_eq!(jobs.as_array().unwrap().len(), usize::from(expected), "{filter} {push:?}");
        }
    }
}

#[test]
fn a_filter_that_is_no_expression_is_an_error() {
    for (filter, because) in [
        (json!(""), "expected a value"),
        (json!("main"), "there is no value `main`"),
        (json!("pipeline.git.branch = \"main\""), "what is ` = \"main\"`?"),
        (json!("pipeline.git.branch == 'main'"), "what is ` 'main'`?"),
        (json!("pipeline.git.branch == main"), "there is no value `main`"),
        (json!("false or pipeline.none"), "there is no value `pipeline.none`"),
        (json!("pipeline.git.branch =="), "expected a value"),
        (json!("(pipeline.git.branch == \"main\""), "a `(` is not closed"),
        (json!("true or ("), "expected a value"),
        (json!("true \"main\""), "expected an operator"),
        (json!("pipeline.git.branch"), "expected true or false"),
        // `not` binds closer than a comparison, as in CircleCI.
        (json!("not pipeline.git.branch == \"main\""), "expected true or false"),
        (json!("pipeline.number starts-with \"1\""), "starts-with compares texts"),
        (json!("<< pipeline.git.branch >> == \"main\""), "what is `<< "),
        (json!(["main"]), "expected an expression or a map"),
        (json!(true), "expected an expression or a map"),
    ] {
        let error = compiled(&filtered(&filter), &[]).expect_err(because);
        assert!(error.starts_with("config error: ") && error.contains(because), "expected `{because}`: {error}");
    }
}

#[test]
fn workflows_and_steps_have_expressions_as_conditions() {
    let main = r#"pipeline.git.branch == "main""#;
    for (key, on_main, elsewhere) in [("when", 1, 0), ("unless", 0, 1)] {
        let mut config = config_of(&json!(["checkout"]));
        config["workflows"]["main"][key] = json!(main);
        let jobs = |more: &[&str]| compiled(&config, more).unwrap().as_array().unwrap().len();
        assert_eq!((jobs(&[]), jobs(&["--branch", "other"])), (on_main, elsewhere), "{key}");
        let steps = json!([{ key: { "condition": main, "steps": ["checkout"] } }]);
        let steps = |more: &[&str]| compiled(&config_of(&steps), more).unwrap()[0]["steps"].as_array().unwrap().len();
        assert_eq!((steps(&[]), steps(&["--branch", "other"])), (on_main, elsewhere), "{key}");
    }
}

#[test]
fn plain_texts_are_lists_of_one_and_options_of_no_meaning_are_ignored() {
    let steps = json!([
        { "restore_cache": { "keys": "k", "when": "always", "paths": ["p"] } },
        { "save_cache": { "key": "k", "paths": "/x", "other": 1 } },
        { "persist_to_workspace": { "root": ".", "paths": "x", "when": "on_fail" } },
        { "checkout": { "when": "on_success" } },
        { "run": { "command": "c", "teardown": [{ "run": "d" }, { "save_cache": { "key": "k", "paths": "<< pipeline.git.branch >>" } }] } },
    ]);
    let expected = json!([
        { "restore_cache": { "keys": ["k"], "when": "always" } },
        { "save_cache": { "key": "k", "paths": ["/x"] } },
        { "persist_to_workspace": { "root": ".", "paths": ["x"], "when": "on_fail" } },
        { "checkout": { "when": "on_success" } },
        { "run": { "command": "c", "teardown": [
            { "run": { "when": "always", "command": "d" } },
            { "save_cache": { "when": "always", "key": "k", "paths": ["main"] } },
        ] } },
    ]);
    assert_eq!(compiled(&config_of(&steps), &[]).unwrap()[0]["steps"], expected);
}

#[test]
fn what_is_refused_or_not_imitated_is_told() {
    let run = |teardown: Value| json!([{ "run": { "command": "c", "teardown": teardown } }]);
    for (steps, because) in [
        (json!([{ "checkout": { "when": "never" } }]), "expected one of"),
        (json!([{ "restore_cache": { "name": "n" } }]), "expected key or keys"),
        (json!([{ "save_cache": { "key": "k" } }]), "['paths'] missing"),
        (run(json!([{ "restore_cache": { "key": "k" } }])), "`restore_cache` cannot stand in a teardown"),
        (run(json!([{ "all": { "text": "x" } }])), "`all` cannot stand in a teardown"),
        (run(json!([{ "run": { "command": "c", "background": true } }])), "no background"),
        (run(json!([{ "run": { "command": "c", "teardown": [] } }])), "no teardown"),
        (
            json!([{ "with_tool_cache": { "tool": "gradle", "steps": ["checkout"] } }]),
            "`with_tool_cache`: not imitated",
        ),
        (json!(["install_signing_bundle"]), "`install_signing_bundle`: not imitated"),
    ] {
        let error = compiled(&config_of(&steps), &[]).expect_err(because);
        assert!(error.contains(because), "expected `{because}`: {error}");
    }
    let functions = json!({ "setup-node": "github.com/circleci-functions/setup-node@v0.4.0" });
    for (path, value, because) in [
        ("/functions", functions, "not imitated: ['functions']"),
        ("/job-groups", json!({}), "not imitated: ['job-groups']"),
        ("/jobs/job/retention", json!({ "caches": "30d" }), "not imitated: ['retention']"),
        ("/executors/base/code_signing", json!([]), "not imitated: ['code_signing']"),
        ("/workflows/main/triggers", json!([]), "not imitated: ['triggers']"),
    ] {
        let mut config = config_of(&json!(["checkout"]));
        let (parent, key) = path.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[key] = value;
        let error = compiled(&config, &[]).expect_err(because);
        assert!(error.contains(because), "expected `{because}`: {error}");
    }
}

/// A configuration of one job without an orb.
fn job_of(steps: &Value) -> Value {
    json!({
        "version": 2.1,
        "jobs": { "job": { "docker": [{ "image": "cimg/base:stable" }], "steps": steps } },
        "workflows": { "main": { "jobs": ["job"] } },
    })
}

#[test]
fn teardowns_run_at_the_end_of_the_job_even_of_a_failed_one() {
    let site = Site::bare();
    must(site.git().args(["init", "-q", "-b", "main"]));
    site.write("repository/file", "");
    site.commit("first");
    let say = |name: &str| json!({ "run": { "name": name, "command": "true" } });
    let with = |name: &str, command: &str, teardown: Value| json!({ "run": { "name": name, "command": command, "teardown": teardown } });
    let on_success = json!([{ "run": { "name": "only on success", "command": "true", "when": "on_success" } }]);
    let steps = json!([
        with("fills", "mkdir kept", json!([say("empties"), { "save_cache": { "name": "saves", "key": "k", "paths": "kept" } }])),
        with("breaks", "exit 3", on_success),
        { "restore_cache": { "name": "not any more", "key": "k" } },
        { "restore_cache": { "name": "nevertheless", "keys": "k", "when": "always" } },
        { "store_artifacts": { "name": "stores", "path": "/tmp" } },
        { "store_artifacts": { "name": "would store", "path": "/tmp", "when": "on_success" } },
        with("skipped", "true", json!([say("of the skipped")])),
        { "run": { "name": "after a failure", "command": "true", "when": "on_fail" } },
    ]);
    let told = site.run(&Push { config: Some(&job_of(&steps)), ..Push::of("main") });
    let seen: Vec<_> = told.job("job").steps.iter().map(|step| (step.name.as_str(), step.status.as_str())).collect();
    let expected = [
        ("fills", "success"),
        ("breaks", "failed"),
        ("not any more", "skipped"),
        ("nevertheless", "success"),
        ("stores", "success"),
        ("would store", "skipped"),
        ("skipped", "skipped"),
        ("after a failure", "success"),
        ("only on success", "skipped"),
        ("saves", "success"),
        ("empties", "success"),
    ];
    assert_eq!((told.status.as_str(), seen), ("failed", expected.to_vec()), "{}", told.shown());
    assert!(told.job("job").step("nevertheless").output.contains("No cache is found"));
    // What the teardown of the failed job has saved is there for the next.
    let config = job_of(&json!([{ "restore_cache": { "name": "restores", "keys": "k" } }]));
    let told = site.run(&Push { config: Some(&config), ..Push::of("main") });
    assert!(told.job("job").step("restores").output.contains("Found a cache"), "{}", told.shown());
}

/// The schema that comes with check-jsonschema knows the language too, and still checks the rest.
#[test]
fn the_schema_knows_the_language() {
    let check = |config: &Value| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, config.to_string()).unwrap();
        judge("check-jsonschema").args(["--builtin-schema", "vendor.circle-ci", text(&path)]).output().unwrap()
    };
    let teardown = json!([{ "run": "d" }, { "save_cache": { "key": "k", "paths": "/x", "when": "always" } }]);
    let honest = job_of(&json!([
        { "restore_cache": { "keys": "k", "when": "always" } },
        { "save_cache": { "key": "k", "paths": "/x" } },
        { "run": { "command": "c", "teardown": teardown } },
    ]));
    let mut filtered = honest.clone();
    filtered["workflows"]["main"] = json!({ "unless": "pipeline.schedule.name == \"x\"", "jobs": [{ "job": { "filters": "pipeline.git.branch == \"main\"" } }] });
    for config in [&honest, &filtered] {
        let output = check(config);
        assert!(output.status.success(), "{}", told(&output));
    }
    for (path, value) in [
        ("/workflows/main/jobs/0/job/filters", json!(["main"])),
        ("/workflows/main/jobs/0/job/filters", json!({ "branch": "main" })),
        ("/jobs/job/steps/0/restore_cache/when", json!("never")),
        ("/jobs/job/steps/1/save_cache/path", json!("/x")),
        ("/jobs/job/steps/2/run/teardown", json!([{ "restore_cache": { "key": "k" } }])),
    ] {
        let mut config = filtered.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[key] = value;
        let output = check(&config);
        assert_eq!(output.status.code(), Some(1), "{path}: {}", told(&output));
    }
}

#[test]
fn documents_and_pipelines_filter_by_expressions() {
    let documents = fs::read_dir(file("docs")).unwrap().chain(fs::read_dir(file(".circleci")).unwrap());
    let documents = documents.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut filters = 0;
    for path in
        documents.chain([file("README.md"), file("orb/README.md"), file("tests/orb/sample/.circleci/config.yml")])
    {
        let Ok(document) = fs::read_to_string(&path) else { continue };
        let deprecated = document.lines().find(|line| ["branches:", "tags:"].contains(&line.trim()));
        assert_eq!(deprecated, None, "{}: write an expression", path.display());
        filters += document.matches("filters: ").count();
    }
    assert!(filters >= 10, "{filters}");
}
