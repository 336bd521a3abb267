//! `diff`.

use std::path::Path;

use serde_json::json;

use super::arguments::DiffArguments;
use super::context::shown;
use super::failure::Failure;
use super::outcome::Outcome;
use super::sealed::UnverifiedSeal;
use crate::base::{Algorithm, Code, Limits, Refusal, Refusals};
use crate::report::{refusals_json, refusals_text};
use crate::seal::ENVELOPE;
use crate::seal::manifest::{Manifest, differences};
use crate::tree::{Directory, Options, snapshot};

/// One side: a seal with its roots, or a directory that is still to be read.
enum Side {
    Seal(Box<UnverifiedSeal>),
    Directory(Directory),
}

pub(super) fn run(arguments: &DiffArguments) -> Result<Outcome, Failure> {
    let limits = Limits::STANDARD;
    let options = Options { threads: usize::from(arguments.walk.threads), limits: &limits };
    let mut found = Refusals::new(limits.refusals_max);
    let root = arguments.root.as_deref();
    match (open(&arguments.a, &limits)?, open(&arguments.b, &limits)?) {
        (Side::Seal(a), Side::Seal(b)) => seals(&a, &b, root, &limits, &mut found)?,
        (Side::Seal(a), Side::Directory(b)) => {
            let (path, a) = a.manifest(root, &limits)?;
            let b = read(b, &arguments.b, a.algorithm(), &options)?;
            differences(&path, &a, &b, &mut found);
        }
        (Side::Directory(a), Side::Seal(b)) => {
            let (path, b) = b.manifest(root, &limits)?;
            let a = read(a, &arguments.a, b.algorithm(), &options)?;
            differences(&path, &a, &b, &mut found);
        }
        (Side::Directory(a), Side::Directory(b)) => {
            let a = read(a, &arguments.a, Algorithm::Blake3, &options)?;
            let b = read(b, &arguments.b, Algorithm::Blake3, &options)?;
            differences(".", &a, &b, &mut found);
        }
    }
    Ok(outcome(&found))
}

fn outcome(found: &Refusals) -> Outcome {
    let exit = found.exit();
    let text = if found.is_empty() {
        "same: nothing differs\n".to_owned()
    } else {
        // What is expected is the first, what is found the second; advice on caches has no place here.
        let listed = refusals_text(found).replace("refused[", "differs[");
        let lines: Vec<_> = listed.lines().filter(|line| !line.starts_with("hint: ")).collect();
        format!("{}\n", lines.join("\n"))
    };
    let json = json!({
        "version": 1, "command": "diff", "verified": false, "same": found.is_empty(), "exit": exit.number(),
        "differences": refusals_json(found),
    });
    Outcome { exit, output: text.into_bytes(), json }
}

fn open(path: &Path, limits: &Limits) -> Result<Side, Failure> {
    if path.join(ENVELOPE).symlink_metadata().is_ok() || path.file_name().is_some_and(|name| name == ENVELOPE) {
        return Ok(Side::Seal(Box::new(UnverifiedSeal::open(path, limits)?)));
    }
    let opened = Directory::open(path);
    opened.map(Side::Directory).map_err(|error| {
        Failure::new(Code::Unreadable, format!("expected a seal or a directory at {}: {error}", shown(path)))
    })
}

fn read(directory: Directory, path: &Path, algorithm: Algorithm, options: &Options<'_>) -> Result<Manifest, Failure> {
    let taken = snapshot(directory, &path.to_string_lossy(), algorithm, options);
    match taken.refusals.iter().next() {
        None => Ok(taken.manifest),
        Some(first) => {
            let place = crate::base::Escaped(&first.place);
            Err(Failure::new(first.code, format!("{place}: expected {}, found {}", first.expected, first.found)))
        }
    }
}

/// Root by root, by the path that the policy gave them.
fn seals(
    a: &UnverifiedSeal,
    b: &UnverifiedSeal,
    root: Option<&str>,
    limits: &Limits,
    found: &mut Refusals,
) -> Result<(), Failure> {
    let (a, b) = (a.manifests(limits)?, b.manifests(limits)?);
    let wanted = |path: &str| root.is_none_or(|root| root == path);
    for (path, manifest) in a.iter().filter(|(path, _)| wanted(path)) {
        match b.iter().find(|(other, _)| other == path) {
            Some((_, other)) => differences(path, manifest, other, found),
            None => found.push(Refusal::new(Code::MissingEntry, *path, "a root", "nothing")),
        }
    }
    for (path, _) in b.iter().filter(|(path, _)| wanted(path) && !a.iter().any(|(other, _)| other == path)) {
        found.push(Refusal::new(Code::ExtraEntry, *path, "nothing", "a root"));
    }
    Ok(())
}
