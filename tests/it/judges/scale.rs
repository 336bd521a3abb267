//! Large, long and deep trees, row 74: sealed and verified as they are, and one change among all is found. Real sizes
//! are for the benches; these are past the limits that careless code has.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use cacheseal::base::Algorithm;

use crate::forge::remove;
use crate::harness::Project;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn open(path: &Path) -> OwnedFd {
    openat(CWD, path, DIRECTORY, Mode::empty()).unwrap()
}

/// Makes directories one in the other, each by its parent's handle: the path is too long for the kernel.
fn nest(mut at: OwnedFd, name: &str, levels: usize) -> OwnedFd {
    for _ in 0..levels {
        mkdirat(&at, name, Mode::RWXU).unwrap();
        at = openat(&at, name, DIRECTORY, Mode::empty()).unwrap();
    }
    at
}

fn write(directory: &OwnedFd, name: &str, contents: &[u8]) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR).unwrap();
    assert_eq!(rustix::io::write(&file, contents).unwrap(), contents.len());
}

/// Deletes the cache by the product's own means: those of the standard library take a handle for each level.
#[track_caller]
fn purge(project: &Project, exit: i32, codes: &[&str]) {
    let verdict = project.verify_with(&["--on-refusal", "purge"]);
    verdict.expect(exit, codes);
    assert_eq!(verdict.json["disposal"], serde_json::json!(["roots and seal were deleted"]));
    let left: Vec<_> = fs::read_dir(project.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().starts_with(".cacheseal-")), "{left:?}");
    assert!(!project.path("deps").exists());
}

#[test]
fn three_thousand_levels_are_verified_to_the_bottom_and_deleted() {
    let project = Project::new();
    let bottom = nest(open(&project.path("deps")), "d", 3_000);
    write(&bottom, "file", b"good");
    project.seal();
    project.verify("any").expect(0, &[]);
    write(&bottom, "file", b"evil");
    write(&bottom, "extra", b"");
    purge(&project, 11, &["digest-mismatch", "extra-entry"]);
}

#[test]
fn paths_longer_than_the_kernel_takes_are_verified() {
    let project = Project::new();
    let long = "n".repeat(255);
    let bottom = nest(open(&project.path("deps")), &long, 40);
    write(&bottom, &long, b"good");
    project.seal();
    project.verify("any").expect(0, &[]);
    write(&bottom, &long, b"evil");
    purge(&project, 11, &["digest-mismatch"]);
}

#[test]
fn a_deep_tree_is_packed_and_comes_back() {
    let project = Project::new();
    // Longer than the kernel takes, and more bytes of names than an archive may expand to.
    let bottom = nest(open(&project.path("deps")), "directory", 3_000);
    write(&bottom, "file", b"good");
    project.seal();
    // Names that repeat take next to nothing when they are compressed, and they are no contents.
    project.json(&["pack", "deps", "-o", "../a.tar.zst"]).expect(0, &[]);
    project.json(&["verify", "--archive", "../a.tar.zst", "--gate", "any"]).expect(0, &[]);
    write(&bottom, "file", b"evil");
    project.json(&["unpack", "../a.tar.zst", "--gate", "any", "--replace"]).expect(0, &[]);
    project.verify("any").expect(0, &[]);
    project.write("deps/extra", "");
    purge(&project, 11, &["extra-entry"]);
}

#[test]
fn beyond_the_limits_nothing_is_sealed_and_additions_are_refused() {
    for (name, levels, code) in [("d".to_owned(), 4_097, "too-deep"), ("n".repeat(255), 260, "path-too-long")] {
        let project = Project::new();
        project.seal();
        let bottom = nest(open(&project.path("deps")), &name, levels);
        write(&bottom, "file", b"x");
        project.try_seal().expect(13, &[code]);
        purge(&project, 11, &["extra-entry"]);
    }
}

#[test]
fn one_change_among_thousands_of_files_is_found() {
    let project = Project::new();
    for directory in 0..100 {
        let path = project.path(&format!("deps/{directory}"));
        fs::create_dir(&path).unwrap();
        for file in 0..200 {
            fs::write(path.join(format!("{file:0>255}")), format!("{directory} {file}")).unwrap();
        }
    }
    project.seal();
    project.verify("any").expect(0, &[]);
    let path = project.path("deps/13").join(format!("{:0>255}", 117));
    fs::write(&path, "14 117").unwrap();
    let verdict = project.verify("any");
    verdict.expect(11, &["digest-mismatch"]);
    assert_eq!(verdict.json["counts"]["digest-mismatch"], 1);
}

/// Threads share what is large. Each part of it counts, and the digest is that of the whole.
#[test]
fn a_change_in_any_part_of_a_large_file_is_found() {
    let project = Project::new();
    let mut bytes: Vec<u8> = (0..251_u8).cycle().take((5 << 20) + 77).collect();
    project.write("deps/large", &bytes);
    project.seal();
    let line =
        format!("./large type=file mode=0644 size={} blake3digest={}\n", bytes.len(), Algorithm::Blake3.digest(&bytes));
    let manifests = ["0.mtree", "1.mtree"].map(|name| fs::read_to_string(project.seal_path().join(name)).unwrap());
    assert!(manifests.concat().contains(&line), "{line}");
    for threads in ["1", "2", "16"] {
        project.verify_with(&["--threads", threads]).expect(0, &[]);
        for at in [0, (1 << 20) - 1, 1 << 20, 3_500_000, 5 << 20, bytes.len() - 1] {
            bytes[at] ^= 1;
            project.write("deps/large", &bytes);
            project.verify_with(&["--threads", threads]).expect_of(at, 11, &["digest-mismatch"]);
            bytes[at] ^= 1;
        }
        project.write("deps/large", &bytes);
    }
}

/// Threads share the entries of one directory. What is missing or added where one share ends and the next begins is
/// told once, as anywhere else.
#[test]
fn differences_between_the_shares_of_a_large_directory_are_told_once() {
    let project = Project::new();
    let name = |number: usize| format!("deps/many/{number:05}");
    for number in (0..3_000).step_by(2) {
        project.write(&name(number), "x");
    }
    project.seal();
    project.verify("any").expect(0, &[]);
    let (mut gone, mut added) = (BTreeSet::new(), BTreeSet::new());
    for at in [0, 510, 511, 512, 513, 1_023, 1_024, 1_025, 1_498, 1_499] {
        remove(&project.path(&name(2 * at)));
        gone.insert(name(2 * at));
        project.write(&name(2 * at + 1), "x");
        added.insert(name(2 * at + 1));
    }
    for threads in ["1", "2", "16"] {
        let verdict = project.verify_with(&["--threads", threads]);
        verdict.expect(11, &["missing-entry", "extra-entry"]);
        let told = |code: &str| {
            let all = verdict.json["refusals"].as_array().unwrap().iter().filter(|refusal| refusal["code"] == code);
            let places: Vec<_> = all.map(|refusal| refusal["place"].as_str().unwrap().to_owned()).collect();
            assert_eq!(places.len(), 10, "{:#}", verdict.json);
            places.into_iter().collect::<BTreeSet<_>>()
        };
        assert_eq!((told("missing-entry"), told("extra-entry")), (gone.clone(), added.clone()));
    }
    // What is sealed of it is the same whoever read which part.
    let manifest = |threads: &str| {
        let key = project.private_key("job");
        let arguments = ["seal", "deps", "--threads", threads, "--key", key.to_str().unwrap()];
        assert_eq!(project.run(&arguments).code, Some(0));
        ["0.mtree", "1.mtree"].map(|name| fs::read(project.seal_path().join(name)).unwrap())
    };
    assert_eq!(manifest("1"), manifest("16"));
}
