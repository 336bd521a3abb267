//! `verify`.

use std::path::PathBuf;

use super::arguments::VerifyArguments;
use super::context::{Context, to_stdout};
use super::differences::Differences;
use super::failure::Failure;
use super::guard::ask_to_verify;
use super::judging::{dispose, judge, refused, report};
use super::outcome::Outcome;
use super::reports::{self, Reports};
use super::setup::{Setup, SetupError, named_revocations};
use crate::base::{Code, Refusal, Stream};
use crate::guard::Demand;
use crate::report::{Format, VerifyReport};
use crate::verify::Rule;

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
                to_stdout(&(format.error)(&failure.report("verify", cache, gate)));
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
        return super::verify_archive::run(archive, arguments, context, stream.as_ref());
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
        verify_here(arguments, &demand, context, stream.as_ref())
    }
}

/// Verifies by the policy on disk, which the command line says why to believe.
fn verify_here(
    arguments: &VerifyArguments,
    demand: &Demand,
    context: &Context,
    differences: Option<&Stream>,
) -> Result<VerifyReport, Failure> {
    let mut setup = match (arguments.pin.policy_sha256, arguments.pin.trust_checkout) {
        (Some(pin), _) => match Setup::load_pinned(&arguments.policy.policy, pin, context) {
            Ok(setup) => setup,
            Err(SetupError::Failure(failure)) => return Err(failure),
            Err(SetupError::Changed(refusal)) => return Ok(changed(demand, context, refusal, differences)),
        },
        (None, true) => Setup::load(&arguments.policy.policy, context)?,
        (None, false) => return Err(unpinned()),
    };
    for path in &arguments.revocations {
        setup.policy.recall(named_revocations(path, context)?.0);
    }
    let believed = believed(arguments, &setup);
    let pinned = (arguments.pin.trust_checkout, false);
    let verification = judge(demand, &setup, believed, pinned, &context.limits, differences)?;
    // From here on nothing changes the verdict.
    let disposal = if verification.exit().is_refusal() { dispose(demand, &setup).told } else { Vec::new() };
    Ok(report(demand, verification).with(None, disposal))
}

/// Why the policy was believed, as the first of the rules.
fn believed(arguments: &VerifyArguments, setup: &Setup) -> Rule {
    let (expected, origin) = match arguments.pin.policy_sha256 {
        Some(pin) => (format!("policy and the files it names of sha256 {pin}"), "--policy-sha256"),
        None => ("a checkout that nothing has written to".to_owned(), "--trust-checkout"),
    };
    let found = format!("sha256 {}", setup.digest);
    Rule { code: Code::PolicyChanged, expected, found, met: true, origin: origin.to_owned() }
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
fn changed(demand: &Demand, context: &Context, refusal: Refusal, differences: Option<&Stream>) -> VerifyReport {
    let note = "roots and seal were left alone: the policy that names them is not the pinned one";
    refused(demand, context, refusal, note, differences)
}
