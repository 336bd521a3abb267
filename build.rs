//! What `cacheseal --version` says of a build beside the version: commit, target and features. A release names its
//! commit by `CACHESEAL_COMMIT`, a crate of the registry by the file that `cargo package` puts into it; another build
//! has no commit that could be relied on, since the checkout may have been edited.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a build script speaks to Cargo by its environment and output, and may end the build"
)]

use std::path::Path;

const PACKAGED: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo::rerun-if-env-changed=CACHESEAL_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    if Path::new(PACKAGED).exists() {
        println!("cargo::rerun-if-changed={PACKAGED}");
    }
    let target = std::env::var("TARGET").expect("Cargo sets TARGET");
    let features = if std::env::var_os("CARGO_FEATURE_JUDGES").is_some() { "feature judges" } else { "no features" };
    println!("cargo::rustc-env=CACHESEAL_BUILD=commit {}, {target}, {features}", commit());
}

/// The commit of a release or of a packaged crate. One that was packaged with changes is none.
fn commit() -> String {
    if let Some(commit) = std::env::var("CACHESEAL_COMMIT").ok().filter(|commit| is_commit(commit)) {
        return commit;
    }
    let packaged = std::fs::read_to_string(PACKAGED).unwrap_or_default();
    let sha1 = packaged.split_once("\"sha1\": \"").and_then(|(_, rest)| rest.split('"').next());
    match sha1 {
        Some(commit) if is_commit(commit) && !packaged.contains("\"dirty\": true") => commit.to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
