//! A tree that changes while it is read, rows 70 and 71. One thread turns entries over as fast as it can, between
//! states that are all poisoned; so whatever the walk sees, in whatever mixture, it must not trust.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cacheseal::base::{Algorithm, Limits};
use cacheseal::seal::manifest::Manifest;
use cacheseal::tree::{Comparison, Directory, Expectation, Memory, Options, compare, snapshot};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::forge::{fifo, remove};
use crate::harness::{Project, copy_tree, judged_or_plain};

const ROUNDS: usize = judged_or_plain(300, 80);

fn options() -> Options<'static> {
    Options::new(2, 2, &Limits::STANDARD)
}

fn sealed(root: &Path) -> Manifest {
    let taken = snapshot(Directory::open(root).unwrap(), "deps", Algorithm::Blake3, &options());
    assert!(taken.refusals.is_empty());
    taken.manifest
}

fn look(root: &Path, manifest: &Manifest) -> Comparison {
    let expected = Expectation { spelling: "deps", manifest, links_inside: false, memory: Memory::Nothing };
    compare(Directory::open(root).unwrap(), &expected, &options())
}

/// Verifies again and again while `turn` is called by another thread, and expects no verdict but these codes, and
/// never none of them.
fn never_trusted(root: &Path, manifest: &Manifest, turn: impl Fn(usize) + Sync, codes: &[&str]) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                turn(round);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let verdicts: Vec<_> = (0..ROUNDS).map(|_| look(root, manifest)).collect();
        stop.store(true, Ordering::Relaxed);
        for verdict in verdicts {
            let found: BTreeSet<_> = verdict.refusals.counts().map(|(code, _)| code.as_str()).collect();
            assert!(!found.is_empty(), "trusted");
            assert!(found.iter().all(|code| codes.contains(code)), "{found:?}");
            // Outside, there is a file that no manifest names.
            assert!(verdict.refusals.iter().all(|refusal| !refusal.place.ends_with(b"outside")), "{verdict:?}");
        }
    });
}

/// Both names exist at every moment, each as one of the two.
fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

/// Row 70: two contents, both wrong, both of the sealed size.
#[test]
fn a_file_that_is_swapped_is_never_trusted() {
    let project = Project::new();
    let (root, manifest) = (project.path("deps"), sealed(&project.path("deps")));
    let (inside, outside) = (project.path("deps/pkg/lib/a.js"), project.outside("a.js"));
    fs::write(&inside, "exports.a = 2\n").unwrap();
    fs::write(&outside, "exports.a = 3\n").unwrap();
    never_trusted(&root, &manifest, |_| exchange(&inside, &outside), &["digest-mismatch", "changed-while-read"]);
}

/// Row 70: written in place, grown, truncated. Its bytes are never the sealed ones.
#[test]
fn a_file_that_is_rewritten_is_never_trusted() {
    let project = Project::new();
    let (root, manifest) = (project.path("deps"), sealed(&project.path("deps")));
    let path = project.path("deps/pkg/lib/a.js");
    let turn = |round: usize| match round % 3 {
        0 => fs::write(&path, "exports.a = 2\n").unwrap(),
        1 => fs::write(&path, "exports.a = 2\n".repeat(9_999)).unwrap(),
        _ => fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap(),
    };
    turn(0);
    never_trusted(&root, &manifest, turn, &["digest-mismatch", "changed-while-read"]);
}

/// Row 71: the real directory is poisoned; what the link leads to is a good copy. Only who follows it would trust.
#[test]
fn a_directory_exchanged_with_a_link_is_never_followed() {
    let project = Project::new();
    let (root, manifest) = (project.path("deps"), sealed(&project.path("deps")));
    copy_tree(&project.path("deps/pkg"), &project.outside("good"));
    project.write("deps/pkg/lib/a.js", "exports.a = 2\n");
    project.relink("link", project.outside("good"));
    fs::write(project.outside("good/outside"), "").unwrap();
    let (inside, link) = (project.path("deps/pkg"), project.path("link"));
    let codes = ["digest-mismatch", "type-mismatch", "changed-while-read"];
    never_trusted(&root, &manifest, |_| exchange(&inside, &link), &codes);
}

/// Row 71: the same for one file.
#[test]
fn a_file_exchanged_with_a_link_or_a_fifo_is_never_followed() {
    let project = Project::new();
    let (root, manifest) = (project.path("deps"), sealed(&project.path("deps")));
    let inside = project.path("deps/pkg/lib/a.js");
    fs::copy(&inside, project.outside("good")).unwrap();
    fs::write(&inside, "exports.a = 2\n").unwrap();
    project.relink("link", project.outside("good"));
    fifo(&project.path("fifo"));
    let (link, pipe) = (project.path("link"), project.path("fifo"));
    let turn = |round: usize| exchange(&inside, if round.is_multiple_of(2) { &link } else { &pipe });
    let codes = ["digest-mismatch", "type-mismatch", "special-file", "changed-while-read"];
    never_trusted(&root, &manifest, turn, &codes);
}

/// Rows 70 and 71: entries that come and go beside a poisoned one.
#[test]
fn a_tree_that_comes_and_goes_is_never_trusted() {
    let project = Project::new();
    let (root, manifest) = (project.path("deps"), sealed(&project.path("deps")));
    project.write("deps/tool", "evil");
    let (lib, extra) = (project.path("deps/pkg/lib"), project.path("deps/extra"));
    let turn = |round: usize| match round % 2 {
        0 => fs::rename(&lib, &extra).unwrap(),
        _ => fs::rename(&extra, &lib).unwrap(),
    };
    let codes = ["digest-mismatch", "extra-entry", "missing-entry", "changed-while-read"];
    never_trusted(&root, &manifest, turn, &codes);
}

/// Row 71: the root itself, under a verifier that opens it by its path component by component.
#[test]
fn a_root_exchanged_with_a_link_is_never_followed() {
    let project = Project::new();
    project.seal_as(crate::harness::SealAs::default());
    copy_tree(&project.path("deps"), &project.outside("good"));
    project.write("deps/tool", "evil");
    project.relink("link", project.outside("good"));
    let (judge, stop) = (project.judge(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange(&project.path("deps"), &project.path("link"));
            }
        });
        let verdicts: Vec<_> = (0..ROUNDS).map(|_| judge.verdict()).collect();
        stop.store(true, Ordering::Relaxed);
        for (exit, codes) in verdicts {
            // It may be exchanged back between the refusal to open it and the look at what it is.
            assert!(exit == 11, "{exit} {codes:?}");
        }
    });
}

/// What stands still again is judged as it stands.
#[test]
fn the_last_state_decides() {
    let project = Project::new();
    let (root, manifest) = (project.path("deps"), sealed(&project.path("deps")));
    let (inside, outside) = (project.path("deps/pkg/lib/a.js"), project.outside("a.js"));
    fs::write(&outside, "exports.a = 2\n").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let turner = scope.spawn(|| {
            let mut turns = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                exchange(&inside, &outside);
                turns += 1;
            }
            turns
        });
        for _ in 0..ROUNDS {
            drop(look(&root, &manifest));
        }
        stop.store(true, Ordering::Relaxed);
        if turner.join().unwrap() % 2 == 1 {
            exchange(&inside, &outside);
        }
    });
    assert!(look(&root, &manifest).refusals.is_empty());
    remove(&inside);
    assert!(!look(&root, &manifest).refusals.is_empty());
}
