//! Questions to a guard and its answers. Both sides are the same program, so an unknown version or field is no guard
//! of ours.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Code, Digest, Refusal, Refusals};
use crate::report::{CheckReport, Guarding, RecheckReport, VerifyReport};
use crate::tree::Disposal;

/// The version of questions and answers.
const PROTOCOL: u64 = 4;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<T> {
    protocol: u64,
    body: T,
}

/// A question or an answer as the socket carries it.
#[must_use]
pub fn to_wire(body: &impl Serialize) -> Value {
    // Strings, numbers and maps with text for keys: nothing that JSON could not hold.
    serde_json::to_value(Message { protocol: PROTOCOL, body }).unwrap_or_default()
}

/// The question or answer in a message; `None` for what this program does not say.
#[must_use]
pub fn of_wire<T: DeserializeOwned>(message: &Value) -> Option<T> {
    let message: Message<T> = Deserialize::deserialize(message).ok()?;
    (message.protocol == PROTOCOL).then_some(message.body)
}

/// What a job asks of a guard.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// What it guards.
    Hello,
    /// To end.
    Stop,
    /// Whether anything was written that no cache has a reason to write.
    Check {
        /// List what was written, and decide nothing.
        report_only: bool,
    },
    /// To verify a cache.
    Verify {
        /// What is demanded.
        demand: Demand,
        /// Names and texts of further lists of revocations.
        revocations: Vec<(String, String)>,
        /// Whether a file comes with the question, for every difference as it is found.
        differences: bool,
    },
    /// Whether it vouches for what the roots of a cache were before the job filled them.
    Base {
        /// The cache.
        cache: String,
        /// Roots that lie elsewhere, each with the directory that stands for it.
        elsewhere: Vec<(String, String)>,
        /// The signer whose key is to seal it.
        signer: String,
        /// The names and values that the seal will say.
        bindings: BTreeMap<String, String>,
    },
    /// To take note that the job has sealed a cache, as the guard allowed.
    Sealed {
        /// The cache.
        cache: String,
        /// The name and the SHA-256 of the manifest of each root, in the policy's order; none for an absent one. Empty
        /// if a root lies elsewhere.
        manifests: Vec<Option<(String, String)>>,
    },
    /// Whether what was verified is still as it was.
    Recheck(Recheck),
}

/// Caches that are to be looked at again, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recheck {
    /// The caches; all that the guard watches if there are none.
    pub caches: Vec<String>,
    /// Patterns of new entries that may be there.
    pub new_allowed: Vec<String>,
    /// Read every file.
    pub full: bool,
    /// Threads that look and read.
    pub threads: u16,
}

/// A cache that is to be verified, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// The cache.
    pub cache: String,
    /// The gate.
    pub gate: String,
    /// Show every rule.
    pub explain: bool,
    /// A miss is no failure.
    pub allow_miss: bool,
    /// What to do with a refused cache.
    pub on_refusal: Disposal,
    /// Threads that read and hash.
    pub threads: u16,
}

/// What a guard answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// What it guards.
    Guarding(Guarding),
    /// What a check found.
    Checked(CheckReport),
    /// A verdict.
    Verified(Box<VerifyReport>),
    /// What a second look found.
    Rechecked(RecheckReport),
    /// The roots may be sealed, or the seal is noted, by the policy of this SHA-256.
    Granted(String),
    /// They may not.
    Refused(Vec<Refusal>),
    /// Nothing was decided.
    Failed {
        /// Code of the error.
        code: Code,
        /// What was expected and what was found.
        message: String,
        /// What to do.
        hints: Vec<String>,
    },
}

impl Answer {
    /// The answer that grants a seal.
    #[must_use]
    pub fn granted(policy: Digest) -> Self {
        Self::Granted(policy.to_string())
    }

    /// The answer that refuses one.
    #[must_use]
    pub fn refused(refusals: &Refusals) -> Self {
        Self::Refused(refusals.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn questions_and_answers_arrive_as_they_were_sent() {
        let question = Question::Base {
            cache: "deps".to_owned(),
            elsewhere: vec![("deps".to_owned(), "/w/deps".to_owned())],
            signer: "job".to_owned(),
            bindings: [("a".to_owned(), "b".to_owned())].into(),
        };
        let read: Question = of_wire(&to_wire(&question)).unwrap();
        assert_eq!(format!("{read:?}"), format!("{question:?}"));
        let mut refusals = Refusals::new(9);
        refusals.push(Refusal::new(Code::UnverifiedBase, &b"a\xff"[..], "e", "f"));
        let checked = CheckReport::new(vec!["deps".to_owned()], 7, refusals.clone(), true);
        for answer in [Answer::refused(&refusals), Answer::Checked(checked)] {
            assert_eq!(of_wire::<Answer>(&to_wire(&answer)), Some(answer));
        }
    }

    #[test]
    fn what_no_guard_says_is_no_answer() {
        assert!(of_wire::<Question>(&json!({ "protocol": 4, "body": "hello" })).is_some());
        for strange in [
            json!({ "protocol": 3, "body": "hello" }),
            json!({ "protocol": 4, "body": "hello", "more": 1 }),
            json!({ "protocol": 4, "body": { "check": { "report_only": true, "more": 1 } } }),
            json!({ "protocol": 4, "body": { "check": {} } }),
            json!({ "protocol": 4, "body": { "check": { "report_only": 1 } } }),
            json!({ "protocol": 4, "body": "other" }),
            json!("hello"),
        ] {
            assert!(of_wire::<Question>(&strange).is_none(), "{strange}");
        }
        let failed =
            |code: &str| json!({ "protocol": 4, "body": { "failed": { "code": code, "message": "", "hints": [] } } });
        assert!(of_wire::<Answer>(&failed("usage")).is_some());
        assert!(of_wire::<Answer>(&failed("use")).is_none());
        let mut checked = to_wire(&Answer::Checked(CheckReport::new(Vec::new(), 0, Refusals::new(1), true)));
        assert!(of_wire::<Answer>(&checked).is_some());
        checked["body"]["checked"]["exit"] = 99.into();
        assert!(of_wire::<Answer>(&checked).is_none());
    }
}
