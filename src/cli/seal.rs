//! `seal`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::arguments::SealArguments;
use super::guard::{ask_for_base, note_seal, unknown_root};
use super::key_file::secret_key;
use super::outcome::Outcome;
use super::system::{options, source};
use crate::base::{Code, Escaped, Exit, plural};
use crate::cache::{SealError, SealRequest, Sealed, VerifyRequest, Vouched, cosign, seal_cache};
use crate::checkout::{Checkout, Context, Failure};
use crate::guard::Sealing;
use crate::identity::SecretKey;
use crate::report::{Asker, Head, RefusedReport, SealedReport, bytes_text, refusals_text};
use crate::tree::Options;

pub(super) fn run(arguments: &SealArguments, context: &Context) -> Result<Outcome, Failure> {
    let mut checkout = Checkout::load(&arguments.policy.policy, context)?;
    let elsewhere = elsewhere(arguments, &mut checkout)?;
    let cache = checkout.policy.cache(&arguments.cache)?;
    let key = secret_key(&arguments.key, &context.limits)?;
    let keyid = key.public().id();
    let signer = checkout.policy.signer_of(&keyid).ok_or(SealError::UnknownSigner(keyid))?;
    let bindings = bindings(&arguments.bind)?;
    let guard = Sealing { policy: &checkout.policy, signer: &signer.name, bindings: &bindings };
    if arguments.guard
        && let Err(refusals) = ask_for_base(arguments, checkout.digest, &guard, &elsewhere, &context.limits)?
    {
        return refused(&arguments.cache, SealError::Refused(refusals), Asker::Maker);
    }
    let sealed = if arguments.add_signature {
        add_signature(arguments, context, &checkout, &key, bindings.clone())?
    } else {
        seal_cache(&SealRequest {
            workspace: &checkout.workspace,
            policy: &checkout.policy,
            cache,
            roots: checkout.roots(&arguments.cache),
            key: &key,
            platform: context.platform.clone(),
            source: source(),
            now: context.now,
            bindings: bindings.clone(),
            version: env!("CARGO_PKG_VERSION"),
            // A guard has looked at the files, and would find them changed.
            options: Options { clears_others_write: !arguments.guard, ..options(arguments.walk.threads, context) },
        })
    };
    let sealed = match sealed {
        Ok(sealed) => sealed,
        Err(error) => {
            let asker = if arguments.add_signature { Asker::VERIFIER } else { Asker::Maker };
            return refused(&arguments.cache, error, asker);
        }
    };
    if arguments.guard
        && let Err(refusals) = note_seal(arguments, checkout.digest, &sealed.statement, &context.limits)?
    {
        return refused(&arguments.cache, SealError::Refused(refusals), Asker::Maker);
    }
    Ok(outcome(&arguments.cache, &key, &sealed))
}

/// The directories of `--root`, absolute, and has each taken for its root.
fn elsewhere(arguments: &SealArguments, checkout: &mut Checkout) -> Result<Vec<(PathBuf, String)>, Failure> {
    checkout.policy.cache(&arguments.cache)?;
    let here = std::env::current_dir()
        .map_err(|error| Failure::new(Code::Unreadable, format!("the current directory: {error}")))?;
    let mut taken: Vec<(PathBuf, String)> = Vec::new();
    for (place, root) in &arguments.root {
        if !checkout.roots(&arguments.cache).iter().any(|placed| placed.root.spelling == *root) {
            return Err(unknown_root(root));
        }
        if taken.iter().any(|(_, before)| before == root) {
            let message = format!("expected each root once, found `{}` twice", Escaped(root.as_bytes()));
            return Err(Failure::new(Code::Usage, message));
        }
        let place = here.join(place);
        checkout.workspace.take_for_root(root, place.clone());
        taken.push((place, root.clone()));
    }
    Ok(taken)
}

/// The pairs of `--bind`. A name that is said twice has no value that anyone could rely on.
fn bindings(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut bindings = BTreeMap::new();
    for (name, value) in pairs {
        if bindings.insert(name.clone(), value.clone()).is_some() {
            let message = format!("expected each name of `--bind` once, found `{}` twice", Escaped(name.as_bytes()));
            return Err(Failure::new(Code::Usage, message));
        }
    }
    Ok(bindings)
}

fn refused(cache: &str, error: SealError, asker: Asker<'_>) -> Result<Outcome, Failure> {
    let SealError::Refused(refusals) = error else { return Err(error.into()) };
    let text = format!("refused: cache `{cache}` was not sealed\n{}", refusals_text(&refusals, asker));
    Ok(Outcome::of(refusals.exit(), text, &RefusedReport::new("seal", "refused", cache, refusals)))
}

/// Adds a signature, after a verification of the job's own: of seal and roots, against its own checkout.
fn add_signature(
    arguments: &SealArguments,
    context: &Context,
    checkout: &Checkout,
    key: &SecretKey,
    bindings: BTreeMap<String, String>,
) -> Result<Result<Sealed, SealError>, Failure> {
    let edge = checkout.policy.edge_to_cosign(&arguments.cache)?;
    let request = VerifyRequest {
        workspace: &checkout.workspace,
        edge: &edge,
        roots: checkout.roots(&arguments.cache),
        lockfiles_pinned: true,
        locked: None,
        now: context.now,
        platform: context.platform.clone(),
        keep: false,
        options: options(arguments.walk.threads, context),
    };
    let signer = checkout.policy.signer_of(&key.public().id()).map(|signer| signer.name.clone()).unwrap_or_default();
    let vouched = Vouched { bindings, ref_: source().ref_ };
    Ok(cosign(&request, &vouched, key).map(|statement| Sealed { signer, statement, closed: 0, warnings: Vec::new() }))
}

fn outcome(cache: &str, key: &SecretKey, sealed: &Sealed) -> Outcome {
    let roots = &sealed.statement.predicate.roots;
    let entries = roots.iter().map(|root| root.entries).sum();
    let bytes = roots.iter().map(|root| root.bytes).sum();
    let keyid = key.public().id();
    let mut text = format!(
        "sealed: cache `{cache}` by `{}` (key {})\n  {} in {}, {}\n",
        sealed.signer,
        keyid.short(),
        plural(entries, "entry", "entries"),
        plural(roots.len() as u64, "root", "roots"),
        bytes_text(bytes),
    );
    if sealed.closed > 0 {
        let entries = plural(sealed.closed, "of these entries", "of these entries");
        let _ = writeln!(text, "  took the permission of others to write from {entries}");
    }
    for warning in &sealed.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let report = SealedReport {
        head: Head::with("seal", Exit::Ok, "sealed"),
        cache,
        signer: &sealed.signer,
        keyid: keyid.to_string(),
        entries,
        bytes,
        sealed_at: sealed.statement.predicate.sealed_at.to_string(),
        closed_to_others: sealed.closed,
        warnings: &sealed.warnings,
    };
    Outcome::of(Exit::Ok, text, &report)
}
