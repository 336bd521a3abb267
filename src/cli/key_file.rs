//! Keys that the command line names: in files, in a variable, on standard input.

use std::io::Read as _;
use std::path::Path;

use super::arguments::KeySource;
use super::system::variable;

use crate::base::{Code, Escaped, Limits};
use crate::checkout::{Context, Failure, key_failure, shown};
use crate::identity::{KeyError, PublicKey, SecretKey};
use crate::tree::{ReadError, read_named_file};

/// Names of variables that are longer have no small letters; what is left of a key has both.
const MIXED_NAME_BYTES_MAX: usize = 40;

/// The public half of a key file of either kind.
pub(super) fn read_public(path: &Path, context: &Context) -> Result<PublicKey, Failure> {
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

/// The job's key, from where the command line says. What was given in its place may be the key itself, and is not shown.
pub(super) fn secret_key(source: &KeySource, limits: &Limits) -> Result<SecretKey, Failure> {
    match (&source.variable, source.file.as_deref()) {
        (Some(name), _) => key_of_variable(name),
        (None, Some(path)) if path == Path::new("-") => key_of_stdin(limits),
        (None, path) => key_of_file(path.unwrap_or(Path::new("")), limits),
    }
}

fn key_of_variable(name: &str) -> Result<SecretKey, Failure> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let may_be_key = name.len() > MIXED_NAME_BYTES_MAX && name.bytes().any(|byte| byte.is_ascii_lowercase());
    if name.is_empty() || !name.bytes().all(legal) || may_be_key {
        let message = "expected `--key-env` with the name of an environment variable, found something else, which is not \
                       shown: it may be the key";
        return Err(Failure::new(Code::Usage, message).hint("give the name without `$`: `--key-env CACHESEAL_KEY`"));
    }
    let place = format!("environment variable `{name}`");
    let text = variable(name).map(zeroize::Zeroizing::new).filter(|text| !text.trim_ascii().is_empty());
    let Some(text) = text else {
        return Err(Failure::new(Code::NoKey, format!("expected a private key in the {place}, found nothing"))
            .hint("give this job the context that holds the key, and look at the name")
            .hint("builds of forks get no secrets: do not seal there"));
    };
    SecretKey::from_line(&text).map_err(|error| key_failure(&place, &error))
}

fn key_of_stdin(limits: &Limits) -> Result<SecretKey, Failure> {
    let mut text = zeroize::Zeroizing::new(Vec::new());
    std::io::stdin()
        .lock()
        .take(limits.setup_bytes_max)
        .read_to_end(&mut text)
        .map_err(|error| Failure::new(Code::Unreadable, format!("standard input: {error}")))?;
    key_of_text(&text).map_err(|error| key_failure("standard input", &error))
}

/// As PEM, or as the one line.
fn key_of_text(text: &[u8]) -> Result<SecretKey, KeyError> {
    match (SecretKey::from_pem(text), std::str::from_utf8(text)) {
        (Err(KeyError::NotPem { .. }), Ok(text)) => SecretKey::from_line(text),
        (key, _) => key,
    }
}

pub(super) fn key_of_file(path: &Path, limits: &Limits) -> Result<SecretKey, Failure> {
    let place = shown(path);
    let (bytes, mode) = read_named_file(path, limits.setup_bytes_max).map_err(|error| match error {
        ReadError::Absent => {
            Failure::new(Code::NoKey, format!("expected a private key at {place}, but it is not there"))
                .hint("`--key` takes a file, as `cacheseal init` and `cacheseal key new` made it; `--key-env NAME` takes a variable")
        }
        ReadError::Io(_) => Failure::new(Code::Unreadable, format!("{place}: {error}")),
        _ => Failure::new(Code::MalformedKey, format!("expected a private key at {place}, but it {error}")),
    })?;
    let bytes = zeroize::Zeroizing::new(bytes);
    let key = key_of_text(&bytes).map_err(|error| key_failure(&place, &error))?;
    if mode & 0o077 != 0 {
        let message = format!("expected {place} to be readable by its owner alone, found mode {:04o}", mode & 0o7777);
        return Err(Failure::new(Code::ExposedKey, message).hint(format!(
            "run `chmod 600 {}` if nobody else has read it; otherwise make a new key",
            for_shell(path)
        )));
    }
    Ok(key)
}

/// A path as a shell takes it.
pub(super) fn for_shell(path: &Path) -> String {
    let text = Escaped(path.as_os_str().as_encoded_bytes()).to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~+,:=@".contains(&byte);
    if text.bytes().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
