//! A job with more around it than a home and a checkout.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Guarded, alone_json, apart};
use crate::harness::{POLICY, Project, Run};

/// A project, a place beside it that only rules reach, and a temporary directory of its own.
pub(super) struct Job {
    pub(super) guarded: Guarded,
    /// Without links.
    pub(super) place: PathBuf,
    pub(super) variables: Vec<(String, String)>,
}

impl Job {
    /// Where no rule but those under test watches.
    pub(super) fn new() -> Self {
        let project = Project::empty_in(apart(), POLICY);
        project.fill();
        let guarded = Guarded::saved(project);
        // The checkout ends here.
        fs::create_dir(guarded.path(".git")).unwrap();
        let place = fs::canonicalize(guarded.outside("")).unwrap();
        let temporary = place.join("tmp").to_str().unwrap().to_owned();
        fs::create_dir(place.join("tmp")).unwrap();
        fs::create_dir(place.join("srv")).unwrap();
        Self { guarded, place, variables: vec![("TMPDIR".to_owned(), temporary)] }
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.place.join(path)
    }

    pub(super) fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.variables.push((variable.to_owned(), value.into()));
    }

    /// Writes a file, with the directories on the way to it.
    pub(super) fn write(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    #[track_caller]
    pub(super) fn start(&self, more: &[&str]) {
        let mut command = self.guarded.command();
        command.args(alone_json()).args(more).envs(self.variables.iter().cloned());
        Run::of(command.output().unwrap()).verdict().expect(0, &[]);
    }

    /// What a restore writes at a path is refused by the rule, and all is well when it is gone.
    #[track_caller]
    pub(super) fn refuses(&self, path: &Path, rule: &str) {
        let there = path.ancestors().find(|above| above.exists()).unwrap();
        let first = path.strip_prefix(there).unwrap().iter().next();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read(path).ok();
        fs::write(path, "planted").unwrap();
        let checked = self.guarded.check();
        let named = path.display().to_string();
        checked.expect_of(&named, 15, &["stray-write"]);
        let expected = checked.expected(path);
        assert!(expected.ends_with(&format!("(watched: {rule})")), "{named}: {expected}");
        match (before, first.map(|name| there.join(name))) {
            (None, Some(first)) if first.is_dir() => fs::remove_dir_all(first).unwrap(),
            (None, Some(first)) => fs::remove_file(first).unwrap(),
            // A file that was there cannot become what it was.
            _ => return,
        }
        self.guarded.check().expect_of(&named, 0, &[]);
    }
}
