//! `seal --guard`: what was restored and never verified is not sealed again.

use std::fs;
use std::os::unix::fs::symlink;

use jiff::SignedDuration;

use super::Guarded;
use crate::harness::{POLICY, Project, SealAs, copy_tree, key, now};

#[test]
fn what_a_job_filled_itself_is_sealed() {
    let guarded = Guarded::of(Project::empty(POLICY));
    guarded.start(&["--no-restore"]);
    guarded.fill();
    fs::write(guarded.home().join(".npmrc"), "an install may write there").unwrap();
    guarded.seal_guarded(&[]).expect(0, &[]);
    guarded.verify("exact").expect(0, &[]);
}

#[test]
fn what_was_restored_is_sealed_only_after_it_was_verified() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps/pkg/index.js", "poisoned\n");
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
    guarded.verify_guarded(&[]).expect(11, &["digest-mismatch"]);
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
}

#[test]
fn what_is_installed_on_top_of_a_verified_cache_is_sealed() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.write("deps/pkg/new.js", "installed on top\n");
    guarded.seal_guarded(&[]).expect(0, &[]);
    guarded.verify("exact").expect(0, &[]);
    // The job's own seal is no stray write, and what comes after it is one.
    guarded.check().expect(0, &[]);
    guarded.write("deps/pkg/new.js", "written after the seal\n");
    let at = guarded.canonical_root().join("deps/pkg/new.js");
    let found = guarded.check().found(&at);
    assert!(found.ends_with("belongs to the cache `deps`, which was sealed before"), "{found}");
}

#[test]
fn a_refusal_stays_until_the_roots_are_gone() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.write("deps/pkg/index.js", "poisoned\n");
    guarded.verify_guarded(&[]).expect(11, &["digest-mismatch"]);
    // What ran in between is not known, so the same contents are no base again.
    guarded.write("deps/pkg/index.js", "module.exports = 1\n");
    guarded.verify_guarded(&[]).expect(0, &[]);
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
    for path in ["deps", ".cacheseal", "../home/store"] {
        fs::remove_dir_all(guarded.path(path)).unwrap();
    }
    guarded.verify_guarded(&["--allow-miss"]).expect(0, &["nothing-restored"]);
    guarded.fill();
    guarded.seal_guarded(&[]).expect(0, &[]);
}

#[test]
fn a_cache_that_was_only_too_old_is_not_refused_for_good() {
    let guarded = Guarded::new();
    guarded.restore();
    guarded.seal_as(SealAs { now: now() - SignedDuration::from_hours(9 * 24), ..SealAs::default() });
    fs::remove_dir_all(guarded.outside("cache")).unwrap();
    guarded.save();
    guarded.write("cacheseal.toml", format!("{POLICY}\n{}", gate("slow", &["job"], "30d")));
    guarded.start(&[]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(10, &["too-old"]);
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
    guarded.json(&["verify", "deps", "--gate", "slow", "--guard"]).expect(0, &[]);
    guarded.seal_guarded(&[]).expect(0, &[]);
}

fn gate(name: &str, signers: &[&str], max_age: &str) -> String {
    format!(
        "[gate.{name}]\nrequire = [\"signature\"]\nsigners = {signers:?}\nmax_age = \"{max_age}\"\nlockfile = \"any\"\n"
    )
}

/// A cache that a job of pull requests has sealed, at gates of which only `pr` accepts it.
fn of_a_pull_request(more: &str) -> Guarded {
    let guarded = Guarded::new();
    let policy = format!("{POLICY}\n{}{}{more}", gate("pr", &["other", "job"], "7d"), gate("strict", &["job"], "7d"));
    guarded.write("cacheseal.toml", policy);
    guarded.restore();
    guarded.seal_as(SealAs { key: "other", ..SealAs::default() });
    fs::remove_dir_all(guarded.outside("cache")).unwrap();
    guarded.save();
    guarded
}

#[test]
fn a_weaker_gate_is_no_base_for_a_signer_of_a_stricter_one() {
    let guarded = of_a_pull_request("");
    guarded.start(&[]);
    guarded.restore();
    guarded.json(&["verify", "deps", "--gate", "pr", "--guard"]).expect(0, &[]);
    let refused = guarded.seal_guarded(&[]);
    refused.expect(10, &["unverified-base"]);
    let found = refused.json["refusals"][0]["found"].as_str().unwrap();
    assert!(found.contains("`pr`") && found.contains("`other`"), "{found}");
    // The signer that no stricter gate accepts may seal what it has sealed before.
    let key = guarded.private_key("other");
    guarded.json(&["seal", "deps", "--guard", "--key", key.to_str().unwrap()]).expect(0, &[]);
}

#[test]
fn a_weaker_gate_does_not_take_back_a_refusal() {
    let guarded = of_a_pull_request("");
    guarded.start(&[]);
    guarded.restore();
    guarded.json(&["verify", "deps", "--gate", "strict", "--guard"]).expect(10, &["signer-not-accepted"]);
    guarded.json(&["verify", "deps", "--gate", "pr", "--guard"]).expect(0, &[]);
    for key in ["job", "other"] {
        let key = guarded.private_key(key);
        let sealed = guarded.json(&["seal", "deps", "--guard", "--key", key.to_str().unwrap()]);
        sealed.expect(10, &["unverified-base"]);
    }
}

#[test]
fn a_binding_that_a_gate_names_has_the_value_of_the_base() {
    let named = "[gate.bound]\nrequire = [\"signature\"]\nsigners = [\"job\"]\nmax_age = \"7d\"\nlockfile = \"any\"\nbindings = { rust = \"1.95\" }\n";
    for (before, now, exit) in [("1.95", "1.95", 0), ("1.94", "1.95", 10), ("1.95", "1.94", 10), ("", "1.95", 10)] {
        let guarded = Guarded::new();
        guarded.write("cacheseal.toml", format!("{POLICY}{named}"));
        guarded.restore();
        let bindings = [("rust".to_owned(), before.to_owned())].into_iter().filter(|(_, value)| !value.is_empty());
        guarded.seal_as(SealAs { bindings: bindings.collect(), ..SealAs::default() });
        fs::remove_dir_all(guarded.outside("cache")).unwrap();
        guarded.save();
        guarded.start(&[]);
        guarded.restore();
        guarded.verify_guarded(&[]).expect(0, &[]);
        let codes: &[&str] = if exit == 0 { &[] } else { &["unverified-base"] };
        guarded.seal_guarded(&["--bind", &format!("rust={now}")]).expect_of(format!("{before} {now}"), exit, codes);
    }
}

#[test]
fn a_poisoned_cache_without_a_seal_is_not_laundered() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    // No seal: nothing tells these files from an install.
    guarded.fill();
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
    guarded.verify_guarded(&[]).expect(10, &["no-seal"]);
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
}

#[test]
fn after_a_miss_the_job_fills_the_roots() {
    let guarded = Guarded::of(Project::empty(POLICY));
    guarded.start(&[]);
    guarded.verify_guarded(&["--allow-miss"]).expect(0, &["nothing-restored"]);
    guarded.fill();
    guarded.seal_guarded(&[]).expect(0, &[]);
}

#[test]
fn after_a_purge_the_job_fills_the_roots() {
    for action in ["purge", "quarantine"] {
        let guarded = Guarded::new();
        guarded.start(&[]);
        guarded.restore();
        guarded.write("deps/extra.js", "");
        guarded.verify_guarded(&["--on-refusal", action]).expect_of(action, 11, &["extra-entry"]);
        guarded.fill();
        guarded.seal_guarded(&[]).expect_of(action, 0, &[]);
    }
}

#[test]
fn after_a_stray_write_nothing_is_sealed() {
    let guarded = Guarded::new();
    guarded.start(&[]);
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    fs::write(guarded.home().join(".npmrc"), "registry=evil").unwrap();
    guarded.check().expect(15, &["stray-write"]);
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);

    let guarded = Guarded::of(Project::empty(POLICY));
    guarded.start(&["--no-restore"]);
    fs::write(guarded.home().join(".npmrc"), "registry=evil").unwrap();
    guarded.check().expect(15, &["stray-write"]);
    guarded.fill();
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
}

#[test]
fn roots_that_were_filled_before_the_guard_have_no_base() {
    for more in [&["--allow-filled"][..], &["--allow-filled", "--no-restore"]] {
        let guarded = Guarded::new();
        guarded.restore();
        guarded.start(more);
        guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
        guarded.verify_guarded(&[]).expect(0, &[]);
        guarded.seal_guarded(&[]).expect(0, &[]);
    }
}

#[test]
fn the_policy_that_seals_is_the_one_that_the_guard_has() {
    let guarded = Guarded::of(Project::empty(POLICY));
    guarded.start(&["--no-restore"]);
    guarded.fill();
    guarded.write("cacheseal.toml", POLICY.replace("7d", "8d"));
    guarded.seal_guarded(&[]).expect(15, &["policy-changed"]);
}

#[test]
fn a_cache_that_the_guard_does_not_watch_is_not_sealed() {
    let more = "\n[cache.other]\nroots = [\"other\"]\n";
    let guarded = Guarded::of(Project::empty(&format!("{POLICY}{more}")));
    guarded.start(&["--no-restore"]);
    guarded.write("other/x", "");
    let key = guarded.private_key("job");
    guarded.json(&["seal", "other", "--guard", "--key", key.to_str().unwrap()]).expect_error(2, "usage");
}

/// The roots, filled at `at` as a workspace would be.
fn attach(guarded: &Guarded, at: &str) {
    let donor = Project::new();
    copy_tree(&donor.path("deps"), &guarded.outside(at).join("app/deps"));
    copy_tree(&donor.home().join("store"), &guarded.outside(at).join("home/store"));
}

fn pairs(guarded: &Guarded, at: &str) -> [String; 4] {
    let at = guarded.outside(at);
    [
        "--root".into(),
        format!("{}/app/deps=deps", at.display()),
        "--root".into(),
        format!("{}/home/store=~/store", at.display()),
    ]
}

fn texts(pairs: &[String; 4]) -> [&str; 4] {
    pairs.each_ref().map(String::as_str)
}

#[test]
fn a_tree_elsewhere_is_sealed_as_the_root_that_it_stands_for() {
    let guarded = Guarded::of(Project::empty(POLICY));
    attach(&guarded, "w");
    let key = guarded.private_key("job");
    let pairs = pairs(&guarded, "w");
    guarded.json(&[&["seal", "deps", "--key", key.to_str().unwrap()], &texts(&pairs)[..]].concat()).expect(0, &[]);
    // Nothing has come into the roots; put there, it is what was sealed.
    assert!(!guarded.path("deps").exists());
    guarded.verify("exact").expect(11, &["missing-entry"]);
    copy_tree(&guarded.outside("w/app/deps"), &guarded.path("deps"));
    copy_tree(&guarded.outside("w/home/store"), &guarded.home().join("store"));
    guarded.verify("exact").expect(0, &[]);
}

#[test]
fn a_tree_elsewhere_has_a_base_if_the_guard_was_told() {
    let guarded = Guarded::of(Project::empty(POLICY));
    let pairs = pairs(&guarded, "w");
    guarded.start(&[&["--no-restore"], &texts(&pairs)[..]].concat());
    attach(&guarded, "w");
    guarded.check().expect(0, &[]);
    guarded.seal_guarded(&texts(&pairs)).expect(0, &[]);
    assert!(!guarded.path("deps").exists());
}

#[test]
fn a_tree_elsewhere_has_no_base_otherwise() {
    // Not told of.
    let guarded = Guarded::of(Project::empty(POLICY));
    let named = pairs(&guarded, "w");
    guarded.start(&["--no-restore"]);
    attach(&guarded, "w");
    guarded.seal_guarded(&texts(&named)).expect(10, &["unverified-base"]);
    // Told of others.
    let guarded = Guarded::of(Project::empty(POLICY));
    let (told, named) = (pairs(&guarded, "v"), pairs(&guarded, "w"));
    guarded.start(&[&["--no-restore"], &texts(&told)[..]].concat());
    attach(&guarded, "w");
    guarded.seal_guarded(&texts(&named)).expect(10, &["unverified-base"]);
    // A restore may have filled it.
    let guarded = Guarded::of(Project::empty(POLICY));
    let named = pairs(&guarded, "w");
    guarded.start(&texts(&named));
    attach(&guarded, "w");
    guarded.seal_guarded(&texts(&named)).expect(10, &["unverified-base"]);
    // It was filled before.
    let guarded = Guarded::of(Project::empty(POLICY));
    attach(&guarded, "w");
    let named = pairs(&guarded, "w");
    guarded.try_start(&[&["--no-restore"], &texts(&named)[..]].concat()).expect_error(5, "root-not-empty");
    // It leads elsewhere than it did.
    let guarded = Guarded::of(Project::empty(POLICY));
    let named = pairs(&guarded, "w");
    guarded.start(&[&["--no-restore"], &texts(&named)[..]].concat());
    attach(&guarded, "v");
    symlink("v", guarded.outside("w")).unwrap();
    guarded.seal_guarded(&texts(&named)).expect(10, &["unverified-base"]);
}

#[test]
fn a_tree_elsewhere_is_a_real_directory_or_absent() {
    let guarded = Guarded::of(Project::empty(POLICY));
    attach(&guarded, "w");
    let key = guarded.private_key("job");
    let seal = |more: &[&str]| guarded.json(&[&["seal", "deps", "--key", key.to_str().unwrap()], more].concat());
    symlink("deps", guarded.outside("w/app/linked")).unwrap();
    let linked = format!("{}=deps", guarded.outside("w/app/linked").display());
    seal(&["--root", &linked]).expect(11, &["unsafe-root"]);
    let absent = format!("{}=~/store", guarded.outside("w/none/store").display());
    let there = format!("{}=deps", guarded.outside("w/app/deps").display());
    seal(&["--root", &absent, "--root", &there]).expect(0, &[]);
    seal(&["--root", &absent]).expect_error(3, "nothing-to-seal");
    seal(&["--root", &there, "--root", &there]).expect_error(2, "usage");
    seal(&["--root", "../w/app/deps=none"]).expect_error(2, "usage");
    seal(&["--root", "deps"]).expect_error(2, "usage");
    seal(&["--root", "../w/app/deps=deps", "--add-signature"]).expect_error(2, "usage");
    seal(&["--root", "../w/app/deps=deps"]).expect(0, &[]);
}

#[test]
fn the_key_stays_where_it_is() {
    // The guard is asked before the key is read: a job without one learns nothing of the key's.
    let guarded = Guarded::of(Project::empty(POLICY));
    guarded.start(&["--no-restore"]);
    guarded.fill();
    fs::remove_file(guarded.private_key("job")).unwrap();
    guarded.seal_guarded(&[]).expect_error(5, "no-key");
    fs::write(guarded.private_key("job"), key("job").to_pem().as_bytes()).unwrap();
}
