//! The directory of a seal that no gate asks for.

use std::fs;
use std::os::unix::fs::symlink;

use super::Locked;
use super::cargo::home;
use crate::forge::remove;

const SEAL: &str = ".cacheseal/deps";

type Touch = fn(&Locked);

#[test]
fn a_seal_that_no_gate_asks_for_has_the_form_of_one() {
    let sealed = || {
        let home = home();
        home.project.seal();
        home
    };
    // Whose it is and what it says does not matter to this gate.
    let home = sealed();
    home.trusted("sealed");
    home.write("~/.cargo/registry/index", "");
    remove(&home.path("~/.cargo/registry/index"));
    home.trusted("older than the tree");
    let seal = ".cacheseal/deps";
    let bytes = |home: &Locked, name: &str| fs::read(home.path(&format!("{seal}/{name}"))).unwrap();
    let touches: [(&str, Touch, &str, &str); 10] = [
        (
            "an envelope that others may write",
            |home| crate::forge::chmod(&home.path(&format!("{SEAL}/seal.json")), 0o666),
            "forbidden-mode",
            "seal.json",
        ),
        ("a test", |home| home.write(&format!("{SEAL}/evil.test.js"), "x"), "extra-entry", "evil.test.js"),
        ("below", |home| home.write(&format!("{SEAL}/deep/evil.test.js"), "x"), "extra-entry", "deep"),
        ("a link", |home| symlink("/etc", home.path(&format!("{SEAL}/etc"))).unwrap(), "extra-entry", "etc"),
        (
            "a manifest too many",
            |home| home.write(&format!("{SEAL}/1.mtree"), "#mtree v2.0\n"),
            "extra-entry",
            "1.mtree",
        ),
        (
            "code in the envelope",
            |home| home.write(&format!("{SEAL}/seal.json"), "x"),
            "malformed-envelope",
            "seal.json",
        ),
        ("code in the manifest", |home| home.write(&format!("{SEAL}/0.mtree"), "x"), "malformed-manifest", "0.mtree"),
        ("no envelope", |home| remove(&home.path(&format!("{SEAL}/seal.json"))), "no-seal", "seal.json"),
        ("a link for the envelope", link_envelope, "malformed-seal", "seal.json"),
        ("a link for the directory", link_directory, "malformed-seal", ""),
    ];
    for (name, touch, code, place) in touches {
        let home = sealed();
        touch(&home);
        let place = if place.is_empty() { seal.to_owned() } else { format!("{seal}/{place}") };
        let verdict = home.verify("lock");
        assert!(verdict.codes().contains(code), "{name}: {:#}", verdict.json);
        let refusals = verdict.json["refusals"].as_array().unwrap();
        assert!(
            refusals.iter().any(|one| one["code"] == code && one["place"] == place.as_str()),
            "{name}: {refusals:#?}"
        );
    }
    assert!(bytes(&sealed(), "0.mtree").starts_with(b"#mtree"));
}

fn link_envelope(home: &Locked) {
    let at = home.path(&format!("{SEAL}/seal.json"));
    fs::rename(&at, home.path("elsewhere.json")).unwrap();
    symlink("../../elsewhere.json", at).unwrap();
}

fn link_directory(home: &Locked) {
    fs::rename(home.path(SEAL), home.path("elsewhere")).unwrap();
    symlink("../elsewhere", home.path(SEAL)).unwrap();
}
