//! `Cargo.lock`, versions 1 to 4.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::base::Escaped;
use crate::lockfile::{Checksum, HashAlgorithm, Lines, LockfileError, LockfileText};

/// The packages of one or several `Cargo.lock`.
#[derive(Debug, Default)]
pub struct CargoLock {
    packages: Vec<Package>,
}

/// A package that does not come from the checkout itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from.
    pub source: Source,
    /// The SHA-256 of its `.crate`; none for packages from git, and for those that Cargo had no checksum of.
    pub checksum: Option<Checksum>,
    /// File and line, for people.
    pub origin: String,
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A registry, by the URL of its index as the lockfile writes it, `registry+…` or `sparse+…`.
    Registry(String),
    /// A git repository: its URL, without the query, and the commit in hex.
    Git {
        /// The URL.
        url: String,
        /// The commit.
        commit: String,
    },
}

impl Package {
    /// `itoa-1.0.15`: the name of its directory, and with `.crate` of its archive.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// `itoa 1.0.15 (Cargo.lock:7)`
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.origin)
    }
}

#[derive(Deserialize)]
struct Document {
    version: Option<Spanned<i64>>,
    root: Option<Spanned<toml::Table>>,
    #[serde(default)]
    package: Vec<Spanned<Entry>>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

impl CargoLock {
    /// Reads all files of a cache. What two of them name is named once; with two different checksums it is an error.
    pub fn read(files: &[LockfileText<'_>]) -> Result<Self, LockfileError> {
        let mut found: BTreeMap<(String, String, Source), Package> = BTreeMap::new();
        for file in files {
            for (line, package) in read_one(file)? {
                let key = (package.name.clone(), package.version.clone(), package.source.clone());
                match found.get(&key) {
                    Some(other) if other.checksum != package.checksum => {
                        let message = format!(
                            "expected `{} {}` with one checksum, found another at {}",
                            package.name, package.version, other.origin
                        );
                        return Err(file.malformed(line, message));
                    }
                    Some(other) if other.origin.rsplit_once(':').is_some_and(|(name, _)| name == file.file) => {
                        let message =
                            format!("expected each package once, found `{} {}` twice", package.name, package.version);
                        return Err(file.malformed(line, message));
                    }
                    Some(_) => {}
                    None => {
                        found.insert(key, package);
                    }
                }
            }
        }
        Ok(Self { packages: found.into_values().collect() })
    }

    /// The packages, sorted by name and version.
    #[must_use]
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }
}

/// The packages of one file with their lines; those of the checkout itself are left out.
fn read_one(file: &LockfileText<'_>) -> Result<Vec<(usize, Package)>, LockfileError> {
    let document: Document = toml::from_str(file.text).map_err(|error| {
        let line = error.span().map(|span| file.line(span.start));
        let message = Escaped(error.message().as_bytes()).to_string();
        LockfileError::malformed(file.file, line, format!("expected a Cargo.lock: {message}"))
    })?;
    if let Some(version) = &document.version
        && !matches!(version.get_ref(), 3 | 4)
    {
        // Versions 1 and 2 do not say that they are.
        let message = format!("expected version 3 or 4, or none as in versions 1 and 2, found {}", version.get_ref());
        return Err(file.unsupported(file.line(version.span().start), message));
    }
    if let Some(root) = &document.root {
        let message = "expected packages only, found `[root]`, which Cargo wrote before 2018: let Cargo write it anew";
        return Err(file.unsupported(file.line(root.span().start), message));
    }
    let mut lines = file.lines();
    let mut packages = Vec::new();
    for entry in document.package {
        let line = lines_of(&mut lines, &entry);
        let entry = entry.into_inner();
        let Some(source) = entry.source.as_deref() else { continue };
        let wrong = |what: &str, text: &str| {
            file.malformed(line, format!("expected {what}, found `{}`", Escaped(text.as_bytes())))
        };
        if !is_word(&entry.name) {
            return Err(wrong("the name of a package", &entry.name));
        }
        if !is_word(&entry.version) {
            return Err(wrong("a version", &entry.version));
        }
        let old = format!("checksum {} {} ({source})", entry.name, entry.version);
        let written = entry.checksum.as_deref().or_else(|| document.metadata.get(&old).map(String::as_str));
        let checksum = match written {
            None | Some("<none>") => None,
            Some(text) => Some(
                Checksum::from_hex(HashAlgorithm::Sha256, text)
                    .ok_or_else(|| wrong("a checksum of 64 hex digits", text))?,
            ),
        };
        let source = read_source(source).ok_or_else(|| {
            let shown = Escaped(source.as_bytes());
            file.unsupported(line, format!("expected a source that is a registry or a git commit, found `{shown}`"))
        })?;
        let Entry { name, version, .. } = entry;
        packages.push((line, Package { name, version, source, checksum, origin: file.origin(line) }));
    }
    Ok(packages)
}

fn lines_of(lines: &mut Lines<'_>, entry: &Spanned<Entry>) -> usize {
    lines.of(entry.span().start)
}

/// Whether a text can be part of a file name as Cargo makes it.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text != "."
        && text != ".."
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
}

fn read_source(text: &str) -> Option<Source> {
    if let Some(rest) = text.strip_prefix("git+") {
        let (url, commit) = rest.rsplit_once('#')?;
        let is_commit = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let url = url.split('?').next().unwrap_or(url);
        return is_commit.then(|| Source::Git { url: url.to_owned(), commit: commit.to_ascii_lowercase() });
    }
    let url = text.strip_prefix("registry+").or_else(|| text.strip_prefix("sparse+"))?;
    (!url.is_empty()).then(|| Source::Registry(text.to_owned()))
}
