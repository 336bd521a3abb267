//! Rules together: each alone refuses where all others are met, and two that are not met give both codes.

use std::collections::BTreeSet;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheseal::base::Digest;
use serde_json::{Value, json};

use crate::demand::{Words, expect, expect_after, project, seal, verdict, words};
use crate::harness::Project;
use crate::rows::{each, some};

/// A rule that is not met: what the policy demands, what the seal says, the code.
struct Broken {
    demands: &'static str,
    said: &'static str,
    code: &'static str,
}

const fn broken(demands: &'static str, said: &'static str, code: &'static str) -> Broken {
    Broken { demands, said, code }
}

const BROKEN: &[Broken] = &[
    broken("caches=[\"npm\"]", "", "wrong-cache"),
    broken("refs=[\"refs/heads/main\"]", "ref=feature", "wrong-ref"),
    broken("jobs=[\"seal\"]", "job=test", "wrong-job"),
    broken("valid=valid_from = \"{+2}\"", "", "not-yet-valid"),
    broken("valid=valid_until = \"{-2}\"", "", "expired"),
    broken("revoke=key job", "", "revoked"),
    broken("list=before +48 job", "", "revoked"),
    broken("list=manifest", "", "revoked"),
    broken("signers=[\"job\", \"second\"]; threshold=2", "", "threshold-unmet"),
    broken("max_age=\"2d\"", "age=72", "too-old"),
    broken("max_age=\"3d\"", "age=-24", "sealed-in-future"),
    broken("lockfile=\"exact\"; here=other-lockfile", "", "stale-lockfile"),
    broken("lockfile=\"exact\"; here=pinned", "", "unpinned-lockfile"),
    broken("lockfile=\"any\"; lockfiles=[\"b.lock\"]", "", "wrong-lockfile"),
    broken("bindings={ image = \"a\" }", "bind=image=b", "wrong-binding"),
    broken("roots=[\"deps\"]", "", "wrong-root"),
    broken("digest=\"sha256\"", "", "wrong-digest"),
    broken("project=\"github.com/acme/fork\"", "", "wrong-project"),
    broken("", "platform=plan9/mips", "wrong-platform"),
];

/// A seal and a policy that agree in everything.
const MET: (&str, &str) = (
    "caches=[\"deps\"]; refs=[\"refs/heads/main\"]; jobs=[\"seal\"]; bindings={ image = \"b\" }; max_age=\"3d\"; \
     lockfile=\"exact\"; signers=[\"job\", \"second\"]; threshold=2; revoke=key other; list=key third; \
     valid=valid_from = \"{-5}\", valid_until = \"{+2}\"",
    "ref=main; job=seal; bind=image=b; by=job,second",
);

/// Both, if no word has two meanings in them.
fn both(one: &str, other: &str) -> Option<Words> {
    let (mut all, other) = (words(one), words(other));
    if other.iter().any(|(name, value)| all.get(name).is_some_and(|already| already != value)) {
        return None;
    }
    all.extend(other);
    Some(all)
}

#[test]
fn each_rule_refuses_by_itself_where_all_others_are_met() {
    let (demands, said) = (words(MET.0), words(MET.1));
    expect("all met", &demands, &said, "");
    for broken in BROKEN {
        let (mut demands, mut said) = (demands.clone(), said.clone());
        demands.extend(words(broken.demands));
        said.extend(words(broken.said));
        let mut codes = BTreeSet::from([broken.code]);
        if broken.code == "threshold-unmet" {
            said.remove("by");
        } else if ["wrong-ref", "wrong-job", "wrong-cache", "expired", "not-yet-valid"].contains(&broken.code)
            || broken.demands.ends_with(" job")
        {
            // What keeps one signer from counting leaves too few.
            codes.insert("threshold-unmet");
        }
        if broken.demands.starts_with("caches") {
            demands.insert("second.caches".to_owned(), "[\"deps\"]".to_owned());
        }
        let codes: Vec<_> = codes.into_iter().collect();
        expect("all others met", &demands, &said, &codes.join(" "));
    }
}

fn each_pair(take: impl Fn(usize) -> bool) {
    let mut pairs = 0;
    for (at, one) in BROKEN.iter().enumerate().filter(|(at, _)| take(*at)) {
        for other in &BROKEN[at + 1..] {
            let (Some(demands), Some(said)) = (both(one.demands, other.demands), both(one.said, other.said)) else {
                continue;
            };
            let codes: BTreeSet<_> = [one.code, other.code].into();
            expect("both broken", &demands, &said, &codes.into_iter().collect::<Vec<_>>().join(" "));
            pairs += 1;
        }
    }
    assert!(pairs > 65, "{pairs}");
}

/// A reason never hides another one.
#[test]
fn two_broken_rules_give_both_codes() {
    each_pair(|at| at % 2 == 0);
}

#[test]
fn two_broken_rules_give_both_codes_in_the_other_half_of_the_table() {
    each_pair(|at| at % 2 == 1);
}

/// Nothing that such a seal says is looked at, so no rule but this one speaks.
#[test]
fn a_seal_that_no_accepted_signer_has_signed_gets_no_other_code() {
    type Tamper = fn(&Project);
    let cases: &[(&str, Tamper)] = &[
        ("no-signature", |p| p.edit_envelope(|e| e["signatures"] = json!([]))),
        ("signature-mismatch", |p| p.edit_envelope(|e| e["payload"] = STANDARD.encode("{}").into())),
        ("unknown-signer", |p| p.sign_as("stranger", "application/vnd.in-toto+json", &p.payload())),
        ("signer-not-accepted", |p| p.sign_as("other", "application/vnd.in-toto+json", &p.payload())),
    ];
    for (code, tamper) in cases {
        for broken in some(BROKEN) {
            expect_after(*tamper, &words(broken.demands), &words(broken.said), code);
        }
    }
}

/// A signature by nobody, different for each number.
fn unknown(number: u64) -> Value {
    let keyid = Digest::sha256(&number.to_be_bytes()).to_string();
    json!({ "keyid": keyid, "sig": STANDARD.encode([7; 64]) })
}

fn with_unknown(project: &Project, before: u64, after: u64) {
    project.edit_envelope(|envelope| {
        let own = envelope["signatures"].as_array().unwrap().clone();
        let all = (0..before).map(unknown).chain(own).chain((before..before + after).map(unknown));
        envelope["signatures"] = all.collect();
    });
}

#[test]
fn unknown_signatures_do_not_matter_up_to_the_cap() {
    for (before, after, exit, codes) in [
        (50, 0, 0, &[] as &[&str]),
        (0, 50, 0, &[]),
        (31, 32, 0, &[]),
        (63, 0, 0, &[]),
        (64, 0, 13, &["too-many-signatures"]),
        (0, 64, 13, &["too-many-signatures"]),
    ] {
        let project = project();
        seal(&project, &Words::new());
        with_unknown(&project, before, after);
        verdict(&project, &Words::new()).expect_of(format_args!("{before} {after}"), exit, codes);
    }
    let project = project();
    seal(&project, &words("by=job,second"));
    with_unknown(&project, 31, 31);
    let demands = "signers=[\"job\", \"second\"]; threshold=2";
    verdict(&project, &words(demands)).expect(0, &[]);
    verdict(&project, &words(&demands.replace("second", "third"))).expect(10, &["threshold-unmet"]);
}

/// One key's signature under the key id of another signer is none of that signer's.
#[test]
fn one_key_under_two_names_counts_once() {
    let demands = words("signers=[\"job\", \"second\"]; threshold=2");
    let second = crate::harness::key("second").public().id().to_string();
    each(
        [
            ("another signer's", second.as_str()),
            ("its own in upper case", ""),
            ("none", ""),
            ("its other key's", &crate::harness::key("job-new").public().id().to_string()),
            ("nobody's", &"0".repeat(64)),
        ],
        |(what, keyid)| {
            let project = project();
            seal(&project, &Words::new());
            project.edit_envelope(|envelope| {
                let mut twin = envelope["signatures"][0].clone();
                let upper = twin["keyid"].as_str().unwrap().to_uppercase();
                twin["keyid"] = if what.ends_with("upper case") { upper.into() } else { keyid.into() };
                envelope["signatures"].as_array_mut().unwrap().push(twin);
            });
            verdict(&project, &demands).expect_of(what, 10, &["threshold-unmet"]);
            // The good one is as good as before.
            verdict(&project, &words("signers=[\"job\", \"second\"]; threshold=1")).expect_of(what, 0, &[]);
        },
    );
}

/// Replays beyond those in `statement.rs`, which change one thing: the old files come back with the old seal.
#[test]
fn an_old_tree_with_its_own_old_seal_is_refused_by_age_and_lockfile() {
    let project = project();
    seal(&project, &words("age=192"));
    let (old_seal, old_tree) = (project.outside("old-seal"), project.outside("old-tree"));
    crate::harness::copy_tree(&project.seal_path(), &old_seal);
    crate::harness::copy_tree(&project.path("deps"), &old_tree);
    project.write("deps/pkg/index.js", "module.exports = 2\n");
    project.write("deps.lock", "left-pad 1.3.1\n");
    seal(&project, &Words::new());
    let exact = words("lockfile=\"exact\"");
    verdict(&project, &exact).expect(0, &[]);
    for directory in [project.seal_path(), project.path("deps")] {
        fs::remove_dir_all(directory).unwrap();
    }
    crate::harness::copy_tree(&old_seal, &project.seal_path());
    verdict(&project, &exact).expect(10, &["too-old", "stale-lockfile"]);
    crate::harness::copy_tree(&old_tree, &project.path("deps"));
    verdict(&project, &exact).expect(10, &["too-old", "stale-lockfile"]);
    verdict(&project, &words("max_age=\"30d\"; lockfile=\"exact\"")).expect(10, &["stale-lockfile"]);
    verdict(&project, &words("max_age=\"30d\"")).expect(0, &[]);
    verdict(&project, &words("max_age=\"30d\"; revoke=manifest")).expect(10, &["revoked"]);
}

/// The seal of one cache of the policy in the place of another's, by a signer of both.
#[test]
fn the_seal_of_another_cache_is_refused_though_both_are_of_the_policy() {
    let project = project();
    let more = "[cache.more]\nroots = [\"more\"]\nlockfiles = [\"deps.lock\"]\n\n[signer.job]";
    project.write("cacheseal.toml", crate::demand::policy(&Words::new()).replace("[signer.job]", more));
    crate::harness::copy_tree(&project.path("deps"), &project.path("more"));
    seal(&project, &Words::new());
    let key = project.private_key("job");
    let more = |verb: &[&str]| project.json(&[verb, &["more"]].concat());
    let verify = ["verify", "--gate", "g", "--trust-checkout"];
    more(&["seal", "--key", key.to_str().unwrap()]).expect(0, &[]);
    more(&verify).expect(0, &[]);
    fs::remove_dir_all(project.path(".cacheseal/more")).unwrap();
    more(&verify).expect(10, &["no-seal"]);
    project.rename(".cacheseal/deps", ".cacheseal/more");
    more(&verify).expect(10, &["wrong-cache", "wrong-root"]);
}
