//! This project's own pipeline on a tag, from the build to the packed orb. What it cannot have here, a compiler and a
//! network, is played by the programs in `tests/orb/release`; macOS and arm64 hand on a file each.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use cacheseal::base::Digest;
use serde_json::{Value, json};

use super::{Push, Site, Told, file, judge, must, told};
use crate::harness::{copy_tree, key, platform};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SEAL: &str = "Seal the programs and their digests";
/// What `seal-release` and the jobs after it need.
const FILES: [&str; 6] = ["Cargo.toml", "Cargo.lock", "docs/install.sh", "release.toml", ".ci/release", "orb/release"];
/// The key that is in the repository until the maintainer's is. Nobody has its private half.
const PLACEHOLDER: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGo1lHEr+pa4HjwNWgmy4/ydkCDslDOXAT+lFsfHhIx4=\n-----END PUBLIC KEY-----\n";

/// This repository at the tag of its version, with this key of releases.
fn tagged(public: &str) -> Site {
    let site = Site::bare();
    copy_tree(&file("tests/orb/release"), &site.path("image/bin"));
    for path in FILES {
        site.write(&format!("repository/{path}"), "");
        fs::copy(file(path), site.path("repository").join(path)).unwrap();
    }
    for directory in [".circleci", "orb/src", "tests/orb"] {
        copy_tree(&file(directory), &site.path("repository").join(directory));
    }
    site.write("repository/keys/release-2026.pub", public);
    must(site.git().args(["init", "-q", "-b", "main"]));
    site.commit("a release");
    must(site.git().args(["tag", &format!("v{VERSION}")]));
    site.write_context("release-signing", &json!({ "CACHESEAL_KEY": key("release").to_line().to_string() }), "");
    site.write_context("github-release", &json!({ "GITHUB_TOKEN": "token-of-the-host" }), "");
    site.write_context("orb-publishing", &json!({ "CIRCLE_TOKEN": "token-of-the-orb" }), "");
    site
}

/// The pipeline without the jobs that compile for themselves or need a cache, and with `tampering` before the upload.
fn pipeline(tampering: &str) -> Value {
    let to_json = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let read = must(judge("python3").arg("-c").arg(to_json).arg(file(".circleci/pipeline.yml")));
    let mut config: Value = serde_json::from_slice(&read).unwrap();
    for (job, platforms) in [("build-linux-arm64", "linux-arm64"), ("build-macos", "macos-amd64 macos-arm64")] {
        let hand_on = format!(
            "mkdir dist; for platform in {platforms}; do
             echo \"for $platform\" | tee dist/cacheseal-{VERSION}-$platform >dist/cacheseal-{VERSION}-$platform.cdx.json
             done"
        );
        config["jobs"][job] = json!({ "docker": [{ "image": "cimg/base:stable" }], "steps": [
            { "run": hand_on },
            { "persist_to_workspace": { "root": ".", "paths": ["dist"] } },
        ] });
    }
    // The second build, which needs a cache and a machine.
    let compare = format!("mkdir compared; sha256sum <dist/cacheseal-{VERSION}-linux-amd64 >compared/linux-amd64");
    config["jobs"]["build-linux-amd64"] = json!({ "docker": [{ "image": "cimg/base:stable" }], "steps": [
        { "attach_workspace": { "at": "." } },
        { "run": compare },
        { "persist_to_workspace": { "root": ".", "paths": ["compared/linux-amd64"] } },
    ] });
    for job in ["bootstrap", "publish-release", "publish-orb"] {
        let steps = config["jobs"][job]["steps"].as_array_mut().unwrap();
        steps.insert(0, json!({ "run": { "name": "Stand-ins", "command": "cp -R /opt/image/bin ~/bin" } }));
    }
    let steps = config["jobs"]["unseal-release"]["steps"].as_array_mut().unwrap();
    steps.insert(2, json!({ "run": { "name": "Tamper", "command": tampering } }));
    let tamper = format!("echo more >>dist/cacheseal-{VERSION}-linux-arm64");
    let steps = config["jobs"]["publish-orb"]["steps"].as_array_mut().unwrap();
    steps.insert(3, json!({ "run": { "name": "Tamper", "command": tamper } }));
    let left_out = ["deps", "cacheseal/seal", "gates"];
    let jobs = config["workflows"]["main"]["jobs"].as_array_mut().unwrap();
    jobs.retain(|job| left_out.iter().all(|name| job.get(name).is_none()));
    for job in jobs.iter_mut().flat_map(|job| job.as_object_mut().unwrap().values_mut()) {
        if let Some(required) = job.get_mut("requires") {
            required.as_array_mut().unwrap().retain(|name| !left_out.contains(&name.as_str().unwrap()));
        }
    }
    config
}

fn run(site: &Site, tampering: &str) -> Told {
    let tag = format!("v{VERSION}");
    site.run(&Push { config: Some(&pipeline(tampering)), workflow: "main", more: &["--tag", &tag] })
}

/// What somebody with a checkout and a program does with the archive.
fn checked(checkout: &Path, arguments: &[&str], archive: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cacheseal"));
    command.args(arguments).arg(archive).args(["--policy", "release.toml"]).current_dir(checkout);
    // It is no job of CI.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CI")) {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn verify(checkout: &Path, archive: &Path) -> Output {
    let platform = platform();
    let platform = format!("{}/{}", platform.os, platform.arch);
    checked(checkout, &["verify", "--gate", "download", "--platform", &platform, "--archive"], archive)
}

fn named(suffix: &str) -> String {
    format!("cacheseal-{VERSION}{suffix}")
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The files of a release, without the archive of them all.
fn expected() -> BTreeSet<String> {
    let programs = ["-linux-amd64", "-linux-arm64", "-macos-amd64", "-macos-arm64"];
    let of_programs = programs.iter().flat_map(|program| [named(program), named(&format!("{program}.cdx.json"))]);
    of_programs.chain(["install.sh", "SHA256SUMS"].map(str::to_owned)).collect()
}

#[test]
fn nothing_is_sealed_or_published_with_the_placeholder() {
    let site = tagged(PLACEHOLDER);
    let ended = run(&site, "true");
    ended.job("seal-release").stopped_at(SEAL, 1);
    let said = &ended.job("seal-release").step(SEAL).output;
    assert!(said.contains("keys/release-2026.pub is a placeholder"), "{said}");
    for job in ["unseal-release", "publish-release"] {
        assert_eq!(ended.job(job).status, "not run", "{}", ended.shown());
    }
    assert_eq!(ended.job("publish-orb").status, "not run", "{}", ended.shown());
}

#[test]
fn a_release_is_built_sealed_published_and_checked() {
    let site = tagged(&key("release").public().to_pem());
    let ended = run(&site, "echo changed >>dist/install.sh; echo more >dist/another");
    ended.expect("success");
    let uploaded = ended.job("publish-release").directory.join("tmp/uploaded");
    is_uploaded_as_it_was_sealed(&ended, &uploaded);
    the_list_has_what_is_compiled(&uploaded);
    let published = ended.job("publish-orb").directory.join(format!("tmp/published-{VERSION}"));
    let published = fs::read_to_string(published).unwrap();
    for program in ["-linux-amd64", "-linux-arm64"] {
        let digest = Digest::sha256(&fs::read(uploaded.join(named(program))).unwrap());
        assert!(published.contains(&digest.to_string()), "{program}");
    }
    let checkout = site.path("repository");
    a_checkout_trusts(&checkout, &uploaded.join(named(".tar.zst")));
    a_checkout_refuses_another_file(&site, &checkout, &uploaded.join(named(".tar.zst")));
}

fn is_uploaded_as_it_was_sealed(ended: &Told, uploaded: &Path) {
    let all: BTreeSet<String> = expected().into_iter().chain([named(".tar.zst")]).collect();
    assert_eq!(names(uploaded), all);
    must(judge("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(uploaded));
    let job = &ended.job("publish-release").directory;
    let calls = fs::read_to_string(job.join("tmp/calls")).unwrap();
    // The draft ends when every file is there.
    assert!(calls.lines().last().unwrap().contains(r#"PATCH --data {"draft": false}"#), "{calls}");
    assert!(!calls.contains("token-of-the-host"), "{calls}");
    assert!(fs::read_to_string(job.join("tmp/headers")).unwrap().contains("Bearer token-of-the-host"));
}

fn the_list_has_what_is_compiled(uploaded: &Path) {
    let bill = fs::read_to_string(uploaded.join(named("-linux-amd64.cdx.json"))).unwrap();
    assert!(!bill.contains("file:") && !bill.contains("/home"), "{bill}");
    let bill: Value = serde_json::from_str(&bill).unwrap();
    let crates: Vec<_> = bill["components"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(crates, ["hex", "serde_derive"]);
    assert_eq!(bill["metadata"]["component"]["bom-ref"], named("").replace("l-", "l@").as_str());
    let used = &bill["dependencies"];
    assert_eq!(used.as_array().unwrap().len(), 2, "{used}");
    assert_eq!(used[0]["dependsOn"].as_array().unwrap().len(), 1, "{used}");
}

/// By the commands of docs/RELEASING.md.
fn a_checkout_trusts(checkout: &Path, archive: &Path) {
    let verified = verify(checkout, archive);
    assert!(verified.status.success(), "{}", told(&verified));
    let unpacked = checked(checkout, &["unpack"], archive);
    assert!(unpacked.status.success(), "{}", told(&unpacked));
    let said = String::from_utf8_lossy(&unpacked.stdout).into_owned();
    assert!(said.contains(&format!("ref `refs/tags/v{VERSION}`, job `seal-release`")), "{said}");
    assert_eq!(names(&checkout.join("dist")), expected());
    must(judge("sha256sum").args(["--check", "--ignore-missing", "SHA256SUMS"]).current_dir(checkout.join("dist")));
    fs::remove_dir_all(checkout.join("dist")).unwrap();
    fs::remove_dir_all(checkout.join(".cacheseal")).unwrap();
}

fn a_checkout_refuses_another_file(site: &Site, checkout: &Path, archive: &Path) {
    let (within, other) = (site.path("within"), site.path("other.tar"));
    fs::create_dir(&within).unwrap();
    must(judge("tar").arg("-xf").arg(archive).arg("-C").arg(&within));
    let script = within.join("checkout/dist/install.sh");
    fs::write(&script, fs::read_to_string(&script).unwrap().replace("set -eu", "set -eo")).unwrap();
    let mut pack = judge("tar");
    pack.args(["--format=ustar", "--owner=0", "--group=0", "-cf"]).arg(&other).arg("-C").arg(within.join("checkout"));
    must(pack.args([
        "--transform=s,^,checkout/,",
        ".cacheseal/release/seal.json",
        ".cacheseal/release/0.mtree",
        "dist",
    ]));
    for refused in [verify(checkout, &other), checked(checkout, &["unpack"], &other)] {
        assert_eq!(refused.status.code(), Some(11), "{}", told(&refused));
        assert!(told(&refused).contains("refused[digest-mismatch]: dist/install.sh"), "{}", told(&refused));
        assert!(!checkout.join("dist").exists());
    }
}

/// A checkout at the tag with what the builds have handed on, as `seal-release` and the jobs after it find it.
fn handed_on() -> Site {
    let site = tagged(&key("release").public().to_pem());
    must(site.git().args(["update-ref", "refs/remotes/origin/main", "HEAD"]));
    let repository = site.path("repository");
    for platform in ["linux-amd64", "linux-arm64", "macos-amd64", "macos-arm64"] {
        for end in ["", ".cdx.json"] {
            site.write(&format!("repository/dist/{}", named(&format!("-{platform}{end}"))), platform);
        }
    }
    fs::copy(env!("CARGO_BIN_EXE_cacheseal"), repository.join("dist").join(named("-linux-amd64"))).unwrap();
    site.write("repository/compared/linux-amd64", "");
    let compare = format!("sha256sum <dist/{} >compared/linux-amd64", named("-linux-amd64"));
    must(judge("bash").arg("-c").arg(compare).current_dir(&repository));
    site
}

/// After `change` the step ends with 1 and says this.
#[track_caller]
fn refused(verb: &str, change: &str, tag: &str, said: &str) {
    let site = handed_on();
    let change = format!("set -e\nprogram=dist/{}\n{change}", named("-linux-amd64"));
    must(judge("bash").arg("-c").arg(&change).current_dir(site.path("repository")));
    let mut release = judge("bash");
    release.arg(".ci/release").arg(verb).current_dir(site.path("repository"));
    release.env("CIRCLE_TAG", tag).env("CACHESEAL_KEY", &*key("release").to_line());
    let output = release.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{change}: {}", told(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{change}: {}", told(&output));
    assert!(!site.path("repository").join(named(".tar.zst")).exists() || verb != "seal", "{}", told(&output));
    assert!(!site.path("repository/ran").exists(), "{change}: {}", told(&output));
}

#[test]
fn nothing_is_sealed_but_the_files_of_this_version() {
    let tag = format!("v{VERSION}");
    let replace = "printf '#!/bin/sh\\n: >ran\\n' >$program; chmod +x $program";
    for (change, said) in [
        ("echo 1 >dist/more", "and nothing else"),
        ("echo 1 >dist/.more", "and nothing else"),
        ("mkdir dist/more", "and nothing else"),
        ("rm $program.cdx.json", "and nothing else"),
        ("rm $program.cdx.json; ln -s ../Cargo.toml $program.cdx.json", "expected a regular file"),
        (": >$program.cdx.json", "expected a regular file"),
        ("mv dist other; ln -s other dist", "expected a directory dist"),
        (replace, "is not what the second build has made"),
        ("echo 1 >keys/release-2026.pub", "cannot be read as a key"),
        ("git -c user.name=a -c user.email=a commit -q --allow-empty -m more", "is no commit of main"),
    ] {
        refused("seal", change, &tag, said);
    }
    refused("seal", "true", "v9.9.9", "the tag is v9.9.9");
}

/// The archive of an older release is genuine, and is not published as this one.
#[test]
fn an_archive_of_another_version_is_not_published() {
    let older = "0.0.1";
    let change = format!(
        "cp $program older-program; cp Cargo.toml before
         sed -i 's/^version = \"{VERSION}\"/version = \"{older}\"/' Cargo.toml
         for file in dist/*; do mv $file ${{file/{VERSION}/{older}}}; done
         CIRCLECI=true CIRCLE_JOB=seal-release CIRCLE_TAG=v{older} CACHESEAL_KEY={} .ci/release seal
         mv before Cargo.toml; mv {} {}; cp older-program $program",
        *key("release").to_line(),
        format_args!("cacheseal-{older}.tar.zst"),
        named(".tar.zst"),
    );
    refused("unseal", &change, &format!("v{VERSION}"), "and nothing else");
}
