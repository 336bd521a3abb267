//! The judgement of a lockfile proof: what contradicts the lockfile, what nothing proves, and how much is proven.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::trail::Rule;
use crate::base::{Code, Limits, Refusal, Refusals, plural};
use crate::lockfile::{Finding, Reason};
use crate::policy::{Edge, Unproven};
use crate::tree::{FileFacts, Kind};

/// Files and symlinks, and the bytes in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Files and symlinks.
    pub files: u64,
    /// Bytes of contents.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// How much of a cache each proof covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// All of it.
    pub total: Amount,
    /// What the lockfiles prove.
    pub lockfile: Amount,
    /// What the seal proves: all or nothing.
    pub signature: Amount,
    /// What neither proves.
    pub unproven: Amount,
    /// What the lockfiles name by a digest that proves nothing, such as SHA-1, and that has it.
    pub weak: Amount,
    /// What contradicts the lockfiles.
    pub mismatched: Amount,
    /// Packages that the lockfiles name.
    pub packages: usize,
    /// The first entries that no lockfile proves, those that can be run first.
    pub entries: BTreeSet<UnprovenFile>,
}

/// An entry that no lockfile proves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct UnprovenFile {
    /// Whether it can be run.
    pub nature: Nature,
    /// Where it is.
    pub place: Vec<u8>,
    /// Why it is not proven.
    pub reason: Reason,
}

/// How near an entry is to being run: the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Nature {
    /// A file that its owner may execute.
    Executable,
    /// A file that is code by its name.
    Script,
    /// Anything else.
    Other,
}

impl Nature {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Script => "script",
            Self::Other => "file",
        }
    }

    fn of(name: &[u8], facts: Option<FileFacts>) -> Self {
        if facts.is_some_and(|facts| facts.executable) {
            return Self::Executable;
        }
        let extension = name.rsplit(|byte| *byte == b'.').next().filter(|extension| extension.len() < name.len());
        if extension.is_some_and(|extension| CODE.contains(&extension)) { Self::Script } else { Self::Other }
    }
}

/// Ends of names of files that are run, loaded or compiled.
const CODE: [&[u8]; 36] = [
    b"bash", b"bat", b"c", b"cc", b"cjs", b"class", b"cmd", b"cpp", b"dll", b"dylib", b"exe", b"go", b"gradle", b"h",
    b"jar", b"java", b"js", b"kt", b"lua", b"mjs", b"mts", b"node", b"php", b"pl", b"ps1", b"pth", b"py", b"pyc",
    b"pyd", b"rb", b"rs", b"sh", b"so", b"ts", b"wasm", b"zsh",
];

/// What a directory is that holds nothing.
const HOLLOW: &str = "a directory without files";

/// Takes the findings of a proof one after the other.
#[derive(Debug)]
pub struct Judge<'a> {
    edge: &'a Edge<'a>,
    limits: &'a Limits,
    coverage: Coverage,
    refusals: Refusals,
    mismatches: u64,
    unproven_entries: u64,
    /// What is proven a second time: it raises no share.
    copies: Amount,
}

/// An entry of a root, and what is known of it.
pub struct Judged<'a> {
    /// Its name in its directory.
    pub name: &'a [u8],
    /// Where it is; asked only where something is to be said of it.
    pub place: &'a dyn Fn() -> Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Of a file, its size and executable bit.
    pub facts: Option<FileFacts>,
    /// What the proof says.
    pub finding: &'a Finding,
    /// Whether the same file of the same package is proven elsewhere too.
    pub is_copy: bool,
}

/// What a proof comes to.
#[derive(Debug)]
pub struct Judgement {
    /// How much is proven.
    pub coverage: Coverage,
    /// Every reason against the cache.
    pub refusals: Refusals,
    /// The rules that were applied.
    pub rules: Vec<Rule>,
}

impl<'a> Judge<'a> {
    /// Nothing has been judged yet. What is refused is added to `refusals`.
    #[must_use]
    pub fn new(edge: &'a Edge<'a>, packages: usize, limits: &'a Limits, refusals: Refusals) -> Self {
        let coverage = Coverage { packages, ..Coverage::default() };
        Self { edge, limits, coverage, refusals, mismatches: 0, unproven_entries: 0, copies: Amount::default() }
    }

    /// One entry.
    pub fn entry(&mut self, entry: &Judged<'_>) {
        let Judged { name, kind, facts, finding, .. } = *entry;
        if let Finding::Mismatch { expected, found } = finding {
            self.contradiction((entry.place)(), expected, found);
        }
        // Directories hold; those that hold nothing are judged by themselves.
        if kind == Kind::Directory {
            return;
        }
        let bytes = facts.map_or(0, |facts| facts.size);
        self.coverage.total.add(bytes);
        let reason = match finding {
            Finding::Proven => {
                if entry.is_copy {
                    self.copies.add(bytes);
                }
                return self.coverage.lockfile.add(bytes);
            }
            Finding::Mismatch { .. } => return self.coverage.mismatched.add(bytes),
            Finding::Weak(reason) => {
                self.coverage.weak.add(bytes);
                reason
            }
            Finding::Unproven(reason) => reason,
        };
        self.coverage.unproven.add(bytes);
        let nature = if kind == Kind::Link { Nature::Other } else { Nature::of(name, facts) };
        let is_plain = kind == Kind::File && nature != Nature::Executable;
        self.unproven((entry.place)(), what(kind, nature), nature, is_plain, reason);
    }

    /// A directory with nothing proven below it and no file at all: who looks for a name finds it all the same.
    pub fn hollow(&mut self, place: Vec<u8>, finding: &Finding) {
        let nothing: Reason = "nothing in it is proven".into();
        let reason = if let Finding::Unproven(reason) = finding { reason } else { &nothing };
        self.unproven(place, HOLLOW, Nature::Other, true, reason);
    }

    /// `is_plain` says whether the gate may allow it at a place.
    fn unproven(&mut self, place: Vec<u8>, what: &str, nature: Nature, is_plain: bool, reason: &Reason) {
        let is_refused = match &self.edge.gate.unproven.value {
            Unproven::Refuse => true,
            Unproven::Allow => false,
            Unproven::At(places) => {
                // `a/**` is about the directory `a` too.
                let at = |text: &str| {
                    let is_directory = what == HOLLOW && places.iter().any(|glob| glob.matches(&format!("{text}/")));
                    is_directory || places.iter().any(|glob| glob.matches(text))
                };
                !is_plain || !std::str::from_utf8(&place).is_ok_and(at)
            }
        };
        if is_refused {
            self.unproven_entries += 1;
            let (expected, found) = ("an entry that the lockfile proves", format!("{what}: {reason}"));
            self.refusals.push(Refusal::new(Code::UnprovenEntry, place.as_slice(), expected, found));
        }
        self.coverage.entries.insert(UnprovenFile { nature, place, reason: reason.clone() });
        if self.coverage.entries.len() > self.limits.refusals_max {
            self.coverage.entries.pop_last();
        }
    }

    /// Something of a locked package that is not there although the rest of it is.
    pub fn missing(&mut self, place: Vec<u8>, expected: &str) {
        self.contradiction(place, expected, "nothing");
    }

    fn contradiction(&mut self, place: Vec<u8>, expected: &str, found: &str) {
        self.mismatches += 1;
        self.refusals.push(Refusal::new(Code::LockfileMismatch, place, expected, found));
    }

    /// All entries have been judged. `signed` says whether a trusted seal names every one of them.
    #[must_use]
    pub fn finish(mut self, signed: bool) -> Judgement {
        let (policy, gate) = (self.edge.policy, &self.edge.gate);
        let mut rules = vec![Rule {
            code: Code::LockfileMismatch,
            expected: format!(
                "what the lockfiles ask for, {}",
                plural(self.coverage.packages as u64, "package", "packages")
            ),
            found: format!(
                "{} proven, {} otherwise than locked",
                plural(self.coverage.lockfile.files, "file", "files"),
                self.mismatches
            ),
            met: self.mismatches == 0,
            origin: policy.origin(&self.edge.cache.lockfiles),
        }];
        let elsewhere = if gate.unproven == Unproven::Refuse { "" } else { ", but files at the places of `unproven`" };
        if gate.unproven != Unproven::Allow {
            rules.push(Rule {
                code: Code::UnprovenEntry,
                expected: format!("no entry that the lockfiles do not prove{elsewhere}"),
                found: plural(self.unproven_entries, "such entry", "such entries"),
                met: self.unproven_entries == 0,
                origin: policy.origin(&gate.unproven),
            });
        }
        let rule = self.share();
        if !rule.met {
            let place = self.edge.cache.name.as_str();
            let refusal = Refusal::new(rule.code, place, rule.expected.as_str(), rule.found.as_str());
            self.refusals.push(refusal);
        }
        rules.push(rule);
        if signed {
            self.coverage.signature = self.coverage.total;
            self.coverage.unproven = Amount::default();
        }
        Judgement { coverage: self.coverage, refusals: self.refusals, rules }
    }

    fn share(&self) -> Rule {
        let once = |amount: Amount| Amount {
            files: amount.files.saturating_sub(self.copies.files),
            bytes: amount.bytes.saturating_sub(self.copies.bytes),
        };
        let (lockfile, total) = (once(self.coverage.lockfile), once(self.coverage.total));
        let min = self.edge.gate.min_lockfile_coverage;
        Rule {
            code: Code::LowCoverage,
            expected: format!("lockfiles prove at least {min} of the files and of the bytes"),
            found: format!("{} of {} files, {} of {} bytes", lockfile.files, total.files, lockfile.bytes, total.bytes),
            met: min.is_met(lockfile.files, total.files) && min.is_met(lockfile.bytes, total.bytes),
            origin: self.edge.policy.origin(&self.edge.gate.min_lockfile_coverage),
        }
    }
}

fn what(kind: Kind, nature: Nature) -> &'static str {
    match (kind, nature) {
        (Kind::File, Nature::Executable) => "an executable file",
        (kind, _) => kind.noun(),
    }
}
