//! `pnpm-lock.yaml`, versions 6 to 9.

use crate::base::Escaped;
use crate::lockfile::{Expected, LockfileError, LockfileText, Node};

/// The versions that are read, before the point.
const VERSIONS: [&str; 4] = ["6", "7", "8", "9"];

/// Fields of a `resolution` that say where a package comes from if it has no digest.
const SOURCES: [&str; 5] = ["tarball", "directory", "commit", "path", "type"];

/// One lockfile.
#[derive(Debug)]
pub struct PnpmLock {
    packages: Vec<Package>,
}

/// One package.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, or where it comes from.
    pub version: String,
    /// The digests of its tarball.
    pub integrity: Expected,
    /// File and line, for people.
    pub origin: String,
}

impl Package {
    /// The directory in `node_modules/.pnpm` of a package without peers.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}@{}", self.name, self.version).replace(['/', ':', '\\'], "+")
    }
}

impl PnpmLock {
    /// Reads one file.
    pub fn read(file: &LockfileText<'_>) -> Result<Self, LockfileError> {
        let document = Node::read(file)?;
        check_version(file, &document)?;
        let mut packages = Vec::new();
        if let Some(listed) = document.get("packages") {
            let map = listed.map().ok_or_else(|| file.malformed(listed.line, "expected a mapping as `packages`"))?;
            for (key, node) in map {
                packages.push(read_package(file, key, node)?);
            }
        }
        Ok(Self { packages })
    }

    /// The packages, in the order of the text.
    #[must_use]
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }
}

fn read_package(file: &LockfileText<'_>, key: &str, node: &Node) -> Result<Package, LockfileError> {
    let wrong = |line, what: &str| file.malformed(line, format!("expected {what}"));
    let (name, version) = split(key)
        .ok_or_else(|| wrong(node.line, &format!("a package, `name@version`, found `{}`", Escaped(key.as_bytes()))))?;
    let resolution = node.get("resolution").filter(|resolution| resolution.map().is_some());
    let resolution = resolution.ok_or_else(|| wrong(node.line, "a `resolution` of each package, found none"))?;
    let integrity = match resolution.get("integrity") {
        Some(text) => text
            .text()
            .and_then(Expected::from_sri)
            .ok_or_else(|| wrong(text.line, "digests of SHA-1 to SHA-512 as `integrity`, found something else"))?,
        None if SOURCES.iter().any(|source| resolution.get(source).is_some()) => Expected::default(),
        None => return Err(wrong(resolution.line, "a digest or a source in `resolution`, found neither")),
    };
    let (name, version) = (name.to_owned(), version.to_owned());
    Ok(Package { name, version, integrity, origin: file.origin(node.line) })
}

fn check_version(file: &LockfileText<'_>, document: &Node) -> Result<(), LockfileError> {
    let version = document.get("lockfileVersion");
    let Some(text) = version.and_then(Node::text) else {
        return Err(file.malformed(1, "expected `lockfileVersion`, found none"));
    };
    let line = version.map_or(1, |version| version.line);
    if VERSIONS.contains(&text.split('.').next().unwrap_or_default()) {
        return Ok(());
    }
    let shown = Escaped(text.as_bytes());
    Err(file.unsupported(line, format!("expected lockfileVersion 6 to 9, found {shown}")))
}

/// Name and version of a key: `name@version`, before version 9 with a slash in front and peers in parentheses.
fn split(key: &str) -> Option<(&str, &str)> {
    let key = key.strip_prefix('/').unwrap_or(key);
    let package = key.split('(').next()?;
    let Some(at) = package.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at) else {
        // A package that is not from a registry: `file:…`, `github.com/…`, in version 6.
        return (!package.is_empty()).then_some((package, ""));
    };
    let (name, version) = (package.get(..at)?, package.get(at + 1..)?);
    (!version.is_empty()).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names_and_versions() {
        let rows = [
            ("left@1.0.0", Some(("left", "1.0.0"))),
            ("@s/a@1.0.0", Some(("@s/a", "1.0.0"))),
            ("/@s/a@1.0.0(b@2.0.0)", Some(("@s/a", "1.0.0"))),
            ("a@https://codeload.github.com/x/y/tar.gz/abc", Some(("a", "https://codeload.github.com/x/y/tar.gz/abc"))),
            ("file:a", Some(("file:a", ""))),
            ("a@", None),
            ("", None),
        ];
        for (key, expected) in rows {
            assert_eq!(split(key), expected, "{key}");
        }
    }
}
