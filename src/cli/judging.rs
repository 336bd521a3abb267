//! What becomes of a verdict, for the command line and the guard.

use crate::base::{Escaped, Refusal, Refusals};
use crate::cache::Verification;
use crate::checkout::{Checkout, Context};
use crate::guard::{Demand, Disposed};
use crate::report::VerifyReport;
use crate::tree::Disposal;

/// A verdict as a report.
pub(super) fn report(demand: &Demand, found: Verification) -> VerifyReport {
    VerifyReport::new("verify", (&demand.cache, &demand.gate), found, demand.explain, demand.allow_miss)
}

/// A verdict from a single refusal, with which nothing else was looked at.
pub(super) fn refused(demand: &Demand, context: &Context, refusal: Refusal, note: &str) -> VerifyReport {
    let mut refusals = Refusals::streamed(context.limits.refusals_max, context.differences.as_ref());
    refusals.push(refusal);
    let found = Verification { refusals, facts: None, coverage: None, rules: Vec::new(), kept: None };
    let disposal = if demand.on_refusal == Disposal::Keep { Vec::new() } else { vec![note.to_owned()] };
    report(demand, found).with(None, disposal)
}

/// Takes a refused cache away and says what was done.
pub(super) fn dispose(demand: &Demand, checkout: &Checkout) -> Disposed {
    let done = match demand.on_refusal {
        Disposal::Keep => return Disposed::default(),
        Disposal::Quarantine => "roots and seal were moved into `.cacheseal-refused-*` beside them",
        Disposal::Purge => "roots and seal were deleted",
    };
    let (aside, failures) = checkout.workspace.dispose(&demand.cache, checkout.roots(&demand.cache), demand.on_refusal);
    if failures.is_empty() {
        return Disposed { told: vec![done.to_owned()], gone: true, aside };
    }
    let tell =
        |failure: &Refusal| format!("{}: {} is still there: {}", failure.code, Escaped(&failure.place), failure.found);
    Disposed { told: failures.iter().map(tell).collect(), gone: false, aside }
}
