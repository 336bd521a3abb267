//! Where Yarn classic keeps packages: an offline mirror, its cache, `node_modules`.

use std::collections::{BTreeMap, BTreeSet};

use super::classic::{ClassicLock, Package};
use super::unpacked::{Directory, Tarball};
use crate::lockfile::{EntryId, Forest, Plan};
use crate::tree::Kind;

/// The directory that packages lie in.
const MODULES: &str = "node_modules";

/// Links to commands: of the packages in a `node_modules`, or of a package itself in the cache.
const BIN: &str = ".bin";

/// The version of the cache's layout, a directory in the cache.
const LAYOUT: &str = "v6";

/// Names of directories that Yarn is told to use as its cache: `~/.cache/yarn` is the default.
const CACHES: [&str; 5] = ["yarn", "Yarn", ".yarn-cache", "yarn-cache", ".yarn"];

/// The archive of a package, in its directory in the cache.
pub(super) const TARBALL: &str = ".yarn-tarball.tgz";

/// What Yarn notes of a package there.
pub(super) const NOTES: &str = ".yarn-metadata.json";

/// What the roots have of one package.
#[derive(Debug, Default)]
struct Found {
    tarballs: BTreeSet<EntryId>,
    directories: Vec<Directory>,
}

/// The parts of the roots.
#[derive(Debug, Default)]
struct Roots {
    /// Directories with a directory for each package.
    caches: Vec<EntryId>,
    modules: Vec<EntryId>,
    /// Roots that can be an offline mirror, whose name is the user's choice.
    mirrors: Vec<EntryId>,
}

impl Roots {
    fn of(forest: &Forest) -> Self {
        let mut roots = Self::default();
        for (root, tree) in forest.roots() {
            let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
            match names.as_slice() {
                [.., MODULES] => roots.modules.push(root),
                [.., LAYOUT] => roots.caches.push(root),
                [.., name] if CACHES.contains(name) => roots.caches.extend(forest.find(root, LAYOUT.as_bytes())),
                names if !names.contains(&MODULES) => roots.mirrors.push(root),
                _ => {}
            }
        }
        roots
    }
}

pub(super) fn plan<'a>(locks: &'a [ClassicLock], plan: &mut Plan<'a>) {
    let roots = Roots::of(plan.forest);
    let packages: Vec<&Package> = locks.iter().flat_map(ClassicLock::packages).collect();
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, package) in packages.iter().enumerate() {
        for name in &package.names {
            by_name.entry(name).or_default().push(index);
        }
    }
    let mut found: BTreeMap<usize, Found> = BTreeMap::new();
    for (index, package) in packages.iter().enumerate() {
        let found = found.entry(index).or_default();
        find_mirrored(package, &roots, plan.forest, found);
        find_cached(package, &roots, plan, found);
    }
    for modules in &roots.modules {
        find_installed(*modules, &packages, &by_name, plan, &mut found);
    }
    for (index, found) in found {
        if let Some(package) = packages.get(index) {
            claim(package, found, plan);
        }
    }
}

/// The name of a package's file in an offline mirror.
fn mirror_name(package: &Package) -> Option<String> {
    let path = package.resolved.split_once("://")?.1.split('?').next()?;
    let parts: Vec<&str> = path.split('/').collect();
    let base = parts.last().filter(|base| !base.is_empty())?;
    let dash = parts.iter().rposition(|part| matches!(*part, "-" | "_attachments"));
    let scope = dash.and_then(|dash| parts.get(dash.checked_sub(2)?)).filter(|part| part.starts_with('@'));
    Some(scope.map_or_else(|| (*base).to_owned(), |scope| format!("{scope}-{base}")))
}

fn find_mirrored(package: &Package, roots: &Roots, forest: &Forest, found: &mut Found) {
    let Some(name) = mirror_name(package) else { return };
    let files = roots.mirrors.iter().filter_map(|mirror| forest.find(*mirror, name.as_bytes()));
    found.tarballs.extend(files.filter(|file| forest.kind(*file) == Kind::File));
}

/// The directory of a package in the cache: named by name, version, the SHA-1 behind its URL, and whether there is a
/// better digest.
fn find_cached<'a>(package: &'a Package, roots: &Roots, plan: &mut Plan<'a>, found: &mut Found) {
    let forest = plan.forest;
    let Some(sha1) = &package.sha1 else { return };
    let end = if package.has_integrity { "-integrity" } else { "" };
    for (cache, name) in roots.caches.iter().flat_map(|cache| package.names.iter().map(move |name| (*cache, name))) {
        let slug = format!("npm-{}-{}-{sha1}{end}", plain(name), package.version);
        let Some(directory) = forest.find(cache, format!("{slug}/{MODULES}/{name}").as_bytes()) else { continue };
        if forest.kind(directory) != Kind::Directory {
            continue;
        }
        let mut others = Vec::new();
        if let Some(tarball) = forest.find(directory, TARBALL.as_bytes()) {
            others.push(tarball);
            if forest.kind(tarball) == Kind::File {
                found.tarballs.insert(tarball);
            }
        }
        if let Some(notes) = forest.find(directory, NOTES.as_bytes()) {
            plan.unproven(
                notes,
                "Yarn's notes on a package, which it believes: nothing that is locked says what is in them",
            );
            others.push(notes);
        }
        let links = forest.find(directory, BIN.as_bytes());
        others.extend(links);
        found.directories.push(Directory { entry: directory, others, links, installed: false });
    }
}

/// A name as the cache writes it: everything but `@`, small letters and digits as `-`, and none of those at the ends.
fn plain(name: &str) -> String {
    let keeps = |c: char| c == '@' || c.is_ascii_lowercase() || c.is_ascii_digit();
    name.split(|c| !keeps(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// The packages in a `node_modules`. Yarn classic locks no places: a package is known by its name where only one
/// version of it is locked. What lies in the `node_modules` of a package is there because several are.
fn find_installed<'a>(
    modules: EntryId,
    packages: &[&'a Package],
    by_name: &BTreeMap<&str, Vec<usize>>,
    plan: &mut Plan<'a>,
    found: &mut BTreeMap<usize, Found>,
) {
    let forest = plan.forest;
    for child in forest.children(modules) {
        let outer = forest.name(child);
        let scoped: Vec<EntryId> = if outer.starts_with(b"@") { forest.children(child).collect() } else { vec![child] };
        for entry in scoped {
            let path = forest.path_from(modules, entry);
            let name = std::str::from_utf8(&path).unwrap_or_default();
            let candidates = by_name.get(name).map(Vec::as_slice).unwrap_or_default();
            match candidates {
                [] if name == BIN => {
                    plan.unproven(entry, "links to commands: yarn.lock does not say which there are");
                }
                [] if name == ".yarn-integrity" => plan.unproven(entry, "Yarn's record of what it installed"),
                [] => plan.unproven(entry, "no package of yarn.lock has this name"),
                [index] if forest.kind(entry) == Kind::Directory => {
                    let others = nested(forest, entry);
                    for other in &others {
                        plan.unproven(*other, "yarn.lock does not say which version lies here");
                    }
                    let directory = Directory { entry, others, links: None, installed: true };
                    found.entry(*index).or_default().directories.push(directory);
                }
                [index] => {
                    let shown = packages.get(*index).map(|package| package.shown()).unwrap_or_default();
                    plan.findings.mismatch(entry, format!("a directory, of {shown}"), forest.kind(entry).noun());
                }
                _ => plan.unproven(entry, "yarn.lock has several versions of it and does not say which lies here"),
            }
        }
    }
}

/// The packages, and links to commands, in the `node_modules` of a package.
fn nested(forest: &Forest, package: EntryId) -> Vec<EntryId> {
    let Some(modules) = forest.find(package, MODULES.as_bytes()) else { return Vec::new() };
    let mut nested = Vec::new();
    for child in forest.children(modules) {
        if forest.name(child).starts_with(b"@") {
            nested.extend(forest.children(child));
        } else {
            nested.push(child);
        }
    }
    nested
}

fn claim<'a>(package: &'a Package, found: Found, plan: &mut Plan<'a>) {
    let mut tarballs = found.tarballs.into_iter();
    let Some(first) = tarballs.next() else {
        let reason = if package.resolved.is_empty() {
            "yarn.lock has no source and no digest of it"
        } else {
            "unpacked from a tarball that is not in the cache"
        };
        for directory in found.directories {
            plan.unproven(directory.entry, reason);
        }
        return;
    };
    let forest = plan.forest;
    for file in tarballs {
        plan.claim(Tarball { forest, file, package, directories: Vec::new() });
    }
    plan.claim(Tarball { forest, file: first, package, directories: found.directories });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files_and_directories() {
        let package = |resolved: &str| Package {
            names: BTreeSet::new(),
            version: String::new(),
            resolved: resolved.to_owned(),
            sha1: None,
            has_integrity: false,
            integrity: crate::lockfile::Expected::default(),
            origin: String::new(),
        };
        let names = ["ipaddr.js", "@s/a", "JSONStream", "a__b", "-a-"].map(plain);
        assert_eq!(names, ["ipaddr-js", "@s-a", "tream", "a-b", "a"]);
        let rows = [
            ("https://registry.yarnpkg.com/left-pad/-/left-pad-1.3.0.tgz", Some("left-pad-1.3.0.tgz")),
            ("https://registry.yarnpkg.com/@s/a/-/a-1.0.0.tgz", Some("@s-a-1.0.0.tgz")),
            ("https://example.com/a.tgz?x=/y", Some("a.tgz")),
            ("https://example.com/", None),
            ("file:a.tgz", None),
        ];
        for (resolved, name) in rows {
            assert_eq!(mirror_name(&package(resolved)).as_deref(), name, "{resolved}");
        }
    }
}
