//! Reports for programs: `version` 1, fields are only ever added.

use serde_json::{Value, json};

use super::{Report, verdict};
use crate::base::{Code, Exit, Refusals, escape_into};
use crate::cache::Facts;
use crate::tree::Confinement;
use crate::verify::{Amount, Coverage, Rule};

impl Report<'_> {
    /// The report as a JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "version": 1,
            "command": self.command,
            "verdict": verdict(self.outcome),
            "exit": self.exit.number(),
            "cache": self.cache,
            "gate": self.gate,
            "refusals": refusals_json(self.refusals),
            "counts": counts_json(self.refusals),
            "seal": self.facts.map(facts),
            "coverage": self.coverage.map(coverage),
            "warnings": self.facts.map(|facts| facts.warnings.clone()).unwrap_or_default(),
            "rules": self.rules.map(rules),
            "candidates": self.candidates.map(refusals_json),
            "disposal": self.disposal,
            "unwritten": [],
            "archive": self.archive.map(|archive| json!({
                "home": archive.home, "checkout": archive.checkout, "readWhole": archive.read_whole,
            })),
            "unpacked": self.unpacked.map(|unpacked| json!({
                "inPlace": self.outcome == Exit::Ok,
                "confinement": unpacked.confinement.map(Confinement::as_str),
                "left": unpacked.left,
            })),
        })
    }
}

fn rules(rules: &[Rule]) -> Value {
    let one = |rule: &Rule| {
        json!({
            "code": rule.code.as_str(), "met": rule.met, "expected": rule.expected, "found": rule.found,
            "origin": rule.origin,
        })
    };
    Value::Array(rules.iter().map(one).collect())
}

fn coverage(coverage: &Coverage) -> Value {
    let amount = |amount: Amount| json!({ "files": amount.files, "bytes": amount.bytes });
    let entries = coverage
        .entries
        .iter()
        .map(|entry| json!({ "place": exact(&entry.place), "nature": entry.nature.as_str(), "reason": entry.reason }));
    json!({
        "total": amount(coverage.total),
        "lockfile": amount(coverage.lockfile),
        "signature": amount(coverage.signature),
        "unproven": amount(coverage.unproven),
        "weak": amount(coverage.weak),
        "mismatched": amount(coverage.mismatched),
        "packages": coverage.packages,
        "entries": entries.collect::<Vec<_>>(),
    })
}

/// Bytes as in manifests, so that every file name is exact.
fn exact(bytes: &[u8]) -> String {
    let mut escaped = Vec::new();
    escape_into(&mut escaped, bytes);
    String::from_utf8_lossy(&escaped).into_owned()
}

fn facts(facts: &Facts) -> Value {
    let predicate = &facts.statement.predicate;
    let source = &predicate.source;
    json!({
        "signers": facts.signers.iter().map(|(name, key)| json!({ "signer": name, "keyid": key })).collect::<Vec<_>>(),
        "sealedAt": predicate.sealed_at.to_string(),
        "source": { "ci": source.ci, "ref": source.ref_, "revision": source.revision, "job": source.job, "run": source.run },
        "roots": predicate.roots.iter().map(|root| json!({
            "path": root.path,
            "present": root.manifest.is_some(),
            "digest": root.digest.as_str(),
            "entries": root.entries,
            "bytes": root.bytes,
        })).collect::<Vec<_>>(),
        "linksLeaving": facts.links_leaving,
    })
}

/// Refusals as an array, worst first. Places are escaped as in manifests, so that every file name is exact.
#[must_use]
pub fn refusals_json(refusals: &Refusals) -> Value {
    let one = |refusal: &crate::base::Refusal| {
        json!({
            "code": refusal.code.as_str(),
            "place": exact(&refusal.place),
            "expected": refusal.expected,
            "found": refusal.found,
        })
    };
    Value::Array(refusals.iter().map(one).collect())
}

/// How many refusals there are of each code.
#[must_use]
pub fn counts_json(refusals: &Refusals) -> Value {
    Value::Object(refusals.counts().map(|(code, count)| (code.as_str().to_owned(), count.into())).collect())
}

/// An error that ended a command before any verdict.
#[must_use]
pub fn error_json(command: &str, code: Code, exit: Exit, message: &str, hints: &[String]) -> Value {
    json!({
        "version": 1,
        "command": command,
        "verdict": "error",
        "exit": exit.number(),
        "error": { "code": code.as_str(), "message": message, "hints": hints },
    })
}
