//! Verifying a restored cache.

use super::checkout_lockfiles::read_lockfiles;
use super::links::{judge_hardlinks, links_rule};
use super::loading::{ByGate, Loader, sealed_roots};
use super::lockfiles::{Question, judge};
use super::place::{RootState, Workspace};
use super::proving::ProvenRoot;
use super::rechecking::{Kept, KeptRoot};
use super::unread_seal::judge_form;
use crate::base::{Code, Escaped, Exit, Limits, Refusal, Refusals, plural};
use crate::identity::KeyId;
use crate::lockfile::LockedSet;
use crate::policy::{Edge, LinkRule, LockfileRule, PlacedRoot};
use crate::seal::SEALS;
use crate::seal::manifest::{Manifest, Totals};
use crate::seal::statement::{SealedRoot, Statement};
use crate::tree::{Comparison, Directory, Expectation, HardLinks, Memory, Options, SealDirectory, Stamps, compare};
use crate::verify::{Consumer, Coverage, Lockfiles, Rule, TrustedSeal};

/// What to verify, and against what.
pub struct VerifyRequest<'a> {
    /// Where roots and seal are.
    pub workspace: &'a Workspace,
    /// The cache and the gate.
    pub edge: &'a Edge<'a>,
    /// The cache's roots, in the policy's order.
    pub roots: &'a [PlacedRoot],
    /// Whether the lockfiles on disk can be believed.
    pub lockfiles_pinned: bool,
    /// What the checkout's lockfiles ask for, where the gate demands a lockfile proof and they can be believed.
    pub locked: Option<&'a LockedSet>,
    /// Now.
    pub now: jiff::Timestamp,
    /// The system this runs on.
    pub platform: crate::seal::statement::Platform,
    /// Whether to keep what is verified, for a look whether it stays as it is.
    pub keep: bool,
    /// Threads and limits.
    pub options: Options<'a>,
}

/// The outcome. Trusted if and only if there is no refusal.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verification {
    /// Every reason against the cache.
    pub refusals: Refusals,
    /// What the seal says, if it was opened.
    pub facts: Option<Facts>,
    /// How much each proof covers, where there was a lockfile proof.
    pub coverage: Option<Coverage>,
    /// Every rule that was applied, in order.
    pub rules: Vec<Rule>,
    /// What was verified, of a trusted cache with a seal, if that was to be kept.
    pub kept: Option<Kept>,
}

/// What a trusted seal says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Facts {
    /// The signed statement.
    pub statement: Statement,
    /// The accepted signers and the key each used.
    pub signers: Vec<(String, KeyId)>,
    /// Symlinks whose text leads out of their root.
    pub links_leaving: u64,
    /// What will soon be a reason to refuse.
    pub warnings: Vec<String>,
}

impl Facts {
    /// Entries and bytes over all roots.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let roots = &self.statement.predicate.roots;
        Totals {
            entries: roots.iter().map(|root| root.entries).fold(0, u64::saturating_add),
            bytes: roots.iter().map(|root| root.bytes).fold(0, u64::saturating_add),
        }
    }
}

impl Verification {
    /// The exit status: [`Exit::Ok`] only if the cache is trusted.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.refusals.exit()
    }
}

/// Holds the roots and the seal of a cache against the policy. Writes nothing.
#[must_use]
pub fn verify_cache(request: &VerifyRequest<'_>) -> Verification {
    let mut run = Run::new(request);
    let states = run.open_roots();
    let require = request.edge.gate.require;
    let mut facts = None;
    if require.signature {
        let opened = run.open_seal(&states);
        facts = opened.map(|(directory, trusted)| run.compare_all(&directory, &trusted, &states));
    } else {
        run.judge_unread_seal(&states);
    }
    let is_restored = !run.refusals.has(Code::NothingRestored);
    let coverage = if require.lockfile && is_restored { run.prove(&states, facts.is_some()) } else { None };
    let is_kept = request.keep && facts.is_some() && run.refusals.is_empty();
    let kept = is_kept.then(|| Kept::new(run.kept, request.edge.gate.hardlinks != LinkRule::Any));
    Verification { refusals: run.refusals, facts, coverage, rules: run.rules, kept }
}

struct Run<'a> {
    request: &'a VerifyRequest<'a>,
    limits: &'a Limits,
    refusals: Refusals,
    rules: Vec<Rule>,
    /// The seal as refusals name it.
    place: String,
    /// The roots that were compared, if they are to be kept.
    kept: Vec<KeptRoot>,
}

impl<'a> Run<'a> {
    fn new(request: &'a VerifyRequest<'a>) -> Self {
        let limits = request.options.limits;
        let place = format!("{SEALS}/{}", request.edge.cache.name);
        let refusals = request.options.refusals();
        Self { request, limits, refusals, rules: Vec::new(), place, kept: Vec::new() }
    }

    fn refuse(&mut self, code: Code, place: &str, expected: impl Into<String>, found: impl Into<String>) {
        self.refusals.push(Refusal::new(code, place, expected, found));
    }

    /// The roots; one that cannot even be looked at is refused here and left out.
    fn open_roots(&mut self) -> Vec<Option<RootState>> {
        let request = self.request;
        let mut states = Vec::new();
        for root in request.roots {
            let spelling = &root.root.spelling;
            match request.workspace.root(root) {
                Ok(state) => {
                    if let RootState::Unsafe(kind) = state {
                        let expected = "a real directory below real directories";
                        self.refuse(Code::UnsafeRoot, spelling, expected, kind.noun());
                    }
                    states.push(Some(state));
                }
                Err(error) => {
                    self.refuse(Code::Unreadable, spelling, "a directory", error.to_string());
                    states.push(None);
                }
            }
        }
        states
    }

    fn loader(&mut self) -> Loader<'_> {
        Loader::of_cache(&self.request.edge.cache.name, self.limits, &mut self.refusals)
    }

    /// The seal, if the gate accepts it. Decides between a miss and a cache without a seal.
    fn open_seal(&mut self, states: &[Option<RootState>]) -> Option<(SealDirectory, TrustedSeal)> {
        let request = self.request;
        let Some(directory) = self.loader().directory(request.workspace, &request.edge.cache.name).ok()? else {
            self.absent_seal(states);
            return None;
        };
        self.loader().modes(&directory);
        let envelope = self.loader().envelope(&directory)?;
        let consumer = Consumer { now: request.now, platform: request.platform.clone(), lockfiles: self.lockfiles() };
        let mut gate = ByGate { edge: request.edge, consumer: &consumer, rules: Vec::new() };
        let trusted = self.loader().judge(&envelope, &mut gate);
        self.rules = gate.rules;
        let trusted = trusted?;
        self.loader().names(&directory, trusted.statement());
        Some((directory, trusted))
    }

    /// Where no seal is wanted, its directory has the form of one. A miss if there is nothing in the roots either.
    fn judge_unread_seal(&mut self, states: &[Option<RootState>]) {
        let request = self.request;
        let is_there = judge_form(request.workspace, request.edge.cache, self.limits, &mut self.refusals);
        let nothing: Result<Vec<_>, _> = states.iter().map(|state| is_nothing(state.as_ref())).collect();
        if !nothing.is_ok_and(|nothing| nothing.iter().all(|nothing| *nothing)) {
            return;
        }
        let place = self.place.clone();
        if is_there {
            self.refuse(
                Code::NoSeal,
                &place,
                "a seal together with its roots",
                "a seal's directory, and nothing in the roots",
            );
        } else {
            self.refuse(
                Code::NothingRestored,
                &request.edge.cache.name,
                "files in its roots",
                "none: nothing was restored",
            );
        }
    }

    /// Holds the roots against the lockfiles.
    fn prove(&mut self, states: &[Option<RootState>], compared: bool) -> Option<Coverage> {
        let roots = self.request.roots.iter().zip(states).map(|(root, state)| ProvenRoot {
            spelling: &root.root.spelling,
            components: &root.root.components,
            directory: match state {
                Some(RootState::There(directory)) => Some(directory),
                _ => None,
            },
        });
        let roots: Vec<_> = roots.collect();
        let answer = judge(&Question {
            edge: self.request.edge,
            locked: self.request.locked.filter(|_| self.request.lockfiles_pinned),
            roots: &roots,
            options: &self.request.options,
            told: compared.then_some(&self.refusals),
            signed: compared && self.refusals.is_empty(),
        });
        self.refusals.append(answer.refusals);
        self.rules.extend(answer.rules);
        answer.coverage
    }

    fn absent_seal(&mut self, states: &[Option<RootState>]) {
        let place = self.place.clone();
        match states.iter().map(|state| is_nothing(state.as_ref())).collect::<Result<Vec<_>, _>>() {
            Ok(nothing) if nothing.iter().all(|nothing| *nothing) => {
                self.refuse(Code::NothingRestored, &place, "a seal and its roots", "neither: nothing was restored");
            }
            Ok(_) => self.refuse(Code::NoSeal, &place, "a seal for the files in the roots", "nothing"),
            Err(error) => self.refuse(Code::Unreadable, &place, "roots that can be read", error.to_string()),
        }
    }

    /// The checkout's lockfiles, read only where the gate compares them.
    fn lockfiles(&mut self) -> Lockfiles {
        if !self.request.lockfiles_pinned || self.request.edge.gate.lockfile == LockfileRule::Any {
            return Lockfiles::Unpinned;
        }
        let (lockfiles, refusals) = read_lockfiles(self.request.workspace, self.request.edge, self.limits);
        self.refusals.append(refusals);
        lockfiles
    }

    fn compare_all(&mut self, directory: &SealDirectory, trusted: &TrustedSeal, states: &[Option<RootState>]) -> Facts {
        let statement = trusted.statement();
        if statement.predicate.roots.len() != states.len() {
            // The rules compare the lists; a root that nobody looks at must not come of a mistake in them.
            self.refuse(
                Code::WrongRoot,
                "roots",
                states.len().to_string(),
                statement.predicate.roots.len().to_string(),
            );
        }
        let mut links_leaving = 0;
        let mut hardlinks = HardLinks::default();
        for ((sealed, manifest), state) in sealed_roots(statement).zip(states) {
            let Some((name, subject)) = manifest else {
                self.sealed_as_absent(sealed, state.as_ref());
                self.kept.push(KeptRoot { spelling: sealed.path.clone(), tree: None });
                continue;
            };
            let Some(state) = state else { continue };
            let Some((manifest, _)) = self.loader().manifest(directory, sealed, name, subject) else { continue };
            let before = self.differences();
            let mut stamps = None;
            if let Some(comparison) = self.compare_root(sealed, &manifest, state) {
                links_leaving += comparison.links_leaving;
                stamps = comparison.stamps;
                hardlinks.append(comparison.hardlinks);
                self.refusals.append(comparison.refusals);
            }
            self.explain_root(sealed, self.differences() - before);
            self.keep(sealed, manifest, stamps);
        }
        self.rules.extend(links_rule(self.request.edge, self.links_escaping()));
        self.rules.extend(judge_hardlinks(self.request.edge, hardlinks, &mut self.refusals));
        let signers = trusted.signers().to_vec();
        Facts { statement: statement.clone(), signers, links_leaving, warnings: trusted.warnings().to_vec() }
    }

    fn keep(&mut self, sealed: &SealedRoot, manifest: Manifest, stamps: Option<Stamps>) {
        if self.request.keep {
            self.kept.push(KeptRoot { spelling: sealed.path.clone(), tree: Some((manifest, stamps)) });
        } else {
            manifest.free_aside();
        }
    }

    /// Notes how a root compared, for those who ask.
    fn explain_root(&mut self, sealed: &SealedRoot, differences: u64) {
        let edge = self.request.edge;
        let root = Escaped(sealed.path.as_bytes());
        self.rules.push(Rule {
            code: Code::DigestMismatch,
            expected: format!("the {} of `{root}` as sealed", plural(sealed.entries, "entry", "entries")),
            found: plural(differences, "difference", "differences"),
            met: differences == 0,
            origin: edge.policy.origin(&edge.cache.roots),
        });
    }

    /// Refusals so far, but for links that are as sealed and that the gate does not want.
    fn differences(&self) -> u64 {
        self.refusals.total() - self.links_escaping()
    }

    fn links_escaping(&self) -> u64 {
        self.refusals.counts().find(|(code, _)| *code == Code::LinkEscapes).map_or(0, |(_, count)| count)
    }

    fn sealed_as_absent(&mut self, sealed: &SealedRoot, state: Option<&RootState>) {
        let Some(RootState::There(root)) = state else { return };
        let expected = "nothing: the root was absent when it was sealed";
        // Runners and volumes make such directories before a restore, and one that is empty holds nothing.
        if !matches!(root.is_empty(), Ok(true)) {
            self.refuse(Code::ExtraEntry, &sealed.path, expected, "a directory");
        }
        match root.forbidden() {
            Ok(None) => {}
            Ok(Some(found)) => self.refuse(Code::ForbiddenMode, &sealed.path, "not writable by others", found),
            Err(error) => self.refuse(Code::Unreadable, &sealed.path, expected, error.to_string()),
        }
    }

    fn compare_root(&mut self, sealed: &SealedRoot, manifest: &Manifest, state: &RootState) -> Option<Comparison> {
        let root = match state {
            RootState::There(root) => match root.reopen() {
                Ok(root) => root,
                Err(error) => {
                    self.refuse(Code::Unreadable, &sealed.path, "a directory", error.to_string());
                    return None;
                }
            },
            RootState::Absent => {
                let expected = format!("the {} that were sealed", plural(sealed.entries, "entry", "entries"));
                let place = self.request.roots.iter().find(|root| root.root.spelling == sealed.path);
                let place = place.and_then(|root| self.request.workspace.path(root));
                let found = place.map_or("no such directory".to_owned(), |place| {
                    format!("nothing at `{}`", Escaped(place.as_os_str().as_encoded_bytes()))
                });
                self.refuse(Code::MissingEntry, &sealed.path, expected, found);
                return None;
            }
            // Refused when it was opened.
            RootState::Unsafe(_) => return None,
        };
        let links_inside = self.request.edge.gate.links == LinkRule::Inside;
        let memory = if self.request.keep { Memory::Keep } else { Memory::Nothing };
        let expected = Expectation { spelling: &sealed.path, manifest, links_inside, memory };
        Some(compare(root, &expected, &self.request.options))
    }
}

/// Whether a root is what is left when nothing was restored.
fn is_nothing(state: Option<&RootState>) -> std::io::Result<bool> {
    match state {
        Some(RootState::Absent) => Ok(true),
        Some(RootState::There(directory)) => Directory::is_empty(directory),
        Some(RootState::Unsafe(_)) | None => Ok(false),
    }
}
