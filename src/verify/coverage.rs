//! The judgement of a lockfile proof: what contradicts the lockfile, what nothing proves, and how much is proven.

use std::collections::BTreeSet;

use super::trail::Rule;
use crate::base::{Code, Limits, Refusal, Refusals, plural};
use crate::lockfile::{Finding, Reason};
use crate::policy::{Edge, Unproven};
use crate::tree::{FileFacts, Kind};

/// Files and symlinks, and the bytes in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// Takes the findings of a proof one after the other.
#[derive(Debug)]
pub struct Judge<'a> {
    edge: &'a Edge<'a>,
    limits: &'a Limits,
    coverage: Coverage,
    refusals: Refusals,
    mismatches: u64,
    unproven_entries: u64,
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
    /// Nothing has been judged yet.
    #[must_use]
    pub fn new(edge: &'a Edge<'a>, packages: usize, limits: &'a Limits) -> Self {
        let coverage = Coverage { packages, ..Coverage::default() };
        let refusals = Refusals::new(limits.refusals_max);
        Self { edge, limits, coverage, refusals, mismatches: 0, unproven_entries: 0 }
    }

    /// One entry. `place` is asked only where something is to be said of it.
    pub fn entry(
        &mut self,
        name: &[u8],
        place: &dyn Fn() -> Vec<u8>,
        kind: Kind,
        facts: Option<FileFacts>,
        finding: &Finding,
    ) {
        if let Finding::Mismatch { expected, found } = finding {
            self.contradiction(place(), expected, found);
        }
        // Directories hold; they are not held.
        if kind == Kind::Directory {
            return;
        }
        let bytes = facts.map_or(0, |facts| facts.size);
        self.coverage.total.add(bytes);
        let reason = match finding {
            Finding::Proven => return self.coverage.lockfile.add(bytes),
            Finding::Mismatch { .. } => return self.coverage.mismatched.add(bytes),
            Finding::Weak(reason) => {
                self.coverage.weak.add(bytes);
                reason
            }
            Finding::Unproven(reason) => reason,
        };
        self.coverage.unproven.add(bytes);
        self.unproven_entries += 1;
        let nature = if kind == Kind::Link { Nature::Other } else { Nature::of(name, facts) };
        let entry = UnprovenFile { nature, place: place(), reason: reason.clone() };
        if self.edge.gate.unproven == Unproven::Refuse {
            let expected = "an entry that the lockfile proves";
            let found = format!("{}: {reason}", what(kind, nature));
            self.refusals.push(Refusal::new(Code::UnprovenEntry, entry.place.as_slice(), expected, found));
        }
        self.coverage.entries.insert(entry);
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
            origin: policy.origin(self.edge.cache.lines.lockfiles),
        }];
        if gate.unproven == Unproven::Refuse {
            rules.push(Rule {
                code: Code::UnprovenEntry,
                expected: "no entry that the lockfiles do not prove".to_owned(),
                found: plural(self.unproven_entries, "such entry", "such entries"),
                met: self.unproven_entries == 0,
                origin: policy.origin(gate.lines.unproven),
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
        let (lockfile, total) = (self.coverage.lockfile, self.coverage.total);
        let min = self.edge.gate.min_lockfile_coverage;
        Rule {
            code: Code::LowCoverage,
            expected: format!("lockfiles prove at least {min} of the files and of the bytes"),
            found: format!("{} of {} files, {} of {} bytes", lockfile.files, total.files, lockfile.bytes, total.bytes),
            met: min.is_met(lockfile.files, total.files) && min.is_met(lockfile.bytes, total.bytes),
            origin: self.edge.policy.origin(self.edge.gate.lines.min_lockfile_coverage),
        }
    }
}

fn what(kind: Kind, nature: Nature) -> &'static str {
    match (kind, nature) {
        (Kind::File, Nature::Executable) => "an executable file",
        (kind, _) => kind.noun(),
    }
}
