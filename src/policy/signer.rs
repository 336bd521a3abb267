//! `[signer.NAME]`: who may seal, and what.

use std::collections::BTreeMap;

use toml::Spanned;

use super::path::check_file;
use super::shape::{SignerShape, Table, Text, Texts};
use super::source::{Source, quoted};
use super::validity::parse_day;
use super::{Glob, PolicyError, Validity};
use crate::base::Code;
use crate::identity::{KeyError, KeyId, PublicKey};

/// Most keys of a signer. Two are enough to rotate.
const KEYS_MAX: usize = 16;

/// A job, and the keys that are its alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The name.
    pub name: String,
    /// Its public keys, in the policy's order.
    pub keys: Vec<SignerKey>,
    /// What it may seal.
    pub scope: Scope,
    /// Where the fields stand.
    pub lines: SignerLines,
}

/// The lines of a signer's fields; that of its keys where a field is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignerLines {
    /// `keys`
    pub keys: usize,
    /// `caches`
    pub caches: usize,
    /// `refs`
    pub refs: usize,
    /// `jobs`
    pub jobs: usize,
}

/// A public key and the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerKey {
    /// Path of the file, relative to the policy's directory.
    pub file: String,
    /// The key.
    pub key: PublicKey,
    /// When it may be used.
    pub validity: Validity,
    /// The line that names it.
    pub line: usize,
}

/// What a signer may seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Names of caches.
    pub caches: Vec<Glob>,
    /// Branches and tags, as `refs/heads/main`; none if any will do.
    pub refs: Option<Vec<Glob>>,
    /// Jobs; none if any will do.
    pub jobs: Option<Vec<Glob>>,
}

impl Scope {
    /// Whether the cache of this name may be sealed.
    #[must_use]
    pub fn allows_cache(&self, name: &str) -> bool {
        self.caches.iter().any(|glob| glob.matches(name))
    }

    /// Whether a seal may say this branch or tag. One that says none is good only where any will do.
    #[must_use]
    pub fn allows_ref(&self, name: Option<&str>) -> bool {
        allows(self.refs.as_deref(), name)
    }

    /// Whether a seal may say this job. One that says none is good only where any will do.
    #[must_use]
    pub fn allows_job(&self, name: Option<&str>) -> bool {
        allows(self.jobs.as_deref(), name)
    }
}

fn allows(globs: Option<&[Glob]>, name: Option<&str>) -> bool {
    match (globs, name) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(globs), Some(name)) => globs.iter().any(|glob| glob.matches(name)),
    }
}

/// A signer whose key files have not been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnresolvedSigner {
    pub(super) key_files: Vec<(Text, Validity)>,
    scope: Scope,
    lines: SignerLines,
}

impl UnresolvedSigner {
    pub(super) fn read(source: &Source, shape: SignerShape) -> Result<Self, PolicyError> {
        source.counted(&shape.keys, KEYS_MAX)?;
        let keys = source.line(&shape.keys);
        let lines = SignerLines {
            keys,
            caches: source.line_or(shape.caches.as_ref(), keys),
            refs: source.line_or(shape.refs.as_ref(), keys),
            jobs: source.line_or(shape.jobs.as_ref(), keys),
        };
        let mut key_files = Vec::new();
        for Table(key) in shape.keys.into_inner() {
            let file = &key.file;
            check_file(file.get_ref()).map_err(|error| source.error(Code::MalformedPolicy, file, error))?;
            let validity = read_validity(source, key.valid_from.as_ref(), key.valid_until.as_ref())?;
            key_files.push((key.file, validity));
        }
        let scope = Scope {
            caches: read_globs(source, shape.caches)?.unwrap_or_else(|| vec![Glob::any_name()]),
            refs: read_globs(source, shape.refs)?,
            jobs: read_globs(source, shape.jobs)?,
        };
        Ok(Self { key_files, scope, lines })
    }

    pub(super) fn resolve(
        self,
        source: &Source,
        name: &str,
        files: &BTreeMap<String, Vec<u8>>,
        seen: &mut BTreeMap<KeyId, (String, Text)>,
    ) -> Result<Signer, PolicyError> {
        let keys = self.key_files.into_iter().map(|(file, validity)| {
            let missing = || {
                let message = format_args!("expected a public key in {}, found no such file", quoted(file.get_ref()));
                source.error(Code::NoKey, &file, message)
            };
            let pem = files.get(file.get_ref()).ok_or_else(missing)?;
            let unusable = |error: KeyError| {
                source.error(error.code(), &file, format_args!("{}: {error}", quoted(file.get_ref())))
            };
            let key = PublicKey::from_pem(pem).map_err(unusable)?;
            Ok((file, key, validity))
        });
        let keys: Vec<(Text, PublicKey, Validity)> = keys.collect::<Result<_, PolicyError>>()?;
        for (file, key, _) in &keys {
            if let Some((other, first)) = seen.insert(key.id(), (name.to_owned(), file.clone())) {
                let message = format_args!(
                    "expected a key under one signer and once, found the key of {} ({}, line {}) again in {}",
                    quoted(first.get_ref()),
                    quoted(&other),
                    source.line(&first),
                    quoted(file.get_ref()),
                );
                return Err(source.error(Code::SharedKey, file, message));
            }
        }
        let keys = keys.into_iter().map(|(file, key, validity)| SignerKey {
            line: source.line(&file),
            file: file.into_inner(),
            key,
            validity,
        });
        Ok(Signer { name: name.to_owned(), keys: keys.collect(), scope: self.scope, lines: self.lines })
    }
}

fn read_validity(source: &Source, from: Option<&Text>, until: Option<&Text>) -> Result<Validity, PolicyError> {
    let read = |day: &Text| {
        parse_day(day.get_ref()).ok_or_else(|| source.malformed(day, "a day like `2027-06-30`", quoted(day.get_ref())))
    };
    let validity = Validity { from: from.map(read).transpose()?, until: until.map(read).transpose()? };
    match (validity, until) {
        (Validity { from: Some(first), until: Some(last) }, Some(until)) if last < first => {
            Err(source.malformed(until, format_args!("a day not before `{first}`, the first"), quoted(until.get_ref())))
        }
        _ => Ok(validity),
    }
}

/// Patterns, if the field is written. An empty list would match nothing, which nobody writes on purpose.
fn read_globs(source: &Source, texts: Option<Texts>) -> Result<Option<Vec<Glob>>, PolicyError> {
    let Some(texts) = texts else { return Ok(None) };
    source.counted(&texts, usize::MAX)?;
    let read = |text: &Spanned<String>| {
        Glob::parse(text.get_ref()).map_err(|error| source.error(Code::MalformedPolicy, text, error))
    };
    texts.get_ref().iter().map(read).collect::<Result<_, _>>().map(Some)
}
