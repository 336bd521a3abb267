//! `verify`.

use std::path::PathBuf;

use super::arguments::VerifyArguments;
use super::differences::Differences;
use super::guard::ask_to_verify;
use super::judging::{dispose, refused, report};
use super::outcome::Outcome;
use super::reports::{self, Reports};
use super::system::to_stdout;
use crate::base::{Code, Refusal};
use crate::checkout::{Checkout, Context, Failure, OpenError, Trust, named_revocations};
use crate::guard::Demand;
use crate::identity::{Shown, redact};
use crate::report::{Format, VerifyReport};

pub(super) fn run(arguments: &VerifyArguments, context: &Context, format: &Format) -> Result<Outcome, Failure> {
    let reports = Reports { files: &arguments.report, policy: &arguments.policy.policy, context };
    let begin = |path: &PathBuf| Differences::begin(path, &arguments.policy.policy, context);
    let mut differences = arguments.differences.as_ref().map(begin);
    match verified(arguments, context, &mut differences) {
        Ok(mut report) => {
            // What the guard could not write to the end takes no file's place.
            if report.unwritten.is_empty() {
                report.unwritten.extend(differences.and_then(Differences::put));
            }
            Ok(reports::finish(report, format, &reports))
        }
        Err(failure) => {
            // What of an archive is left to the policy to say, it may not have come to.
            let cache = arguments.cache.as_ref().or(arguments.archive.archive_cache.as_ref());
            let (cache, gate) = (cache.map_or("", String::as_str), arguments.gate.as_deref().unwrap_or(""));
            // Text goes to stderr, and JSON is shown as for every command.
            if !["text", "json"].contains(&format.name) {
                let report = (format.error)(&reports::error_report(&failure, "verify", cache, gate));
                let _ = to_stdout(&redact(&report, Shown::Message));
            }
            // Without a verdict there is no difference either.
            let unwritten = differences.and_then(|differences| differences.restart().put());
            Err(unwritten.into_iter().fold(reports::fail(failure, cache, gate, &reports), Failure::hint))
        }
    }
}

/// An archive by the checkout, directories by the guard or by the policy on disk.
fn verified(
    arguments: &VerifyArguments,
    context: &Context,
    differences: &mut Option<Differences>,
) -> Result<VerifyReport, Failure> {
    let stream = differences.as_ref().and_then(Differences::stream);
    if let Some(archive) = &arguments.archive.archive {
        return super::verify_archive::run(archive, arguments, &Context { differences: stream, ..context.clone() });
    }
    let (Some(cache), Some(gate)) = (&arguments.cache, &arguments.gate) else {
        return Err(Failure::new(Code::Usage, "expected CACHE and `--gate GATE`"));
    };
    let demand = Demand {
        cache: cache.clone(),
        gate: gate.clone(),
        explain: arguments.explain,
        allow_miss: arguments.allow_miss,
        on_refusal: arguments.on_refusal.into(),
        threads: arguments.walk.threads,
    };
    if arguments.pin.guard {
        ask_to_verify(arguments, &demand, context, differences)
    } else {
        let context = Context { differences: stream, threads: demand.threads, ..context.clone() };
        verify_here(arguments, &demand, &context)
    }
}

/// Verifies by the policy on disk, which the command line says why to believe.
fn verify_here(arguments: &VerifyArguments, demand: &Demand, context: &Context) -> Result<VerifyReport, Failure> {
    let trust = match (arguments.pin.policy_sha256, arguments.pin.trust_checkout) {
        (Some(pin), _) => Trust::Sha256(pin),
        (None, true) => Trust::Checkout,
        (None, false) => return Err(unpinned()),
    };
    let mut checkout = match Checkout::open(&arguments.policy.policy, trust, context) {
        Ok(checkout) => checkout,
        Err(OpenError::Failure(failure)) => return Err(failure),
        Err(OpenError::Changed(refusal)) => return Ok(changed(demand, context, refusal)),
    };
    for path in &arguments.revocations {
        checkout.policy.recall(named_revocations(path, context)?.0);
    }
    let verification = checkout.verify(&demand.cache, &demand.gate, context)?;
    // From here on nothing changes the verdict.
    let disposal = if verification.exit().is_refusal() { dispose(demand, &checkout).told } else { Vec::new() };
    Ok(report(demand, verification).with(None, disposal))
}

fn unpinned() -> Failure {
    Failure::new(
        Code::UnpinnedPolicy,
        "expected to be told why the policy on disk can be believed: a restore can overwrite it",
    )
    .hint("in CI, start a guard before the restore and say `--guard`")
    .hint("or say `--policy-sha256` with what `cacheseal policy digest` printed for the reviewed commit")
    .hint("where nothing was restored over the checkout, as at a desk, say `--trust-checkout`")
}

/// The policy is not the pinned one. Its roots are not touched either: they are not ours to believe.
fn changed(demand: &Demand, context: &Context, refusal: Refusal) -> VerifyReport {
    let note = "roots and seal were left alone: the policy that names them is not the pinned one";
    refused(demand, context, refusal, note)
}
