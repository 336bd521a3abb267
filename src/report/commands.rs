//! What the commands beside `verify` and the guard's say, for programs. Each has the verb, the exit status and the
//! version of the form; a reader that knows one of them by its verb knows its fields.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::verdict::VERSION;
use crate::base::{Code, Exit, Refusal, Refusals};

/// What every report begins with.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    version: u8,
    command: &'static str,
    exit: Exit,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
}

impl Head {
    /// Of a command that decides nothing.
    #[must_use]
    pub fn of(command: &'static str, exit: Exit) -> Self {
        Self { version: VERSION, command, exit, verdict: None }
    }

    /// Of one that ends with a verdict.
    #[must_use]
    pub fn with(command: &'static str, exit: Exit, verdict: &'static str) -> Self {
        Self { verdict: Some(verdict), ..Self::of(command, exit) }
    }
}

/// `seal`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SealedReport<'a> {
    /// The verb, exit status and verdict.
    #[serde(flatten)]
    pub head: Head,
    /// The cache.
    pub cache: &'a str,
    /// Who sealed it.
    pub signer: &'a str,
    /// By which key.
    pub keyid: String,
    /// Entries in all roots.
    pub entries: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// When, RFC 3339.
    pub sealed_at: String,
    /// How many entries others could write to, and no longer can.
    pub closed_to_others: u64,
    /// What gates that accept the signer will refuse, with the cure.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub warnings: &'a [String],
}

/// `seal` or `pack` that was refused.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedReport<'a> {
    /// The verb, exit status and verdict.
    #[serde(flatten)]
    pub head: Head,
    /// The cache.
    pub cache: &'a str,
    /// The first reasons, worst first.
    pub refusals: Vec<Refusal>,
    /// How many there are of each code.
    pub counts: BTreeMap<Code, u64>,
}

impl<'a> RefusedReport<'a> {
    /// The reasons why a command on a cache did nothing.
    #[must_use]
    pub fn new(command: &'static str, verdict: &'static str, cache: &'a str, refusals: Refusals) -> Self {
        let head = Head::with(command, refusals.exit(), verdict);
        let (refusals, counts) = refusals.into_parts();
        Self { head, cache, refusals, counts }
    }
}

/// A question to a guard that nobody answered, or nobody who is the guard.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnansweredReport {
    /// The verb, exit status and verdict.
    #[serde(flatten)]
    pub head: Head,
    /// Why.
    pub refusals: Vec<Refusal>,
    /// How many there are of each code.
    pub counts: BTreeMap<Code, u64>,
}

/// `pack`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackedReport<'a> {
    /// The verb, exit status and verdict.
    #[serde(flatten)]
    pub head: Head,
    /// The cache.
    pub cache: &'a str,
    /// Whether anybody has verified who sealed it: never.
    pub verified: bool,
    /// The archive.
    pub archive: String,
    /// Its size, bytes.
    pub archive_bytes: u64,
    /// Entries in all roots.
    pub entries: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// When it was sealed, RFC 3339.
    pub sealed_at: String,
}

/// `explain`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainReport {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// The code.
    pub code: Code,
    /// The exit status that it leads to.
    pub leads_to: Exit,
    /// What it means and what to do, in Markdown.
    pub text: &'static str,
}

/// `init`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InitReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// The policy's file.
    pub policy: &'a str,
    /// The project that it names.
    pub project: &'a str,
    /// Its caches.
    pub caches: Vec<&'a str>,
    /// The key that was made, if the policy asks for signatures.
    #[serde(flatten)]
    pub key: Option<InitKey<'a>>,
}

/// The key that `init` made.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InitKey<'a> {
    /// Whose it is in the policy.
    pub signer: &'a str,
    /// Its id.
    pub keyid: String,
    /// The file with its private half, or that half as a line where it goes to stdout.
    pub private: String,
}

/// `drill`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DrillReport {
    /// The verb, exit status and verdict.
    #[serde(flatten)]
    pub head: Head,
    /// What was tried, if the directory could be sealed and verified at all.
    #[serde(flatten)]
    pub tried: Option<DrillTried>,
}

/// What a drill tried.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DrillTried {
    /// The directory.
    pub directory: String,
    /// Entries in it.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Each tampering.
    pub tamperings: Vec<DrillRow>,
}

/// One tampering, and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DrillRow {
    /// What was done, in words.
    pub tampering: &'static str,
    /// The code that it must get.
    pub expected: Code,
    /// The exit status that it got.
    pub exit: Exit,
    /// The codes that it got.
    pub codes: Vec<Code>,
    /// Whether that is as expected.
    pub as_expected: bool,
}

/// `key new`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyNewReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// The name of the key.
    pub name: &'a str,
    /// Its id.
    pub keyid: String,
    /// The file with its public half.
    pub public: &'a str,
    /// The file with its private half, or that half as a line where it goes to stdout.
    pub private: String,
}

/// `key show`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyShowReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// The id of the key.
    pub keyid: String,
    /// Its public half, PEM.
    pub public: String,
    /// Whose it is, if the policy names it.
    pub signer: Option<&'a str>,
    /// Its private half in one line, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<String>,
}

/// `key revoke`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyRevokeReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// What is revoked, in words.
    pub revoked: &'a str,
    /// Entries in the list now.
    pub entries: usize,
}

/// `policy digest`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyDigestReport {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// What `--policy-sha256` pins.
    pub sha256: String,
}

/// `policy check`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyCheckReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// What is unwise.
    pub findings: Vec<PolicyFinding<'a>>,
}

/// Something unwise in a policy.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyFinding<'a> {
    /// Its code.
    pub code: Code,
    /// File and line.
    pub origin: &'a str,
    /// What it is, and what to do.
    pub message: &'a str,
}

/// `policy roots`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyRootsReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// The cache.
    pub cache: &'a str,
    /// Its roots, in the policy's order.
    pub roots: Vec<PolicyRoot<'a>>,
}

/// A root and its place on this machine.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyRoot<'a> {
    /// As the policy writes it.
    pub root: &'a str,
    /// Absolute.
    pub path: String,
}

/// `diff`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiffReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// Whether anybody has verified a side: never.
    pub verified: bool,
    /// Whether nothing differs.
    pub same: bool,
    /// The first differences: what is expected is the first side.
    pub differences: Vec<&'a Refusal>,
}

/// `export`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportReport {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// Whether anybody has verified the seal: never.
    pub verified: bool,
    /// What was exported.
    pub content: String,
}

/// `inspect`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InspectReport<'a> {
    /// The verb and exit status.
    #[serde(flatten)]
    pub head: Head,
    /// Whether anybody has verified what is shown: never.
    pub verified: bool,
    /// What an archive holds, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveContents>,
    /// What no archive may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<Refusal>>,
    /// What the seal says, if there is one.
    #[serde(flatten)]
    pub seal: Option<InspectedSeal<'a>>,
}

/// Members of an archive.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArchiveContents {
    /// Files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks.
    pub links: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// What a seal says of itself.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InspectedSeal<'a> {
    /// The ids of keys that it names.
    pub keyids: Vec<&'a str>,
    /// The in-toto statement.
    pub statement: Value,
    /// Whether the manifests are the ones that it names.
    pub manifests_as_named: bool,
}
