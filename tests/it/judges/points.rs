//! System calls of a run, one by one: strace counts them, then stops or fails a single one in a run of its own.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{judge, judge_path, text};
use crate::harness::Project;

/// Longer than any run takes; a run that is ended by it hangs.
const SECONDS_MAX: &str = "60";

/// The status of a run that was ended because it hung.
pub(super) const HUNG: i32 = 124;

/// One system call of a run: the `nth` of its name, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) call: String,
    pub(super) nth: usize,
    /// Its arguments and result, for messages.
    pub(super) line: String,
}

/// Every system call of `cacheseal` with these arguments, in order, whatever its verdict. The first starts the program, the last ends it;
/// neither can fail in any useful way, so both are left out.
pub(super) fn points(project: &Project, arguments: &[&str]) -> Vec<Point> {
    let trace = project.outside("trace");
    traced(project, &["-o", text(&trace)], arguments).output().unwrap();
    let trace = fs::read_to_string(trace).unwrap();
    let mut points: Vec<Point> = Vec::new();
    for line in trace.lines() {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let Some((call, _)) = line.split_once('(') else { continue };
        if call.is_empty() || !call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let nth = points.iter().filter(|point| point.call == call).count() + 1;
        points.push(Point { call: call.to_owned(), nth, line: line.to_owned() });
    }
    points.retain(|point| point.call != "execve" && point.call != "exit_group");
    assert!(points.len() > 100, "strace saw only {} calls", points.len());
    points
}

/// Runs `cacheseal` with `fault`, in strace's words, at one point.
pub(super) fn injected(project: &Project, point: &Point, fault: &str, arguments: &[&str]) -> Output {
    let Point { call, nth, .. } = point;
    let inject = format!("inject={call}:{fault}:when={nth}");
    let strace = ["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
    // Stops only at the calls that are traced, which is faster; but from there the kernel delivers no signal.
    let filter: &[&str] = if fault.starts_with("signal") { &[] } else { &["--seccomp-bpf"] };
    traced(project, &[filter, &strace].concat(), arguments).output().unwrap()
}

fn traced(project: &Project, strace: &[&str], arguments: &[&str]) -> Command {
    let mut command = judge("timeout");
    command.args(["-k", "5", SECONDS_MAX]).arg(judge_path("strace")).args(["-f", "-qq"]).args(strace);
    command.arg(env!("CARGO_BIN_EXE_cacheseal")).args(arguments);
    command.current_dir(project.root()).env_clear().env("HOME", project.home());
    command
}

/// Tries every item on as many threads as there are processors, each with a state of its own. Gives the number of
/// items tried and what went wrong with which.
pub(super) fn sweep<S, T: Sync>(
    items: &[T],
    state: impl Fn() -> S + Sync,
    attempt: impl Fn(&S, &T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let state = state();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = attempt(&state, item) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

/// Fails with the first failures and their number.
#[track_caller]
pub(super) fn assert_no_failures(failures: &[String]) {
    let shown = failures.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} failures, the first:\n{shown}", failures.len());
}

/// System calls of a run with several threads: each name with every number up to the most that one thread makes. strace
/// counts each thread's calls for itself, and acts on all that come to that number; with `once`, on one alone.
pub(super) fn thread_points(project: &Project, arguments: &[&str], once: bool) -> Vec<Point> {
    let trace = project.outside("trace");
    traced(project, &["-o", text(&trace)], arguments).output().unwrap();
    let trace = fs::read_to_string(trace).unwrap();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            *counts.entry((call, thread)).or_default() += 1;
        }
    }
    let mut by_call: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for ((call, _), count) in counts {
        by_call.entry(call).or_default().push(count);
    }
    // The first starts the program, the others end it or a thread; none can fail in any useful way.
    by_call.retain(|call, _| !["execve", "exit_group", "exit"].contains(call));
    let mut points = Vec::new();
    for (call, mut counts) in by_call {
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let others = counts.get(1).copied().unwrap_or(0);
        for nth in if once { others + 1 } else { 1 }..=counts[0] {
            points.push(Point { call: call.to_owned(), nth, line: format!("{call}, number {nth}") });
        }
    }
    points
}
