//! `uv.lock`, version 1 with any revision: revisions only add fields.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::lock::{Entry, LockedFile, Package, Read, read_digest, read_file_name};
use super::name::{Name, Version, file_of_url};
use super::needed::Demand;
use crate::base::Escaped;
use crate::lockfile::{LockfileError, LockfileText};

#[derive(Deserialize)]
struct Document {
    version: Spanned<i64>,
    #[serde(default)]
    package: Vec<Spanned<UvPackage>>,
}

#[derive(Deserialize)]
struct UvPackage {
    name: String,
    version: Option<String>,
    source: BTreeMap<String, toml::Value>,
    sdist: Option<UvFile>,
    #[serde(default)]
    wheels: Vec<UvFile>,
    #[serde(default)]
    dependencies: Vec<UvDependency>,
    #[serde(default, rename = "optional-dependencies")]
    optional: BTreeMap<String, Vec<UvDependency>>,
    #[serde(default, rename = "dev-dependencies")]
    groups: BTreeMap<String, Vec<UvDependency>>,
}

#[derive(Deserialize)]
struct UvDependency {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
}

#[derive(Deserialize)]
struct UvFile {
    url: Option<String>,
    path: Option<String>,
    filename: Option<String>,
    hash: Option<String>,
}

/// Where a package comes from.
enum Source<'a> {
    /// An index, a URL or a path, which may be of an archive.
    Archives(Option<&'a str>),
    /// A commit: there is no archive.
    Commit,
    /// The checkout itself.
    Checkout,
}

pub(super) fn read(file: &LockfileText<'_>) -> Result<Read, LockfileError> {
    let document: Document = toml::from_str(file.text).map_err(|error| toml_error(file, "uv.lock", &error))?;
    if *document.version.get_ref() != 1 {
        let message = format!("expected version 1, found {}", document.version.get_ref());
        return Err(file.unsupported(file.line(document.version.span().start), message));
    }
    let mut lines = file.lines();
    let mut found = Read::default();
    for package in document.package {
        let line = lines.of(package.span().start);
        let package = package.into_inner();
        let source = source_of(&package.source).map_err(|message| file.unsupported(line, message))?;
        found.demands.extend(demands(&package, matches!(source, Source::Checkout)));
        if matches!(source, Source::Checkout) {
            continue;
        }
        let Some(version) = package.version.clone() else {
            let shown = Escaped(package.name.as_bytes()).to_string();
            return Err(file.malformed(line, format!("expected a version of `{shown}`, found none")));
        };
        let files = files_of(&package, &source).map_err(|message| file.malformed(line, message))?;
        let (name, origin) = (package.name, file.origin(line));
        found.entries.push(Entry { line, package: Package { name, version, files, loose: Vec::new(), origin } });
    }
    Ok(found)
}

/// What a package asks for. What a package of the checkout asks for, the project does.
fn demands(package: &UvPackage, is_of_checkout: bool) -> Vec<Demand> {
    let by = match (is_of_checkout, &package.version) {
        (true, _) => None,
        (false, Some(version)) => match Name::new(&package.name).zip(Version::new(version)) {
            Some(release) => Some(release),
            None => return Vec::new(),
        },
        (false, None) => return Vec::new(),
    };
    let demand = |dependency: &UvDependency, extra: Option<&String>, group: Option<&String>| Demand {
        by: by.clone(),
        extra: extra.cloned(),
        group: group.cloned(),
        member: is_of_checkout.then(|| package.name.clone()),
        marker: dependency.marker.clone(),
        name: dependency.name.clone(),
        version: dependency.version.clone(),
        extras: dependency.extra.clone(),
    };
    let plain = package.dependencies.iter().map(|dependency| demand(dependency, None, None));
    let optional = package.optional.iter().flat_map(|(extra, all)| all.iter().map(move |one| (extra, one)));
    let groups = package.groups.iter().flat_map(|(group, all)| all.iter().map(move |one| (group, one)));
    let optional = optional.map(|(extra, one)| demand(one, Some(extra), None));
    plain.chain(optional).chain(groups.map(|(group, one)| demand(one, None, Some(group)))).collect()
}

/// A TOML error with its line.
pub(super) fn toml_error(file: &LockfileText<'_>, what: &str, error: &toml::de::Error) -> LockfileError {
    let line = error.span().map(|span| file.line(span.start));
    let message = Escaped(error.message().as_bytes()).to_string();
    LockfileError::malformed(file.file, line, format!("expected a {what}: {message}"))
}

fn source_of(source: &BTreeMap<String, toml::Value>) -> Result<Source<'_>, String> {
    let text = |key| source.get(key).and_then(toml::Value::as_str);
    for (key, is) in [
        ("registry", Source::Archives(None)),
        ("url", Source::Archives(text("url"))),
        ("path", Source::Archives(text("path"))),
        ("git", Source::Commit),
        ("directory", Source::Checkout),
        ("editable", Source::Checkout),
        ("virtual", Source::Checkout),
    ] {
        if source.contains_key(key) {
            return Ok(is);
        }
    }
    let keys: Vec<_> = source.keys().map(|key| Escaped(key.as_bytes()).to_string()).collect();
    Err(format!(
        "expected a source that is a registry, url, path, git commit or directory, found `{}`",
        keys.join(", ")
    ))
}

fn files_of(package: &UvPackage, source: &Source<'_>) -> Result<BTreeMap<String, LockedFile>, String> {
    let mut files = BTreeMap::new();
    if matches!(source, Source::Commit) {
        return Ok(files);
    }
    let direct = if let Source::Archives(direct) = source { *direct } else { None };
    for listed in package.sdist.iter().chain(&package.wheels) {
        let place = listed.url.as_deref().or(listed.path.as_deref()).or(direct);
        let name = listed.filename.clone().or_else(|| place.and_then(file_of_url)).unwrap_or_default();
        let checksum = listed.hash.as_deref().map(read_digest).transpose()?.flatten();
        let url = listed.url.as_deref().or(direct).filter(|url| url.contains("://")).map(str::to_owned);
        let name = read_file_name(&name)?;
        let locked = LockedFile { checksum, url };
        if let Some(other) = files.insert(name.clone(), locked.clone())
            && other.checksum != locked.checksum
        {
            return Err(format!("expected `{name}` with one digest, found two"));
        }
    }
    Ok(files)
}
