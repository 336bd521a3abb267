//! `[signer.NAME]`: who may seal, and what.

use std::collections::BTreeMap;

use toml::Spanned;

use super::located::field;
use super::path::check_file;
use super::shape::{KeyShape, SignerShape, Table, Text, Texts};
use super::source::{Source, quoted};
use super::validity::parse_day;
use super::{Glob, Located, PolicyError, Validity};
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
    pub keys: Located<Vec<SignerKey>>,
    /// What it may seal.
    pub scope: Scope,
}

/// A public key and the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerKey {
    /// Path of the file, relative to the policy's directory.
    pub file: Located<String>,
    /// The key.
    pub key: PublicKey,
    /// When it may be used.
    pub validity: Validity,
}

/// What a signer may seal. A field that is not written stands where the keys do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Names of caches.
    pub caches: Located<Vec<Glob>>,
    /// Branches and tags, as `refs/heads/main`; none if any will do.
    pub refs: Located<Option<Vec<Glob>>>,
    /// Jobs; none if any will do.
    pub jobs: Located<Option<Vec<Glob>>>,
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
    pub(super) key_files: Located<Vec<(Located<String>, Validity)>>,
    scope: Scope,
}

impl UnresolvedSigner {
    pub(super) fn read(source: &Source, shape: SignerShape) -> Result<Self, PolicyError> {
        source.counted(&shape.keys, KEYS_MAX)?;
        let table = shape.keys.span().start;
        let key_files =
            Located::new(shape.keys).map(|keys| keys.into_iter().map(|key| read_key(source, key)).collect())?;
        let scope = Scope {
            caches: field(table, shape.caches, |caches| {
                Ok(read_globs(source, caches)?.unwrap_or_else(|| vec![Glob::any_name()]))
            })?,
            refs: field(table, shape.refs, |refs| read_globs(source, refs))?,
            jobs: field(table, shape.jobs, |jobs| read_globs(source, jobs))?,
        };
        Ok(Self { key_files, scope })
    }

    pub(super) fn resolve(
        self,
        source: &Source,
        name: &str,
        files: &BTreeMap<String, Vec<u8>>,
        seen: &mut BTreeMap<KeyId, (String, Located<String>)>,
    ) -> Result<Signer, PolicyError> {
        let read = |(file, validity): (Located<String>, Validity)| {
            let missing = || {
                let message = format_args!("expected a public key in {}, found no such file", quoted(&file));
                source.error(Code::NoKey, &file, message)
            };
            let pem = files.get(&file.value).ok_or_else(missing)?;
            let unusable =
                |error: KeyError| source.error(error.code(), &file, format_args!("{}: {error}", quoted(&file)));
            let key = PublicKey::from_pem(pem).map_err(unusable)?;
            Ok(SignerKey { file, key, validity })
        };
        let keys: Located<Vec<SignerKey>> = self.key_files.map(|files| files.into_iter().map(read).collect())?;
        for SignerKey { file, key, .. } in &keys {
            if let Some((other, first)) = seen.insert(key.id(), (name.to_owned(), file.clone())) {
                let message = format_args!(
                    "expected a key under one signer and once, found the key of {} ({}, line {}) again in {}",
                    quoted(&first),
                    quoted(&other),
                    source.line(&first),
                    quoted(file),
                );
                return Err(source.error(Code::SharedKey, file, message));
            }
        }
        Ok(Signer { name: name.to_owned(), keys, scope: self.scope })
    }
}

fn read_key(source: &Source, Table(key): Table<KeyShape>) -> Result<(Located<String>, Validity), PolicyError> {
    let file = Located::new(key.file);
    check_file(&file).map_err(|error| source.error(Code::MalformedPolicy, &file, error))?;
    let validity = read_validity(source, key.valid_from.as_ref(), key.valid_until.as_ref())?;
    Ok((file, validity))
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
