//! Lockfile proofs under a guard: the lockfile of before the restore is the one that proves.

use std::fs;

use super::cargo::{CACHE, SRC, home};
use super::tgz;
use crate::guard::Guarded;
use crate::harness::Verdict;

/// A Cargo home that fits its lockfile, saved and taken away, with a guard that watches.
fn guarded() -> Guarded {
    let guarded = Guarded::of(home().project);
    let saved = guarded.outside("saved");
    fs::rename(guarded.home().join(".cargo"), &saved).unwrap();
    guarded.start(&["--allow", saved.to_str().unwrap()]);
    guarded
}

fn restore(guarded: &Guarded) {
    fs::rename(guarded.outside("saved"), guarded.home().join(".cargo")).unwrap();
}

fn verify(guarded: &Guarded, gate: &str) -> Verdict {
    guarded.json(&["verify", "deps", "--gate", gate, "--guard"])
}

#[test]
fn a_cache_that_fits_the_lockfile_is_trusted() {
    let guarded = guarded();
    restore(&guarded);
    let verdict = verify(&guarded, "lock");
    verdict.expect(0, &[]);
    assert!(verdict.json["coverage"].is_object(), "{:#}", verdict.json);
    // No seal says what each entry is; when there is one, the roots are held against it.
    guarded.json(&["guard", "recheck"]).expect_error(2, "usage");
    // Nothing unproven is in it, so it is something to build on.
    guarded.seal_guarded(&[]).expect(0, &[]);
    guarded.json(&["guard", "recheck"]).expect(0, &[]);
}

#[test]
fn a_lockfile_that_comes_with_a_matching_cache_proves_nothing() {
    let guarded = guarded();
    restore(&guarded);
    // A package of the attacker's, in the place of a good one, and the lockfile that asks for it.
    let evil = tgz(&[("left-1.2.3/Cargo.toml", b"[package]\n", 0o644), ("left-1.2.3/src/lib.rs", b"evil\n", 0o644)]);
    let path = |path: &str| guarded.home().join(path.strip_prefix("~/").unwrap());
    let good = fs::read(path(CACHE).join("left-1.2.3.crate")).unwrap();
    fs::write(path(CACHE).join("left-1.2.3.crate"), &evil).unwrap();
    fs::write(path(SRC).join("left-1.2.3/src/lib.rs"), "evil\n").unwrap();
    let lockfile = fs::read_to_string(guarded.path("Cargo.lock")).unwrap();
    let digest = |bytes: &[u8]| cacheseal::base::Digest::sha256(bytes).to_string();
    let forged = lockfile.replace(&digest(&good), &digest(&evil));
    assert_ne!(forged, lockfile);
    guarded.write("Cargo.lock", forged);
    let verdict = verify(&guarded, "lock");
    assert_eq!(verdict.code, Some(15), "{:#}", verdict.json);
    let codes = verdict.codes();
    assert!(codes.contains("stray-write") && codes.contains("lockfile-mismatch"), "{codes:?}");
}

#[test]
fn what_a_gate_lets_pass_unproven_is_nothing_to_build_on() {
    let guarded = guarded();
    restore(&guarded);
    fs::write(guarded.home().join(".cargo/registry/notes.txt"), "mine").unwrap();
    verify(&guarded, "lock").expect(14, &["unproven-entry"]);
    verify(&guarded, "allow").expect(0, &[]);
    guarded.seal_guarded(&[]).expect(10, &["unverified-base"]);
    fs::remove_file(guarded.home().join(".cargo/registry/notes.txt")).unwrap();
    // What was trusted is watched, whatever it was worth.
    guarded.check().expect(15, &["stray-write"]);
}

#[test]
fn where_nothing_was_unproven_the_gate_that_allows_it_is_enough() {
    let guarded = guarded();
    restore(&guarded);
    verify(&guarded, "allow").expect(0, &[]);
    guarded.seal_guarded(&[]).expect(0, &[]);
}
