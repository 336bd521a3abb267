//! `poetry.lock`, lock versions 1.0, 1.1, 2.0 and 2.1.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::lock::{Entry, LockedFile, Package, read_digest, read_file_name};
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

pub(super) fn read(file: &LockfileText<'_>) -> Result<Vec<Entry>, LockfileError> {
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
    let mut entries = Vec::new();
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
        let (name, version, origin) = (package.name.clone(), package.version.clone(), file.origin(line));
        entries.push(Entry { line, package: Package { name, version, files, loose: Vec::new(), origin } });
    }
    Ok(entries)
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
