//! `unpack`.

use super::archive_input::{ArchiveInput, chosen};
use super::arguments::UnpackArguments;
use super::interrupt::{Interrupt, interruption};
use super::outcome::Outcome;
use crate::cache::{ArchiveRequest, UnpackError, UnpackRequest, unpack};
use crate::checkout::{Checkout, Context, Failure, named_revocations};
use crate::report::{VerifyReport, verdict_text};

/// Nothing was written when policy, keys, revocations and lockfiles are read, so they are believed.
pub(super) fn run(arguments: &UnpackArguments, context: &Context) -> Result<Outcome, Failure> {
    let mut checkout = Checkout::load(&arguments.policy.policy, context)?;
    for path in &arguments.revocations {
        checkout.policy.recall(named_revocations(path, context)?.0);
    }
    let caches = checkout.policy.caches().map(|cache| cache.name.as_str());
    let cache = chosen("cache", arguments.cache.as_deref(), caches)?.to_owned();
    let gates = checkout.policy.gates().map(|gate| gate.name.as_str());
    let gate = chosen("gate", arguments.gate.as_deref(), gates)?.to_owned();
    let edge = checkout.policy.edge(&cache, &gate)?;
    let input = ArchiveInput::open(&arguments.archive)?;
    let interrupt = Interrupt::listen()?;
    let request = UnpackRequest {
        archive: ArchiveRequest {
            workspace: &checkout.workspace,
            edge: &edge,
            roots: checkout.roots(&cache),
            name: &input.name,
            seal: None,
            mapped: &[],
            expected: arguments.places.expected(),
            now: context.now,
            platform: context.platform.clone(),
            window_log_max: arguments.window.window_log_max,
            processors: context.processors,
            limits: &context.limits,
            differences: None,
        },
        replace: arguments.replace,
        interrupted: &interrupt.flag,
    };
    let unpacked = unpack(&request, interrupt.reader(input.source)?).map_err(|error| failure(&error))?;
    // From here on nothing changes the verdict.
    let report = VerifyReport::of_unpacked((&cache, &gate), unpacked, arguments.explain);
    Ok(Outcome::of(report.exit, verdict_text(&report), &report))
}

fn failure(error: &UnpackError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string());
    match error {
        UnpackError::Interrupted => interruption(),
        UnpackError::NotEmpty { .. } => failure.hint("say `--replace` to put a trusted archive in its place"),
        UnpackError::Busy { .. } => failure.hint("run again when it has ended"),
        _ => failure.hint("nothing has changed; mend that and run again"),
    }
}
