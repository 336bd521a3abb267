//! Lints: what a policy may say, and is unwise to say.

use jiff::Timestamp;

use super::{Gate, Located, Policy, Signer, SignerKey, Standing};
use crate::base::Code;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// The stable code.
    pub code: Code,
    /// File and line.
    pub origin: String,
    /// What was found and what to do.
    pub message: String,
}

/// How long `CircleCI` keeps a cache, in seconds: an older seal can only be a replay.
const CIRCLECI_RETENTION: u64 = 15 * 86_400;

/// Words in the names of gates that guard something, and of signers that seal for pull requests.
const GUARDING: [&str; 6] = ["release", "deploy", "publish", "prod", "production", "main"];
const PULL_REQUESTS: [&str; 6] = ["pr", "prs", "pull", "pulls", "fork", "forks"];

/// A ref of a pull request, as a seal says it.
const PULL_REQUEST_REF: &str = "refs/pull/1/head";

impl Policy {
    /// What is unwise in this policy, worst first, then in the order of its names. `now` decides about keys.
    #[must_use]
    pub fn lints(&self, now: Timestamp) -> Vec<Lint> {
        let mut lints = Vec::new();
        for gate in self.gates() {
            self.lint_gate(gate, &mut lints);
        }
        for signer in self.signers() {
            self.lint_signer(signer, now, &mut lints);
        }
        for (signer, recall) in self.revocations().of_signers() {
            if self.signers().all(|known| known.name != signer) {
                let message = format!(
                    "the recall of `{signer}` recalls nothing, for no signer has that name: correct it, or leave it out once no checkout that names the signer is built"
                );
                lints.push(Lint { code: Code::IdleRecall, origin: recall.origin.clone(), message });
            }
        }
        lints.sort_by_key(|lint| lint.code);
        lints
    }

    fn lint<T>(&self, lints: &mut Vec<Lint>, code: Code, at: &Located<T>, message: String) {
        lints.push(Lint { code, origin: self.origin(at), message });
    }

    fn lint_gate(&self, gate: &Gate, lints: &mut Vec<Lint>) {
        let name = &gate.name;
        if gate.require.signature && gate.max_age.seconds() > CIRCLECI_RETENTION {
            let message = format!(
                "gate `{name}` takes seals up to {} old, but CircleCI keeps caches for 15 days: write `max_age = \"15d\"` or less",
                gate.max_age
            );
            self.lint(lints, Code::LongMaxAge, &gate.max_age, message);
        }
        if !has_word(name, &GUARDING) {
            return;
        }
        for signer in self.signers().filter(|signer| gate.signers.contains(&signer.name)) {
            if seals_pull_requests(signer) {
                let message = format!(
                    "gate `{name}` accepts `{}`, which may seal from pull requests: accept only signers whose code was reviewed",
                    signer.name
                );
                self.lint(lints, Code::PullRequestSigner, &gate.signers, message);
            }
        }
    }

    /// Whether another key of the signer, not recalled, can be used for longer.
    fn is_replaced(&self, key: &SignerKey, signer: &Signer) -> bool {
        signer.keys.iter().any(|other| {
            let outlives = match (other.validity.end(), key.validity.end()) {
                (None, _) => true,
                (Some(end), Some(own)) => end > own,
                (Some(_), None) => false,
            };
            other != key && outlives && self.revocations().of_key(&other.key.id()).is_none()
        })
    }

    fn lint_signer(&self, signer: &Signer, now: Timestamp, lints: &mut Vec<Lint>) {
        let name = &signer.name;
        if !self.gates().any(|gate| gate.signers.contains(name)) {
            let message = format!("no gate accepts signer `{name}`: name it in a gate, or remove it");
            self.lint(lints, Code::UnusedSigner, &signer.keys, message);
        }
        if !self.caches().any(|cache| signer.scope.allows_cache(&cache.name)) {
            let message = format!("signer `{name}` may seal none of the caches: correct its `caches`, or remove it");
            self.lint(lints, Code::IdleSigner, &signer.scope.caches, message);
        }
        let refs = signer.scope.refs.iter().flatten();
        for short in refs.map(ToString::to_string).filter(|text| !text.starts_with("refs/") && !text.starts_with('*')) {
            let message = format!(
                "`{short}` matches nothing that CI says: write the whole ref, `refs/heads/{short}` for a branch or `refs/tags/{short}` for a tag"
            );
            self.lint(lints, Code::ShortRef, &signer.scope.refs, message);
        }
        for key in &signer.keys {
            let until = key.validity.until.map_or_else(String::new, |day| day.to_string());
            if self.revocations().of_key(&key.key.id()).is_some() {
                let message = format!("`{}` of `{name}` is revoked: remove it from the signer", key.file);
                self.lint(lints, Code::RevokedKey, &key.file, message);
            } else if key.validity.standing(now) == Standing::Expired {
                let message = format!("`{}` of `{name}` was valid until {until}: remove it from the signer", key.file);
                self.lint(lints, Code::ExpiredKey, &key.file, message);
            } else if key.validity.ends_soon(now) && !self.is_replaced(key, signer) {
                let message = format!("`{}` of `{name}` is valid until {until}: add a new key beside it now", key.file);
                self.lint(lints, Code::ExpiringKey, &key.file, message);
            }
        }
    }
}

/// Whether a name has one of the words between its dashes.
fn has_word(name: &str, words: &[&str]) -> bool {
    name.split('-').any(|part| words.contains(&part))
}

/// Whether a signer is named for pull requests, or says that it may seal from them.
fn seals_pull_requests(signer: &Signer) -> bool {
    let says_so = signer.scope.refs.is_some() && signer.scope.allows_ref(Some(PULL_REQUEST_REF));
    says_so || has_word(&signer.name, &PULL_REQUESTS)
}
