//! Tampered trees: each difference has its exact code and exit status, and no other.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::harness::Project;

#[test]
fn an_honest_cache_is_trusted() {
    let project = Project::new();
    project.seal();
    for gate in ["exact", "any"] {
        project.verify(gate).expect(0, &[]);
    }
}

#[test]
fn each_tampering_has_its_code() {
    type Tamper = fn(&Project);
    let cases: &[(&str, Tamper, &str)] = &[
        ("a byte changed, size kept", |p| p.write("deps/pkg/lib/a.js", "exports.a = 9\n"), "digest-mismatch"),
        ("a file added", |p| p.write("deps/pkg/.npmrc", ""), "extra-entry"),
        ("a file removed", |p| fs::remove_file(p.path("deps/tool")).unwrap(), "missing-entry"),
        ("a file made executable", |p| chmod(p, "deps/pkg/index.js", 0o755), "mode-mismatch"),
        ("a link retargeted", |p| relink(p, "deps/link", "pkg/lib/a.js"), "link-mismatch"),
        ("setuid", |p| chmod(p, "deps/tool", 0o4755), "forbidden-mode"),
    ];
    for (what, tamper, code) in cases {
        let project = Project::new();
        project.seal();
        tamper(&project);
        let verdict = project.verify("any");
        assert_eq!(verdict.code, Some(11), "{what}: {:#}", verdict.json);
        verdict.expect(11, &[code]);
    }
}

fn chmod(project: &Project, below: &str, mode: u32) {
    fs::set_permissions(project.path(below), fs::Permissions::from_mode(mode)).unwrap();
}

fn relink(project: &Project, below: &str, target: &str) {
    fs::remove_file(project.path(below)).unwrap();
    symlink(target, project.path(below)).unwrap();
}
