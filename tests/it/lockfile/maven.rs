//! Local repositories of Maven made here, against trusted checksums. The digests are those of coreutils.

use std::fs;
use std::os::unix::fs::symlink;

use super::gradle::digest_by;
use super::{Locked, mutated};
use crate::rows::{each, some};

const SHA_256: &str = ".mvn/checksums/checksums-central.sha256";
const SHA_512: &str = ".mvn/checksums/checksums.sha512";
const VERSION: &str = "org/example/lib/1.0";
const REPOSITORY: &str = "~/.m2/repository";
const JAR: &[u8] = b"a jar";
const POM: &[u8] = b"a pom";

fn summary(program: &str) -> String {
    let (jar, pom) = (digest_by(program, JAR), digest_by(program, POM));
    format!("# trusted\n\n{jar}  {VERSION}/lib-1.0.jar\n{pom}  {VERSION}/lib-1.0.pom\n")
}

fn repository(root: &str, lockfile: &str) -> Locked {
    let locked = Locked::new(&[root], lockfile);
    locked.write(lockfile, summary(if lockfile == SHA_256 { "sha256sum" } else { "sha512sum" }));
    for (name, contents) in [("lib-1.0.jar", JAR), ("lib-1.0.pom", POM)] {
        locked.write(&format!("{REPOSITORY}/{VERSION}/{name}"), contents);
        locked.write(&format!("{REPOSITORY}/{VERSION}/{name}.sha1"), digest_by("sha1sum", contents));
    }
    locked
}

#[test]
fn an_honest_repository_is_proven_whole() {
    for root in [REPOSITORY, "~/.m2/repository/org", "~/.m2/repository/org/example"] {
        for lockfile in [SHA_256, SHA_512] {
            repository(root, lockfile).trusted(root);
        }
    }
}

#[test]
fn each_tampering_is_refused_where_it_is() {
    type Tamper = fn(&Locked, &str);
    let rows: &[(&str, Tamper, &str, &str)] = &[
        ("other bytes", |home, at| home.write(at, "evil!"), "lockfile-mismatch", "org/example/lib/1.0/lib-1.0.jar"),
        (
            "an executable bit",
            |home, at| home.write_mode(at, JAR, 0o755),
            "lockfile-mismatch",
            "org/example/lib/1.0/lib-1.0.jar",
        ),
        (
            "another digest beside",
            |home, at| home.write(at, "0".repeat(40)),
            "unproven-entry",
            "org/example/lib/1.0/lib-1.0.jar.sha1",
        ),
        ("another version", |home, at| home.write(at, JAR), "unproven-entry", "org/example/lib/1.1/lib-1.1.jar"),
        (
            "what Maven notes",
            |home, at| home.write(at, ""),
            "unproven-entry",
            "org/example/lib/1.0/_remote.repositories",
        ),
        (
            "a link",
            |home, at| {
                fs::remove_file(home.path(at)).unwrap();
                symlink("lib-1.0.pom", home.path(at)).unwrap();
            },
            "unproven-entry",
            "org/example/lib/1.0/lib-1.0.jar",
        ),
    ];
    each(some(rows), |(row, tamper, code, place)| {
        let home = repository(REPOSITORY, SHA_256);
        let place = format!("{REPOSITORY}/{place}");
        tamper(&home, &place);
        let verdict = home.verify("lock");
        assert_eq!(verdict.code, Some(14), "{row}: {:#}", verdict.json);
        let refusals = verdict.json["refusals"].as_array().unwrap();
        let named = refusals.iter().any(|refusal| refusal["code"] == *code && refusal["place"] == place.as_str());
        assert!(named, "{row}: {:#}", verdict.json);
    });
}

#[test]
fn sha1_matches_and_proves_nothing() {
    let lockfile = ".mvn/checksums/checksums.sha1";
    let locked = Locked::new(&[REPOSITORY], lockfile);
    locked.write(lockfile, summary("sha1sum"));
    let place = format!("{REPOSITORY}/{VERSION}/lib-1.0.jar");
    locked.write(&place, JAR);
    locked.refused("SHA-1", &["unproven-entry"], &place);
    assert_eq!(locked.verify("lock").json["coverage"]["weak"]["files"], 1);
    locked.write(&place, "evil");
    locked.refused("other bytes", &["lockfile-mismatch"], &place);
}

#[test]
fn a_lockfile_that_cannot_be_read_is_an_error_with_its_line() {
    let digest = "0".repeat(64);
    each(
        [
            ("one space", format!("{digest} a/b\n"), 1),
            ("a short digest", "# x\n00  a/b\n".to_owned(), 2),
            ("no path", format!("{digest}  \n"), 1),
            ("a path that leads out", format!("{digest}  ../a\n"), 1),
            ("a path from the top", format!("{digest}  /a\n"), 1),
            ("a path twice", format!("{digest}  a/b\n\n{digest}  a/b\n"), 3),
        ],
        |(row, text, line)| {
            let locked = Locked::new(&[REPOSITORY], SHA_256);
            locked.write(SHA_256, text);
            let verdict = locked.verify("lock");
            verdict.expect_error_of(row, 5, "malformed-lockfile");
            let message = verdict.json["error"].to_string();
            assert!(message.contains(&format!("{SHA_256}:{line}:")), "{row}: {message}");
        },
    );
    let locked = Locked::new(&[REPOSITORY], ".mvn/checksums/checksums.md5");
    locked.write(".mvn/checksums/checksums.md5", "");
    locked.verify("lock").expect_error(5, "unsupported-lockfile");
}

#[test]
fn no_mutation_of_a_lockfile_makes_it_panic() {
    let text = summary("sha256sum");
    mutated(SHA_256, text.as_bytes());
}
