//! `key revoke`, and what pins the list that it writes.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use cacheseal::base::Digest;
use cacheseal::policy::entry_text;
use jiff::{SignedDuration, Timestamp};

use crate::demand::revocation;
use crate::forge::{chmod, fifo, remove};
use crate::harness::{Project, Run, Verdict, key};
use crate::rows::{each, some};

const LIST: &str = "keys/revoked.toml";

fn revoke(project: &Project, what: &[&str]) -> Verdict {
    project.json(&[&["key", "revoke"], what].concat())
}

fn list(project: &Project) -> String {
    fs::read_to_string(project.path(LIST)).unwrap()
}

fn manifest(project: &Project) -> String {
    Digest::sha256(&fs::read(project.seal_path().join("1.mtree")).unwrap()).to_string()
}

#[test]
fn each_kind_of_entry_recalls_a_seal_that_was_trusted() {
    let keyid = key("job").public().id().to_string();
    let (earlier, later) = ("2020-01-01T00:00:00Z".to_owned(), "9999-01-01T00:00:00Z".to_owned());
    let manifest_of = manifest;
    for (kind, recalls) in [
        (vec!["--keyid".to_owned(), keyid], true),
        (vec!["--key".to_owned(), "keys/job.pub".to_owned()], true),
        (vec!["--key".to_owned(), "keys/other.pub".to_owned()], false),
        (vec!["--manifest".to_owned(), "MANIFEST".to_owned()], true),
        (vec!["--manifest".to_owned(), "0".repeat(64)], false),
        (["--signer", "job", "--before", &later].map(str::to_owned).to_vec(), true),
        (["--signer", "job", "--before", &earlier].map(str::to_owned).to_vec(), false),
        (["--signer", "other", "--before", &later].map(str::to_owned).to_vec(), false),
    ] {
        let project = Project::new();
        project.seal();
        let manifest = manifest_of(&project);
        let what = kind.iter().map(|word| if word == "MANIFEST" { &manifest } else { word }.as_str());
        let what: Vec<_> = what.chain(["--reason", "a \"reason\"\nof two lines"]).collect();
        let done = revoke(&project, &what);
        assert_eq!((done.code, &done.json["entries"]), (Some(0), &1.into()), "{kind:?}: {:#}", done.json);
        let expected: (i32, &[&str]) = if recalls { (10, &["revoked"]) } else { (0, &[]) };
        let verdict = project.verify("any");
        verdict.expect_of(format_args!("{kind:?}"), expected.0, expected.1);
        if recalls {
            let found = verdict.json["refusals"][0]["found"].as_str().unwrap();
            assert!(found.ends_with("revoked: a \"reason\"\\nof two lines"), "{found}");
        }
        // The same list recalls from anywhere else, on top of none.
        let elsewhere = project.outside("newer.toml");
        fs::rename(project.path(LIST), &elsewhere).unwrap();
        project.verify("any").expect(0, &[]);
        project.verify_with(&["--revocations", elsewhere.to_str().unwrap()]).expect(expected.0, expected.1);
    }
}

/// A private key file says which key it was, too: that is what leaks.
#[test]
fn a_key_is_revoked_by_either_of_its_files() {
    let project = Project::new();
    project.seal();
    let private = project.private_key("job");
    assert_eq!(revoke(&project, &["--key", private.to_str().unwrap(), "--reason", "leaked"]).code, Some(0));
    assert!(list(&project).contains(&key("job").public().id().to_string()) && !list(&project).contains("PRIVATE"));
    project.verify("any").expect(10, &["revoked"]);
}

#[test]
fn what_is_not_an_entry_changes_nothing() {
    let keyid = "0".repeat(64);
    let reason = ["--reason", "x"];
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--keyid", &keyid], 2, "usage"),
        (&["--keyid", &keyid, "--reason", ""], 2, "usage"),
        (&["--keyid", &keyid, "--reason", " \n\t"], 2, "usage"),
        (&reason, 2, "usage"),
        (&["--keyid", &keyid, "--manifest", &keyid, reason[0], reason[1]], 2, "usage"),
        (&["--keyid", &keyid, "--before", "2026-11-22T12:00:00Z", reason[0], reason[1]], 2, "usage"),
        (&["--keyid", &keyid[1..], reason[0], reason[1]], 2, "usage"),
        (&["--keyid", &"A".repeat(64), reason[0], reason[1]], 2, "usage"),
        (&["--signer", "job", reason[0], reason[1]], 2, "usage"),
        (&["--signer", "job", "--before", "yesterday", reason[0], reason[1]], 2, "usage"),
        (&["--signer", "job", "--before", "2026-11-22", reason[0], reason[1]], 2, "usage"),
        (&["--signer", "job", "--before", "2026-11-22T12:00:00+01:00", reason[0], reason[1]], 2, "usage"),
        (&["--key", "keys/nosuch.pub", reason[0], reason[1]], 5, "no-key"),
        (&["--key", "deps.lock", reason[0], reason[1]], 5, "malformed-key"),
    ];
    for (what, exit, code) in cases {
        let project = Project::new();
        project.write(LIST, "version = 1\n");
        revoke(&project, what).expect_error_of(format_args!("{what:?}"), *exit, code);
        assert_eq!(list(&project), "version = 1\n", "{what:?}");
    }
}

/// An entry behind something that is not read would recall nothing.
#[test]
fn a_broken_list_is_refused_and_left_as_it_was() {
    type Break = fn(&Project);
    let cases: &[(&str, Break, i32, &str)] = &[
        ("not TOML", |p| p.write(LIST, "version = 1\n[[revoked]\n"), 5, "malformed-policy"),
        ("another version", |p| p.write(LIST, "version = 2\n"), 5, "malformed-policy"),
        ("an entry that means nothing", |p| p.write(LIST, "version = 1\n[[revoked]]\n"), 5, "malformed-policy"),
        ("an open table", |p| p.write(LIST, "version = 1\nrevoked = []\n"), 5, "malformed-policy"),
        ("not UTF-8", |p| p.write(LIST, b"version = 1\n# \xff\n"), 5, "malformed-policy"),
        ("nothing", |p| p.write(LIST, ""), 5, "malformed-policy"),
        ("too large", |p| p.write(LIST, vec![b'#'; 2 << 20]), 4, "unreadable"),
        ("a fifo", |p| fifo(&p.path(LIST)), 4, "unreadable"),
        ("a directory", |p| p.write("keys/revoked.toml/x", ""), 4, "unreadable"),
    ];
    each(some(cases), |(what, tamper, exit, code)| {
        let project = Project::new();
        project.seal();
        tamper(&project);
        let before = project.path(LIST).is_file().then(|| fs::read(project.path(LIST)).unwrap());
        revoke(&project, &["--key", "keys/job.pub", "--reason", "x"]).expect_error_of(what, *exit, code);
        let after = project.path(LIST).is_file().then(|| fs::read(project.path(LIST)).unwrap());
        assert_eq!(before, after, "{what}");
        // Nor does anyone who reads it take it for an empty one; `revoked = []` is one.
        if *what != "an open table" {
            assert!(matches!(project.verify("any").code, Some(4 | 5)), "{what}");
        }
    });
}

/// The list belongs to the checkout: one that is reached through a link is somebody else's.
#[test]
fn a_list_behind_a_link_is_not_followed() {
    let project = Project::new();
    project.seal();
    fs::write(project.outside("elsewhere.toml"), "version = 1\n").unwrap();
    project.relink(LIST, "../../elsewhere.toml");
    assert!(matches!(revoke(&project, &["--key", "keys/job.pub", "--reason", "x"]).code, Some(4 | 5)));
    assert_eq!(fs::read_to_string(project.outside("elsewhere.toml")).unwrap(), "version = 1\n");
    assert!(matches!(project.verify("any").code, Some(4 | 5)));
}

#[test]
fn what_was_in_the_list_stays_byte_for_byte() {
    for before in [
        "# By hand.\nversion = 1 # as ever\n",
        "version = 1",
        "version = 1\n# a last comment without its line feed",
        "version = 1\r\n",
        "version = 1\n\n\n[[revoked]]\nreason = 'x' # first\nkeyid = '0000000000000000000000000000000000000000000000000000000000000000'",
    ] {
        let project = Project::new();
        project.seal();
        project.write(LIST, before);
        assert_eq!(revoke(&project, &["--key", "keys/job.pub", "--reason", "x"]).code, Some(0), "{before}");
        assert_eq!(revoke(&project, &["--key", "keys/other.pub", "--reason", "y"]).code, Some(0), "{before}");
        let after = list(&project);
        assert!(after.starts_with(before), "{after}");
        let added = after.matches("[[revoked]]").count() - before.matches("[[revoked]]").count();
        assert_eq!(added, 2, "{after}");
        project.verify("any").expect(10, &["revoked"]);
    }
}

/// The first entry makes the list, and the directory of the keys where there is none yet.
#[test]
fn the_first_entry_makes_a_list_that_says_what_it_is() {
    let project = Project::new();
    remove(&project.path("keys"));
    assert_eq!(revoke(&project, &["--keyid", &"0".repeat(64), "--reason", "x", "--force"]).code, Some(0));
    assert!(list(&project).starts_with("# What is no longer trusted."), "{}", list(&project));
    assert_eq!(fs::read_dir(project.path("keys")).unwrap().count(), 1);
}

/// Old or new, never half: the new list takes the old one's place in one step.
#[test]
fn a_list_that_cannot_be_written_stays_as_it_was() {
    let before = "version = 1\n";
    let revoke = ["key", "revoke", "--key", "../job.key", "--reason", "x"];
    let project = Project::new();
    project.write(LIST, before);
    // No file may take a byte: the first write kills the process.
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -f 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_cacheseal")]).args(revoke);
    let killed = Run::of(shell.current_dir(project.root()).env_clear().output().unwrap());
    assert_ne!(killed.code, Some(0), "{}", killed.stdout);
    assert_eq!(list(&project), before);
    // What it left does not stop the next.
    project.json(&revoke).expect(0, &[]);
    assert_ne!(list(&project), before);

    let project = Project::new();
    project.write(LIST, before);
    chmod(&project.path("keys"), 0o555);
    let refused = project.run_unprivileged(&["key", "revoke", "--keyid", &"0".repeat(64), "--reason", "x", "--force"]);
    refused.verdict().expect_error(4, "unwritable");
    assert_eq!(list(&project), before);
    chmod(&project.path("keys"), 0o755);
}

fn pin(project: &Project) -> String {
    let run = project.run(&["policy", "digest"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout.trim_end().to_owned()
}

#[test]
fn a_pin_covers_the_list_as_stock_tools_do() {
    let project = Project::new();
    let without = pin(&project);
    project.write(LIST, revocation(&project, "key other"));
    let mut files = ["cacheseal.toml", "keys/job.pub", "keys/other.pub", LIST];
    files.sort_unstable();
    let lines = Command::new("sha256sum").args(files).current_dir(project.root()).output().unwrap();
    assert!(lines.status.success());
    let mut outer = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    outer.stdin.take().unwrap().write_all(&lines.stdout).unwrap();
    let printed = String::from_utf8(outer.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(printed.split(' ').next(), Some(pin(&project).as_str()));
    assert_ne!(pin(&project), without);
}

/// A restore that writes over the checkout, once more: the list is what it would like to lose.
#[test]
fn a_list_that_changes_goes_or_comes_after_pinning_is_refused() {
    type Tamper = fn(&Project);
    let cases: &[(&str, bool, Tamper)] = &[
        ("an entry less", true, |p| p.write(LIST, "version = 1\n")),
        ("a comment more", true, |p| p.write(LIST, format!("{}# x\n", list(p)))),
        ("an entry more", true, |p| {
            assert_eq!(revoke(p, &["--key", "keys/job.pub", "--reason", "x"]).code, Some(0));
        }),
        ("no list", true, |p| remove(&p.path(LIST))),
        ("a broken list", true, |p| p.write(LIST, "version = 2\n")),
        ("a link to the same list", true, |p| {
            p.rename(LIST, "keys/list.toml");
            p.relink(LIST, "list.toml");
        }),
        ("a fifo", true, |p| fifo(&p.path(LIST))),
        ("a list", false, |p| p.write(LIST, "version = 1\n")),
        ("an empty list", false, |p| p.write(LIST, "")),
    ];
    each(some(cases), |(what, listed, tamper)| {
        let project = Project::new();
        project.seal();
        if *listed {
            project.write(LIST, revocation(&project, "key other"));
        }
        let verify = ["verify", "deps", "--gate", "any", "--policy-sha256", &pin(&project)];
        project.json(&verify).expect_of(what, 0, &[]);
        tamper(&project);
        project.json(&verify).expect_of(what, 15, &["policy-changed"]);
    });
}

/// A newer list holds under a pin as well: it comes from outside the checkout.
#[test]
fn a_newer_list_adds_to_a_pinned_one() {
    let project = Project::new();
    project.seal();
    project.write(LIST, revocation(&project, "key other"));
    let (pin, newer) = (pin(&project), project.outside("newer.toml"));
    let verify = |lists: &[&str]| {
        let lists = lists.iter().flat_map(|list| ["--revocations", list]);
        let base = ["verify", "deps", "--gate", "any", "--policy-sha256", &pin];
        project.json(&base.into_iter().chain(lists).collect::<Vec<_>>())
    };
    let newer = newer.to_str().unwrap();
    fs::write(newer, "version = 1\n").unwrap();
    verify(&[newer]).expect(0, &[]);
    verify(&[newer, newer]).expect(0, &[]);
    let more = project.outside("more.toml");
    fs::write(&more, revocation(&project, "key job")).unwrap();
    // An empty list takes nothing back, wherever it stands.
    verify(&[more.to_str().unwrap(), newer]).expect(10, &["revoked"]);
    verify(&[newer, more.to_str().unwrap()]).expect(10, &["revoked"]);
    // What a signer sealed at that very instant was not sealed before it.
    let sealed_at = verify(&[]).json["seal"]["sealedAt"].as_str().unwrap().to_owned();
    let until = |before: &str| {
        let entry = entry_text(&[("signer", "job"), ("before", before)], "x");
        fs::write(&more, format!("version = 1\n{entry}")).unwrap();
        verify(&[more.to_str().unwrap()])
    };
    until(&sealed_at).expect(0, &[]);
    until(&(sealed_at.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(1)).to_string())
        .expect(10, &["revoked"]);
}

/// A slip in an emergency: the list would recall nothing, and nobody would know.
#[test]
fn what_the_policy_does_not_name_is_recalled_only_by_force() {
    let unknown = "0".repeat(64);
    for (what, near) in [
        (&["--keyid", unknown.as_str()][..], None),
        (&["--signer", "jbo", "--before", "2026-11-22T12:00:00Z"], Some("did you mean `job`?")),
    ] {
        let project = Project::new();
        let slip = [&["key", "revoke"], what, &["--reason", "x"]].concat();
        project.json(&slip).expect_error(2, "usage");
        assert!(!project.path(LIST).exists());
        let said = project.run(&slip).stderr;
        assert!(said.contains("say `--force`"), "{said}");
        assert!(near.is_none_or(|near| said.contains(near)), "{said}");
        project.json(&[&slip[..], &["--force"]].concat()).expect(0, &[]);
        assert!(list(&project).contains(what[1]));
    }
}
