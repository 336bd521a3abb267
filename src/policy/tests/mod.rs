mod check;
mod hostile;
mod malformed;
mod meaning;
mod place;
mod starter;

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::*;
use crate::base::Digest;
use crate::identity::{PublicKey, SecretKey};

/// A policy that uses every field.
const GOOD: &str = r#"version = 1
project = "github.com/acme/app"

[cache.cargo]
roots = ["~/.cargo/registry", "/opt/cargo", "target/deps"]
lockfiles = ["Cargo.lock", "tools/Cargo.lock"]
digest = "sha256"

[cache.npm]
roots = ["~/.npm"]

[signer.main]
keys = [{ file = "keys/main-2026.pub" }, { file = "keys/main-2027.pub" }]
caches = ["cargo", "npm-*"]
refs = ["refs/heads/main"]
jobs = ["deps"]

[signer.other]
keys = [{ file = "keys/a b.pub" }]

[gate.release]
require = ["signature"]
signers = ["main", "other"]
max_age = "7d"
lockfile = "exact"
links = "inside"
hardlinks = "any"

[gate.ci]
require = ["signature"]
signers = ["other"]
max_age = "90m"
lockfile = "any"

[gate.plain]
require = ["signature"]
signers = ["main"]
max_age = "12h"

[guard]
allow = ["/tmp/agent-*", "~/.cache/reports"]
"#;

fn parse(text: &str) -> Result<Document, PolicyError> {
    Document::parse("cacheseal.toml", text.as_bytes())
}

/// A public key of its own for each name.
fn key(name: &str) -> PublicKey {
    SecretKey::from_seed(Zeroizing::new(Digest::sha256(name.as_bytes()).0)).public()
}

/// The key files that a policy names, each with its own key.
fn key_files(document: &Document) -> BTreeMap<String, Vec<u8>> {
    let pem = |name: &str| key(name).to_pem().into_bytes();
    document.files().into_iter().map(|name| (name.to_owned(), pem(name))).collect()
}

/// The policy with every key file there.
fn policy(text: &str) -> Policy {
    let document = parse(text).unwrap();
    let files = key_files(&document);
    document.resolve(&files).unwrap()
}

/// GOOD with one piece replaced.
fn edited(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}
