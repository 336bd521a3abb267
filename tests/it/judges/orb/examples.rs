//! Every usage example of the orb, run: honest jobs, in which nothing is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::document::released;
use super::review::example;
use super::{Push, Site, file};
use crate::harness::key;

/// What stands for commands that need a network or a tool chain. What builds a file in a root does so here too.
const STAND_INS: &[(&str, &str)] = &[
    ("npm ci", "npm ci --offline --no-audit --no-fund"),
    ("npm test", "test -d node_modules/left"),
    ("npm run build", "npm run build"),
    ("npm publish", "test -s dist/bundle.js"),
    ("cargo fetch --locked", "mkdir -p ~/.cargo && cp -R /opt/image/registry ~/.cargo/registry"),
    ("mkdir -p ~/.cargo/git/db", "mkdir -p ~/.cargo/git/db"),
    ("cargo test", "test -d ~/.cargo/registry/src"),
    ("go test ./...", "test -s ~/go/pkg/mod/module"),
    ("pip install", "mkdir -p ~/.cache/pip && echo wheel >~/.cache/pip/wheel"),
];

const POLICY: &str = r#"version = 1
project = "github.com/acme/app"
[cache.npm]
roots = ["node_modules"]
lockfiles = ["package-lock.json"]
[cache.web]
roots = ["web/node_modules"]
lockfiles = ["web/package-lock.json"]
[cache.cargo]
roots = CARGO
lockfiles = ["server/Cargo.lock"]
[cache.go]
roots = ["~/go/pkg/mod"]
lockfiles = ["go.sum"]
[cache.pip]
roots = ["~/.cache/pip"]
lockfiles = ["requirements.txt"]
[signer.deps-main]
keys = [{ file = "keys/deps.pub" }]
[gate.ci]
require = ["signature"]
signers = ["deps-main"]
max_age = "15d"
[gate.release]
require = ["signature"]
signers = ["deps-main"]
max_age = "7d"
"#;

/// A cache that an example takes as given: name, key, and what fills it.
type Given = (&'static str, &'static str, &'static str);

/// The caches that the examples take as given, by example.
const GIVEN: &[(&str, &[Given])] = &[
    ("go", &[("go", "go-v1-{{ checksum \"go.sum\" }}", "mkdir -p ~/go/pkg/mod && echo module >~/go/pkg/mod/module")]),
    (
        "monorepo",
        &[
            (
                "cargo",
                "cargo-v1-{{ checksum \"server/Cargo.lock\" }}",
                "mkdir -p ~/.cargo && cp -R /opt/image/registry ~/.cargo/registry",
            ),
            (
                "web",
                "web-v1-{{ checksum \"web/package-lock.json\" }}",
                "mkdir -p web/node_modules/left && echo 1 >web/node_modules/left/index.js",
            ),
        ],
    ),
    (
        "release_gate",
        &[("npm", "npm-v1-{{ checksum \"package-lock.json\" }}", "npm ci --offline --no-audit --no-fund")],
    ),
];

/// A project that every example fits.
fn site(name: &str) -> Site {
    let mut site = Site::bare();
    released(&mut site);
    site.write_sample();
    let cargo = if name == "rust" { r#"["~/.cargo/registry", "~/.cargo/git/db"]"# } else { r#"["~/.cargo/registry"]"# };
    site.write("repository/cacheseal.toml", POLICY.replace("CARGO", cargo));
    for lockfile in ["web/package-lock.json", "server/Cargo.lock", "go.sum", "requirements.txt"] {
        site.write(&format!("repository/{lockfile}"), lockfile);
    }
    site.install_version("1.0.0");
    site.commit("an application");
    site.write_context("deps-signing", &json!({ "CACHESEAL_KEY": key("deps").to_line().to_string() }), "");
    site.write_context("cacheseal-revocations", &json!({ "CACHESEAL_REVOKED": "version = 1" }), "");
    site.write_context("npm-publishing", &json!({ "NPM_TOKEN": "secret" }), "");
    site
}

/// Seals and saves a cache.
fn give(site: &Site, (cache, cache_key, fill): Given) {
    let config = json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "give": { "docker": [{ "image": "cimg/base:stable" }], "steps": [
            "checkout",
            "cacheseal/install",
            { "cacheseal/guard": { "caches": cache, "no_restore": true } },
            { "run": fill },
            { "cacheseal/save": { "cache": cache, "key": cache_key } },
        ] } },
        "workflows": { "main": { "jobs": [{ "give": { "context": "deps-signing" } }] } },
    });
    site.run(&Push { config: Some(&config), ..Push::of("main") }).expect("success");
}

/// Puts the stand-ins into every command.
fn stand_in(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(command) if name == "run" => {
                        let stands_for = |command: &str| STAND_INS.iter().find(|(shown, _)| command.starts_with(shown));
                        let parts = command.split(" || ").map(|part| {
                            let part = part.trim_start_matches("cd web && ");
                            let stand_in = stands_for(part).map(|(_, stand_in)| *stand_in);
                            stand_in.or(part.starts_with("test ").then_some(part)).unwrap_or_else(|| panic!("{part}"))
                        });
                        let web = if command.starts_with("cd web") { "cd web && " } else { "" };
                        *command = format!("{web}{}", parts.collect::<Vec<_>>().join(" || "));
                    }
                    value => stand_in(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(stand_in),
        _ => {}
    }
}

#[test]
fn every_usage_example_runs_and_nothing_is_refused() {
    let mut verified = 0;
    for entry in fs::read_dir(file("orb/src/examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let site = site(name);
        let given = GIVEN.iter().filter(|(example, _)| *example == name).flat_map(|(_, caches)| *caches);
        given.for_each(|cache| give(&site, *cache));
        let mut usage = example(&path)["usage"].clone();
        stand_in(&mut usage);
        let workflow = usage["workflows"].as_object().unwrap().keys().next().unwrap().clone();
        let tag: &[&str] = if workflow == "release" { &["--tag", "v1.0.0"] } else { &[] };
        if !tag.is_empty() {
            super::must(site.git().args(["tag", "v1.0.0"]));
        }
        // The second time, what the first has saved is there.
        for time in ["first", "second"] {
            let told = site.run(&Push { config: Some(&usage), workflow: &workflow, more: tag });
            told.expect("success");
            for job in &told.jobs {
                verified += refused_nothing(&job.directory, &format!("{name}, {time}: {}", job.shown()));
            }
        }
    }
    assert!(verified >= 12, "{verified} verifications");
}

/// Holds the reports of a job to it; how many there were.
fn refused_nothing(job: &Path, what: &str) -> usize {
    let Ok(caches) = fs::read_dir(job.join("artifacts/cacheseal")) else { return 0 };
    let reports = caches.map(|cache| {
        let report: Value =
            serde_json::from_slice(&fs::read(cache.unwrap().path().join("report.json")).unwrap()).unwrap();
        let codes: Vec<_> = report["refusals"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
        let is_miss = report["verdict"] == "miss" && codes == [json!("nothing-restored")];
        assert!(is_miss || codes.is_empty() && report["verdict"] == "trusted", "{codes:?} {what}");
    });
    reports.count()
}
