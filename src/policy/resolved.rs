//! The policy at use: looking up caches and gates, and what holds between them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::source::{Source, did_you_mean, list, quoted};
use super::{Cache, Gate, Located, LockfileRule, PathPattern, PolicyError, Revocations, Signer};
use crate::base::Code;
use crate::identity::KeyId;

/// A policy whose form is right, with the bytes of its key files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) source: Source,
    pub(super) project: Located<String>,
    pub(super) caches: BTreeMap<String, Cache>,
    pub(super) signers: BTreeMap<String, Signer>,
    pub(super) gates: BTreeMap<String, Gate>,
    pub(super) revocations: Revocations,
    pub(super) allowed: Vec<Located<PathPattern>>,
}

/// A cache at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge<'p> {
    /// The policy: project, revocations, and where its lines stand.
    pub policy: &'p Policy,
    /// What is consumed.
    pub cache: &'p Cache,
    /// What is demanded.
    pub gate: Cow<'p, Gate>,
    /// The signers that the gate accepts, in its order. What each may seal is still to be checked.
    pub signers: Vec<&'p Signer>,
    /// The signers that it does not accept, to say whose seal was refused.
    pub others: Vec<&'p Signer>,
}

impl Policy {
    /// The project, signed into every seal.
    #[must_use]
    pub fn project(&self) -> &Located<String> {
        &self.project
    }

    /// Everything that is recalled.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Adds a list to what is recalled.
    pub fn recall(&mut self, revocations: Revocations) {
        self.revocations.extend(revocations);
    }

    /// What a guard leaves alone.
    pub fn allowed(&self) -> impl Iterator<Item = &Located<PathPattern>> {
        self.allowed.iter()
    }

    /// File and line of a value, for people.
    #[must_use]
    pub fn origin<T>(&self, at: &Located<T>) -> String {
        format!("{}:{}", self.source.file, self.source.line(at))
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
        if cache.lockfiles.is_empty()
            && let Some(error) = self.without_lockfiles(cache, gate)
        {
            return Err(error);
        }
        let signers = gate.signers.iter().filter_map(|name| self.signers.get(name)).collect();
        let others = self.signers.values().filter(|signer| !gate.signers.contains(&signer.name)).collect();
        Ok(Edge { policy: self, cache, gate: Cow::Borrowed(gate), signers, others })
    }

    /// What is wrong with a cache without lockfiles at a gate that needs them.
    fn without_lockfiles(&self, cache: &Cache, gate: &Gate) -> Option<PolicyError> {
        let (gate_name, cache_name) = (&gate.name, &cache.name);
        let (does, instead) = if gate.require.lockfile {
            ("proves by them", "leave `lockfile` out of `require`")
        } else if gate.lockfile == LockfileRule::Exact {
            ("compares them", "write `lockfile = \"any\"`")
        } else {
            return None;
        };
        let message = format!(
            "expected a cache with lockfiles at gate {}, which {does}, found {} without",
            quoted(gate_name),
            quoted(cache_name),
        );
        let hint = format!("add `lockfiles` to `[cache.{cache_name}]` or {instead} in `[gate.{gate_name}]`");
        Some(self.source.error(Code::GateWithoutEvidence, &gate.name, message).with_hint(hint))
    }

    /// What a job that adds its signature demands of a seal: everything that holds at every gate, by any signer,
    /// of any age, for the lockfiles of its own checkout.
    pub fn edge_to_cosign(&self, cache: &str) -> Result<Edge<'_>, PolicyError> {
        let cache = self.cache(cache)?;
        let names = self.signers.keys().cloned().collect();
        let gate = Gate::to_cosign(names, !cache.lockfiles.is_empty());
        Ok(Edge {
            policy: self,
            cache,
            gate: Cow::Owned(gate),
            signers: self.signers.values().collect(),
            others: Vec::new(),
        })
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
