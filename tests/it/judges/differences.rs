//! What a file of many differences costs in memory.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::differences::option;
use crate::harness::Project;

/// What so many differences may cost beside the same run without the file, KiB.
const SHARE: u64 = 8 << 10;
const MANY: usize = 1_000_000;

/// The most memory that a run took, KiB. It is read while the process waits for somebody to read the rest of its
/// report, which is longer than a pipe.
fn peak(project: &Project, more: &[&str]) -> u64 {
    let mut command = project.command();
    command.args(["verify", "deps", "--gate", "any", "--trust-checkout", "--format", "json", "--threads", "1"]);
    // Else the allocator sets memory aside for each thread, or not, as it comes.
    command.args(more).env("MALLOC_ARENA_MAX", "1").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(11));
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn many_differences_take_no_more_memory_than_a_few() {
    let project = Project::new();
    project.seal();
    let mut manifest = b"#mtree v2.0\n. type=dir mode=0755\n".to_vec();
    (0..MANY).for_each(|at| writeln!(manifest, "./{at:07} type=link link=x").unwrap());
    project.resign_manifest(&manifest, MANY as u64 + 1, 0);
    fs::remove_dir_all(project.path("deps")).unwrap();
    fs::create_dir(project.path("deps")).unwrap();
    let file = project.outside("differences");
    let (without, with) = (peak(&project, &[]), peak(&project, &[&option(&file)]));
    assert!(with <= without + SHARE, "{with} KiB with the file, {without} KiB without");
    let told = fs::read_to_string(&file).unwrap();
    assert!(told.len() as u64 > SHARE << 10, "more than fits into that: {}", told.len());
    assert_eq!(told.lines().collect::<BTreeSet<_>>().len(), MANY);
}
