//! What the programs on PATH belong to: a program that is a link runs what lies beside its target, and a directory of
//! programs that this user may write has their libraries beside it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::places::{Ground, Places};
use super::rule::Rule;
use crate::tree::trace;

/// Names of directories whose programs find their libraries from the directory above.
const BESIDE: [&str; 4] = ["bin", "sbin", ".bin", "shims"];

/// Files that a package has at its top, beside any `*.gemspec`.
const TOPS: [&str; 2] = ["package.json", "pyvenv.cfg"];

/// Watches the directories on PATH, absent ones too. Gives them back in its order.
pub(super) fn watch(
    path: &std::ffi::OsStr,
    here: &Path,
    user: u32,
    ground: &Ground,
    places: &mut Places<'_>,
) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut directories = Vec::new();
    // An empty part is the working directory.
    for part in std::env::split_paths(path) {
        let directory = places.names(&here.join(part), &Rule::Path);
        directories.push(directory.clone());
        if !seen.insert(directory.clone()) {
            continue;
        }
        let above = directory.parent().filter(|above| !ground.is_shallow(above) && !ground.holds_home(above));
        let beside = directory.file_name().is_some_and(|name| BESIDE.iter().any(|beside| name == *beside));
        if let Some(above) = above.filter(|_| beside && can_write(&directory, user)) {
            places.part(above, &Rule::Program(directory.clone()));
        }
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                let program = entry.path();
                let target = trace(&program).end;
                places.entry(&program, &Rule::Program(program.clone()));
                if seen.insert(target.clone())
                    && let Some(package) = package_of(&target, ground)
                {
                    places.part(&package, &Rule::Program(program));
                }
            }
        }
    }
    directories
}

/// The nearest directory above with the mark of a package, else the one above that of the program.
fn package_of(target: &Path, ground: &Ground) -> Option<PathBuf> {
    let is_wide = |path: &&Path| ground.is_shallow(path) || ground.holds_home(path);
    let above = || target.ancestors().skip(1).take_while(|path| !is_wide(path));
    let found = above().find(|path| is_package(path)).or_else(|| above().nth(1));
    found.map(Path::to_path_buf)
}

fn is_package(directory: &Path) -> bool {
    let is_gem = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "gemspec");
    TOPS.iter().any(|name| crate::tree::is_there(&directory.join(name)))
        || std::fs::read_dir(directory).into_iter().flatten().flatten().any(is_gem)
}

fn can_write(directory: &Path, user: u32) -> bool {
    std::fs::metadata(directory).is_ok_and(|entry| user == 0 || entry.uid() == user || entry.mode() & 0o022 != 0)
}
