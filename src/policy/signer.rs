//! `[signer.NAME]`: who may seal, and what.

use std::collections::BTreeMap;

use toml::Spanned;

use super::path::check_file;
use super::shape::{SignerShape, Table, Text, Texts};
use super::source::{Source, quoted};
use super::{Glob, PolicyError};
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
}

/// A public key and the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerKey {
    /// Path of the file, relative to the policy's directory.
    pub file: String,
    /// The key.
    pub key: PublicKey,
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
    pub(super) key_files: Vec<Text>,
    scope: Scope,
}

impl UnresolvedSigner {
    pub(super) fn read(source: &Source, shape: SignerShape) -> Result<Self, PolicyError> {
        source.counted(&shape.keys, KEYS_MAX)?;
        let key_files: Vec<_> = shape.keys.into_inner().into_iter().map(|Table(key)| key.file).collect();
        for file in &key_files {
            check_file(file.get_ref()).map_err(|error| source.error(Code::MalformedPolicy, file, error))?;
        }
        let scope = Scope {
            caches: read_globs(source, shape.caches)?.unwrap_or_else(|| vec![Glob::any_name()]),
            refs: read_globs(source, shape.refs)?,
            jobs: read_globs(source, shape.jobs)?,
        };
        Ok(Self { key_files, scope })
    }

    pub(super) fn resolve(
        self,
        source: &Source,
        name: &str,
        files: &BTreeMap<String, Vec<u8>>,
        seen: &mut BTreeMap<KeyId, (String, Text)>,
    ) -> Result<Signer, PolicyError> {
        let keys = self.key_files.into_iter().map(|file| {
            let missing = || {
                let message = format_args!("expected a public key in {}, found no such file", quoted(file.get_ref()));
                source.error(Code::NoKey, &file, message)
            };
            let pem = files.get(file.get_ref()).ok_or_else(missing)?;
            let unusable = |error: KeyError| {
                source.error(error.code(), &file, format_args!("{}: {error}", quoted(file.get_ref())))
            };
            let key = PublicKey::from_pem(pem).map_err(unusable)?;
            Ok((file, key))
        });
        let keys: Vec<(Text, PublicKey)> = keys.collect::<Result<_, PolicyError>>()?;
        for (file, key) in &keys {
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
        let keys = keys.into_iter().map(|(file, key)| SignerKey { file: file.into_inner(), key }).collect();
        Ok(Signer { name: name.to_owned(), keys, scope: self.scope })
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
