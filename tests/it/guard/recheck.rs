//! `guard recheck`: what was verified stays verified.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::Guarded;
use crate::forge::chmod;
use crate::harness::{POLICY, Project, Verdict};

const CODE: &[&str] = &["changed-after-verify"];

impl Guarded {
    fn recheck(&self, more: &[&str]) -> Verdict {
        self.json(&[&["guard", "recheck"], more].concat())
    }

    /// Started, restored and verified, when what was restored is old enough for its stamps to count.
    pub(crate) fn verified(project: Project, more: &[&str]) -> Self {
        let guarded = Self::saved(project);
        guarded.start(&[&["--allow=/dev/shm/*"], more].concat());
        guarded.restore();
        let_the_clock_move_on(guarded.root().parent().unwrap());
        guarded.verify_guarded(&[]).expect(0, &[]);
        guarded
    }
}

/// Waits until the clock of a file system says that 30 milliseconds have passed.
fn let_the_clock_move_on(directory: &Path) {
    let probe = directory.join("probe");
    let time = |number: u64| {
        fs::write(&probe, number.to_string()).unwrap();
        let told = fs::metadata(&probe).unwrap();
        told.ctime() * 1_000_000_000 + told.ctime_nsec()
    };
    let begun = time(0);
    assert!((1..u64::MAX).any(|number| time(number) > begun + 30_000_000));
    fs::remove_file(probe).unwrap();
}

/// File systems of other kinds, as far as this machine has them.
fn places() -> Vec<PathBuf> {
    let places = [std::env::temp_dir(), env!("CARGO_TARGET_TMPDIR").into(), "/dev/shm".into()];
    let mut devices = Vec::new();
    let is_new = |place: &PathBuf| {
        let device = fs::metadata(place).map(|told| told.dev());
        device.is_ok_and(|device| {
            !devices.contains(&device) && {
                devices.push(device);
                true
            }
        })
    };
    places.into_iter().filter(is_new).collect()
}

/// A number of the only cache that was looked at.
fn number(verdict: &Verdict, name: &str) -> u64 {
    verdict.json["caches"][0][name].as_u64().unwrap_or_else(|| panic!("{:#}", verdict.json))
}

/// Files of a filled project.
const FILES: u64 = 6;

/// Something that is done to the roots and undone: what, and the places that are refused meanwhile.
type Deed = (&'static str, fn(&Guarded), fn(&Guarded), &'static [&'static str]);

const DEEDS: &[Deed] = &[
    (
        "other bytes of the same size, times put back",
        |guarded| {
            cacheseal::drill::tampering::change_byte(&guarded.path("deps/pkg/lib/a.js"), 12).unwrap();
        },
        |guarded| guarded.write("deps/pkg/lib/a.js", "exports.a = 1\n"),
        &["deps/pkg/lib/a.js"],
    ),
    (
        "another file of the same size in its place",
        |guarded| {
            guarded.write("other", "exports.a = 9\n");
            fs::rename(guarded.path("other"), guarded.path("deps/pkg/lib/a.js")).unwrap();
        },
        |guarded| guarded.write("deps/pkg/lib/a.js", "exports.a = 1\n"),
        &["deps/pkg/lib/a.js"],
    ),
    (
        "made executable",
        |guarded| mode(&guarded.path("deps/pkg/index.js"), 0o755),
        |guarded| mode(&guarded.path("deps/pkg/index.js"), 0o644),
        &["deps/pkg/index.js"],
    ),
    (
        "a directory opened to others",
        |guarded| mode(&guarded.path("deps/pkg"), 0o777),
        |guarded| mode(&guarded.path("deps/pkg"), 0o755),
        &["deps/pkg"],
    ),
    (
        "another link text",
        |guarded| link_to(guarded, "pkg/lib/a.js"),
        |guarded| link_to(guarded, "pkg/index.js"),
        &["deps/link"],
    ),
    (
        "renamed",
        |guarded| fs::rename(guarded.path("deps/pkg/lib"), guarded.path("deps/pkg/lab")).unwrap(),
        |guarded| fs::rename(guarded.path("deps/pkg/lab"), guarded.path("deps/pkg/lib")).unwrap(),
        &[
            "deps/pkg/lab",
            "deps/pkg/lab/a.js",
            "deps/pkg/lab/b.js",
            "deps/pkg/lib",
            "deps/pkg/lib/a.js",
            "deps/pkg/lib/b.js",
        ],
    ),
    (
        "added",
        |guarded| guarded.write("deps/new/file.js", ""),
        |guarded| fs::remove_dir_all(guarded.path("deps/new")).unwrap(),
        &["deps/new", "deps/new/file.js"],
    ),
    (
        "removed",
        |guarded| fs::remove_file(guarded.path("deps/pkg/zero")).unwrap(),
        |guarded| guarded.write("deps/pkg/zero", ""),
        &["deps/pkg/zero"],
    ),
    (
        "a link in the place of a file",
        |guarded| {
            fs::rename(guarded.path("deps/tool"), guarded.path("tool")).unwrap();
            symlink("../tool", guarded.path("deps/tool")).unwrap();
        },
        |guarded| fs::rename(guarded.path("tool"), guarded.path("deps/tool")).unwrap(),
        &["deps/tool"],
    ),
    (
        "a name outside of the roots",
        |guarded| fs::hard_link(guarded.path("deps/tool"), guarded.path("tool")).unwrap(),
        |guarded| fs::remove_file(guarded.path("tool")).unwrap(),
        &["deps/tool"],
    ),
    (
        "one byte of a large file in the other root",
        |guarded| fs::write(guarded.home().join("store/blob"), [vec![0; 199_999], vec![1]].concat()).unwrap(),
        |guarded| fs::write(guarded.home().join("store/blob"), vec![0; 200_000]).unwrap(),
        &["~/store/blob"],
    ),
    (
        "a root that is a link",
        |guarded| {
            fs::rename(guarded.home().join("store"), guarded.home().join("moved")).unwrap();
            symlink("moved", guarded.home().join("store")).unwrap();
        },
        |guarded| {
            fs::remove_file(guarded.home().join("store")).unwrap();
            fs::rename(guarded.home().join("moved"), guarded.home().join("store")).unwrap();
        },
        &["~/store"],
    ),
    (
        "a root that is gone",
        |guarded| fs::rename(guarded.home().join("store"), guarded.home().join("moved")).unwrap(),
        |guarded| fs::rename(guarded.home().join("moved"), guarded.home().join("store")).unwrap(),
        &["~/store", "~/store/blob"],
    ),
];

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

fn link_to(guarded: &Guarded, target: &str) {
    fs::remove_file(guarded.path("deps/link")).unwrap();
    symlink(target, guarded.path("deps/link")).unwrap();
}

#[test]
fn what_is_not_as_it_was_is_refused_and_what_is_again_passes() {
    for place in places() {
        let project = Project::empty_in(&place, POLICY);
        project.fill();
        let guarded = Guarded::verified(project, &[]);
        let untouched = guarded.recheck(&[]);
        untouched.expect_of(place.display(), 0, &[]);
        assert_eq!(untouched.json["verdict"], "unchanged");
        // Where the file system notes every write nothing is read, else everything.
        let (unread, untried) = (number(&untouched, "unread"), number(&untouched, "untried"));
        assert!([(FILES, 0), (0, FILES)].contains(&(unread, untried)), "{}: {:#}", place.display(), untouched.json);
        for (what, does, undo, places) in DEEDS {
            let row = format!("{}: {what}", place.display());
            does(&guarded);
            let refused = guarded.recheck(&["deps"]);
            refused.expect_of(&row, 11, CODE);
            assert_eq!(refused.places(), places.iter().map(|place| (*place).to_owned()).collect(), "{row}");
            guarded.recheck(&["--full"]).expect_of(&row, 11, CODE);
            undo(&guarded);
            guarded.recheck(&[]).expect_of(&row, 0, &[]);
        }
    }
}

#[test]
fn what_was_touched_is_read_and_passes_with_the_same_bytes() {
    for place in places() {
        let project = Project::empty_in(&place, POLICY);
        project.fill();
        let guarded = Guarded::verified(project, &[]);
        mode(&guarded.path("deps/pkg/index.js"), 0o644);
        guarded.write("deps/pkg/lib/a.js", "exports.a = 1\n");
        guarded.write("deps/pkg/lib/b.new", "exports.b = 2\n");
        fs::rename(guarded.path("deps/pkg/lib/b.new"), guarded.path("deps/pkg/lib/b.js")).unwrap();
        let verdict = guarded.recheck(&[]);
        verdict.expect_of(place.display(), 0, &[]);
        assert_eq!(number(&verdict, "touched"), 3, "{}: {:#}", place.display(), verdict.json);
        assert_eq!(number(&verdict, "unread") + number(&verdict, "untried"), FILES - 3);
        let full = guarded.recheck(&["--full"]);
        full.expect_of(place.display(), 0, &[]);
        assert_eq!((number(&full, "demanded"), number(&full, "entries")), (FILES, 12), "{:#}", full.json);
    }
}

/// A program's store into a mapping, as the kernel makes it.
#[cfg(target_os = "linux")]
mod mapped {
    use std::io::{IoSlice, IoSliceMut};

    use memmap2::{MmapOptions, MmapRaw};
    use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
    use nix::unistd::Pid;

    use super::*;

    fn map(path: &Path) -> MmapRaw {
        let file = fs::File::options().read(true).write(true).open(path).unwrap();
        let map = MmapOptions::new().map_raw(&file).unwrap();
        // A page that was never written through this mapping.
        process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut [0])], &there(&map)).unwrap();
        map
    }

    fn there(map: &MmapRaw) -> [RemoteIoVec; 1] {
        [RemoteIoVec { base: map.as_ptr().addr(), len: 1 }]
    }

    #[test]
    fn a_write_through_a_mapping_is_found() {
        for place in places() {
            for before in [true, false] {
                let row = format!("{} {before}", place.display());
                let project = Project::empty_in(&place, POLICY);
                project.fill();
                let guarded = Guarded::saved(project);
                guarded.start(&["--allow=/dev/shm/*"]);
                guarded.restore();
                let_the_clock_move_on(&guarded.outside(""));
                let path = guarded.path("deps/pkg/index.js");
                let early = before.then(|| map(&path));
                guarded.verify_guarded(&[]).expect_of(&row, 0, &[]);
                let map = early.unwrap_or_else(|| map(&path));
                guarded.recheck(&[]).expect_of(&row, 0, &[]);
                process_vm_writev(Pid::this(), &[IoSlice::new(b"X")], &there(&map)).unwrap();
                guarded.recheck(&[]).expect_of(&row, 11, CODE);
            }
        }
    }
}

#[test]
fn new_entries_pass_where_a_pattern_allows_them_and_nothing_else_does() {
    let guarded = Guarded::verified(Project::new(), &[]);
    guarded.write("deps/target/debug/app", "built\n");
    symlink("app", guarded.path("deps/target/debug/link")).unwrap();
    let refused = guarded.recheck(&["--allow-new", "deps/target/*"]);
    refused.expect(11, CODE);
    assert_eq!(refused.places(), ["deps/target/debug/app", "deps/target/debug/link"].map(str::to_owned).into());
    let allowed = guarded.recheck(&["--allow-new", "none/**", "--allow-new", "deps/target/**"]);
    allowed.expect(0, &[]);
    assert_eq!(number(&allowed, "new"), 4);
    // What was there before is no new entry, whatever matches it.
    guarded.write("deps/pkg/index.js", "module.exports = 2\n");
    fs::remove_file(guarded.path("deps/tool")).unwrap();
    let refused = guarded.recheck(&["--allow-new", "**"]);
    refused.expect(11, CODE);
    assert_eq!(refused.places(), ["deps/pkg/index.js", "deps/tool"].map(str::to_owned).into());
    guarded.recheck(&["--allow-new", "deps/[a]"]).expect_error(2, "usage");
}

#[test]
fn a_root_that_was_sealed_as_absent_is_new_as_a_whole() {
    let project = Project::new();
    fs::remove_dir_all(project.path("deps")).unwrap();
    project.seal();
    let guarded = Guarded::of(project);
    guarded.start(&["--allow-filled"]);
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.recheck(&[]).expect(0, &[]);
    // An empty directory is nothing, as long as others cannot write to it.
    fs::create_dir(guarded.path("deps")).unwrap();
    guarded.recheck(&[]).expect(0, &[]);
    chmod(&guarded.path("deps"), 0o777);
    guarded.recheck(&[]).expect(11, CODE);
    chmod(&guarded.path("deps"), 0o755);
    guarded.write("deps/file", "");
    let refused = guarded.recheck(&[]);
    refused.expect(11, CODE);
    assert_eq!(refused.places(), ["deps", "deps/file"].map(str::to_owned).into());
    guarded.recheck(&["--allow-new", "deps/**"]).expect(0, &[]);
}

#[test]
fn a_guard_that_was_started_anew_knows_nothing_of_it() {
    let guarded = Guarded::verified(Project::new(), &[]);
    guarded.recheck(&[]).expect(0, &[]);
    guarded.json(&["guard", "stop"]).expect(0, &[]);
    guarded.recheck(&[]).expect(15, &["guard-gone"]);
    let process = guarded.start(&["--allow-filled"]);
    guarded.recheck(&[]).expect(15, &["guard-gone"]);
    kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
    guarded.recheck(&["--full"]).expect(15, &["guard-gone"]);
}

#[test]
fn only_a_trusted_verdict_is_kept_and_only_the_last_one() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.recheck(&[]).expect(15, &["guard-gone"]);
    guarded.restore();
    guarded.recheck(&[]).expect(15, &["guard-gone"]);
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.recheck(&[]).expect(0, &[]);
    guarded.write("deps/extra.js", "");
    guarded.verify_guarded(&[]).expect(11, &["extra-entry"]);
    guarded.recheck(&["--allow-new", "**"]).expect(15, &["unverified-roots"]);
    guarded.verify_guarded(&["--on-refusal", "purge"]).expect(11, &["extra-entry"]);
    guarded.recheck(&[]).expect(3, &["nothing-restored"]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.recheck(&[]).expect(0, &[]);
    // With a stray write, what was just verified is not trusted.
    fs::write(guarded.home().join(".npmrc"), "registry=evil").unwrap();
    guarded.verify_guarded(&[]).expect(15, &["stray-write"]);
    guarded.recheck(&[]).expect(15, &["unverified-roots"]);
}

#[test]
fn after_a_miss_there_is_nothing_to_hold_against() {
    let guarded = Guarded::of(Project::empty(POLICY));
    guarded.start(&[]);
    guarded.verify_guarded(&["--allow-miss"]).expect(0, &["nothing-restored"]);
    let miss = guarded.recheck(&[]);
    miss.expect(3, &["nothing-restored"]);
    assert_eq!(miss.json["verdict"], "miss");
}

#[test]
fn what_the_job_has_sealed_is_held_against_its_seal() {
    let guarded = Guarded::verified(Project::new(), &[]);
    guarded.write("deps/pkg/new.js", "installed on top\n");
    guarded.recheck(&[]).expect(11, CODE);
    guarded.seal_guarded(&[]).expect(0, &[]);
    let sealed = guarded.recheck(&[]);
    sealed.expect(0, &[]);
    assert_eq!((number(&sealed, "demanded"), number(&sealed, "unread")), (FILES + 1, 0));
    fs::remove_dir_all(guarded.path(".cacheseal")).unwrap();
    guarded.recheck(&[]).expect(0, &[]);
    guarded.write("deps/pkg/new.js", "installed on tip\n");
    guarded.recheck(&[]).expect(11, CODE);
}

#[test]
fn a_tree_that_was_sealed_elsewhere_is_not_at_the_roots() {
    let guarded = Guarded::of(Project::empty(POLICY));
    let elsewhere = guarded.outside("w");
    let pairs = ["deps", "~/store"].map(|root| format!("{}={root}", elsewhere.join(&root[2..]).display()));
    let pairs = ["--root", &pairs[0], "--root", &pairs[1]];
    guarded.start(&[&["--no-restore"][..], &pairs].concat());
    fs::create_dir_all(elsewhere.join("ps")).unwrap();
    fs::write(elsewhere.join("ps/file"), "").unwrap();
    guarded.seal_guarded(&pairs).expect(0, &[]);
    guarded.recheck(&[]).expect(15, &["unverified-roots"]);
}

#[test]
fn each_cache_is_looked_at_or_those_that_are_named() {
    let more = "\n[cache.other]\nroots = [\"other\"]\n\n[cache.third]\nroots = [\"third\"]\n";
    let project = Project::empty(&format!("{POLICY}{more}"));
    project.fill();
    let guarded = Guarded::saved(project);
    guarded.start(&["other"]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.json(&["verify", "other", "--gate", "any", "--guard", "--allow-miss"]).expect(0, &["nothing-restored"]);
    guarded.recheck(&[]).expect(3, &["nothing-restored"]);
    guarded.recheck(&["deps"]).expect(0, &[]);
    guarded.write("deps/extra.js", "");
    guarded.recheck(&[]).expect(11, &["changed-after-verify", "nothing-restored"]);
    guarded.recheck(&["other"]).expect(3, &["nothing-restored"]);
    guarded.recheck(&["third"]).expect_error(2, "usage");
    guarded.recheck(&["fourth"]).expect_error(5, "unknown-cache");
}

#[test]
fn the_text_says_how_it_was_looked_at() {
    let guarded = Guarded::verified(Project::new(), &[]);
    guarded.write("deps/new.js", "");
    let run = guarded.run(&["guard", "recheck", "--full", "--allow-new", "deps/new.js"]);
    let text = "unchanged: what was verified is as it was\n  cache `deps`, 12 entries\n    6 files read: `--full`, or sealed in this job\n    1 new entry allowed, and not judged\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), text));
    let refused = guarded.run(&["guard", "recheck"]);
    assert!(
        refused.stdout.starts_with("refused: not everything is known to be as it was verified\n"),
        "{}",
        refused.stdout
    );
    let hint = "hint: publish nothing of this job: find out what wrote there, or allow new entries that the build makes with `--allow-new`; `cacheseal explain changed-after-verify` says more\n";
    assert!(refused.stdout.ends_with(hint), "{}", refused.stdout);
}

/// Later steps go by paths: what is at them counts, not what the guard has open.
#[test]
fn another_checkout_or_home_at_the_path_is_not_what_was_verified() {
    let guarded = Guarded::verified(Project::new(), &[]);
    let (app, other) = (guarded.root().clone(), guarded.outside("other"));
    crate::harness::copy_tree(&app, &other);
    let away = guarded.outside("away");
    fs::rename(&app, &away).unwrap();
    fs::rename(&other, &app).unwrap();
    guarded.write("deps/pkg/index.js", "evil\n");
    for more in [&[][..], &["--full"]] {
        guarded.recheck(more).expect(11, CODE);
    }
    fs::rename(&app, &other).unwrap();
    fs::rename(&away, &app).unwrap();
    guarded.recheck(&[]).expect(0, &[]);
    // Home by a link that leads elsewhere now.
    let (home, link) = (guarded.canonical_home(), guarded.outside("home-link"));
    symlink(&home, &link).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = guarded.command();
        command.args(arguments).args(["--format", "json"]).env("HOME", &link);
        crate::harness::Run::of(command.output().unwrap()).verdict()
    };
    guarded.json(&["guard", "stop"]).expect(0, &[]);
    fs::remove_dir_all(guarded.path("deps")).unwrap();
    fs::remove_dir_all(guarded.path(".cacheseal")).unwrap();
    fs::remove_dir_all(home.join("store")).unwrap();
    let start = super::alone();
    run(&start.iter().map(String::as_str).chain(["--allow=/dev/shm/*"]).collect::<Vec<_>>()).expect(0, &[]);
    guarded.restore();
    run(&["verify", "deps", "--gate", "any", "--guard"]).expect(0, &[]);
    run(&["guard", "recheck"]).expect(0, &[]);
    fs::remove_file(&link).unwrap();
    symlink(guarded.outside("cache"), &link).unwrap();
    run(&["guard", "recheck", "--full"]).expect(11, CODE);
}

#[test]
fn a_new_name_of_a_sealed_file_is_inside_if_it_may_be_there() {
    let guarded = Guarded::verified(Project::new(), &[]);
    fs::hard_link(guarded.path("deps/tool"), guarded.path("deps/also")).unwrap();
    guarded.recheck(&["--allow-new", "deps/also"]).expect(0, &[]);
    fs::hard_link(guarded.path("deps/tool"), guarded.path("tool")).unwrap();
    guarded.recheck(&["--allow-new", "deps/also"]).expect(11, CODE);
}
