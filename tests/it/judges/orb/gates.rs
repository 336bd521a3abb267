//! What the parameters do: `on_refusal`, `on_miss`, `with_cache`, builds without a key.

use serde_json::{Value, json};

use super::attacks::{AT_NPM, NPM_KEY};
use super::{Push, Site, Told};

const TAMPER: &str = "echo \"$js\" >>node_modules/left/index.js";
const HONEST: [&str; 2] = ["node_modules", ".cacheseal/npm"];

/// A job that restores npm with these parameters, and installs and builds after it.
fn tolerant(restore: &Value) -> Value {
    let mut parameters = json!({ "cache": "npm", "gate": "release", "key": NPM_KEY });
    parameters.as_object_mut().unwrap().extend(restore.as_object().unwrap().clone());
    one_job(
        &json!([
            "checkout",
            { "cacheseal/install": { "binary": "/opt/image/cacheseal" } },
            { "cacheseal/restore": parameters },
            { "run": { "name": "Install", "command": "test -d node_modules || npm ci --offline --no-audit --no-fund" } },
            { "run": { "name": "Build", "command": "npm run build" } },
        ]),
        "",
    )
}

fn one_job(steps: &Value, context: &str) -> Value {
    let invocation = if context.is_empty() { json!("job") } else { json!({ "job": { "context": context } }) };
    json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "job": { "docker": [{ "image": "cimg/node:lts" }], "steps": steps } },
        "workflows": { "main": { "jobs": [invocation] } },
    })
}

fn run(site: &Site, config: &Value) -> Told {
    site.run(&Push { config: Some(config), ..Push::of("main") })
}

#[test]
fn a_changed_cache_is_discarded_and_the_job_goes_on_without_it() {
    let site = Site::sealed();
    site.poison(TAMPER, &HONEST);
    let told = run(&site, &tolerant(&json!({ "on_refusal": "discard" })));
    told.expect("success");
    let job = told.job("job");
    assert!(
        job.step(AT_NPM).output.contains("*** CACHE REFUSED AND DISCARDED: npm, exit status 11."),
        "{}",
        job.shown()
    );
    assert!(!job.is_owned() && job.codes("npm").contains("digest-mismatch"), "{}", job.shown());
    let junit = std::fs::read_to_string(job.directory.join("test-results/cacheseal.xml")).unwrap();
    assert!(junit.contains("<failure type=\"digest-mismatch\""), "{junit}");
}

#[test]
fn a_cache_without_a_seal_is_discarded() {
    let site = Site::sealed();
    site.poison(&format!("{TAMPER} && rm -r .cacheseal"), &HONEST);
    let told = run(&site, &tolerant(&json!({ "on_refusal": "discard" })));
    told.expect("success");
    assert!(!told.job("job").is_owned());
}

#[test]
fn a_discarded_cache_is_a_miss_where_a_miss_fails() {
    let site = Site::sealed();
    site.poison(TAMPER, &HONEST);
    let told = run(&site, &tolerant(&json!({ "on_refusal": "discard", "on_miss": "fail" })));
    told.job("job").stopped_at(AT_NPM, 3);
}

#[test]
fn a_refusal_fails_unless_it_is_told_otherwise() {
    let site = Site::sealed();
    site.poison(TAMPER, &HONEST);
    run(&site, &tolerant(&json!({}))).job("job").stopped_at(AT_NPM, 11);
}

#[test]
fn a_stray_write_is_never_discarded() {
    let site = Site::sealed();
    site.poison(&format!("{TAMPER} && echo \"$sh\" >>~/.bashrc"), &["node_modules", ".cacheseal/npm", "~/.bashrc"]);
    let told = run(&site, &tolerant(&json!({ "on_refusal": "discard" })));
    told.job("job").stopped_at(AT_NPM, 15);
    assert!(told.job("job").codes("npm").contains("stray-write"));
}

#[test]
fn a_changed_policy_is_never_discarded() {
    let site = Site::sealed();
    let script = format!("{TAMPER} && sed -i '/max_age/s/7d/8d/' cacheseal.toml");
    site.poison(&script, &["node_modules", ".cacheseal/npm", "cacheseal.toml"]);
    let told = run(&site, &tolerant(&json!({ "on_refusal": "discard" })));
    told.job("job").stopped_at(AT_NPM, 15);
    assert!(told.job("job").codes("npm").contains("policy-changed"));
}

#[test]
fn a_miss_continues_or_fails() {
    let site = Site::sealed();
    let unknown = json!({ "key": "nothing-has-this-key" });
    let told = run(&site, &tolerant(&unknown));
    told.expect("success");
    let junit = std::fs::read_to_string(told.job("job").directory.join("test-results/cacheseal.xml")).unwrap();
    assert!(junit.contains("<skipped"), "{junit}");
    let told = run(&site, &tolerant(&json!({ "key": "nothing-has-this-key", "on_miss": "fail" })));
    told.job("job").stopped_at(AT_NPM, 3);
}

#[test]
fn the_second_key_is_tried_if_nothing_matches_the_first() {
    let site = Site::sealed();
    let told =
        run(&site, &tolerant(&json!({ "key": "nothing-has-this-key", "fallback_key": NPM_KEY, "on_miss": "fail" })));
    told.expect("success");
}

#[test]
fn roots_that_are_not_empty_stop_the_job_before_the_restore() {
    let site = Site::sealed();
    let mut config = tolerant(&json!({}));
    let fill = json!({ "run": { "name": "Fill", "command": "mkdir node_modules && echo 1 >node_modules/left.js" } });
    config["jobs"]["job"]["steps"].as_array_mut().unwrap().insert(1, fill);
    let told = run(&site, &config);
    let waited = told.job("job").step("Wait for the guard");
    assert!(waited.exit == Some(5) && waited.output.contains("error[root-not-empty]"), "{}", told.shown());
    assert!(told.job("job").steps.iter().all(|step| step.kind != "restore_cache" || step.status == "skipped"));
}

#[test]
fn a_restore_without_an_install_before_it_fails() {
    let site = Site::sealed();
    let mut config = tolerant(&json!({}));
    config["jobs"]["job"]["steps"].as_array_mut().unwrap().remove(1);
    let told = run(&site, &config);
    let waited = told.job("job").step("Wait for the guard");
    assert!(waited.exit == Some(5) && waited.output.contains("cacheseal/install comes before"), "{}", told.shown());
}

/// A job that restores, installs, seals and saves.
fn filling(key: &str, context: &str) -> Value {
    let cache = json!({
        "cache": "npm", "gate": "release", "key": key, "save": true,
        "steps": [{ "run": { "name": "Install", "command": "npm ci --offline --no-audit --no-fund" } }],
    });
    let steps = json!([
        "checkout",
        { "run": { "name": "The sealing job of the policy", "command": "sed -i '/^jobs/d' cacheseal.toml" } },
        { "cacheseal/install": { "binary": "/opt/image/cacheseal" } },
        { "cacheseal/with_cache": cache },
        { "run": { "name": "Last", "command": "true" } },
    ]);
    one_job(&steps, context)
}

#[test]
fn one_job_can_fill_and_seal_and_the_next_one_finds_what_it_sealed() {
    let site = Site::sealed();
    run(&site, &filling("npm-v2", "deps-signing")).expect("success");
    // The second time the roots were verified instead of empty, and the new seal is saved under a key of its own.
    let told = run(&site, &filling("npm-v2", "deps-signing"));
    told.expect("success");
    let job = told.job("job");
    assert!(job.step(AT_NPM).output.contains("trusted: cache `npm`"), "{}", told.shown());
    assert!(job.step("Save the sealed cache npm").output.contains("key npm-v2-"), "{}", told.shown());
    // Without a suffix the first entry stays.
    for said in ["Stored cache to key npm-v3", "Skipping cache generation"] {
        let mut config = filling("npm-v3", "deps-signing");
        config["jobs"]["job"]["steps"][3]["cacheseal/with_cache"]["suffix"] = json!("");
        let told = run(&site, &config);
        told.expect("success");
        let saved = &told.job("job").step("Save the sealed cache npm").output;
        assert!(saved.starts_with(said), "expected `{said}`: {saved}");
    }
}

#[test]
fn what_was_discarded_can_be_filled_and_sealed_anew() {
    let site = Site::sealed();
    site.poison(TAMPER, &HONEST);
    let mut config = filling(NPM_KEY, "deps-signing");
    let cache = &mut config["jobs"]["job"]["steps"][3]["cacheseal/with_cache"];
    cache["on_refusal"] = json!("discard");
    cache["key"] = json!("npm-v1-");
    let told = run(&site, &config);
    told.expect("success");
    assert_eq!(told.job("job").step("Seal the cache npm").exit, Some(0));
}

const FORK: [&str; 2] = ["--fork", "mallory/app"];

#[test]
fn a_build_of_a_fork_has_no_key_and_saves_nothing() {
    let site = Site::sealed();
    // The context of the other tests is restricted to the main branch and lets no pull request in.
    site.write_context(
        "deps-signing",
        &json!({ "CACHESEAL_KEY": crate::harness::key("deps").to_line().to_string() }),
        "",
    );
    let told = site.run(&Push { config: Some(&filling("npm-v2", "deps-signing")), workflow: "main", more: &FORK });
    told.expect("success");
    let job = told.job("job");
    assert!(
        job.step("Seal the cache npm").output.contains("nothing is sealed and nothing is saved"),
        "{}",
        job.shown()
    );
    assert_eq!(job.step("Save the sealed cache npm").status, "skipped");
    let told = site.run(&Push { more: &FORK, ..Push::of("seal") });
    told.expect("success");
    assert_eq!(told.job("seal-npm").step("Save the sealed cache npm").status, "skipped");
}

#[test]
fn a_build_of_a_fork_verifies_without_any_secret() {
    let site = Site::sealed();
    // Forks share the caches where secrets are passed to them; here one is handed over.
    let caches = std::fs::read_to_string(site.path("store/caches.json")).unwrap();
    site.write("store/caches.json", caches.replace("acme/app", FORK[1]));
    let told = site.run(&Push { more: &FORK, ..Push::of("release") });
    told.expect("success");
    assert!(told.job("release").codes("npm").is_empty());
}

#[test]
fn a_job_that_should_have_a_key_and_has_none_fails() {
    let site = Site::sealed();
    let told = run(&site, &filling("npm-v2", ""));
    told.job("job").stopped_at("Seal the cache npm", 5);
    assert!(told.job("job").step("Seal the cache npm").output.contains("error[no-key]"), "{}", told.shown());
}

#[test]
fn no_secret_is_shown() {
    let site = Site::sealed();
    let shown = run(&site, &filling("npm-v2", "deps-signing")).shown();
    assert!(!shown.contains(&*crate::harness::key("deps").to_line()), "{shown}");
}

#[test]
fn the_verified_cache_is_handed_on_by_the_job_verify() {
    let site = Site::sealed();
    let config = json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "build": { "docker": [{ "image": "cimg/node:lts" }], "steps": [
            "checkout",
            { "attach_workspace": { "at": "." } },
            { "run": { "name": "Build", "command": "npm run build" } },
        ] } },
        "workflows": { "main": { "jobs": [
            { "cacheseal/verify": {
                "name": "verified", "binary": "/opt/image/cacheseal", "cache": "npm", "gate": "release", "key": NPM_KEY,
                "after": [{ "persist_to_workspace": { "root": ".", "paths": ["node_modules"] } }],
            } },
            { "build": { "requires": ["verified"] } },
        ] } },
    });
    run(&site, &config).expect("success");
    site.poison(TAMPER, &HONEST);
    let told = run(&site, &config);
    told.job("verified").stopped_at(AT_NPM, 11);
    assert_eq!(told.job("build").status, "not run");
}

const AT_RECHECK: &str = "Look at the verified caches again";

/// The same, and after the build a command and a second look with these parameters.
fn rechecked(restore: &Value, command: &str, recheck: &Value) -> Value {
    let mut config = tolerant(restore);
    let steps = config["jobs"]["job"]["steps"].as_array_mut().unwrap();
    steps.push(json!({ "run": { "name": "Write", "command": command } }));
    steps.push(json!({ "cacheseal/recheck": recheck }));
    config
}

#[test]
fn what_a_build_changed_is_found_before_it_is_published() {
    let site = Site::sealed();
    for full in [false, true] {
        let parameters = json!({ "caches": "npm", "full": full });
        let told = run(&site, &rechecked(&json!({}), "true", &parameters));
        told.expect("success");
        let output = &told.job("job").step(AT_RECHECK).output;
        assert!(output.contains("unchanged: what was verified is as it was"), "{output}");
        let told = run(&site, &rechecked(&json!({}), "echo 1 >>node_modules/left/index.js", &parameters));
        told.job("job").stopped_at(AT_RECHECK, 11);
        let output = &told.job("job").step(AT_RECHECK).output;
        assert!(output.contains("refused[changed-after-verify]: node_modules/left/index.js"), "{output}");
    }
}

/// A parameter of more than one line is as natural as one with spaces: every cache in it counts, also one of which
/// nothing was verified.
#[test]
fn caches_can_be_named_a_line_each() {
    let site = Site::sealed();
    for (caches, exit) in [("npm\n", 0), ("npm\ncargo\n", 15)] {
        let mut config = rechecked(&json!({ "start_guard": false }), "true", &json!({ "caches": caches }));
        let steps = config["jobs"]["job"]["steps"].as_array_mut().unwrap();
        steps.insert(2, json!({ "cacheseal/guard": { "caches": "cargo\n  npm\n" } }));
        let told = run(&site, &config);
        assert!(told.job("job").step("Wait for the guard").output.contains("`npm`"), "{}", told.shown());
        assert_eq!(told.job("job").step(AT_RECHECK).exit, Some(exit), "{}", told.shown());
    }
}

#[test]
fn what_a_build_adds_is_allowed_by_patterns() {
    let site = Site::sealed();
    let add = "mkdir -p node_modules/.cache/a && echo 1 >node_modules/.cache/a/b && echo 1 >node_modules/new";
    run(&site, &rechecked(&json!({}), add, &json!({}))).job("job").stopped_at(AT_RECHECK, 11);
    let one = json!({ "allow_new": "node_modules/.cache/**" });
    run(&site, &rechecked(&json!({}), add, &one)).job("job").stopped_at(AT_RECHECK, 11);
    let both = json!({ "allow_new": "node_modules/.cache/**\nnode_modules/new\n" });
    run(&site, &rechecked(&json!({}), add, &both)).expect("success");
}

#[test]
fn after_a_miss_a_second_look_continues_or_fails() {
    let site = Site::sealed();
    let unknown = json!({ "key": "nothing-has-this-key" });
    run(&site, &rechecked(&unknown, "true", &json!({}))).expect("success");
    run(&site, &rechecked(&unknown, "true", &json!({ "on_miss": "fail" }))).job("job").stopped_at(AT_RECHECK, 3);
}

#[test]
fn a_list_of_revocations_comes_from_a_context() {
    let site = Site::sealed();
    let keyid = crate::harness::key("deps").public().id();
    let list = |entries: &str| json!({ "CACHESEAL_REVOKED": format!("version = 1\n{entries}") });
    let config = {
        let mut config = tolerant(&json!({ "revocations": "CACHESEAL_REVOKED" }));
        config["workflows"]["main"]["jobs"] = json!([{ "job": { "context": "revocations" } }]);
        config
    };
    site.write_context("revocations", &list(""), "");
    run(&site, &config).expect("success");
    let entry = format!("\n[[revoked]]\nkeyid = \"{keyid}\"\nreason = \"leaked\"\n");
    site.write_context("revocations", &list(&entry), "");
    let told = run(&site, &config);
    told.job("job").stopped_at(AT_NPM, 10);
    assert_eq!(told.job("job").codes("npm"), ["revoked".to_owned()].into());
    site.write_context("revocations", &json!({}), "");
    run(&site, &config).job("job").stopped_at(AT_NPM, 5);
}

#[test]
fn a_guard_that_only_reports_refuses_no_stray_write() {
    let site = Site::sealed();
    site.poison("echo \"$sh\" >>~/.bashrc", &["node_modules", ".cacheseal/npm", "~/.bashrc"]);
    let mut config = tolerant(&json!({ "start_guard": false }));
    let guard = json!({ "cacheseal/guard": { "caches": "npm", "report_only": true } });
    config["jobs"]["job"]["steps"].as_array_mut().unwrap().insert(2, guard);
    let told = run(&site, &config);
    told.expect("success");
    let report = told.job("job").directory.join("artifacts/cacheseal/npm/report.json");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["candidates"].as_array().is_some_and(|found| !found.is_empty()), "{report:#}");
    let mut config = tolerant(&json!({ "start_guard": false }));
    let guard = json!({ "cacheseal/guard": { "caches": "npm", "allow": "~/.bashrc\n~/.cache\n" } });
    config["jobs"]["job"]["steps"].as_array_mut().unwrap().insert(2, guard);
    run(&site, &config).expect("success");
}

#[test]
fn a_guard_that_was_killed_is_a_refusal() {
    let site = Site::sealed();
    let mut config = tolerant(&json!({ "start_guard": false }));
    let steps = config["jobs"]["job"]["steps"].as_array_mut().unwrap();
    steps.insert(2, json!({ "cacheseal/guard": { "caches": "npm" } }));
    let kill = "for process in /proc/[0-9]*; do
                    if [ \"$(readlink $process/exe)\" = /opt/cacheseal/bin/cacheseal ]; then kill -9 ${process#/proc/}; fi
                done";
    steps.insert(3, json!({ "run": { "name": "Kill", "command": kill } }));
    let told = run(&site, &config);
    told.job("job").stopped_at(AT_NPM, 15);
    assert_eq!(told.job("job").codes("npm"), ["guard-gone".to_owned()].into());
}

#[test]
fn a_second_restore_needs_a_guard_that_was_started_for_both() {
    let site = Site::sealed();
    let mut config = tolerant(&json!({}));
    let second =
        json!({ "cacheseal/restore": { "cache": "cargo", "gate": "release", "key": super::attacks::CARGO_KEY } });
    config["jobs"]["job"]["steps"].as_array_mut().unwrap().insert(3, second);
    let told = run(&site, &config);
    let waits: Vec<_> = told.job("job").steps.iter().filter(|step| step.name == "Wait for the guard").collect();
    assert_eq!((waits.len(), waits[0].exit, waits[1].exit), (2, Some(0), Some(5)), "{}", told.shown());
    assert!(waits[1].output.contains("error[guard-running]"), "{}", told.shown());
}
