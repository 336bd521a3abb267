//! The perimeter: every place that a restore could write and that later steps may read without being told to. It follows
//! from rules; what a place means is said by [`Meanings`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::git;
use super::meaning::Meanings;
use super::passing::Passing;
use super::places::{Ground, Places};
use super::programs::Programs;
use super::rule::Rule;
use super::territory::{Surroundings, Territory};
use super::variables::{names_in, paths_in};
use crate::tree::{Difference, Exceptions, Look, Pattern, Reach, Sight, is_there, resolve};

/// The system's own places that a restore as root, or into an image that lets others write, could reach.
const SYSTEM: [&str; 3] = ["/etc", "/usr/local", "/opt"];

/// Directories in which every program makes files, beside `$TMPDIR`.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// What to look at, what to leave out, and what it all means.
#[derive(Debug)]
pub(super) struct Perimeter {
    pub(super) sights: Vec<Sight>,
    ground: Ground,
    rules: BTreeMap<PathBuf, Rule>,
    allowed: Vec<PathBuf>,
    patterns: Vec<Pattern>,
    home: Option<PathBuf>,
    policy_files: Vec<PathBuf>,
    verifier: Option<PathBuf>,
    programs: Vec<PathBuf>,
    passing: Passing,
    meanings: Meanings,
}

impl Perimeter {
    /// Finds the places. Reads no file but git's configuration; follows the links on the way to each.
    pub(super) fn of(surroundings: &Surroundings, territory: &Territory) -> Self {
        let home = surroundings.home.as_deref().filter(|home| home.is_absolute());
        let checkout = top_of_checkout(&territory.policy_directory);
        let here = resolve(&surroundings.working_directory);
        let homes: Vec<_> = [home, surroundings.account_home.as_deref()].into_iter().flatten().map(resolve).collect();
        let vital = vec![resolve(&checkout), resolve(&territory.policy_directory), here.clone()];
        let ground = Ground::new(homes, vital, territory.guarded.clone());
        let mut meanings = Meanings::of(home, &checkout);
        let mut places = Places::new(&ground);
        let mut programs = Programs::new(&ground);
        let named = variables(surroundings, &mut programs, &mut places, &mut meanings);
        let temporary = temporary(surroundings, &mut places, &mut meanings);
        for above in ground.homes.iter().flat_map(|home| home.ancestors().skip(1)) {
            watch_above(above, &Rule::AboveHome, &mut places);
        }
        for above in checkout.ancestors().skip(1).chain(here.ancestors().skip(1)) {
            meanings.set_default(above, "is found by tools that look above the checkout");
            watch_above(above, &Rule::Above, &mut places);
        }
        if let Some(home) = &surroundings.account_home {
            places.tree(home, &Rule::AccountHome);
        }
        if let Some(home) = home {
            places.home(home, &Rule::Home);
        }
        places.tree(&here, &Rule::WorkingDirectory);
        places.tree(&checkout, &Rule::Checkout);
        git::watch(&checkout, home, git_configuration(surroundings), &mut programs, &mut places);
        let path = variable(surroundings, "PATH");
        let programs = path.map(|path| programs.watch(path, &here, surroundings.user, &mut places));
        named_by_us(surroundings, territory, &mut places, &mut meanings);
        let (sights, rules) = places.finish();
        Self {
            sights,
            rules,
            allowed: territory.allowed.iter().map(|path| resolve(path)).collect(),
            patterns: territory.allowed_patterns.clone(),
            home: home.map(Path::to_path_buf),
            policy_files: territory.policy_files.clone(),
            verifier: surroundings.program.clone(),
            programs: programs.unwrap_or_default(),
            passing: Passing {
                temporary,
                runner: runner(surroundings, &ground),
                named,
                names: surroundings.variables.values().flat_map(|value| names_in(value)).collect(),
            },
            meanings,
            ground,
        }
    }

    /// Follows the links and git directories that a first look met, one level, and notes which places are too large to
    /// be looked through. Gives back what is to be looked at too.
    pub(super) fn follow(&mut self, leads: &[PathBuf], first: &Look) -> Vec<Sight> {
        for sight in self.sights.iter_mut().filter(|sight| first.large().contains(&sight.path)) {
            if matches!(sight.reach, Reach::Part(_)) {
                sight.reach = Reach::Names;
            }
        }
        let mut places = Places::new(&self.ground);
        let trees = || self.sights.iter().filter(|sight| sight.reach == Reach::Tree).map(|sight| sight.path.as_path());
        let outer: Vec<_> =
            trees().filter(|tree| !trees().any(|other| other != *tree && tree.starts_with(other))).collect();
        let mut programs = Programs::new(&self.ground);
        for lead in leads.iter().collect::<BTreeSet<_>>() {
            if let Some(file) = places.target(lead, &self.sights, &outer) {
                programs.beside(&file, &Rule::Link(lead.clone()), &mut places);
            }
            if self.rules.get(lead) != Some(&Rule::Git) {
                let is_watched = |path: &Path| self.ground.is_within(path, &outer);
                git::watch_met(lead, self.home.as_deref(), is_watched, &mut programs, &mut places);
            }
        }
        let (sights, rules) = places.finish();
        let known: BTreeSet<_> = self.sights.iter().cloned().collect();
        // What a tree holds already is watched there without a limit of its own.
        let is_held =
            |sight: &Sight| matches!(sight.reach, Reach::Part(_)) && self.ground.is_within(&sight.path, &outer);
        let more: Vec<_> = sights.into_iter().filter(|sight| !known.contains(sight) && !is_held(sight)).collect();
        for (path, rule) in rules {
            self.rules.entry(path).or_insert(rule);
        }
        self.sights.extend(more.iter().cloned());
        more
    }

    /// A directory of this user's own that cannot be read, with a place below it that is watched: one that has a rule of
    /// its own, or whatever may be written there without a change of the directory itself.
    pub(super) fn hidden(&self, first: &Look, except: &Exceptions) -> Option<(PathBuf, PathBuf)> {
        first.obstacles().iter().filter(|obstacle| obstacle.own).find_map(|obstacle| {
            let place = Path::new(OsStr::from_bytes(&obstacle.path));
            let below = |sight: &&Sight| sight.path != place && sight.path.starts_with(place);
            let hidden = self.sights.iter().filter(below).find(|sight| !except.cover(&sight.path));
            let is_open = std::fs::metadata(place).is_ok_and(|entry| entry.is_dir() && entry.mode() & 0o100 != 0);
            let hidden = hidden.map(|sight| sight.path.clone()).or_else(|| is_open.then(|| place.join("*")));
            Some((place.to_path_buf(), hidden?))
        })
    }

    /// What is left out of a look at the perimeter: what is allowed, and `apart`, which is watched by itself.
    pub(super) fn exceptions(&self, apart: impl Iterator<Item = PathBuf>) -> Exceptions {
        Exceptions::new(apart.chain(self.allowed.iter().cloned()))
            .with_patterns(self.patterns.clone(), self.ground.vital.clone())
    }

    /// Directories that something else is mounted at and that no look goes into, the kernel's own aside.
    pub(super) fn not_entered(&self) -> impl Iterator<Item = &Path> {
        let mounts =
            self.sights.iter().filter(|sight| sight.reach == Reach::Boundary).map(|sight| sight.path.as_path());
        mounts.filter(|path| path.is_dir() && !self.ground.is_of_system(path))
    }

    /// Whether a file decides about trust.
    pub(super) fn is_of_policy(&self, path: &Path) -> bool {
        self.policy_files.iter().any(|file| file == path)
    }

    /// Whether a difference comes about by itself.
    pub(super) fn excuses(&self, path: &Path, difference: &Difference) -> bool {
        self.passing.excuses(path, difference)
    }

    /// The rule that watches a place, in words.
    pub(super) fn rule(&self, path: &Path) -> String {
        let nearest = path.ancestors().find_map(|above| self.rules.get(above));
        nearest.map_or_else(String::new, ToString::to_string)
    }

    /// What an entry could do, now that it was created or changed (`written`), or removed.
    pub(super) fn meaning(&self, path: &Path, written: bool) -> String {
        if self.verifier.as_deref() == Some(path) {
            return "is the verifier itself".to_owned();
        }
        let at = path.parent().and_then(|parent| self.programs.iter().position(|directory| directory == parent));
        match (at, path.file_name()) {
            (Some(at), Some(name)) => self.program(at, name, written),
            _ => self.meanings.get(path).to_owned(),
        }
    }

    fn program(&self, at: usize, name: &OsStr, written: bool) -> String {
        let shown = crate::base::Escaped(name.as_bytes());
        let later = || self.programs.iter().skip(at + 1).any(|directory| is_there(&directory.join(name)));
        match written {
            true if later() => format!("shadows `{shown}` on PATH"),
            true => format!("runs as `{shown}`, found on PATH"),
            false => format!("ran as `{shown}`, found on PATH"),
        }
    }
}

/// The nearest directory above with a `.git`, which is what build tools and git take for the checkout.
fn top_of_checkout(policy_directory: &Path) -> PathBuf {
    let is_top = |path: &&Path| path.parent().is_some() && is_there(&path.join(".git"));
    policy_directory.ancestors().find(is_top).unwrap_or(policy_directory).to_path_buf()
}

/// The places that variables name; gives them back. PATH and TMPDIR have rules of their own.
fn variables(
    surroundings: &Surroundings,
    programs: &mut Programs<'_>,
    places: &mut Places<'_>,
    meanings: &mut Meanings,
) -> BTreeSet<PathBuf> {
    let mut named = BTreeSet::new();
    // Where a shell came from names nothing that any program reads.
    let other = |name: &OsStr| name != "PATH" && name != "TMPDIR" && name != "OLDPWD";
    for (name, value) in surroundings.variables.iter().filter(|(name, _)| other(name)) {
        let name = name.to_string_lossy();
        for path in paths_in(value, &surroundings.working_directory, surroundings.home.as_deref()) {
            let end = programs.named(&path, &Rule::Variable(name.clone().into_owned()), places);
            meanings.set_named(&end, &name);
            named.extend([path, end]);
        }
    }
    named
}

fn variable<'s>(surroundings: &'s Surroundings, name: &str) -> Option<&'s OsStr> {
    surroundings.variables.get(OsStr::new(name)).map(OsString::as_os_str)
}

fn temporary(surroundings: &Surroundings, places: &mut Places<'_>, meanings: &mut Meanings) -> BTreeSet<PathBuf> {
    // The later steps may have another one.
    let named = surroundings.named_by("TMPDIR").map(|value| surroundings.working_directory.join(value));
    let mut ends = BTreeSet::new();
    for path in TEMPORARY.iter().map(PathBuf::from).chain(named) {
        let end = places.tree(&path, &Rule::Temporary);
        meanings.set_default(&end, "lies in a temporary directory, where tools keep what they run again");
        ends.insert(end);
    }
    ends
}

/// The temporary directory of a GitHub runner. One that holds what must not change is none.
fn runner(surroundings: &Surroundings, ground: &Ground) -> Option<PathBuf> {
    let path = resolve(&surroundings.named_by("RUNNER_TEMP").next()?);
    (!ground.is_shallow(&path) && !ground.holds_vital(&path)).then_some(path)
}

/// What the system, the policy and the command line name.
fn named_by_us(surroundings: &Surroundings, territory: &Territory, places: &mut Places<'_>, meanings: &mut Meanings) {
    for path in SYSTEM {
        places.tree(Path::new(path), &Rule::System);
    }
    for (cache, root) in &territory.others {
        places.tree(root, &Rule::Cache(cache.clone()));
        meanings.set(root, format!("belongs to the cache `{cache}`"));
    }
    for lockfile in &territory.lockfiles {
        places.entry(lockfile, &Rule::Lockfile);
        meanings.set(lockfile, "decides which dependencies belong into a cache");
    }
    for path in &territory.watched {
        places.tree(path, &Rule::CommandLine);
    }
    if let Some(program) = &surroundings.program {
        places.entry(program, &Rule::Verifier);
    }
}

/// Every entry directly in a directory above the checkout or home, and what is in those that tools look into from below.
fn watch_above(above: &Path, rule: &Rule, places: &mut Places<'_>) {
    let above = places.names(above, rule);
    let within = |name: &OsStr| name.as_bytes().starts_with(b".") || name == "node_modules" || name == "__pycache__";
    for entry in std::fs::read_dir(&above).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            places.linked(&entry.path(), rule);
        } else if kind.is_dir() && within(&entry.file_name()) {
            places.part(&entry.path(), rule);
        }
    }
}

/// Git's configuration outside of the git directory.
fn git_configuration(surroundings: &Surroundings) -> Vec<PathBuf> {
    let home = surroundings.home.as_deref();
    let mut user: Vec<_> = surroundings.named_by("XDG_CONFIG_HOME").collect();
    if user.is_empty() {
        user.extend(home.map(|home| home.join(".config")));
    }
    let files = [Some(PathBuf::from("/etc/gitconfig")), home.map(|home| home.join(".gitconfig"))];
    let files = files.into_iter().flatten().chain(user.iter().map(|user| user.join("git/config")));
    // GIT_CONFIG_GLOBAL, GIT_CONFIG_SYSTEM, and those that hold settings, which may include a file.
    let is_of_git = |(name, _): &(&OsString, &OsString)| name.as_bytes().starts_with(b"GIT_CONFIG");
    let named = surroundings.variables.iter().filter(is_of_git);
    let named = named.flat_map(|(_, value)| paths_in(value, &surroundings.working_directory, home));
    files.chain(named).filter(|file| file.is_absolute()).collect()
}
