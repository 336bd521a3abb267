//! `key revoke`.

use super::arguments::KeyRevokeArguments;
use super::key_file::read_public;
use super::outcome::Outcome;
use super::unwritable::unwritable;
use crate::base::{Code, Escaped, Exit};
use crate::checkout::{Checkout, Context, Failure, policy_directory};
use crate::policy::{Policy, REVOCATIONS, Revocations, closest, entry_text};
use crate::report::{Head, KeyRevokeReport};
use crate::tree::{Directory, ReadError};

const FILE: &str = "revoked.toml";

const HEAD: &str =
    "# What is no longer trusted. Append only: an entry that goes away trusts again what it recalled.\nversion = 1\n";

/// Appends an entry. The list that was there must be readable: an entry in a broken list would recall nothing.
pub(super) fn run(arguments: &KeyRevokeArguments, context: &Context) -> Result<Outcome, Failure> {
    let directory = policy_directory(&arguments.policy.policy)?;
    let directory = Directory::open(&directory).map_err(|error| unwritable(REVOCATIONS, &error))?;
    let keys = directory.create_directory("keys").map_err(|error| unwritable("keys", &error))?;
    let before = match keys.read_file(FILE.as_bytes(), context.limits.setup_bytes_max) {
        Ok(text) => text,
        Err(ReadError::Absent) => HEAD.as_bytes().to_vec(),
        Err(error) => return Err(Failure::new(Code::Unreadable, format!("`{REVOCATIONS}` {error}"))),
    };
    Revocations::parse(REVOCATIONS, &before)?;
    let (what, entry) = entry(arguments, context)?;
    let gap: &[u8] = if before.ends_with(b"\n") { b"" } else { b"\n" };
    let after = [&before, gap, entry.as_bytes()].concat();
    // What is written is what is read later: nothing that does not parse goes into the list.
    let count = Revocations::parse(REVOCATIONS, &after)?.len();
    keys.replace_file(FILE, &after).map_err(|error| unwritable(REVOCATIONS, &error))?;
    let text = format!(
        "revoked: {what}, in `{REVOCATIONS}`\nhint: commit it, and give it with `--revocations` where older checkouts are built\n\
         hint: the pin covers the list: where `--policy-sha256` is used, pin what `cacheseal policy digest` prints now\n"
    );
    let head = Head::of("key revoke", Exit::Ok);
    Ok(Outcome::of(Exit::Ok, text, &KeyRevokeReport { head, revoked: &what, entries: count }))
}

/// What is revoked, in words, and its entry.
fn entry(arguments: &KeyRevokeArguments, context: &Context) -> Result<(String, String), Failure> {
    let reason = arguments.reason.as_str();
    if reason.trim().is_empty() {
        return Err(Failure::new(Code::Usage, "expected `--reason` to say why, found nothing"));
    }
    if let (Some(signer), Some(before)) = (&arguments.what.signer, arguments.before) {
        if !arguments.force {
            is_signer(signer, arguments, context)?;
        }
        let before = before.to_string();
        let text = entry_text(&[("signer", signer), ("before", &before)], reason);
        return Ok((format!("what `{}` sealed before {before}", Escaped(signer.as_bytes())), text));
    }
    if let Some(manifest) = arguments.what.manifest {
        let digest = manifest.to_string();
        return Ok((format!("manifest {digest}"), entry_text(&[("manifest", &digest)], reason)));
    }
    let keyid = match (&arguments.what.file, arguments.what.keyid) {
        (Some(file), _) => read_public(file, context)?.id().to_string(),
        (None, Some(keyid)) => keyid.to_string(),
        (None, None) => {
            return Err(Failure::new(Code::Usage, "expected `--keyid`, `--key`, `--manifest` or `--signer`"));
        }
    };
    if !arguments.force {
        is_key(&keyid, arguments, context)?;
    }
    Ok((format!("key {keyid}"), entry_text(&[("keyid", &keyid)], reason)))
}

fn policy(arguments: &KeyRevokeArguments, context: &Context) -> Result<Policy, Failure> {
    let checkout = Checkout::load(&arguments.policy.policy, context);
    checkout
        .map(|checkout| checkout.policy)
        .map_err(|failure| failure.hint("or say `--force` to recall it now, whatever the policy says"))
}

/// A slip would recall nothing, and nobody would know.
fn is_signer(name: &str, arguments: &KeyRevokeArguments, context: &Context) -> Result<(), Failure> {
    let policy = policy(arguments, context)?;
    let names: Vec<_> = policy.signers().map(|signer| signer.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let message =
        format!("expected a signer of the policy ({}), found `{}`", names.join(", "), Escaped(name.as_bytes()));
    let failure = Failure::new(Code::Usage, message);
    let failure = match closest(name, names) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    };
    Err(failure.hint("say `--force` to recall a signer that only other commits name"))
}

fn is_key(keyid: &str, arguments: &KeyRevokeArguments, context: &Context) -> Result<(), Failure> {
    let policy = policy(arguments, context)?;
    if policy.signers().any(|signer| signer.keys.iter().any(|key| key.key.id().to_string() == keyid)) {
        return Ok(());
    }
    let message = format!("expected a key of the policy, found one that no signer has: {keyid}");
    Err(Failure::new(Code::Usage, message).hint("say `--force` to recall a key that only other commits name"))
}
