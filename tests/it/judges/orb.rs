//! The orb in a local `CircleCI`: jobs seal, an attacker's job poisons, a release job has to stop before its first build
//! step. What plays `CircleCI` is `tests/orb/`, and so is the sample project.

mod attacks;
mod document;
mod examples;
mod gates;
mod installing;
mod language;
mod later;
mod moving;
mod release;
mod review;
mod scenes;
mod travelling;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{judge, must, text, told};
use crate::harness::{copy_program, copy_tree, key};

/// The restriction of the context with the key, as `docs/CIRCLECI.md` gives it.
const ONLY_MAIN: &str =
    r#"pipeline.git.branch == "main" and not job.ssh.enabled and not (pipeline.config_source starts-with "api")"#;

/// Where attacks leave their mark, in the job's own `/tmp`.
const MARK: &str = "tmp/owned";

/// A pipeline of one job, `job`, that checks out, installs the program and goes on with these steps.
fn one_job<const N: usize>(steps: [Value; N]) -> Value {
    let begin = [json!("checkout"), json!({ "cacheseal/install": { "binary": "/opt/image/cacheseal" } })];
    let steps: Vec<_> = begin.into_iter().chain(steps).collect();
    json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "job": { "docker": [{ "image": "cimg/base:stable" }], "steps": steps } },
        "workflows": { "main": { "jobs": ["job"] } },
    })
}

/// A file of the repository.
fn file(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// A project on the local `CircleCI`: a repository, the caches so far, contexts, and the image of its jobs.
struct Site {
    directory: tempfile::TempDir,
    orb: PathBuf,
}

/// What became of a workflow.
struct Told {
    status: String,
    jobs: Vec<JobTold>,
}

struct JobTold {
    name: String,
    status: String,
    directory: PathBuf,
    steps: Vec<StepTold>,
}

struct StepTold {
    name: String,
    kind: String,
    status: String,
    exit: Option<i64>,
    output: String,
}

/// Who runs a workflow, and from where.
struct Push<'a> {
    config: Option<&'a Value>,
    workflow: &'a str,
    more: &'a [&'a str],
}

impl Push<'_> {
    const fn of(workflow: &str) -> Push<'_> {
        Push { config: None, workflow, more: &[] }
    }
}

impl Site {
    /// A project without anything but an image that has cacheseal and a few crates.
    fn bare() -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap(), orb: file("orb/src") };
        for directory in ["repository", "store", "image"] {
            fs::create_dir(site.path(directory)).unwrap();
        }
        let program = site.path("image/cacheseal");
        copy_program(&program);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        copy_crates(&site.path("image/registry"));
        site.write_context("deps-signing", &json!({ "CACHESEAL_KEY": key("deps").to_line().to_string() }), ONLY_MAIN);
        site
    }

    /// The sample project after two sealed caches: one of an older lockfile, one of today's. Made once.
    fn sealed() -> Self {
        static ONCE: OnceLock<Site> = OnceLock::new();
        let first = ONCE.get_or_init(|| {
            let site = Self::bare();
            site.write_sample();
            site.install_version("0.9.0");
            site.commit("first");
            site.run(&Push::of("seal")).expect("success");
            site.install_version("1.0.0");
            site.commit("second");
            site.run(&Push::of("seal")).expect("success");
            site
        });
        let site = Self { directory: tempfile::tempdir().unwrap(), orb: first.orb.clone() };
        fs::create_dir(site.path("store")).unwrap();
        for directory in ["repository", "image"] {
            must(judge("cp").args(["-a", text(&first.path(directory)), text(&site.path(directory))]));
        }
        for entry in fs::read_dir(first.path("store")).unwrap().chain(fs::read_dir(first.path("")).unwrap()) {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let below = if entry.path().starts_with(first.path("store")) { "store" } else { "" };
                fs::copy(entry.path(), site.path(below).join(entry.file_name())).unwrap();
            }
        }
        site
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn write(&self, below: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn write_context(&self, name: &str, variables: &Value, expression: &str) {
        let context = json!({ "variables": variables, "expression": expression });
        self.write(&format!("{name}.json"), context.to_string());
    }

    /// The files of the sample, its public key and a lockfile for the crates.
    fn write_sample(&self) {
        copy_tree(&file("tests/orb/sample"), &self.path("repository"));
        self.write("repository/keys/deps.pub", key("deps").public().to_pem());
        self.write("repository/Cargo.lock", "version = 4\n");
        self.write("repository/.gitignore", "node_modules\n.cacheseal\ndist\n");
        fs::create_dir(self.path("repository/vendor")).unwrap();
        for package in ["left-0.9.0", "left-1.0.0", "right-2.0.0"] {
            let packed = format!("../packages/{package}");
            must(self.npm().args(["pack", "--silent", &packed]).current_dir(self.path("repository/vendor")));
        }
        must(self.git().args(["init", "-q", "-b", "main"]));
    }

    /// Has the lockfile ask for a version of `left`.
    fn install_version(&self, version: &str) {
        let manifest = fs::read_to_string(file("tests/orb/sample/package.json")).unwrap();
        self.write("repository/package.json", manifest.replace("left-1.0.0", &format!("left-{version}")));
        let lock = self.path("repository/package-lock.json");
        if lock.exists() {
            fs::remove_file(lock).unwrap();
        }
        let mut install = self.npm();
        install.args(["install", "--package-lock-only", "--offline", "--no-audit", "--no-fund", "--silent"]);
        must(install.current_dir(self.path("repository")));
    }

    fn npm(&self) -> Command {
        let mut npm = judge("npm");
        npm.env("npm_config_cache", self.path("npm-cache"));
        npm
    }

    fn git(&self) -> Command {
        let mut git = judge("git");
        git.current_dir(self.path("repository")).env("GIT_CONFIG_GLOBAL", "/dev/null");
        git.args(["-c", "user.name=dev", "-c", "user.email=dev@example.com", "-c", "safe.directory=*"]);
        git
    }

    fn commit(&self, message: &str) {
        must(self.git().args(["add", "--all"]));
        must(self.git().args(["commit", "-q", "-m", message]));
    }

    /// Runs a workflow, of the repository's own configuration or of another.
    fn run(&self, push: &Push) -> Told {
        let output = self.command(push).output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
        Told::of(&json)
    }

    fn command(&self, push: &Push) -> Command {
        let config = match push.config {
            None => self.path("repository/.circleci/config.yml"),
            Some(config) => {
                self.write("config.yml", config.to_string());
                self.path("config.yml")
            }
        };
        let mut command = judge("python3");
        command.arg("-B").arg(file("tests/orb/circleci.py")).arg("run").arg(config);
        command.args(["--workflow", push.workflow, "--image", text(&self.path("image"))]);
        command.args(["--store", text(&self.path("store")), "--repository", text(&self.path("repository"))]);
        command.args(["--orb", &format!("cacheseal/cacheseal={}", text(&self.orb))]);
        for entry in fs::read_dir(self.path("")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.file_stem().unwrap().to_str().unwrap();
                command.args(["--context", &format!("{name}={}", text(&path))]);
            }
        }
        command.args(push.more);
        command
    }
}

impl Told {
    fn of(json: &Value) -> Self {
        let said = |json: &Value, name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let step = |step: &Value| StepTold {
            name: said(step, "name"),
            kind: said(step, "type"),
            status: said(step, "status"),
            exit: step["exit"].as_i64(),
            output: said(step, "output"),
        };
        let job = |job: &Value| JobTold {
            name: said(job, "name"),
            status: said(job, "status"),
            directory: PathBuf::from(said(job, "directory")),
            steps: job["steps"].as_array().unwrap().iter().map(step).collect(),
        };
        Self { status: said(json, "status"), jobs: json["jobs"].as_array().unwrap().iter().map(job).collect() }
    }

    /// Asserts how the workflow ended.
    #[track_caller]
    fn expect(&self, status: &str) {
        assert_eq!(self.status, status, "{}", self.shown());
    }

    #[track_caller]
    fn job(&self, name: &str) -> &JobTold {
        self.jobs.iter().find(|job| job.name == name).unwrap_or_else(|| panic!("no job {name}: {}", self.shown()))
    }

    fn shown(&self) -> String {
        self.jobs.iter().map(JobTold::shown).collect()
    }
}

impl JobTold {
    fn shown(&self) -> String {
        let mut shown = format!("\njob {}: {}\n", self.name, self.status);
        for step in &self.steps {
            let _ = writeln!(shown, "--- {}: {} {:?}\n{}", step.name, step.status, step.exit, step.output);
        }
        shown
    }

    #[track_caller]
    fn step(&self, name: &str) -> &StepTold {
        self.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name}: {}", self.shown()))
    }

    /// Asserts that the job failed in this step with this status, and that no step ran after it but those that store, and
    /// the one that would put a collected cache back, which had nothing to do.
    #[track_caller]
    fn stopped_at(&self, name: &str, exit: i64) {
        let at = self.steps.iter().position(|step| step.name == name).unwrap_or_else(|| panic!("{}", self.shown()));
        let did_nothing = |step: &StepTold| step.name.starts_with("Put the cache") && step.output.is_empty();
        let ran = |step: &&StepTold| step.status != "skipped" && !step.kind.starts_with("store_") && !did_nothing(step);
        let is_as_expected = self.status == "failed"
            && self.steps[..at].iter().all(|step| step.status == "success")
            && self.steps[at].exit == Some(exit)
            && self.steps[at + 1..].iter().find(ran).is_none();
        assert!(is_as_expected, "expected to stop at `{name}` with {exit}: {}", self.shown());
    }

    /// The codes of the refusals in the stored report about a cache.
    fn codes(&self, cache: &str) -> BTreeSet<String> {
        let report = self.directory.join(format!("artifacts/cacheseal/{cache}/report.json"));
        let report = fs::read(&report).unwrap_or_else(|error| panic!("{}: {error}{}", report.display(), self.shown()));
        let report: Value = serde_json::from_slice(&report).unwrap();
        report["refusals"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether the attacker's code ran in this job.
    fn is_owned(&self) -> bool {
        self.directory.join(MARK).exists()
    }
}

/// Three small crates of this machine's Cargo registry, packed and unpacked.
fn copy_crates(to: &Path) {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"));
    let cache = directories(&home.join("registry/cache")).remove(0);
    let index = cache.file_name().unwrap();
    let crates: BTreeSet<PathBuf> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    let unpacked = |path: &Path| home.join("registry/src").join(index).join(path.file_stem().unwrap());
    let small = |path: &&PathBuf| fs::metadata(path).unwrap().len() < 30_000 && unpacked(path).is_dir();
    let chosen: Vec<_> = crates.iter().filter(small).take(3).collect();
    assert_eq!(chosen.len(), 3, "expected a Cargo registry, as building this test fills it");
    for path in chosen {
        let packed = to.join("cache/index.example");
        fs::create_dir_all(&packed).unwrap();
        fs::copy(path, packed.join(path.file_name().unwrap())).unwrap();
        copy_tree(&unpacked(path), &to.join("src/index.example").join(path.file_stem().unwrap()));
    }
}

/// The directories in a directory, in their order.
fn directories(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}
