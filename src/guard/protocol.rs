//! Questions to a guard and its answers. Both sides are the same program, so an unknown version or field is no guard
//! of ours.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Code, Digest, Exit, Limits, Refusal, Refusals};
use crate::tree::Disposal;

/// The version of questions and answers.
const PROTOCOL: u64 = 2;

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
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// What it guards.
    Hello(Hello),
    /// A verdict.
    Rendered(Rendered),
    /// The roots may be sealed, or the seal is noted, by the policy of this SHA-256.
    Granted(String),
    /// They may not.
    Refused(Vec<ToldRefusal>),
    /// Nothing was decided.
    Failed {
        /// Code of the error.
        code: String,
        /// What was expected and what was found.
        message: String,
        /// What to do.
        hints: Vec<String>,
    },
}

/// What a guard says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// SHA-256 of the policy that it has in memory.
    pub policy: String,
    /// The guarded caches.
    pub caches: Vec<String>,
    /// Entries that it watches.
    pub watched: u64,
    /// Places that it could not read.
    pub unreadable: u64,
    /// Places that are not watched, or not wholly, and why.
    pub partly: Vec<String>,
    /// Its process id.
    pub process: u64,
    /// Stray writes decide nothing.
    pub report_only: bool,
}

/// A verdict in every form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rendered {
    /// The exit status.
    #[serde(with = "exit_number")]
    pub exit: Exit,
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// As a `JUnit` report.
    pub junit: String,
}

/// A refusal on its way to the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldRefusal {
    code: String,
    /// In hex: names of files are bytes.
    place: String,
    expected: String,
    found: String,
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
        let told = |refusal: &Refusal| ToldRefusal {
            code: refusal.code.as_str().to_owned(),
            place: hex::encode(&refusal.place),
            expected: refusal.expected.clone(),
            found: refusal.found.clone(),
        };
        Self::Refused(refusals.iter().map(told).collect())
    }
}

/// The refusals of an answer; `None` if a code is unknown, or if there is no refusal at all.
#[must_use]
pub fn told_refusals(told: &[ToldRefusal], limits: &Limits) -> Option<Refusals> {
    let mut refusals = Refusals::new(limits.refusals_max);
    for one in told {
        let (expected, found) = (one.expected.as_str(), one.found.as_str());
        let place = hex::decode(&one.place).ok()?;
        refusals.push(Refusal::new(Code::of_word(&one.code)?, place, expected, found));
    }
    (!refusals.is_empty()).then_some(refusals)
}

mod exit_number {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::base::Exit;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(exit.number())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Exit, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Exit::of_number(number).ok_or_else(|| D::Error::custom("no exit status"))
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
        let rendered =
            Rendered { exit: Exit::Stray, text: "t".to_owned(), json: json!({ "a": [1] }), junit: String::new() };
        let Some(Answer::Rendered(read)) = of_wire(&to_wire(&Answer::Rendered(rendered.clone()))) else { panic!() };
        assert_eq!(read, rendered);
        let mut refusals = Refusals::new(9);
        refusals.push(Refusal::new(Code::UnverifiedBase, &b"a\xff"[..], "e", "f"));
        let Some(Answer::Refused(told)) = of_wire(&to_wire(&Answer::refused(&refusals))) else { panic!() };
        assert_eq!(told_refusals(&told, &Limits::STANDARD).unwrap().iter().next(), refusals.iter().next());
    }

    #[test]
    fn what_no_guard_says_is_no_answer() {
        assert!(of_wire::<Question>(&json!({ "protocol": 2, "body": "hello" })).is_some());
        for strange in [
            json!({ "protocol": 1, "body": "hello" }),
            json!({ "protocol": 2, "body": "hello", "more": 1 }),
            json!({ "protocol": 2, "body": { "check": { "report_only": true, "more": 1 } } }),
            json!({ "protocol": 2, "body": { "check": {} } }),
            json!({ "protocol": 2, "body": { "check": { "report_only": 1 } } }),
            json!({ "protocol": 2, "body": "other" }),
            json!("hello"),
        ] {
            assert!(of_wire::<Question>(&strange).is_none(), "{strange}");
        }
        let answer = |exit: u64| json!({ "protocol": 2, "body": { "rendered": { "exit": exit, "text": "", "json": {}, "junit": "" } } });
        assert!(of_wire::<Answer>(&answer(15)).is_some());
        assert!(of_wire::<Answer>(&answer(99)).is_none());
        assert!(told_refusals(&[], &Limits::STANDARD).is_none());
    }
}
