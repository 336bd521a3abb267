//! What git reads for a checkout, wherever it lies.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::places::Places;
use super::programs::Programs;
use super::rule::Rule;
use super::variables::paths_in;
use crate::tree::resolve;

/// Longest file of git's that is read, and how many of them: a configuration may include others.
const FILE_BYTES_MAX: u64 = 1 << 20;
const FILES_MAX: usize = 10_000;

/// Watches the git directory of a checkout as git finds it, and every path that its configuration names. `files` is
/// configuration that lies elsewhere.
pub(super) fn watch(
    checkout: &Path,
    home: Option<&Path>,
    mut files: Vec<PathBuf>,
    programs: &mut Programs<'_>,
    places: &mut Places<'_>,
) {
    if let Some((directory, common)) = git_directory(&checkout.join(".git")) {
        places.tree(&directory, &Rule::Git);
        places.tree(&common, &Rule::Git);
        files.extend(configuration(&directory, &common, places));
    }
    read(files, checkout, home, programs, places);
}

/// The same of what was met in what is watched and may be a git directory: a `.git`, such as that of a submodule, or a
/// repository without a checkout.
pub(super) fn watch_met(
    met: &Path,
    home: Option<&Path>,
    is_watched: impl Fn(&Path) -> bool,
    programs: &mut Programs<'_>,
    places: &mut Places<'_>,
) {
    let is_git = met.file_name().is_some_and(|name| name == ".git");
    if !is_git && !met.join("HEAD").is_file() {
        return;
    }
    let (Some(above), Some((directory, common))) = (met.parent(), git_directory(met)) else { return };
    for place in [&directory, &common].into_iter().filter(|place| !is_watched(&resolve(place))) {
        places.tree(place, &Rule::Git);
    }
    let files = configuration(&directory, &common, places);
    // Hooks of a repository without a checkout begin at itself.
    read(files, if is_git { above } else { met }, home, programs, places);
}

/// The files of configuration in a git directory, those of its worktrees and submodules among them. Watches where they
/// have objects from.
fn configuration(directory: &Path, common: &Path, places: &mut Places<'_>) -> Vec<PathBuf> {
    let mut files = vec![directory.join("config.worktree")];
    let mut left = vec![common.to_path_buf()];
    // A name of a submodule can have slashes, so what has no configuration may hold some that have.
    for _ in 0..FILES_MAX {
        let Some(directory) = left.pop() else { break };
        let file = directory.join("config");
        if directory == common || file.is_file() {
            alternates(&directory.join("objects"), places);
            files.extend([file, directory.join("config.worktree")]);
            files.extend(directories(&directory.join("worktrees")).map(|worktree| worktree.join("config.worktree")));
            left.extend(directories(&directory.join("modules")));
        } else {
            left.extend(directories(&directory));
        }
    }
    files
}

/// Watches other directories that git takes objects from, and from where those have theirs (gitrepository-layout(5)).
fn alternates(objects: &Path, places: &mut Places<'_>) {
    let mut read = BTreeSet::new();
    let mut left = vec![objects.to_path_buf()];
    while let Some(objects) = left.pop() {
        if read.len() == FILES_MAX || !read.insert(objects.clone()) {
            continue;
        }
        let lines = contents(&objects.join("info/alternates"));
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
            let other = resolve(&objects.join(OsStr::from_bytes(line)));
            places.part(&other, &Rule::Git);
            left.push(other);
        }
    }
}

fn directories(above: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(above).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path())
}

/// Watches files of configuration and every path that they name. Hooks of a relative path begin at `top`.
fn read(
    mut configuration: Vec<PathBuf>,
    top: &Path,
    home: Option<&Path>,
    programs: &mut Programs<'_>,
    places: &mut Places<'_>,
) {
    let mut read = BTreeSet::new();
    while let Some(file) = configuration.pop() {
        if read.len() == FILES_MAX || !read.insert(file.clone()) {
            continue;
        }
        places.part(&file, &Rule::Git);
        let here = file.parent().unwrap_or(top);
        for Setting { section, name, value } in settings(&contents(&file)) {
            let path = match (value.strip_prefix(b"~/"), home) {
                (Some(below), Some(home)) => home.join(OsStr::from_bytes(below)),
                // Hooks are looked for from the top of the checkout, included files from the one that includes them.
                _ if name == b"hookspath" => top.join(OsStr::from_bytes(&value)),
                _ => here.join(OsStr::from_bytes(&value)),
            };
            if section.starts_with(b"include") && name == b"path" {
                configuration.push(path);
            } else if name == b"hookspath" {
                places.part(&path, &Rule::Git);
            } else {
                for path in paths_in(OsStr::from_bytes(&value), top, home) {
                    programs.named(&path, &Rule::Git, places);
                }
            }
        }
    }
}

/// The directory `.git`, or where a file of this name leads, and the directory that it shares with other worktrees.
fn git_directory(git: &Path) -> Option<(PathBuf, PathBuf)> {
    let directory = match first_line(git) {
        Some(line) => {
            let leads = line.as_os_str().as_bytes().strip_prefix(b"gitdir:")?.trim_ascii().to_vec();
            git.parent()?.join(OsStr::from_bytes(&leads))
        }
        None => git.to_path_buf(),
    };
    let common =
        first_line(&directory.join("commondir")).map_or_else(|| directory.clone(), |line| directory.join(line));
    Some((directory, common))
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

/// The settings of a configuration, each with its value as git reads it (git-config(1), "Syntax").
fn settings(text: &[u8]) -> Vec<Setting> {
    let mut section = Vec::new();
    let mut settings = Vec::new();
    for line in lines(text) {
        let mut line = line.trim_ascii();
        if let Some(header) = line.strip_prefix(b"[") {
            let end = header.iter().position(|byte| *byte == b']').unwrap_or(header.len());
            section = header.get(..end).unwrap_or_default().to_ascii_lowercase();
            line = header.get(end + 1..).unwrap_or_default().trim_ascii();
        }
        if let Some(at) = line.iter().position(|byte| *byte == b'=') {
            let (name, value) = line.split_at(at);
            let name = name.trim_ascii().to_ascii_lowercase();
            settings.push(Setting {
                section: section.clone(),
                name,
                value: value_of(value.get(1..).unwrap_or_default()),
            });
        }
    }
    settings
}

/// Lines, with those joined that a backslash continues.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut begun: Vec<u8> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        begun.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        let slashes = begun.iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 1 {
            begun.pop();
        } else {
            lines.push(std::mem::take(&mut begun));
        }
    }
    lines.push(begun);
    lines
}

/// A value without its quotes, escapes and comment, and without the blanks around it.
fn value_of(text: &[u8]) -> Vec<u8> {
    let (mut value, mut quoted, mut end) = (Vec::new(), false, 0);
    let mut bytes = text.trim_ascii_start().iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'#' | b';' if !quoted => break,
            b'\\' => {
                value.extend(bytes.next());
                end = value.len();
            }
            byte => {
                value.push(byte);
                if quoted || !byte.is_ascii_whitespace() {
                    end = value.len();
                }
            }
        }
    }
    value.truncate(end);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_git_reads_them() {
        for (line, value) in [
            ("path = /srv/a", "/srv/a"),
            ("path = /srv/a # shared", "/srv/a"),
            ("path = /srv/a ; shared", "/srv/a"),
            ("path = \"/srv/a\" ; shared", "/srv/a"),
            ("path = /srv/\"a b\"  ", "/srv/a b"),
            ("path = \"/srv/a # b\"", "/srv/a # b"),
            ("path = /srv/my\\ tools", "/srv/my tools"),
            ("path = \\\n  /srv/a", "/srv/a"),
            ("path = !sh -c \\\"/srv/f\\\"", "!sh -c \"/srv/f\""),
        ] {
            let settings = settings(format!("[include]\n\t{line}\n").as_bytes());
            assert_eq!(settings.len(), 1, "{line}");
            assert_eq!(String::from_utf8_lossy(&settings[0].value), value, "{line}");
        }
    }
}
