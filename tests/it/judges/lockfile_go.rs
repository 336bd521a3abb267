//! The real Go: it fills a module cache from a proxy that is a directory, builds what was poisoned, and is refused.

mod readers;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::{judge, must, text};
use crate::lockfile::Locked;
use crate::lockfile::zips::go_zip;

const GO_MOD: &str = "module example.com/Demo\n\ngo 1.19\n";
const HONEST: &str = "package demo\n\nfunc Say() string { return \"honest\" }\n";
const EVIL: &str = "package demo\n\nfunc Say() string { return \"evil\" }\n";
const DIRECTORY: &str = "~/go/pkg/mod/example.com/!demo@v1.0.0";
const ZIP: &str = "~/go/pkg/mod/cache/download/example.com/!demo/@v/v1.0.0.zip";

fn module_zip(source: &str) -> Vec<u8> {
    go_zip(&[
        ("example.com/Demo@v1.0.0/go.mod", GO_MOD.as_bytes()),
        ("example.com/Demo@v1.0.0/demo.go", source.as_bytes()),
    ])
}

fn go(locked: &Locked) -> Command {
    go_of("go", locked)
}

fn go_of(go: &str, locked: &Locked) -> Command {
    let mut command = judge(go);
    let proxy = format!("file://{}", text(&locked.project.outside("proxy")));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", locked.project.home());
    command.envs([("GOPROXY", proxy.as_str()), ("GONOSUMDB", "*"), ("GOSUMDB", "off"), ("GOFLAGS", "-mod=mod")]);
    command
        .envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0"), ("GOCACHE", readers::BUILT)])
        .current_dir(locked.project.root());
    command
}

/// A program that uses a module, its `go.sum` written by Go, and the module cache that Go filled.
fn filled() -> Locked {
    let locked = Locked::new(&["~/go/pkg/mod"], "go.sum");
    let proxy = locked.project.outside("proxy/example.com/!demo/@v");
    fs::create_dir_all(&proxy).unwrap();
    fs::write(proxy.join("list"), "v1.0.0\n").unwrap();
    fs::write(proxy.join("v1.0.0.info"), r#"{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}"#).unwrap();
    fs::write(proxy.join("v1.0.0.mod"), GO_MOD).unwrap();
    fs::write(proxy.join("v1.0.0.zip"), module_zip(HONEST)).unwrap();
    locked.write("go.mod", "module example.com/app\n\ngo 1.19\n\nrequire example.com/Demo v1.0.0\n");
    locked.write(
        "main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\n\tdemo \"example.com/Demo\"\n)\n\nfunc main() { fmt.Println(demo.Say()) }\n",
    );
    must(go(&locked).args(["mod", "download", "all"]));
    must(go(&locked).args(["mod", "tidy"]));
    locked
}

fn built_says(locked: &Locked) -> String {
    built_by("go", locked)
}

fn built_by(go: &str, locked: &Locked) -> String {
    let program = locked.project.outside("program");
    must(go_of(go, locked).env("GOPROXY", "off").args(["build", "-o"]).arg(&program).arg("."));
    String::from_utf8(must(&mut Command::new(program))).unwrap()
}

/// Removes what no `go.sum` speaks of.
fn prune(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            prune(&path);
        } else if path.ends_with("list") || path.extension().is_some_and(|end| end == "info") {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Go takes the right to write from what it unpacks.
fn overwrite(path: &Path, contents: &str) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, contents).unwrap();
}

#[test]
fn go_builds_what_its_cache_was_poisoned_with_and_it_is_refused() {
    let locked = filled();
    assert_eq!(built_says(&locked), "honest\n");
    let verdict = locked.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    for refusal in verdict.json["refusals"].as_array().unwrap() {
        let name = refusal["place"].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(matches!(name, "v1.0.0.info" | "list"), "{refusal:#}");
    }
    prune(&locked.path("~/go/pkg/mod/cache"));
    locked.trusted("what Go needs");
    assert_eq!(built_says(&locked), "honest\n");

    overwrite(&locked.path(&format!("{DIRECTORY}/demo.go")), EVIL);
    assert_eq!(built_says(&locked), "evil\n");
    locked.refused("directory", &["lockfile-mismatch"], &format!("{DIRECTORY}/demo.go"));

    // Go unpacks the zip again and does not look at it: it compares go.sum with the digest beside the zip.
    must(go(&locked).args(["clean", "-modcache"]));
    must(go(&locked).args(["mod", "download", "all"]));
    prune(&locked.path("~/go/pkg/mod/cache"));
    locked.trusted("filled again");
    let directory = locked.path(DIRECTORY);
    must(judge("chmod").arg("-R").arg("u+w").arg(&directory));
    fs::remove_dir_all(directory).unwrap();
    fs::set_permissions(locked.path(ZIP), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(locked.path(ZIP), module_zip(EVIL)).unwrap();
    assert_eq!(built_says(&locked), "evil\n");
    locked.refused("zip", &["lockfile-mismatch", "unproven-entry"], ZIP);
    locked.refused("directory", &["lockfile-mismatch", "unproven-entry"], DIRECTORY);
}

/// One zip with two directories: Go up to 1.25 builds the files of the second, of which no digest was made.
#[test]
fn a_zip_with_two_directories_is_built_by_go_and_refused_by_us() {
    let locked = filled();
    prune(&locked.path("~/go/pkg/mod/cache"));
    let file = |source: &str| {
        let name = |file| format!("example.com/Demo@v1.0.0/{file}");
        vec![(name("go.mod"), GO_MOD.as_bytes().to_vec()), (name("demo.go"), source.as_bytes().to_vec())]
    };
    let mut built = Vec::new();
    for go in readers::GOES {
        let directory = locked.path(DIRECTORY);
        must(judge("chmod").arg("-R").arg("u+w").arg(&directory));
        fs::remove_dir_all(directory).unwrap();
        fs::set_permissions(locked.path(ZIP), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(locked.path(ZIP), readers::two_directories(&file(HONEST), &file(EVIL))).unwrap();
        locked.refused(go, &["unproven-entry"], ZIP);
        built.push(built_by(go, &locked));
    }
    assert_eq!(built, ["evil\n", "evil\n", "honest\n"], "{:?}", readers::GOES);
}
