//! How cacheseal gets where only root can write, and what it is believed by.

use std::fs;
use std::path::Path;
use std::process::Command;

use cacheseal::base::Digest;
use serde_json::{Value, json};

use super::{Push, Site, Told, file, must, text};
use crate::harness::copy_program;

const VERSION: &str = "1.2.3";
const INSTALLED: &str = "stat -c '%u %a' /opt/cacheseal/bin/cacheseal && /opt/cacheseal/bin/cacheseal --version";

/// A job that installs with these parameters.
fn config(install: &Value, user: &str, before: &str) -> Value {
    json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "job": {
            "docker": [{ "image": "cimg/base:stable", "user": user }],
            "steps": [
                { "run": { "name": "Before", "command": before } },
                { "cacheseal/install": install },
                { "run": { "name": "Look", "command": INSTALLED } },
                { "cacheseal/install": install },
            ],
        } },
        "workflows": { "main": { "jobs": ["job"] } },
    })
}

fn install(site: &Site, install: &Value, user: &str, before: &str) -> Told {
    site.run(&Push { config: Some(&config(install, user, before)), ..Push::of("main") })
}

#[track_caller]
fn is_installed(told: &Told) {
    told.expect("success");
    let looked = &told.job("job").step("Look").output;
    assert!(looked.starts_with("0 755\ncacheseal "), "{}", told.shown());
}

#[track_caller]
fn is_refused(told: &Told, because: &str) {
    told.job("job").stopped_at("Install cacheseal", 1);
    let said = &told.job("job").step("Install cacheseal").output;
    assert!(said.contains(because), "expected `{because}`: {said}");
}

fn site() -> Site {
    let site = Site::bare();
    site.write("repository/file", "");
    must(site.git().args(["init", "-q", "-b", "main"]));
    site.commit("first");
    site
}

fn digest(path: &Path) -> String {
    Digest::sha256(&fs::read(path).unwrap()).to_string()
}

#[test]
fn a_binary_that_only_root_can_write_needs_no_digest() {
    let site = site();
    is_installed(&install(&site, &json!({ "binary": "/opt/image/cacheseal" }), "circleci", "true"));
    let wrong = json!({ "binary": "/opt/image/cacheseal", "sha256": "0".repeat(64) });
    is_refused(&install(&site, &wrong, "circleci", "true"), "expected 000000");
}

#[test]
fn a_binary_that_others_can_write_needs_its_digest() {
    let site = site();
    let copy = "mkdir -p ~/built && cp /opt/image/cacheseal ~/built/cacheseal";
    let binary = "/home/circleci/built/cacheseal";
    is_refused(&install(&site, &json!({ "binary": binary }), "circleci", copy), "others than root can write");
    let group = "sudo chmod 0775 /opt/image";
    is_refused(&install(&site, &json!({ "binary": "/opt/image/cacheseal" }), "circleci", group), "others than root");
    let right = digest(&site.path("image/cacheseal"));
    is_installed(&install(&site, &json!({ "binary": binary, "sha256": right }), "circleci", copy));
    let replaced = format!("{copy} && echo >>~/built/cacheseal");
    is_refused(&install(&site, &json!({ "binary": binary, "sha256": right }), "circleci", &replaced), "has the digest");
}

#[test]
fn a_place_that_others_can_change_is_refused_or_taken_over() {
    let site = site();
    let binary = json!({ "binary": "/opt/image/cacheseal" });
    is_refused(&install(&site, &binary, "circleci", "sudo chmod 0777 /opt"), "others than root can");
    let theirs = "sudo install -d -m 0777 -o circleci /opt/cacheseal && mkdir /opt/cacheseal/bin";
    is_installed(&install(&site, &binary, "circleci", theirs));
}

#[test]
fn without_sudo_the_image_has_to_bring_it() {
    let site = site();
    let no_sudo = "sudo rm /etc/sudoers.d/circleci";
    let told = install(&site, &json!({ "binary": "/opt/image/cacheseal" }), "circleci", no_sudo);
    is_refused(&told, "only root can put cacheseal where");
    let image = format!(
        "sudo install -D -o 0 -g 0 -m 0755 /opt/image/cacheseal /opt/cacheseal/bin/cacheseal
         sudo install -d -o circleci -m 0700 /opt/cacheseal/reports /opt/cacheseal/workspace
         {no_sudo}"
    );
    is_installed(&install(&site, &json!({ "binary": "/opt/cacheseal/bin/cacheseal" }), "circleci", &image));
}

#[test]
fn tools_that_come_first_on_path_are_not_used() {
    let site = site();
    let shadows = "mkdir -p ~/bin && for name in sha256sum shasum install sudo find uname curl mktemp mkdir rm; do
                   printf '#!/bin/sh\\n: >/tmp/owned\\n' >~/bin/$name; done && /bin/chmod +x ~/bin/*
                   echo ': >/tmp/owned' >~/.bashrc && echo ': >/tmp/owned' >\"$BASH_ENV\"";
    let told = install(&site, &json!({ "binary": "/opt/image/cacheseal" }), "circleci", shadows);
    assert_eq!(told.job("job").step("Install cacheseal").exit, Some(0), "{}", told.shown());
    // The step before them left no mark, and what comes after reads BASH_ENV.
    let only_install = {
        let mut config = config(&json!({ "binary": "/opt/image/cacheseal" }), "circleci", shadows);
        config["jobs"]["job"]["steps"].as_array_mut().unwrap().truncate(2);
        config
    };
    let told = site.run(&Push { config: Some(&only_install), ..Push::of("main") });
    told.expect("success");
    assert!(!told.job("job").is_owned(), "{}", told.shown());
}

#[test]
fn a_job_that_runs_as_root_is_warned() {
    let told = install(&site(), &json!({ "binary": "/opt/image/cacheseal" }), "root", "true");
    is_installed(&told);
    assert!(told.job("job").step("Install cacheseal").output.contains("#root-images"), "{}", told.shown());
}

#[test]
fn an_orb_packed_from_source_knows_no_release() {
    is_refused(&install(&site(), &json!({}), "circleci", "true"), "packed from source and knows no release");
}

/// Runs `orb/release` on what is in `programs`.
fn release(site: &Site, version: &str) -> std::process::Output {
    let mut release = Command::new(file("orb/release"));
    release.args([version, text(&site.path("programs")), text(&site.path("orb"))]).output().unwrap()
}

/// A site whose orb is that of a release, and a mirror in its image.
fn released() -> Site {
    let mut site = site();
    let name = format!("cacheseal-{VERSION}-linux-{}", if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" });
    site.write(&format!("programs/{name}"), fs::read(env!("CARGO_BIN_EXE_cacheseal")).unwrap());
    let output = release(&site, &format!("v{VERSION}"));
    assert!(output.status.success(), "{}", super::told(&output));
    site.orb = site.path("orb");
    let mirror = site.path(&format!("image/mirror/v{VERSION}"));
    fs::create_dir_all(&mirror).unwrap();
    copy_program(&mirror.join(&name));
    site
}

#[test]
fn a_release_is_fetched_and_believed_by_its_digest_alone() {
    let site = released();
    let mirror = json!({ "base_url": "file:///opt/image/mirror" });
    is_installed(&install(&site, &mirror, "circleci", "true"));
    let name = fs::read_dir(site.path(&format!("image/mirror/v{VERSION}"))).unwrap().next().unwrap().unwrap().path();
    fs::write(&name, "#!/bin/sh\n: >/tmp/owned\n").unwrap();
    let told = install(&site, &mirror, "circleci", "true");
    is_refused(&told, "has the digest");
    assert!(!told.job("job").is_owned());
    fs::remove_file(&name).unwrap();
    is_refused(&install(&site, &mirror, "circleci", "true"), "could not fetch version 1.2.3");
}

#[test]
fn a_release_needs_programs_and_a_version() {
    let site = site();
    fs::create_dir(site.path("programs")).unwrap();
    for (version, because) in [("1.2", "expected a version like 1.2.3"), ("1.2.3", "found none")] {
        let output = release(&site, version);
        assert!(super::told(&output).contains(because) && output.status.code() == Some(2), "{}", super::told(&output));
        let _: std::io::Result<()> = fs::remove_dir_all(site.path("orb"));
    }
}
