//! Random policies and seals, judged in this process: less evidence never turns a no into a yes, and a yes is what a
//! second, simpler judge says.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cacheseal::base::{Algorithm, Code, Digest, Limits};
use cacheseal::policy::{Document, Revocations, entry_text};
use cacheseal::seal::envelope::sign;
use cacheseal::seal::statement::{
    PAYLOAD_TYPE, Platform, Predicate, SealedLockfile, SealedRoot, Source, Statement, Subject, Tool,
};
use cacheseal::verify::{Consumer, Lockfiles, Trail, judge_envelope};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::harness::{key, share};

/// The keys of the signers `s0`, `s1` and `s2`.
const KEYS: [&[&str]; 3] = [&["k0", "k1"], &["k2"], &["k3", "k4"]];

/// What is recalled.
#[derive(Debug, Clone, PartialEq)]
enum Recall {
    Key(&'static str),
    Before(usize, bool),
    Manifest(bool),
}

/// A policy, a seal and a checkout.
#[derive(Debug, Clone)]
struct Case {
    /// The keys that the policy lists.
    listed: BTreeSet<&'static str>,
    /// Of the listed ones, those that are out of their days.
    expired: BTreeSet<&'static str>,
    /// Signers bound to the main branch.
    bound: BTreeSet<usize>,
    accepted: BTreeSet<usize>,
    threshold: usize,
    wants: BTreeMap<&'static str, u8>,
    says: BTreeMap<&'static str, u8>,
    exact: bool,
    lockfile: Option<u8>,
    main: bool,
    days: i64,
    signed: Vec<&'static str>,
    /// Signatures by keys that nobody knows, before and after the others.
    strangers: (usize, usize),
    recalled: Vec<Recall>,
}

fn all_keys() -> Vec<&'static str> {
    KEYS.concat()
}

fn bindings() -> impl Strategy<Value = BTreeMap<&'static str, u8>> {
    let value = prop_oneof![4 => Just(1_u8), 1 => Just(2)];
    prop::collection::btree_map(prop::sample::select(vec!["a", "b"]), value, 0..3)
}

fn recall() -> impl Strategy<Value = Recall> {
    prop_oneof![
        prop::sample::select(all_keys()).prop_map(Recall::Key),
        (0..3_usize, any::<bool>()).prop_map(|(signer, later)| Recall::Before(signer, later)),
        prop::bool::weighted(0.3).prop_map(Recall::Manifest),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let some = |sizes: std::ops::RangeInclusive<usize>| prop::sample::subsequence(all_keys(), sizes);
    let policy = (
        prop::sample::subsequence(all_keys(), 4..=5),
        some(0..=1),
        prop::collection::btree_set(0..3_usize, 0..2),
        prop::collection::btree_set(0..3_usize, 1..4),
        1..3_usize,
        prop_oneof![2 => Just(BTreeMap::new()), 1 => bindings()],
    );
    let seal = (
        bindings(),
        any::<bool>(),
        prop_oneof![8 => Just(Some(1)), 1 => Just(Some(2)), 1 => Just(None)],
        prop::bool::weighted(0.8),
        prop_oneof![9 => Just(1_i64), 1 => Just(8)],
        some(0..=5).prop_shuffle(),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(recall(), 0..2)],
    );
    (policy, seal).prop_map(|((listed, expired, bound, accepted, threshold, wants), seal)| {
        let (says, exact, lockfile, main, days, signed, recalled) = seal;
        Case {
            listed: listed.into_iter().collect(),
            expired: expired.into_iter().collect(),
            threshold: threshold.min(accepted.len()),
            strangers: (0, 0),
            bound,
            accepted,
            wants,
            says,
            exact,
            lockfile,
            main,
            days,
            signed,
            recalled,
        }
    })
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn lock(version: u8) -> Digest {
    Digest::sha256(&[version])
}

impl Case {
    fn policy(&self) -> String {
        let mut text = String::from(
            "version = 1\nproject = 'p'\n[cache.deps]\nroots = ['deps']\nlockfiles = ['deps.lock']\n[cache.more]\nroots = ['more']\n",
        );
        for (signer, keys) in KEYS.iter().enumerate() {
            let one = |key: &&&str| {
                let until = if self.expired.contains(**key) { ", valid_until = '2026-11-20'" } else { "" };
                format!("{{ file = '{key}'{until} }}")
            };
            let listed: Vec<_> = keys.iter().filter(|key| self.listed.contains(**key)).collect();
            let keys: Vec<_> = listed.iter().map(one).collect();
            let refs = if self.bound.contains(&signer) { "refs = ['refs/heads/main']\n" } else { "" };
            let _ = write!(text, "[signer.s{signer}]\nkeys = [{}]\n{refs}", keys.join(", "));
        }
        let accepted: Vec<_> = self.accepted.iter().map(|signer| format!("'s{signer}'")).collect();
        let wants: Vec<_> = self.wants.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        let _ = write!(
            text,
            "[gate.g]\nrequire = ['signature']\nsigners = [{}]\nthreshold = {}\nmax_age = '7d'\nlockfile = '{}'\nbindings = {{ {} }}\n",
            accepted.join(", "),
            self.threshold,
            if self.exact { "exact" } else { "any" },
            wants.join(", "),
        );
        text
    }

    fn sealed_at(&self) -> Timestamp {
        now() - SignedDuration::from_hours(24 * self.days)
    }

    fn envelope(&self) -> Vec<u8> {
        let predicate = Predicate {
            project: "p".to_owned(),
            cache: "deps".to_owned(),
            roots: vec![SealedRoot {
                path: "deps".to_owned(),
                manifest: Some("0.mtree".to_owned()),
                digest: Algorithm::Blake3,
                entries: 1,
                bytes: 0,
            }],
            lockfiles: vec![SealedLockfile { path: "deps.lock".to_owned(), sha256: lock(1) }],
            platform: platform(),
            bindings: self.says.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect(),
            source: Source { ref_: self.main.then(|| "refs/heads/main".to_owned()), ..Source::default() },
            sealed_at: self.sealed_at(),
            tool: Tool { name: "t".to_owned(), version: "0".to_owned() },
        };
        let subjects = vec![Subject { name: "deps".to_owned(), sha256: Digest::sha256(b"manifest") }];
        let strangers = |count: usize, side: &str| (0..count).map(|at| format!("stranger {side} {at}")).collect();
        let (before, after): (Vec<_>, Vec<_>) =
            (strangers(self.strangers.0, "before"), strangers(self.strangers.1, "after"));
        let names = before.iter().map(String::as_str).chain(self.signed.iter().copied());
        let keys: Vec<_> = names.chain(after.iter().map(String::as_str)).map(key).collect();
        sign(PAYLOAD_TYPE, &Statement { subjects, predicate }.to_json(), &keys.iter().collect::<Vec<_>>())
    }

    fn revocations(&self) -> Revocations {
        let mut text = "version = 1\n".to_owned();
        for recalled in &self.recalled {
            let kind = match recalled {
                Recall::Key(name) => vec![("keyid", key(name).public().id().to_string())],
                Recall::Before(signer, later) => {
                    let before = self.sealed_at() + SignedDuration::from_secs(i64::from(*later));
                    vec![("signer", format!("s{signer}")), ("before", before.to_string())]
                }
                Recall::Manifest(this) => {
                    let manifest: &[u8] = if *this { b"manifest" } else { b"another" };
                    vec![("manifest", Digest::sha256(manifest).to_string())]
                }
            };
            let kind: Vec<_> = kind.iter().map(|(name, value)| (*name, value.as_str())).collect();
            text += &entry_text(&kind, "x");
        }
        Revocations::parse("list.toml", text.as_bytes()).unwrap()
    }

    /// The codes of the refusals; a policy that is none refuses too.
    fn codes(&self) -> Vec<Code> {
        let document = match Document::parse("cacheseal.toml", self.policy().as_bytes()) {
            Ok(document) => document,
            Err(error) => return vec![error.code()],
        };
        let pem = |name: &str| key(name).public().to_pem().into_bytes();
        let files = document.files().into_iter().map(|name| (name.to_owned(), pem(name))).collect();
        let mut policy = document.resolve(&files).unwrap();
        policy.recall(self.revocations());
        let edge = policy.edge("deps", "g").unwrap();
        let lockfiles = Lockfiles::Known(vec![self.lockfile.map(lock)]);
        let consumer = Consumer { now: now(), platform: platform(), lockfiles };
        let mut trail = Trail::new("seal.json", 1_000);
        let trusted = judge_envelope(&self.envelope(), &edge, &consumer, &Limits::STANDARD, &mut trail);
        let codes: Vec<_> = trail.refusals().counts().map(|(code, _)| code).collect();
        assert_eq!(trusted.is_some(), codes.is_empty(), "{self:?}");
        codes
    }

    fn trusted(&self) -> bool {
        self.codes().is_empty()
    }

    /// What the documents say, in the shortest words: no order, no reasons.
    fn should_be_trusted(&self) -> bool {
        let recalled = |recall: Recall| self.recalled.contains(&recall);
        let counts = |signer: &&usize| {
            let good = |key: &&str| {
                self.listed.contains(key)
                    && self.signed.contains(key)
                    && !self.expired.contains(key)
                    && !recalled(Recall::Key(all_keys().into_iter().find(|one| one == key).unwrap()))
            };
            KEYS[**signer].iter().any(good)
                && (self.main || !self.bound.contains(*signer))
                && !recalled(Recall::Before(**signer, true))
        };
        let has_keys = |keys: &&[&str]| keys.iter().any(|key| self.listed.contains(key));
        KEYS.iter().all(has_keys)
            && self.accepted.len() >= self.threshold
            && self.accepted.iter().filter(counts).count() >= self.threshold
            && self.wants.iter().all(|(name, value)| self.says.get(name) == Some(value))
            && (!self.exact || self.lockfile == Some(1))
            && self.days <= 7
            && !recalled(Recall::Manifest(true))
    }

    /// The same with one piece of evidence less, in every way there is.
    fn with_less(&self) -> Vec<Self> {
        let mut less = Vec::new();
        let mut add = |edit: &dyn Fn(&mut Self)| {
            let mut one = self.clone();
            edit(&mut one);
            less.push(one);
        };
        for at in 0..self.signed.len() {
            add(&|one| {
                one.signed.remove(at);
            });
        }
        for key in &self.listed {
            add(&|one| {
                one.listed.remove(key);
            });
            add(&|one| {
                one.expired.insert(key);
            });
            add(&|one| one.recalled.push(Recall::Key(key)));
        }
        for signer in 0..KEYS.len() {
            add(&|one| {
                one.accepted.remove(&signer);
            });
            add(&|one| {
                one.bound.insert(signer);
            });
            add(&|one| one.recalled.push(Recall::Before(signer, true)));
        }
        for name in self.says.keys() {
            add(&|one| {
                one.says.remove(name);
            });
        }
        add(&|one| one.lockfile = None);
        add(&|one| one.main = false);
        add(&|one| one.recalled.push(Recall::Manifest(true)));
        add(&|one| one.recalled.push(Recall::Manifest(false)));
        less
    }
}

fn platform() -> Platform {
    Platform { os: "linux".to_owned(), arch: "x86_64".to_owned() }
}

fn each_case(cases: u32, check: impl Fn(&Case) -> bool) {
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let trusted = Cell::new(0);
    let run = runner.run(&case(), |case| {
        trusted.set(trusted.get() + u32::from(check(&case)));
        Ok(())
    });
    run.unwrap();
    // Neither answer is so rare that the property says little.
    assert!((cases / 20..cases * 19 / 20).contains(&trusted.get()), "{} of {cases}", trusted.get());
}

#[test]
fn a_seal_is_trusted_if_and_only_if_every_rule_is_met() {
    each_case(share(1_000), |case| {
        let trusted = case.trusted();
        assert_eq!(trusted, case.should_be_trusted(), "{:?}\n{}", case.codes(), case.policy());
        trusted
    });
}

#[test]
fn less_evidence_never_turns_a_refusal_into_a_pass() {
    each_case(share(600), |case| {
        let codes = case.codes();
        // Where much is wrong, no single change could tell.
        if (1..=2).contains(&codes.len()) {
            let trusted = case.with_less().into_iter().filter(Case::trusted).collect::<Vec<_>>();
            assert!(trusted.is_empty(), "{codes:?} in {case:?}\n{trusted:?}");
        }
        codes.is_empty()
    });
}

#[test]
fn unknown_signatures_never_change_a_verdict() {
    each_case(share(400), |case| {
        let before = case.codes();
        for strangers in [(1, 0), (0, 1), (5, 6)] {
            let after = Case { strangers, ..case.clone() }.codes();
            let found_some = before == [Code::NoSignature] && after == [Code::UnknownSigner];
            assert!(before == after || found_some, "{before:?} {after:?}");
        }
        before.is_empty()
    });
}
