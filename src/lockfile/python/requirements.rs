//! `requirements.txt` with hashes, as pip reads it where it demands them.

use std::collections::BTreeMap;

use super::lock::{Entry, LockedFile, Package, Read};
use super::name::{Name, Version, file_of_url, source_releases, wheel_release};
use super::needed::Demand;
use crate::base::Escaped;
use crate::lockfile::{Checksum, HashAlgorithm, LockfileError, LockfileText};

/// Options of a file that say where downloads come from or how they are chosen, never what they are. Those in the
/// first list take a value.
const WITH_VALUE: [&str; 10] = [
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
    "--use-feature",
    "--pypi-url",
];
const WITHOUT_VALUE: [&str; 4] = ["--no-index", "--prefer-binary", "--require-hashes", "--pre"];

/// One line, those that it is continued on included.
struct Logical {
    line: usize,
    text: String,
}

/// What one file has: its releases, and the files it includes, each with its line.
pub(super) struct Requirements {
    pub(super) read: Read,
    pub(super) includes: Vec<(usize, String)>,
}

pub(super) fn read(file: &LockfileText<'_>) -> Result<Requirements, LockfileError> {
    let mut found = Requirements { read: Read::default(), includes: Vec::new() };
    for logical in logical_lines(file.text) {
        let words: Vec<&str> = logical.text.split_ascii_whitespace().collect();
        let Some(first) = words.first() else { continue };
        let wrong = |message: String| file.malformed(logical.line, message);
        if first.starts_with('-') {
            if let Some(include) = option(&words).map_err(wrong)? {
                found.includes.push((logical.line, include));
            }
        } else if !is_local(first) {
            let (package, marker) = requirement(&words, file.origin(logical.line)).map_err(wrong)?;
            let demand = Demand::of_project(&package.name, &package.version, None, marker.as_deref());
            found.read.demands.push(demand);
            found.read.entries.push(Entry { line: logical.line, package });
        }
    }
    Ok(found)
}

/// A requirement that is a directory of the checkout.
fn is_local(word: &str) -> bool {
    (word == "." || word.starts_with("./") || word.starts_with("../") || word.starts_with('/'))
        && file_of_url(word).and_then(|file| wheel_release(&file)).is_none()
}

/// Joins lines that end with a backslash, and takes comments away: a comment ends what it stands in.
fn logical_lines(text: &str) -> Vec<Logical> {
    let mut lines = Vec::new();
    let mut open: Option<Logical> = None;
    for (index, physical) in text.lines().enumerate() {
        let comment = physical.trim_start().starts_with('#');
        let continued = physical.strip_suffix('\\').filter(|_| !comment);
        let logical = open.get_or_insert_with(|| Logical { line: index + 1, text: String::new() });
        if comment {
            logical.text.push(' ');
        }
        logical.text.push_str(continued.unwrap_or(physical));
        if continued.is_none() {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    for logical in &mut lines {
        let spaced = |(at, _): &(usize, &str)| {
            *at == 0 || logical.text.get(..*at).is_some_and(|before| before.ends_with([' ', '\t']))
        };
        if let Some((at, _)) = logical.text.match_indices('#').find(spaced) {
            logical.text.truncate(at);
        }
    }
    lines
}

/// An option of the file. Gives the path of a file that it includes.
fn option(words: &[&str]) -> Result<Option<String>, String> {
    let shown = Escaped(words.join(" ").as_bytes()).to_string();
    let (word, joined) = match words.first().and_then(|word| word.split_once('=')) {
        Some((word, value)) => (word, Some(value)),
        None => (words.first().copied().unwrap_or_default(), None),
    };
    let value = joined.or_else(|| words.get(1).copied());
    let count = words.len() + usize::from(joined.is_some());
    let unknown = || Err(format!("expected an option that is known, found `{shown}`"));
    match word {
        "-r" | "--requirement" if count == 2 => Ok(value.map(str::to_owned)),
        // A constraint narrows what may be installed; what is installed stands in the requirement.
        "-c" | "--constraint" if count == 2 => Ok(None),
        // The checkout itself: pip does not allow it beside hashes, uv writes it.
        "-e" | "--editable" if count >= 2 => Ok(None),
        word if WITH_VALUE.contains(&word) && count == 2 => Ok(None),
        word if WITHOUT_VALUE.contains(&word) && count == 1 => Ok(None),
        _ => unknown(),
    }
}

/// `name[extra]==1.2 ; marker --hash=sha256:…`, or with `@ URL` for the version, or a URL alone. Gives the marker too.
fn requirement(words: &[&str], origin: String) -> Result<(Package, Option<String>), String> {
    let options = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
    let (told, options) = words.split_at(options);
    let told = told.join(" ");
    let loose = hashes(options)?;
    let marker = told.split_once(';').map(|(_, marker)| marker.trim().to_owned());
    let shown = Escaped(told.as_bytes()).to_string();
    if loose.is_empty() {
        return Err(format!("expected a `--hash`, found none for `{shown}`"));
    }
    let expected = || format!("expected `name==version`, or a name and the URL of an archive, found `{shown}`");
    if told.contains("://") {
        let (name, url) = told.split_once('@').filter(|(name, _)| !name.contains("://")).unwrap_or(("", &told));
        let url = url.trim().split([' ', ';']).next().unwrap_or_default();
        let package = direct(name.trim(), url, loose, origin).ok_or_else(expected)?;
        return Ok((package, marker));
    }
    let pinned = told.split(';').next().unwrap_or_default();
    let (name, version) = pinned.split_once("==").ok_or_else(expected)?;
    let version = version.strip_prefix('=').unwrap_or(version).trim();
    let name = without_extras(name).ok_or_else(expected)?;
    if Name::new(name).is_none() || Version::new(version).is_none() {
        return Err(expected());
    }
    let (name, version) = (name.to_owned(), version.to_owned());
    Ok((Package { name, version, files: BTreeMap::new(), loose, origin }, marker))
}

fn without_extras(name: &str) -> Option<&str> {
    let name = name.trim();
    match name.split_once('[') {
        Some((name, extras)) => extras.ends_with(']').then(|| name.trim_end()),
        None => Some(name),
    }
}

/// A requirement that is an archive at a URL.
fn direct(name: &str, url: &str, loose: Vec<Checksum>, origin: String) -> Option<Package> {
    let file = file_of_url(url)?;
    let name = if name.is_empty() { None } else { Some(Name::new(without_extras(name)?)?) };
    let releases = wheel_release(&file).map_or_else(|| source_releases(&file), |release| vec![release]);
    let (release, version) = match name {
        Some(name) => releases.into_iter().find(|(of, _)| *of == name)?,
        None => releases.into_iter().next()?,
    };
    let files = BTreeMap::from([(file, LockedFile { checksum: None, url: Some(url.to_owned()) })]);
    let (name, version) = (release.as_str().to_owned(), version.as_str().to_owned());
    Some(Package { name, version, files, loose, origin })
}

/// The digests among the options of a requirement, sorted.
fn hashes(words: &[&str]) -> Result<Vec<Checksum>, String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let shown = Escaped(word.as_bytes()).to_string();
        let value = match word.split_once('=') {
            Some(("--hash", value)) => value,
            Some(("--global-option" | "--config-settings" | "--config-setting", _)) => continue,
            None if *word == "--hash" => words.next().copied().unwrap_or_default(),
            _ => return Err(format!("expected `--hash=sha256:…`, found `{shown}`")),
        };
        let checksum = value.split_once(':').and_then(|(word, digits)| {
            // pip accepts these and no others.
            let algorithm = HashAlgorithm::from_word(word).filter(|algorithm| algorithm.is_strong())?;
            Checksum::from_hex(algorithm, digits)
        });
        let shown = || Escaped(value.as_bytes()).to_string();
        found.push(checksum.ok_or_else(|| format!("expected a digest like `sha256:…`, found `{}`", shown()))?);
    }
    found.sort();
    found.dedup();
    Ok(found)
}
