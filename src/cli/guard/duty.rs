//! What a guard answers. Everything that decides is in its memory since before the restore.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::judging::{dispose, judge, rendered};
use super::super::setup::Setup;
use crate::base::{Code, Escaped, Exit, Limits, Refusals, plural};
use crate::cache::Kept;
use crate::guard::{Answer, Demand, Guard, Hello, Question, Rendered, Sealing, Strays, of_wire, to_wire};
use crate::policy::Revocations;
use crate::report::{candidates_text, counts_json, refusals_json, refusals_text};
use crate::verify::Rule;

/// Places that are named at the start; the JSON has all of them.
const PARTLY_SHOWN_MAX: usize = 20;

/// A guard on duty.
pub(super) struct Duty {
    state: Mutex<State>,
    limits: Limits,
}

pub(super) struct State {
    pub(super) setup: Setup,
    pub(super) guard: Guard,
}

impl Duty {
    pub(super) fn new(setup: Setup, guard: Guard, limits: Limits) -> Self {
        Self { state: Mutex::new(State { setup, guard }), limits }
    }

    /// Answers one question; the second says whether that was the last.
    pub(super) fn answer(&self, question: &Value) -> (Value, bool) {
        let Some(question) = of_wire::<Question>(question) else {
            let failure = Failure::new(Code::Internal, "expected a question that this guard knows");
            return (to_wire(&failed(failure)), false);
        };
        // A question that ended in a panic may have left anything behind.
        let Ok(mut state) = self.state.lock() else {
            let failure = Failure::new(Code::Internal, "the guard failed at an earlier question");
            return (to_wire(&failed(failure)), false);
        };
        let stop = matches!(question, Question::Stop);
        (to_wire(&state.answer(&question, &self.limits).unwrap_or_else(failed)), stop)
    }

    pub(super) fn hello(&self) -> Hello {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).hello()
    }
}

impl State {
    fn answer(&mut self, question: &Question, limits: &Limits) -> Result<Answer, Failure> {
        Ok(match question {
            Question::Hello | Question::Stop => Answer::Hello(self.hello()),
            Question::Check { report_only } => Answer::Rendered(self.check(*report_only)),
            Question::Verify { demand, revocations } => Answer::Rendered(self.verify(demand, revocations, limits)?),
            Question::Base { cache, elsewhere, signer, bindings } => {
                self.guarded(cache)?;
                let elsewhere: Vec<_> = elsewhere.iter().map(|(root, place)| (root.clone(), place.into())).collect();
                let sealing = Sealing { policy: &self.setup.policy, signer, bindings };
                let objections = self.guard.may_seal(cache, &elsewhere, &sealing);
                self.granted(&objections)
            }
            Question::Sealed { cache, manifests } => {
                let changes = self.guard.sealed(cache);
                if changes.is_empty() {
                    let (workspace, roots) = (&self.setup.workspace, self.setup.roots(cache));
                    let kept = Kept::of_seal(workspace, self.setup.policy.cache(cache)?, roots, manifests, limits);
                    self.guard.keep(cache, kept);
                }
                self.granted(&changes)
            }
            Question::Recheck(asked) => Answer::Rendered(self.recheck(asked, limits)?),
        })
    }

    fn granted(&self, refusals: &Refusals) -> Answer {
        if refusals.is_empty() { Answer::granted(self.setup.digest) } else { Answer::refused(refusals) }
    }

    fn hello(&self) -> Hello {
        let (watched, unreadable) = self.guard.extent();
        Hello {
            policy: self.setup.digest.to_string(),
            caches: self.caches(),
            watched,
            unreadable,
            partly: self.guard.partly_watched().map(|(place, why)| format!("{}: {why}", Escaped(&place))).collect(),
            process: u64::from(std::process::id()),
            report_only: self.guard.is_report_only(),
        }
    }

    /// Of other caches the guard knows that they must not change, and nothing else.
    pub(super) fn guarded(&self, cache: &str) -> Result<(), Failure> {
        self.setup.policy.cache(cache)?;
        if self.guard.caches().any(|guarded| guarded == cache) {
            return Ok(());
        }
        let message = format!("expected one of the caches that the guard watches ({}), found `{cache}`", self.names());
        Err(Failure::new(Code::Usage, message).hint("name it at `cacheseal guard start`"))
    }

    pub(super) fn caches(&self) -> Vec<String> {
        self.guard.caches().map(str::to_owned).collect()
    }

    fn names(&self) -> String {
        self.guard.caches().map(|cache| format!("`{cache}`")).collect::<Vec<_>>().join(", ")
    }

    fn check(&mut self, report_only: bool) -> Rendered {
        let strays = self.guard.strays(None);
        let decides = !report_only && !self.guard.is_report_only();
        if decides {
            self.guard.note_strays(&strays);
        }
        let found = &strays.refusals;
        let total = plural(found.total(), "stray write", "stray writes");
        let (exit, verdict, text) = match (decides, found.is_empty()) {
            (true, true) => (Exit::Ok, "clean", "clean: nothing was written outside the roots of".to_owned()),
            (true, false) => (found.exit(), "refused", format!("refused: {total} outside the roots of")),
            (false, _) => (Exit::Ok, "reported", format!("reported: {total} outside the roots of")),
        };
        let list = if decides { refusals_text(found) } else { candidates_text(found) };
        let none = Refusals::new(0);
        let (refusals, candidates) = if decides { (found, &none) } else { (&none, found) };
        let json = json!({
            "version": 1, "command": "guard check", "verdict": verdict, "exit": exit.number(),
            "caches": self.caches(), "watched": self.guard.extent().0,
            "refusals": refusals_json(refusals), "counts": counts_json(refusals),
            "candidates": refusals_json(candidates),
        });
        Rendered { exit, text: format!("{text} {}\n{list}", self.names()), json, junit: String::new() }
    }

    fn verify(&mut self, demand: &Demand, lists: &[(String, String)], limits: &Limits) -> Result<Rendered, Failure> {
        self.guarded(&demand.cache)?;
        for (name, text) in lists {
            // Lists only add up, so what is added once may stay.
            self.setup.policy.recall(Revocations::parse(name, text.as_bytes())?);
        }
        let setup = &self.setup;
        let decision = self.guard.decide(
            (&demand.cache, &demand.gate),
            |strays| judge(demand, setup, believed(setup, strays), (true, true), limits),
            || dispose(demand, setup),
        )?;
        Ok(rendered(demand, &decision.verification, decision.candidates.as_ref(), decision.disposal))
    }
}

/// Why the policy is believed, as the first of the rules.
fn believed(setup: &Setup, strays: &Strays) -> Rule {
    let met = !strays.refusals.has(Code::PolicyChanged);
    let found = format!("sha256 {}, {} on disk", setup.digest, if met { "still" } else { "no longer" });
    let expected = "policy and the files it names as they were before the restore".to_owned();
    Rule { code: Code::PolicyChanged, expected, found, met, origin: "--guard".to_owned() }
}

/// What a guard says of itself, for people.
pub(super) fn hello_text(hello: &Hello) -> String {
    let names: Vec<_> = hello.caches.iter().map(|cache| format!("`{}`", Escaped(cache.as_bytes()))).collect();
    let noun = if names.len() == 1 { "cache" } else { "caches" };
    let mut text = format!(
        "guarding: {noun} {} (process {})\n  {} outside the roots watched\n",
        names.join(", "),
        hello.process,
        plural(hello.watched, "entry", "entries"),
    );
    if hello.unreadable > 0 {
        let _ = writeln!(text, "  {} could not be read", plural(hello.unreadable, "place", "places"));
    }
    for place in hello.partly.iter().take(PARTLY_SHOWN_MAX) {
        let _ = writeln!(text, "  not wholly watched: {place}");
    }
    if hello.report_only {
        text.push_str("  report only: stray writes decide nothing\n");
    }
    text
}

/// The same as the answer of a command.
pub(super) fn hello_json(hello: &Hello, command: &str, verdict: &str) -> Value {
    json!({
        "version": 1, "command": command, "verdict": verdict, "exit": 0, "caches": hello.caches,
        "watched": hello.watched, "unreadable": hello.unreadable, "pid": hello.process, "policy": hello.policy,
        "reportOnly": hello.report_only, "notWhollyWatched": hello.partly,
    })
}

/// An error as the answer of a guard.
pub(super) fn failed(failure: Failure) -> Answer {
    let Failure { code, message, hints } = failure;
    Answer::Failed { code: code.as_str().to_owned(), message, hints }
}
