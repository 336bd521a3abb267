//! The decision about a restored cache, in the one order that is safe.

use super::{Guard, Settled, Strays};
use crate::base::{Code, Exit, Refusals, plural};
use crate::cache::Verification;
use crate::verify::{Amount, Coverage, Rule};

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

impl Guard {
    /// Looks at everything outside the cache, verifies it, takes note of the outcome, and only then takes a refused
    /// cache away. In this order, whatever is read is at least as new as what was looked at, and nothing that happens
    /// after the verification changes the verdict.
    ///
    /// `dispose` says in words what it did, and whether the cache is gone.
    pub fn decide<E>(
        &mut self,
        cache: &str,
        verify: impl FnOnce(&Strays) -> Result<Verification, E>,
        dispose: impl FnOnce() -> (Vec<String>, bool),
    ) -> Result<Decision, E> {
        let strays = self.strays(Some(cache));
        let mut verification = verify(&strays)?;
        verification.rules.insert(1, no_strays(&strays));
        let settled = match verification.exit() {
            Exit::Ok if leaves_unproven(&verification) => Settled::Unproven,
            Exit::Ok => Settled::Trusted,
            Exit::Miss => Settled::Miss,
            _ => Settled::Refused,
        };
        let found = strays.refusals.clone();
        let clean = self.is_report_only() || found.is_empty();
        if !self.is_report_only() {
            verification.refusals.append(found.clone());
        }
        self.settle(cache, settled, strays);
        let mut disposal = Vec::new();
        if verification.exit().is_refusal() {
            let (told, gone) = dispose();
            disposal = told;
            if gone && clean {
                self.disposed(cache);
            }
        }
        Ok(Decision { verification, candidates: self.is_report_only().then_some(found), disposal })
    }
}

/// Whether a gate that wants no signature has let something pass that nothing proves.
fn leaves_unproven(verification: &Verification) -> bool {
    let proven = |coverage: &Coverage| coverage.unproven == Amount::default();
    verification.facts.is_none() && !verification.coverage.as_ref().is_some_and(proven)
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
