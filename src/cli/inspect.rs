//! `inspect`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::arguments::InspectArguments;
use super::failure::Failure;
use super::outcome::Outcome;
use super::sealed::UnverifiedSeal;
use crate::base::{Escaped, Exit, Limits, plural};
use crate::report::bytes_text;

pub(super) fn run(arguments: &InspectArguments) -> Result<Outcome, Failure> {
    let limits = Limits::STANDARD;
    let seal = UnverifiedSeal::open(&arguments.seal, &limits)?;
    let payload: Value = serde_json::from_slice(seal.envelope.unverified_payload().1).unwrap_or_default();
    let keyids: Vec<&str> = seal.envelope.unverified_keyids().collect();
    let manifests = seal.manifests(&limits);
    let text = text(&seal, &keyids, manifests.as_ref().err());
    let json = json!({
        "version": 1, "command": "inspect", "exit": 0, "verified": false, "keyids": keyids, "statement": payload,
        "manifestsAsNamed": manifests.is_ok(),
    });
    Ok(Outcome { exit: Exit::Ok, output: text.into_bytes(), json })
}

fn text(seal: &UnverifiedSeal, keyids: &[&str], manifests: Option<&Failure>) -> String {
    let predicate = &seal.statement.predicate;
    let mut out = "unverified: this is what the seal says of itself; anybody could have written it\n".to_owned();
    let mut row = |label: &str, value: &str| {
        let _ = writeln!(out, "  {label:<10} {}", Escaped(value.as_bytes()));
    };
    row("project", &predicate.project);
    row("cache", &predicate.cache);
    for root in &predicate.roots {
        let contents = if root.manifest.is_some() {
            format!("{}, {}, {}", plural(root.entries, "entry", "entries"), bytes_text(root.bytes), root.digest)
        } else {
            "absent".to_owned()
        };
        row("root", &format!("{}: {contents}", root.path));
    }
    for lockfile in &predicate.lockfiles {
        row("lockfile", &format!("{} sha256 {}", lockfile.path, lockfile.sha256));
    }
    row("platform", &format!("{}/{}", predicate.platform.os, predicate.platform.arch));
    for (key, value) in &predicate.bindings {
        row("binding", &format!("{key}={value}"));
    }
    let source = &predicate.source;
    let fields = [
        ("ci", &source.ci),
        ("ref", &source.ref_),
        ("revision", &source.revision),
        ("job", &source.job),
        ("run", &source.run),
    ];
    for (label, value) in fields {
        if let Some(value) = value {
            row(label, value);
        }
    }
    row("sealed at", &predicate.sealed_at.to_string());
    row("tool", &format!("{} {}", predicate.tool.name, predicate.tool.version));
    for keyid in keyids {
        row("signed by", if keyid.is_empty() { "a key that is not named" } else { keyid });
    }
    if let Some(failure) = manifests {
        row("manifests", &format!("not as the statement names them: {}", failure.message));
    }
    out
}
