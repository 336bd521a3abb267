//! Packages of registries: `registry/cache/<registry>/<name>-<version>.crate`, and what Cargo unpacks from them into
//! `registry/src/<registry>/<name>-<version>/`.

use std::collections::{BTreeMap, BTreeSet};

use super::directories::directories;
use super::home;
use super::lock::{CargoLock, Package};
use super::vendor;
use crate::lockfile::{
    Claim, EntryId, Exact, Expected, Files, Findings, Forest, Held, MemberKind, Plan, Unpacked, hold, tar_gz,
};
use crate::tree::{Kind, Unread};

/// The mark of a package that was unpacked to its end.
const MARK: &[u8] = b".cargo-ok";

/// What Cargo writes into the mark: the second since 1.71, the first before.
const MARKS: &[&[u8]] = &[b"ok", b"{\"v\":1}"];

/// `CACHEDIR.TAG`, which says to backup programs that this is a cache.
const CACHE_TAG: &[&[u8]] = &[b"Signature: 8a477f597d28d172789f06886806bc55\n\
# This file is a cache directory tag created by cargo.\n\
# For information about cache directory tags see https://bford.info/cachedir/\n"];

/// Where one package is.
#[derive(Debug, Default)]
struct Places {
    crates: Vec<EntryId>,
    sources: Vec<EntryId>,
}

/// A registry's directory, and `name-version`.
type Key = (String, String);

pub(super) fn plan<'a>(lock: &'a CargoLock, plan: &mut Plan<'a>) {
    let forest = plan.forest;
    let mut locked: BTreeMap<Key, &Package> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for package in lock.packages() {
        for directory in directories(&package.source) {
            known.insert(directory.clone());
            locked.insert((directory, package.id()), package);
        }
    }
    let mut places: BTreeMap<Key, Places> = BTreeMap::new();
    for area in ["cache", "src"] {
        for (registry, directory) in home::members(forest, "registry", area) {
            let registry = std::str::from_utf8(registry).ok().filter(|name| known.contains(*name));
            let Some(registry) = registry else {
                plan.unproven(directory, "in the directory of a registry that Cargo.lock does not name");
                continue;
            };
            for entry in forest.children(directory) {
                let key = id_of(forest, entry, area).map(|id| (registry.to_owned(), id));
                let Some(key) = key.filter(|key| locked.contains_key(key)) else {
                    plan.unproven(entry, "not a package of Cargo.lock from this registry");
                    continue;
                };
                let places = places.entry(key).or_default();
                if area == "cache" { &mut places.crates } else { &mut places.sources }.push(entry);
            }
        }
    }
    let mut archives: BTreeMap<&str, Vec<(&Package, EntryId)>> = BTreeMap::new();
    let (mut packed, mut unpacked) = (BTreeSet::new(), BTreeSet::new());
    for (key, places) in places {
        let Some(package) = locked.get(&key).copied() else { continue };
        // A registry has several directories by its name: a package counts in one of them.
        for entry in &places.crates {
            if !packed.insert(&package.origin) {
                plan.findings.copy(*entry);
            }
        }
        for entry in &places.sources {
            if !unpacked.insert(&package.origin) {
                plan.findings.copy(*entry);
            }
        }
        if let Some(first) = places.crates.first() {
            archives.entry(&package.name).or_default().push((package, *first));
        }
        claim(package, places, plan);
    }
    vendor::plan(lock, &archives, plan);
    for entry in home::find(forest, &["registry", "index"]) {
        plan.unproven(entry, "the index of a registry: no lockfile speaks of it");
    }
    for area in ["db", "checkouts"] {
        for (_, entry) in home::members(forest, "git", area) {
            plan.unproven(entry, "of a git package: Cargo.lock has the commit of it, and no digest");
        }
    }
    for top in ["registry", "git"] {
        for file in home::find(forest, &[top, "CACHEDIR.TAG"]) {
            plan.claim(Exact { file, contents: CACHE_TAG, what: "the tag of a cache" });
        }
    }
}

/// The `name-version` that an entry stands for.
fn id_of(forest: &Forest, entry: EntryId, area: &str) -> Option<String> {
    let name = std::str::from_utf8(forest.name(entry)).ok()?;
    let (name, kind) =
        if area == "cache" { (name.strip_suffix(".crate")?, Kind::File) } else { (name, Kind::Directory) };
    (forest.kind(entry) == kind).then(|| name.to_owned())
}

fn claim<'a>(package: &'a Package, places: Places, plan: &mut Plan<'a>) {
    let Some(checksum) = &package.checksum else {
        for entry in places.crates.into_iter().chain(places.sources) {
            plan.unproven(entry, "Cargo.lock has no checksum for it");
        }
        return;
    };
    let Some((first, more)) = places.crates.split_first() else {
        for entry in places.sources {
            plan.unproven(entry, "unpacked from a .crate that is not in the cache");
        }
        return;
    };
    for source in &places.sources {
        if let Some(file) = plan.forest.find(*source, MARK) {
            plan.claim(Exact { file, contents: MARKS, what: "the mark of an unpacked package" });
        }
    }
    let expected = Expected::any_of([checksum.clone()]);
    let shown = package.shown();
    for file in more {
        let (id, expected, shown) = (package.id(), expected.clone(), shown.clone());
        plan.claim(Crate { forest: plan.forest, file: *file, id, expected, shown, sources: Vec::new() });
    }
    plan.claim(Crate { forest: plan.forest, file: *first, id: package.id(), expected, shown, sources: places.sources });
}

/// A `.crate`, and the directories that were unpacked from it.
#[derive(Debug)]
struct Crate<'a> {
    forest: &'a Forest,
    file: EntryId,
    /// `name-version`, the directory in the archive.
    id: String,
    expected: Expected,
    shown: String,
    sources: Vec<EntryId>,
}

impl Claim for Crate<'_> {
    fn archive(&self) -> Option<EntryId> {
        Some(self.file)
    }

    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let bytes = match hold(files, self.file, &self.expected) {
            Ok(Held::Proven(bytes)) => bytes,
            Ok(Held::Mismatch { expected, found }) => {
                findings.mismatch(self.file, format!("{expected}, of {}", self.shown), found);
                return self.nothing_shown("unpacked from a .crate that is not the locked one", findings);
            }
            // A checksum of Cargo.lock is never weak.
            Ok(Held::Weak(_, reason) | Held::TooLarge(reason)) => {
                findings.unproven(self.file, reason);
                return self.nothing_shown("unpacked from a .crate that was not read", findings);
            }
            Err(Unread) => return,
        };
        findings.proven(self.file);
        for source in &self.sources {
            self.unpacked(*source, &bytes, files, findings);
        }
        files.give_back(bytes);
    }
}

impl Crate<'_> {
    /// Nothing in the cache shows what the directories should be.
    fn nothing_shown(&self, reason: &'static str, findings: &mut Findings) {
        for source in &self.sources {
            for entry in self.forest.below(*source) {
                findings.unproven(entry, reason);
            }
        }
    }

    /// Compares a directory with what Cargo unpacks from the archive: everything below `name-version/`, but for marks.
    fn unpacked(&self, source: EntryId, bytes: &[u8], files: &mut dyn Files, findings: &mut Findings) {
        let mut unpacked = Unpacked::new(self.forest, source, &self.shown);
        if let Some(mark) = self.forest.find(source, MARK) {
            unpacked.leave(mark);
        }
        let result = tar_gz(bytes, &files.scratch(), &mut |mut member| {
            let below = member.path.strip_prefix(self.id.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
            let Some(path) = below else { return Ok(()) };
            let path = path.strip_suffix(b"/").unwrap_or(path).to_vec();
            if path.rsplit(|byte| *byte == b'/').next() != Some(MARK) {
                let executable = matches!(member.kind, MemberKind::File { executable: true });
                unpacked.member(&path, &mut member, Some(executable), files);
            }
            Ok(())
        });
        match result {
            Ok(()) => unpacked.finish(findings),
            Err(error) => {
                for entry in self.forest.below(source) {
                    findings.unproven(entry, format!("in the directory of {}: {error}", self.shown));
                }
            }
        }
    }
}
