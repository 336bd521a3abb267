//! Attacks that take more than one poisoned archive.

use serde_json::{Value, json};

use super::attacks::{AT_CARGO, AT_NPM, CARGO_KEY, NPM_KEY, attack};
use super::{Push, Site, must};
use crate::harness::key;

/// The payload in JavaScript, as a shell command that appends it to a file.
const POISON_LEFT: &str = "echo \"$js\" >>node_modules/left/index.js";

/// Jobs of the sample project's configuration with others beside.
fn sample_with(job: &str, steps: &Value, context: &str) -> Value {
    json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { job: { "docker": [{ "image": "cimg/node:lts" }], "steps": steps } },
        "workflows": { "main": { "jobs": [if context.is_empty() { json!(job) } else { json!({ job: { "context": context } }) }] } },
    })
}

#[test]
fn the_honest_release_passes() {
    let site = Site::sealed();
    let told = site.run(&Push::of("release"));
    told.expect("success");
    let job = told.job("release");
    assert!(job.codes("npm").is_empty() && job.codes("cargo").is_empty() && !job.is_owned(), "{}", job.shown());
    assert_eq!((job.step("Build").status.as_str(), job.step("Tag").status.as_str()), ("success", "success"));
    let told = site.run(&Push::of("unprotected"));
    told.expect("success");
    assert!(!told.job("unprotected").is_owned());
}

#[test]
fn a_newer_entry_shadows_the_exact_key() {
    let site = Site::sealed();
    site.poison(POISON_LEFT, &["node_modules", ".cacheseal/npm"]);
    let told = site.run(&Push::of("unprotected"));
    let restored = told.job("unprotected").steps.iter().find(|step| step.kind == "restore_cache").unwrap();
    assert!(restored.output.contains("at npm-v1-") && restored.output.ends_with("-newer"), "{}", restored.output);
    site.refused(AT_NPM, 11, "npm", &["digest-mismatch"]);
}

#[test]
fn a_replayed_cache_of_an_older_lockfile() {
    let site = Site::sealed();
    // The older entry is found by its checksum: the attacker's checkout is of the older commit.
    let script = "git diff --quiet HEAD -- package-lock.json";
    let replay = attack("npm-v1-", script, "npm-v1-replayed", &["node_modules", ".cacheseal/npm"]);
    let mut config = replay;
    let steps = config["jobs"]["attack"]["steps"].as_array_mut().unwrap();
    steps.insert(1, json!({ "run": { "name": "Older", "command": "git checkout -q HEAD~1" } }));
    steps[2]["restore_cache"]["key"] = json!(NPM_KEY);
    let back = "cp package-lock.json ~/older && git checkout -q -";
    steps.insert(4, json!({ "run": { "name": "Back", "command": back } }));
    steps[5]["save_cache"]["key"] = json!(format!("{NPM_KEY}-replayed"));
    site.run_attack(&config);
    site.refused(AT_NPM, 10, "npm", &["stale-lockfile"]);
}

#[test]
fn an_older_lockfile_together_with_the_cache_that_fits_it() {
    let site = Site::sealed();
    let paths = ["node_modules", ".cacheseal/npm", "package-lock.json"];
    let mut config = attack(NPM_KEY, "true", "later", &paths);
    let steps = config["jobs"]["attack"]["steps"].as_array_mut().unwrap();
    steps.insert(1, json!({ "run": { "name": "Older", "command": "git checkout -q HEAD~1" } }));
    let today = "npm-v1-{{ checksum \"/tmp/today\" }}-newer";
    steps.insert(4, json!({ "run": { "name": "Key", "command": "git show main:package-lock.json >/tmp/today" } }));
    steps[5]["save_cache"]["key"] = json!(today);
    site.run_attack(&config);
    site.refused(AT_NPM, 15, "npm", &["stray-write", "stale-lockfile"]);
}

#[test]
fn the_seal_and_files_of_another_cache() {
    let site = Site::sealed();
    let script = "mv .cacheseal/cargo .cacheseal/npm && mkdir node_modules && cp -R ~/.cargo/registry/. node_modules
                  mkdir node_modules/left && echo \"$js\" >node_modules/left/index.js";
    site.run_attack(&attack(CARGO_KEY, script, &format!("{NPM_KEY}-newer"), &["node_modules", ".cacheseal/npm"]));
    site.refused(AT_NPM, 10, "npm", &["wrong-cache", "wrong-root", "wrong-lockfile"]);
}

#[test]
fn a_stolen_key_that_was_revoked() {
    let site = Site::sealed();
    let secret = key("deps").to_line().to_string();
    let script = format!(
        "{POISON_LEFT} && rm -r .cacheseal
         CIRCLE_JOB=seal-npm CACHESEAL_KEY='{secret}' /opt/image/cacheseal seal npm --key-env CACHESEAL_KEY"
    );
    site.poison(&script, &["node_modules", ".cacheseal/npm"]);
    let unnoticed = site.run(&Push::of("release"));
    assert!(unnoticed.job("release").is_owned(), "whoever has the key seals what they like: {}", unnoticed.shown());
    let keyid = key("deps").public().id();
    let list = format!("version = 1\n\n[[revoked]]\nkeyid = \"{keyid}\"\nreason = \"stolen\"\n");
    site.write("repository/keys/revoked.toml", list);
    site.commit("revoke");
    site.refused(AT_NPM, 10, "npm", &["revoked"]);
}

#[test]
fn a_changed_crate() {
    let site = Site::sealed();
    let script = "echo '// poisoned' >>\"$(find ~/.cargo/registry/src -name lib.rs | head -n 1)\"";
    site.run_attack(&attack(
        CARGO_KEY,
        script,
        &format!("{CARGO_KEY}-newer"),
        &["~/.cargo/registry", ".cacheseal/cargo"],
    ));
    let told = site.run(&Push::of("release"));
    told.job("release").stopped_at(AT_CARGO, 11);
    assert_eq!(told.job("release").codes("cargo").len(), 1, "{}", told.shown());
    let bundle = |job: &super::JobTold| job.directory.join("home/circleci/project/dist/crates.rs");
    assert!(!bundle(told.job("release")).exists(), "{}", told.shown());
    // Without verification it reaches the product.
    let told = site.run(&Push::of("unprotected"));
    let product = std::fs::read_to_string(bundle(told.job("unprotected"))).unwrap();
    assert!(product.contains("// poisoned"));
}

#[test]
fn the_archive_of_a_second_cache_that_rewrites_the_first() {
    let site = Site::sealed();
    let script = "mkdir -p node_modules/left && echo \"$js module.exports = 'left';\" >node_modules/left/index.js";
    let paths = ["~/.cargo/registry", ".cacheseal/cargo", "node_modules/left/index.js"];
    site.run_attack(&attack(CARGO_KEY, script, &format!("{CARGO_KEY}-newer"), &paths));
    site.refused(AT_CARGO, 15, "cargo", &["stray-write"]);
}

#[test]
fn a_cache_of_stray_files_alone() {
    let site = Site::sealed();
    site.poison("echo \"$sh\" >>~/.bashrc", &["~/.bashrc"]);
    site.refused(AT_NPM, 15, "npm", &["stray-write", "nothing-restored"]);
}

#[test]
fn a_cacheseal_that_comes_first_on_path() {
    let site = Site::sealed();
    let script = format!("{POISON_LEFT} && program ~/bin/cacheseal \"$sh\"");
    site.poison(&script, &["node_modules", ".cacheseal/npm", "~/bin/cacheseal"]);
    site.refused(AT_NPM, 15, "npm", &["stray-write", "digest-mismatch"]);
    // A job that looks the verifier up on PATH asks the attacker's.
    let naive = sample_with(
        "naive",
        &json!([
            "checkout",
            { "run": { "name": "Install", "command": "sudo install /opt/image/cacheseal /opt/circleci/bin/cacheseal" } },
            { "restore_cache": { "key": NPM_KEY } },
            { "run": { "name": "Verify", "command": "cacheseal verify npm --gate release --trust-checkout" } },
        ]),
        "",
    );
    let told = site.run(&Push { config: Some(&naive), ..Push::of("main") });
    told.expect("success");
    assert!(told.job("naive").is_owned(), "{}", told.shown());
}

/// Steps of a trusted job that restores, installs on top and seals again.
fn sealing_again(seal: &Value) -> Value {
    let again = json!([
        "checkout",
        { "cacheseal/install": { "binary": "/opt/image/cacheseal" } },
        { "cacheseal/guard": { "caches": "npm" } },
        { "restore_cache": { "key": NPM_KEY } },
        { "run": { "name": "Install on top", "command": "mkdir -p node_modules/added" } },
        seal,
    ]);
    sample_with("seal-again", &again, "deps-signing")
}

#[test]
fn a_poisoned_restore_that_a_trusted_job_would_seal_again() {
    let site = Site::sealed();
    site.poison(POISON_LEFT, &["node_modules", ".cacheseal/npm"]);
    let key = format!("{NPM_KEY}-newer-again");
    let save = json!({ "cacheseal/save": { "cache": "npm", "key": key } });
    let config = sealing_again(&save);
    let told = site.run(&Push { config: Some(&config), ..Push::of("main") });
    told.job("seal-again").stopped_at("Seal the cache npm", 10);
    let said = &told.job("seal-again").step("Seal the cache npm").output;
    assert!(said.contains("refused[unverified-base]"), "{said}");
    // Nothing was saved: the release still finds the poisoned cache, and refuses it.
    site.refused(AT_NPM, 11, "npm", &["digest-mismatch"]);
    // Without the guard the key would have turned poison into a good seal.
    let seal = json!({ "run": { "name": "Seal", "command":
        "CIRCLE_JOB=seal-npm /opt/cacheseal/bin/cacheseal seal npm --key-env CACHESEAL_KEY" } });
    let mut config = sealing_again(&seal);
    let saved = json!({ "save_cache": { "key": key, "paths": ["node_modules", ".cacheseal/npm"] } });
    config["jobs"]["seal-again"]["steps"].as_array_mut().unwrap().push(saved);
    site.run(&Push { config: Some(&config), ..Push::of("main") }).expect("success");
    let told = site.run(&Push::of("release"));
    told.expect("success");
    assert!(told.job("release").is_owned(), "{}", told.shown());
}

#[test]
fn an_attackers_branch_gets_no_context() {
    let site = Site::sealed();
    must(site.git().args(["branch", "attack"]));
    let told = site.run(&Push { more: &["--branch", "attack"], ..Push::of("seal") });
    told.expect("unauthorized");
    assert_eq!(told.job("seal-npm").status, "unauthorized");
    let told = site.run(&Push { more: &["--config-source", "api"], ..Push::of("seal") });
    told.expect("unauthorized");
}
