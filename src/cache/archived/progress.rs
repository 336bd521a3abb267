//! How far the seal of an archive is known, and its files until it is whole.

use std::collections::BTreeMap;

use super::expected::ExpectedTrees;
use crate::base::Digest;
use crate::cache::loading::SealFiles;
use crate::cache::verifying::Facts;
use crate::seal::ENVELOPE;
use crate::seal::manifest::Totals;
use crate::seal::statement::Statement;
use crate::tree::{Kind, ReadError};
use crate::verify::{Rule, TrustedSeal};

/// How far the seal of an archive is known.
pub(super) enum SealProgress {
    /// Nothing of it is trusted. Members wait for it.
    Waiting,
    /// The gate accepts its `seal.json`, by these rules, and manifests that it names are still to come. Members wait.
    Accepted(Box<TrustedSeal>, Vec<Rule>),
    /// It is whole and trusted: members are compared with it.
    Trusted(Box<Trusted>),
    /// It was refused: nothing is compared with it.
    Refused,
}

/// A whole and trusted seal.
pub(super) struct Trusted {
    pub(super) expected: ExpectedTrees,
    pub(super) facts: Facts,
    pub(super) totals: Totals,
    /// What the archive may expand to, whatever its ratio.
    pub(super) bytes_max: u64,
}

/// The files of a seal as far as they came.
#[derive(Default)]
pub(super) struct ArrivedFiles {
    pub(super) envelope: Vec<u8>,
    /// By name; nothing for one that was refused for its size.
    pub(super) manifests: BTreeMap<String, Option<(Vec<u8>, Digest)>>,
    /// Bytes of manifests that came before a trusted envelope.
    pub(super) unverified_bytes: u64,
    /// Whether there was any member of the seal, its directory included.
    pub(super) is_seen: bool,
}

impl ArrivedFiles {
    pub(super) fn are_whole(&self, seal: &TrustedSeal) -> bool {
        named(seal.statement()).all(|name| self.manifests.contains_key(name))
    }

    pub(super) fn is_refused(&self, name: &str) -> bool {
        matches!(self.manifests.get(name), Some(None))
    }

    /// The files that the statement names, `seal.json` first.
    pub(super) fn into_files(mut self, statement: &Statement) -> Vec<(String, Vec<u8>)> {
        let manifests = named(statement).filter_map(|name| Some((name.to_owned(), self.manifests.remove(name)??.0)));
        let manifests: Vec<_> = manifests.collect();
        std::iter::once((ENVELOPE.to_owned(), self.envelope)).chain(manifests).collect()
    }
}

impl<'f> SealFiles for &'f ArrivedFiles {
    type Manifest = &'f [u8];

    fn names(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.manifests.keys().map(|name| (name.as_bytes(), Kind::File))
    }

    fn envelope(&self, _: u64) -> Result<Vec<u8>, ReadError> {
        Ok(self.envelope.clone())
    }

    fn manifest(&self, name: &str, _: u64) -> Result<(&'f [u8], Digest), ReadError> {
        match self.manifests.get(name) {
            Some(Some((bytes, sha256))) => Ok((bytes, *sha256)),
            _ => Err(ReadError::Absent),
        }
    }
}

/// The manifests that a statement names.
pub(super) fn named(statement: &Statement) -> impl Iterator<Item = &str> {
    statement.predicate.roots.iter().filter_map(|root| root.manifest.as_deref())
}
