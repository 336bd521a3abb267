//! The rules that a verified statement must meet.

use jiff::{SignedDuration, Timestamp};

use super::trail::{Rule, Trail};
use crate::base::{Code, Digest, Escaped};
use crate::policy::{Edge, Located, LockfileRule, Policy, Revocation, Signer, SignerKey, Standing};
use crate::seal::statement::{Platform, Predicate, Statement};

/// How far ahead of ours a sealing job's clock may be.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What the consuming job is: its time, its system, its lockfiles. A statement is compared with it.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// Now.
    pub now: Timestamp,
    /// The system this runs on.
    pub platform: Platform,
    /// The lockfiles that the cache names.
    pub lockfiles: Lockfiles,
}

/// The checkout's lockfiles, as far as they can be believed.
#[derive(Debug, Clone)]
pub enum Lockfiles {
    /// Nothing vouches for them: a restore may have written them.
    Unpinned,
    /// One of them could not be read, so nothing is known of any: an I/O error, never a seal for another lockfile.
    Unreadable {
        /// Its path in the policy.
        path: String,
        /// Why.
        found: String,
    },
    /// Their SHA-256 in the order of the policy; `None` for one that is not there.
    Known(Vec<Option<Digest>>),
}

/// Compares a statement with policy, gate and consumer; who signed it is judged elsewhere.
pub(super) fn check(statement: &Statement, edge: &Edge<'_>, consumer: &Consumer, trail: &mut Trail) {
    let mut rules = Rules { edge, trail };
    let predicate = &statement.predicate;
    rules.identity(predicate);
    rules.roots(predicate);
    rules.lockfiles(predicate, &consumer.lockfiles);
    rules.platform(&predicate.platform, &consumer.platform);
    rules.bindings(predicate);
    rules.age(predicate.sealed_at, consumer.now);
    for rule in recalled_manifests(statement, edge.policy) {
        trail.refuse(&rule);
        trail.note(rule);
    }
}

/// What a signer may seal, and whether this is it.
#[must_use]
pub fn scope(predicate: &Predicate, policy: &Policy, signer: &Signer) -> Vec<Rule> {
    let name = &signer.name;
    let rule = |code, what: &str, met, found: Option<&str>, origin| Rule {
        code,
        expected: format!("a {what} that signer `{name}` may seal{}", if what == "cache" { "" } else { " from" }),
        found: found.map_or_else(|| format!("no {what}"), shown),
        met,
        origin,
    };
    let (cache, scope) = (predicate.cache.as_str(), &signer.scope);
    let (ref_, job) = (predicate.source.ref_.as_deref(), predicate.source.job.as_deref());
    vec![
        rule(Code::WrongCache, "cache", scope.allows_cache(cache), Some(cache), policy.origin(&scope.caches)),
        rule(Code::WrongRef, "ref", scope.allows_ref(ref_), ref_, policy.origin(&scope.refs)),
        rule(Code::WrongJob, "job", scope.allows_job(job), job, policy.origin(&scope.jobs)),
    ]
}

/// Whether a key could be used when the seal was made, and can be now; and whether it or its signer is recalled.
#[must_use]
pub fn key_rules(sealed_at: Timestamp, now: Timestamp, policy: &Policy, signer: &Signer, key: &SignerKey) -> Vec<Rule> {
    let origin = policy.origin(&key.file);
    let name = &signer.name;
    let mut rules = Vec::new();
    for (when, instant) in [("sealed", sealed_at), ("verified", now)] {
        let (code, met) = match key.validity.standing(instant) {
            Standing::Valid => (Code::Expired, true),
            Standing::NotYet => (Code::NotYetValid, false),
            Standing::Expired => (Code::Expired, false),
        };
        let first = key.validity.from.map_or_else(String::new, |day| format!(" from {day}"));
        let last = key.validity.until.map_or_else(String::new, |day| format!(" until {day}"));
        let valid =
            if first.is_empty() && last.is_empty() { " at any time".to_owned() } else { format!("{first}{last}") };
        rules.push(Rule {
            code,
            expected: format!("{when} with a key of `{name}` valid{valid}"),
            found: format!("{when} at {instant}"),
            met,
            origin: origin.clone(),
        });
    }
    let id = key.key.id();
    let of_key = policy.revocations().of_key(&id).map(|entry| (entry, format!("key {}", id.short())));
    let of_signer = || {
        let entry = policy.revocations().of_signer(name, sealed_at)?;
        Some((entry, format!("what `{name}` sealed at {sealed_at}")))
    };
    let recalled = of_key.or_else(of_signer);
    rules.push(Rule {
        code: Code::Revoked,
        expected: format!("a key and a signer `{name}` that are not revoked"),
        found: recalled.as_ref().map_or_else(|| "not revoked".to_owned(), |(entry, what)| revoked(what, &entry.reason)),
        met: recalled.is_none(),
        origin: recalled.map_or(origin, |(entry, _)| entry.origin.clone()),
    });
    rules
}

/// The manifests of a seal that are recalled: a rule that is not met for each.
#[must_use]
pub fn recalled_manifests(statement: &Statement, policy: &Policy) -> Vec<Rule> {
    let recalled = |sha256| policy.revocations().of_manifest(sha256).map(|entry| (sha256, entry));
    let recalled = statement.subjects.iter().filter_map(|subject| recalled(&subject.sha256));
    let rule = |(sha256, entry): (&Digest, &Revocation)| Rule {
        code: Code::Revoked,
        expected: "manifests that are not revoked".to_owned(),
        found: revoked(&format!("manifest {sha256}"), &entry.reason),
        met: false,
        origin: entry.origin.clone(),
    };
    recalled.map(rule).collect()
}

fn revoked(what: &str, reason: &str) -> String {
    format!("{what} revoked: {}", Escaped(reason.as_bytes()))
}

struct Rules<'a, 'e> {
    edge: &'a Edge<'e>,
    trail: &'a mut Trail,
}

impl Rules<'_, '_> {
    fn origin<T>(&self, at: &Located<T>) -> String {
        self.edge.policy.origin(at)
    }

    fn equal(&mut self, code: Code, what: &str, expected: &str, found: &str, origin: String) {
        self.trail.rule(
            code,
            expected == found,
            format!("{what} {}", shown(expected)),
            format!("{what} {}", shown(found)),
            origin,
        );
    }

    /// Compares item by item: no character that an item may hold can make two lists look the same.
    fn same_list(&mut self, code: Code, what: &str, expected: &[&str], found: &[&str], origin: String) -> bool {
        let text = |list: &[&str]| {
            let items: Vec<_> = list.iter().map(|item| shown(item)).collect();
            format!("{what} {}", if items.is_empty() { "none".to_owned() } else { items.join(", ") })
        };
        self.trail.rule(code, expected == found, text(expected), text(found), origin)
    }

    fn identity(&mut self, predicate: &Predicate) {
        let (project, cache) = (self.edge.policy.project(), &self.edge.cache.name);
        self.equal(Code::WrongProject, "project", project, &predicate.project, self.origin(project));
        self.equal(Code::WrongCache, "cache", cache, &predicate.cache, self.origin(&self.edge.cache.name));
    }

    fn roots(&mut self, predicate: &Predicate) {
        let cache = self.edge.cache;
        let expected: Vec<_> = cache.roots.iter().map(|root| root.spelling.as_str()).collect();
        let found: Vec<_> = predicate.roots.iter().map(|root| root.path.as_str()).collect();
        self.same_list(Code::WrongRoot, "roots", &expected, &found, self.origin(&cache.roots));
        let other = predicate.roots.iter().map(|root| root.digest).find(|digest| cache.digest != *digest);
        let found = other.unwrap_or(*cache.digest);
        self.equal(Code::WrongDigest, "digest", cache.digest.as_str(), found.as_str(), self.origin(&cache.digest));
    }

    fn lockfiles(&mut self, predicate: &Predicate, checkout: &Lockfiles) {
        let cache = self.edge.cache;
        let paths: Vec<_> = cache.lockfiles.iter().map(String::as_str).collect();
        let sealed: Vec<_> = predicate.lockfiles.iter().map(|lockfile| lockfile.path.as_str()).collect();
        let same = self.same_list(Code::WrongLockfile, "lockfiles", &paths, &sealed, self.origin(&cache.lockfiles));
        if !same || self.edge.gate.lockfile == LockfileRule::Any {
            return;
        }
        let origin = self.origin(&self.edge.gate.lockfile);
        let digests = match checkout {
            Lockfiles::Known(digests) => digests,
            Lockfiles::Unreadable { path, found } => {
                let expected = format!("the checkout's {}", shown(path));
                self.trail.rule(Code::Unreadable, false, expected, found.as_str(), origin);
                return;
            }
            Lockfiles::Unpinned => {
                let found = "only the policy is pinned: the restore may have written the lockfiles too";
                self.trail.rule(Code::UnpinnedLockfile, false, "lockfiles that something vouches for", found, origin);
                return;
            }
        };
        for (at, sealed) in predicate.lockfiles.iter().enumerate() {
            let checkout = digests.get(at).copied().flatten();
            let expected =
                checkout.map_or_else(|| "which is not there".to_owned(), |digest| format!("sha256 {digest}"));
            let expected = format!("the checkout's `{}`, {expected}", Escaped(sealed.path.as_bytes()));
            let found = format!("sealed for sha256 {}", sealed.sha256);
            self.trail.rule(Code::StaleLockfile, checkout == Some(sealed.sha256), expected, found, origin.clone());
        }
    }

    fn platform(&mut self, sealed: &Platform, here: &Platform) {
        let text = |platform: &Platform| format!("{}/{}", platform.os, platform.arch);
        self.equal(Code::WrongPlatform, "platform", &text(here), &text(sealed), "this system".to_owned());
    }

    fn bindings(&mut self, predicate: &Predicate) {
        for (name, value) in &self.edge.gate.bindings {
            let found = predicate.bindings.get(name);
            let text = |value: &str| format!("binding {}", shown(&format!("{name}={value}")));
            let met = found == Some(value);
            let found = found.map_or_else(|| format!("no binding {}", shown(name)), |found| text(found));
            self.trail.rule(
                Code::WrongBinding,
                met,
                text(value),
                found,
                self.edge.policy.origin(&self.edge.gate.bindings),
            );
        }
    }

    fn age(&mut self, sealed_at: Timestamp, now: Timestamp) {
        let age = now.duration_since(sealed_at);
        let (expected, found) = (format!("sealed at {now} at the latest"), format!("sealed at {sealed_at}"));
        self.trail.rule(Code::SealedInFuture, age >= -MAX_SKEW, expected, found, "the clock, 5 minutes allowed");
        let max_age = self.edge.gate.max_age;
        // A maximum age is at most ten years of seconds.
        let limit = SignedDuration::from_secs(i64::try_from(max_age.seconds()).unwrap_or(i64::MAX));
        let found = format!("sealed at {sealed_at}, {}", old(age));
        let origin = self.origin(&self.edge.gate.max_age);
        self.trail.rule(Code::TooOld, age <= limit, format!("at most {max_age} old"), found, origin);
    }
}

fn shown(text: &str) -> String {
    format!("`{}`", Escaped(text.as_bytes()))
}

/// "3 days ago", in the largest whole unit.
fn old(age: SignedDuration) -> String {
    let minutes = age.as_mins();
    match minutes {
        1 => "a minute ago".to_owned(),
        ..=119 => format!("{minutes} minutes ago"),
        120..=2_879 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}
