//! Verifying, as the command line and the guard both do it.

use super::context::Context;
use super::failure::Failure;
use super::setup::Setup;
use crate::base::{Escaped, Limits, Refusal, Refusals, Stream};
use crate::cache::{Verification, VerifyRequest, verify};
use crate::guard::{Demand, Disposed};
use crate::report::VerifyReport;
use crate::tree::{Disposal, Options};
use crate::verify::Rule;

/// Verifies a cache. `believed` says why the policy is, as the first of the rules. A guard keeps what it trusts.
pub(super) fn judge(
    demand: &Demand,
    setup: &Setup,
    believed: Rule,
    (lockfiles_pinned, keep): (bool, bool),
    limits: &Limits,
    differences: Option<&Stream>,
) -> Result<Verification, Failure> {
    let edge = setup.policy.edge(&demand.cache, &demand.gate)?;
    let is_proven = edge.gate.require.lockfile && lockfiles_pinned;
    let locked = is_proven.then(|| setup.locked(edge.cache, limits)).transpose()?;
    let mut verification = verify(&VerifyRequest {
        workspace: &setup.workspace,
        edge: &edge,
        roots: setup.roots(&demand.cache),
        lockfiles_pinned,
        locked: locked.as_ref(),
        now: Context::now(),
        platform: Context::platform(),
        keep,
        options: Options { differences, ..Context::options(demand.threads, limits) },
    });
    verification.rules.insert(0, believed);
    Ok(verification)
}

/// A verdict as a report.
pub(super) fn report(demand: &Demand, found: Verification) -> VerifyReport {
    VerifyReport::new("verify", (&demand.cache, &demand.gate), found, demand.explain, demand.allow_miss)
}

/// A verdict from a single refusal, with which nothing else was looked at.
pub(super) fn refused(
    demand: &Demand,
    context: &Context,
    refusal: Refusal,
    note: &str,
    differences: Option<&Stream>,
) -> VerifyReport {
    let mut refusals = Refusals::streamed(context.limits.refusals_max, differences);
    refusals.push(refusal);
    let found = Verification { refusals, facts: None, coverage: None, rules: Vec::new(), kept: None };
    let disposal = if demand.on_refusal == Disposal::Keep { Vec::new() } else { vec![note.to_owned()] };
    report(demand, found).with(None, disposal)
}

/// Takes a refused cache away and says what was done.
pub(super) fn dispose(demand: &Demand, setup: &Setup) -> Disposed {
    let done = match demand.on_refusal {
        Disposal::Keep => return Disposed::default(),
        Disposal::Quarantine => "roots and seal were moved into `.cacheseal-refused-*` beside them",
        Disposal::Purge => "roots and seal were deleted",
    };
    let (aside, failures) = setup.workspace.dispose(&demand.cache, setup.roots(&demand.cache), demand.on_refusal);
    if failures.is_empty() {
        return Disposed { told: vec![done.to_owned()], gone: true, aside };
    }
    let tell =
        |failure: &Refusal| format!("{}: {} is still there: {}", failure.code, Escaped(&failure.place), failure.found);
    Disposed { told: failures.iter().map(tell).collect(), gone: false, aside }
}
