//! One job: what the guard is asked, and what the model knows.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cacheseal::base::{Exit, Limits};
use cacheseal::cache::{RecheckRequest, SealRequest, VerifyRequest, Workspace, recheck, seal_cache, verify_cache};
use cacheseal::guard::{Begin, Disposed, Guard, Sealing, Surroundings, Territory};
use cacheseal::policy::{Glob, PlacedRoot, Policy};
use cacheseal::seal::statement::Source;
use cacheseal::tree::{Disposal, Options, Pattern};

use super::{Archive, CACHES, GATES, POLICY, Place, SIGNERS};
use crate::harness::{Project, copy_tree, key, now, platform};

/// What a trusted seal says of the roots: every file, link and executable bit.
type Contents = BTreeMap<PathBuf, (char, Vec<u8>)>;

/// The archives, made once: by cache and signer, the roots and the seal.
pub(super) fn archives() -> &'static Project {
    static ARCHIVES: OnceLock<Project> = OnceLock::new();
    ARCHIVES.get_or_init(|| {
        let project = Project::empty(POLICY);
        for (at, cache) in CACHES.iter().enumerate() {
            for signer in SIGNERS {
                for (number, root) in roots(&project, at).into_iter().enumerate() {
                    fs::create_dir_all(root.join("pkg")).unwrap();
                    fs::write(root.join("pkg/index.js"), format!("{cache} {number} by {signer}\n")).unwrap();
                    fs::write(root.join("tool"), "#!/bin/sh\n").unwrap();
                    fs::set_permissions(root.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
                }
                let key = project.private_key(signer);
                project.json(&["seal", cache, "--key", key.to_str().unwrap()]).expect(0, &[]);
                let to = project.outside(&format!("archives/{cache}/{signer}"));
                move_away(&project, at, &to);
            }
        }
        project
    })
}

pub(super) fn roots(project: &Project, cache: usize) -> Vec<PathBuf> {
    match cache {
        0 => vec![project.canonical_root().join("a"), project.canonical_home().join(".a/store")],
        1 => vec![project.canonical_home().join(".b/deep/store")],
        _ => vec![project.canonical_root().join("c")],
    }
}

pub(super) fn seal_of(project: &Project, cache: usize) -> PathBuf {
    project.canonical_root().join(".cacheseal").join(CACHES[cache])
}

fn move_away(project: &Project, cache: usize, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (number, root) in roots(project, cache).into_iter().enumerate() {
        fs::rename(root, to.join(number.to_string())).unwrap();
    }
    fs::rename(seal_of(project, cache), to.join("seal")).unwrap();
}

/// Everything below a directory but for `except`.
fn contents(top: &Path, except: &[PathBuf], found: &mut Contents) {
    let Ok(entry) = fs::symlink_metadata(top) else { return };
    if except.iter().any(|one| one == top) {
        return;
    }
    if entry.is_dir() {
        found.insert(top.to_path_buf(), ('d', Vec::new()));
        for entry in fs::read_dir(top).unwrap() {
            contents(&entry.unwrap().path(), except, found);
        }
    } else {
        let kind = if entry.permissions().mode() & 0o100 == 0 { 'f' } else { 'x' };
        found.insert(top.to_path_buf(), (kind, fs::read(top).unwrap()));
    }
}

/// The paths that are not in both, or not alike.
fn changed(one: &Contents, other: &Contents) -> Vec<PathBuf> {
    let differ = |path: &&PathBuf| one.get(*path) != other.get(*path);
    let mut paths: Vec<_> = one.keys().chain(other.keys()).filter(differ).cloned().collect();
    paths.dedup();
    paths
}

/// What the model knows of one cache.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The roots when a verdict, a miss, a disposal or a seal settled them, or when the guard started.
    settled: Contents,
    /// The roots at the last look of the guard, if there was any. From then on, what is written is the job's.
    at_last_look: Option<Contents>,
    /// The roots when the last verdict trusted them, until a job has sealed them.
    verified: Option<Contents>,
    /// What the jobs have sealed.
    grown: Vec<Grown>,
}

/// Contents that a job has sealed.
#[derive(Debug, Clone)]
struct Grown {
    signer: usize,
    contents: Contents,
    /// The first signer that may make more of them: that of the archive which they grew from, or the strictest.
    grade: usize,
}

pub(super) struct Job<'a> {
    project: &'a Project,
    policy: Policy,
    places: BTreeMap<String, Vec<PlacedRoot>>,
    guard: Guard,
    outside: Contents,
    known: Vec<Known>,
    aside: Vec<PathBuf>,
    no_restore: bool,
    written: usize,
    pub(super) trusted: u32,
    pub(super) sealed: u32,
    pub(super) unchanged: u32,
}

impl<'a> Job<'a> {
    pub(super) fn begin(project: &'a Project, no_restore: bool) -> Self {
        let policy = project.policy();
        let (home, root) = (project.canonical_home(), project.canonical_root());
        let places = policy.place(Some(&home), &root, "cacheseal.toml").unwrap();
        let guard = begin(project, &places, no_restore);
        let mut job = Self {
            project,
            policy,
            places,
            guard,
            outside: Contents::new(),
            known: vec![Known::default(); CACHES.len()],
            aside: Vec::new(),
            no_restore,
            written: 0,
            trusted: 0,
            sealed: 0,
            unchanged: 0,
        };
        job.remember_start();
        job
    }

    /// Another guard: what the one before knew is gone, and what lies there was there before.
    pub(super) fn restart(&mut self, no_restore: bool) {
        self.guard = begin(self.project, &self.places, no_restore);
        self.no_restore = no_restore;
        self.aside.clear();
        self.remember_start();
    }

    fn remember_start(&mut self) {
        self.outside = self.outside_now();
        for cache in 0..CACHES.len() {
            self.known[cache].settled = self.inside(cache);
            self.known[cache].at_last_look = None;
            self.known[cache].verified = None;
        }
    }

    /// The roots of a cache; empty directories alone are nothing.
    fn inside(&self, cache: usize) -> Contents {
        let mut found = Contents::new();
        for root in roots(self.project, cache) {
            contents(&root, &[], &mut found);
            if found.range(root.clone()..).filter(|(path, _)| path.starts_with(&root)).count() == 1 {
                found.remove(&root);
            }
        }
        found
    }

    fn is_vacant(&self, cache: usize) -> bool {
        self.inside(cache).is_empty() && !seal_of(self.project, cache).exists()
    }

    /// Everything else. Directories on the way to a root come with it.
    fn outside_now(&self) -> Contents {
        let caches = 0..CACHES.len();
        let guarded =
            caches.flat_map(|cache| [roots(self.project, cache), vec![seal_of(self.project, cache)]].concat());
        let except: Vec<_> = guarded.chain(self.aside.iter().cloned()).collect();
        let mut found = Contents::new();
        contents(&self.project.canonical_home(), &except, &mut found);
        contents(&self.project.canonical_root(), &except, &mut found);
        found.retain(|path, (kind, _)| *kind != 'd' || !except.iter().any(|place| place.starts_with(path)));
        found
    }

    pub(super) fn restore(&self, cache: usize, archive: Archive) {
        let (signer, changed, sealed) = match archive {
            Archive::Sealed(signer) => (signer, false, true),
            Archive::Changed(signer) => (signer, true, true),
            Archive::Unsealed(signer) => (signer, false, false),
            Archive::Empty => return,
        };
        let from = archives().outside(&format!("archives/{}/{}", CACHES[cache], SIGNERS[signer]));
        for (number, root) in roots(self.project, cache).into_iter().enumerate() {
            copy_tree(&from.join(number.to_string()), &root);
            if changed {
                fs::write(root.join("pkg/index.js"), "of another length, by nobody\n").unwrap();
            }
        }
        if sealed {
            copy_tree(&from.join("seal"), &seal_of(self.project, cache));
        }
    }

    /// Other contents are always of another length: two writes within one tick of the clock are beyond the model.
    pub(super) fn write(&mut self, place: Place) {
        self.written += 1;
        let text = "w".repeat(1_000 + self.written);
        let at = match place {
            Place::Root(cache, true) => roots(self.project, cache)[0].join(format!("new-{}", self.written)),
            Place::Root(cache, false) => roots(self.project, cache)[0].join("pkg/index.js"),
            Place::SealOf(cache) => seal_of(self.project, cache).join("seal.json"),
            Place::Home => self.project.canonical_home().join(".bashrc"),
            Place::Checkout => self.project.canonical_root().join("src/build.rs"),
            Place::Policy => self.project.canonical_root().join("keys/job.pub"),
            Place::Aside => match self.aside.first() {
                Some(aside) => aside.join("planted"),
                None => return,
            },
        };
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }

    fn workspace(&self) -> Workspace {
        Workspace::open(&self.project.canonical_root(), Some(self.project.canonical_home())).unwrap()
    }

    /// A look that found nothing: everything but `exempt` is as the model knows it.
    fn assert_watched(&self, exempt: Option<usize>) {
        assert_eq!(changed(&self.outside_now(), &self.outside), Vec::<PathBuf>::new(), "outside of the caches");
        for cache in (0..CACHES.len()).filter(|cache| Some(*cache) != exempt) {
            if exempt.is_none() && self.no_restore {
                continue;
            }
            assert_eq!(
                changed(&self.inside(cache), &self.known[cache].settled),
                Vec::<PathBuf>::new(),
                "{}",
                CACHES[cache]
            );
        }
    }

    fn looked(&mut self) {
        for cache in 0..CACHES.len() {
            self.known[cache].at_last_look = Some(self.inside(cache));
        }
    }

    pub(super) fn check(&mut self) {
        let strays = self.guard.strays(None, None);
        self.guard.note_strays(&strays);
        if strays.refusals.is_empty() {
            self.assert_watched(None);
        }
        // Where nothing is restored, the job fills the roots, whenever somebody looks.
        if !self.no_restore {
            self.looked();
        }
    }

    pub(super) fn verify(&mut self, cache: usize, gate: usize, disposal: Disposal) {
        let before = self.inside(cache);
        let workspace = self.workspace();
        let edge = self.policy.edge(CACHES[cache], GATES[gate]).unwrap();
        let roots = &self.places[CACHES[cache]];
        let limits = Limits::STANDARD;
        let request = VerifyRequest {
            workspace: &workspace,
            edge: &edge,
            roots,
            lockfiles_pinned: true,
            locked: None,
            now: now(),
            platform: platform(),
            keep: true,
            options: Options::new(1, 1, &limits),
        };
        let mut aside = Vec::new();
        let dispose = || {
            let (places, failures) = workspace.dispose(CACHES[cache], roots, disposal);
            aside = places;
            Disposed { told: Vec::new(), gone: failures.is_empty() && disposal != Disposal::Keep, aside: aside.clone() }
        };
        let names = (CACHES[cache], GATES[gate]);
        let decision = self.guard.decide(names, None, |_| Ok::<_, ()>(verify_cache(&request)), dispose).unwrap();
        let is_trusted = decision.verification.exit() == Exit::Ok;
        self.known[cache].verified = is_trusted.then(|| before.clone());
        match decision.verification.exit() {
            Exit::Ok => {
                self.assert_watched(Some(cache));
                let facts = decision.verification.facts.as_ref().unwrap();
                let signer = SIGNERS.iter().position(|name| *name == facts.signers[0].0).unwrap();
                assert!(signer <= gate, "the gate {} accepts no {}", GATES[gate], SIGNERS[signer]);
                let sealed = sealed_by(cache, signer, self.project);
                let grown = self.known[cache].grown.iter().filter(|one| one.signer == signer).map(|one| &one.contents);
                assert!(grown.chain([&sealed]).any(|one| *one == before), "not as it was sealed");
                self.known[cache].settled = before;
                self.trusted += 1;
            }
            Exit::Miss => {
                self.assert_watched(Some(cache));
                assert!(self.is_vacant(cache));
                self.known[cache].settled = Contents::new();
            }
            _ => {}
        }
        self.aside.extend(aside);
        self.looked();
        if decision.verification.exit().is_refusal() && disposal != Disposal::Keep {
            self.known[cache].settled = Contents::new();
        }
    }

    /// What was verified is unchanged if and only if the model knows it so; and what is not known is not vouched for.
    pub(super) fn recheck(&mut self, cache: usize, full: bool) {
        let kept = self.guard.kept(CACHES[cache]);
        let Some(verified) = &self.known[cache].verified else { return assert!(kept.is_err(), "{kept:?}") };
        let found = recheck(&RecheckRequest {
            workspace: &self.workspace(),
            home: Some(self.project.canonical_home()),
            kept: kept.unwrap(),
            roots: &self.places[CACHES[cache]],
            full,
            new_allowed: &[],
            options: Options::new(1, 1, &Limits::STANDARD),
        });
        let is_unchanged = self.inside(cache) == *verified;
        assert_eq!(found.refusals.is_empty(), is_unchanged, "{:?}", found.refusals);
        self.unchanged += u32::from(is_unchanged);
    }

    pub(super) fn seal(&mut self, cache: usize, signer: usize) {
        let sealing = Sealing { policy: &self.policy, signer: SIGNERS[signer], bindings: &BTreeMap::new() };
        if !self.guard.may_seal(CACHES[cache], &[], &sealing).is_empty() {
            return;
        }
        // The policy on disk would be compared with the guard's.
        let limits = Limits::STANDARD;
        let sealed = seal_cache(&SealRequest {
            workspace: &self.workspace(),
            policy: &self.policy,
            cache: self.policy.cache(CACHES[cache]).unwrap(),
            roots: &self.places[CACHES[cache]],
            key: &key(SIGNERS[signer]),
            platform: platform(),
            source: Source::default(),
            now: now(),
            version: "0",
            bindings: BTreeMap::new(),
            options: Options::new(1, 1, &limits),
        });
        if sealed.is_err() {
            return;
        }
        assert!(self.guard.sealed(CACHES[cache]).is_empty());
        let inside = self.inside(cache);
        let known = &mut self.known[cache];
        let base = known.at_last_look.as_ref().unwrap_or_else(|| {
            // No look yet: only a job that restores nothing may fill roots that were empty.
            assert!(self.no_restore);
            &known.settled
        });
        // What `job` has sealed serves both signers, what `other` has sealed itself alone.
        let archived = (0..SIGNERS.len()).find(|by| sealed_by(cache, *by, self.project) == *base);
        let grown = known.grown.iter().filter(|one| one.contents == *base).map(|one| one.grade).min();
        let vacant = base.is_empty().then_some(0);
        let grade = [archived, grown, vacant].into_iter().flatten().min();
        assert!(grade.is_some_and(|grade| grade <= signer), "{} has sealed what nobody vouched for", SIGNERS[signer]);
        known.grown.push(Grown { signer, contents: inside.clone(), grade: grade.unwrap() });
        known.settled = inside.clone();
        known.at_last_look = Some(inside);
        known.verified = None;
        self.sealed += 1;
    }
}

/// What an archive holds, as it would lie in the roots.
fn sealed_by(cache: usize, signer: usize, project: &Project) -> Contents {
    let from = archives().outside(&format!("archives/{}/{}", CACHES[cache], SIGNERS[signer]));
    let mut moved = Contents::new();
    for (number, root) in roots(project, cache).into_iter().enumerate() {
        let from = from.join(number.to_string());
        let mut found = Contents::new();
        contents(&from, &[], &mut found);
        moved.extend(found.into_iter().map(|(path, entry)| {
            let below = path.strip_prefix(&from).unwrap();
            (if below.as_os_str().is_empty() { root.clone() } else { root.join(below) }, entry)
        }));
    }
    moved
}

fn begin(project: &Project, places: &BTreeMap<String, Vec<PlacedRoot>>, no_restore: bool) -> Guard {
    let (home, root) = (project.canonical_home(), project.canonical_root());
    let cache = |(at, name): (usize, &&str)| ((*name).to_owned(), places[*name].clone(), seal_of(project, at));
    let keys = ["cacheseal.toml", "keys/job.pub", "keys/other.pub", "keys/revoked.toml"];
    Guard::begin(Begin {
        surroundings: Surroundings {
            user: rustix::process::geteuid().as_raw(),
            home: Some(home),
            working_directory: root.clone(),
            ..Surroundings::default()
        },
        territory: Territory {
            policy_directory: root.clone(),
            policy_files: keys.map(|file| root.join(file)).into(),
            // Nothing of the machine that runs the tests.
            allowed: ["/etc", "/usr/local", "/opt"].map(PathBuf::from).into(),
            allowed_patterns: [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]
                .map(|above| Pattern { above, rest: Glob::parse("*").unwrap() })
                .into(),
            ..Territory::default()
        },
        caches: CACHES.iter().enumerate().map(cache).collect(),
        elsewhere: Vec::new(),
        filled_allowed: true,
        no_restore,
        report_only: false,
        threads: 1,
        limits: Limits::STANDARD,
    })
    .unwrap()
}
