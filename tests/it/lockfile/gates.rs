//! What a gate does with a lockfile proof, whatever the ecosystem.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::cargo::{CACHE, CRATES_IO, SRC, home, lockfile};
use super::{Locked, tgz};
use crate::forge::remove;
use crate::harness::{Project, copy_tree};
use crate::rows::{each, some};

const LIB: &str = "left-1.2.3/src/lib.rs";

fn lib() -> String {
    format!("{SRC}/{LIB}")
}

/// One entry more that no package has.
fn with_extra() -> Locked {
    let home = home();
    home.write("~/.cargo/registry/notes.txt", "mine");
    home
}

#[test]
fn a_gate_that_proves_by_lockfiles_needs_neither_key_nor_seal() {
    let home = home();
    remove(&home.path("keys/job.pub"));
    home.write(
        "cacheseal.toml",
        "version = 1\nproject = \"p\"\n[cache.deps]\nroots = [\"~/.cargo/registry\"]\nlockfiles = [\"Cargo.lock\"]\n\
         [gate.lock]\nrequire = [\"lockfile\"]\n",
    );
    home.trusted("");
}

#[test]
fn an_unproven_entry_is_refused_counted_or_signed() {
    let home = with_extra();
    home.refused("", &["unproven-entry"], "~/.cargo/registry/notes.txt");
    let verdict = home.verify("allow");
    verdict.expect(0, &[]);
    let coverage = &verdict.json["coverage"];
    assert_eq!(coverage["unproven"]["files"], 1, "{coverage:#}");
    assert_eq!(coverage["unproven"]["bytes"], 4, "{coverage:#}");
    assert_eq!(coverage["signature"]["files"], 0, "{coverage:#}");
    assert_eq!(coverage["entries"][0]["place"], "~/.cargo/registry/notes.txt");
    assert_eq!(coverage["entries"][0]["reason"], "no package of the lockfile has it");
    home.verify("both").expect(10, &["no-seal"]);
    home.project.seal();
    let verdict = home.verify("both");
    verdict.expect(0, &[]);
    let coverage = &verdict.json["coverage"];
    assert_eq!(coverage["signature"], coverage["total"], "{coverage:#}");
    assert_eq!(coverage["unproven"]["files"], 0, "{coverage:#}");
    assert_eq!(coverage["entries"].as_array().unwrap().len(), 1, "{coverage:#}");
}

#[test]
fn with_both_proofs_neither_makes_up_for_the_other() {
    // Sealed as it is, so that the signature is good, and not what the lockfile asks for.
    let home = home();
    home.write(&lib(), "pub fn evil() {}\n");
    home.project.seal();
    home.verify("both").expect(14, &["lockfile-mismatch"]);
    // As locked, and not as sealed.
    home.write(&lib(), "pub fn left() {}\n");
    home.verify("both").expect(11, &["digest-mismatch"]);
    home.project.seal();
    home.verify("both").expect(0, &[]);
    // A seal of another lockfile is refused by the seal's own rule.
    let text = fs::read_to_string(home.path("Cargo.lock")).unwrap();
    home.write("Cargo.lock", format!("{text}\n"));
    home.verify("both").expect(10, &["stale-lockfile"]);
}

#[test]
fn a_share_that_is_too_small_is_refused() {
    let home = with_extra();
    home.write("~/.cargo/registry/more.txt", "mine");
    let policy = fs::read_to_string(home.path("cacheseal.toml")).unwrap();
    // Five files of seven are proven, and more of the bytes.
    for (min, exit, codes) in [("0.7", 0, &[][..]), ("0.72", 14, &["low-coverage"]), ("1", 14, &["low-coverage"])] {
        home.write("cacheseal.toml", policy.replace("coverage = 0.01", &format!("coverage = {min}")));
        home.project.seal();
        home.verify("both").expect_of(min, exit, codes);
    }
    // A large unproven file counts by its bytes.
    home.write("cacheseal.toml", policy.replace("coverage = 0.01", "coverage = 0.5"));
    home.write("~/.cargo/registry/more.txt", vec![0; 1 << 20]);
    home.project.seal();
    home.verify("both").expect(14, &["low-coverage"]);
}

#[test]
fn copies_of_what_is_proven_raise_no_share() {
    let home = with_extra();
    let policy = fs::read_to_string(home.path("cacheseal.toml")).unwrap();
    home.write("cacheseal.toml", policy.replace("coverage = 0.01", "coverage = 0.85"));
    let sealed = |row: &str, exit: i32, codes: &[&str]| {
        home.project.seal();
        home.verify("both").expect_of(row, exit, codes);
    };
    // Five files of six.
    sealed("once", 14, &["low-coverage"]);
    // Cargo has four names for the directory of crates.io.
    let other = "index.crates.io-6f17d22bba15001f";
    for part in ["cache", "src"] {
        let from = home.path(&format!("~/.cargo/registry/{part}"));
        let from = fs::read_dir(&from).unwrap().next().unwrap().unwrap().path();
        let to = home.path(&format!("~/.cargo/registry/{part}/{other}"));
        assert_ne!(from, to);
        copy_tree(&from, &to);
    }
    sealed("copied", 14, &["low-coverage"]);
    let verdict = home.verify("both");
    assert_eq!(verdict.json["coverage"]["lockfile"]["files"], 10, "{:#}", verdict.json);
}

/// What a gate without a key lets pass: regular files without executable bit at the places of `unproven`.
#[test]
fn a_gate_without_a_key_allows_files_at_named_places_only() {
    type Add = fn(&Locked);
    const AT: &str = "~/.cargo/registry/index";
    let rows: [(&str, Add, bool); 7] = [
        ("a file there", |home| home.write(&format!("{AT}/a/config.json"), "{}"), true),
        ("an empty directory there", |home| fs::create_dir_all(home.path(&format!("{AT}/a/b"))).unwrap(), true),
        ("an executable file there", |home| home.write_mode(&format!("{AT}/run"), "#!/bin/sh\n", 0o755), false),
        (
            "a link there",
            |home| {
                home.write(&format!("{AT}/a"), "");
                symlink("a", home.path(&format!("{AT}/b"))).unwrap();
            },
            false,
        ),
        ("a file elsewhere", |home| home.write("~/.cargo/registry/notes.txt", ""), false),
        ("a file beside", |home| home.write("~/.cargo/registry/index.txt", ""), false),
        ("an empty directory elsewhere", |home| fs::create_dir(home.path("~/.cargo/registry/x")).unwrap(), false),
    ];
    each(some(rows), |(row, add, is_allowed)| {
        let home = home();
        let policy = fs::read_to_string(home.path("cacheseal.toml")).unwrap();
        home.write("cacheseal.toml", policy.replace("registry/**", "registry/index/**"));
        add(&home);
        let (exit, codes): (i32, &[&str]) = if is_allowed { (0, &[]) } else { (14, &["unproven-entry"]) };
        home.verify("allow").expect_of(row, exit, codes);
        home.verify("lock").expect_of(row, 14, &["unproven-entry"]);
    });
}

#[test]
fn a_directory_with_nothing_proven_in_it_is_unproven() {
    let home = home();
    fs::create_dir_all(home.path("~/.cargo/registry/evil/deep/deeper")).unwrap();
    home.refused("empty", &["unproven-entry"], "~/.cargo/registry/evil");
    assert_eq!(home.verify("lock").json["counts"]["unproven-entry"], 1);
    // What is in it is told of by itself.
    home.write("~/.cargo/registry/evil/deep/file", "");
    home.refused("with a file", &["unproven-entry"], "~/.cargo/registry/evil/deep/file");
}

#[test]
fn nothing_restored_is_a_miss_and_taking_away_makes_no_success() {
    let home = home();
    remove(&home.path("~/.cargo"));
    home.verify("lock").expect(3, &["nothing-restored"]);
    home.project
        .json(&["verify", "deps", "--gate", "lock", "--trust-checkout", "--allow-miss"])
        .expect(0, &["nothing-restored"]);
    fs::create_dir_all(home.path("~/.cargo/registry")).unwrap();
    home.verify("lock").expect(3, &["nothing-restored"]);
    home.verify("both").expect(3, &["nothing-restored"]);
    // A seal without anything that it is for is no miss.
    home.write(".cacheseal/deps/deep/evil.test.js", "x");
    home.verify("lock").expect(10, &["extra-entry", "no-seal"]);
    remove(&home.path(".cacheseal/deps"));
    // An empty directory in it is something, and nothing proves it.
    fs::create_dir_all(home.path("~/.cargo/registry/src")).unwrap();
    home.refused("", &["unproven-entry"], "~/.cargo/registry/src");
    // What is left of a cache without its archives proves nothing any more.
    let home = super::cargo::home();
    remove(&home.path(CACHE));
    home.refused("", &["unproven-entry"], &lib());
}

#[test]
fn what_no_honest_tree_has_is_refused_without_a_seal_too() {
    type Tamper = fn(&Locked);
    let rows: [(&str, Tamper, i32, &[&str]); 5] = [
        ("writable by others", |home| chmod(home, &lib(), 0o666), 11, &["forbidden-mode"]),
        ("setuid", |home| chmod(home, &format!("{SRC}/left-1.2.3/build.sh"), 0o4755), 11, &["forbidden-mode"]),
        ("a directory that others may write", |home| chmod(home, SRC, 0o777), 11, &["forbidden-mode"]),
        (
            "a fifo",
            |home| {
                let path = home.path(&lib());
                fs::remove_file(&path).unwrap();
                rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
            },
            11,
            &["special-file", "lockfile-mismatch"],
        ),
        (
            "a name outside",
            |home| fs::hard_link(home.path(&lib()), home.path("lib.rs")).unwrap(),
            11,
            &["hardlink-outside"],
        ),
    ];
    each(some(rows), |(row, tamper, exit, codes)| {
        let home = home();
        tamper(&home);
        home.verify("lock").expect_of(row, exit, codes);
    });
}

fn chmod(home: &Locked, path: &str, mode: u32) {
    fs::set_permissions(home.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn links_that_leave_are_refused_where_the_gate_wants_them_inside() {
    let home = home();
    symlink("/etc/passwd", home.path(&format!("{CACHE}/passwd"))).unwrap();
    symlink("left-1.2.3.crate", home.path(&format!("{CACHE}/same"))).unwrap();
    home.project.seal();
    home.verify("both").expect(0, &[]);
    let policy = fs::read_to_string(home.path("cacheseal.toml")).unwrap();
    home.write("cacheseal.toml", policy.replace("[gate.both]\n", "[gate.both]\nlinks = \"inside\"\n"));
    let verdict = home.verify("both");
    verdict.expect(11, &["link-escapes"]);
    assert_eq!(verdict.json["counts"]["link-escapes"], 1);
}

#[test]
fn a_root_that_is_a_link_is_refused() {
    let home = home();
    fs::rename(home.path("~/.cargo/registry"), home.path("~/elsewhere")).unwrap();
    symlink(home.path("~/elsewhere"), home.path("~/.cargo/registry")).unwrap();
    home.verify("lock").expect(11, &["unsafe-root"]);
}

#[test]
fn lockfiles_are_believed_only_where_something_vouches_for_them() {
    let home = home();
    home.project.seal();
    let pin = home.project.run(&["policy", "digest"]).stdout;
    for gate in ["lock", "allow", "both"] {
        let verdict = home.project.json(&["verify", "deps", "--gate", gate, "--policy-sha256", pin.trim_end()]);
        verdict.expect_of(gate, 10, &["unpinned-lockfile"]);
    }
}

#[test]
fn a_lockfile_that_cannot_be_read_is_an_error_with_its_line() {
    let malformed: [(&str, &str, &str); 9] = [
        ("not toml", "[[package]\n", "Cargo.lock:1"),
        ("not text", "a = \"\u{0}\"", "Cargo.lock:1"),
        ("a package without a name", "version = 4\n\n[[package]]\nversion = \"1.0.0\"\n", "Cargo.lock:3"),
        ("a name of another type", "version = 4\n\n[[package]]\nname = 1\nversion = \"1.0.0\"\n", "Cargo.lock:4"),
        (
            "a name that leads elsewhere",
            "version = 4\n\n[[package]]\nname = \"../a\"\nversion = \"1.0.0\"\nsource = \"registry+https://a\"\n",
            "Cargo.lock:3",
        ),
        (
            "a version that leads elsewhere",
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1/2\"\nsource = \"registry+https://a\"\n",
            "Cargo.lock:3",
        ),
        (
            "a checksum that is short",
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://a\"\nchecksum = \"ab\"\n",
            "Cargo.lock:3",
        ),
        (
            "a package twice",
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://a\"\n\n\
             [[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://a\"\n",
            "Cargo.lock:8",
        ),
        ("conflict markers", "version = 4\n<<<<<<< HEAD\n", "Cargo.lock:2"),
    ];
    let unsupported: [(&str, &str, &str); 5] = [
        ("a later version", "# a comment\nversion = 5\n", "Cargo.lock:2"),
        ("a version that says it is old", "version = 1\n", "Cargo.lock:1"),
        ("a negative version", "version = -1\n", "Cargo.lock:1"),
        ("a root package", "[root]\nname = \"a\"\n", "Cargo.lock:1"),
        (
            "another source",
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"svn+https://a\"\n",
            "Cargo.lock:3",
        ),
    ];
    let home = home();
    let rows = malformed.map(|row| ("malformed-lockfile", row)).into_iter();
    for (code, (row, text, place)) in rows.chain(unsupported.map(|row| ("unsupported-lockfile", row))) {
        home.write("Cargo.lock", text);
        for gate in ["lock", "allow", "both"] {
            let verdict = home.verify(gate);
            verdict.expect_error_of(row, 5, code);
            let message = verdict.json["error"]["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("{place}: expected ")), "{row}: {message}");
        }
    }
    home.write("Cargo.lock", [b'a', b'\n', 0xff]);
    home.verify("lock").expect_error(5, "malformed-lockfile");
    remove(&home.path("Cargo.lock"));
    home.verify("lock").expect_error(5, "no-lockfile");
    fs::create_dir(home.path("Cargo.lock")).unwrap();
    home.verify("lock").expect_error(5, "malformed-lockfile");
}

#[test]
fn a_lockfile_of_an_ecosystem_that_is_not_read_is_an_error() {
    let locked = Locked::new(&["deps"], "flake.lock");
    locked.write("flake.lock", "{}");
    locked.write("deps/a", "");
    let verdict = locked.verify("lock");
    verdict.expect_error(5, "unsupported-lockfile");
    assert!(verdict.json["error"]["message"].as_str().unwrap().starts_with("flake.lock: expected "));
}

#[test]
fn a_gate_that_proves_by_lockfiles_is_not_used_on_a_cache_without_any() {
    let project = Project::empty(
        "version = 1\nproject = \"p\"\n[cache.deps]\nroots = [\"deps\"]\n[gate.lock]\nrequire = [\"lockfile\"]\n",
    );
    let verdict = project.verify("lock");
    verdict.expect_error(5, "gate-without-evidence");
    assert_eq!(
        verdict.json["error"]["message"],
        "cacheseal.toml:5:7: expected a cache with lockfiles at gate `lock`, which proves by them, found `deps` without"
    );
}

#[test]
fn what_can_be_run_stands_first_among_the_unproven() {
    let home = home();
    for (name, mode) in [("a.txt", 0o644), ("b.js", 0o644), ("c", 0o755), ("d.rs", 0o644), ("e", 0o644)] {
        home.write_mode(&format!("~/.cargo/registry/{name}"), "", mode);
    }
    let verdict = home.verify("allow");
    let entries = verdict.json["coverage"]["entries"].as_array().unwrap();
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (entry["place"].as_str().unwrap().rsplit('/').next().unwrap(), entry["nature"].as_str().unwrap()))
        .collect();
    assert_eq!(
        entries,
        [("c", "executable"), ("b.js", "script"), ("d.rs", "script"), ("a.txt", "file"), ("e", "file")]
    );
    let text = home.project.run(&["verify", "deps", "--gate", "allow", "--trust-checkout"]).stdout;
    assert!(text.contains("proven by lockfile: 5 files"), "{text}");
    assert!(
        text.contains("no lockfile proves executable ~/.cargo/registry/c: no package of the lockfile has it"),
        "{text}"
    );
}

#[test]
fn every_rule_of_the_proof_is_explained_with_its_line() {
    let home = with_extra();
    let rules_of = |gate: &str| {
        let verdict = home.project.json(&["verify", "deps", "--gate", gate, "--trust-checkout", "--explain"]);
        let rules = verdict.json["rules"].as_array().unwrap().clone();
        rules
            .iter()
            .map(|rule| {
                let text = |field: &str| rule[field].as_str().unwrap().to_owned();
                (text("code"), rule["met"].as_bool().unwrap(), text("expected"), text("found"), text("origin"))
            })
            .collect::<Vec<_>>()
    };
    let rules = rules_of("lock");
    let of = |code: &str| rules.iter().find(|rule| rule.0 == code).unwrap_or_else(|| panic!("{rules:?}")).clone();
    let mismatch = of("lockfile-mismatch");
    assert_eq!(
        (mismatch.1, mismatch.3.as_str(), mismatch.4.as_str()),
        (true, "5 files proven, 0 otherwise than locked", "cacheseal.toml:6")
    );
    assert_eq!(mismatch.2, "what the lockfiles ask for, 1 package");
    let unproven = of("unproven-entry");
    assert_eq!((unproven.1, unproven.3.as_str(), unproven.4.as_str()), (false, "1 such entry", "cacheseal.toml:11"));
    assert!(of("low-coverage").1 && of("hardlink-outside").1);
    let rules = rules_of("allow");
    let unproven = rules.iter().find(|rule| rule.0 == "unproven-entry").unwrap();
    assert_eq!((unproven.1, unproven.4.as_str()), (true, "cacheseal.toml:16"));
    assert_eq!(unproven.2, "no entry that the lockfiles do not prove, but files at the places of `unproven`");
    home.project.seal();
    let rules = rules_of("both");
    assert!(rules.iter().all(|rule| rule.1 && rule.0 != "unproven-entry"), "{rules:?}");
    let share = rules.iter().find(|rule| rule.0 == "low-coverage").unwrap();
    assert_eq!(share.2, "lockfiles prove at least 0.01 of the files and of the bytes");
    assert_eq!(share.4, "cacheseal.toml:22");
}

#[test]
fn an_archive_is_not_held_against_lockfiles_and_says_so() {
    let home = home();
    home.project.seal();
    let archive = home.project.outside("cache.tar");
    let base = home.project.outside("");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(base).arg("-cf").arg(&archive).args(["app/.cacheseal/deps", "home/.cargo/registry"]);
    assert!(tar.status().unwrap().success());
    let verdict = home.project.json(&["verify", "--archive", archive.to_str().unwrap(), "--gate", "both"]);
    verdict.expect(14, &["unproven-entry"]);
    assert_eq!(verdict.json["seal"]["signers"][0]["signer"], "job", "{:#}", verdict.json);
}

/// Ends the guard of a project when a test is over.
struct Stop<'a>(&'a Project);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let _ = self.0.command().args(["guard", "stop"]).output();
    }
}

#[test]
fn under_a_guard_the_lockfile_of_before_the_restore_decides() {
    let honest = home();
    let restored = honest.project.outside("restored");
    fs::rename(honest.path("~/.cargo"), &restored).unwrap();
    let project = &honest.project;
    let start = crate::guard::alone();
    let start: Vec<_> = start.iter().map(String::as_str).collect();
    // Strays decide nothing here, so that only the lockfile does.
    let started = project.json(&[&start[..], &["--report-only"]].concat());
    assert_eq!(started.code, Some(0), "{:#}", started.json);
    let _stop = Stop(project);
    fs::rename(&restored, honest.path("~/.cargo")).unwrap();
    let verify = |gate: &str| project.json(&["verify", "deps", "--gate", gate, "--guard"]);
    verify("lock").expect(0, &[]);
    // The restore brings a lockfile that fits other packages.
    let evil = tgz(&[("left-1.2.3/src/lib.rs", b"pub fn evil() {}\n", 0o644)]);
    remove(&honest.path("~/.cargo/registry/src"));
    honest.write(&format!("{CACHE}/left-1.2.3.crate"), &evil);
    honest.write("Cargo.lock", lockfile(&[("left", "1.2.3", CRATES_IO, &evil)]));
    honest.verify("lock").expect(0, &[]);
    verify("lock").expect(14, &["lockfile-mismatch"]);
    // Nor does it help to take the lockfile away.
    fs::remove_file(honest.path("Cargo.lock")).unwrap();
    verify("lock").expect(14, &["lockfile-mismatch"]);
}
