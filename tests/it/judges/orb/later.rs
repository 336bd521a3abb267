//! What the orb's guard knows of later steps, and what an earlier job on the same machine may have left for it.

use serde_json::{Value, json};

use super::attacks::{AT_NPM, NPM_KEY};
use super::{Push, Site, Told};

const HONEST: [&str; 2] = ["node_modules", ".cacheseal/npm"];

/// A job that has set variables for later steps, restores npm, and builds with the tool on its PATH.
fn job_after(steps: &[(&str, &str)]) -> Value {
    let mut all = vec![json!("checkout"), json!({ "cacheseal/install": { "binary": "/opt/image/cacheseal" } })];
    all.extend(steps.iter().map(|(name, command)| json!({ "run": { "name": name, "command": command } })));
    all.push(json!({ "cacheseal/restore": { "cache": "npm", "gate": "release", "key": NPM_KEY } }));
    all.push(json!({ "run": { "name": "Build", "command": "npm run build" } }));
    json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "job": { "docker": [{ "image": "cimg/node:lts" }], "steps": all } },
        "workflows": { "main": { "jobs": ["job"] } },
    })
}

fn run(site: &Site, steps: &[(&str, &str)]) -> Told {
    site.run(&Push { config: Some(&job_after(steps)), ..Push::of("main") })
}

/// `CircleCI`'s usual way to have a directory on PATH in later steps: here one that nothing else has the guard watch.
const TOOLS: (&str, &str) = (
    "Tools",
    "mkdir -p /dev/shm/tools/bin && echo 'echo tools' >/dev/shm/tools/bin/tool && chmod +x /dev/shm/tools/bin/tool
     echo 'export PATH=/dev/shm/tools/bin:$PATH' >>\"$BASH_ENV\"",
);

/// The restore writes into a directory that only later steps have on PATH.
#[test]
fn a_program_in_a_directory_that_bash_env_puts_on_path() {
    let site = Site::sealed();
    site.poison("program /dev/shm/tools/bin/npm \"$sh\"", &[&HONEST[..], &["/dev/shm/tools/bin/npm"]].concat());
    let told = run(&site, &[TOOLS]);
    told.job("job").stopped_at(AT_NPM, 15);
    assert!(!told.job("job").is_owned(), "{}", told.shown());
    assert_eq!(told.job("job").codes("npm"), ["stray-write".to_owned()].into());
    // The orb of before has the guard know its own PATH alone, and the attack works.
    let mut site = site;
    let orb = site.path("orb");
    crate::harness::copy_tree(&site.orb, &orb);
    let script = orb.join("scripts/guard_start.sh");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, text.replace("--environment-of <(later_environment)", "")).unwrap();
    site.orb = orb;
    let told = run(&site, &[TOOLS]);
    assert!(told.job("job").is_owned(), "the attack does not work: {}", told.shown());
}

/// `BASH_ENV` as `CircleCI`'s documents have it, and as files that people write: nothing is refused.
#[test]
fn honest_files_of_bash_env() {
    let site = Site::sealed();
    for lines in [
        "export PATH=/dev/shm/tools/bin:$PATH",
        "export SHA1=$CIRCLE_SHA1\nexport NVM_DIR=\"$HOME/.nvm\"\n[ -s \"$NVM_DIR/nvm.sh\" ] && . \"$NVM_DIR/nvm.sh\"",
        // It says something, reads, leaves a process behind, and defines a function that is exported.
        "echo hello; echo oops >&2; read -r -t 1 || true; sleep 300 >/dev/null 2>&1 & f() { :; }; export -f f; export EMPTY= LINES=$'a\\nb'",
    ] {
        let write = format!("cat >>\"$BASH_ENV\" \\<<'END'\n{lines}\nEND\n");
        let told = run(&site, &[("Variables", &write)]);
        told.expect("success");
        assert!(told.job("job").codes("npm").is_empty(), "{}", told.shown());
    }
}

/// Who does not know the variables of later steps says so, before anything is restored.
#[test]
fn a_file_of_bash_env_that_cannot_be_evaluated_stops_the_job() {
    let site = Site::sealed();
    // The prompt one ends the shell of each later step just so; the other would be waited for in each.
    for line in ["exit 0", "sleep 60"] {
        let told = run(&site, &[("Variables", &format!("echo '{line}' >>\"$BASH_ENV\""))]);
        told.job("job").stopped_at("Wait for the guard", 5);
        let said = &told.job("job").step("Wait for the guard").output;
        assert!(said.contains("error[malformed-environment]") && said.contains("`BASH_ENV`"), "{said}");
    }
}

/// What lies where the guard says that it failed, on a machine that keeps `/opt/cacheseal`.
#[test]
fn what_an_earlier_job_has_left_neither_ends_nor_replaces_the_wait() {
    let site = Site::sealed();
    let leave = |what: &str| format!("cd /opt/cacheseal/reports && {what}");
    for what in [
        "echo 0 >guard-failure",
        "echo 5 >guard-failure; echo 5 >guard-failure.txt",
        "echo precious >~/precious; ln -s ~/precious guard-failure; ln -s ~/precious .guard-failure.new",
        "mkdir -p guard-failure/in; chmod 0 guard-failure/in guard-failure; chmod 0500 .",
    ] {
        let told = run(&site, &[("Left", &leave(what))]);
        told.expect("success");
        let waited = told.job("job").step("Wait for the guard");
        assert!(waited.output.contains("guarding: cache `npm`"), "{}", told.shown());
        // And the guard's own failure is told.
        let full = ("Fill", "mkdir node_modules && echo 1 >node_modules/left.js");
        let told = run(&site, &[("Left", &leave(what)), full]);
        told.job("job").stopped_at("Wait for the guard", 5);
        assert!(
            told.job("job").step("Wait for the guard").output.contains("error[root-not-empty]"),
            "{}",
            told.shown()
        );
        let precious = told.job("job").directory.join("home/circleci/precious");
        assert!(!what.contains("precious") || std::fs::read(precious).unwrap() == b"precious\n");
    }
}

/// The end of a fork's build is asked of `CircleCI`'s agent, whatever is called so on PATH.
#[test]
fn the_agent_is_not_looked_up_on_path() {
    let site = Site::sealed();
    let config = json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "job": { "docker": [{ "image": "cimg/node:lts" }], "steps": [
            "checkout",
            { "run": {
                "name": "Shadow",
                "command": "mkdir -p ~/bin && printf '#!/bin/sh\\n: >/tmp/owned\\n' >~/bin/circleci-agent
                            chmod +x ~/bin/circleci-agent",
            } },
            { "cacheseal/install": { "binary": "/opt/image/cacheseal" } },
            { "cacheseal/guard": { "caches": "npm", "no_restore": true } },
            { "run": { "name": "Install", "command": "npm ci --offline --no-audit --no-fund" } },
            { "cacheseal/save": { "cache": "npm", "key": NPM_KEY } },
        ] } },
        "workflows": { "main": { "jobs": ["job"] } },
    });
    let told = site.run(&Push { config: Some(&config), more: &["--fork", "mallory/app"], ..Push::of("main") });
    told.expect("success");
    assert!(!told.job("job").is_owned(), "{}", told.shown());
    let saved = told.job("job").steps.iter().find(|step| step.kind == "save_cache").unwrap();
    assert_eq!(saved.status, "skipped", "{}", told.shown());
}
