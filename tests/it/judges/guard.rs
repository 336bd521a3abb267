//! strace watches a guard: it writes to no file, talks to nobody outside of this machine, and opens nothing of what it
//! watches but directories.

use std::fs;
use std::process::Stdio;

use super::judge;
use crate::harness::Project;

#[test]
fn a_guard_writes_nothing_and_reads_only_what_it_must() {
    let project = Project::new();
    project.seal();
    let kept = project.outside("kept");
    fs::create_dir(&kept).unwrap();
    fs::rename(project.path("deps"), kept.join("deps")).unwrap();
    fs::rename(project.home().join("store"), kept.join("store")).unwrap();
    fs::rename(project.path(".cacheseal"), kept.join("seals")).unwrap();
    fs::write(project.home().join(".bashrc"), "# secret\n").unwrap();
    let trace = project.outside("trace");
    let mut guard = judge("strace");
    guard.args(["-f", "-o", trace.to_str().unwrap(), "-e", "trace=%network,%file,execve"]);
    guard.arg(env!("CARGO_BIN_EXE_cacheseal")).args(["guard", "start", "deps", "--foreground"]);
    guard.current_dir(project.root()).env_clear().env("HOME", project.home()).stdout(Stdio::null());
    let mut guard = guard.spawn().unwrap();
    project.json(&["guard", "wait", "--timeout", "60"]).expect(0, &[]);
    fs::rename(kept.join("deps"), project.path("deps")).unwrap();
    fs::rename(kept.join("store"), project.home().join("store")).unwrap();
    fs::rename(kept.join("seals"), project.path(".cacheseal")).unwrap();
    // Of the rest of this machine, others may write to it meanwhile.
    let verdict = project.json(&["verify", "deps", "--gate", "exact", "--guard"]);
    assert!(verdict.json["seal"].is_object(), "{:#}", verdict.json);
    project.json(&["guard", "check", "--report-only"]).expect(0, &[]);
    project.json(&["guard", "stop"]).expect(0, &[]);
    assert!(guard.wait().unwrap().success());
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("socket(AF_UNIX"), "{trace}");
    for line in trace.lines() {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        let name = call.split('(').next().unwrap();
        let leads_out = name.starts_with("socket") && !call.contains("AF_UNIX");
        let writes = call.contains("O_WRONLY") || call.contains("O_RDWR") || call.contains("O_CREAT");
        let changes = ["mkdir", "unlink", "rename", "link", "symlink", "chmod", "chown", "truncate", "mknod", "utime"];
        let changes = changes.iter().any(|change| name.starts_with(change) || name.starts_with(&format!("f{change}")));
        let reads_home = name.starts_with("open") && call.contains("bashrc");
        assert!(!leads_out && !writes && !changes && !reads_home, "{line}");
    }
}
