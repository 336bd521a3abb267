//! What each planted file could do, as the report says it.

use std::fs;

use super::Guarded;

/// Files that a poisoned cache would bring, and why they matter.
const HOME: [(&str, &str); 34] = [
    (".bashrc", "runs at the next shell"),
    (".bash_profile", "runs at the next shell"),
    (".profile", "runs at the next shell"),
    (".zshenv", "runs at the next shell"),
    (".cargo/env", "runs at the next shell"),
    (".ssh/config", "decides how ssh connects and whom it trusts"),
    (".gitconfig", "can make git run programs"),
    (".config/git/config", "can make git run programs"),
    (".npmrc", "decides where npm downloads from, and can make it run programs"),
    (".yarnrc.yml", "decides which yarn runs and where it downloads from"),
    (".node_modules/left-pad/index.js", "is searched by every `require` of node"),
    (".cargo/config.toml", "can make cargo run programs"),
    (".cargo/config", "can make cargo run programs"),
    (".cargo/credentials.toml", "decides with which credentials cargo publishes"),
    (".cargo/bin/cargo", "lies where programs are looked for"),
    (".rustup/settings.toml", "decides which Rust toolchain runs"),
    (".gradle/init.d/evil.gradle", "runs in every gradle build"),
    (".gradle/gradle.properties", "can make gradle run programs"),
    (".m2/settings.xml", "decides where maven downloads from"),
    (".config/pip/pip.conf", "decides where pip downloads from"),
    (".pip/pip.conf", "decides where pip downloads from"),
    (".config/uv/uv.toml", "decides where uv downloads from"),
    (".local/lib/python3.13/site-packages/evil.pth", "is imported by every python of this user"),
    (".local/bin/pip", "lies where programs are looked for"),
    ("bin/npm", "lies where programs are looked for"),
    ("go/bin/golint", "lies where programs are looked for"),
    (".config/go/env", "decides how go downloads and builds"),
    (".gemrc", "decides where gem downloads from"),
    (".bundle/config", "decides how bundler installs"),
    (".docker/config.json", "decides how docker connects, and can make it run programs"),
    (".aws/config", "decides with which credentials aws connects, and can make it run programs"),
    (".gnupg/pubring.kbx", "decides whose signatures gpg trusts"),
    (".netrc", "decides with which credentials tools download"),
    ("anything", "lies in home, where tools look for what is theirs"),
];

const CHECKOUT: [(&str, &str); 15] = [
    ("deps.lock", "decides which dependencies belong into a cache"),
    (".git/hooks/post-checkout", "runs at one of the next git commands"),
    (".git/config", "can make git run programs"),
    (".git/refs/heads/main", "is what git takes for the history of the checkout"),
    (".circleci/config.yml", "is configuration of the CI system"),
    ("node_modules/left-pad/index.js", "is loaded by every node of the checkout"),
    ("package.json", "decides what npm runs"),
    (".npmrc", "decides where npm downloads from, and can make it run programs"),
    (".cargo/config.toml", "can make cargo run programs"),
    ("build.rs", "runs in the next cargo build"),
    ("Makefile", "runs at the next make"),
    ("conftest.py", "runs at the next pytest"),
    ("gradle/wrapper/gradle-wrapper.jar", "holds what gradle runs"),
    ("src/main.rs", "becomes part of the next build"),
    ("keys/another.pub", "becomes part of the next build"),
];

#[test]
fn every_file_says_what_it_could_do() {
    let guarded = Guarded::new();
    fs::create_dir(guarded.path(".git")).unwrap();
    guarded.start(&[]);
    let (home, root) = (guarded.canonical_home(), guarded.canonical_root());
    let planted = HOME.iter().map(|(name, told)| (home.join(name), told));
    let planted: Vec<_> = planted.chain(CHECKOUT.iter().map(|(name, told)| (root.join(name), told))).collect();
    for (path, _) in &planted {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "planted by a poisoned cache").unwrap();
    }
    let checked = guarded.check();
    checked.expect(15, &["stray-write"]);
    for (path, told) in planted {
        let found = checked.found(&path);
        assert!(found.ends_with(&format!(": {told}")), "{}: {found}", path.display());
    }
}

#[test]
fn what_decides_about_trust_has_a_code_of_its_own() {
    for (name, contents) in [
        ("cacheseal.toml", "version = 1\n"),
        ("keys/job.pub", "another key\n"),
        ("keys/other.pub", "another key\n"),
        // It was not there before; an empty list would recall nothing.
        ("keys/revoked.toml", "version = 1\n"),
    ] {
        let guarded = Guarded::new();
        guarded.start(&[]);
        guarded.restore();
        guarded.verify_guarded(&[]).expect_of(name, 0, &[]);
        guarded.write(name, contents);
        let checked = guarded.check();
        checked.expect_of(name, 15, &["policy-changed"]);
        let found = checked.found(&guarded.canonical_root().join(name));
        assert!(found.ends_with(": decides what is trusted"), "{found}");
        guarded.verify_guarded(&[]).expect_of(name, 15, &["policy-changed"]);
    }
    let guarded = Guarded::new();
    guarded.write("keys/revoked.toml", "version = 1\n");
    guarded.start(&[]);
    fs::remove_file(guarded.path("keys/revoked.toml")).unwrap();
    guarded.check().expect(15, &["policy-changed"]);
}
