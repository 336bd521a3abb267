//! What a guard answers. Everything that decides is in its memory since before the restore.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::super::differences::Lines;
use super::super::judging::{dispose, report};
use crate::base::{Code, Escaped, Exit, Refusals};
use crate::cache::Kept;
use crate::checkout::{Asked, Belief, Checkout, Context, Failure};
use crate::guard::{Answer, Demand, Guard, Passed, Question, Sealing, Strays, of_wire, to_wire};
use crate::policy::Revocations;
use crate::report::{CheckReport, Guarding, VerifyReport};
use crate::verify::Rule;

/// A guard on duty.
pub(super) struct Duty {
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) checkout: Checkout,
    pub(super) guard: Guard,
}

impl Duty {
    pub(super) fn new(checkout: Checkout, guard: Guard) -> Self {
        Self { state: Mutex::new(State { checkout, guard }) }
    }

    /// Answers one question; the second says whether that was the last.
    pub(super) fn answer(&self, question: &Value, passed: Passed) -> (Value, bool) {
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
        // A guard outlives the moment at which it started.
        (to_wire(&state.answer(&question, passed, &Context::of_process()).unwrap_or_else(failed)), stop)
    }

    pub(super) fn hello(&self) -> Guarding {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).hello()
    }
}

impl State {
    fn answer(&mut self, question: &Question, passed: Passed, context: &Context) -> Result<Answer, Failure> {
        Ok(match question {
            Question::Hello | Question::Stop => Answer::Guarding(self.hello()),
            Question::Check { report_only } => Answer::Checked(self.check(*report_only)),
            Question::Verify { demand, revocations, differences } => {
                let lines = differences.then(|| lines(passed)).transpose();
                let stream = lines.as_ref().ok().and_then(|lines| Some(lines.as_ref()?.stream()));
                let context = Context { differences: stream, threads: demand.threads, ..context.clone() };
                let report = self.verify(demand, revocations, &context)?;
                let written = lines.and_then(|lines| lines.map_or(Ok(()), |lines| lines.finish()));
                let told = |error| format!("the guard could not write the differences: {error}");
                let unwritten = written.err().map(told).into_iter().collect();
                Answer::Verified(Box::new(VerifyReport { unwritten, ..report }))
            }
            Question::Base { cache, elsewhere, signer, bindings } => {
                self.guarded(cache)?;
                let elsewhere: Vec<_> = elsewhere.iter().map(|(root, place)| (root.clone(), place.into())).collect();
                let sealing = Sealing { policy: &self.checkout.policy, signer, bindings };
                let objections = self.guard.may_seal(cache, &elsewhere, &sealing);
                self.granted(&objections)
            }
            Question::Sealed { cache, manifests } => {
                let changes = self.guard.sealed(cache);
                if changes.is_empty() {
                    let (workspace, roots) = (&self.checkout.workspace, self.checkout.roots(cache));
                    let kept =
                        Kept::of_seal(workspace, self.checkout.policy.cache(cache)?, roots, manifests, &context.limits);
                    self.guard.keep(cache, kept);
                }
                self.granted(&changes)
            }
            Question::Recheck(asked) => Answer::Rechecked(self.recheck(asked, context)?),
        })
    }

    fn granted(&self, refusals: &Refusals) -> Answer {
        if refusals.is_empty() { Answer::granted(self.checkout.digest) } else { Answer::refused(refusals) }
    }

    fn hello(&self) -> Guarding {
        let (watched, unreadable) = self.guard.extent();
        let partly = self.guard.partly_watched().map(|(place, why)| format!("{}: {why}", Escaped(&place)));
        Guarding {
            version: 1,
            command: "guard start".to_owned(),
            verdict: "guarding".to_owned(),
            exit: Exit::Ok,
            caches: self.caches(),
            watched,
            unreadable,
            pid: u64::from(std::process::id()),
            policy: self.checkout.digest.to_string(),
            report_only: self.guard.is_report_only(),
            not_wholly_watched: partly.collect(),
        }
    }

    /// Of other caches the guard knows that they must not change, and nothing else.
    pub(super) fn guarded(&self, cache: &str) -> Result<(), Failure> {
        self.checkout.policy.cache(cache)?;
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

    fn check(&mut self, report_only: bool) -> CheckReport {
        let strays = self.guard.strays(None, None);
        let decides = !report_only && !self.guard.is_report_only();
        if decides {
            self.guard.note_strays(&strays);
        }
        CheckReport::new(self.caches(), self.guard.extent().0, strays.refusals, decides)
    }

    fn verify(
        &mut self,
        demand: &Demand,
        lists: &[(String, String)],
        context: &Context,
    ) -> Result<VerifyReport, Failure> {
        self.guarded(&demand.cache)?;
        for (name, text) in lists {
            // Lists only add up, so what is added once may stay.
            self.checkout.policy.recall(Revocations::parse(name, text.as_bytes())?);
        }
        let checkout = &self.checkout;
        let asked = Asked { cache: &demand.cache, gate: &demand.gate, keep: true };
        let decision = self.guard.decide(
            (&demand.cache, &demand.gate),
            context.differences.as_ref(),
            |strays| checkout.verify_as(&asked, belief(checkout, strays), context),
            || dispose(demand, checkout),
        )?;
        Ok(report(demand, decision.verification).with(decision.candidates, decision.disposal))
    }
}

/// The lines that go to what came with a question. Whatever that is, the verdict does not depend on it.
fn lines(passed: Passed) -> io::Result<Arc<Lines>> {
    let found = match passed {
        Passed::File(file) => return Ok(Lines::to(file)),
        Passed::Nothing => "nothing",
        Passed::Unfit(found) => found,
    };
    Err(io::Error::other(format!("expected the descriptor of one file to write to, found {found}")))
}

/// Why policy and lockfiles are believed.
fn belief(checkout: &Checkout, strays: &Strays) -> Belief {
    let met = !strays.refusals.has(Code::PolicyChanged);
    let found = format!("sha256 {}, {} on disk", checkout.digest, if met { "still" } else { "no longer" });
    let expected = "policy and the files it names as they were before the restore".to_owned();
    let rule = Rule { code: Code::PolicyChanged, expected, found, met, origin: "--guard".to_owned() };
    // The guard holds the lockfiles in its memory, too.
    Belief { rule, lockfiles_pinned: true }
}

/// An error as the answer of a guard.
pub(super) fn failed(failure: Failure) -> Answer {
    let Failure { code, message, hints } = failure;
    Answer::Failed { code, message, hints }
}
