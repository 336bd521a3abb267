//! Too few handles, no room to write, two jobs at once (rows 72 and 73): never trusted by accident, never half a seal.

use std::fs;
use std::process::{Command, Output};

use cacheseal::base::{Code, Limits};
use cacheseal::cache::SealError;

use crate::harness::{Project, Run, SealAs};

/// Runs the binary under a limit of bash's `ulimit`.
fn limited(project: &Project, limit: &str, arguments: &[&str]) -> Output {
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("bash");
    shell.current_dir(project.root()).env_clear().env("HOME", project.home());
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_cacheseal")]).args(arguments).output().unwrap()
}

const VERIFY: [&str; 5] = ["verify", "deps", "--gate", "any", "--trust-checkout"];

/// Row 72. With few enough, not even the program starts; that is no verdict either.
#[test]
fn without_handles_nothing_is_trusted() {
    let (honest, poisoned) = (Project::new(), Project::new());
    honest.seal();
    poisoned.seal();
    poisoned.write("deps/pkg/lib/a.js", "exports.a = 2\n");
    for handles in 3..24 {
        let run = |project: &Project| limited(project, &format!("-n {handles}"), &VERIFY);
        let found = run(&poisoned);
        assert!(matches!(found.status.code(), Some(4 | 11 | 127)), "{handles}: {found:?}");
        let found = run(&honest);
        assert!(matches!(found.status.code(), Some(0 | 4 | 127)), "{handles}: {found:?}");
    }
}

/// Row 73: killed while it writes, it leaves the old seal as it was, and nothing that stops the next.
#[test]
fn a_seal_that_cannot_be_written_leaves_the_old_one() {
    let project = Project::new();
    project.seal();
    let before = fs::read(project.envelope_path()).unwrap();
    let key = project.private_key("job");
    // No file may take a byte: the first write kills the process.
    let found = limited(&project, "-f 0", &["seal", "deps", "--key", key.to_str().unwrap()]);
    assert!(!found.status.success(), "{found:?}");
    assert_eq!(fs::read(project.envelope_path()).unwrap(), before);
    project.verify("any").expect(0, &[]);
    project.seal();
    project.verify("any").expect(0, &[]);
    expect_one_seal(&project);
}

/// A sealed project to which as many files were added as make a manifest that two threads write; and its seal.
fn long_project() -> (Project, Vec<u8>) {
    let project = Project::new();
    project.seal();
    for number in 0..10_000 {
        fs::write(project.path(&format!("deps/{number:0>100}")), "").unwrap();
    }
    let before = fs::read(project.envelope_path()).unwrap();
    (project, before)
}

/// Row 73. The thread that writes it has no room, at its beginning and later.
#[test]
fn a_long_manifest_that_cannot_be_written_leaves_the_old_seal() {
    let (project, before) = long_project();
    let key = project.private_key("job");
    for kilobytes in [1, 300, 1_500] {
        let limit = format!("-f {kilobytes}; trap '' XFSZ");
        let found = limited(&project, &limit, &["seal", "deps", "--key", key.to_str().unwrap(), "--format", "json"]);
        Run::of(found).verdict().expect_error_of(kilobytes, 4, "unwritable");
        assert_eq!(fs::read(project.envelope_path()).unwrap(), before);
        expect_one_seal(&project);
    }
    project.seal();
    project.verify("any").expect(0, &[]);
}

#[test]
fn a_manifest_that_no_verifier_would_read_is_not_sealed() {
    let (project, _) = long_project();
    project.seal_as(SealAs::default());
    let before = fs::read(project.envelope_path()).unwrap();
    let size = fs::metadata(project.path(".cacheseal/deps/0.mtree")).unwrap().len();
    for manifest_bytes_max in [0, 1 << 20, size - 1] {
        let mut limits = Limits::STANDARD;
        limits.manifest_bytes_max = manifest_bytes_max;
        let Err(SealError::Refused(refusals)) = project.try_seal_as(SealAs::default(), &limits) else {
            panic!("sealed with {manifest_bytes_max}")
        };
        let refusal = refusals.iter().next().unwrap();
        assert_eq!(refusal.code, Code::ManifestTooLarge);
        assert_eq!(refusal.found, format!("it has {size} bytes, more than the limit of {manifest_bytes_max}"));
        assert_eq!(fs::read(project.envelope_path()).unwrap(), before);
        expect_one_seal(&project);
    }
    let mut limits = Limits::STANDARD;
    limits.manifest_bytes_max = size;
    project.try_seal_as(SealAs::default(), &limits).unwrap();
}

/// Row 73: whoever is last wins, whole.
#[test]
fn jobs_that_seal_at_once_leave_one_whole_seal() {
    let project = Project::new();
    for _ in 0..5 {
        let spawn = |key: &str| {
            let mut command = project.command();
            command.args(["seal", "deps", "--key", project.private_key(key).to_str().unwrap()]);
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        for mut child in [spawn("job"), spawn("other"), spawn("job"), spawn("other")] {
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
        let verdict = project.verify("any");
        assert!(matches!(verdict.code, Some(0 | 10)), "{:#}", verdict.json);
        let codes: &[&str] = if verdict.code == Some(0) { &[] } else { &["signer-not-accepted"] };
        verdict.expect(verdict.code.unwrap(), codes);
        expect_one_seal(&project);
    }
}

fn expect_one_seal(project: &Project) {
    let left: Vec<_> =
        fs::read_dir(project.path(".cacheseal")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["deps"]);
}
