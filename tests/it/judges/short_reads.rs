//! Reads that bring fewer bytes than were asked for, as signals, pipes and network file systems make them: every read
//! of a run is cut by `tests/reference/short_reads.py`. strace can only make a read lie.

use std::fs;

use super::{judge, text};
use crate::harness::{Project, Run};

const CUTTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/short_reads.py");

/// Runs `cacheseal` with every read cut to `at_most` bytes; tells how many were.
fn cut(project: &Project, at_most: usize, arguments: &[&str]) -> (Run, usize) {
    let mut command = judge("python3");
    command.args([CUTTER, &at_most.to_string(), env!("CARGO_BIN_EXE_cacheseal")]).args(arguments);
    command.args(["--threads", "1"]).current_dir(project.root()).env("HOME", project.home());
    let run = Run::of(command.output().unwrap());
    let count = run.stderr.lines().last().and_then(|line| line.parse().ok());
    let count = count.unwrap_or_else(|| panic!("{}{}", run.stdout, run.stderr));
    (run, count)
}

#[test]
fn short_reads_change_no_verdict() {
    let verify = ["verify", "deps", "--gate", "exact", "--trust-checkout"];
    for (at_most, cuts) in [(1, 5_000), (7, 700), (1_000, 5)] {
        let project = Project::new();
        let blob: Vec<u8> = (0..6_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        fs::write(project.home().join("store/blob"), blob).unwrap();
        let key = project.private_key("job");
        let (run, count) = cut(&project, at_most, &["seal", "deps", "--key", text(&key)]);
        assert!(run.code == Some(0) && count >= cuts, "{at_most}: {count} {}{}", run.stdout, run.stderr);
        project.verify("exact").expect(0, &[]);
        let (run, count) = cut(&project, at_most, &verify);
        assert!(run.code == Some(0) && count >= cuts, "{at_most}: {count} {}{}", run.stdout, run.stderr);
        // The last byte of the longest file.
        let mut blob = fs::read(project.home().join("store/blob")).unwrap();
        *blob.last_mut().unwrap() ^= 1;
        fs::write(project.home().join("store/blob"), blob).unwrap();
        let (run, _) = cut(&project, at_most, &verify);
        let changed = run.stdout.contains("refused[digest-mismatch]: ~/store/blob");
        assert!(run.code == Some(11) && changed, "{at_most}: {}{}", run.stdout, run.stderr);
    }
}
