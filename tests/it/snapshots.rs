//! Whole reports as people and programs get them, one for each class of verdict: a change of wording is seen in review.
//!
//! After a change that is meant, `INSTA_UPDATE=always cargo test --test it snapshots` writes them anew.

use std::fs;

use cacheseal::base::Digest;
use insta::Settings;
use serde_json::{Value, json};

use crate::archives::sample::{Form, Layout};
use crate::archives::stage::Stage;
use crate::archives::tar::file;
use crate::guard::Guarded;
use crate::harness::{Project, Run};
use crate::lockfile::Locked;

const VERIFY: &[&str] = &["verify", "deps", "--gate", "any", "--trust-checkout"];

/// What one run said: exit status, text, and errors if there are any.
fn said(run: &Run) -> String {
    let code = run.code.map_or("none".to_owned(), |code| code.to_string());
    let errors = if run.stderr.is_empty() { String::new() } else { format!("--- errors\n{}", run.stderr) };
    format!("exit {code}\n{}{errors}", run.stdout)
}

/// A report as text and as JSON.
fn report(project: &Project, arguments: &[&str]) -> String {
    let json = project.run(&[arguments, &["--format", "json"]].concat());
    let value: Value = serde_json::from_str(&json.stdout).unwrap();
    let pretty = Run { stdout: serde_json::to_string_pretty(&value).unwrap() + "\n", ..json };
    format!("{}\n{}", said(&project.run(arguments)), said(&pretty))
}

/// Compares with `snapshots/NAME.snap`, but for what differs from run to run and from machine to machine.
#[track_caller]
fn expect(name: &str, project: &Project, report: &str) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let place = fs::canonicalize(project.outside("")).unwrap();
    for (pattern, shown) in [
        (place.to_str().unwrap().replace('.', r"\.").as_str(), "[project]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"\d+ (second|minute)s? ago", "[age] ago"),
        (&format!(r"\b{}\b", env!("CARGO_PKG_VERSION").replace('.', r"\.")), "[version]"),
        (&format!("{os}/{arch}"), "[os]/[arch]"),
        (&format!("\"{os}\""), "\"[os]\""),
        (&format!("\"{arch}\""), "\"[arch]\""),
        // What the machine has that a guard watches, and what its clock and file system vouch for.
        (r#""(watched|recent|touched|unread|untried)": \d+"#, r#""$1": "[number]""#),
        (r"(    \d+ files? (not )?read: .*\n)+", "    [what was read]\n"),
    ] {
        settings.add_filter(pattern, shown);
    }
    settings.bind(|| insta::assert_snapshot!(name, report));
}

fn sealed() -> Project {
    let project = Project::new();
    project.seal();
    project
}

#[track_caller]
fn verified(name: &str, project: &Project) {
    expect(name, project, &report(project, VERIFY));
}

#[test]
fn trusted() {
    verified("trusted", &sealed());
}

#[test]
fn trusted_and_explained() {
    let project = sealed();
    expect("explained", &project, &report(&project, &[VERIFY, &["--explain"]].concat()));
}

#[test]
fn miss() {
    verified("miss", &Project::empty(crate::harness::POLICY));
}

#[test]
fn refused_10_untrusted() {
    let project = sealed();
    project.edit_envelope(|envelope| envelope["signatures"] = json!([]));
    verified("refused-10", &project);
}

#[test]
fn refused_11_changed() {
    let project = sealed();
    project.write("deps/tool", "evil\n");
    project.write("deps/pkg/.npmrc", "x");
    fs::remove_file(project.path("deps/pkg/zero")).unwrap();
    project.chmod("deps/pkg/index.js", 0o4755);
    verified("refused-11", &project);
}

#[test]
fn refused_12_unsafe_archive() {
    let stage = Stage::new();
    let mut draft = stage.sample.draft(Layout::Plain, Form::Ustar, true);
    draft.add([file("../../.bashrc", "evil")]);
    let archive = stage.file(&draft.tar.bytes());
    let verify = ["verify", "--archive", archive.to_str().unwrap(), "--gate", "any"];
    expect("refused-12", &stage.project, &report(&stage.project, &verify));
}

#[test]
fn refused_13_limit() {
    let project = sealed();
    project.edit_envelope(|envelope| envelope["signatures"] = vec![json!({ "sig": "" }); 65].into());
    verified("refused-13", &project);
}

#[test]
fn refused_14_lockfile() {
    const SUMS: &str = ".mvn/checksums/checksums.sha256";
    let locked = Locked::new(&["~/.m2/repository"], SUMS);
    let names = ["a/1/a-1.jar", "b/1/b-1.jar"];
    let digest = Digest::sha256(b"a jar");
    locked.write(SUMS, names.map(|name| format!("{digest}  {name}\n")).concat());
    for (name, contents) in [(names[0], "a jar"), (names[1], "evil"), ("c/1/c-1.jar", "unknown")] {
        locked.write(&format!("~/.m2/repository/{name}"), contents);
    }
    let verify = ["verify", "deps", "--gate", "lock", "--trust-checkout"];
    expect("refused-14", &locked.project, &report(&locked.project, &verify));
}

#[test]
fn refused_15_policy_changed() {
    let project = sealed();
    let pin = "0".repeat(64);
    expect(
        "refused-15",
        &project,
        &report(&project, &["verify", "deps", "--gate", "any", "--policy-sha256", &pin, "--on-refusal", "purge"]),
    );
}

#[test]
fn error_5_policy() {
    let project = sealed();
    project.write("cacheseal.toml", crate::harness::POLICY.replace("max_age", "max_aeg"));
    verified("error-5", &project);
}

#[test]
fn error_2_usage() {
    let project = sealed();
    expect("error-2", &project, &report(&project, &["verify", "deps", "--trust-checkout"]));
}

#[test]
fn archive() {
    let stage = Stage::new();
    let archive = stage.file(&stage.sample.draft(Layout::Circle, Form::Gnu, true).tar.bytes());
    let verify = ["verify", "--archive", archive.to_str().unwrap(), "--gate", "any"];
    expect("archive", &stage.project, &report(&stage.project, &verify));
}

#[test]
fn seal() {
    let project = Project::new();
    let key = project.private_key("job");
    expect("seal", &project, &report(&project, &["seal", "deps", "--key", key.to_str().unwrap()]));
}

#[test]
fn inspect() {
    let project = sealed();
    expect("inspect", &project, &report(&project, &["inspect", ".cacheseal/deps"]));
}

#[test]
fn diff() {
    let project = sealed();
    fs::rename(project.seal_path(), project.outside("older")).unwrap();
    project.write("deps/tool", "newer\n");
    project.write("deps/added", "x");
    fs::remove_file(project.path("deps/pkg/zero")).unwrap();
    project.seal();
    expect("diff", &project, &report(&project, &["diff", "../older", ".cacheseal/deps"]));
}

#[test]
fn drill() {
    let project = Project::new();
    expect("drill", &project, &report(&project, &["drill", "deps"]));
}

#[test]
fn guard_check() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    let quiet = report(&guarded, &["guard", "check"]);
    fs::write(guarded.home().join(".npmrc"), "ignore-scripts=false\n").unwrap();
    let refused = report(&guarded, &["guard", "check"]);
    expect("guard-check", &guarded, &format!("{quiet}\n{refused}"));
}

#[test]
fn guard_recheck() {
    let guarded = Guarded::verified(Project::new(), &[]);
    let same = said(&guarded.run(&["guard", "recheck"]));
    guarded.write("deps/tool", "evil\n");
    expect("guard-recheck", &guarded, &format!("{same}\n{}", report(&guarded, &["guard", "recheck"])));
}
