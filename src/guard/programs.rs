//! What programs belong to: a program that is a link runs what lies beside its target, and a directory of programs that
//! this user may write has their libraries beside it.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::places::{Ground, Places};
use super::rule::Rule;
use crate::tree::trace;

/// Files that a package has at its top, beside any `*.gemspec`; `release` is that of a Java machine.
const TOPS: [&str; 3] = ["package.json", "pyvenv.cfg", "release"];

/// Finds what programs belong to.
#[derive(Debug)]
pub(super) struct Programs<'g> {
    ground: &'g Ground,
    /// Targets and directories that were looked at.
    seen: BTreeSet<PathBuf>,
    /// Directories whose `node_modules` are watched.
    above: BTreeSet<PathBuf>,
}

impl<'g> Programs<'g> {
    pub(super) fn new(ground: &'g Ground) -> Self {
        Self { ground, seen: BTreeSet::new(), above: BTreeSet::new() }
    }

    /// Watches the directories on PATH, absent ones too. Gives them back in its order.
    pub(super) fn watch(
        &mut self,
        path: &std::ffi::OsStr,
        here: &Path,
        user: u32,
        places: &mut Places<'_>,
    ) -> Vec<PathBuf> {
        // An empty part is the working directory.
        let parts = std::env::split_paths(path).map(|part| here.join(part));
        let directories: Vec<_> = parts.map(|part| places.names(&part, &Rule::Path)).collect();
        for directory in &directories {
            if self.seen.insert(directory.clone()) {
                self.directory(directory, user, places);
            }
        }
        directories
    }

    fn directory(&mut self, directory: &Path, user: u32, places: &mut Places<'_>) {
        let rule = Rule::Program(directory.to_path_buf());
        if can_write(directory, user) {
            let above = directory.parent().filter(|above| !self.is_wide(above));
            let package = self.above(directory).find(|above| is_package(above));
            above.into_iter().chain(package).for_each(|place| drop(places.part(place, &rule)));
            places.part(directory, &Rule::Path);
        }
        self.modules(directory, &rule, places);
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                let program = entry.path();
                let target = trace(&program).end;
                places.entry(&program, &Rule::Program(program.clone()));
                if self.seen.insert(target.clone()) {
                    self.package(&target, true, &Rule::Program(program), places);
                }
            }
        }
    }

    /// What a file belongs to that a link of home or the checkout leads to: it runs, or reads, what is beside it.
    pub(super) fn beside(&mut self, file: &Path, rule: &Rule, places: &mut Places<'_>) {
        if !self.seen.insert(file.to_path_buf()) {
            return;
        }
        if let Some(directory) = file.parent().filter(|directory| !self.is_wide(directory)) {
            places.names_of_part(directory, rule);
        }
        let is_program = std::fs::metadata(file).is_ok_and(|entry| entry.permissions().mode() & 0o111 != 0);
        self.package(file, is_program, rule, places);
    }

    /// The nearest directory above with the mark of a package; of a program, else the one above its own.
    fn package(&mut self, file: &Path, is_program: bool, rule: &Rule, places: &mut Places<'_>) {
        let marked = self.above(file).find(|above| is_package(above));
        if let Some(package) = marked.or_else(|| self.above(file).nth(1).filter(|_| is_program)) {
            places.part(package, rule);
        }
        self.modules(file, rule, places);
    }

    /// Every `node_modules` above, where node looks for packages.
    fn modules(&mut self, path: &Path, rule: &Rule, places: &mut Places<'_>) {
        for above in path.ancestors().skip(1) {
            if !self.above.insert(above.to_path_buf()) {
                break;
            }
            places.part(&above.join("node_modules"), rule);
        }
    }

    /// The directories above that hold neither the system nor home.
    fn above<'p>(&self, path: &'p Path) -> impl Iterator<Item = &'p Path> {
        path.ancestors().skip(1).take_while(|above| !self.is_wide(above))
    }

    fn is_wide(&self, path: &Path) -> bool {
        self.ground.is_shallow(path) || self.ground.holds_home(path)
    }
}

fn is_package(directory: &Path) -> bool {
    let is_gem = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "gemspec");
    TOPS.iter().any(|name| directory.join(name).is_file())
        || std::fs::read_dir(directory).into_iter().flatten().flatten().any(is_gem)
}

fn can_write(directory: &Path, user: u32) -> bool {
    std::fs::metadata(directory).is_ok_and(|entry| user == 0 || entry.uid() == user || entry.mode() & 0o022 != 0)
}
