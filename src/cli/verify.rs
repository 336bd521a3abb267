//! `verify`.

use super::arguments::{OnRefusal, VerifyArguments};
use super::context::Context;
use super::failure::Failure;
use super::outcome::Outcome;
use super::setup::{Setup, SetupError, named_revocations};
use crate::base::{Code, Exit, Refusal, Refusals};
use crate::cache::{Verification, VerifyRequest, verify};
use crate::report::Report;
use crate::tree::{Disposal, Options};
use crate::verify::Rule;

pub(super) fn run(arguments: &VerifyArguments, context: &Context) -> Result<Outcome, Failure> {
    if let Some(archive) = &arguments.archive.archive {
        return super::verify_archive::run(archive, arguments, context);
    }
    let (Some(cache), Some(gate)) = (&arguments.cache, &arguments.gate) else {
        return Err(Failure::new(Code::Usage, "expected CACHE and `--gate GATE`"));
    };
    let names = Names { cache, gate };
    let mut setup = match (arguments.policy_sha256, arguments.trust_checkout) {
        (Some(pin), _) => match Setup::load_pinned(&arguments.policy.policy, pin, context) {
            Ok(setup) => setup,
            Err(SetupError::Failure(failure)) => return Err(failure),
            Err(SetupError::Changed(refusal)) => return Ok(changed(arguments, names, context, refusal)),
        },
        (None, true) => Setup::load(&arguments.policy.policy, context)?,
        (None, false) => return Err(unpinned()),
    };
    for path in &arguments.revocations {
        setup.policy.recall(named_revocations(path, context)?);
    }
    let edge = setup.policy.edge(cache, gate)?;
    let locked = if edge.gate.require.lockfile && arguments.trust_checkout {
        Some(setup.locked(edge.cache, context)?)
    } else {
        None
    };
    let mut verification = verify(&VerifyRequest {
        workspace: &setup.workspace,
        edge: &edge,
        roots: setup.roots(cache),
        lockfiles_pinned: arguments.trust_checkout,
        locked: locked.as_ref(),
        now: context.now,
        platform: Context::platform(),
        options: Options { threads: usize::from(arguments.walk.threads), limits: &context.limits },
    });
    verification.rules.insert(0, believed(arguments, &setup));
    // From here on nothing changes the verdict.
    let exit = verification.exit();
    let disposal = if exit.is_refusal() { dispose(arguments, cache, &setup) } else { Vec::new() };
    Ok(outcome(arguments, names, &verification, exit, disposal))
}

/// What the command line names.
#[derive(Clone, Copy)]
struct Names<'a> {
    cache: &'a str,
    gate: &'a str,
}

/// Why the policy was believed, as the first of the rules.
fn believed(arguments: &VerifyArguments, setup: &Setup) -> Rule {
    let (expected, origin) = match arguments.policy_sha256 {
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
    .hint("in CI, say `--policy-sha256` with what `cacheseal policy digest` printed for the reviewed commit")
    .hint("where nothing was restored over the checkout, as at a desk, say `--trust-checkout`")
}

/// The policy is not the pinned one. Its roots are not touched either: they are not ours to believe.
fn changed(arguments: &VerifyArguments, names: Names<'_>, context: &Context, refusal: Refusal) -> Outcome {
    let mut refusals = Refusals::new(context.limits.refusals_max);
    refusals.push(refusal);
    let verification = Verification { refusals, facts: None, coverage: None, rules: Vec::new() };
    let exit = verification.exit();
    let note = "roots and seal were left alone: the policy that names them is not the pinned one".to_owned();
    let disposal = if arguments.on_refusal == OnRefusal::Keep { Vec::new() } else { vec![note] };
    outcome(arguments, names, &verification, exit, disposal)
}

fn outcome(
    arguments: &VerifyArguments,
    names: Names<'_>,
    verification: &Verification,
    outcome: Exit,
    disposal: Vec<String>,
) -> Outcome {
    let allowed = outcome == Exit::Miss && arguments.allow_miss;
    let report = Report {
        command: "verify",
        cache: names.cache,
        gate: names.gate,
        outcome,
        exit: if allowed { Exit::Ok } else { outcome },
        refusals: &verification.refusals,
        facts: verification.facts.as_ref(),
        coverage: verification.coverage.as_ref(),
        rules: arguments.explain.then_some(verification.rules.as_slice()),
        disposal,
        archive: None,
        unpacked: None,
    };
    Outcome { exit: report.exit, output: report.text().into_bytes(), json: report.json() }
}

/// Takes a refused cache away and tells what was done.
fn dispose(arguments: &VerifyArguments, cache: &str, setup: &Setup) -> Vec<String> {
    let (disposal, done) = match arguments.on_refusal {
        OnRefusal::Keep => return Vec::new(),
        OnRefusal::Quarantine => {
            (Disposal::Quarantine, "roots and seal were moved into `.cacheseal-refused-*` beside them")
        }
        OnRefusal::Purge => (Disposal::Purge, "roots and seal were deleted"),
    };
    let failures = setup.workspace.dispose(cache, setup.roots(cache), disposal);
    if failures.is_empty() {
        return vec![done.to_owned()];
    }
    let tell = |failure: &Refusal| {
        let place = crate::base::Escaped(&failure.place);
        format!("{}: {place} is still there: {}", failure.code, failure.found)
    };
    failures.iter().map(tell).collect()
}
