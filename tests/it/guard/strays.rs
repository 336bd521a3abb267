//! Each way to touch an entry outside the roots.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::Guarded;
use crate::harness::{POLICY, Project};
use crate::rows::some;

/// A home with one of everything that can be touched.
fn furnished() -> Guarded {
    let guarded = Guarded::new();
    let home = guarded.home();
    for (name, text) in [(".bashrc", "# mine\n"), (".npmrc", "a=b\n"), ("tool", "#!/bin/sh\n")] {
        fs::write(home.join(name), text).unwrap();
    }
    fs::create_dir_all(home.join(".config/pip")).unwrap();
    fs::create_dir_all(home.join(".m2/repository")).unwrap();
    fs::write(home.join(".m2/settings.xml"), "<settings/>").unwrap();
    symlink(".npmrc", home.join("link")).unwrap();
    guarded
}

/// What a restore does to home, the place it touches, and what is told of it.
type Touch = (&'static str, &'static str, fn(&std::path::Path), &'static str);

const TOUCHES: [Touch; 15] = [
    ("created", ".profile", |at| fs::write(at, "x").unwrap(), "a regular file: runs at the next shell"),
    ("created, a link", ".netrc", |at| symlink("/nowhere", at).unwrap(), "a symlink: decides with which"),
    ("created, a directory", ".ssh", |at| fs::create_dir(at).unwrap(), "a directory: decides how ssh connects"),
    ("appended to", ".bashrc", |at| append(at), "9 bytes, was 7: runs at the next shell"),
    ("written over, size and times put back", ".npmrc", |at| rewrite(at), "written to, or changed in another way"),
    ("replaced by a file of the same size and times", ".npmrc", |at| replace(at), "another regular file"),
    ("replaced by a link", ".bashrc", |at| relink(at, "/nowhere"), "a symlink, was a regular file"),
    ("a link redirected", "link", |at| relink(at, "elsewhere"), "9 bytes, was 6: lies in home"),
    ("made executable", ".npmrc", |at| chmod(at, 0o755), "mode 0755, was 0644"),
    ("made setuid", "tool", |at| chmod(at, 0o4755), "mode 4755, was 0644"),
    ("a directory opened to others", ".m2", |at| chmod(at, 0o777), "mode 0777, was 0755"),
    ("removed", ".npmrc", |at| fs::remove_file(at).unwrap(), "nothing: what was there decides where npm"),
    (
        "a directory removed",
        ".config/pip",
        |at| fs::remove_dir(at).unwrap(),
        "nothing: what was there decides where pip",
    ),
    ("a file became a directory", ".npmrc", |at| become_directory(at), "a directory, was a regular file"),
    ("another name for it", ".bashrc", |at| fs::hard_link(at, at.with_file_name("x")).unwrap(), "written to, or"),
];

fn append(at: &std::path::Path) {
    let text = fs::read_to_string(at).unwrap();
    fs::write(at, text + "x\n").unwrap();
}

fn times(at: &std::path::Path) -> FileTimes {
    FileTimes::new().set_modified(fs::metadata(at).unwrap().modified().unwrap())
}

fn rewrite(at: &std::path::Path) {
    let times = times(at);
    fs::write(at, "c=d\n").unwrap();
    File::options().write(true).open(at).unwrap().set_times(times).unwrap();
}

fn replace(at: &std::path::Path) {
    let times = times(at);
    let other = at.with_file_name("other");
    fs::write(&other, "c=d\n").unwrap();
    File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
    fs::rename(other, at).unwrap();
}

fn relink(at: &std::path::Path, target: &str) {
    fs::remove_file(at).unwrap();
    symlink(target, at).unwrap();
}

fn chmod(at: &std::path::Path, mode: u32) {
    fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
}

fn become_directory(at: &std::path::Path) {
    fs::remove_file(at).unwrap();
    fs::create_dir(at).unwrap();
}

#[test]
fn every_touch_of_home_is_refused() {
    for (touch, place, act, told) in some(TOUCHES) {
        let guarded = furnished();
        guarded.start(&[]);
        guarded.restore();
        guarded.verify_guarded(&[]).expect_of(touch, 0, &[]);
        guarded.check().expect_of(touch, 0, &[]);
        let at = guarded.canonical_home().join(place);
        act(&at);
        let checked = guarded.check();
        checked.expect_of(touch, 15, &["stray-write"]);
        let found = checked.found(&at);
        assert!(found.contains(told), "{touch}: {found}");
        // A look says so every time, and a verdict with it.
        guarded.verify_guarded(&[]).expect_of(touch, 15, &["stray-write"]);
        guarded.check().expect_of(touch, 15, &["stray-write"]);
    }
}

#[test]
fn a_restore_into_roots_and_seal_is_none() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.check().expect(0, &[]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.check().expect(0, &[]);
    guarded.write(".cacheseal/other/seal.json", "{}");
    let checked = guarded.check();
    checked.expect(15, &["stray-write"]);
    let seals = guarded.canonical_root().join(".cacheseal/other");
    assert_eq!(
        checked.places(),
        [seals.clone(), seals.join("seal.json")].map(|path| path.to_str().unwrap().to_owned()).into()
    );
}

#[test]
fn directories_on_the_way_to_a_root_come_with_it() {
    let policy = POLICY.replace("\"~/store\"", "\"~/a/b/store\"");
    let guarded = Guarded::of(Project::empty(&policy));
    guarded.start(&[]);
    fs::create_dir_all(guarded.home().join("a/b/store")).unwrap();
    guarded.check().expect(0, &[]);
    // What else is in them does not.
    fs::write(guarded.home().join("a/b/config"), "").unwrap();
    let checked = guarded.check();
    checked.expect(15, &["stray-write"]);
    assert_eq!(checked.places(), [format!("{}/a/b/config", guarded.canonical_home().display())].into());
    fs::remove_file(guarded.home().join("a/b/config")).unwrap();
    guarded.check().expect(0, &[]);
    // Nor does a symlink in the place of one.
    fs::rename(guarded.home().join("a"), guarded.home().join("store-of-others")).unwrap();
    symlink("store-of-others", guarded.home().join("a")).unwrap();
    let found = guarded.check().found(&guarded.canonical_home().join("a"));
    assert!(found.starts_with("a symlink"), "{found}");
}

#[test]
fn every_entry_of_a_planted_directory_is_named() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    let hidden = guarded.canonical_home().join(".config/pip");
    fs::create_dir_all(&hidden).unwrap();
    fs::write(hidden.join("pip.conf"), "[global]\n").unwrap();
    let checked = guarded.check();
    checked.expect(15, &["stray-write"]);
    let paths =
        [hidden.parent().unwrap(), &hidden, &hidden.join("pip.conf")].map(|path| path.to_str().unwrap().to_owned());
    assert_eq!(checked.places(), paths.into());
}

#[test]
fn report_only_lists_and_decides_nothing() {
    let guarded = Guarded::new();
    guarded.start(&["--report-only"]);
    guarded.restore();
    let planted = guarded.canonical_home().join(".bashrc");
    fs::write(&planted, "x").unwrap();
    guarded.write("cacheseal.toml", POLICY.replace("7d", "8d"));
    let checked = guarded.check();
    checked.expect(0, &[]);
    assert_eq!(checked.json["verdict"], "reported");
    assert_eq!(checked.found(&planted), "a regular file: runs at the next shell");
    let verified = guarded.verify_guarded(&[]);
    verified.expect(0, &[]);
    assert_eq!(verified.found(&planted), "a regular file: runs at the next shell");
    let text = guarded.run(&["guard", "check"]);
    assert_eq!(text.code, Some(0));
    assert!(text.stdout.starts_with("reported: 2 stray writes outside the roots of `deps`\n"), "{}", text.stdout);
    assert!(text.stdout.contains("\ncandidate[stray-write]: "), "{}", text.stdout);
}

#[test]
fn a_single_check_may_report_only() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    let planted = guarded.canonical_home().join(".bashrc");
    fs::write(&planted, "x").unwrap();
    let checked = guarded.json(&["guard", "check", "--report-only"]);
    checked.expect(0, &[]);
    assert_eq!(checked.found(&planted), "a regular file: runs at the next shell");
    guarded.check().expect(15, &["stray-write", "unverified-roots"]);
    guarded.verify_guarded(&[]).expect(15, &["stray-write"]);
}

#[test]
fn a_hostile_name_cannot_forge_a_report() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    fs::write(guarded.home().join("x\nclean: \u{1b}[1A\u{202e}"), "").unwrap();
    let run = guarded.run(&["guard", "check"]);
    assert_eq!(run.code, Some(15));
    assert!(run.stdout.contains("/x\\nclean: \\u{1b}[1A\\u{202e}\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("\nclean"), "{}", run.stdout);
}
