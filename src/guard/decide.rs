//! The decision about a restored cache, in the one order that is safe.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Ground, Guard, Settled, Strays};
use crate::base::{Code, Exit, Refusals, Stream, plural};
use crate::cache::Verification;
use crate::verify::{Amount, Rule};

/// What a guard has decided about a cache.
#[derive(Debug)]
pub struct Decision {
    /// The verdict.
    pub verification: Verification,
    /// What would have been refused, of a guard that only reports.
    pub candidates: Option<Refusals>,
    /// What was done with a refused cache, in words.
    pub disposal: Vec<String>,
}

/// What became of a refused cache.
#[derive(Debug, Default)]
pub struct Disposed {
    /// In words.
    pub told: Vec<String>,
    /// Roots and seal are gone from their places.
    pub gone: bool,
    /// Where they are now, if anywhere.
    pub aside: Vec<PathBuf>,
}

impl Guard {
    /// Looks at everything outside the cache, verifies it, takes note of the outcome, and only then takes a refused
    /// cache away. In this order, whatever is read is at least as new as what was looked at, and nothing that happens
    /// after the verification changes the verdict. What is found elsewhere also goes to `differences`.
    pub fn decide<E>(
        &mut self,
        (cache, gate): (&str, &str),
        differences: Option<&Stream>,
        verify: impl FnOnce(&Strays) -> Result<Verification, E>,
        dispose: impl FnOnce() -> Disposed,
    ) -> Result<Decision, E> {
        let strays = self.strays(Some(cache), differences);
        let mut verification = verify(&strays)?;
        // After the first rule, which says why the policy is believed.
        verification.rules.insert(verification.rules.len().min(1), no_strays(&strays));
        let settled = settled(&verification, gate);
        let found = strays.refusals.clone();
        let clean = self.is_report_only() || found.is_empty();
        if !self.is_report_only() {
            verification.refusals.append(found.clone());
        }
        let kept = verification.kept.take();
        self.settle(cache, settled, strays, kept);
        let mut told = Vec::new();
        if verification.exit().is_refusal() {
            let disposed = dispose();
            told = disposed.told;
            if disposed.gone && clean {
                self.disposed(cache, disposed.aside);
            }
        }
        let candidates = self.is_report_only().then_some(found);
        Ok(Decision { verification, candidates, disposal: told })
    }
}

/// How a verification ended, by itself: without what the guard found elsewhere.
fn settled(verification: &Verification, gate: &str) -> Settled {
    const STALE: [Code; 3] = [Code::TooOld, Code::Expired, Code::StaleLockfile];
    match verification.exit() {
        Exit::Ok => trusted(verification, gate),
        Exit::Miss => Settled::Miss,
        exit if !exit.is_refusal() => Settled::Undecided,
        _ if verification.refusals.counts().all(|(code, _)| STALE.contains(&code)) => Settled::Stale,
        _ => Settled::Refused,
    }
}

fn trusted(verification: &Verification, gate: &str) -> Settled {
    let coverage = verification.coverage.as_ref();
    let proven = coverage.is_some_and(|coverage| coverage.unproven == Amount::default());
    let (signers, bindings) = match &verification.facts {
        Some(facts) => {
            let signers = facts.signers.iter().map(|(name, _)| name.clone()).collect();
            (signers, facts.statement.predicate.bindings.clone())
        }
        // A gate that wants no signature, and lets something pass that nothing proves.
        None if !proven => return Settled::Unproven,
        None => (Vec::new(), BTreeMap::new()),
    };
    Settled::Trusted(Ground { gate: gate.to_owned(), signers, bindings, proven })
}

fn no_strays(strays: &Strays) -> Rule {
    let count = strays.refusals.total();
    Rule {
        code: Code::StrayWrite,
        expected: "nothing written outside roots and seal".to_owned(),
        found: plural(count, "stray write", "stray writes"),
        met: count == 0,
        origin: "--guard".to_owned(),
    }
}
