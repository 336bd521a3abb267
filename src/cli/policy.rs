//! `policy digest`, `policy check` and `policy roots`.

use std::fmt::Write as _;

use super::arguments::{PolicyArgument, PolicyCommand, PolicyRootsArguments};
use super::outcome::Outcome;
use crate::base::{Exit, plural};
use crate::checkout::{Checkout, Context, Failure};
use crate::policy::Lint;
use crate::report::{Head, PolicyCheckReport, PolicyDigestReport, PolicyFinding, PolicyRoot, PolicyRootsReport};

pub(super) fn run(command: &PolicyCommand, context: &Context) -> Result<Outcome, Failure> {
    match command {
        PolicyCommand::Digest(arguments) => digest(arguments, context),
        PolicyCommand::Check(arguments) => check(arguments, context),
        PolicyCommand::Roots(arguments) => roots(arguments, context),
    }
}

fn digest(arguments: &PolicyArgument, context: &Context) -> Result<Outcome, Failure> {
    let digest = Checkout::load(&arguments.policy, context)?.digest.to_string();
    let report = PolicyDigestReport { head: Head::of("policy digest", Exit::Ok), sha256: digest.clone() };
    Ok(Outcome::of(Exit::Ok, format!("{digest}\n"), &report).into_product())
}

/// A policy that does not hold together is an error before this; here is only what is unwise.
fn check(arguments: &PolicyArgument, context: &Context) -> Result<Outcome, Failure> {
    let lints = Checkout::load(&arguments.policy, context)?.policy.lints(context.now);
    let mut text = String::new();
    for lint in &lints {
        let _ = writeln!(text, "finding[{}]: {}: {}", lint.code, lint.origin, lint.message);
    }
    let _ = match lints.len() {
        0 => writeln!(text, "clean: nothing to find in the policy"),
        count => writeln!(text, "{}; see docs/POLICY.md", plural(count as u64, "finding", "findings")),
    };
    let exit = if lints.is_empty() { Exit::Ok } else { Exit::Findings };
    let findings =
        lints.iter().map(|Lint { code, origin, message }| PolicyFinding { code: *code, origin, message }).collect();
    Ok(Outcome::of(exit, text, &PolicyCheckReport { head: Head::of("policy check", exit), findings }))
}

/// For scripts that have to name the roots, so that nobody has to write them a second time.
fn roots(arguments: &PolicyRootsArguments, context: &Context) -> Result<Outcome, Failure> {
    let checkout = Checkout::load(&arguments.policy.policy, context)?;
    checkout.policy.cache(&arguments.cache)?;
    let roots = checkout.roots(&arguments.cache);
    let text: String = roots.iter().flat_map(|placed| [placed.root.spelling.as_str(), "\n"]).collect();
    let listed = roots
        .iter()
        .map(|placed| PolicyRoot { root: &placed.root.spelling, path: placed.absolute.to_string_lossy().into_owned() });
    let head = Head::of("policy roots", Exit::Ok);
    let report = PolicyRootsReport { head, cache: &arguments.cache, roots: listed.collect() };
    Ok(Outcome::of(Exit::Ok, text, &report))
}
