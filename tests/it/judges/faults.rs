//! One fault in one system call of `verify`: over a poisoned cache it never leads to trust, over an honest one never
//! to an accusation.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::points::{HUNG, Point, assert_no_failures, injected, points, sweep};
use super::told;
use crate::harness::{Project, SealAs};

/// The strictest gate and the most lenient reading of what is not there; one thread, so that calls come in one order.
const VERIFY: &[&str] = &["verify", "deps", "--gate", "exact", "--trust-checkout", "--allow-miss", "--threads", "1"];

/// Errors of the machine, in strace's words.
const ERRORS: &[&str] = &["error=EIO", "error=EACCES", "error=EMFILE", "error=ENOMEM", "error=EINTR"];

/// The file system denies what is there.
const ABSENT: &str = "error=ENOENT";

/// A read that claims one byte and brings none: worse than a short read, which brings what it claims.
const LYING_READ: &str = "retval=1";

type Poison = fn(&Project);

/// Caches that must be refused whatever fails on the way, and how.
const POISONS: &[(&str, i32, Poison)] = &[
    ("a byte changed", 11, |p| p.write("deps/pkg/lib/a.js", "exports.a = 9\n")),
    ("a file added", 11, |p| p.write("deps/pkg/.npmrc", "x")),
    ("a file removed", 11, |p| fs::remove_file(p.path("deps/tool")).unwrap()),
    ("no seal", 10, |p| fs::remove_dir_all(p.path(".cacheseal")).unwrap()),
    ("sealed by a stranger", 10, |p| p.seal_as(SealAs { key: "other", ..SealAs::default() })),
];

/// Each point with each of these faults that fits it.
fn faults(points: &[Point], of: &[&'static str]) -> Vec<(Point, &'static str)> {
    let fits = |point: &Point, fault: &str| fault != LYING_READ || point.call == "read";
    let pairs = points.iter().flat_map(|point| of.iter().map(|fault| (point.clone(), *fault)));
    pairs.filter(|(point, fault)| fits(point, fault)).collect()
}

/// A library takes this call for one that cannot fail: it panics, before anything is read.
const PANICS: &str = "prlimit64";

/// Calls that no signal interrupts: EINTR is as good as any error there.
const NEVER_INTERRUPTED: &[&str] = &["fcntl", "getcwd", "mmap", "brk"];

/// Runs `verify` with each fault and has each run judged. `usual` is its status without a fault.
fn judge_all(
    what: &str,
    project: &Project,
    faults: &[(Point, &'static str)],
    usual: i32,
    is_fine: impl Fn(&Point, &str, Option<i32>) -> bool + Sync,
) {
    let disturbed = AtomicUsize::new(0);
    let attempt = |(): &(), (point, fault): &(Point, &'static str)| {
        let output = injected(project, point, fault, VERIFY);
        let status = output.status.code();
        disturbed.fetch_add((status != Some(usual)).into(), Ordering::Relaxed);
        let told = || format!("{what}, {fault} at {}: {}", point.line, told(&output));
        if is_fine(point, fault, status) { Ok(()) } else { Err(told()) }
    };
    let failures = sweep(faults, || (), attempt);
    let (runs, disturbed) = (faults.len(), disturbed.into_inner());
    println!("{what}: {runs} runs, {disturbed} of them did not end with {usual}");
    assert_no_failures(&failures);
    assert!(disturbed > runs / 10, "the faults did not reach the program");
}

#[test]
fn no_fault_makes_a_poisoned_cache_trusted() {
    for (what, usual, poison) in POISONS {
        let project = Project::new();
        project.seal();
        poison(&project);
        assert_eq!(project.run(VERIFY).code, Some(*usual), "{what}");
        let faults = faults(&points(&project, VERIFY), &[ERRORS, &[ABSENT, LYING_READ]].concat());
        judge_all(what, &project, &faults, *usual, |point, _, status| match status {
            Some(101) => point.call == PANICS,
            Some(0 | HUNG) => false,
            _ => true,
        });
    }
}

#[test]
fn no_fault_accuses_an_honest_cache() {
    let project = Project::new();
    project.seal();
    let points = points(&project, VERIFY);
    let first_own = points.iter().position(|point| point.call == "getcwd").unwrap();
    let faults = faults(&points[first_own..], ERRORS);
    judge_all("honest", &project, &faults, 0, |point, fault, status| match status {
        Some(0) => true,
        // Nothing was decided, or there was no memory to go on with. Calls that signals interrupt are made again.
        Some(4) | None => fault != "error=EINTR" || NEVER_INTERRUPTED.contains(&&*point.call),
        _ => false,
    });
}
