//! `seal` under kill -9, beside itself, and on a full disk: the old seal is there or the new one, whole.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::points::{Point, assert_no_failures, injected, points, sweep};
use super::{is_root, judge, must, text, told};
use crate::harness::{Project, copy_tree};

/// A private key that lies beside the project, and one thread so that calls come in one order.
const SEAL: &[&str] = &["seal", "deps", "--threads", "1", "--key", "../job.key"];

/// The names and contents of the files in a directory; empty if it is not there.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeMap::new() };
    let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    entries.map(|entry| read(entry.unwrap())).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What is below `.cacheseal` before a run.
#[derive(Clone, Copy)]
enum Before {
    /// No seal.
    Nothing,
    /// A seal of the tree as it was.
    Old,
    /// That, and what a killed run left.
    OldAndLitter,
}

/// A project whose tree has changed since `old` was sealed.
struct Changed {
    project: Project,
    old: BTreeMap<String, Vec<u8>>,
}

impl Changed {
    fn new() -> Self {
        let project = Project::new();
        project.seal();
        project.verify("exact").expect(0, &[]);
        let seal = project.path(".cacheseal/deps");
        let old = contents(&seal);
        copy_tree(&seal, &project.outside("old"));
        project.write("deps/pkg/new.js", "exports.fresh = 1\n");
        project.verify("exact").expect(11, &["extra-entry"]);
        Self { project, old }
    }

    fn reset(&self, before: Before) {
        let seals = self.project.path(".cacheseal");
        if seals.exists() {
            fs::remove_dir_all(&seals).unwrap();
        }
        if !matches!(before, Before::Nothing) {
            copy_tree(&self.project.outside("old"), &seals.join("deps"));
        }
        if matches!(before, Before::OldAndLitter) {
            self.project.write(".cacheseal/.staging-deps/0.mtree", "#mtree");
            self.project.write(".cacheseal/.staging-deps/seal.json", "{");
        }
    }

    /// The seal is the one from before, byte for byte, or a whole one of the tree as it is now.
    ///
    /// Tells whether it is the new one.
    fn is_whole(&self, before: Before) -> Result<bool, String> {
        let seal = contents(&self.project.path(".cacheseal/deps"));
        let untouched = match before {
            Before::Nothing => !self.project.path(".cacheseal/deps").exists(),
            Before::Old | Before::OldAndLitter => seal == self.old,
        };
        if untouched { Ok(false) } else { self.is_trusted().map(|()| true) }
    }

    fn is_trusted(&self) -> Result<(), String> {
        let run = self.project.run(&["verify", "deps", "--gate", "exact", "--trust-checkout"]);
        if run.code == Some(0) { Ok(()) } else { Err(format!("{:?} {}{}", run.code, run.stdout, run.stderr)) }
    }

    /// A run that is left alone seals and cleans up.
    fn recovers(&self) -> Result<(), String> {
        let run = self.project.run_seal();
        if run.code != Some(0) {
            return Err(format!("the next seal failed: {}{}", run.stdout, run.stderr));
        }
        self.is_clean()?;
        self.is_trusted()
    }

    fn is_clean(&self) -> Result<(), String> {
        let seals = names(&self.project.path(".cacheseal"));
        let seal = names(&self.project.path(".cacheseal/deps"));
        if seals == ["deps"] && seal == ["0.mtree", "1.mtree", "seal.json"] {
            Ok(())
        } else {
            Err(format!("litter: {seals:?} {seal:?}"))
        }
    }

    fn survives(&self, before: Before, point: &Point) -> Result<bool, String> {
        self.reset(before);
        let output = injected(&self.project, point, "signal=KILL", SEAL);
        if output.status.signal() != Some(9) && output.status.code() != Some(137) {
            return Err(format!("it was not killed: {}", told(&output)));
        }
        let renewed = self.is_whole(before)?;
        self.recovers()?;
        Ok(renewed)
    }
}

#[test]
fn killed_anywhere_a_whole_seal_stays() {
    for (what, before) in
        [("a seal", Before::Old), ("no seal", Before::Nothing), ("a seal and litter", Before::OldAndLitter)]
    {
        let first = Changed::new();
        first.reset(before);
        let points = points(&first.project, SEAL);
        let own = points.iter().position(|point| point.call == "getcwd").unwrap();
        let writing = points.iter().position(|point| point.call == "mkdirat").unwrap();
        // Before the first write, a run knows nothing of the seal that is there: once is enough.
        let from = if matches!(before, Before::Old) { own } else { writing };
        let renewed = AtomicUsize::new(0);
        let failures = sweep(&points[from..], Changed::new, |changed, point| {
            let told = |failure| format!("{what}, killed at {}: {failure}", point.line);
            renewed.fetch_add(changed.survives(before, point).map_err(told)?.into(), Ordering::Relaxed);
            Ok(())
        });
        let (count, renewed, writes) = (points.len() - from, renewed.into_inner(), points.len() - writing);
        println!(
            "{what}: killed at {count} points, {writes} of them while it writes, {renewed} with the new seal in place"
        );
        assert_no_failures(&failures);
        assert!(writes > 60 && (1..writes).contains(&renewed), "{writes} {renewed}");
    }
}

#[test]
fn a_fault_while_writing_leaves_a_whole_seal() {
    let first = Changed::new();
    first.reset(Before::Old);
    let points = points(&first.project, SEAL);
    let writing = points.iter().position(|point| point.call == "mkdirat").unwrap();
    let errors = ["error=EIO", "error=ENOSPC", "error=EINTR"];
    let faults: Vec<_> = points[writing..].iter().flat_map(|point| errors.map(|error| (point, error))).collect();
    let failures = sweep(&faults, Changed::new, |changed, (point, error)| {
        changed.reset(Before::Old);
        let output = injected(&changed.project, point, error, SEAL);
        let failed = |failure| format!("{error} at {}: {failure}\n{}", point.line, told(&output));
        let renewed = changed.is_whole(Before::Old).map_err(failed)?;
        // What it says must be so: sealed is renewed; anything else is an error that it found itself.
        match output.status.code() {
            Some(0) if renewed => {}
            Some(1 | 4) => {}
            _ => return Err(failed(format!("renewed: {renewed}"))),
        }
        changed.recovers().map_err(failed)
    });
    println!("faults while sealing: {} runs", faults.len());
    assert_no_failures(&failures);
}

#[test]
fn two_seals_at_once_leave_one_whole() {
    let changed = Changed::new();
    for round in 0..50 {
        let runs = [(); 2].map(|()| {
            let mut command = changed.project.command();
            let output = std::process::Stdio::piped;
            command.args(SEAL).stdout(output()).stderr(output()).spawn().unwrap()
        });
        for run in runs {
            let output = run.wait_with_output().unwrap();
            assert!(output.status.success(), "round {round}: {}", told(&output));
        }
        changed.is_clean().and_then(|()| changed.is_trusted()).unwrap_or_else(|told| panic!("round {round}: {told}"));
    }
}

/// Seals on a file system of its own, which is gone with the run, and copies `.cacheseal` out of it.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o "$1,mode=0755" tmpfs .cacheseal && cp -a ../old .cacheseal/deps || exit 99
"$2" seal deps --threads 1 --key ../job.key
status=$?
cp -a .cacheseal ../after || exit 99
exit $status"#;

#[test]
fn a_full_disk_leaves_the_old_seal() {
    let changed = Changed::new();
    // Manifests of several pages, so that each size ends in another place.
    for number in 0..200 {
        changed.project.write(&format!("deps/many/{number}"), "");
    }
    let mut outcomes = BTreeMap::new();
    let sizes = (3..=16).map(|pages| format!("size={}", pages * 4096));
    let inodes = (5..=11).map(|inodes| format!("size=1m,nr_inodes={inodes}"));
    for disk in sizes.chain(inodes) {
        changed.reset(Before::Old);
        fs::remove_dir_all(changed.project.path(".cacheseal/deps")).unwrap();
        let after = changed.project.outside("after");
        let mut command = judge("unshare");
        command.args(if is_root() { &["-m"][..] } else { &["-Urm"] }).args(["sh", "-c", ON_A_SMALL_DISK, "sh", &disk]);
        command.arg(env!("CARGO_BIN_EXE_cacheseal")).current_dir(changed.project.root());
        let output = command.env("HOME", changed.project.home()).output().unwrap();
        let code = output.status.code().unwrap();
        *outcomes.entry(code).or_insert(0) += 1;
        assert!(after.exists(), "{disk}: could not mount a small disk: {}", told(&output));
        assert_eq!(names(&after), ["deps"], "{disk}: {}", told(&output));
        if code == 0 {
            must(judge("cp").args(["-a", text(&after.join("deps"))]).arg(changed.project.path(".cacheseal")));
            changed.is_clean().and_then(|()| changed.is_trusted()).unwrap();
        } else {
            assert_eq!(code, 4, "{disk}: {}", told(&output));
            assert!(String::from_utf8_lossy(&output.stderr).starts_with("error[unwritable]"), "{}", told(&output));
            assert_eq!(contents(&after.join("deps")), changed.old, "{disk}");
        }
        fs::remove_dir_all(after).unwrap();
    }
    println!("full disks: {outcomes:?}");
    assert!(outcomes[&4] >= 8 && outcomes[&0] >= 3, "{outcomes:?}");
}
