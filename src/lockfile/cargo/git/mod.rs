//! Packages from git: `git/db/<repository>/` and `git/checkouts/<repository>/<commit>/`. The lockfile names a commit, a
//! commit names its tree, and so on down to the bytes of each file: all of it can be computed anew from the objects, and
//! compared with what was checked out. The names are SHA-1, so nothing of it is ever more than [`Finding::Weak`].

mod objects;
mod pack;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::directories::short_hash;
use super::home;
use super::lock::{CargoLock, Package, Source};
use crate::lockfile::{Claim, EntryId, Exact, Files, Finding, Findings, Forest, Member, MemberKind, Plan, Unpacked};
use crate::tree::{Kind, Unread};
use objects::{Id, Mode};
use store::{Obstacle, Store};

const BY_SHA1: &str = "as the locked commit has it, but git names it by SHA-1";
const OWN: &str = "git's own file: no lockfile speaks of it";

/// The mark of a checkout that is complete: an empty file.
const MARK: &[u8] = b".cargo-ok";
const MARKS: &[&[u8]] = &[b""];

/// Digits of a commit that begin the name of a checkout, at least.
const SHORT_MIN: usize = 7;

pub(super) fn plan<'a>(lock: &'a CargoLock, plan: &mut Plan<'a>) {
    let mut repositories: BTreeMap<String, Repository<'a>> = BTreeMap::new();
    for package in lock.packages() {
        if let Source::Git { url, commit } = &package.source
            && let (Some(name), Some(id)) = (directory(url), Id::from_hex(commit))
        {
            let repository = repositories.entry(name).or_insert_with(|| Repository::new(plan.forest));
            repository.commits.entry(id).or_insert(package);
        }
    }
    for (area, what) in [("db", "a git repository"), ("checkouts", "a checkout of a git repository")] {
        for (name, entry) in home::members(plan.forest, "git", area) {
            let name = String::from_utf8_lossy(name).into_owned();
            let name = name.strip_suffix("-shallow").unwrap_or(&name);
            match repositories.get_mut(name) {
                Some(repository) if area == "db" => repository.databases.push(entry),
                Some(repository) => repository.add_checkouts(entry, plan),
                None => plan.unproven(entry, format!("{what} that Cargo.lock does not name")),
            }
        }
    }
    for repository in repositories.into_values() {
        for entry in &repository.databases {
            plan.unproven(*entry, OWN);
        }
        plan.claim(repository);
    }
}

/// The directory of a repository, as Cargo names it: the last part of the URL in its canonical form, and a hash of it.
fn directory(url: &str) -> Option<String> {
    let canonical = canonical(url)?;
    let last = canonical.split_once("://")?.1.rsplit('/').next().filter(|last| !last.is_empty());
    Some(format!("{}-{}", last.unwrap_or("_empty"), short_hash(None, &canonical)))
}

/// A URL as Cargo compares it: without a final slash and `.git`; those of GitHub by https and in lower case.
fn canonical(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.strip_suffix('/').unwrap_or(path);
    let (scheme, path) =
        if authority == "github.com" { ("https", path.to_lowercase()) } else { (scheme, path.to_owned()) };
    let path = path.strip_suffix(".git").unwrap_or(&path);
    Some(format!("{scheme}://{authority}/{path}"))
}

/// All that a Cargo home has of one repository.
#[derive(Debug)]
struct Repository<'a> {
    forest: &'a Forest,
    commits: BTreeMap<Id, &'a Package>,
    databases: Vec<EntryId>,
    /// Directories of checkouts, each with its commit.
    checkouts: Vec<(EntryId, Id)>,
}

impl<'a> Repository<'a> {
    fn new(forest: &'a Forest) -> Self {
        Self { forest, commits: BTreeMap::new(), databases: Vec::new(), checkouts: Vec::new() }
    }

    fn add_checkouts(&mut self, directory: EntryId, plan: &mut Plan<'_>) {
        for checkout in self.forest.children(directory) {
            let name = self.forest.name(checkout);
            let is_of = |id: &&Id| name.len() >= SHORT_MIN && id.to_string().as_bytes().starts_with(name);
            match self.commits.keys().find(is_of).filter(|_| self.forest.kind(checkout) == Kind::Directory) {
                Some(id) => {
                    if let Some(file) = self.forest.find(checkout, MARK) {
                        plan.claim(Exact { file, contents: MARKS, what: "the mark of a checkout" });
                    }
                    if let Some(git) = self.forest.find(checkout, b".git") {
                        plan.unproven(git, OWN);
                    }
                    self.checkouts.push((checkout, *id));
                }
                None => plan.unproven(checkout, "a checkout of a commit that Cargo.lock does not name"),
            }
        }
    }

    /// Where objects may be: in the databases, and in the checkouts that were cloned from them.
    fn object_directories(&self) -> Vec<EntryId> {
        let of_databases = self.databases.iter().map(|entry| self.forest.find(*entry, b"objects"));
        let of_checkouts = self.checkouts.iter().map(|(entry, _)| self.forest.find(*entry, b".git/objects"));
        of_databases.chain(of_checkouts).flatten().collect()
    }
}

/// Objects of one repository at a time are held in memory.
static TURN: Mutex<()> = Mutex::new(());

impl Claim for Repository<'_> {
    fn archive(&self) -> Option<EntryId> {
        let packs = self.object_directories().into_iter().filter_map(|objects| self.forest.find(objects, b"pack"));
        packs.flat_map(|packs| self.forest.children(packs)).find(|entry| self.forest.name(*entry).ends_with(b".pack"))
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut store = Store::default();
        for directory in self.object_directories() {
            match store.add(self.forest, directory, files, findings) {
                Ok(()) => {}
                Err(Obstacle::Unread(Unread)) => return,
                Err(Obstacle::Reason(reason)) => return self.give_up(reason, findings),
            }
        }
        for (checkout, id) in &self.checkouts {
            let Some(package) = self.commits.get(id) else { continue };
            self.checkout(*checkout, *id, &package.shown(), &store, files, findings);
        }
        store.judge_packs(&self.reachable(&store), BY_SHA1, findings);
    }
}

impl Repository<'_> {
    fn give_up(&self, reason: &'static str, findings: &mut Findings) {
        for (checkout, _) in &self.checkouts {
            for entry in self.forest.below(*checkout) {
                findings.unproven(entry, reason);
            }
        }
    }

    /// Every object that a locked commit leads to, its history included.
    fn reachable(&self, store: &Store) -> BTreeSet<Id> {
        let mut reached = BTreeSet::new();
        let mut waiting: Vec<Id> = self.commits.keys().copied().collect();
        while let Some(id) = waiting.pop() {
            if reached.insert(id) {
                waiting.extend(store.links(id));
            }
        }
        reached
    }

    /// Compares a checkout with the tree of its commit.
    fn checkout(
        &self,
        directory: EntryId,
        commit: Id,
        shown: &str,
        store: &Store,
        files: &mut dyn Files,
        findings: &mut Findings,
    ) {
        let mut unpacked = Unpacked::new(self.forest, directory, shown);
        for own in [MARK, b".git"] {
            if let Some(entry) = self.forest.find(directory, own) {
                unpacked.leave(entry);
            }
        }
        let mut waiting: Vec<(Vec<u8>, Id)> =
            store.tree_of(commit).map(|tree| (Vec::new(), tree)).into_iter().collect();
        let mut is_whole = !waiting.is_empty();
        while let Some((path, tree)) = waiting.pop() {
            let Some(entries) = store.tree(tree) else {
                is_whole = false;
                continue;
            };
            for entry in entries {
                let path = if path.is_empty() { entry.name.to_vec() } else { [&path, &b"/"[..], entry.name].concat() };
                match (entry.mode, store.blob(entry.id)) {
                    (Mode::Tree, _) => waiting.push((path, entry.id)),
                    (Mode::Submodule, _) => {
                        if let Some(submodule) = self.forest.find(directory, &path) {
                            unpacked.leave(submodule);
                            findings.unproven(submodule, "a submodule");
                        }
                    }
                    (mode, Some(blob)) => {
                        let kind = match mode {
                            Mode::Link => MemberKind::Link(blob),
                            _ => MemberKind::File { executable: mode == Mode::Executable },
                        };
                        let mut content = blob;
                        let mut member = Member { path: &path, kind, size: blob.len() as u64, content: &mut content };
                        unpacked.member(&path, &mut member, Some(mode == Mode::Executable), files);
                    }
                    (_, None) => is_whole = false,
                }
            }
        }
        if !is_whole {
            for entry in self.forest.below(directory) {
                findings.unproven(entry, "a checkout whose objects are not all there");
            }
            return;
        }
        let mut found = Findings::default();
        unpacked.finish(&mut found);
        findings.missing.append(&mut found.missing);
        for (entry, finding) in found.entries {
            let finding = if finding == Finding::Proven { Finding::Weak(BY_SHA1.into()) } else { finding };
            findings.push(entry, finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_as_cargo_names_them() {
        // Cargo 1.95 made this one.
        assert_eq!(directory("file:///tmp/up").as_deref(), Some("up-c05050b94142bf47"));
        for (url, same) in [
            ("https://github.com/Acme/App.git", "https://github.com/acme/app"),
            ("ssh://github.com/acme/app/", "https://github.com/acme/app"),
            ("https://example.com/Acme/App.git", "https://example.com/Acme/App"),
        ] {
            assert_eq!(directory(url), directory(same), "{url}");
        }
        assert_ne!(directory("https://example.com/a"), directory("https://example.com/A"));
        assert_eq!(directory("git@example.com:a/b"), None);
    }
}
