//! The sample: some files of the real directory, and one of everything that can be tampered with.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::tree::Directory;

/// Files taken from the real directory; enough to be real, few enough to be copied for each attempt.
const FILES_MAX: usize = 12;
/// Largest of them, bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Entries looked at to find them.
const LOOKS_MAX: usize = 2_000;

/// A file of the sample: its path below the root and its bytes.
pub(super) type SampleFile = (Vec<String>, Vec<u8>);

/// Some small files of the real directory, in memory. Names that are no text are left out.
pub(super) fn choose(real: &Path) -> Vec<SampleFile> {
    let Ok(root) = Directory::open(real) else { return Vec::new() };
    let mut chosen = Vec::new();
    let mut waiting = vec![Vec::new()];
    let mut looks = 0;
    while let Some(at) = waiting.pop() {
        let path: std::path::PathBuf = real.iter().chain(at.iter().map(|name: &String| name.as_ref())).collect();
        let mut names: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().collect();
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            looks += 1;
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            let below = [at.as_slice(), &[name]].concat();
            if kind.is_dir() {
                waiting.push(below);
            } else if kind.is_file() {
                let components: Vec<_> = below.iter().map(String::as_str).collect();
                if let Ok(bytes) = root.read_below(&components, FILE_BYTES_MAX) {
                    chosen.push((below, bytes));
                    break;
                }
            }
        }
        if chosen.len() == FILES_MAX || looks > LOOKS_MAX {
            break;
        }
    }
    chosen
}

/// Writes the chosen files below `sample`.
pub(super) fn write_chosen(chosen: &[SampleFile], sample: &Path) -> io::Result<()> {
    for (below, bytes) in chosen {
        let path: std::path::PathBuf =
            sample.iter().chain(below.iter().map(AsRef::<std::ffi::OsStr>::as_ref)).collect();
        make_directories(path.parent().unwrap_or(sample))?;
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Makes a directory and those above it, and sees to it that others may not write it, whatever the umask.
pub(super) fn make_directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_directories)?;
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Names in `drill/` of the sample that attempts speak of.
pub(super) const NEWLINE: &str = "two\nlines";

/// Writes one of everything into `drill/` below `sample`.
pub(super) fn write_fixtures(sample: &Path) -> io::Result<()> {
    let drill = sample.join("drill");
    for directory in ["", "empty", "library"] {
        make_directories(&drill.join(directory))?;
    }
    for (name, text) in [
        ("first", "first\n"),
        ("second", "other\n"),
        ("nothing", ""),
        ("tool", "#!/bin/sh\necho drill\n"),
        ("library/module", "exports\n"),
        (NEWLINE, "strange name\n"),
    ] {
        fs::write(drill.join(name), text)?;
        fs::set_permissions(drill.join(name), fs::Permissions::from_mode(if name == "tool" { 0o755 } else { 0o644 }))?;
    }
    symlink("first", drill.join("link"))
}
