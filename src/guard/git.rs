//! What git reads for a checkout, wherever it lies.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::places::Places;
use super::rule::Rule;
use super::variables::paths_in;

/// Longest file of git's that is read, and how many of them: a configuration may include others.
const FILE_BYTES_MAX: u64 = 1 << 20;
const FILES_MAX: usize = 100;

/// Watches the git directory of a checkout as git finds it, and every path that its configuration names. `files` is
/// configuration that lies elsewhere.
pub(super) fn watch(checkout: &Path, home: Option<&Path>, files: Vec<PathBuf>, places: &mut Places<'_>) {
    let mut configuration = files;
    if let Some(directory) = git_directory(checkout) {
        places.tree(&directory, &Rule::Git);
        let common =
            first_line(&directory.join("commondir")).map_or_else(|| directory.clone(), |line| directory.join(line));
        places.tree(&common, &Rule::Git);
        configuration.extend([common.join("config"), directory.join("config.worktree")]);
    }
    let mut read = BTreeSet::new();
    while let Some(file) = configuration.pop() {
        if read.len() == FILES_MAX || !read.insert(file.clone()) {
            continue;
        }
        places.part(&file, &Rule::Git);
        let here = file.parent().unwrap_or(checkout);
        for Setting { section, name, value } in settings(&contents(&file)) {
            let path = match (value.strip_prefix(b"~/"), home) {
                (Some(below), Some(home)) => home.join(OsStr::from_bytes(below)),
                // Hooks are looked for from the top of the checkout, included files from the one that includes them.
                _ if name == b"hookspath" => checkout.join(OsStr::from_bytes(&value)),
                _ => here.join(OsStr::from_bytes(&value)),
            };
            if section.starts_with(b"include") && name == b"path" {
                configuration.push(path);
            } else if name == b"hookspath" {
                places.part(&path, &Rule::Git);
            } else {
                for path in paths_in(OsStr::from_bytes(&value), checkout) {
                    places.part(&path, &Rule::Git);
                }
            }
        }
    }
}

/// The directory `.git`, or where a file of this name leads.
fn git_directory(checkout: &Path) -> Option<PathBuf> {
    let git = checkout.join(".git");
    match first_line(&git) {
        Some(line) => {
            let leads = line.as_os_str().as_bytes().strip_prefix(b"gitdir:")?.trim_ascii().to_vec();
            Some(checkout.join(OsStr::from_bytes(&leads)))
        }
        None => Some(git),
    }
}

fn first_line(file: &Path) -> Option<PathBuf> {
    let text = contents(file);
    let line = text.split(|byte| *byte == b'\n').next()?.trim_ascii();
    (!line.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(line)))
}

/// A regular file's bytes; nothing of what cannot be read.
fn contents(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if std::fs::metadata(file).is_ok_and(|entry| entry.is_file())
        && let Ok(file) = std::fs::File::open(file)
        && file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).is_err()
    {
        bytes.clear();
    }
    bytes
}

/// A line of git's configuration.
struct Setting {
    section: Vec<u8>,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// The settings of a configuration. Comments after a value and escapes in it are left as they are: they only add paths
/// to watch.
fn settings(text: &[u8]) -> Vec<Setting> {
    let mut section = Vec::new();
    let mut settings = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut line = line.trim_ascii();
        if let Some(header) = line.strip_prefix(b"[") {
            let end = header.iter().position(|byte| *byte == b']').unwrap_or(header.len());
            section = header.get(..end).unwrap_or_default().to_ascii_lowercase();
            line = header.get(end + 1..).unwrap_or_default().trim_ascii();
        }
        if let Some(at) = line.iter().position(|byte| *byte == b'=') {
            let (name, value) = line.split_at(at);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let value = value.strip_prefix(b"\"").map_or(value, |value| value.strip_suffix(b"\"").unwrap_or(value));
            let name = name.trim_ascii().to_ascii_lowercase();
            settings.push(Setting { section: section.clone(), name, value: value.to_vec() });
        }
    }
    settings
}
