//! `--on-refusal`: a refused cache is taken away, nothing else is, and the exit status stays what it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::forge::{fifo, remove};
use crate::harness::{POLICY, Project};
use crate::rows::{each, some};

const ACTIONS: [&str; 3] = ["keep", "quarantine", "purge"];

/// A sealed and poisoned project.
fn poisoned() -> Project {
    let project = Project::new();
    project.seal();
    project.write("deps/pkg/.npmrc", "evil");
    project
}

/// Where what was taken away may lie.
fn quarantines(project: &Project) -> Vec<PathBuf> {
    let places = [project.root(), project.home(), project.path(".cacheseal")];
    let entries =
        places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().map(|entry| entry.unwrap().path());
    let refused = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(".cacheseal-refused-");
    entries.filter(refused).collect()
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Nothing of the cache is where it was.
#[track_caller]
fn expect_gone(project: &Project) {
    assert!(!is_there(&project.path("deps")) && !is_there(&project.home().join("store")));
    assert!(!is_there(&project.seal_path()));
    project.verify("any").expect(3, &["nothing-restored"]);
}

#[test]
fn what_is_done_with_a_refused_cache_does_not_change_the_verdict() {
    type Tamper = fn(&Project);
    let cases: &[(&str, Tamper, i32, &[&str])] = &[
        ("changed", |p| p.write("deps/tool", "x"), 11, &["digest-mismatch"]),
        ("no seal", |p| remove(&p.seal_path()), 10, &["no-seal"]),
        ("no signature", |p| p.edit_envelope(|e| e["signatures"] = serde_json::json!([])), 10, &["no-signature"]),
        ("a limit", |p| fs::write(p.envelope_path(), vec![b' '; 2 << 20]).unwrap(), 13, &["seal-too-large"]),
    ];
    each(some(cases), |(what, tamper, exit, codes)| {
        for action in ACTIONS {
            let project = Project::new();
            project.seal();
            tamper(&project);
            project.verify_with(&["--on-refusal", action]).expect_of(format_args!("{what}: {action}"), *exit, codes);
            match action {
                "keep" => project.verify("any").expect_of(format_args!("{what}: {action}"), *exit, codes),
                _ => expect_gone(&project),
            }
            assert_eq!(quarantines(&project).is_empty(), action != "quarantine", "{what}: {action}");
        }
    });
}

#[test]
fn a_quarantine_holds_everything_and_is_closed_to_others() {
    let project = poisoned();
    project.verify_with(&["--on-refusal", "quarantine"]).expect(11, &["extra-entry"]);
    let places = quarantines(&project);
    let mut held: Vec<_> = places
        .iter()
        .map(|place| {
            assert_eq!(fs::metadata(place).unwrap().permissions().mode() & 0o7777, 0o700);
            let mut entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
            let only = entries.next().unwrap();
            assert!(entries.next().is_none());
            only
        })
        .collect();
    held.sort_by_key(|path| (path.starts_with(project.home()), path.starts_with(project.path(".cacheseal"))));
    assert_eq!(fs::read(held[0].join("pkg/.npmrc")).unwrap(), b"evil");
    assert!(held[1].join("seal.json").is_file() && held[2].join("blob").is_file());
    // A second one does not disturb the first.
    project.fill();
    project.verify_with(&["--on-refusal", "quarantine"]).expect(10, &["no-seal"]);
    assert_eq!(quarantines(&project).len(), 5);
    assert_eq!(fs::read(held[0].join("pkg/.npmrc")).unwrap(), b"evil");
}

#[test]
fn what_is_not_refused_is_left_alone() {
    for action in ACTIONS {
        let project = Project::new();
        project.seal();
        project.verify_with(&["--on-refusal", action]).expect(0, &[]);
        project.verify("any").expect(0, &[]);
        // A miss.
        let project = Project::new();
        remove(&project.path("deps"));
        remove(&project.home().join("store"));
        fs::create_dir(project.path("deps")).unwrap();
        project.verify_with(&["--on-refusal", action]).expect(3, &["nothing-restored"]);
        assert!(is_there(&project.path("deps")));
        // An error of our own.
        let project = poisoned();
        project.write("cacheseal.toml", "x");
        project.verify_with(&["--on-refusal", action]).expect_error(5, "malformed-policy");
        assert!(is_there(&project.path("deps/pkg/.npmrc")) && is_there(&project.envelope_path()));
    }
}

/// The roots of a policy that is not the pinned one are the attacker's choice of what to delete.
#[test]
fn a_changed_policy_disposes_of_nothing() {
    for action in ACTIONS {
        let project = poisoned();
        let pin = project.run(&["policy", "digest"]).stdout;
        project.write("precious/file", "x");
        project.write("cacheseal.toml", POLICY.replace("\"deps\", ", "\"precious\", "));
        let verify = ["verify", "deps", "--gate", "any", "--policy-sha256", pin.trim_end(), "--on-refusal", action];
        project.json(&verify).expect(15, &["policy-changed"]);
        for below in ["precious/file", "deps/tool", ".cacheseal/deps/seal.json"] {
            assert!(is_there(&project.path(below)), "{action}: {below}");
        }
        assert!(quarantines(&project).is_empty());
    }
}

/// Whatever a link leads to is not the cache's to take.
#[test]
fn no_link_is_followed() {
    type Tamper = fn(&Project, &Path);
    let cases: &[(&str, Tamper, i32, &[&str])] = &[
        ("a root", |p, to| p.relink("deps", to), 11, &["unsafe-root"]),
        ("a directory in a root", |p, to| p.relink("deps/pkg", to), 11, &["type-mismatch"]),
        ("a file in a root", |p, to| p.relink("deps/tool", to.join("file")), 11, &["type-mismatch"]),
        ("the seal", |p, to| p.relink(".cacheseal/deps", to), 10, &["malformed-seal"]),
        ("all seals", |p, to| p.relink(".cacheseal", to), 10, &["malformed-seal"]),
        ("a manifest", |p, to| p.relink(".cacheseal/deps/0.mtree", to.join("file")), 10, &["malformed-seal"]),
    ];
    each(some(cases), |(what, tamper, exit, codes)| {
        for action in ["quarantine", "purge"] {
            let project = Project::new();
            project.seal();
            let target = project.outside("precious");
            for name in ["file", "deps/seal.json", "bundle/file"] {
                project.write(&format!("../precious/{name}"), "x");
            }
            tamper(&project, &target);
            project.verify_with(&["--on-refusal", action]).expect_of(format_args!("{what}: {action}"), *exit, codes);
            for name in ["file", "deps/seal.json", "bundle/file"] {
                assert_eq!(fs::read(target.join(name)).unwrap(), b"x", "{what}: {action}: {name}");
            }
            expect_gone(&project);
            assert_eq!(quarantines(&project).is_empty(), action == "purge", "{what}: {action}");
        }
    });
}

/// The link stands above the root: it goes, and nothing is left of it.
#[test]
fn a_link_above_a_root_is_taken_away_itself() {
    for action in ["quarantine", "purge"] {
        let project = Project::empty(&POLICY.replace("\"deps\", ", "\"vendor/bundle\", "));
        project.write("vendor/bundle/a", "a");
        project.seal();
        project.rename("vendor", "../precious");
        project.relink("vendor", project.outside("precious"));
        project.verify_with(&["--on-refusal", action]).expect(11, &["unsafe-root"]);
        assert!(!is_there(&project.path("vendor")), "{action}");
        assert_eq!(fs::read(project.outside("precious/bundle/a")).unwrap(), b"a", "{action}");
        assert_eq!(quarantines(&project).is_empty(), action == "purge", "{action}: {:?}", quarantines(&project));
    }
}

/// Modes that keep their owner out, as some package managers set them and an attacker may.
#[test]
fn modes_do_not_keep_a_refused_cache_in_its_place() {
    for mode in some([0o555, 0o500, 0o311, 0o000]) {
        for below in ["deps/pkg/lib", "deps/pkg", "deps", ".cacheseal/deps"] {
            for action in ["quarantine", "purge"] {
                let project = poisoned();
                project.write("deps/extra/deep/er/file", "x");
                project.chmod("deps/extra/deep", mode);
                project.chmod(below, mode);
                let verify = ["verify", "deps", "--gate", "any", "--trust-checkout", "--on-refusal", action];
                let verdict = project.run_unprivileged(&verify).verdict();
                if !matches!(verdict.code, Some(10 | 11)) {
                    // What could not be read at all is undecided, and undecided is no reason to delete.
                    assert_eq!(verdict.code, Some(4), "{mode:o} {below}: {:#}", verdict.json);
                    continue;
                }
                assert!(
                    !verdict.json["disposal"].to_string().contains("failed"),
                    "{mode:o} {below}: {:#}",
                    verdict.json
                );
                expect_gone(&project);
                assert_eq!(quarantines(&project).is_empty(), action == "purge", "{mode:o} {below}: {action}");
            }
        }
    }
}

#[test]
fn special_files_are_taken_away_too() {
    for action in ["quarantine", "purge"] {
        let project = Project::new();
        project.seal();
        fifo(&project.path("deps/pkg/fifo"));
        fifo(&project.envelope_path());
        project.verify_with(&["--on-refusal", action]).expect(10, &["malformed-seal"]);
        expect_gone(&project);
    }
}

#[test]
fn what_cannot_be_moved_is_told_and_stays_refused() {
    let project = Project::new();
    project.seal();
    project.write("deps/evil", "evil");
    project.chmod("", 0o555);
    let verify = ["verify", "deps", "--gate", "any", "--trust-checkout", "--on-refusal", "purge"];
    let verdict = project.run_unprivileged(&verify).verdict();
    project.chmod("", 0o755);
    verdict.expect(11, &["extra-entry"]);
    let told = verdict.json["disposal"].as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].as_str().unwrap().starts_with("disposal-failed: deps is still there: "), "{told:?}");
    // The seal went first, so what stayed is not trusted either.
    project.verify("any").expect(10, &["no-seal"]);
}
