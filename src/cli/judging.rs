//! Verifying, as the command line and the guard both do it.

use serde_json::{Value, json};

use super::arguments::{Format, OnRefusal};
use super::context::Context;
use super::failure::Failure;
use super::json_line::json_line;
use super::setup::Setup;
use crate::base::{Escaped, Exit, Limits, Refusal, Refusals};
use crate::cache::{Verification, VerifyRequest, verify};
use crate::report::Report;
use crate::tree::{Disposal, Options};
use crate::verify::Rule;

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    pub(super) cache: String,
    pub(super) gate: String,
    pub(super) explain: bool,
    pub(super) allow_miss: bool,
    pub(super) on_refusal: OnRefusal,
    pub(super) threads: u16,
}

/// A verdict in every form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rendered {
    pub(super) exit: Exit,
    pub(super) text: String,
    pub(super) json: Value,
    pub(super) junit: String,
}

/// Verifies a cache. `believed` says why the policy is, as the first of the rules.
pub(super) fn judge(
    demand: &Demand,
    setup: &Setup,
    believed: Rule,
    lockfiles_pinned: bool,
    limits: &Limits,
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
        options: Options { threads: usize::from(demand.threads), processors: Context::processors(), limits },
    });
    verification.rules.insert(0, believed);
    Ok(verification)
}

/// Shows a verdict. `disposal` says what was done with the cache.
pub(super) fn rendered(
    demand: &Demand,
    verification: &Verification,
    candidates: Option<&Refusals>,
    disposal: Vec<String>,
) -> Rendered {
    let outcome = verification.exit();
    let allowed = outcome == Exit::Miss && demand.allow_miss;
    Rendered::of(&Report {
        command: "verify",
        cache: &demand.cache,
        gate: &demand.gate,
        outcome,
        exit: if allowed { Exit::Ok } else { outcome },
        refusals: &verification.refusals,
        facts: verification.facts.as_ref(),
        coverage: verification.coverage.as_ref(),
        rules: demand.explain.then_some(verification.rules.as_slice()),
        candidates,
        disposal,
        archive: None,
        unpacked: None,
    })
}

/// A verdict from a single refusal, with which nothing else was looked at.
pub(super) fn refused(demand: &Demand, context: &Context, refusal: Refusal, note: &str) -> Rendered {
    let mut refusals = Refusals::new(context.limits.refusals_max);
    refusals.push(refusal);
    let verification = Verification { refusals, facts: None, coverage: None, rules: Vec::new() };
    let disposal = if demand.on_refusal == OnRefusal::Keep { Vec::new() } else { vec![note.to_owned()] };
    rendered(demand, &verification, None, disposal)
}

/// Takes a refused cache away and tells what was done; the second is whether it is gone.
pub(super) fn dispose(demand: &Demand, setup: &Setup) -> (Vec<String>, bool) {
    let (disposal, done) = match demand.on_refusal {
        OnRefusal::Keep => return (Vec::new(), false),
        OnRefusal::Quarantine => {
            (Disposal::Quarantine, "roots and seal were moved into `.cacheseal-refused-*` beside them")
        }
        OnRefusal::Purge => (Disposal::Purge, "roots and seal were deleted"),
    };
    let failures = setup.workspace.dispose(&demand.cache, setup.roots(&demand.cache), disposal);
    if failures.is_empty() {
        return (vec![done.to_owned()], true);
    }
    let tell =
        |failure: &Refusal| format!("{}: {} is still there: {}", failure.code, Escaped(&failure.place), failure.found);
    (failures.iter().map(tell).collect(), false)
}

impl Rendered {
    pub(super) fn of(report: &Report<'_>) -> Self {
        Self { exit: report.exit, text: report.text(), json: report.json(), junit: report.junit() }
    }

    /// In one of the forms.
    pub(super) fn bytes(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Text => self.text.clone().into_bytes(),
            Format::Json => json_line(&self.json),
            Format::Junit => self.junit.clone().into_bytes(),
        }
    }

    /// For the way from the guard to whoever asked.
    pub(super) fn to_json(&self) -> Value {
        json!({ "exit": self.exit.number(), "text": self.text, "json": self.json, "junit": self.junit })
    }

    pub(super) fn of_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            exit: Exit::of_number(value.get("exit")?.as_u64()?)?,
            text: text("text")?,
            json: value.get("json")?.clone(),
            junit: text("junit")?,
        })
    }
}
