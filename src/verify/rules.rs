//! The rules that a verified statement must meet.

use jiff::{SignedDuration, Timestamp};

use crate::base::{Code, Digest, Escaped, Refusal, Refusals};
use crate::policy::{Edge, LockfileRule, Signer};
use crate::seal::statement::{Platform, Predicate};

/// How far ahead of ours a sealing job's clock may be.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What the consuming job says of itself, to hold a statement against.
#[derive(Debug, Clone)]
pub struct Checkout {
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

/// Holds a predicate against policy, gate and checkout. `place` is where refusals say the seal is.
pub(super) fn check(predicate: &Predicate, edge: &Edge<'_>, checkout: &Checkout, place: &str, cap: usize) -> Refusals {
    let mut rules = Rules { place, refusals: Refusals::new(cap) };
    rules.identity(predicate, edge);
    rules.roots(predicate, edge);
    rules.lockfiles(predicate, edge, &checkout.lockfiles);
    rules.platform(&predicate.platform, &checkout.platform);
    rules.age(predicate.sealed_at, edge, checkout.now);
    rules.refusals
}

/// Why this signer may not make this seal; empty if it may.
#[must_use]
pub fn scope(predicate: &Predicate, signer: &Signer, place: &str, cap: usize) -> Refusals {
    let mut rules = Rules { place, refusals: Refusals::new(cap) };
    let name = &signer.name;
    if !signer.scope.allows_cache(&predicate.cache) {
        let expected = format!("a cache that signer `{name}` may seal");
        rules.refuse(Code::WrongCache, expected, shown(&predicate.cache));
    }
    for (code, what, allowed, found) in [
        (Code::WrongRef, "ref", signer.scope.allows_ref(predicate.source.ref_.as_deref()), &predicate.source.ref_),
        (Code::WrongJob, "job", signer.scope.allows_job(predicate.source.job.as_deref()), &predicate.source.job),
    ] {
        if !allowed {
            let found = found.as_deref().map_or_else(|| format!("no {what}"), shown);
            rules.refuse(code, format!("a {what} that signer `{name}` may seal from"), found);
        }
    }
    rules.refusals
}

struct Rules<'a> {
    place: &'a str,
    refusals: Refusals,
}

impl Rules<'_> {
    fn refuse(&mut self, code: Code, expected: impl Into<String>, found: impl Into<String>) {
        self.refusals.push(Refusal::new(code, self.place, expected, found));
    }

    fn equal(&mut self, code: Code, what: &str, expected: &str, found: &str) {
        if expected != found {
            self.refuse(code, format!("{what} {}", shown(expected)), format!("{what} {}", shown(found)));
        }
    }

    /// Compares item by item: no character that an item may hold can make two lists look the same.
    fn same_list(&mut self, code: Code, what: &str, expected: &[&str], found: &[&str]) -> bool {
        let same = expected == found;
        if !same {
            let text = |list: &[&str]| {
                format!("{what} {}", list.iter().map(|item| shown(item)).collect::<Vec<_>>().join(", "))
            };
            self.refuse(code, text(expected), text(found));
        }
        same
    }

    fn identity(&mut self, predicate: &Predicate, edge: &Edge<'_>) {
        self.equal(Code::WrongProject, "project", edge.project, &predicate.project);
        self.equal(Code::WrongCache, "cache", &edge.cache.name, &predicate.cache);
    }

    fn roots(&mut self, predicate: &Predicate, edge: &Edge<'_>) {
        let expected: Vec<_> = edge.cache.roots.iter().map(|root| root.get_ref().spelling.as_str()).collect();
        let found: Vec<_> = predicate.roots.iter().map(|root| root.path.as_str()).collect();
        self.same_list(Code::WrongRoot, "roots", &expected, &found);
        for root in &predicate.roots {
            if root.digest != edge.cache.digest {
                self.equal(Code::WrongDigest, "digest", edge.cache.digest.as_str(), root.digest.as_str());
                break;
            }
        }
    }

    fn lockfiles(&mut self, predicate: &Predicate, edge: &Edge<'_>, checkout: &Lockfiles) {
        let paths: Vec<_> = edge.cache.lockfiles.iter().map(String::as_str).collect();
        let sealed: Vec<_> = predicate.lockfiles.iter().map(|lockfile| lockfile.path.as_str()).collect();
        if !self.same_list(Code::WrongLockfile, "lockfiles", &paths, &sealed) || edge.gate.lockfile == LockfileRule::Any
        {
            return;
        }
        let digests = match checkout {
            Lockfiles::Known(digests) => digests,
            Lockfiles::Unreadable { path, found } => {
                self.refuse(Code::Unreadable, format!("the checkout's {}", shown(path)), found.as_str());
                return;
            }
            Lockfiles::Unpinned => {
                let found = "only the policy is pinned: the restore may have written the lockfiles too";
                self.refuse(Code::UnpinnedLockfile, "lockfiles that something vouches for", found);
                return;
            }
        };
        for (at, sealed) in predicate.lockfiles.iter().enumerate() {
            let checkout = digests.get(at).copied().flatten();
            if checkout != Some(sealed.sha256) {
                let expected =
                    checkout.map_or_else(|| "which is not there".to_owned(), |digest| format!("sha256 {digest}"));
                let expected = format!("the checkout's `{}`, {expected}", Escaped(sealed.path.as_bytes()));
                self.refuse(Code::StaleLockfile, expected, format!("sealed for sha256 {}", sealed.sha256));
            }
        }
    }

    fn platform(&mut self, sealed: &Platform, here: &Platform) {
        let text = |platform: &Platform| format!("{}/{}", platform.os, platform.arch);
        self.equal(Code::WrongPlatform, "platform", &text(here), &text(sealed));
    }

    fn age(&mut self, sealed_at: Timestamp, edge: &Edge<'_>, now: Timestamp) {
        let age = now.duration_since(sealed_at);
        if age < -MAX_SKEW {
            self.refuse(
                Code::SealedInFuture,
                format!("sealed at {now} at the latest"),
                format!("sealed at {sealed_at}"),
            );
        }
        let max_age = edge.gate.max_age;
        // A maximum age is at most ten years of seconds.
        if age > SignedDuration::from_secs(i64::try_from(max_age.seconds()).unwrap_or(i64::MAX)) {
            let found = format!("sealed at {sealed_at}, {}", old(age));
            self.refuse(Code::TooOld, format!("at most {max_age} old"), found);
        }
    }
}

fn shown(text: &str) -> String {
    format!("`{}`", Escaped(text.as_bytes()))
}

/// "3 days ago", in the largest whole unit.
fn old(age: SignedDuration) -> String {
    let minutes = age.as_mins();
    match minutes {
        ..=119 => format!("{minutes} minutes ago"),
        120..=2_879 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}
