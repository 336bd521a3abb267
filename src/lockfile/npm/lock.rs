//! `package-lock.json` and `npm-shrinkwrap.json`, versions 2 and 3, which npm writes since 7.

use std::collections::BTreeMap;

use super::bin::bins_of;
use super::json::{Fields, line_of, offset_of, value};
use crate::base::{Escaped, Json};
use crate::lockfile::{Expected, LockfileError, LockfileText};

/// The directory that packages lie in.
pub(super) const MODULES: &str = "node_modules";

/// One lockfile.
#[derive(Debug)]
pub struct PackageLock {
    /// The components of the directory it lies in, from the policy's.
    pub(super) directory: Vec<String>,
    /// Its packages by location: the path from its directory, `node_modules/a/node_modules/b`.
    pub(super) packages: BTreeMap<String, Package>,
    /// Its file name.
    file_name: String,
}

/// A package at one location.
#[derive(Debug)]
pub struct Package {
    /// Its name; not always the one of its directory, which may be an alias.
    pub name: String,
    /// Its version; empty where the lockfile has none.
    pub version: String,
    /// The digests of its tarball.
    pub integrity: Expected,
    /// Where it comes from: a URL, or a path from the lockfile's directory for a link.
    pub resolved: Option<String>,
    /// Whether npm links to a directory of the checkout, `resolved`.
    pub link: bool,
    /// Whether it comes in the tarball of the package that it lies in.
    pub in_bundle: bool,
    /// Whether it has scripts that run when it is installed.
    pub has_install_script: bool,
    /// Its commands: the name of each, and the path of the file in the package.
    pub bins: BTreeMap<String, String>,
    /// File and line, for people.
    pub origin: String,
    /// All that the lockfile says of it.
    pub(super) json: Json,
}

impl Package {
    /// `left-pad 1.3.0 (package-lock.json:7)`
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.origin)
    }
}

impl PackageLock {
    /// Reads all files of a cache; no two of one directory.
    pub fn read(files: &[LockfileText<'_>]) -> Result<Vec<Self>, LockfileError> {
        let mut locks: Vec<Self> = Vec::new();
        for file in files {
            let lock = read_one(file)?;
            if let Some(other) = locks.iter().find(|other| other.directory == lock.directory) {
                let message = format!(
                    "expected one lockfile of a directory, found `{}` too: npm reads npm-shrinkwrap.json alone",
                    Escaped(other.file_name.as_bytes())
                );
                return Err(LockfileError::malformed(file.file, None, message));
            }
            locks.push(lock);
        }
        Ok(locks)
    }
}

impl PackageLock {
    /// Whether the package at a location comes in the tarball of a package that it lies in. Those that the checkout
    /// itself bundles are marked as bundled too, and have tarballs of their own.
    pub(super) fn is_bundled(&self, location: &str) -> bool {
        let ends = location.match_indices("/node_modules/").map(|(end, _)| end);
        self.packages.get(location).is_some_and(|package| package.in_bundle && package.integrity.is_empty())
            && ends.filter_map(|end| location.get(..end)).any(|outer| {
                let is_installed = outer.split('/').any(|name| name == MODULES);
                is_installed && self.packages.get(outer).is_some_and(|package| !package.link)
            })
    }
}

fn read_one(file: &LockfileText<'_>) -> Result<PackageLock, LockfileError> {
    let document = Fields::read(file, file.text)?;
    check_version(file, &document)?;
    let Some(packages) = document.get("packages") else {
        return Err(file.malformed(1, "expected `packages`, found none"));
    };
    let mut lines = file.lines();
    let mut found = BTreeMap::new();
    for (location, part) in Fields::read(file, packages)?.0 {
        let line = lines.of(offset_of(file, part.get()));
        let json = value(file, line, part.get())?;
        let package = read_package(file, line, &location, json)?;
        found.insert(location, package);
    }
    let mut directory: Vec<String> =
        file.file.split('/').filter(|name| !matches!(*name, "" | ".")).map(str::to_owned).collect();
    let file_name = directory.pop().unwrap_or_default();
    Ok(PackageLock { directory, packages: found, file_name })
}

fn check_version(file: &LockfileText<'_>, document: &Fields<'_>) -> Result<(), LockfileError> {
    let Some(version) = document.get("lockfileVersion") else {
        return Err(
            file.unsupported(1, "expected lockfileVersion 2 or 3, found none: let npm 7 or later write it anew")
        );
    };
    if matches!(version, "2" | "3") {
        return Ok(());
    }
    let line = line_of(file, version);
    let shown = Escaped(version.as_bytes());
    Err(if version == "1" {
        file.unsupported(line, "expected lockfileVersion 2 or 3, found 1: let npm 7 or later write it anew")
    } else if version.bytes().all(|byte| byte.is_ascii_digit()) {
        file.unsupported(line, format!("expected lockfileVersion 2 or 3, found {shown}"))
    } else {
        file.malformed(line, format!("expected lockfileVersion 2 or 3, found `{shown}`"))
    })
}

fn read_package(file: &LockfileText<'_>, line: usize, location: &str, json: Json) -> Result<Package, LockfileError> {
    let fields =
        json.object(location).map_err(|error| file.malformed(line, Escaped(error.0.as_bytes()).to_string()))?;
    let wrong = |what: &str| {
        let shown = Escaped(location.as_bytes());
        file.malformed(line, format!("expected {what}, found something else in `{shown}`"))
    };
    let text = |field: &str| match Json::field(fields, field) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(&format!("a string as `{field}`"))),
    };
    let flag = |field: &str| match Json::field(fields, field) {
        None => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(&format!("true or false as `{field}`"))),
    };
    let named = name_at(location).ok_or_else(|| {
        let shown = Escaped(location.as_bytes());
        file.malformed(line, format!("expected a path of packages in node_modules, found `{shown}`"))
    })?;
    let name = text("name")?.unwrap_or_else(|| named.to_owned());
    let integrity = match text("integrity")? {
        None => Expected::default(),
        Some(text) => Expected::from_sri(&text).ok_or_else(|| wrong("digests of SHA-1 to SHA-512 as `integrity`"))?,
    };
    let is_link = flag("link")?;
    let resolved = text("resolved")?;
    if is_link && resolved.is_none() {
        return Err(wrong("a path as `resolved` of a link"));
    }
    Ok(Package {
        bins: Json::field(fields, "bin").map(|bin| bins_of(&name, bin)).unwrap_or_default(),
        name,
        version: text("version")?.unwrap_or_default(),
        integrity,
        resolved,
        link: is_link,
        in_bundle: flag("inBundle")?,
        has_install_script: flag("hasInstallScript")?,
        origin: file.origin(line),
        json,
    })
}

/// The name of the directory that a package lies in, `b` or `@scope/b`; empty for a directory of the checkout.
/// `None` for a location that npm cannot have written.
fn name_at(location: &str) -> Option<&str> {
    let components: Vec<&str> = location.split('/').collect();
    let Some(first) = components.iter().position(|name| *name == MODULES) else { return Some("") };
    let mut rest = components.get(first..)?;
    let mut name = "";
    while let Some((MODULES, after)) = rest.split_first().map(|(first, after)| (*first, after)) {
        let len = if after.first()?.starts_with('@') { 2 } else { 1 };
        let parts = after.get(..len)?;
        if !parts.iter().all(|part| is_file_name(part)) {
            return None;
        }
        rest = after.get(len..)?;
        let tail: usize = rest.iter().map(|part| part.len() + 1).sum();
        let len: usize = parts.iter().map(|part| part.len() + 1).sum::<usize>() - 1;
        let end = location.len().checked_sub(tail)?;
        name = location.get(end.checked_sub(len)?..end)?;
    }
    rest.is_empty().then_some(name)
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | ".." | MODULES) && !name.contains(['\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_locations() {
        let rows = [
            ("", Some("")),
            ("packages/a", Some("")),
            ("node_modules/a", Some("a")),
            ("node_modules/@s/a", Some("@s/a")),
            ("packages/a/node_modules/b/node_modules/@s/c", Some("@s/c")),
            ("node_modules", None),
            ("node_modules/", None),
            ("node_modules/@s", None),
            ("node_modules/..", None),
            ("node_modules/a/b", None),
            ("node_modules/a/node_modules", None),
            ("node_modules/node_modules/a", None),
            ("node_modules/a\\b", None),
        ];
        for (location, name) in rows {
            assert_eq!(name_at(location), name, "{location}");
        }
    }
}
