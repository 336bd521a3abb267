//! The guard: the real binary, a real socket, and restores that write where they have no business.

mod alive;
mod base;
mod beside;
mod honest;
mod job;
mod later;
mod model;
mod neighbours;
mod perimeter;
mod places;
mod recheck;
mod rules;
mod several;
mod strays;
mod verdicts;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::harness::{Project, Run, Verdict, copy_tree};

/// A project whose cache was sealed and saved, with a guard that ends with it.
pub(crate) struct Guarded {
    project: Project,
    /// The directories on PATH, for the guard that is started.
    path: Option<String>,
}

impl Deref for Guarded {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // A guard that a test leaves behind would watch for hours.
        let _ = self.project.command().args(["guard", "stop"]).output();
    }
}

/// Where every file is watched, whatever else watches it: the temporary directories, and the home of this user.
fn watched_anyway() -> BTreeSet<PathBuf> {
    let user = rustix::process::geteuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let account = account.filter(|fields| fields.len() > 5 && fields[2] == user).map(|fields| PathBuf::from(fields[5]));
    [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()].into_iter().chain(account).collect()
}

/// A directory for projects in which nothing is watched but what a rule under test watches.
pub(crate) fn apart() -> &'static Path {
    let watched: Vec<_> = watched_anyway().iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let is_apart = |path: &&Path| {
        let found = fs::canonicalize(path);
        found.is_ok_and(|path| !watched.iter().any(|above| above.parent().is_some() && path.starts_with(above)))
    };
    let places = [env!("CARGO_TARGET_TMPDIR"), "/dev/shm", "/Users/Shared"].map(Path::new);
    places
        .into_iter()
        .find(is_apart)
        .expect("set CARGO_TARGET_DIR to a place outside of home and temporary directories")
}

/// Patterns that take out what the machine that runs the tests holds, and what other tests make beside this project;
/// nothing of this project.
pub(crate) fn of_the_machine() -> Vec<String> {
    // Of what is above, too: cargo and other tests write there.
    let above = [Path::new(env!("CARGO_TARGET_TMPDIR")), apart()].into_iter().flat_map(Path::ancestors);
    let places = watched_anyway().into_iter().chain(above.map(Path::to_path_buf));
    let places: BTreeSet<_> = places.map(|path| path.to_str().unwrap().trim_end_matches('/').to_owned()).collect();
    let system = ["/etc", "/usr/local", "/opt"].map(str::to_owned);
    system.into_iter().chain(places.into_iter().map(|path| format!("{path}/*"))).collect()
}

/// `guard start deps` with nothing of the machine that runs the tests: others may write there.
pub(crate) fn alone() -> Vec<String> {
    let mut arguments = ["guard", "start", "deps", "--max-lifetime", "10m"].map(str::to_owned).to_vec();
    arguments.extend(of_the_machine().iter().map(|path| format!("--allow={path}")));
    arguments
}

/// The same, with its answer as JSON.
pub(crate) fn alone_json() -> Vec<String> {
    [alone(), ["--format", "json"].map(str::to_owned).to_vec()].concat()
}

impl Guarded {
    /// Sealed, saved, and taken away: as a job is before it restores.
    pub(crate) fn new() -> Self {
        Self::saved(Project::new())
    }

    /// The same of a filled project.
    pub(crate) fn saved(project: Project) -> Self {
        project.seal();
        let guarded = Self { project, path: None };
        guarded.save();
        guarded
    }

    pub(super) fn of(project: Project) -> Self {
        Self { project, path: None }
    }

    /// Takes roots and seal away, to where the CI system keeps its caches.
    pub(super) fn save(&self) {
        let cache = self.outside("cache");
        fs::create_dir_all(&cache).unwrap();
        fs::rename(self.path("deps"), cache.join("deps")).unwrap();
        fs::rename(self.home().join("store"), cache.join("store")).unwrap();
        fs::rename(self.path(".cacheseal"), cache.join("seals")).unwrap();
    }

    /// Brings roots and seal back, over whatever is there.
    pub(crate) fn restore(&self) {
        let cache = self.outside("cache");
        copy_tree(&cache.join("deps"), &self.path("deps"));
        copy_tree(&cache.join("store"), &self.home().join("store"));
        copy_tree(&cache.join("seals"), &self.path(".cacheseal"));
    }

    /// Starts the guard; must work. Its process id.
    #[track_caller]
    pub(crate) fn start(&self, more: &[&str]) -> i32 {
        let verdict = self.try_start(more);
        assert_eq!(verdict.code, Some(0), "{:#}", verdict.json);
        assert_eq!(verdict.json["verdict"], "guarding");
        verdict.json["pid"].as_i64().unwrap().try_into().unwrap()
    }

    pub(super) fn try_start(&self, more: &[&str]) -> Verdict {
        let mut command = self.command();
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        Run::of(command.args(alone_json()).args(more).output().unwrap()).verdict()
    }

    pub(super) fn check(&self) -> Verdict {
        self.json(&["guard", "check"])
    }

    /// `verify deps --guard` at the gate that compares lockfiles.
    pub(crate) fn verify_guarded(&self, more: &[&str]) -> Verdict {
        self.json(&[&["verify", "deps", "--gate", "exact", "--guard"], more].concat())
    }

    pub(super) fn seal_guarded(&self, more: &[&str]) -> Verdict {
        let key = self.private_key("job");
        self.json(&[&["seal", "deps", "--key", key.to_str().unwrap(), "--guard"], more].concat())
    }
}

impl Verdict {
    /// What was found at a place, of the refusals or the candidates.
    #[track_caller]
    pub(super) fn found(&self, place: &Path) -> String {
        let place = place.to_str().unwrap();
        let lists = [&self.json["refusals"], &self.json["candidates"]];
        let mut all = lists.into_iter().filter_map(|list| list.as_array()).flatten();
        let one = all.find(|refusal| refusal["place"] == place);
        let one = one.unwrap_or_else(|| panic!("nothing about {place}: {:#}", self.json));
        one["found"].as_str().unwrap().to_owned()
    }

    /// What was expected at a place: the rule that watches it stands there.
    #[track_caller]
    pub(super) fn expected(&self, place: &Path) -> String {
        let mut all = self.json["refusals"].as_array().unwrap().iter();
        let escaped = place.to_str().unwrap().replace(' ', "\\040");
        let one = all.find(|refusal| refusal["place"] == escaped);
        let one = one.unwrap_or_else(|| panic!("nothing about {}: {:#}", place.display(), self.json));
        one["expected"].as_str().unwrap().to_owned()
    }

    /// Every place that is refused, each once.
    pub(crate) fn places(&self) -> BTreeSet<String> {
        let refusals = self.json["refusals"].as_array().unwrap();
        refusals.iter().map(|refusal| refusal["place"].as_str().unwrap().to_owned()).collect()
    }
}
