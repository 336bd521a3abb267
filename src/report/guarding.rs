//! What a guard says: of itself, of a check, and of a second look.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::text::{candidates_text, listing_text};
use super::verdict::VERSION;
use crate::base::{Code, Escaped, Exit, Refusal, Refusals, plural};
use crate::tree::Counts;

/// Places that are named at the start; the JSON has all of them.
const PARTLY_SHOWN_MAX: usize = 20;

/// What a guard says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guarding {
    /// The version of the form.
    pub version: u8,
    /// The verb.
    pub command: String,
    /// `guarding`, `ended` or `stopped`.
    pub verdict: String,
    /// The exit status.
    pub exit: Exit,
    /// The guarded caches.
    pub caches: Vec<String>,
    /// Entries that it watches.
    pub watched: u64,
    /// Places that it could not read.
    pub unreadable: u64,
    /// Its process id.
    pub pid: u64,
    /// SHA-256 of the policy that it has in memory.
    pub policy: String,
    /// Stray writes decide nothing.
    pub report_only: bool,
    /// Places that are not watched, or not wholly, and why.
    pub not_wholly_watched: Vec<String>,
}

impl Guarding {
    /// The same as the answer of another command.
    #[must_use]
    pub fn said_by(self, command: &str, verdict: &str) -> Self {
        Self { version: VERSION, command: command.to_owned(), verdict: verdict.to_owned(), ..self }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let noun = if self.caches.len() == 1 { "cache" } else { "caches" };
        let mut text = format!(
            "guarding: {noun} {} (process {})\n  {} outside the roots watched\n",
            quoted(&self.caches),
            self.pid,
            plural(self.watched, "entry", "entries"),
        );
        if self.unreadable > 0 {
            let _ = writeln!(text, "  {} could not be read", plural(self.unreadable, "place", "places"));
        }
        for place in self.not_wholly_watched.iter().take(PARTLY_SHOWN_MAX) {
            let _ = writeln!(text, "  not wholly watched: {place}");
        }
        if self.report_only {
            text.push_str("  report only: stray writes decide nothing\n");
        }
        text
    }
}

fn quoted(caches: &[String]) -> String {
    caches.iter().map(|cache| format!("`{}`", Escaped(cache.as_bytes()))).collect::<Vec<_>>().join(", ")
}

/// Whether anything was written outside the roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckReport {
    /// The version of the form.
    pub version: u8,
    /// The verb.
    pub command: String,
    /// `clean`, `refused` or `reported`.
    pub verdict: String,
    /// The exit status.
    pub exit: Exit,
    /// The guarded caches.
    pub caches: Vec<String>,
    /// Entries that are watched.
    pub watched: u64,
    /// The first stray writes, of a guard that decides.
    pub refusals: Vec<Refusal>,
    /// How many there are of each code.
    pub counts: BTreeMap<Code, u64>,
    /// The first stray writes, of one that only reports.
    pub candidates: Vec<Refusal>,
    /// How many there are of each code; version 0.1 did not say it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub candidate_counts: BTreeMap<Code, u64>,
}

impl CheckReport {
    /// What a check found: stray writes, which a guard that only reports does not decide by.
    #[must_use]
    pub fn new(caches: Vec<String>, watched: u64, found: Refusals, decides: bool) -> Self {
        let (exit, verdict) = match (decides, found.is_empty()) {
            (true, true) => (Exit::Ok, "clean"),
            (true, false) => (found.exit(), "refused"),
            (false, _) => (Exit::Ok, "reported"),
        };
        let (found, none) = (found.into_parts(), Refusals::new(0).into_parts());
        let ((refusals, counts), (candidates, candidate_counts)) = if decides { (found, none) } else { (none, found) };
        Self {
            version: VERSION,
            command: "guard check".to_owned(),
            verdict: verdict.to_owned(),
            exit,
            caches,
            watched,
            refusals,
            counts,
            candidates,
            candidate_counts,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let caches = quoted(&self.caches);
        let total = |counts: &BTreeMap<Code, u64>| plural(counts.values().sum(), "stray write", "stray writes");
        match self.verdict.as_str() {
            "clean" => format!("clean: nothing was written outside the roots of {caches}\n"),
            "reported" => format!(
                "reported: {} outside the roots of {caches}\n{}",
                total(&self.candidate_counts),
                candidates_text(&self.candidates, &self.candidate_counts)
            ),
            verdict => format!(
                "{verdict}: {} outside the roots of {caches}\n{}",
                total(&self.counts),
                listing_text(&self.refusals, &self.counts)
            ),
        }
    }
}

/// Whether what was verified is still as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecheckReport {
    /// The version of the form.
    pub version: u8,
    /// The verb.
    pub command: String,
    /// `unchanged`, `miss` or `refused`.
    pub verdict: String,
    /// The exit status.
    pub exit: Exit,
    /// Whether every file was read.
    pub full: bool,
    /// How each cache was looked at.
    pub caches: Vec<Looked>,
    /// The first differences.
    pub refusals: Vec<Refusal>,
    /// How many there are of each code.
    pub counts: BTreeMap<Code, u64>,
}

/// How one cache was looked at: files by why they were read, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// Its name.
    pub cache: String,
    /// Entries in it.
    pub entries: u64,
    /// Not read: the file system vouches for them.
    pub unread: u64,
    /// Touched since they were verified.
    pub touched: u64,
    /// Written just before that.
    pub recent: u64,
    /// On a file system that does not note every write.
    pub untried: u64,
    /// All were to be read, or the seal is of this job.
    pub demanded: u64,
    /// New entries that are allowed.
    pub new: u64,
}

impl RecheckReport {
    /// What a second look found.
    #[must_use]
    pub fn new(caches: Vec<Looked>, full: bool, found: Refusals) -> Self {
        let exit = found.exit();
        let verdict = match exit {
            Exit::Ok => "unchanged",
            Exit::Miss => "miss",
            _ => "refused",
        };
        let (refusals, counts) = found.into_parts();
        Self {
            version: VERSION,
            command: "guard recheck".to_owned(),
            verdict: verdict.to_owned(),
            exit,
            full,
            caches,
            refusals,
            counts,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = match self.exit {
            Exit::Ok => "unchanged: what was verified is as it was\n",
            Exit::Miss => "miss: nothing was verified\n",
            _ => "refused: not everything is known to be as it was verified\n",
        }
        .to_owned();
        for looked in &self.caches {
            text.push_str(&looked.text());
        }
        text.push_str(&listing_text(&self.refusals, &self.counts));
        text
    }
}

impl Looked {
    /// One cache with so many entries.
    #[must_use]
    pub fn new(cache: String, entries: u64, counts: Counts) -> Self {
        let Counts { unread, touched, recent, untried, demanded, new } = counts;
        Self { cache, entries, unread, touched, recent, untried, demanded, new }
    }

    fn text(&self) -> String {
        let name = Escaped(self.cache.as_bytes());
        let mut text = format!("  cache `{name}`, {}\n", plural(self.entries, "entry", "entries"));
        for (count, what) in [
            (self.unread, "not read: the file system vouches for what was read before"),
            (self.touched, "read: something has touched it since then"),
            (self.recent, "read: it was written just before it was verified"),
            (self.untried, "read: its file system does not note every write"),
            (self.demanded, "read: `--full`, or sealed in this job"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "    {} {what}", plural(count, "file", "files"));
            }
        }
        if self.new > 0 {
            let _ = writeln!(text, "    {} allowed, and not judged", plural(self.new, "new entry", "new entries"));
        }
        text
    }
}
