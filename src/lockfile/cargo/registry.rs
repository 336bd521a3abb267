//! Packages of registries: `registry/cache/<registry>/<name>-<version>.crate`, and what Cargo unpacks from them into
//! `registry/src/<registry>/<name>-<version>/`.

use std::collections::{BTreeMap, BTreeSet};

use super::home;
use super::lock::{CargoLock, Package, Source};
use crate::lockfile::{
    Claim, EntryId, Exact, Expected, Files, Findings, Forest, Match, MemberKind, Plan, Unpacked, tar_gz,
};
use crate::tree::Kind;

/// The mark of a package that was unpacked to its end.
const MARK: &[u8] = b".cargo-ok";

/// What Cargo writes into the mark: the second since 1.71, the first before.
const MARKS: &[&[u8]] = &[b"ok", b"{\"v\":1}"];

/// `CACHEDIR.TAG`, which says to backup programs that this is a cache.
const CACHE_TAG: &[&[u8]] = &[b"Signature: 8a477f597d28d172789f06886806bc55\n\
# This file is a cache directory tag created by cargo.\n\
# For information about cache directory tags see https://bford.info/cachedir/\n"];

/// crates.io as a lockfile writes it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Its directories in `registry/cache` and `registry/src`: by its sparse index and by git, by the hash of Cargo since
/// 1.85 and before. The hash is part of Cargo and the same on all 64-bit machines.
const CRATES_IO_DIRECTORIES: [&str; 4] = [
    "index.crates.io-1949cf8c6b5b557f",
    "index.crates.io-6f17d22bba15001f",
    "github.com-25cdd57fae9f0462",
    "github.com-1ecc6299db9ec823",
];

/// The directories of a registry; none for one whose directories are not known.
fn directories(source: &Source) -> &'static [&'static str] {
    match source {
        Source::Registry(url) if url == CRATES_IO => &CRATES_IO_DIRECTORIES,
        _ => &[],
    }
}

/// Where one package is.
#[derive(Debug, Default)]
struct Places {
    crates: Vec<EntryId>,
    sources: Vec<EntryId>,
}

pub(super) fn plan<'a>(lock: &'a CargoLock, plan: &mut Plan<'a>) {
    let forest = plan.forest;
    let mut locked: BTreeMap<(&str, String), &Package> = BTreeMap::new();
    for package in lock.packages() {
        for directory in directories(&package.source) {
            locked.insert((directory, format!("{}-{}", package.name, package.version)), package);
        }
    }
    let mut places: BTreeMap<(&str, String), Places> = BTreeMap::new();
    let known: BTreeSet<&str> = CRATES_IO_DIRECTORIES.into_iter().collect();
    for area in ["cache", "src"] {
        for (registry, directory) in home::members(forest, "registry", area) {
            let registry = std::str::from_utf8(registry).ok().and_then(|name| known.get(name).copied());
            let Some(registry) = registry else {
                plan.unproven(directory, "in the directory of a registry that is not known here");
                continue;
            };
            for entry in forest.children(directory) {
                let Some(id) = id_of(forest, entry, area).filter(|id| locked.contains_key(&(registry, id.clone())))
                else {
                    plan.unproven(entry, "not a package of Cargo.lock from this registry");
                    continue;
                };
                let places = places.entry((registry, id)).or_default();
                if area == "cache" { &mut places.crates } else { &mut places.sources }.push(entry);
            }
        }
    }
    for (key, places) in places {
        if let Some(package) = locked.get(&key) {
            claim(package, &key.1, places, plan);
        }
    }
    for entry in home::find(forest, &["registry", "index"]) {
        plan.unproven(entry, "the index of a registry: no lockfile speaks of it");
    }
    for file in home::find(forest, &["registry", "CACHEDIR.TAG"]) {
        plan.claim(Exact { file, contents: CACHE_TAG, what: "the tag of a cache" });
    }
}

/// The `name-version` that an entry stands for.
fn id_of(forest: &Forest, entry: EntryId, area: &str) -> Option<String> {
    let name = std::str::from_utf8(forest.name(entry)).ok()?;
    let (name, kind) =
        if area == "cache" { (name.strip_suffix(".crate")?, Kind::File) } else { (name, Kind::Directory) };
    (forest.kind(entry) == kind).then(|| name.to_owned())
}

fn claim<'a>(package: &'a Package, id: &str, places: Places, plan: &mut Plan<'a>) {
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
        let (id, expected, shown) = (id.to_owned(), expected.clone(), shown.clone());
        plan.claim(Crate { forest: plan.forest, file: *file, id, expected, shown, sources: Vec::new() });
    }
    plan.claim(Crate {
        forest: plan.forest,
        file: *first,
        id: id.to_owned(),
        expected,
        shown,
        sources: places.sources,
    });
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
        let Ok(bytes) = files.bytes(self.file) else { return };
        if let Match::Mismatch { expected, found } = self.expected.judge_bytes(&bytes) {
            findings.mismatch(self.file, format!("{expected}, of {}", self.shown), found);
            for source in &self.sources {
                for entry in self.forest.below(*source) {
                    findings.unproven(entry, "unpacked from a .crate that is not the locked one");
                }
            }
            return;
        }
        findings.proven(self.file);
        for source in &self.sources {
            self.unpacked(*source, &bytes, files, findings);
        }
        files.give_back(bytes);
    }
}

impl Crate<'_> {
    /// Compares a directory with what Cargo unpacks from the archive: everything below `name-version/`, but for marks.
    fn unpacked(&self, source: EntryId, bytes: &[u8], files: &mut dyn Files, findings: &mut Findings) {
        let mut unpacked = Unpacked::new(self.forest, source, &self.shown);
        if let Some(mark) = self.forest.find(source, MARK) {
            unpacked.leave(mark);
        }
        let result = tar_gz(bytes, &mut |mut member| {
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
