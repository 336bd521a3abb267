//! `key new` and `key show`.

use std::fmt::Write as _;
use std::path::Path;

use super::arguments::{KeyCommand, KeyNewArguments, KeyShowArguments};
use super::key_file::{key_of_file, read_public};
use super::outcome::Outcome;
use super::system::random_seed;
use super::unwritable::{exists, unwritable};
use crate::base::{Code, Exit};
use crate::checkout::{Checkout, Context, Failure, policy_directory, shown, split};
use crate::identity::{SecretKey, Shown, redact};
use crate::policy::Signer;
use crate::report::{Head, KeyNewReport, KeyShowReport};
use crate::tree::Directory;

pub(super) fn run(command: &KeyCommand, context: &Context) -> Result<Outcome, Failure> {
    match command {
        KeyCommand::New(arguments) => new(arguments),
        KeyCommand::Show(arguments) => show(arguments, context),
        KeyCommand::Revoke(arguments) => super::revoke::run(arguments, context),
    }
}

/// A key pair whose halves are where they belong.
pub(super) struct NewKey {
    pub(super) key: SecretKey,
    /// The public half, relative to the policy's directory.
    pub(super) public_file: String,
}

fn new(arguments: &KeyNewArguments) -> Result<Outcome, Failure> {
    let path = policy_directory(&arguments.policy.policy)?;
    let directory =
        Directory::open(&path).map_err(|error| Failure::new(Code::Unreadable, format!("{}: {error}", shown(&path))))?;
    let made = make(&arguments.name, &arguments.out, &directory)?;
    warn_of_checkout(&arguments.out, &path);
    let keyid = made.key.public().id();
    let to_stdout = arguments.out == Path::new("-");
    let mut text = format!(
        "key {keyid} of `{}`: {public}\nhint: name `{public}` in the `keys` of a signer in the policy, and commit both\n",
        arguments.name,
        public = made.public_file
    );
    if to_stdout {
        let _ = super::system::to_stderr(text.as_bytes());
        text = format!("{}\n", *made.key.to_line());
    }
    let private = if to_stdout { made.key.to_line().to_string() } else { arguments.out.to_string_lossy().into_owned() };
    let report = KeyNewReport {
        head: Head::of("key new", Exit::Ok),
        name: &arguments.name,
        keyid: keyid.to_string(),
        public: &made.public_file,
        private,
    };
    let outcome = Outcome::of(Exit::Ok, text, &report);
    if !to_stdout {
        return Ok(outcome);
    }
    let public = path.join(&made.public_file);
    // A public key whose private half nobody got is of no use.
    Ok(Outcome { product: Some(Box::new(move || drop(std::fs::remove_file(public)))), ..outcome })
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
        .inspect_err(|_| remove_key(out))
        .map_err(|error| unwritable(&public_file, &error))?;
    Ok(NewKey { key, public_file })
}

/// Says so where a private key lies in a checkout: sooner or later somebody commits it.
pub(super) fn warn_of_checkout(out: &Path, here: &Path) {
    let Ok((directory, _)) = split(out) else { return };
    let here = std::fs::canonicalize(here).unwrap_or_else(|_| here.to_owned());
    let checkout = here.ancestors().find(|path| path.join(".git").exists()).unwrap_or(&here);
    if out != Path::new("-") && directory.starts_with(checkout) {
        let place = shown(out);
        let warning = format!(
            "warning: the private key {place} lies in the checkout, where somebody will commit it: move it out of there\n"
        );
        // The name may be what was meant to be in the file.
        let _ = super::system::to_stderr(&redact(warning.as_bytes(), Shown::Message));
    }
}

/// Takes a private key away that is of no use, if it is in a file.
pub(super) fn remove_key(out: &Path) {
    if out != Path::new("-") {
        drop(std::fs::remove_file(out));
    }
}

fn show(arguments: &KeyShowArguments, context: &Context) -> Result<Outcome, Failure> {
    if arguments.private_line {
        return private_line(arguments, context);
    }
    let key = read_public(&arguments.file, context)?;
    let keyid = key.id();
    let mut text = key.to_pem();
    let _ = writeln!(text, "keyid {keyid}");
    // The key can be shown where there is no policy; a policy that is broken is told.
    let policy = match Checkout::load(&arguments.policy.policy, context) {
        Ok(checkout) => Some(checkout.policy),
        Err(failure) if failure.code == Code::NoPolicy => None,
        Err(failure) => return Err(failure),
    };
    let signer = policy.as_ref().and_then(|policy| policy.signer_of(&keyid));
    match (&policy, signer) {
        (None, _) => {}
        (Some(_), None) => text.push_str("the policy does not name this key\n"),
        (Some(_), Some(signer)) => text.push_str(&scope(signer)),
    }
    let report = KeyShowReport {
        head: Head::of("key show", Exit::Ok),
        keyid: keyid.to_string(),
        public: key.to_pem(),
        signer: signer.map(|signer| signer.name.as_str()),
        private: None,
    };
    Ok(Outcome::of(Exit::Ok, text, &report))
}

/// For the secrets of a CI system, without a detour by `openssl`.
fn private_line(arguments: &KeyShowArguments, context: &Context) -> Result<Outcome, Failure> {
    let key = key_of_file(&arguments.file, &context.limits)?;
    let line = key.to_line();
    let (keyid, public) = (key.public().id().to_string(), key.public().to_pem());
    let head = Head::of("key show", Exit::Ok);
    let report = KeyShowReport { head, keyid, public, signer: None, private: Some(line.to_string()) };
    Ok(Outcome::of(Exit::Ok, format!("{}\n", *line), &report).into_product())
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
