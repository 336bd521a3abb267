//! `inspect`.

use std::fmt::Write as _;
use std::path::Path;

use super::archived::Archived;
use super::arguments::InspectArguments;
use super::outcome::Outcome;
use super::sealed::FoundSeal;
use crate::archive::UnverifiedKind;
use crate::base::{Algorithm, Escaped, Exit, Limits, Refusal, Refusals, plural};
use crate::checkout::{Context, Failure};
use crate::report::{ArchiveContents, Asker, Head, InspectReport, InspectedSeal, bytes_text, refusals_text};
use crate::seal::ENVELOPE;

pub(super) fn run(arguments: &InspectArguments, context: &Context) -> Result<Outcome, Failure> {
    let limits = &context.limits;
    let is_archive = arguments.seal == Path::new("-")
        || arguments.seal.file_name().is_none_or(|name| name != ENVELOPE)
            && arguments.seal.metadata().is_ok_and(|metadata| !metadata.is_dir());
    if is_archive {
        return archive(arguments, context);
    }
    let seal = FoundSeal::open(&arguments.seal, limits)?;
    let (text, said) = describe(&seal, limits);
    let output = format!("unverified: this is what the seal says of itself; anybody could have written it\n{text}");
    let head = Head::of("inspect", Exit::Ok);
    let report = InspectReport { head, verified: false, archive: None, problems: None, seal: Some(said) };
    Ok(Outcome::of(Exit::Ok, output, &report))
}

/// What a seal says, for people and for programs.
fn describe<'s>(seal: &'s FoundSeal, limits: &Limits) -> (String, InspectedSeal<'s>) {
    let keyids: Vec<&str> = seal.seal.envelope.unverified_keyids().collect();
    let manifests = seal.manifests(limits);
    let text = text(seal, &keyids, manifests.as_ref().err());
    let statement = serde_json::from_slice(seal.seal.envelope.unverified_payload().1).unwrap_or_default();
    (text, InspectedSeal { keyids, statement, manifests_as_named: manifests.is_ok() })
}

/// What an archive holds. What no archive may hold is told too, and decides the exit status.
fn archive(arguments: &InspectArguments, context: &Context) -> Result<Outcome, Failure> {
    let limits = &context.limits;
    let archived =
        Archived::open(&arguments.seal, Algorithm::Blake3, arguments.window.window_log_max, &context.options())?;
    let members = &archived.archive.members;
    let (mut files, mut directories, mut links, mut bytes) = (0, 0, 0, 0_u64);
    for member in members {
        match &member.kind {
            UnverifiedKind::File { size, .. } => (files, bytes) = (files + 1, bytes.saturating_add(*size)),
            UnverifiedKind::Directory => directories += 1,
            UnverifiedKind::Link(_) => links += 1,
        }
    }
    let mut problems = Refusals::new(limits.refusals_max);
    for (name, obstacle) in &archived.archive.obstacles {
        problems.push(Refusal::new(obstacle.code, name.as_slice(), obstacle.expected, obstacle.found.as_str()));
    }
    if let Some(error) = &archived.archive.error {
        problems.push(error.refusal(arguments.seal.as_os_str().as_encoded_bytes()));
    }
    let exit = problems.exit();
    let mut out = "unverified: this is what the archive holds; anybody could have written it\n".to_owned();
    let _ = writeln!(
        out,
        "  {:<10} {}, {}, {}, {}",
        "members",
        plural(files, "file", "files"),
        plural(directories, "directory", "directories"),
        plural(links, "symlink", "symlinks"),
        bytes_text(bytes),
    );
    let mut said = None;
    match &archived.seal {
        Some(seal) => {
            let (text, seal_says) = describe(seal, limits);
            out.push_str(&text);
            said = Some(seal_says);
            for path in archived.trees(seal, Algorithm::Blake3).map(|trees| trees.outside).unwrap_or_default() {
                let _ = writeln!(out, "  {:<10} {}", "outside", Escaped(path.as_bytes()));
            }
        }
        None => out.push_str("  seal       none\n"),
    }
    out.push_str(&refusals_text(&problems, Asker::VERIFIER).replace("refused[", "problem["));
    let report = InspectReport {
        head: Head::of("inspect", exit),
        verified: false,
        archive: Some(ArchiveContents { files, directories, links, bytes }),
        problems: Some(problems.into_parts().0),
        seal: said,
    };
    Ok(Outcome::of(exit, out, &report))
}

fn text(seal: &FoundSeal, keyids: &[&str], manifests: Option<&Failure>) -> String {
    let predicate = &seal.seal.statement.predicate;
    let mut out = String::new();
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
