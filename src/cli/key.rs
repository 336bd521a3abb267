//! `key new` and `key show`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::arguments::{KeyCommand, KeyNewArguments, KeyShowArguments};
use super::context::{Context, random_seed, shown, split};
use super::failure::{Failure, key_failure};
use super::outcome::Outcome;
use super::setup::{Setup, policy_directory};
use crate::base::{Code, Exit};
use crate::identity::{KeyError, PublicKey, SecretKey};
use crate::policy::Signer;
use crate::tree::{Directory, ReadError, read_named_file};

pub(super) fn run(command: &KeyCommand, context: &Context) -> Result<Outcome, Failure> {
    match command {
        KeyCommand::New(arguments) => new(arguments),
        KeyCommand::Show(arguments) => show(arguments, context),
    }
}

/// A key pair whose halves are where they belong.
pub(super) struct NewKey {
    pub(super) key: SecretKey,
    /// The public half, relative to the policy's directory.
    pub(super) public_file: String,
}

fn new(arguments: &KeyNewArguments) -> Result<Outcome, Failure> {
    let directory = policy_directory(&arguments.policy.policy)?;
    let directory = Directory::open(&directory)
        .map_err(|error| Failure::new(Code::Unreadable, format!("{}: {error}", shown(&directory))))?;
    let made = make(&arguments.name, &arguments.out, &directory)?;
    let keyid = made.key.public().id();
    let to_stdout = arguments.out == Path::new("-");
    let mut text = format!("key {} of `{}`: {}\n", keyid, arguments.name, made.public_file);
    if to_stdout {
        super::context::to_stderr(&text);
        text = format!("{}\n", *made.key.to_line());
    }
    let json = json!({
        "version": 1, "command": "key new", "name": arguments.name, "keyid": keyid.to_string(), "public": made.public_file,
        "private": if to_stdout { made.key.to_line().to_string() } else { arguments.out.to_string_lossy().into_owned() },
    });
    Ok(Outcome { exit: Exit::Ok, output: text.into_bytes(), json })
}

/// Makes a key. The private half is written first: a public key whose private half is lost helps nobody, while
/// a private key whose public half is not yet there is merely not in use.
pub(super) fn make(name: &str, out: &Path, policy_directory: &Directory) -> Result<NewKey, Failure> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        let found = shown(Path::new(name));
        return Err(Failure::new(
            Code::Usage,
            format!("expected a key name of lower-case letters, digits and `-`, found {found}"),
        ));
    }
    let public_name = format!("{name}.pub");
    let public_file = format!("keys/{public_name}");
    let keys = policy_directory.create_directory("keys").map_err(|error| unwritable("keys", &error))?;
    if keys.kind_of(&public_name).map_err(|error| unwritable(&public_file, &error))?.is_some() {
        return Err(exists(&public_file));
    }
    let key = SecretKey::from_seed(random_seed()?);
    if out != Path::new("-") {
        let (directory, file) = split(out)?;
        let directory = Directory::open(&directory).map_err(|error| unwritable(&file, &error))?;
        directory.create_file(&file, true, key.to_pem().as_bytes()).map_err(|error| unwritable(&file, &error))?;
    }
    keys.create_file(&public_name, false, key.public().to_pem().as_bytes())
        .map_err(|error| unwritable(&public_file, &error))?;
    Ok(NewKey { key, public_file })
}

fn exists(name: &str) -> Failure {
    Failure::new(Code::FileExists, format!("{} exists and is never overwritten", shown(Path::new(name))))
        .hint("choose another name, or move the old file away if nothing needs it")
}

/// A file that could not be made: because it is there, or for the system's reason.
pub(super) fn unwritable(name: &str, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return exists(name);
    }
    Failure::new(Code::Unwritable, format!("could not write {}: {error}", shown(Path::new(name))))
}

fn show(arguments: &KeyShowArguments, context: &Context) -> Result<Outcome, Failure> {
    let key = read_public(&arguments.file, context)?;
    let keyid = key.id();
    let mut text = key.to_pem();
    let _ = writeln!(text, "keyid {keyid}");
    // The key can be shown where there is no policy; a policy that is broken is told.
    let policy = match Setup::load(&arguments.policy.policy, context) {
        Ok(setup) => Some(setup.policy),
        Err(failure) if failure.code == Code::NoPolicy => None,
        Err(failure) => return Err(failure),
    };
    let signer = policy.as_ref().and_then(|policy| policy.signer_of(&keyid));
    match (&policy, signer) {
        (None, _) => {}
        (Some(_), None) => text.push_str("the policy does not name this key\n"),
        (Some(_), Some(signer)) => text.push_str(&scope(signer)),
    }
    let json = json!({
        "version": 1, "command": "key show", "keyid": keyid.to_string(), "public": key.to_pem(),
        "signer": signer.map(|signer| signer.name.clone()),
    });
    Ok(Outcome { exit: Exit::Ok, output: text.into_bytes(), json })
}

fn scope(signer: &Signer) -> String {
    let list =
        |globs: &[crate::policy::Glob]| globs.iter().map(|glob| format!("`{glob}`")).collect::<Vec<_>>().join(", ");
    let any = |globs: &Option<Vec<_>>| globs.as_deref().map_or_else(|| "any".to_owned(), list);
    format!(
        "signer `{}`: caches {}, refs {}, jobs {}\n",
        signer.name,
        list(&signer.scope.caches),
        any(&signer.scope.refs),
        any(&signer.scope.jobs)
    )
}

/// The public half of a key file of either kind.
fn read_public(path: &Path, context: &Context) -> Result<PublicKey, Failure> {
    let place = shown(path);
    let (bytes, _) = read_named_file(path, context.limits.setup_bytes_max).map_err(|error| match error {
        ReadError::Absent => Failure::new(Code::NoKey, format!("expected a key at {place}, but it is not there")),
        ReadError::Io(_) => Failure::new(Code::Unreadable, format!("{place}: {error}")),
        _ => Failure::new(Code::MalformedKey, format!("expected a key at {place}, but it {error}")),
    })?;
    let bytes = zeroize::Zeroizing::new(bytes);
    let public = |error: KeyError| key_failure(&place, &error);
    if bytes.windows(11).any(|window| window == b"PRIVATE KEY") {
        return SecretKey::from_pem(&bytes).map(|key| key.public()).map_err(public);
    }
    PublicKey::from_pem(&bytes).map_err(public)
}
