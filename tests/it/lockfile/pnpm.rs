//! `pnpm-lock.yaml`: read whole, and nothing proven by it. The real pnpm is a judge of its own.

use super::npm::sri;
use super::{Locked, mutated};
use crate::rows::{each, some};

const LOCK: &str = "pnpm-lock.yaml";

fn lockfile() -> String {
    LOCKFILE.replace("INTEGRITY", &sri(b"left"))
}

const LOCKFILE: &str = "lockfileVersion: '9.0'

settings:
  autoInstallPeers: true

importers:

  .:
    dependencies:
      left:
        specifier: ^1.0.0
        version: 1.0.0

packages:

  '@s/right@1.0.0':
    resolution: {integrity: INTEGRITY}
    engines: {node: '>=6'}
    cpu: [x64, arm64]
    deprecated: |-
      no: longer

      kept
    peerDependencies:
      left: '*'

  left@1.0.0:
    resolution: {integrity: INTEGRITY, tarball: https://example.com/left.tgz}
    hasBin: true

  local@file:local:
    resolution: {directory: local, type: directory}

snapshots:

  '@s/right@1.0.0(left@1.0.0)':
    dependencies:
      left: 1.0.0

  left@1.0.0: {}
";

#[test]
fn nothing_is_proven_and_the_report_says_why() {
    let at = Locked::new(&["node_modules", "~/.local/share/pnpm/store"], LOCK);
    at.write(LOCK, lockfile());
    let rows = [
        ("node_modules/.modules.yaml", "beside the packages"),
        ("node_modules/.pnpm/left@1.0.0/node_modules/left/index.js", "a tarball that pnpm does not keep"),
        ("node_modules/.pnpm/@s+right@1.0.0_left@1.0.0/node_modules/@s/right/index.js", "that pnpm does not keep"),
        ("node_modules/.pnpm/evil@1.0.0/node_modules/evil/index.js", "not a package of pnpm-lock.yaml"),
        ("~/.local/share/pnpm/store/v10/files/00/0123", "files and no tarballs"),
    ];
    for (place, _) in rows {
        at.write(place, "");
    }
    let verdict = at.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    let refusals = verdict.json["refusals"].as_array().unwrap();
    for (place, reason) in rows {
        let found = refusals.iter().find(|refusal| refusal["place"] == place).unwrap()["found"].as_str().unwrap();
        assert!(found.contains(reason), "{place}: {found}");
    }
    assert_eq!(verdict.json["coverage"]["packages"], 3);
    assert_eq!(verdict.json["coverage"]["lockfile"]["files"], 0);
}

#[test]
fn versions_6_to_9_are_read() {
    let at = Locked::new(&["node_modules"], LOCK);
    at.write("node_modules/.pnpm/left@1.0.0/node_modules/left/index.js", "");
    let old = lockfile().replace("'9.0'", "'6.1'").replace("  left@1.0.0:", "  /left@1.0.0(b@1.0.0):");
    for text in [lockfile(), old, "lockfileVersion: '6.0'\n".to_owned()] {
        at.write(LOCK, text);
        at.verify("lock").expect(14, &["unproven-entry"]);
    }
}

#[test]
fn a_lockfile_that_cannot_be_read_is_an_error_with_its_line() {
    const HEAD: &str = "lockfileVersion: '9.0'\npackages:\n";
    let of = |package: &str| format!("{HEAD}{package}\n");
    let rows: &[(&str, &str, String, usize)] = &[
        ("nothing", "malformed-lockfile", String::new(), 1),
        ("version 5", "unsupported-lockfile", "\nlockfileVersion: 5.4\n".to_owned(), 2),
        ("version 10", "unsupported-lockfile", "lockfileVersion: '10.0'\n".to_owned(), 1),
        ("two documents", "unsupported-lockfile", of("---"), 3),
        ("a list of packages", "malformed-lockfile", of("  - a"), 2),
        ("a package twice", "malformed-lockfile", of("  a@1:\n    resolution: {type: git}\n  a@1: {}"), 5),
        ("no version of a package", "malformed-lockfile", of("  a@: {}"), 3),
        ("no resolution", "malformed-lockfile", of("  a@1: {}"), 3),
        ("an empty resolution", "malformed-lockfile", of("  a@1:\n    resolution: {}"), 4),
        ("a bad digest", "malformed-lockfile", of("  a@1:\n    resolution: {integrity: sha512-AA}"), 4),
        ("an anchor", "malformed-lockfile", of("  a@1: &a {}"), 3),
        ("a tab", "malformed-lockfile", of("\ta@1: {}"), 3),
    ];
    let at = Locked::new(&["node_modules"], LOCK);
    at.write("node_modules/a", "");
    each(some(rows), |(row, code, text, line)| {
        at.write(LOCK, text);
        let verdict = at.verify("lock");
        verdict.expect_error_of(row, 5, code);
        let message = verdict.json["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("pnpm-lock.yaml:{line}: ")), "{row}: {message}");
    });
}

#[test]
fn no_change_of_a_lockfile_makes_it_panic() {
    mutated(LOCK, lockfile().as_bytes());
}
