//! Where a module cache keeps the modules of `go.sum`.

use super::module::{Contents, GoMod, ZipHash};
use super::sum::{GoSum, Module};
use crate::lockfile::{EntryId, Exact, Forest, Plan};
use crate::tree::Kind;

/// What Go locks with.
const EMPTY: &[&[u8]] = &[b""];

pub(super) fn plan<'a>(sums: &'a GoSum, plan: &mut Plan<'a>) {
    for module in sums.modules() {
        module_plan(module, plan);
    }
    for file in find(plan.forest, "cache/lock", Kind::File) {
        plan.claim(Exact { file, contents: EMPTY, what: "a lock" });
    }
    for (path, reason) in [
        ("cache/download/sumdb", "answers of a server: go.sum has the digests"),
        ("cache/vcs", "a repository that modules were made of: go.sum has the digests of modules"),
    ] {
        for entry in find(plan.forest, path, Kind::Directory) {
            plan.unproven(entry, reason);
        }
    }
}

fn module_plan<'a>(module: &'a Module, plan: &mut Plan<'a>) {
    let forest = plan.forest;
    let (path, version) = (module.escaped_path(), module.escaped_version());
    let versions = format!("cache/download/{path}/@v");
    let file = |end: &str| find(forest, &format!("{versions}/{version}{end}"), Kind::File);
    let (zips, directories) = (file(".zip"), find(forest, &format!("{path}@{version}"), Kind::Directory));
    match module.files {
        Some(sum) => {
            for file in file(".ziphash") {
                plan.claim(ZipHash { module, sum, file });
            }
            if !(zips.is_empty() && directories.is_empty()) {
                plan.claim(Contents { forest, module, sum, zips, directories });
            }
        }
        None => {
            for entry in zips.into_iter().chain(directories) {
                plan.unproven(entry, "go.sum has the digest of its go.mod alone");
            }
        }
    }
    for file in file(".mod") {
        match module.go_mod {
            Some(sum) => plan.claim(GoMod { module, sum, file }),
            None => plan.unproven(file, "go.sum has no digest of its go.mod"),
        }
    }
    for file in file(".lock") {
        plan.claim(Exact { file, contents: EMPTY, what: "a lock" });
    }
    for file in file(".info") {
        plan.unproven(file, "a server's word on when the version was made: go.sum has no digest of it");
    }
    for list in find(forest, &format!("{versions}/list"), Kind::File) {
        plan.unproven(list, "the versions that a server had: go.sum has no digest of it");
    }
}

/// The entries of a kind at a path below a module cache, `pkg/mod`, in whichever roots it lies.
fn find(forest: &Forest, path: &str, kind: Kind) -> Vec<EntryId> {
    let mut found = Vec::new();
    for (root, tree) in forest.roots() {
        let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
        let Some(at) = names.windows(2).position(|pair| pair == ["pkg", "mod"]) else { continue };
        let prefix = names.into_iter().skip(at + 2).collect::<Vec<_>>().join("/");
        let rest = if prefix.is_empty() { Some(path) } else { path.strip_prefix(&prefix) };
        let entry = match rest {
            Some("") => Some(root),
            Some(rest) if prefix.is_empty() => forest.find(root, rest.as_bytes()),
            Some(rest) => rest.strip_prefix('/').and_then(|rest| forest.find(root, rest.as_bytes())),
            None => None,
        };
        found.extend(entry.filter(|entry| forest.kind(*entry) == kind));
    }
    found
}
