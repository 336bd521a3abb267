//! Lockfiles that cannot be read, and roots that they belong to.

use serde_json::{Value, json};

use super::{CACHE, LOCK, blob, installed, left, lockfile, packages, sri, url, write_left};
use crate::lockfile::{Locked, mutated};
use crate::rows::{each, some};

#[test]
fn a_root_belongs_to_the_lockfile_that_is_beside_it() {
    // `~/app/node_modules` can be the one of the lockfile; a workspace's is found in the lockfile of the whole.
    let rows: &[(&[&str], &str, &str, i32)] = &[
        (&["~/app/node_modules", CACHE], "~/app/node_modules/left", "node_modules/left", 0),
        (
            &["packages/work/node_modules", CACHE],
            "packages/work/node_modules/left",
            "packages/work/node_modules/left",
            0,
        ),
        (
            &["~/app/packages/work/node_modules", CACHE],
            "~/app/packages/work/node_modules/left",
            "packages/work/node_modules/left",
            0,
        ),
        (&["web/node_modules", CACHE], "web/node_modules/left", "node_modules/left", 14),
        (&["node_modules/left", CACHE], "node_modules/left", "node_modules/left", 0),
        (&["modules", CACHE], "modules/left", "node_modules/left", 14),
    ];
    for (roots, directory, location, exit) in rows {
        let at = Locked::new(roots, LOCK);
        let package = json!({ "version": "1.0.0", "resolved": url("left", "1.0.0"), "integrity": sri(&left()) });
        at.write(LOCK, lockfile(&json!({ *location: package })));
        at.write(&blob(&left()), left());
        write_left(&at, directory, false);
        let codes: &[&str] = if *exit == 0 { &[] } else { &["unproven-entry"] };
        at.verify("lock").expect_of(directory, *exit, codes);
    }
}

#[test]
fn a_lockfile_that_cannot_be_read_is_an_error_with_its_line() {
    let text = |change: fn(&mut Value)| {
        let mut all = packages();
        change(&mut all);
        lockfile(&all)
    };
    let rows: Vec<(&str, String, &str, &str)> = vec![
        ("nothing", String::new(), "malformed-lockfile", ":1: "),
        ("an array", "[\n]".to_owned(), "malformed-lockfile", ":1: "),
        ("cut short", "{\n\"lockfileVersion\": 3,\n\"packages\": {".to_owned(), "malformed-lockfile", ":3: "),
        ("no version", "{\n\"packages\": {}\n}".to_owned(), "unsupported-lockfile", ":1: "),
        ("version 1", "{\n\n\"lockfileVersion\": 1\n}".to_owned(), "unsupported-lockfile", ":3: "),
        ("version 4", "{\n\"lockfileVersion\": 4,\n\"packages\": {}\n}".to_owned(), "unsupported-lockfile", ":2: "),
        (
            "another version",
            "{\n\"lockfileVersion\": \"3\",\n\"packages\": {}\n}".to_owned(),
            "malformed-lockfile",
            ":2: ",
        ),
        ("no packages", "{\"lockfileVersion\": 3}".to_owned(), "malformed-lockfile", ":1: "),
        (
            "a package twice",
            "{\"lockfileVersion\": 3, \"packages\": {\n\"node_modules/a\": {},\n\"node_modules/a\": {}}}".to_owned(),
            "malformed-lockfile",
            ":3: ",
        ),
        (
            "a field twice",
            "{\"lockfileVersion\": 3, \"packages\": {\n\"node_modules/a\": {\"version\": \"1\",\n\"version\": \"2\"}}}"
                .to_owned(),
            "malformed-lockfile",
            ":2: ",
        ),
        ("a package that is text", text(|all| all["node_modules/left"] = json!("1.0.0")), "malformed-lockfile", ": "),
        (
            "a digest of nothing",
            text(|all| all["node_modules/left"]["integrity"] = json!("")),
            "malformed-lockfile",
            ": ",
        ),
        (
            "a digest that is too short",
            text(|all| all["node_modules/left"]["integrity"] = json!("sha512-AAAA")),
            "malformed-lockfile",
            ": ",
        ),
        (
            "a digest of another kind",
            text(|all| all["node_modules/left"]["integrity"] = json!("md5-1B2M2Y8AsgTpgAmY7PhCfg==")),
            "malformed-lockfile",
            ": ",
        ),
        (
            "a number as a digest",
            text(|all| all["node_modules/left"]["integrity"] = json!(1)),
            "malformed-lockfile",
            ": ",
        ),
        ("text as a flag", text(|all| all["node_modules/left"]["link"] = json!("true")), "malformed-lockfile", ": "),
        (
            "a link to nowhere",
            text(|all| all["node_modules/left"] = json!({ "link": true })),
            "malformed-lockfile",
            ": ",
        ),
        ("a location outside", text(|all| all["node_modules/../../evil"] = json!({})), "malformed-lockfile", ": "),
    ];
    let at = installed();
    each(some(rows), |(row, text, code, line)| {
        at.write(LOCK, &text);
        let verdict = at.verify("lock");
        verdict.expect_error_of(row, 5, code);
        let message = verdict.json["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("package-lock.json:") && message.contains(line), "{row}: {message}");
    });
}

#[test]
fn no_change_of_a_lockfile_makes_it_panic() {
    mutated(LOCK, lockfile(&packages()).as_bytes());
}
