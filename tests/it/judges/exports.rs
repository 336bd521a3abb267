//! What other tools make of our exports and manifests, for a tree with every awkward name.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::openssl::{openssl_verifies, pae};
use super::{fed, judge, must, told};
use crate::harness::{POLICY, Project};

/// One root, so that exports need no `--root`.
fn policy(digest: &str) -> String {
    let roots = format!("roots = [\"deps\"]\ndigest = \"{digest}\"");
    POLICY.replace("roots = [\"deps\", \"~/store\"]", &roots)
}

/// Names that every tool must take.
pub(super) const NAMES: &[&[u8]] = &[
    b"plain",
    b"a space",
    b" first",
    b"last ",
    b"new\nline",
    b"tab\there",
    b"carriage\rreturn",
    b"back\\slash",
    b"back\\040slash",
    b"back\\nslash",
    b"#hash",
    b"-dash",
    b"--",
    b"equals=type=dir",
    "\u{fc}n\u{ef}code \u{2603}".as_bytes(),
    b"quote'\"$x`y`",
    b"bell\x07",
    b"~home",
    b".hidden",
];

/// Names that some tools would take for patterns.
pub(super) const GLOBS: &[&[u8]] = &[b"star*", b"mark?", b"brackets[a-z]", b"{a,b}", b"back\\star*", b"back\\*"];

/// No UTF-8.
pub(super) const BYTES: &[&[u8]] = &[b"\xff\xfe", b"half\xc3"];

/// A sealed tree that has each of `names` as a file and as a directory with a file in it.
pub(super) fn sealed(digest: &str, names: &[&[&[u8]]]) -> Project {
    let project = Project::empty(&policy(digest));
    let root = project.path("deps");
    fs::create_dir(&root).unwrap();
    for name in names.iter().copied().flatten() {
        let directory = root.join("directories").join(OsStr::from_bytes(name));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("inner"), name).unwrap();
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
        symlink(OsStr::from_bytes(name), directory.join("link")).unwrap();
    }
    fs::set_permissions(root.join("plain"), fs::Permissions::from_mode(0o755)).unwrap();
    project.seal();
    project
}

fn export(project: &Project, form: &str) -> Vec<u8> {
    must(project.command().args(["export", ".cacheseal/deps", "--as", form]))
}

/// Changes one byte of a file, its size kept.
fn change(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[0] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Asserts that the judge takes the tree, and not once a byte of any of four files is changed.
fn judged(project: &Project, what: &str, accepts: impl Fn(&Path) -> Result<(), String>) {
    let root = project.path("deps");
    accepts(&root).unwrap_or_else(|told| panic!("{what} does not accept the tree: {told}"));
    for name in ["plain", "a space", "new\nline", "directories/back\\slash/inner"] {
        change(&root.join(name));
        assert!(accepts(&root).is_err(), "{what} did not notice that {name:?} was changed");
        change(&root.join(name));
    }
    accepts(&root).unwrap();
}

fn status(output: &Output) -> Result<(), String> {
    if output.status.success() { Ok(()) } else { Err(told(output)) }
}

/// mtree exits with 0 when entries are extra or missing: what it says counts too.
fn silent(output: &Output) -> Result<(), String> {
    if output.status.success() && output.stdout.is_empty() { Ok(()) } else { Err(told(output)) }
}

fn mtree(root: &Path) -> Command {
    let mut command = judge("mtree");
    command.arg("-p").arg(root);
    command
}

#[test]
fn sha256sum_checks_our_export() {
    let project = sealed("sha256", &[NAMES, GLOBS, BYTES]);
    let lines = export(&project, "sha256sum");
    let check = |root: &Path| {
        let output = fed(judge("sha256sum").args(["--check", "--strict"]).current_dir(root), &lines);
        status(&output)?;
        let checked = String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.ends_with(": OK")).count();
        assert_eq!(checked, 2 * (NAMES.len() + GLOBS.len() + BYTES.len()), "{}", told(&output));
        Ok(())
    };
    judged(&project, "sha256sum", check);
}

#[test]
fn b3sum_checks_our_export() {
    let project = sealed("blake3", &[NAMES, GLOBS]);
    let lines = export(&project, "b3sum");
    let check = |root: &Path| {
        let output = fed(judge("b3sum").arg("--check").current_dir(root), &lines);
        status(&output)?;
        let checked = String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.ends_with(": OK")).count();
        assert_eq!(checked, 2 * (NAMES.len() + GLOBS.len()), "{}", told(&output));
        Ok(())
    };
    judged(&project, "b3sum", check);
}

#[test]
fn mtree_checks_our_export() {
    let project = sealed("sha256", &[NAMES, GLOBS, BYTES]);
    let specification = export(&project, "mtree");
    let check = |root: &Path| silent(&fed(&mut mtree(root), &specification));
    judged(&project, "mtree", check);
    let root = project.path("deps");
    // A name with `*` is no pattern in the export. In the manifest as it is, mtree takes it for one, and such an extra
    // file for the one that is named.
    for extra in ["extra", "starfish", "marks", "bracketsx", "backstarfish"] {
        fs::write(root.join(extra), "star*").unwrap();
        assert!(check(&root).is_err(), "{extra}");
        fs::remove_file(root.join(extra)).unwrap();
    }
    fs::remove_file(root.join("a space")).unwrap();
    assert!(check(&root).is_err(), "a missing file");
}

#[test]
fn mtree_checks_our_manifest_as_it_is() {
    let project = sealed("sha256", &[NAMES, GLOBS, BYTES]);
    let manifest = fs::read(project.path(".cacheseal/deps/0.mtree")).unwrap();
    judged(&project, "mtree", |root| silent(&fed(&mut mtree(root), &manifest)));
}

#[test]
fn bsdtar_reads_our_manifest() {
    let project = sealed("sha256", &[NAMES, GLOBS, BYTES]);
    let manifest = fs::read(project.path(".cacheseal/deps/0.mtree")).unwrap();
    let entries = manifest.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b".")).count();
    let listed = fed(judge("bsdtar").args(["-tf", "-"]).current_dir(project.path("deps")), &manifest);
    status(&listed).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), entries, "{listed}");
    // It shows names with the escapes of C.
    for name in ["./plain", "./a space", "./new\\nline", "./back\\\\slash", "./star*", "./\\377\\376", "./#hash"] {
        assert!(lines.contains(&name), "{name}: {listed}");
    }
}

#[test]
fn bsdtar_reads_our_export() {
    // Names with glob characters are written for mtree alone.
    let project = sealed("blake3", &[NAMES, BYTES]);
    let specification = export(&project, "mtree");
    let entries = specification.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b".")).count();
    let listed = fed(judge("bsdtar").args(["-tf", "-"]).current_dir(project.path("deps")), &specification);
    status(&listed).unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), entries);
}

#[test]
fn a_sigstore_bundle_has_its_form_and_a_signature_that_openssl_takes() {
    let project = sealed("blake3", &[NAMES]);
    let bundle: Value = serde_json::from_slice(&export(&project, "sigstore-bundle")).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&bundle), ["dsseEnvelope", "mediaType", "verificationMaterial"]);
    assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    let material = &bundle["verificationMaterial"];
    assert!(keys(material).iter().all(|key| key == "publicKey" || key == "tlogEntries"), "{material}");
    assert_eq!(keys(&material["publicKey"]), ["hint"]);
    let envelope = &bundle["dsseEnvelope"];
    assert_eq!(keys(envelope), ["payload", "payloadType", "signatures"]);
    assert_eq!(envelope["signatures"].as_array().unwrap().len(), 1);
    assert_eq!(keys(&envelope["signatures"][0]), ["keyid", "sig"]);
    assert_eq!(envelope["signatures"][0]["keyid"], material["publicKey"]["hint"]);
    let der =
        must(judge("openssl").args(["pkey", "-pubin", "-outform", "DER", "-in"]).arg(project.path("keys/job.pub")));
    let digest = fed(judge("sha256sum").arg("-"), &der);
    let digest = String::from_utf8(digest.stdout).unwrap();
    assert_eq!(material["publicKey"]["hint"].as_str().unwrap(), &digest[..64]);
    let message = pae(envelope);
    assert!(openssl_verifies(&project, &project.path("keys/job.pub"), &message, envelope));
    assert!(!openssl_verifies(&project, &project.path("keys/job.pub"), &message[1..], envelope));
}
