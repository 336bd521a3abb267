//! The statement: an in-toto Statement v1 and the predicate `https://cacheseal.dev/cache/v1`. What a job says
//! about the cache it sealed.

mod parse;
#[cfg(test)]
mod tests;

pub use parse::StatementError;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::base::{Algorithm, Digest};

/// `payloadType` of the envelope: an in-toto statement in JSON.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// `_type` of the statement: in-toto attestation framework, Statement v1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// `predicateType` of the statement: the predicate of this version.
pub const PREDICATE_TYPE: &str = "https://cacheseal.dev/cache/v1";

/// A statement. [`Statement::parse`] yields only what its fields promise; whoever builds one keeps the promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The manifests: one for each root that has one, in the order of [`Predicate::roots`]. Never empty.
    pub subjects: Vec<Subject>,
    /// What is said about them.
    pub predicate: Predicate,
}

/// One manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The root, as the policy writes it.
    pub name: String,
    /// SHA-256 of the manifest file's bytes, whatever algorithm the manifest itself uses.
    pub sha256: Digest,
}

/// What a job says about the cache it sealed. No text in it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// The policy's `project`.
    pub project: String,
    /// Name of the cache in the policy.
    pub cache: String,
    /// The cache's roots, in the order of the policy, each path once.
    pub roots: Vec<SealedRoot>,
    /// The cache's lockfiles, in the order of the policy, each path once.
    pub lockfiles: Vec<SealedLockfile>,
    /// Where it was sealed.
    pub platform: Platform,
    /// Free pairs that a gate may ask for.
    pub bindings: BTreeMap<String, String>,
    /// Which job sealed it: its own word.
    pub source: Source,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// What sealed it.
    pub tool: Tool,
}

/// A root at the time of sealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRoot {
    /// The root, as the policy writes it.
    pub path: String,
    /// File name of its manifest: [`manifest_name`] of the root's index. `None` if the root was absent.
    pub manifest: Option<String>,
    /// Algorithm of the content digests in the manifest.
    pub digest: Algorithm,
    /// Entries, the root itself included; 0 if it was absent.
    pub entries: u64,
    /// Sum of all file sizes, in bytes; 0 if it was absent.
    pub bytes: u64,
}

/// A lockfile at the time of sealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedLockfile {
    /// Its path, as the policy writes it.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// An operating system and processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Operating system, as Rust names it: `linux`, `macos`.
    pub os: String,
    /// Processor, as Rust names it: `x86_64`, `aarch64`.
    pub arch: String,
}

/// Where a seal comes from, in the words of the job that made it. What it did not know is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The CI system: `circleci`.
    pub ci: Option<String>,
    /// The full ref: `refs/heads/main`.
    pub ref_: Option<String>,
    /// The commit.
    pub revision: Option<String>,
    /// Name of the job.
    pub job: Option<String>,
    /// The run, as the CI system names it.
    pub run: Option<String>,
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

/// File name of the manifest of the root with this index, counted from 0 in the order of the policy.
#[must_use]
pub fn manifest_name(index: usize) -> String {
    format!("{index}.mtree")
}

impl Statement {
    /// The statement as JSON in one line: what is signed. The same statement always gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let subjects: Vec<_> = self
            .subjects
            .iter()
            .map(|subject| json!({ "name": subject.name, "digest": sha256_set(&subject.sha256) }))
            .collect();
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": PREDICATE_TYPE,
            "predicate": self.predicate.to_value(),
        });
        statement.to_string().into_bytes()
    }
}

impl Predicate {
    fn to_value(&self) -> Value {
        let roots: Vec<_> = self.roots.iter().map(SealedRoot::to_value).collect();
        let lockfiles: Vec<_> = self
            .lockfiles
            .iter()
            .map(|lockfile| json!({ "path": lockfile.path, "digest": sha256_set(&lockfile.sha256) }))
            .collect();
        json!({
            "project": self.project,
            "cache": self.cache,
            "roots": roots,
            "lockfiles": lockfiles,
            "platform": { "os": self.platform.os, "arch": self.platform.arch },
            "bindings": self.bindings,
            "source": self.source.to_value(),
            "sealedAt": self.sealed_at.to_string(),
            "tool": { "name": self.tool.name, "version": self.tool.version },
        })
    }
}

impl SealedRoot {
    fn to_value(&self) -> Value {
        json!({
            "path": self.path,
            "manifest": self.manifest,
            "digest": self.digest.as_str(),
            "entries": self.entries,
            "bytes": self.bytes,
        })
    }
}

impl Source {
    fn to_value(&self) -> Value {
        let fields = [
            ("ci", &self.ci),
            ("ref", &self.ref_),
            ("revision", &self.revision),
            ("job", &self.job),
            ("run", &self.run),
        ];
        let known = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        Value::Object(known.collect())
    }
}

/// An in-toto `DigestSet` of one.
fn sha256_set(digest: &Digest) -> Value {
    json!({ "sha256": digest.to_string() })
}
