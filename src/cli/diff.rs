//! `diff`.

use std::path::Path;

use super::archived::Archived;
use super::arguments::DiffArguments;
use super::outcome::Outcome;
use super::sealed::FoundSeal;
use super::system::options;
use crate::base::{Algorithm, Code, EntryPath, Escaped, Limits, Refusal, Refusals};
use crate::checkout::{Context, Failure, shown};
use crate::report::{Asker, DiffReport, Head, refusals_text};
use crate::seal::ENVELOPE;
use crate::seal::manifest::{Manifest, differences};
use crate::tree::{Directory, Options, snapshot};

/// One side: a seal with its roots, a directory that is still to be read, or an archive that is.
enum Side<'a> {
    Seal(Box<FoundSeal>),
    Directory(&'a Path),
    Archive(&'a Path),
}

/// The trees of one side.
struct Trees {
    /// By the path of their root; one without a path is all there is.
    trees: Vec<(Option<String>, Manifest)>,
    /// Members of an archive outside of them.
    outside: Vec<EntryPath>,
}

impl Trees {
    fn whole(tree: Manifest) -> Self {
        Self { trees: vec![(None, tree)], outside: Vec::new() }
    }
}

pub(super) fn run(arguments: &DiffArguments, context: &Context) -> Result<Outcome, Failure> {
    let limits = &context.limits;
    let (a, b) = (open(&arguments.a, limits)?, open(&arguments.b, limits)?);
    if let (Some(one), Some(other)) = (a.algorithm(), b.algorithm())
        && one != other
    {
        let message = format!("expected two seals with digests of one kind, found {one} and {other}");
        return Err(Failure::new(Code::Usage, message)
            .hint("compare one of the seals with the directories of the other: `cacheseal diff SEAL DIRECTORY`"));
    }
    let reading = Reading {
        // Contents can only be compared by the digests that a seal has.
        algorithm: a.algorithm().or_else(|| b.algorithm()).unwrap_or(Algorithm::Blake3),
        root: arguments.root.as_deref(),
        window_log_max: arguments.window.window_log_max,
        options: options(arguments.walk.threads, context),
    };
    let (trees_a, trees_b) = (reading.trees(&a, b.seal())?, reading.trees(&b, a.seal())?);
    let mut found = Refusals::new(limits.refusals_max);
    outside(&trees_a, Code::MissingEntry, &mut found);
    outside(&trees_b, Code::ExtraEntry, &mut found);
    match (&trees_a.trees[..], &trees_b.trees[..]) {
        // A tree without a name is held against the one that is meant.
        ([(None, a)], _) => {
            let (path, b) = reading.one(&trees_b)?;
            differences(path, a, b, &mut found);
        }
        (_, [(None, b)]) => {
            let (path, a) = reading.one(&trees_a)?;
            differences(path, a, b, &mut found);
        }
        (a, b) => by_root(a, b, &mut found),
    }
    Ok(outcome(&found))
}

impl Side<'_> {
    fn seal(&self) -> Option<&FoundSeal> {
        if let Side::Seal(seal) = self { Some(seal) } else { None }
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.seal()?.seal.statement.predicate.roots.first().map(|root| root.digest)
    }
}

/// How sides are read.
struct Reading<'a> {
    algorithm: Algorithm,
    /// The only root to compare, if one is named.
    root: Option<&'a str>,
    window_log_max: u32,
    options: Options<'a>,
}

impl Reading<'_> {
    /// The trees of a side. An archive is told apart into roots by its own seal, or by that of the other side.
    fn trees(&self, side: &Side<'_>, other: Option<&FoundSeal>) -> Result<Trees, Failure> {
        let limits = self.options.limits;
        let (roots, outside) = match side {
            Side::Seal(seal) => {
                let owned = |(path, tree): (&str, Manifest)| (path.to_owned(), tree);
                (seal.manifests(limits)?.into_iter().map(owned).collect(), Vec::new())
            }
            Side::Directory(path) => return self.directory(path).map(Trees::whole),
            Side::Archive(path) => {
                let archived = Archived::open_whole(path, self.algorithm, self.window_log_max, &self.options)?;
                let Some(seal) = archived.seal.as_ref().or(other) else {
                    return archived.whole(self.algorithm).map(Trees::whole);
                };
                let trees = archived.trees(seal, self.algorithm)?;
                // An archive of one root alone, from its top, names none of them.
                if trees.roots.is_empty() {
                    return archived.whole(self.algorithm).map(Trees::whole);
                }
                (trees.roots, trees.outside)
            }
        };
        let is_wanted = |path: &str| self.root.is_none_or(|root| path == root);
        let wanted: Vec<_> = roots.into_iter().filter(|(path, _)| is_wanted(path)).collect();
        Ok(Trees { trees: wanted.into_iter().map(|(path, tree)| (Some(path), tree)).collect(), outside })
    }

    fn directory(&self, path: &Path) -> Result<Manifest, Failure> {
        let directory = Directory::open(path).map_err(|error| no_side(path, &error.to_string()))?;
        let taken = snapshot(directory, &path.to_string_lossy(), self.algorithm, &self.options);
        match taken.refusals.iter().next() {
            None => Ok(taken.manifest),
            Some(first) => {
                let place = Escaped(&first.place);
                Err(Failure::new(first.code, format!("{place}: expected {}, found {}", first.expected, first.found)))
            }
        }
    }

    /// The one tree that is meant.
    fn one<'t>(&self, trees: &'t Trees) -> Result<(&'t str, &'t Manifest), Failure> {
        if let [(path, tree)] = &trees.trees[..] {
            return Ok((path.as_deref().unwrap_or("."), tree));
        }
        let names = trees.trees.iter().filter_map(|(path, _)| path.as_deref());
        let names: Vec<_> = names.map(|path| format!("`{}`", Escaped(path.as_bytes()))).collect();
        let message = match self.root {
            Some(root) => format!("expected a root `{}`, found none", Escaped(root.as_bytes())),
            None => format!("expected `--root` to name one of {}", names.join(", ")),
        };
        Err(Failure::new(Code::Usage, message))
    }
}

fn outcome(found: &Refusals) -> Outcome {
    let exit = found.exit();
    let text = if found.is_empty() {
        "same: nothing differs\n".to_owned()
    } else {
        // What is expected is the first, what is found the second; advice on caches has no place here.
        let listed = refusals_text(found, Asker::VERIFIER).replace("refused[", "differs[");
        let lines: Vec<_> = listed.lines().filter(|line| !line.starts_with("hint: ")).collect();
        format!("{}\n", lines.join("\n"))
    };
    let head = Head::of("diff", exit);
    let report = DiffReport { head, verified: false, same: found.is_empty(), differences: found.iter().collect() };
    Outcome::of(exit, text, &report)
}

fn open<'a>(path: &'a Path, limits: &Limits) -> Result<Side<'a>, Failure> {
    if path.join(ENVELOPE).symlink_metadata().is_ok() || path.file_name().is_some_and(|name| name == ENVELOPE) {
        return Ok(Side::Seal(Box::new(FoundSeal::open(path, limits)?)));
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(Side::Directory(path)),
        Ok(_) => Ok(Side::Archive(path)),
        Err(error) => Err(no_side(path, &error.to_string())),
    }
}

fn no_side(path: &Path, why: &str) -> Failure {
    Failure::new(Code::Unreadable, format!("expected a seal, a directory or an archive at {}: {why}", shown(path)))
}

/// Members of an archive that are in none of its roots.
fn outside(trees: &Trees, code: Code, found: &mut Refusals) {
    for path in &trees.outside {
        let (a, b) = ("a member outside the roots", "nothing");
        let (expected, other) = if code == Code::MissingEntry { (a, b) } else { (b, a) };
        found.push(Refusal::new(code, path.as_bytes(), expected, other));
    }
}

/// Root by root, by the path that the policy gave them.
fn by_root(a: &[(Option<String>, Manifest)], b: &[(Option<String>, Manifest)], found: &mut Refusals) {
    let place = |path: &Option<String>| path.clone().unwrap_or_default();
    for (path, manifest) in a {
        match b.iter().find(|(other, _)| other == path) {
            Some((_, other)) => differences(&place(path), manifest, other, found),
            None => found.push(Refusal::new(Code::MissingEntry, place(path), "a root", "nothing")),
        }
    }
    for (path, _) in b.iter().filter(|(path, _)| !a.iter().any(|(other, _)| other == path)) {
        found.push(Refusal::new(Code::ExtraEntry, place(path), "nothing", "a root"));
    }
}
