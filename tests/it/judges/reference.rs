//! `tests/reference/read_seal.py`, a second reader written from the format alone, agrees with ours.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Output;

use super::{judge, must, told};
use crate::harness::{POLICY, Project};

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/read_seal.py");

fn read(project: &Project) -> Output {
    let mut command = judge("python3");
    command.arg(READER).arg(project.path(".cacheseal/deps")).arg(project.path("keys/job.pub"));
    command.arg(project.path("deps")).arg(project.home().join("store")).output().unwrap()
}

/// A sealed project with awkward names, sealed with this digest.
fn sealed(digest: &str) -> Project {
    let policy = POLICY.replace("lockfiles =", &format!("digest = \"{digest}\"\nlockfiles ="));
    let project = Project::empty(&policy);
    project.fill();
    for name in [&b"a space"[..], b"new\nline", b"back\\slash#*", b"\xff\xfe", b"pkg-", b"pkg.js"] {
        fs::write(project.path("deps").join(OsStr::from_bytes(name)), name).unwrap();
    }
    symlink("a target\n", project.path("deps/odd link")).unwrap();
    project.seal();
    project
}

type Tamper = fn(&Project);

const TAMPERINGS: &[(&str, Tamper)] = &[
    ("a byte changed, size kept", |p| p.write("deps/pkg/lib/a.js", "exports.a = 9\n")),
    ("a file added", |p| p.write("deps/pkg/.npmrc", "")),
    ("a file removed", |p| fs::remove_file(p.path("deps/tool")).unwrap()),
    ("a file renamed", |p| fs::rename(p.path("deps/tool"), p.path("deps/tool2")).unwrap()),
    ("the exec bit flipped", |p| {
        fs::set_permissions(p.path("deps/tool"), fs::Permissions::from_mode(0o644)).unwrap();
    }),
    ("a file made a link", |p| {
        fs::remove_file(p.path("deps/pkg/zero")).unwrap();
        symlink("index.js", p.path("deps/pkg/zero")).unwrap();
    }),
    ("a link retargeted", |p| {
        fs::remove_file(p.path("deps/link")).unwrap();
        symlink("pkg/zero", p.path("deps/link")).unwrap();
    }),
    ("an empty directory added", |p| fs::create_dir(p.path("deps/empty/more")).unwrap()),
    ("a fifo added", |p| drop(must(judge("mkfifo").arg(p.path("deps/fifo"))))),
    ("a root gone", |p| fs::remove_dir_all(p.home().join("store")).unwrap()),
    ("setuid set", |p| fs::set_permissions(p.path("deps/tool"), fs::Permissions::from_mode(0o4755)).unwrap()),
    ("a manifest changed", |p| {
        let manifest = fs::read_to_string(p.path(".cacheseal/deps/0.mtree")).unwrap();
        p.write(".cacheseal/deps/0.mtree", manifest.replacen("mode=0755", "mode=0644", 2));
    }),
    ("a file beside the manifests", |p| p.write(".cacheseal/deps/2.mtree", "")),
    ("signed by a stranger", |p| {
        let seal = fs::read(p.path("keys/other.pub")).unwrap();
        p.write("keys/job.pub", seal);
        let policy = fs::read_to_string(p.path("cacheseal.toml")).unwrap();
        p.write("cacheseal.toml", policy.replace("keys/other.pub", "keys/old.pub"));
        p.write("keys/old.pub", crate::harness::key("job").public().to_pem());
    }),
    ("the payload changed", |p| {
        let seal = fs::read_to_string(p.path(".cacheseal/deps/seal.json")).unwrap();
        p.write(".cacheseal/deps/seal.json", seal.replacen("\"payload\": \"ey", "\"payload\": \"fy", 1));
    }),
];

#[test]
fn the_second_reader_agrees_on_honest_and_on_tampered_caches() {
    for digest in ["blake3", "sha256"] {
        for (what, tamper) in TAMPERINGS {
            let project = sealed(digest);
            let honest = read(&project);
            assert!(honest.status.success(), "{}", told(&honest));
            project.verify("any").expect(0, &[]);
            tamper(&project);
            let output = read(&project);
            let ours = project.verify("any").code.unwrap();
            assert!(ours == 10 || ours == 11, "{what}: {ours}");
            assert_eq!(output.status.code(), Some(1), "{what}: {}", told(&output));
            // It ended by its own judgement, not by a fault of its own.
            assert!(String::from_utf8_lossy(&output.stderr).starts_with("refused: "), "{what}: {}", told(&output));
        }
    }
}
