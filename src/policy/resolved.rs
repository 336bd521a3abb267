//! The policy at use: looking up caches and gates, and what holds between them.

use std::collections::BTreeMap;

use super::source::{Source, did_you_mean, list, quoted};
use super::{Cache, Gate, LockfileRule, PolicyError, Signer};
use crate::base::Code;
use crate::identity::KeyId;

/// A policy whose form is right, with the bytes of its key files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) source: Source,
    pub(super) project: String,
    pub(super) caches: BTreeMap<String, Cache>,
    pub(super) signers: BTreeMap<String, Signer>,
    pub(super) gates: BTreeMap<String, Gate>,
}

/// A cache at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge<'p> {
    /// The project of the policy.
    pub project: &'p str,
    /// What is consumed.
    pub cache: &'p Cache,
    /// What is demanded.
    pub gate: &'p Gate,
    /// The signers that the gate accepts, in its order. What each may seal is still to be checked.
    pub signers: Vec<&'p Signer>,
    /// The signers that it does not accept, to say whose seal was refused.
    pub others: Vec<&'p Signer>,
}

impl Policy {
    /// The project, signed into every seal.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// All caches, sorted by name.
    pub fn caches(&self) -> impl Iterator<Item = &Cache> {
        self.caches.values()
    }

    /// All signers, sorted by name.
    pub fn signers(&self) -> impl Iterator<Item = &Signer> {
        self.signers.values()
    }

    /// All gates, sorted by name.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.gates.values()
    }

    /// The signer that a key belongs to.
    #[must_use]
    pub fn signer_of(&self, key: &KeyId) -> Option<&Signer> {
        self.signers.values().find(|signer| signer.keys.iter().any(|one| one.key.id() == *key))
    }

    /// The cache of a name.
    pub fn cache(&self, name: &str) -> Result<&Cache, PolicyError> {
        self.caches.get(name).ok_or_else(|| self.unknown(Code::UnknownCache, "cache", name, self.caches.keys()))
    }

    /// The gate of a name.
    pub fn gate(&self, name: &str) -> Result<&Gate, PolicyError> {
        self.gates.get(name).ok_or_else(|| self.unknown(Code::UnknownGate, "gate", name, self.gates.keys()))
    }

    /// A cache at a gate; refused where the gate compares lockfiles and the cache has none to compare.
    pub fn edge(&self, cache: &str, gate: &str) -> Result<Edge<'_>, PolicyError> {
        let (cache, gate) = (self.cache(cache)?, self.gate(gate)?);
        if gate.lockfile == LockfileRule::Exact && cache.lockfiles.is_empty() {
            let gate_name = gate.name.get_ref();
            let message = format!(
                "expected a cache with lockfiles at gate {}, which compares them, found {} without",
                quoted(gate_name),
                quoted(&cache.name),
            );
            let hint = format!(
                "add `lockfiles` to `[cache.{}]` or write `lockfile = \"any\"` in `[gate.{gate_name}]`",
                cache.name,
            );
            return Err(self.source.error(Code::GateWithoutEvidence, &gate.name, message).with_hint(hint));
        }
        let signers = gate.signers.iter().filter_map(|name| self.signers.get(name)).collect();
        let others = self.signers.values().filter(|signer| !gate.signers.contains(&signer.name)).collect();
        Ok(Edge { project: &self.project, cache, gate, signers, others })
    }

    fn unknown<'n>(
        &self,
        code: Code,
        kind: &str,
        name: &str,
        names: impl Iterator<Item = &'n String> + Clone,
    ) -> PolicyError {
        let names = names.map(String::as_str);
        let message =
            format!("expected a {kind} of the policy ({}), found {}", list(names.clone(), "and"), quoted(name));
        PolicyError { hint: did_you_mean(name, names), ..self.source.error_without_place(code, message) }
    }
}
