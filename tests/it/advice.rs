//! What a refusal advises depends on who asks: a job that seals its own files, or one that restores those of another.

use std::fs;

use crate::forge::chmod;
use crate::harness::{POLICY, Project};

/// The last line that a command says.
fn hint(project: &Project, arguments: &[&str]) -> String {
    let run = project.run(arguments);
    assert_ne!(run.code, Some(0), "{arguments:?}");
    run.stdout.lines().chain(run.stderr.lines()).rfind(|line| line.starts_with("hint: ")).unwrap().to_owned()
}

const SEAL: [&str; 4] = ["seal", "deps", "--key", "../job.key"];
const VERIFY: [&str; 5] = ["verify", "deps", "--gate", "any", "--trust-checkout"];

#[test]
fn a_job_that_seals_is_told_what_to_do_with_its_own_files() {
    let project = Project::new();
    chmod(&project.path("deps/pkg/lib/a.js"), 0o4644);
    let said = hint(&project, &SEAL);
    assert!(said.contains("`chmod -R o-w,a-s,-t DIRECTORY`, and seal again"), "{said}");
    chmod(&project.path("deps/pkg/lib/a.js"), 0o644);
    crate::forge::fifo(&project.path("deps/pipe"));
    let said = hint(&project, &SEAL);
    assert!(said.contains("-delete`"), "{said}");
    fs::remove_file(project.path("deps/pipe")).unwrap();
    project.write("cacheseal.toml", POLICY.replacen("keys = [", "refs = [\"refs/heads/main\"]\nkeys = [", 1));
    let said = hint(&project, &SEAL);
    assert!(said.contains("seal in a job that `refs` and `jobs` of the signer allow"), "{said}");
}

#[test]
fn a_genuine_seal_says_that_the_files_were_changed_later() {
    let project = Project::new();
    project.seal();
    chmod(&project.path("deps/pkg/lib/a.js"), 0o666);
    let said = hint(&project, &VERIFY);
    assert!(said.contains("is genuine, but others may write there now"), "{said}");
    // With another difference beside it, the bits are the least of it.
    project.write("deps/evil.js", "");
    let said = hint(&project, &VERIFY);
    assert!(said.contains("is genuine; the files were changed after it"), "{said}");
    assert!(said.contains("change the prefix of the cache key"), "{said}");
}

/// Sealed for one home, restored for another: one line says where nothing was found.
#[test]
fn a_root_that_is_not_there_at_all_is_one_line() {
    let project = Project::new();
    project.seal();
    fs::remove_dir_all(project.path("deps")).unwrap();
    let found = project.json(&VERIFY);
    found.expect(11, &["missing-entry"]);
    assert_eq!(found.json["counts"]["missing-entry"], 1, "{:#}", found.json);
    let said = found.json["refusals"][0]["found"].as_str().unwrap();
    let place = project.canonical_root().join("deps");
    assert_eq!(said, format!("nothing at `{}`", place.display()));
}

/// What is sealed and cannot pass is said by the job that seals.
#[test]
fn hard_links_to_outside_are_told_when_sealing() {
    let project = Project::new();
    fs::hard_link(project.path("deps/pkg/lib/a.js"), project.outside("store")).unwrap();
    let run = project.run(&SEAL);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let warning = "warning: 1 name is of a file with other names outside the roots, which `any`, `exact` will refuse";
    assert!(run.stdout.contains(warning), "{}", run.stdout);
    project.json(&VERIFY).expect(11, &["hardlink-outside"]);
    // A gate that lets them is not named.
    project.write("cacheseal.toml", POLICY.replace("lockfile = \"any\"", "lockfile = \"any\"\nhardlinks = \"any\""));
    let run = project.run(&SEAL);
    assert!(run.stdout.contains("which `exact` will refuse"), "{}", run.stdout);
    project.json(&VERIFY).expect(0, &[]);
}

#[test]
fn every_code_can_be_explained_without_a_network() {
    let project = Project::new();
    let run = project.run(&["explain", "digest-mismatch"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.starts_with("digest-mismatch (exit 11)\n\n"), "{}", run.stdout);
    let json = project.json(&["explain", "stray-write"]);
    assert_eq!((&json.json["code"], &json.json["leadsTo"]), (&"stray-write".into(), &15.into()));
    project.json(&["explain", "digest-mismach"]).expect_error(2, "usage");
    let json = project.json(&["explain", "refused[EXTRA-ENTRY]:"]);
    assert_eq!(json.json["code"], "extra-entry");
    let said = project.run(&["explain", "digest-mismach"]).stderr;
    assert!(said.contains("did you mean `digest-mismatch`?"), "{said}");
}
