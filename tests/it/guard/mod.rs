//! The guard: the real binary, a real socket, and restores that write where they have no business.

mod alive;
mod base;
mod honest;
mod job;
mod later;
mod model;
mod perimeter;
mod places;
mod rules;
mod several;
mod strays;
mod verdicts;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Deref;
use std::path::Path;

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

/// Patterns that take out what the machine that runs the tests holds, and what other tests make beside this project;
/// nothing of this project.
pub(crate) fn of_the_machine() -> Vec<String> {
    let user = rustix::process::geteuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let account = account.filter(|fields| fields.len() > 5 && fields[2] == user).map(|fields| fields[5].to_owned());
    let temporary = std::env::temp_dir().to_str().unwrap().to_owned();
    let places = [temporary, "/tmp".to_owned(), "/var/tmp".to_owned()].into_iter().chain(account);
    // Of what is above, too: cargo and other tests write there.
    let above = Path::new(env!("CARGO_TARGET_TMPDIR")).ancestors().map(|above| above.to_str().unwrap().to_owned());
    let places: BTreeSet<_> = places.chain(above).map(|path| path.trim_end_matches('/').to_owned()).collect();
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
    pub(super) fn new() -> Self {
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
    pub(super) fn start(&self, more: &[&str]) -> i32 {
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
        let one = all.find(|refusal| refusal["place"] == place.to_str().unwrap());
        let one = one.unwrap_or_else(|| panic!("nothing about {}: {:#}", place.display(), self.json));
        one["expected"].as_str().unwrap().to_owned()
    }

    /// Every place that is refused, each once.
    pub(crate) fn places(&self) -> BTreeSet<String> {
        let refusals = self.json["refusals"].as_array().unwrap();
        refusals.iter().map(|refusal| refusal["place"].as_str().unwrap().to_owned()).collect()
    }
}
