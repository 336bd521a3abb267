//! `Pipfile.lock`, specification 6.

use std::collections::BTreeMap;

use super::lock::{Entry, LockedFile, Package, Read, read_digest};
use super::name::file_of_url;
use super::needed::Demand;
use crate::base::{Escaped, Json, JsonError};
use crate::lockfile::{LockfileError, LockfileText};

/// Objects and arrays in each other; Pipenv writes five.
const DEPTH_MAX: usize = 16;

pub(super) fn read(file: &LockfileText<'_>) -> Result<Read, LockfileError> {
    let json = Json::parse(file.text.as_bytes(), DEPTH_MAX).map_err(|error| {
        let line = error.0.rsplit_once(" at line ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        let shown = Escaped(error.0.as_bytes()).to_string();
        LockfileError::malformed(file.file, line.unwrap_or(1), format!("expected a Pipfile.lock: {shown}"))
    })?;
    let wrong = |line: usize, error: JsonError| file.malformed(line, Escaped(error.0.as_bytes()).to_string());
    let sections = json.object("a Pipfile.lock").map_err(|error| wrong(1, error))?;
    let meta = Json::required(sections, "_meta").and_then(|meta| meta.object("_meta"));
    let meta = meta.map_err(|error| wrong(1, error))?;
    let spec = Json::required(meta, "pipfile-spec").and_then(|spec| spec.unsigned("pipfile-spec"));
    let line = line_of(file.text, &["pipfile-spec"]);
    match spec.map_err(|error| wrong(line, error))? {
        6 => {}
        other => return Err(file.unsupported(line, format!("expected pipfile-spec 6, found {other}"))),
    }
    let mut read = Read::default();
    for (section, packages) in sections.iter().filter(|(section, _)| section != "_meta") {
        let packages = packages.object(section).map_err(|error| wrong(line_of(file.text, &[section]), error))?;
        for (name, json) in packages {
            let line = line_of(file.text, &[section, name]);
            if let Some(package) = read_package(file, line, name, json).map_err(|error| wrong(line, error))? {
                let marker = marker_of(json);
                let demand = Demand::of_project(&package.name, &package.version, Some(section), marker);
                read.demands.push(demand);
                read.entries.push(Entry { line, package });
            }
        }
    }
    // A package of two sections has one list of digests in each; the lines may be those of either.
    Ok(read)
}

fn marker_of(package: &Json) -> Option<&str> {
    let Json::Object(fields) = package else { return None };
    Json::field(fields, "markers")?.string("markers").ok()
}

fn read_package(
    file: &LockfileText<'_>,
    line: usize,
    name: &str,
    package: &Json,
) -> Result<Option<Package>, JsonError> {
    let fields = package.object(name)?;
    let text = |key| Json::field(fields, key).map(|value| value.string(key)).transpose();
    if text("path")?.is_some() || text("git")?.is_some() {
        // The checkout itself, or a commit: neither is an archive, and neither has a version here.
        return Ok(None);
    }
    let mut loose = Vec::new();
    if let Some(hashes) = Json::field(fields, "hashes") {
        for hash in hashes.array("hashes")? {
            loose.extend(read_digest(hash.string("a digest")?).map_err(JsonError)?);
        }
    }
    loose.sort();
    loose.dedup();
    let mut files = BTreeMap::new();
    let version = match (text("file")?, text("version")?) {
        (Some(url), _) => {
            let named = file_of_url(url).and_then(|file| Some((super::name::wheel_release(&file)?, file)));
            let Some(((_, version), file)) = named else { return Ok(None) };
            let locked = LockedFile { checksum: None, url: Some(url.to_owned()) };
            files.insert(file, locked);
            version.as_str().to_owned()
        }
        (None, Some(version)) => {
            let pinned = version.strip_prefix("==").filter(|rest| !rest.contains(['*', ',', ' ']));
            let pinned = pinned.map(|rest| rest.trim_start_matches('='));
            let expected = || JsonError(format!("expected `{name}` with a version like `==1.2`, found `{version}`"));
            pinned.ok_or_else(expected)?.to_owned()
        }
        (None, None) => return Err(JsonError(format!("expected a version of `{name}`, found none"))),
    };
    let (name, origin) = (name.to_owned(), file.origin(line));
    Ok(Some(Package { name, version, files, loose, origin }))
}

/// The line of a key below other keys. The text has been read: each key is there, and once in its object.
fn line_of(text: &str, keys: &[&str]) -> usize {
    let mut at = 0;
    for key in keys {
        let quoted = format!("\"{key}\"");
        at += text.get(at..).and_then(|rest| rest.find(&quoted)).unwrap_or(0);
    }
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}
