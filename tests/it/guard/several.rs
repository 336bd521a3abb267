//! One guard over several caches: only the one that is being verified is exempt from the look.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::Guarded;
use crate::harness::{POLICY, Project, Verdict, copy_tree};
use crate::rows::some;

const MORE: &str = "\n[cache.other]\nroots = [\"other\", \"~/others/store\"]\n";

/// Two caches, sealed and saved: `deps` and `other`.
struct Two(Guarded);

impl Two {
    fn new() -> Self {
        Self::with(MORE)
    }

    fn with(more: &str) -> Self {
        let guarded = Guarded::of(Project::empty(&format!("{POLICY}{more}")));
        guarded.fill();
        guarded.write("other/lib.js", "1");
        guarded.write("../home/others/store/a", "2");
        guarded.seal();
        let two = Self(guarded);
        two.seal("other", &[]).expect(0, &[]);
        let kept = two.kept();
        fs::create_dir_all(&kept).unwrap();
        fs::rename(two.0.path("other"), kept.join("other")).unwrap();
        fs::rename(two.0.home().join("others"), kept.join("others")).unwrap();
        fs::rename(two.0.path(".cacheseal/other"), kept.join("seal")).unwrap();
        two.0.save();
        two
    }

    fn kept(&self) -> PathBuf {
        self.0.outside("kept")
    }

    fn restore_other(&self) {
        copy_tree(&self.kept().join("other"), &self.0.path("other"));
        copy_tree(&self.kept().join("others"), &self.0.home().join("others"));
        copy_tree(&self.kept().join("seal"), &self.0.path(".cacheseal/other"));
    }

    fn seal(&self, cache: &str, more: &[&str]) -> Verdict {
        let key = self.0.private_key("job");
        self.0.json(&[&["seal", cache, "--key", key.to_str().unwrap()], more].concat())
    }

    fn verify(&self, cache: &str, more: &[&str]) -> Verdict {
        self.0.json(&[&["verify", cache, "--gate", "any", "--guard"], more].concat())
    }
}

#[test]
fn each_restore_is_followed_by_its_verification() {
    let two = Two::new();
    two.0.start(&["other"]);
    two.0.restore();
    two.verify("deps", &[]).expect(0, &[]);
    two.restore_other();
    two.verify("other", &[]).expect(0, &[]);
    two.0.check().expect(0, &[]);
    // The job installs on top, and seals both.
    two.0.write("deps/new.js", "");
    two.0.write("other/new.js", "");
    two.seal("deps", &["--guard"]).expect(0, &[]);
    two.seal("other", &["--guard"]).expect(0, &[]);
    two.0.check().expect(0, &[]);
}

#[test]
fn a_restore_before_the_verification_of_another_is_refused() {
    let two = Two::new();
    two.0.start(&["other"]);
    two.0.restore();
    two.restore_other();
    let refused = two.verify("deps", &[]);
    refused.expect(15, &["unverified-roots"]);
    let text = two.0.run(&["guard", "check"]).stdout;
    assert!(text.contains("hint: restore one cache at a time and verify it at once"), "{text}");
}

/// What the archive of `other` may bring into the roots, or the seal, of `deps`.
const PLANTED: [&str; 4] = ["deps/pkg/build.rs", "../home/store/build.rs", ".cacheseal/deps/seal.json", "deps/a/b/c"];

#[test]
fn an_archive_fills_no_other_cache_after_a_miss() {
    for planted in some(PLANTED) {
        let two = Two::new();
        two.0.start(&["other"]);
        two.verify("deps", &["--allow-miss"]).expect_of(planted, 0, &["nothing-restored"]);
        two.restore_other();
        two.0.write(planted, "poison");
        let refused = two.verify("other", &[]);
        refused.expect_of(planted, 15, &["unverified-roots"]);
        let expected = refused.json["refusals"][0]["expected"].as_str().unwrap();
        assert!(expected.contains("found cache `deps` empty"), "{expected}");
        two.0.check().expect_of(planted, 15, &["unverified-roots"]);
        two.seal("deps", &["--guard"]).expect_of(planted, 10, &["unverified-base"]);
    }
}

#[test]
fn an_archive_fills_no_other_cache_after_a_refusal() {
    for planted in some(PLANTED) {
        for action in ["purge", "quarantine"] {
            let two = Two::new();
            two.0.start(&["other"]);
            two.0.restore();
            two.0.write("deps/extra", "");
            two.verify("deps", &["--on-refusal", action]).expect_of(planted, 11, &["extra-entry"]);
            two.restore_other();
            two.0.write(planted, "poison");
            two.verify("other", &[]).expect_of(planted, 15, &["unverified-roots"]);
            two.seal("deps", &["--guard"]).expect_of(planted, 10, &["unverified-base"]);
        }
    }
}

#[test]
fn an_archive_fills_no_other_cache_that_nobody_verifies() {
    for planted in some(PLANTED) {
        let two = Two::new();
        two.0.start(&["other"]);
        two.restore_other();
        two.0.write(planted, "poison");
        two.verify("other", &[]).expect_of(planted, 15, &["unverified-roots"]);
        two.0.check().expect_of(planted, 15, &["unverified-roots"]);
    }
}

#[test]
fn an_archive_fills_no_root_of_a_job_that_restores_nothing_else() {
    // Who says that nothing is restored and verifies all the same has restored something.
    let two = Two::new();
    two.0.start(&["other", "--no-restore"]);
    two.restore_other();
    two.0.write("deps/build.rs", "poison");
    two.verify("other", &[]).expect(15, &["unverified-roots"]);
    two.seal("deps", &["--guard"]).expect(10, &["unverified-base"]);
}

#[test]
fn an_archive_changes_no_cache_that_the_job_has_sealed() {
    let two = Two::new();
    two.0.start(&["other"]);
    two.verify("deps", &["--allow-miss"]).expect(0, &["nothing-restored"]);
    two.0.fill();
    two.seal("deps", &["--guard"]).expect(0, &[]);
    two.restore_other();
    two.verify("other", &[]).expect(0, &[]);
    two.0.check().expect(0, &[]);
    two.0.write("deps/build.rs", "poison");
    two.verify("other", &[]).expect(15, &["stray-write"]);
    two.seal("deps", &["--guard"]).expect(10, &["unverified-base"]);
}

#[test]
fn a_cache_that_was_filled_before_stays_as_it_was() {
    let two = Two::new();
    two.0.restore();
    two.0.start(&["other", "--allow-filled"]);
    two.restore_other();
    two.verify("other", &[]).expect(0, &[]);
    two.verify("deps", &[]).expect(0, &[]);
    let two = Two::new();
    two.0.restore();
    two.0.start(&["other", "--allow-filled"]);
    two.restore_other();
    two.0.write("deps/pkg/index.js", "poison");
    two.verify("other", &[]).expect(15, &["unverified-roots"]);
}

#[test]
fn empty_directories_leave_a_root_vacant() {
    let two = Two::new();
    two.0.start(&["other"]);
    two.verify("deps", &["--allow-miss"]).expect(0, &["nothing-restored"]);
    two.restore_other();
    fs::create_dir(two.0.path("deps")).unwrap();
    two.verify("other", &[]).expect(0, &[]);
    two.0.fill();
    two.seal("deps", &["--guard"]).expect(0, &[]);
}

#[test]
fn a_root_outside_of_home_and_checkout_is_no_stray_write() {
    let guarded = Guarded::of(Project::empty(POLICY));
    let store = guarded.canonical_root().with_file_name("stores").join("pkgs");
    let two = Two(guarded);
    let more = format!("\n[cache.other]\nroots = [\"{}\"]\n", store.display());
    two.0.write("cacheseal.toml", format!("{POLICY}{more}"));
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join("f"), "1").unwrap();
    two.0.fill();
    two.0.seal();
    two.seal("other", &[]).expect(0, &[]);
    fs::create_dir_all(two.kept()).unwrap();
    fs::rename(&store, two.kept().join("pkgs")).unwrap();
    fs::rename(two.0.path(".cacheseal/other"), two.kept().join("seal")).unwrap();
    two.0.save();
    two.0.start(&["other"]);
    copy_tree(&two.kept().join("pkgs"), &store);
    copy_tree(&two.kept().join("seal"), &two.0.path(".cacheseal/other"));
    two.verify("other", &[]).expect(0, &[]);
    two.0.restore();
    two.verify("deps", &[]).expect(0, &[]);
    two.0.check().expect(0, &[]);
    fs::write(store.join("f"), "1").unwrap();
    let found = two.0.check().found(&store.join("f"));
    assert!(found.ends_with("belongs to the cache `other`, which was verified before"), "{found}");
}

#[test]
fn directories_on_the_way_are_closed_to_others() {
    let open = |two: &Two, mode: u32| {
        let at = two.0.home().join("others");
        fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
    };
    let two = Two::new();
    two.0.start(&["other"]);
    two.restore_other();
    open(&two, 0o777);
    two.verify("other", &[]).expect(11, &["forbidden-mode"]);
    // One that was there before is the system's or the job's, unless the restore has changed it.
    let two = Two::new();
    fs::create_dir(two.0.home().join("others")).unwrap();
    open(&two, 0o777);
    two.0.start(&["other"]);
    two.restore_other();
    two.verify("other", &[]).expect(0, &[]);
    open(&two, 0o755);
    two.verify("other", &[]).expect(15, &["stray-write"]);
}

#[test]
fn a_link_that_leads_into_a_root_is_watched() {
    let mut guarded = Guarded::new();
    let elsewhere = guarded.canonical_root().with_file_name("srv").join("deep");
    fs::create_dir_all(elsewhere.join("evil/bin")).unwrap();
    symlink(guarded.canonical_root().join("deps"), elsewhere.join("tools")).unwrap();
    guarded.path = Some(format!("{}:/usr/bin", elsewhere.join("tools/bin").display()));
    guarded.start(&[]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    fs::remove_file(elsewhere.join("tools")).unwrap();
    symlink("evil", elsewhere.join("tools")).unwrap();
    let checked = guarded.check();
    checked.expect(15, &["stray-write"]);
    assert!(checked.places().contains(elsewhere.join("tools").to_str().unwrap()), "{:#}", checked.json);
}
