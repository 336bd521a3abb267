//! `node_modules`: which lockfile a root belongs to, and what it asks for at each location.

use std::collections::{BTreeMap, BTreeSet};

use super::bins::{BIN, Commands, shown};
use super::cacache::Caches;
use super::hidden::HiddenLock;
use super::lock::{MODULES, Package, PackageLock};
use super::needed::needed;
use super::tarball::{Place, Tarball};
use crate::base::Escaped;
use crate::lockfile::{Checksum, EntryId, Forest, Plan};
use crate::tree::Kind;

/// npm's record of what it installed, in the `node_modules` beside the lockfile.
const RECORD: &[u8] = b".package-lock.json";

/// The packages of the lockfiles, by the digests of their tarballs: each tarball is read once.
pub(super) type Groups<'a> = BTreeMap<Vec<&'a Checksum>, Vec<Place<'a>>>;

/// A root in the directory of a lockfile.
struct Located<'a> {
    root: EntryId,
    lock: &'a PackageLock,
    /// Its path from the lockfile's directory.
    location: String,
}

/// Claims what is in the roots that are a `node_modules`, or in one.
pub(super) fn plan<'a>(locks: &'a [PackageLock], caches: &Caches, plan: &mut Plan<'a>) {
    let mut groups: Groups<'a> = BTreeMap::new();
    for (root, tree) in plan.forest.roots() {
        if let Some(located) = locate(root, &tree.spelling, &tree.components, locks) {
            located.plan(&mut groups, plan);
        }
    }
    for package in locks.iter().flat_map(|lock| lock.packages.values()) {
        let key: Vec<_> = package.integrity.checksums().collect();
        let blobs: BTreeSet<EntryId> = key.iter().flat_map(|sum| caches.blobs(plan.forest, sum)).collect();
        let places = groups.remove(&key).unwrap_or_default();
        claim(package, blobs, places, plan);
    }
}

/// The lockfile that a root belongs to. A root below the policy's directory is where its path says; of another, only
/// the end of its path is known.
fn locate<'a>(root: EntryId, spelling: &str, path: &[String], locks: &'a [PackageLock]) -> Option<Located<'a>> {
    let first = path.iter().position(|name| name == MODULES)?;
    let (before, modules) = path.split_at_checked(first)?;
    let anchored = !spelling.starts_with(['/', '~']);
    let mut best: Option<(usize, Located<'a>)> = None;
    for lock in locks {
        for workspace in lock.workspaces() {
            let full: Vec<&str> = lock.directory.iter().map(String::as_str).chain(workspace.iter().copied()).collect();
            let fits = if anchored { before.len() == full.len() } else { before.len() >= full.len() };
            let here = fits && before.iter().rev().zip(full.iter().rev()).all(|(a, b)| a == b);
            // Of two lockfiles that may mean it, the nearer one does.
            let rank = 2 * full.len() + usize::from(workspace.is_empty());
            if here && best.as_ref().is_none_or(|(other, _)| *other < rank) {
                let location: Vec<&str> = workspace.iter().copied().chain(modules.iter().map(String::as_str)).collect();
                best = Some((rank, Located { root, lock, location: location.join("/") }));
            }
        }
    }
    best.map(|(_, located)| located)
}

impl PackageLock {
    /// The directories of the checkout that may have a `node_modules`: the lockfile's own, and workspaces.
    fn workspaces(&self) -> BTreeSet<Vec<&str>> {
        let own = std::iter::once(Vec::new());
        let others = self.packages.keys().filter(|location| !location.is_empty());
        let others = others.map(|location| location.split('/').take_while(|name| *name != MODULES).collect());
        own.chain(others).filter(|names: &Vec<&str>| !names.contains(&"..")).collect()
    }
}

impl<'a> Located<'a> {
    fn plan(&self, groups: &mut Groups<'a>, plan: &mut Plan<'a>) {
        let forest = plan.forest;
        let found = self.found(plan);
        self.missing(&found, plan);
        let mut commands: BTreeMap<EntryId, Commands> = BTreeMap::new();
        if self.location.ends_with(MODULES) {
            commands.insert(self.root, Commands::default());
        }
        for (location, (entry, package)) in &found {
            let (modules, directory) = split(location);
            if let Some(modules) = self.entry(forest, modules) {
                let package = if package.link { self.target(package).unwrap_or(package) } else { package };
                commands.entry(modules).or_default().add(directory, package);
            }
            if let Some(modules) = forest.find(*entry, MODULES.as_bytes()) {
                commands.entry(modules).or_default();
            }
        }
        let mut others = others(self.lock, forest, &found, commands.keys().copied());
        for (modules, commands) in &commands {
            commands.judge(*modules, plan);
        }
        if self.location == MODULES
            && let Some(file) = forest.find(self.root, RECORD)
        {
            plan.claim(HiddenLock { forest, file, modules: self.root, lock: self.lock });
        }
        for (location, (entry, package)) in found {
            if package.link {
                judge_link(location, entry, package, plan);
            } else if forest.kind(entry) != Kind::Directory {
                plan.findings.mismatch(entry, format!("a directory, of {}", package.shown()), shown(forest, entry));
            } else if !self.lock.is_bundled(location) {
                let others = others.remove(location).unwrap_or_default();
                let commands = self.commands(location, package);
                let key = package.integrity.checksums().collect();
                groups.entry(key).or_default().push(Place { directory: entry, package, others, commands });
            }
        }
    }

    /// The packages of the lockfile that are in the root, by location.
    fn found(&self, plan: &mut Plan<'a>) -> BTreeMap<&'a str, (EntryId, &'a Package)> {
        let mut found = BTreeMap::new();
        let mut blocked = BTreeSet::new();
        for (location, package) in &self.lock.packages {
            let Some(path) = self.path(location) else { continue };
            match plan.forest.find(self.root, path.as_bytes()) {
                Some(entry) => {
                    found.insert(location.as_str(), (entry, package));
                }
                None => blocked.extend(self.blocked(plan.forest, path)),
            }
        }
        for entry in blocked {
            // What is a package itself is told of where that is judged.
            if !found.values().any(|(other, _)| *other == entry) {
                plan.findings.mismatch(entry, "a directory of packages", shown(plan.forest, entry));
            }
        }
        found
    }

    /// Tells of packages that npm installs here and that are not there. What comes in the tarball of another package is
    /// told of where that is compared.
    fn missing(&self, found: &BTreeMap<&'a str, (EntryId, &'a Package)>, plan: &mut Plan<'a>) {
        if plan.forest.children(self.root).next().is_none() {
            return;
        }
        for location in needed(self.lock, plan.installed, plan.system) {
            let package = self.lock.packages.get(location).filter(|_| !found.contains_key(location));
            let (Some(package), Some(path)) = (package, self.path(location)) else { continue };
            if !self.lock.is_bundled(location) {
                let place = [&plan.forest.place(self.root)[..], b"/", path.as_bytes()].concat();
                plan.wanted(place, &package.shown(), "omit");
            }
        }
    }

    /// Something that is no directory on the way to a location: Node.js would look for the package behind it.
    fn blocked(&self, forest: &Forest, path: &str) -> Option<EntryId> {
        let ends = path.match_indices('/').map(|(end, _)| end);
        let mut on_the_way = ends.filter_map(|end| forest.find(self.root, path.get(..end)?.as_bytes()));
        on_the_way.find(|entry| forest.kind(*entry) != Kind::Directory)
    }

    /// A location as a path below the root; empty for the root itself.
    fn path<'l>(&self, location: &'l str) -> Option<&'l str> {
        let rest = location.strip_prefix(&self.location)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    fn entry(&self, forest: &Forest, location: &str) -> Option<EntryId> {
        match self.path(location)? {
            "" => Some(self.root),
            path => forest.find(self.root, path.as_bytes()),
        }
    }

    /// The commands in a package's tarball, by their paths in it: its own, and those of the packages bundled with it.
    fn commands(&self, location: &str, package: &Package) -> BTreeSet<String> {
        let mut commands: BTreeSet<String> = package.bins.values().cloned().collect();
        let below = format!("{location}/");
        let all = self.lock.packages.range(below.clone()..);
        for (inner, bundled) in all.take_while(|(inner, _)| inner.starts_with(&below)) {
            let path = inner.strip_prefix(&below).filter(|_| self.lock.is_bundled(inner));
            let targets =
                path.into_iter().flat_map(|path| bundled.bins.values().map(move |bin| format!("{path}/{bin}")));
            commands.extend(targets);
        }
        commands
    }

    /// The directory of the checkout that a link leads to.
    fn target(&self, package: &Package) -> Option<&'a Package> {
        self.lock.packages.get(package.resolved.as_deref()?)
    }
}

/// By the location of each package with a tarball: what in its directory is not from that tarball.
fn others<'a>(
    lock: &PackageLock,
    forest: &Forest,
    found: &BTreeMap<&'a str, (EntryId, &'a Package)>,
    modules: impl Iterator<Item = EntryId>,
) -> BTreeMap<&'a str, Vec<EntryId>> {
    let by_entry: BTreeMap<EntryId, &'a str> = found.iter().map(|(location, (entry, _))| (*entry, *location)).collect();
    let own = found.iter().filter(|(location, _)| !lock.is_bundled(location)).map(|(_, (entry, _))| *entry);
    let links = modules.filter_map(|modules| forest.find(modules, BIN));
    let mut others: BTreeMap<&str, Vec<EntryId>> = BTreeMap::new();
    for entry in own.chain(links) {
        let mut at = entry;
        while let Some(parent) = forest.parent(at) {
            at = parent;
            if let Some(location) = by_entry.get(&at).filter(|location| !lock.is_bundled(location)) {
                others.entry(location).or_default().push(entry);
                break;
            }
        }
    }
    others
}

fn judge_link(location: &str, entry: EntryId, package: &Package, plan: &mut Plan<'_>) {
    let text = link_text(location, package.resolved.as_deref().unwrap_or_default());
    if plan.forest.link(entry) == Some(text.as_bytes()) {
        plan.findings.proven(entry);
    } else {
        let expected = format!("a link to `{}` ({})", Escaped(text.as_bytes()), package.origin);
        plan.findings.mismatch(entry, expected, shown(plan.forest, entry));
    }
}

/// The `node_modules` of a location, and the directory in it.
fn split(location: &str) -> (&str, &str) {
    match location.rfind("node_modules/").map(|at| location.split_at(at + MODULES.len())) {
        Some((modules, rest)) => (modules, rest.trim_start_matches('/')),
        None => ("", location),
    }
}

/// The text of a link at a location that leads to a path from the same directory.
fn link_text(location: &str, target: &str) -> String {
    let mut from: Vec<&str> = location.split('/').collect();
    from.pop();
    let to: Vec<&str> = target.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.len().saturating_sub(common);
    let down = to.iter().skip(common).copied();
    std::iter::repeat_n("..", up).chain(down).collect::<Vec<_>>().join("/")
}

fn claim<'a>(package: &'a Package, blobs: BTreeSet<EntryId>, places: Vec<Place<'a>>, plan: &mut Plan<'a>) {
    let mut blobs = blobs.into_iter();
    let Some(first) = blobs.next() else {
        for place in places {
            plan.unproven(place.directory, why_without_tarball(place.package));
        }
        return;
    };
    let forest = plan.forest;
    let expected = package.integrity.clone();
    for file in blobs {
        plan.claim(Tarball { forest, file, expected: expected.clone(), places: Vec::new(), package });
    }
    plan.claim(Tarball { forest, file: first, expected, places, package });
}

fn why_without_tarball(package: &Package) -> &'static str {
    let resolved = package.resolved.as_deref().unwrap_or_default();
    if !package.integrity.is_empty() {
        "unpacked from a tarball that is not in the cache"
    } else if resolved.starts_with("git") {
        "from git: the lockfile has a commit and no digest"
    } else if resolved.starts_with("file:") {
        "from the checkout: the lockfile has no digest"
    } else {
        "the lockfile has no digest of it"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_where_they_lie() {
        let rows = [
            ("node_modules/a", "packages/a", "../packages/a"),
            ("node_modules/@s/a", "packages/a", "../../packages/a"),
            ("packages/b/node_modules/a", "packages/a", "../../a"),
            ("node_modules/a", "../a", "../../a"),
            ("node_modules/a", "", ".."),
        ];
        for (location, target, text) in rows {
            assert_eq!(link_text(location, target), text, "{location}");
        }
    }

    #[test]
    fn locations_end_with_the_directory_of_the_package() {
        assert_eq!(split("node_modules/a"), ("node_modules", "a"));
        assert_eq!(split("w/node_modules/a/node_modules/@s/b"), ("w/node_modules/a/node_modules", "@s/b"));
    }
}
