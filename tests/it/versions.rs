//! One version everywhere: what the crate says, the orb's users write, the documents show and the program prints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Run;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files of the repository that show a version, whose names end like this.
const ENDINGS: [&str; 6] = ["md", "yml", "rs", "sh", "py", "toml"];

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            // What is built or fetched is not ours.
            if !["target", ".git", "corpus", "vectors"].contains(&name) {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            found.push(path);
        }
    }
}

/// What stands behind `mark` wherever a file has it, as far as a version goes.
fn versions_behind(mark: &str) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    files(Path::new(env!("CARGO_MANIFEST_DIR")), &mut all);
    let mut found = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices(mark) {
            let rest = &text[at + mark.len()..];
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let version = rest[..end].trim_end_matches('.');
            // Where a program or a reader fills it in, there is none.
            if !version.is_empty() {
                found.push((path.clone(), version.to_owned()));
            }
        }
    }
    found
}

#[test]
fn orb_documents_and_program_have_the_version_of_the_crate() {
    let series = VERSION.rsplit_once('.').unwrap().0;
    let of_orb = versions_behind(concat!("cacheseal/cacheseal", "@"));
    assert!(of_orb.len() > 10, "{of_orb:?}");
    for (path, version) in of_orb {
        assert!([series, VERSION].contains(&version.as_str()), "{}: the orb at {version}", path.display());
    }
    for mark in [concat!("releases/download", "/v"), concat!("debian/cacheseal", "_"), concat!("mirror ", "v")] {
        for (path, version) in versions_behind(mark) {
            assert_eq!(version, VERSION, "{}: behind `{mark}`", path.display());
        }
    }
}

#[test]
fn the_program_says_which_build_it_is() {
    let run = Run::of(Command::new(env!("CARGO_BIN_EXE_cacheseal")).arg("--version").output().unwrap());
    let line = run.stdout.trim_end();
    let build = line.strip_prefix(&format!("cacheseal {VERSION} (")).and_then(|rest| rest.strip_suffix(')'));
    let parts: Vec<_> = build.unwrap_or_else(|| panic!("{line}")).split(", ").collect();
    let [commit, target, features] = parts.as_slice() else { panic!("{line}") };
    // A build of a checkout names no commit: the files may have been edited.
    assert_eq!(*commit, "commit unknown", "{line}");
    assert!(target.contains(std::env::consts::ARCH) && target.split('-').count() >= 3, "{line}");
    assert_eq!(*features, if cfg!(feature = "judges") { "feature judges" } else { "no features" }, "{line}");
}

#[test]
fn the_crate_has_what_builds_and_documents_it() {
    let listed =
        Command::new(env!("CARGO")).args(["package", "--list", "--allow-dirty", "--offline"]).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let (sources, others): (Vec<_>, Vec<_>) = listed.lines().partition(|path| path.starts_with("src/"));
    let is_source = |path: &&str| Path::new(path).extension().is_some_and(|ending| ending == "rs");
    assert!(sources.iter().all(is_source), "{sources:?}");
    let expected = [
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "SECURITY.md",
        "build.rs",
        "docs/ARCHITECTURE.md",
        "docs/CIRCLECI.md",
        "docs/COMPATIBILITY.md",
        "docs/FORMAT.md",
        "docs/INSTALL.md",
        "docs/LOCKFILES.md",
        "docs/PERFORMANCE.md",
        "docs/POLICY.md",
        "docs/RELEASING.md",
        "docs/THREAT_MODEL.md",
        "docs/VERIFY.md",
        "docs/cli-reference.md",
    ];
    let others: Vec<_> = others.into_iter().filter(|path| *path != ".cargo_vcs_info.json").collect();
    assert_eq!(others, expected);
}
