//! `verify --archive`.

use std::path::Path;

use super::archive_input::{ArchiveInput, chosen};
use super::arguments::{ArchiveArguments, VerifyArguments};
use crate::base::Code;
use crate::cache::{ArchiveRequest, verify_archive};
use crate::checkout::{Checkout, Context, Failure, named_revocations, shown};
use crate::policy::PlacedRoot;
use crate::report::VerifyReport;
use crate::tree::{Directory, SealDirectory};

/// Nothing is written, so the checkout is what it was, and its policy and lockfiles are believed.
pub(super) fn run(archive: &Path, arguments: &VerifyArguments, context: &Context) -> Result<VerifyReport, Failure> {
    let mut checkout = Checkout::load(&arguments.policy.policy, context)?;
    for path in &arguments.revocations {
        checkout.policy.recall(named_revocations(path, context)?.0);
    }
    let options = &arguments.archive;
    let caches = checkout.policy.caches().map(|cache| cache.name.as_str());
    let cache = chosen("cache", arguments.cache.as_deref().or(options.archive_cache.as_deref()), caches)?.to_owned();
    let gates = checkout.policy.gates().map(|gate| gate.name.as_str());
    let gate = chosen("gate", arguments.gate.as_deref(), gates)?.to_owned();
    let edge = checkout.policy.edge(&cache, &gate)?;
    let roots = checkout.roots(&cache);
    let mapped = mapped(options, roots)?;
    let seal = options.seal.as_deref().map(open_seal).transpose()?;
    let input = ArchiveInput::open(archive)?;
    let request = ArchiveRequest {
        workspace: &checkout.workspace,
        edge: &edge,
        roots,
        name: &input.name,
        seal: seal.as_ref(),
        mapped: &mapped,
        expected: options.places.expected(),
        now: context.now,
        platform: options.platform.clone().unwrap_or_else(|| context.platform.clone()),
        window_log_max: options.window.window_log_max,
        processors: context.processors,
        limits: &context.limits,
        differences: context.differences.as_ref(),
    };
    let verified = verify_archive(&request, input.source);
    // From here on nothing changes the verdict.
    let (rules, allowed) = (arguments.explain, arguments.allow_miss);
    Ok(VerifyReport::of_archive("verify", (&cache, &gate), verified, rules, allowed))
}

/// The names in the archive that `--root` tells, each with the index of its root.
fn mapped(options: &ArchiveArguments, roots: &[PlacedRoot]) -> Result<Vec<(Vec<u8>, usize)>, Failure> {
    let mut mapped: Vec<(Vec<u8>, usize)> = Vec::new();
    for (prefix, spelling) in &options.root {
        let Some(index) = roots.iter().position(|root| root.root.spelling == *spelling) else {
            let known: Vec<_> = roots.iter().map(|root| format!("`{}`", root.root.spelling)).collect();
            let message = format!(
                "expected a root of the cache in `--root PREFIX=ROOT`, one of {}; found {}",
                known.join(", "),
                shown(Path::new(spelling)),
            );
            return Err(Failure::new(Code::Usage, message));
        };
        if mapped.iter().any(|(_, root)| *root == index) {
            let message = format!("expected one `--root` for each root, found two for {}", shown(Path::new(spelling)));
            return Err(Failure::new(Code::Usage, message));
        }
        mapped.push((prefix.as_bytes().to_vec(), index));
    }
    Ok(mapped)
}

fn open_seal(path: &Path) -> Result<SealDirectory, Failure> {
    Directory::open(path).and_then(SealDirectory::read).map_err(|error| {
        Failure::new(Code::Unreadable, format!("expected a seal's directory at {}: {error}", shown(path)))
    })
}
