//! `node_modules` is used in place: what is locked and is not there is missed. What npm itself leaves out is not.

use std::fs;

use serde_json::{Value, json};

use super::{LOCK, ROOTS, blob, left_2, lockfile, packages, right, sri, url};
use crate::forge::remove;
use crate::lockfile::{Locked, tgz};

/// Packages of which the project, and each other, ask for some.
fn asked() -> Value {
    let mut packages = packages();
    packages[""]["dependencies"] = json!({ "@s/right": "1", "alias": "1", "native": "1" });
    packages[""]["devDependencies"] = json!({ "pack": "1" });
    packages["node_modules/@s/right"]["dependencies"] = json!({ "left": "2" });
    packages["packages/work"]["dependencies"] = json!({ "left": "1" });
    packages
}

/// The tree of [`super::installed`] with a lockfile that asks for its packages.
fn installed() -> Locked {
    let locked = super::installed();
    locked.write(LOCK, lockfile(&asked()));
    write_record(&locked, &[]);
    locked
}

/// npm's record without some locations: it fits what is there.
fn write_record(locked: &Locked, without: &[&str]) {
    let mut packages = asked();
    for location in ["", "node_modules/absent"].iter().chain(without) {
        packages.as_object_mut().unwrap().remove(*location);
    }
    let record = json!({ "name": "app", "lockfileVersion": 3, "requires": true, "packages": packages });
    locked.write("node_modules/.package-lock.json", record.to_string());
}

fn with_policy(locked: &Locked, installed: &str) {
    let policy = fs::read_to_string(locked.path("cacheseal.toml")).unwrap();
    let line = format!("lockfiles = [\"{LOCK}\"]\n");
    assert!(policy.contains(&line));
    locked.write("cacheseal.toml", policy.replace(&line, &format!("{line}installed = {installed}\n")));
}

#[test]
fn each_package_that_is_taken_away_is_missed() {
    installed().trusted("all");
    for (location, commands) in [
        ("node_modules/@s/right/node_modules/left", ""),
        ("node_modules/alias", ""),
        ("node_modules/left", "node_modules/.bin/left"),
        ("node_modules/native", ""),
        ("node_modules/work", "node_modules/.bin/work"),
    ] {
        let locked = installed();
        remove(&locked.path(location));
        if !commands.is_empty() {
            remove(&locked.path(commands));
        }
        if location.ends_with("right/node_modules/left") {
            remove(&locked.path("node_modules/@s/right/node_modules"));
        }
        write_record(&locked, &[location]);
        locked.refused(location, &["lockfile-mismatch"], location);
        let verdict = locked.verify("lock");
        let expected = verdict.json["refusals"][0]["expected"].as_str().unwrap();
        assert!(expected.contains("`omit` in `installed`"), "{expected}");
    }
}

#[test]
fn what_the_policy_says_is_left_out_is_not_missed() {
    let without_pack = || {
        let locked = installed();
        remove(&locked.path("node_modules/pack"));
        write_record(&locked, &["node_modules/pack", "node_modules/pack/node_modules/inner"]);
        locked
    };
    without_pack().refused("not said", &["lockfile-mismatch"], "node_modules/pack");
    let locked = without_pack();
    with_policy(&locked, "{ omit = [\"dev\"] }");
    locked.trusted("omit");
    with_policy(&locked, "{ omit = [\"nothing\"] }");
    locked.verify("lock").expect_error(5, "malformed-policy");
    // The workspace alone: it asks for `left`, and the project for the rest.
    let locked = installed();
    for location in ["@s", "alias", "native", "pack"] {
        remove(&locked.path(&format!("node_modules/{location}")));
    }
    write_record(
        &locked,
        &[
            "node_modules/@s/right",
            "node_modules/@s/right/node_modules/left",
            "node_modules/alias",
            "node_modules/native",
            "node_modules/pack",
            "node_modules/pack/node_modules/inner",
        ],
    );
    locked.refused("not said", &["lockfile-mismatch"], "node_modules/native");
    with_policy(&locked, "{ workspaces = [\"packages/work\"] }");
    locked.trusted("workspaces");
}

/// npm marks what the project itself bundles as it marks what lies in a tarball; but these have tarballs of their own.
#[test]
fn what_the_project_bundles_is_proven_by_its_own_tarball() {
    let locked = Locked::new(&ROOTS, LOCK);
    let package = |name: &str, bytes: &[u8]| json!({ "version": "1.0.0", "resolved": url(name, "1.0.0"), "integrity": sri(bytes), "inBundle": true });
    let packages = json!({
        "": { "name": "app", "bundleDependencies": ["@s/right"], "dependencies": { "@s/right": "1" } },
        "node_modules/@s/right": package("@s/right", &right()),
        "node_modules/@s/right/node_modules/left": package("left", &left_2()),
    });
    locked.write(LOCK, lockfile(&packages));
    locked.write(&blob(&right()), right());
    locked.write(&blob(&left_2()), left_2());
    locked.write("node_modules/@s/right/index.js", "require('left')\n");
    let nested = "node_modules/@s/right/node_modules/left/index.js";
    locked.write(nested, "exports.left = 2\n");
    locked.trusted("");
    locked.write(nested, "exports.left = 3\n");
    locked.refused("", &["lockfile-mismatch"], nested);
}

/// npm before 11 leaves `libc` out of its record, and keeps everything else.
#[test]
fn a_record_may_leave_out_the_c_library_and_nothing_else() {
    let native = tgz(&[("package/index.js", b"native\n", 0o644)]);
    let of = |libc: bool, os: bool| {
        let mut entry = json!({ "version": "1.0.0", "resolved": url("native-x", "1.0.0"), "integrity": sri(&native),
            "optional": true, "cpu": ["x64"] });
        if libc {
            entry["libc"] = json!(["glibc"]);
        }
        if os {
            entry["os"] = json!(["linux"]);
        }
        entry
    };
    let locked = Locked::new(&ROOTS, LOCK);
    locked.write(LOCK, lockfile(&json!({ "": { "name": "app" }, "node_modules/native-x": of(true, true) })));
    locked.write(&blob(&native), &native);
    locked.write("node_modules/native-x/index.js", "native\n");
    let record = |entry: Value| {
        let record = json!({ "lockfileVersion": 3, "requires": true, "packages": { "node_modules/native-x": entry } });
        locked.write("node_modules/.package-lock.json", record.to_string());
    };
    record(of(true, true));
    locked.trusted("npm 11");
    record(of(false, true));
    locked.trusted("npm 10");
    record(of(false, false));
    locked.refused("no system", &["unproven-entry"], "node_modules/.package-lock.json");
    let mut other = of(true, true);
    other["libc"] = json!(["musl"]);
    record(other);
    locked.refused("another library", &["unproven-entry"], "node_modules/.package-lock.json");
}

#[test]
fn a_tree_that_is_not_there_at_all_is_not_missed() {
    let locked = installed();
    remove(&locked.path("node_modules"));
    locked.verify("lock").expect(0, &[]);
    fs::create_dir(locked.path("node_modules")).unwrap();
    locked.verify("lock").expect(0, &[]);
    fs::create_dir(locked.path("node_modules/alias")).unwrap();
    let verdict = locked.verify("lock");
    verdict.expect(14, &["lockfile-mismatch"]);
}
