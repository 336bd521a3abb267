//! `docs/CIRCLECI.md`, followed from nothing as a new user would, with the commands and files that it shows.

use std::fs;

use serde_json::{Value, json};

use super::attacks::NPM_KEY;
use super::{ONLY_MAIN, Push, Site, Told, file, must, text};

/// The blocks of the document that are fenced with exactly this.
fn blocks(fence: &str) -> Vec<String> {
    let document = fs::read_to_string(file("docs/CIRCLECI.md")).unwrap();
    let mut lines = document.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(opened) = line.trim_start().strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| line.trim() != "```").flat_map(|line| [line, "\n"]).collect();
            if opened == fence {
                found.push(block);
            }
        }
    }
    found
}

fn block(fence: &str) -> String {
    let mut found = blocks(fence);
    assert_eq!(found.len(), 1, "{fence}");
    found.remove(0)
}

/// The commands of the first console block.
fn commands() -> Vec<String> {
    blocks("console")[0].lines().map(|line| line.strip_prefix("$ ").unwrap().to_owned()).collect()
}

/// An orb whose releases come from a mirror in the image, since there is no network here.
pub(super) fn released(site: &mut Site) {
    let platform = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let name = format!("cacheseal-1.0.0-linux-{platform}");
    for directory in ["programs", "image/mirror/v1.0.0"] {
        site.write(&format!("{directory}/{name}"), fs::read(env!("CARGO_BIN_EXE_cacheseal")).unwrap());
    }
    let orb = site.path("orb");
    must(std::process::Command::new(file("orb/release")).args(["1.0.0", text(&site.path("programs")), text(&orb)]));
    for element in ["commands/install.yml", "jobs/seal.yml", "jobs/verify.yml"] {
        let path = orb.join(element);
        let before = fs::read_to_string(&path).unwrap();
        let default = "default: https://github.com/cacheseal/cacheseal/releases/download";
        assert!(before.contains(default), "{element}");
        fs::write(&path, before.replace(default, "default: file:///opt/image/mirror")).unwrap();
    }
    site.orb = orb;
}

/// A repository of Node.js that has never heard of cacheseal.
fn fresh() -> Site {
    let mut site = Site::bare();
    released(&mut site);
    for name in ["build.js", "packages"] {
        let to = site.path("repository").join(name);
        let from = file("tests/orb/sample").join(name);
        must(super::judge("cp").args(["-R", text(&from), text(&to)]));
    }
    fs::create_dir(site.path("repository/vendor")).unwrap();
    for package in ["left-1.0.0", "right-2.0.0"] {
        let packed = format!("../packages/{package}");
        must(site.npm().args(["pack", "--silent", &packed]).current_dir(site.path("repository/vendor")));
    }
    site.install_version("1.0.0");
    must(site.git().args(["init", "-q", "-b", "main"]));
    site.commit("an application");
    site
}

impl Site {
    /// Runs a command of the document on the developer's own machine, where cacheseal is on PATH.
    fn developer(&self, command: &str) -> String {
        let mut shell = super::judge("bash");
        let path = std::env::var("PATH").unwrap();
        shell.env("PATH", format!("{}:{path}", text(&self.path("image")))).env("HOME", self.path("developer"));
        shell.args(["-eo", "pipefail", "-c", command]).current_dir(self.path("repository"));
        String::from_utf8(must(&mut shell)).unwrap()
    }

    /// Pushes a tag, and runs what it starts.
    fn release(&self, tag: &str) -> Told {
        must(self.git().args(["tag", tag]));
        self.run(&Push { more: &["--tag", tag], ..Push::of("release") })
    }

    /// Replaces a commented line of the policy by the line of the document that sets the same field.
    fn set_in_policy(&self, line: &str) {
        let field = line.split_whitespace().next().unwrap();
        let policy = fs::read_to_string(self.path("repository/cacheseal.toml")).unwrap();
        let commented = policy.lines().find(|one| one.starts_with(&format!("# {field} = ["))).unwrap();
        self.write("repository/cacheseal.toml", policy.replace(commented, line));
    }
}

#[test]
fn the_document_leads_from_nothing_to_a_green_gate_and_then_to_a_red_one() {
    let site = fresh();
    // 1. A policy and a key.
    let commands = commands();
    fs::create_dir(site.path("developer")).unwrap();
    site.developer(&commands[0]);
    let line = site.developer(&commands[1]);
    for field in block("toml signer").lines() {
        site.set_in_policy(field);
    }
    // 2. A context.
    let expression = block("text expression");
    assert_eq!(expression.trim(), ONLY_MAIN);
    site.write_context("deps-signing", &json!({ "CACHESEAL_KEY": line.trim() }), expression.trim());
    // 3. The jobs.
    site.write("repository/.circleci/config.yml", block("yaml .circleci/config.yml"));
    site.write("repository/.gitignore", "node_modules/\ndist/\n.cacheseal/\n");
    site.commit("seal and verify");
    site.run(&Push::of("main")).expect("success");
    let told = site.release("v0.1.0");
    told.expect("success");
    let gate = "Verify the cache npm at the gate release";
    assert!(
        told.job("release").step(gate).output.contains("trusted: cache `npm` at gate `release`"),
        "{}",
        told.shown()
    );
    // 4. The poisoning, from a branch.
    must(site.git().args(["checkout", "-q", "-b", "drill"]));
    site.write("repository/.circleci/config.yml", block("yaml poison"));
    site.commit("poison");
    site.run(&Push { more: &["--branch", "drill"], ..Push::of("main") }).expect("success");
    must(site.git().args(["checkout", "-q", "main"]));
    let told = site.release("v0.1.1");
    told.job("release").stopped_at(gate, 11);
    assert_eq!(told.job("release").codes("npm"), ["digest-mismatch".to_owned()].into());
    // And the way out.
    site.run(&Push::of("main")).expect("success");
    site.release("v0.1.2").expect("success");
    // 5. In the first days what a cache brings beside its roots is listed, and then it is refused.
    let beside = json!({
        "version": 2.1,
        "jobs": { "poison": { "docker": [{ "image": "cimg/node:22.14" }], "steps": [
            "checkout",
            { "restore_cache": { "key": NPM_KEY } },
            { "run": "echo : >>~/.bashrc" },
            { "save_cache": { "key": format!("{NPM_KEY}-newest"), "paths": ["~/.cacheseal-npm", "~/.bashrc"] } },
        ] } },
        "workflows": { "main": { "jobs": ["poison"] } },
    });
    site.run(&Push { config: Some(&beside), ..Push::of("main") }).expect("success");
    let told = site.release("v0.1.3");
    told.expect("success");
    let report = told.job("release").directory.join("artifacts/cacheseal/npm/report.json");
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["candidates"][0]["place"], "/home/circleci/.bashrc", "{report:#}");
    let line = "          report_only: true\n";
    let config = block("yaml .circleci/config.yml");
    assert!(config.contains(line) && fs::read_to_string(file("docs/CIRCLECI.md")).unwrap().contains("take the line"));
    site.write("repository/.circleci/config.yml", config.replace(line, ""));
    site.commit("the gate refuses what is written beside the cache");
    site.release("v0.1.4").job("release").stopped_at(gate, 15);
}

#[test]
fn what_the_document_says_of_other_jobs_compiles() {
    let steps: Vec<_> = blocks("yaml").into_iter().collect();
    assert!(steps.len() >= 3);
    for block in steps {
        let indent = block.len() - block.trim_start().len();
        let indented = |line: &str| ["      ", line.get(indent..).unwrap_or(""), "\n"].concat();
        let steps: String = block.lines().map(indented).collect();
        let config = format!(
            "version: 2.1\norbs:\n  cacheseal: cacheseal/cacheseal@0.1\njobs:\n  job:\n    docker: [{{image: x}}]\n    \
             steps:\n{steps}workflows:\n  main:\n    jobs: [job]\n"
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yml");
        fs::write(&path, &config).unwrap();
        let mut process = super::judge("python3");
        process.arg("-B").arg(file("tests/orb/circleci.py")).arg("process").arg(&path);
        process.args(["--orb", &format!("cacheseal/cacheseal={}", text(&file("orb/src")))]);
        let output = process.output().unwrap();
        assert!(output.status.success(), "{config}{}", super::told(&output));
    }
}

/// What `init` prints for `.circleci/config.yml` is YAML, as a list of steps.
#[test]
fn the_steps_that_init_prints_are_read_as_steps() {
    let project = crate::harness::Project::empty("");
    fs::remove_file(project.path("cacheseal.toml")).unwrap();
    for lockfile in ["Cargo.lock", "package-lock.json"] {
        project.write(lockfile, "x\n");
    }
    let said = project.run(&["init"]).stdout;
    let steps = said.split_once("4. in .circleci/config.yml\n").unwrap().1;
    let path = project.outside("steps.yml");
    fs::write(&path, steps).unwrap();
    let to_json = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let read = must(super::judge("python3").arg("-c").arg(to_json).arg(path));
    let steps: Value = serde_json::from_slice(&read).unwrap();
    let keys = |kind: &str| {
        let found = steps.as_array().unwrap().iter().filter_map(|step| step[kind]["key"].as_str().map(str::to_owned));
        found.collect::<Vec<_>>()
    };
    let expected = ["cargo-v1-{{ checksum \"Cargo.lock\" }}", "npm-v1-{{ checksum \"package-lock.json\" }}"];
    assert_eq!(keys("restore_cache"), expected, "{said}");
    // A key that is taken is never written again, so each seal is saved under one of its own; a restore takes the newest.
    assert_eq!(keys("save_cache"), expected.map(|key| format!("{key}-{{{{ epoch }}}}")), "{said}");
    assert_eq!(steps.as_array().unwrap().iter().filter(|step| !step["run"].is_null()).count(), 6, "{said}");
}
