//! `yarn.lock` as Yarn 2 and later write it, and the zips in their cache.

use std::collections::BTreeSet;

use sha2::Digest as _;

use crate::base::Escaped;
use crate::lockfile::{
    Checksum, Claim, EntryId, Exact, Expected, Files, Finding, Findings, HashAlgorithm, LockfileError, LockfileText,
    Node, Plan, hold_file,
};
use crate::tree::{Kind, Unread};

/// The field that says which version the lockfile has.
pub(super) const METADATA: &str = "__metadata";

/// The versions that are read: Yarn 2.0 writes 4, Yarn 4.18 writes 10.
const VERSIONS: [&str; 7] = ["4", "5", "6", "7", "8", "9", "10"];

/// What Yarn writes into a cache of the project, so that it can be committed.
const IGNORED: &[&[u8]] = &[b"/.gitignore\n*.flock\n*.tmp\n"];

/// Hex digits of a hash that stand in the name of a zip.
const SHORT: usize = 10;

/// One lockfile.
#[derive(Debug)]
pub struct BerryLock {
    packages: Vec<BerryPackage>,
}

/// One package that Yarn keeps a zip of.
#[derive(Debug)]
pub struct BerryPackage {
    /// What it is: `left-pad@npm:1.3.0`.
    pub resolution: String,
    /// What the name of its zip begins with.
    slug: String,
    /// The names that its zip can have: in a cache of the project by the digest, in one of the user by the cache key.
    pub names: BTreeSet<String>,
    /// The SHA-512 of the zip; none of a package for some systems only: Yarn locks none of it.
    pub checksum: Option<Checksum>,
    /// File and line, for people.
    pub origin: String,
}

impl BerryLock {
    /// Reads one file.
    pub fn read(file: &LockfileText<'_>) -> Result<Self, LockfileError> {
        let document = Node::read(file)?;
        let cache_key = metadata(file, &document)?;
        let mut packages = Vec::new();
        for (key, node) in document.map().unwrap_or_default() {
            if key != METADATA {
                packages.extend(read_package(file, node, cache_key)?);
            }
        }
        Ok(Self { packages })
    }

    /// The packages that have a checksum, in the order of the text.
    #[must_use]
    pub fn packages(&self) -> &[BerryPackage] {
        &self.packages
    }
}

/// The cache key of the lockfile: the version of the zips' layout, and how they are compressed.
fn metadata<'n>(file: &LockfileText<'_>, document: &'n Node) -> Result<Option<&'n str>, LockfileError> {
    let Some(metadata) = document.get(METADATA) else {
        return Err(file.malformed(1, format!("expected `{METADATA}`, found none")));
    };
    let version = metadata.get("version");
    let version = version.ok_or_else(|| file.malformed(metadata.line, "expected a `version`, found none"))?;
    match version.text() {
        Some(text) if VERSIONS.contains(&text) => Ok(metadata.get("cacheKey").and_then(Node::text)),
        Some(text) => {
            let shown = Escaped(text.as_bytes());
            Err(file.unsupported(version.line, format!("expected a lockfile of version 4 to 10, found {shown}")))
        }
        None => Err(file.malformed(version.line, "expected a number as `version`")),
    }
}

/// A package; `None` for one that has neither a checksum nor conditions: it is of the checkout, or Yarn cannot tell its
/// contents beforehand.
fn read_package(
    file: &LockfileText<'_>,
    node: &Node,
    cache_key: Option<&str>,
) -> Result<Option<BerryPackage>, LockfileError> {
    let wrong = |line, what: &str| file.malformed(line, format!("expected {what}"));
    let resolution = node.get("resolution").and_then(Node::text);
    let resolution = resolution.ok_or_else(|| wrong(node.line, "a `resolution` of each package, found none"))?;
    let slug = slug(resolution).ok_or_else(|| {
        wrong(node.line, &format!("`name@reference` as `resolution`, found `{}`", Escaped(resolution.as_bytes())))
    });
    let package = |slug, names, checksum| BerryPackage {
        resolution: resolution.to_owned(),
        slug,
        names,
        checksum,
        origin: file.origin(node.line),
    };
    let Some(written) = node.get("checksum") else {
        let has_conditions = node.get("conditions").is_some();
        return has_conditions.then(|| Ok(package(slug?, BTreeSet::new(), None))).transpose();
    };
    let text = written.text().unwrap_or_default();
    let (key, hex) = match text.split_once('/') {
        Some((key, hex)) => (Some(key), hex),
        None => (cache_key, text),
    };
    let checksum = Checksum::from_hex(HashAlgorithm::Sha512, hex)
        .ok_or_else(|| wrong(written.line, "a SHA-512 in hex as `checksum`, found something else"))?;
    let slug = slug?;
    let hex = checksum.hex();
    let ends = [hex.get(..SHORT), key].into_iter().flatten();
    let names = ends.map(|end| format!("{slug}-{end}.zip")).filter(|name| !name.contains('/')).collect();
    Ok(Some(package(slug, names, Some(checksum))))
}

/// What the name of a zip begins with: name, protocol, version if there is one, and a hash of name and reference.
fn slug(resolution: &str) -> Option<String> {
    let at = resolution.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at)?;
    let (name, reference) = (resolution.get(..at)?, resolution.get(at + 1..)?);
    let (scope, base) = match name.strip_prefix('@') {
        Some(rest) => rest.split_once('/')?,
        None => ("", name),
    };
    if base.is_empty() || base.contains('/') {
        return None;
    }
    let hash = sha512(&[&sha512(&[scope, base]), reference]);
    let (protocol, selector) = reference.split_once(':').unwrap_or(("exotic", reference));
    // A reference may have a source before its selector, and parameters behind it.
    let selector = selector.rsplit_once('#').map_or(selector, |(_, selector)| selector);
    let selector = selector.split("::").next().unwrap_or_default();
    let version = if is_version(selector) { format!("-{selector}") } else { String::new() };
    let ident = if scope.is_empty() { base.to_owned() } else { format!("@{scope}-{base}") };
    Some(format!("{ident}-{protocol}{version}-{}", hash.get(..SHORT)?))
}

fn sha512(parts: &[&str]) -> String {
    hex::encode(sha2::Sha512::digest(parts.concat()))
}

/// Whether a text is a version by semver.org: three numbers, then perhaps `-` or `+` and more.
fn is_version(text: &str) -> bool {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'))
}

/// Claims the zips: each directly in a root, which is a cache whose name is the user's choice.
pub(super) fn plan<'a>(locks: &'a [BerryLock], plan: &mut Plan<'a>) {
    let forest = plan.forest;
    for (root, tree) in forest.roots() {
        let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
        if names.contains(&"node_modules") || names.last() == Some(&"unplugged") {
            plan.unproven(root, "yarn.lock does not say what Yarn unpacks where: cache the zips");
            continue;
        }
        if names.last() == Some(&"cache")
            && let Some(file) = forest.find(root, b".gitignore").filter(|file| forest.kind(*file) == Kind::File)
        {
            plan.claim(Exact { file, contents: IGNORED, what: "the list of what Git leaves alone" });
        }
        for package in locks.iter().flat_map(BerryLock::packages) {
            let Some(checksum) = &package.checksum else {
                without_checksum(root, package, plan);
                continue;
            };
            let zips = package.names.iter().filter_map(|name| forest.find(root, name.as_bytes()));
            for file in zips.filter(|zip| forest.kind(*zip) == Kind::File) {
                plan.claim(Zip { file, package, checksum });
            }
        }
    }
}

/// Says of the zips of a package for some systems only why they are not proven.
fn without_checksum(root: EntryId, package: &BerryPackage, plan: &mut Plan<'_>) {
    let forest = plan.forest;
    for zip in forest.children(root) {
        let rest = std::str::from_utf8(forest.name(zip)).ok().and_then(|name| name.strip_prefix(package.slug.as_str()));
        let end = rest.and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".zip"));
        if end.is_some_and(|end| !end.contains('-')) {
            let shown = Escaped(package.resolution.as_bytes());
            let reason = format!(
                "{shown} ({}) is for some systems only (`conditions`): Yarn locks no checksum of such a package",
                package.origin
            );
            plan.unproven(zip, reason);
        }
    }
}

#[derive(Debug)]
struct Zip<'a> {
    file: EntryId,
    package: &'a BerryPackage,
    checksum: &'a Checksum,
}

impl Claim for Zip<'_> {
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let BerryPackage { resolution, origin, .. } = self.package;
        let shown = format!("{} ({origin})", Escaped(resolution.as_bytes()));
        let Ok(facts) = files.look(self.file) else { return };
        let expected = Expected::any_of([self.checksum.clone()]);
        match hold_file(files, self.file, &expected, &shown) {
            Ok(Finding::Proven) if facts.executable => {
                findings.unproven(self.file, "an executable zip, which Yarn does not make");
            }
            Ok(finding) => findings.push(self.file, finding),
            Err(Unread) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_zips_are_those_of_yarn() {
        let patched = "typescript@patch:typescript@npm%3A5.9.2#optional!builtin<compat/typescript>\
                       ::version=5.9.2&hash=5786d5";
        let rows = [
            ("left-pad@npm:1.3.0", Some("left-pad-npm-1.3.0-0382e69409")),
            ("@babel/code-frame@npm:7.29.7", Some("@babel-code-frame-npm-7.29.7-cc910f9962")),
            (patched, Some("typescript-patch-bcfe2ebaf8")),
            ("left-pad", None),
            ("@s@npm:1.0.0", None),
        ];
        for (resolution, expected) in rows {
            assert_eq!(slug(resolution).as_deref(), expected, "{resolution}");
        }
    }

    #[test]
    fn versions_are_told_from_other_selectors() {
        for text in ["1.2.3", "1.2.3-rc.1", "1.2.3+build"] {
            assert!(is_version(text), "{text}");
        }
        for text in ["", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "1.2.3-a/b"] {
            assert!(!is_version(text), "{text}");
        }
    }
}
