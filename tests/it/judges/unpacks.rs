//! `unpack` under kill -9, under signals, under faults and on a full disk: all of it or everything as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::points::{Point, assert_no_failures, injected, sweep, thread_points};
use super::{is_root, judge, told};
use crate::harness::Run;
use crate::packed::{Listed, Packed, listed};

/// Unpacks over what is there; the checkout compared, as strict as can be.
const UNPACK: &[&str] = &["unpack", "../a.tar", "--gate", "exact", "--replace", "--format", "json"];

/// What is in the places of roots and seal before a run.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// Nothing, not even the directories above.
    Nothing,
    /// A cache that was sealed, and another tree.
    Old,
}

/// An archive, what comes of it, and what was there before.
struct Judged {
    packed: Packed,
    new: BTreeMap<&'static str, Listed>,
    old: BTreeMap<&'static str, Listed>,
}

/// The places that change, in the order in which they do.
const PLACES: [&str; 3] = ["app/deps", "home/store", "app/.cacheseal/deps"];

impl Judged {
    fn new(before: Before) -> Self {
        let packed = Packed::new();
        fs::write(packed.project.outside("a.tar"), &packed.archive).unwrap();
        let run = packed.project.run(UNPACK);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let mut judged = Self { packed, new: BTreeMap::new(), old: BTreeMap::new() };
        judged.new = judged.state();
        judged.reset(before);
        judged.old = judged.state();
        judged
    }

    fn reset(&self, before: Before) {
        self.packed.clear();
        if let Before::Old = before {
            self.packed.project.write("deps/old/file", "old");
            fs::create_dir(self.packed.home("store")).unwrap();
            fs::write(self.packed.home("store/blob"), "old").unwrap();
            let run = self.packed.project.run_seal();
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            if let Some(seal) = self.old.get(PLACES[2]) {
                // A seal of another second would be another seal.
                let directory = self.packed.path(".cacheseal/deps");
                for (path, (_, _, contents)) in seal {
                    fs::write(directory.join(path), contents).unwrap();
                }
            }
        }
    }

    /// What is in each place; nothing for one that is not there.
    fn state(&self) -> BTreeMap<&'static str, Listed> {
        let at = |place: &'static str| {
            let path = self.packed.project.outside(place);
            path.exists().then(|| (place, listed(&path)))
        };
        PLACES.into_iter().filter_map(at).collect()
    }

    /// Each place is as it was or as it will be, and the seal is new only if all is. Tells how many are new.
    fn is_whole(&self) -> Result<usize, String> {
        let state = self.state();
        let mut new = 0;
        for (index, place) in PLACES.into_iter().enumerate() {
            if state.get(place) == self.new.get(place) && new == index {
                new += 1;
            } else if state.get(place) != self.old.get(place) {
                return Err(format!("{place} is neither old nor new, or new too early: {:?}", state.get(place)));
            }
        }
        if new < PLACES.len() && self.packed.project.run(VERIFY).code == Some(0) && self.new != self.old {
            let is_old = state == self.old;
            if !is_old {
                return Err("trusted while half of it is new".to_owned());
            }
        }
        Ok(new)
    }

    fn is_untouched(&self) -> Result<(), String> {
        let state = self.state();
        if state != self.old {
            return Err(format!("changed: {:?}", state.keys()));
        }
        self.is_clean()
    }

    fn is_clean(&self) -> Result<(), String> {
        let all = self.packed.everything().into_keys();
        let litter: Vec<_> = all.filter(|path| path.to_string_lossy().contains(".cacheseal-")).collect();
        if litter.is_empty() { Ok(()) } else { Err(format!("litter: {litter:?}")) }
    }

    /// A run that is left alone unpacks and takes away what another left.
    fn recovers(&self) -> Result<(), String> {
        let run = self.packed.project.run(UNPACK);
        if run.code != Some(0) {
            return Err(format!("the next run failed: {}{}", run.stdout, run.stderr));
        }
        if self.state() != self.new {
            return Err("the next run left something else".to_owned());
        }
        self.is_clean()
    }
}

const VERIFY: &[&str] = &["verify", "deps", "--gate", "exact", "--trust-checkout"];

fn was_killed(output: &Output) -> bool {
    output.status.signal() == Some(9) || output.status.code() == Some(137)
}

fn all_points(before: Before, once: bool) -> Vec<Point> {
    let judged = Judged::new(before);
    thread_points(&judged.packed.project, UNPACK, once)
}

/// Calls of the allocator and of threads that wait for each other: how many there are is chance, and none writes a file.
const OF_CHANCE: [&str; 7] = ["brk", "futex", "madvise", "mmap", "mprotect", "munmap", "sched_yield"];

#[test]
fn killed_anywhere_each_place_is_old_or_new() {
    for before in [Before::Nothing, Before::Old] {
        let mut points = all_points(before, false);
        points.retain(|point| !OF_CHANCE.contains(&point.call.as_str()));
        let counts = [(); 4].map(|()| AtomicUsize::new(0));
        let failures = sweep(
            &points,
            || Judged::new(before),
            |judged, point| {
                judged.reset(before);
                let told = |failure| format!("{before:?}, killed at {}: {failure}", point.line);
                let output = injected(&judged.packed.project, point, "signal=KILL", UNPACK);
                if !was_killed(&output) {
                    return Err(told(format!("it was not killed: {}", super::told(&output))));
                }
                counts[judged.is_whole().map_err(told)?].fetch_add(1, Ordering::Relaxed);
                judged.recovers().map_err(told)
            },
        );
        println!("{before:?}: killed at {} points, {counts:?} of them with 0 to 3 places new", points.len());
        assert_no_failures(&failures);
        assert!(points.len() >= 150 && counts.iter().all(|count| count.load(Ordering::Relaxed) > 0), "{counts:?}");
    }
}

#[test]
fn signals_leave_all_as_it_was() {
    for before in [Before::Nothing, Before::Old] {
        // The second signal ends it at once.
        let points = all_points(before, true);
        let interrupted = AtomicUsize::new(0);
        let pairs: Vec<_> = points.iter().zip(["signal=TERM", "signal=INT", "signal=HUP"].iter().cycle()).collect();
        let failures = sweep(
            &pairs,
            || Judged::new(before),
            |judged, (point, signal)| {
                judged.reset(before);
                let output = injected(&judged.packed.project, point, signal, UNPACK);
                let failed =
                    |failure: String| format!("{before:?}, {signal} at {}: {failure} {}", point.line, told(&output));
                match output.status.code() {
                    Some(4) if told(&output).contains("\"code\":\"interrupted\"") => {
                        interrupted.fetch_add(1, Ordering::Relaxed);
                        judged.is_untouched().map_err(failed)?;
                    }
                    // It was too late, or just in time: the tree was placed by then.
                    Some(0) => judged.is_clean().map_err(failed)?,
                    // Before it listens.
                    None | Some(129 | 130 | 143) => judged.is_untouched().map_err(failed)?,
                    _ => return Err(failed("another end".to_owned())),
                }
                judged.recovers().map_err(failed)
            },
        );
        let interrupted = interrupted.into_inner();
        println!("{before:?}: signals at {} points, {interrupted} of them told as such", points.len());
        assert_no_failures(&failures);
        assert!(interrupted > 50, "{interrupted}");
    }
}

/// Calls that libraries take for such that cannot fail.
const PANICS: &[&str] = &["geteuid", "getrandom", "prlimit64"];

/// What was staged may still lie there, if taking it away is what failed.
fn is_old(judged: &Judged) -> Result<(), String> {
    match judged.is_whole()? {
        0 => Ok(()),
        new => Err(format!("{new} places are new")),
    }
}

/// An error of any call: unpacked, or everything as it was. Never half, and never a word that is not so.
#[test]
fn a_fault_leaves_all_or_nothing() {
    let points = all_points(Before::Old, false);
    let errors = ["error=EIO", "error=ENOSPC", "error=EACCES", "error=EINTR"];
    // strace fails a call by not making it: whom a thread does not wake, nobody wakes.
    let points: Vec<_> = points.into_iter().filter(|point| point.call != "futex").collect();
    let faults: Vec<_> = points.iter().flat_map(|point| errors.map(|error| (point, error))).collect();
    let ends = std::sync::Mutex::new(BTreeMap::<_, usize>::new());
    let failures = sweep(
        &faults,
        || Judged::new(Before::Old),
        |judged, (point, error)| {
            judged.reset(Before::Old);
            let output = injected(&judged.packed.project, point, error, UNPACK);
            let failed = |failure: String| format!("{error} at {}: {failure} {}", point.line, told(&output));
            *ends.lock().unwrap().entry(output.status.code()).or_default() += 1;
            match output.status.code() {
                // What was replaced may still be there, and is told then.
                Some(0) if judged.state() == judged.new => {}
                // Nothing was decided, or it did not even start, or a library takes the call for one that cannot fail.
                Some(4 | 127) | None => is_old(judged).map_err(failed)?,
                Some(101) if PANICS.contains(&&*point.call) => is_old(judged).map_err(failed)?,
                _ => return Err(failed("another end".to_owned())),
            }
            judged.recovers().map_err(failed)
        },
    );
    println!("faults while unpacking: {} runs, which ended {:?}", faults.len(), ends.into_inner().unwrap());
    assert_no_failures(&failures);
}

/// Unpacks with a home on a file system of its own, which is gone with the run, and copies it out.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o "$1,mode=0755" tmpfs ../home && cp -a ../old-home/. ../home || exit 99
"$2" unpack ../a.tar --gate exact --replace --format json
status=$?
cp -a ../home ../after || exit 99
exit $status"#;

#[test]
fn a_full_disk_leaves_all_as_it_was() {
    for before in [Before::Nothing, Before::Old] {
        let judged = Judged::new(before);
        let outside = |name: &str| judged.packed.project.outside(name);
        assert!(judge("cp").arg("-a").arg(outside("home")).arg(outside("old-home")).status().unwrap().success());
        let home = listed(&outside("home"));
        let mut outcomes = BTreeMap::new();
        let sizes =
            [3, 4, 5, 10, 20, 30, 40, 48, 50, 51, 52, 53, 54, 55, 60, 80].map(|pages| format!("size={}", pages * 4096));
        let inodes = (3..=9).map(|inodes| format!("size=1m,nr_inodes={inodes}"));
        for disk in sizes.into_iter().chain(inodes) {
            judged.reset(before);
            let mut command = judge("unshare");
            command.args(if is_root() { &["-m"][..] } else { &["-Urm"] });
            command.args(["sh", "-c", ON_A_SMALL_DISK, "sh", &disk, env!("CARGO_BIN_EXE_cacheseal")]);
            let output =
                command.current_dir(judged.packed.project.root()).env("HOME", outside("home")).output().unwrap();
            assert!(outside("after").exists(), "{disk}: could not mount a small disk: {}", told(&output));
            let after = listed(&outside("after"));
            fs::remove_dir_all(outside("after")).unwrap();
            let run = Run::of(output);
            *outcomes.entry(run.code).or_insert(0) += 1;
            if run.code == Some(0) {
                assert_eq!(below(&after, "store"), judged.new[PLACES[1]], "{disk}");
                continue;
            }
            assert_eq!(run.code, Some(4), "{disk}: {}", run.stdout);
            assert!(run.stdout.contains("\"unwritable\""), "{disk}: {}", run.stdout);
            assert!(after == home, "{disk}: {:?}", after.keys());
            // What lies on the other disk was written too, and is gone as well.
            for place in [PLACES[0], PLACES[2]] {
                assert_eq!(judged.state().get(place), judged.old.get(place), "{disk}");
            }
            judged.is_clean().unwrap();
        }
        println!("{before:?}, full disks: {outcomes:?}");
        assert!(outcomes[&Some(4)] >= 6 && outcomes[&Some(0)] >= 2, "{outcomes:?}");
    }
}

/// Unpacks over an overlay whose lower layer has the places as `$1` says, and copies what comes of it out.
const ON_AN_OVERLAY: &str = r#"
mount -t tmpfs tmpfs ../disk && mkdir ../disk/lower ../disk/upper ../disk/work || exit 99
mkdir -p ../disk/lower/deps && cp -a . ../disk/lower || exit 99
if [ "$1" = full ]; then echo old >../disk/lower/deps/old; fi
mount -t overlay -o lowerdir=../disk/lower,upperdir=../disk/upper,workdir=../disk/work overlay . && cd "$PWD" || exit 99
"$2" unpack ../a.tar --gate exact $3 --format json || exit
"$2" verify deps --gate exact --trust-checkout || exit 98
ls -A . && ls -A ../home"#;

/// Directories of a lower layer cannot be renamed: an empty one may still be a place, others are left alone.
#[test]
fn images_with_empty_places_are_unpacked_into() {
    for (places, replace, code) in
        [("empty", "", 0), ("empty", "--replace", 0), ("full", "", 5), ("full", "--replace", 4)]
    {
        let judged = Judged::new(Before::Nothing);
        fs::create_dir(judged.packed.project.outside("disk")).unwrap();
        let mut command = judge("unshare");
        command.args(if is_root() { &["-m"][..] } else { &["-Urm"] });
        command.args(["sh", "-c", ON_AN_OVERLAY, "sh", places, env!("CARGO_BIN_EXE_cacheseal"), replace]);
        let home = judged.packed.project.home();
        let output = command.current_dir(judged.packed.project.root()).env("HOME", &home).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{places} {replace}: {}", told(&output));
        if code == 0 {
            assert!(!told(&output).contains("-unpack-"), "{}", told(&output));
        } else {
            // The other places are none of the overlay's.
            assert!(!home.join("store").exists(), "{places} {replace}");
        }
    }
}

fn below(listed: &Listed, directory: &str) -> Listed {
    let entries = listed.iter().filter_map(|(path, entry)| Some((path.strip_prefix(directory).ok()?, entry)));
    entries.filter(|(path, _)| *path != Path::new("")).map(|(path, entry)| (path.to_owned(), entry.clone())).collect()
}
