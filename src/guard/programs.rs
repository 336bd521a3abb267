//! What a name brings with it: a program or a script reads what lies beside it, and a directory of programs that this
//! user may write has their libraries beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::places::{Ground, Places};
use super::rule::Rule;
use crate::tree::trace;

/// Files that a package has at its top, beside any `*.gemspec`; `release` is that of a Java machine.
const TOPS: [&str; 3] = ["package.json", "pyvenv.cfg", "release"];

/// Finds what programs and scripts belong to.
#[derive(Debug)]
pub(super) struct Programs<'g> {
    ground: &'g Ground,
    /// Targets and directories that were looked at.
    seen: BTreeSet<PathBuf>,
    /// Directories whose `node_modules` are watched.
    above: BTreeSet<PathBuf>,
    /// Directories that were asked for the mark of a package, and whether they have one.
    marked: BTreeMap<PathBuf, bool>,
}

impl<'g> Programs<'g> {
    pub(super) fn new(ground: &'g Ground) -> Self {
        Self { ground, seen: BTreeSet::new(), above: BTreeSet::new(), marked: BTreeMap::new() }
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
            if let Some(above) = directory.parent().filter(|above| !self.is_wide(above)) {
                places.part(above, &rule);
            }
            self.packages(directory, &rule, places);
            places.part(directory, &Rule::Path);
        }
        self.modules(directory, &rule, places);
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                let program = entry.path();
                let target = trace(&program).end;
                places.entry(&program, &Rule::Program(program.clone()));
                if self.seen.insert(target.clone()) {
                    self.of_program(&target, &Rule::Program(program), places);
                }
            }
        }
    }

    /// A place that is only named somewhere and, if it is a file, what it belongs to. Gives back where it is.
    pub(super) fn named(&mut self, path: &Path, rule: &Rule, places: &mut Places<'_>) -> PathBuf {
        let end = places.part(path, rule);
        if end.is_file() {
            self.beside(&end, rule, places);
        }
        end
    }

    /// What a file belongs to that something names: it runs, or reads, what is beside it.
    pub(super) fn beside(&mut self, file: &Path, rule: &Rule, places: &mut Places<'_>) {
        if !self.seen.insert(file.to_path_buf()) {
            return;
        }
        if let Some(directory) = file.parent().filter(|directory| !self.is_wide(directory)) {
            places.around(directory, rule);
        }
        if std::fs::metadata(file).is_ok_and(|entry| entry.permissions().mode() & 0o111 != 0) {
            self.of_program(file, rule, places);
        } else {
            self.packages(file, rule, places);
            self.modules(file, rule, places);
        }
    }

    /// What a program reads: the directory above its own, and what it belongs to.
    fn of_program(&mut self, program: &Path, rule: &Rule, places: &mut Places<'_>) {
        if let Some(above) = self.above(program).nth(1) {
            places.around(above, rule);
        }
        self.packages(program, rule, places);
        self.modules(program, rule, places);
    }

    /// Every directory above with the mark of a package: one within another says only what kind its files are.
    fn packages(&mut self, path: &Path, rule: &Rule, places: &mut Places<'_>) {
        let above: Vec<_> = self.above(path).collect();
        for above in above {
            if *self.marked.entry(above.to_path_buf()).or_insert_with(|| is_package(above)) {
                places.part(above, rule);
            }
        }
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
