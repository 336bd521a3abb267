//! Roots: absent, empty, of another type, reached through a link (rows 9, 13, 16, 27, 28); a miss is only what nothing
//! else claims.

use std::fs;
use std::os::unix::fs::symlink;

use crate::forge::{chmod, fifo, remove};
use crate::harness::Project;
use crate::rows::{each, some};

/// A cache whose roots lie below other directories.
const DEEP: &str = r#"version = 1
project = "github.com/acme/app"

[cache.deps]
roots = ["vendor/bundle", "~/.tool/store"]

[signer.job]
keys = [{ file = "keys/job.pub" }]

[gate.any]
require = ["signature"]
signers = ["job"]
max_age = "7d"
lockfile = "any"
"#;

fn deep() -> Project {
    let project = Project::empty(DEEP);
    project.write("vendor/bundle/a.rb", "a");
    fs::create_dir_all(project.home().join(".tool/store")).unwrap();
    fs::write(project.home().join(".tool/store/b"), "b").unwrap();
    project
}

type Tamper = fn(&Project);

/// Row 16: the equal copy behind the link could be exchanged after it was verified.
#[test]
fn every_component_of_a_root_is_a_real_directory() {
    let cases: &[(&str, Tamper)] = &[
        ("a root is a link", |p| p.link_away("vendor/bundle")),
        ("a directory above a root is a link", |p| p.link_away("vendor")),
        ("a root is a dangling link", |p| p.relink("vendor/bundle", "nowhere")),
        ("a root is a link to itself", |p| p.relink("vendor/bundle", "bundle")),
        ("a root is a file", |p| {
            remove(&p.path("vendor/bundle"));
            p.write("vendor/bundle", "a");
        }),
        ("a directory above a root is a file", |p| {
            remove(&p.path("vendor"));
            p.write("vendor", "a");
        }),
        ("a root is a fifo", |p| fifo(&p.path("vendor/bundle"))),
        ("a root in home is a link", |p| p.link_away("../home/.tool/store")),
        ("a directory in home above a root is a link", |p| p.link_away("../home/.tool")),
    ];
    each(some(cases), |(what, tamper)| {
        let project = deep();
        project.seal();
        project.verify("any").expect(0, &[]);
        tamper(&project);
        project.verify("any").expect_of(what, 11, &["unsafe-root"]);
        project.try_seal().expect_of(what, 11, &["unsafe-root"]);
        remove(&project.seal_path());
        project.verify("any").expect_of(what, 10, &["no-seal", "unsafe-root"]);
    });
}

/// The link above home is the system's own, as on macOS.
#[test]
fn home_itself_may_be_a_link() {
    let project = deep();
    project.seal();
    fs::rename(project.home(), project.outside("real-home")).unwrap();
    symlink("real-home", project.home()).unwrap();
    project.verify("any").expect(0, &[]);
}

/// Rows 27 and 28. Without a seal, one entry anywhere makes it a refusal.
#[test]
fn a_miss_is_only_where_there_is_nothing_at_all() {
    let cases: &[(&str, Tamper, i32, &[&str])] = &[
        ("nothing", |_| {}, 3, &["nothing-restored"]),
        ("empty roots", |p| make(p, "vendor/bundle"), 3, &["nothing-restored"]),
        ("other seals", |p| make(p, ".cacheseal/other"), 3, &["nothing-restored"]),
        ("a file in a root", |p| p.write("vendor/bundle/x", ""), 10, &["no-seal"]),
        ("an empty directory in a root", |p| make(p, "vendor/bundle/x"), 10, &["no-seal"]),
        (
            "a link in a root",
            |p| {
                make(p, "vendor/bundle");
                p.relink("vendor/bundle/x", "y");
            },
            10,
            &["no-seal"],
        ),
        ("a hidden file in the other root", |p| p.write("../home/.tool/store/.x", ""), 10, &["no-seal"]),
        (
            "a root that is a link",
            |p| {
                make(p, "vendor");
                p.relink("vendor/bundle", "y");
            },
            10,
            &["no-seal", "unsafe-root"],
        ),
        ("an empty seal directory", |p| make(p, ".cacheseal/deps"), 10, &["no-seal"]),
        ("an empty `seal.json`", |p| p.write(".cacheseal/deps/seal.json", ""), 10, &["malformed-envelope"]),
        ("a file in place of the seal", |p| p.write(".cacheseal/deps", ""), 10, &["malformed-seal"]),
        ("a file in place of all seals", |p| p.write(".cacheseal", ""), 10, &["malformed-seal"]),
        (
            "a dangling link in place of the seal",
            |p| {
                make(p, ".cacheseal");
                p.relink(".cacheseal/deps", "y");
            },
            10,
            &["malformed-seal"],
        ),
    ];
    each(some(cases), |(what, restore, exit, codes)| {
        let project = Project::empty(DEEP);
        restore(&project);
        project.verify("any").expect_of(what, *exit, codes);
        // A miss may be allowed; nothing else may.
        let allowed = project.verify_with(&["--allow-miss"]);
        allowed.expect_of(what, if *exit == 3 { 0 } else { *exit }, codes);
        assert_eq!(allowed.json["verdict"] == "miss", *exit == 3, "{what}");
        // What was allowed needs no advice.
        let verify = ["verify", "deps", "--gate", "any", "--trust-checkout"];
        let advises = |more: &[&str]| project.run(&[&verify[..], more].concat()).stdout.contains("hint: ");
        assert_eq!((advises(&[]), advises(&["--allow-miss"])), (true, *exit != 3), "{what}");
    });
}

/// Row 27: a missing seal never turns a no into a yes, nor into a miss.
#[test]
fn a_removed_seal_is_refused() {
    let project = deep();
    project.seal();
    remove(&project.path(".cacheseal"));
    project.verify("any").expect(10, &["no-seal"]);
    // Row 28: with the roots gone as well, nothing was restored.
    remove(&project.path("vendor"));
    remove(&project.home().join(".tool"));
    project.verify("any").expect(3, &["nothing-restored"]);
}

/// Row 9: a seal speaks of roots, so roots that are gone are a refusal and no miss.
#[test]
fn a_seal_without_its_roots_is_refused() {
    let project = deep();
    project.seal();
    remove(&project.path("vendor"));
    remove(&project.home().join(".tool"));
    project.verify("any").expect(11, &["missing-entry"]);
    project.verify_with(&["--allow-miss"]).expect(11, &["missing-entry"]);
}

#[test]
fn a_root_sealed_as_absent_stays_absent() {
    let project = deep();
    remove(&project.path("vendor"));
    project.seal();
    project.verify("any").expect(0, &[]);
    make(&project, "vendor");
    project.verify("any").expect(0, &[]);
    // Runners and volumes make such directories before a restore: there is nothing in it.
    make(&project, "vendor/bundle");
    project.verify("any").expect(0, &[]);
    // There is as soon as others put something in it.
    chmod(&project.path("vendor/bundle"), 0o777);
    project.verify("any").expect(11, &["forbidden-mode"]);
    chmod(&project.path("vendor/bundle"), 0o755);
    project.write("vendor/bundle/a", "");
    project.verify("any").expect(11, &["extra-entry"]);
    remove(&project.path("vendor/bundle"));
    project.relink("vendor/bundle", "nowhere");
    project.verify("any").expect(11, &["unsafe-root"]);
}

#[test]
fn an_empty_root_is_not_an_absent_one() {
    let project = deep();
    remove(&project.path("vendor/bundle"));
    make(&project, "vendor/bundle");
    project.seal();
    project.verify("any").expect(0, &[]);
    remove(&project.path("vendor/bundle"));
    project.verify("any").expect(11, &["missing-entry"]);
}

/// Row 13: a seal over nothing would trust nothing, for ever.
#[test]
fn nothing_is_not_sealed() {
    let project = Project::empty(DEEP);
    project.try_seal().expect_error(3, "nothing-to-seal");
    make(&project, "vendor/bundle");
    project.try_seal().expect_error(3, "nothing-to-seal");
    assert!(!project.path(".cacheseal").exists());
}

fn make(project: &Project, below: &str) {
    fs::create_dir_all(project.path(below)).unwrap();
}
