//! `drill`: the honest directory is trusted and left alone, every tampering of the sample is refused.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use cacheseal::drill::attacks;
use serde_json::Value;

use crate::harness::{Project, Run};

/// Runs `drill` with its temporary directory in the project, and gives the report.
fn drill(project: &Project, arguments: &[&str]) -> (Run, Value) {
    let temporary = project.outside("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = project.command();
    command.env("TMPDIR", &temporary).args(["drill", "--format", "json"]).args(arguments);
    let run = Run::of(command.output().unwrap());
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "the drill left something behind");
    let json = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr));
    (run, json)
}

/// Inode, size, mode and the two times that writing moves, for every entry.
fn state(path: &Path, out: &mut BTreeSet<String>) {
    let stat = fs::symlink_metadata(path).unwrap();
    let times = (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec());
    out.insert(format!("{} {} {} {:o} {times:?}", path.display(), stat.ino(), stat.len(), stat.mode()));
    if stat.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            state(&entry.unwrap().path(), out);
        }
    }
}

#[test]
fn every_tampering_is_refused_for_its_own_reason_and_the_directory_only_read() {
    let project = Project::new();
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    state(&project.root(), &mut before);
    let (run, json) = drill(&project, &["deps"]);
    state(&project.root(), &mut after);
    assert_eq!(before, after);
    assert_eq!(run.code, Some(0), "{json:#}");
    assert_eq!(json["verdict"], "trusted");
    let tamperings = json["tamperings"].as_array().unwrap();
    let attacks: Vec<_> = attacks().iter().map(|attack| attack.what).collect();
    assert!(attacks.len() >= 45, "{}", attacks.len());
    let told: Vec<_> = tamperings.iter().map(|tampering| tampering["tampering"].as_str().unwrap()).collect();
    assert_eq!(told, attacks);
    for tampering in tamperings {
        assert_eq!(tampering["codes"], serde_json::json!([tampering["expected"]]), "{tampering:#}");
        assert!(tampering["exit"].as_u64() >= Some(10), "{tampering:#}");
    }
}

#[test]
fn without_an_argument_it_takes_the_cargo_registry() {
    let project = Project::new();
    let (run, json) = drill(&project, &[]);
    assert_eq!((run.code, json["error"]["code"].as_str()), (Some(3), Some("nothing-to-drill")));
    let registry = project.home().join(".cargo/registry");
    fs::create_dir_all(&registry).unwrap();
    let (run, json) = drill(&project, &[]);
    assert_eq!((run.code, json["error"]["code"].as_str()), (Some(3), Some("nothing-to-drill")));
    fs::write(registry.join("crate"), "bytes").unwrap();
    let (run, json) = drill(&project, &[]);
    assert_eq!(run.code, Some(0), "{json:#}");
    assert_eq!(json["directory"], fs::canonicalize(registry).unwrap().to_str().unwrap());
}

#[test]
fn what_cannot_be_sealed_is_refused_and_told() {
    let project = Project::new();
    let status = std::process::Command::new("mkfifo").arg(project.path("deps/pipe")).status().unwrap();
    assert!(status.success());
    let (run, json) = drill(&project, &["deps"]);
    assert_eq!((run.code, json["verdict"].as_str()), (Some(11), Some("refused")));
}

#[test]
fn it_does_not_work_inside_the_directory_it_reads() {
    let project = Project::new();
    let (run, json) = drill(&project, &[project.outside("").to_str().unwrap()]);
    assert_eq!((run.code, json["error"]["code"].as_str()), (Some(2), Some("usage")));
}

/// Whatever the umask, the sample holds what attempts need and nothing that is refused as it is.
#[test]
fn the_umask_does_not_decide() {
    for umask in ["000", "077"] {
        let project = Project::new();
        let mut command = std::process::Command::new("sh");
        let script = format!("umask {umask}; exec \"$0\" drill deps --format json");
        command.current_dir(project.root()).env_clear().env("HOME", project.home()).env("PATH", env!("PATH"));
        let output = command.args(["-c", &script, env!("CARGO_BIN_EXE_cacheseal")]).output().unwrap();
        let run = Run::of(output);
        assert_eq!(run.code, Some(0), "{umask}: {}", run.stdout);
    }
}
