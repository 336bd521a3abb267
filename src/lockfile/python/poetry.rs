//! `poetry.lock`, lock versions 1.0, 1.1, 2.0 and 2.1.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::lock::{Entry, LockedFile, Package, Read, read_digest, read_file_name};
use super::name::Name;
use super::needed::Demand;
use super::uv::toml_error;
use crate::base::Escaped;
use crate::lockfile::{LockfileError, LockfileText};

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    package: Vec<Spanned<PoetryPackage>>,
    metadata: Spanned<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "lock-version")]
    lock_version: Option<Spanned<String>>,
    /// By package: where lock versions 1 keep the files.
    #[serde(default)]
    files: BTreeMap<String, Vec<PoetryFile>>,
}

#[derive(Deserialize)]
struct PoetryPackage {
    name: String,
    version: String,
    source: Option<PoetrySource>,
    files: Option<Vec<PoetryFile>>,
    #[serde(default)]
    optional: bool,
    /// Before lock version 2.0: the only group that is written.
    category: Option<String>,
    /// Since lock version 2.1.
    groups: Option<Vec<String>>,
    /// Since lock version 2.1: one for all groups, or one for each.
    markers: Option<toml::Value>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct PoetrySource {
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
}

#[derive(Deserialize)]
struct PoetryFile {
    file: String,
    hash: String,
}

pub(super) fn read(file: &LockfileText<'_>) -> Result<Read, LockfileError> {
    let document: Document = toml::from_str(file.text).map_err(|error| toml_error(file, "poetry.lock", &error))?;
    let metadata = document.metadata.get_ref();
    let version = metadata.lock_version.as_ref();
    if !version.is_some_and(|version| matches!(version.get_ref().as_str(), "1.0" | "1.1" | "2.0" | "2.1")) {
        let start = version.map_or(document.metadata.span().start, |version| version.span().start);
        let found = version.map_or("none".to_owned(), |version| format!("`{}`", Escaped(version.get_ref().as_bytes())));
        let message = format!("expected lock version 1.0, 1.1, 2.0 or 2.1, found {found}");
        return Err(file.unsupported(file.line(start), message));
    }
    let mut lines = file.lines();
    let mut found = Read::default();
    let conditional = conditional(&document.package);
    for package in &document.package {
        let line = lines.of(package.span().start);
        let package = package.get_ref();
        let kind = package.source.as_ref().map_or("legacy", |source| source.kind.as_str());
        match kind {
            "legacy" | "url" | "file" | "git" => {}
            "directory" => continue,
            other => {
                let shown = Escaped(other.as_bytes()).to_string();
                return Err(file.unsupported(line, format!("expected a source type that is known, found `{shown}`")));
            }
        }
        let listed = package.files.as_ref().or_else(|| metadata.files.get(&package.name));
        let url = package.source.as_ref().filter(|_| kind == "url").and_then(|source| source.url.as_deref());
        let files = files_of(listed.map(Vec::as_slice).unwrap_or_default(), url);
        let files = files.map_err(|message| file.malformed(line, message))?;
        found.demands.extend(demands(package, &conditional));
        let (name, version, origin) = (package.name.clone(), package.version.clone(), file.origin(line));
        found.entries.push(Entry { line, package: Package { name, version, files, loose: Vec::new(), origin } });
    }
    Ok(found)
}

/// Names of packages that others want under some condition. Lockfiles before 2.1 do not say what the project wants
/// itself, so nothing is sure of these.
fn conditional(packages: &[Spanned<PoetryPackage>]) -> BTreeSet<Name> {
    let is_conditional = |value: &toml::Value| match value {
        toml::Value::Table(table) => table.contains_key("markers") || table.contains_key("optional"),
        toml::Value::Array(_) => true,
        _ => false,
    };
    let all = packages.iter().flat_map(|package| &package.get_ref().dependencies);
    all.filter(|(_, value)| is_conditional(value)).filter_map(|(name, _)| Name::new(name)).collect()
}

/// When the project wants a package.
fn demands(package: &PoetryPackage, conditional: &BTreeSet<Name>) -> Vec<Demand> {
    let of =
        |group: Option<&str>, marker: Option<&str>| Demand::of_project(&package.name, &package.version, group, marker);
    let Some(groups) = &package.groups else {
        let is_sure = !package.optional && Name::new(&package.name).is_some_and(|name| !conditional.contains(&name));
        // Lock version 2.0 has no groups: none that is named can be told from the others.
        let group = package.category.as_deref().unwrap_or("");
        return if is_sure { vec![of(Some(group), None)] } else { Vec::new() };
    };
    let marker = |group: &str| match &package.markers {
        None => Some(None),
        Some(toml::Value::String(marker)) => Some(Some(marker.as_str())),
        Some(toml::Value::Table(table)) => Some(table.get(group).and_then(toml::Value::as_str)),
        Some(_) => None,
    };
    let sure = groups.iter().filter_map(|group| Some(of(Some(group), marker(group)?)));
    // Without a marker, an optional package belongs to an extra that is not told here.
    sure.filter(|demand| !package.optional || demand.marker.is_some()).collect()
}

fn files_of(listed: &[PoetryFile], url: Option<&str>) -> Result<BTreeMap<String, LockedFile>, String> {
    let mut files: BTreeMap<String, LockedFile> = BTreeMap::new();
    for listed in listed {
        let (name, checksum) = (read_file_name(&listed.file)?, read_digest(&listed.hash)?);
        let locked = LockedFile { checksum, url: url.map(str::to_owned) };
        match files.get(&name) {
            Some(other) if other.checksum != locked.checksum => {
                return Err(format!("expected `{name}` with one digest, found two"));
            }
            _ => files.insert(name, locked),
        };
    }
    Ok(files)
}
