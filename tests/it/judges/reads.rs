//! What a verify reads, as strace tells it: every byte of every file, each time, and nothing that was not sealed.

use std::collections::BTreeMap;
use std::fs;

use super::{judge, text};
use crate::harness::{Project, Run};

/// Bytes that a run of `verify` read of each file below home, by path, and the exit status.
fn read_by_verify(project: &Project) -> (BTreeMap<String, u64>, Option<i32>) {
    // A file for each thread: in one, calls would be torn.
    let traces = tempfile::tempdir().unwrap();
    let mut command = judge("strace");
    command.args(["-ff", "-qq", "-y", "-s", "0", "-e", "trace=read,readv,pread64,preadv,preadv2,mmap"]);
    command.arg("-o").arg(traces.path().join("trace")).arg(env!("CARGO_BIN_EXE_cacheseal"));
    command.args(["verify", "deps", "--gate", "any", "--trust-checkout"]);
    command.current_dir(project.root()).env_clear().env("HOME", project.home());
    let run = Run::of(command.output().unwrap());
    let mut read = BTreeMap::new();
    let places = [text(&project.path("deps")).to_owned(), text(&project.home().join("store")).to_owned()];
    let trace = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.unwrap().path()).unwrap();
    for line in fs::read_dir(traces.path()).unwrap().map(trace).collect::<String>().lines() {
        let Some((path, rest)) = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')) else { continue };
        if places.iter().any(|place| path.starts_with(place)) {
            assert!(line.starts_with("read(") || line.starts_with("pread64("), "{line}");
            let bytes: u64 = rest.rsplit_once("= ").unwrap().1.parse().unwrap();
            *read.entry(path.to_owned()).or_default() += bytes;
        }
    }
    (read, run.code)
}

/// The files in the roots that have bytes, and how many.
fn sizes(project: &Project) -> BTreeMap<String, u64> {
    let mut waiting = vec![project.path("deps"), project.home().join("store")];
    let mut sizes = BTreeMap::new();
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.is_file() && metadata.len() > 0 {
            sizes.insert(text(&path).to_owned(), metadata.len());
        }
    }
    sizes
}

#[test]
fn every_byte_of_every_file_is_read_on_every_verify() {
    let project = Project::new();
    project.write("deps/large", vec![7; 5 << 20]);
    project.seal();
    let sizes = sizes(&project);
    assert!(sizes.len() > 5, "{sizes:?}");
    // What an earlier run found is not remembered.
    for _ in 0..3 {
        assert_eq!(read_by_verify(&project), (sizes.clone(), Some(0)));
    }
    // What was not sealed is told and left unread.
    project.write("deps/added", "x");
    assert_eq!(read_by_verify(&project), (sizes, Some(11)));
}
