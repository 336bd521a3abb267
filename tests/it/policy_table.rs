//! Each rule of a policy, met and not met, rows 32 and 52 to 58: a seal, a gate, the exact codes. Judged in this
//! process, and one row for each outcome by the binary. Scopes of refs and jobs, platforms, ages and foreign roots have
//! more rows in `statement.rs`.

use std::collections::BTreeSet;

use crate::demand::{Words, expect, expect_of_binary, policy, project, revocation, seal_by_binary, verdict, words};
use crate::forge::remove;
use crate::rows::each;

/// What, what the policy demands, what the seal says, the codes.
type Row = (&'static str, &'static str, &'static str, &'static str);

fn each_gets(rows: &[Row]) {
    each(rows, |(what, demands, said, codes)| {
        expect(what, &words(demands), &words(said), codes);
    });
}

const SIGNERS: &[Row] = &[
    ("nothing demanded", "", "", ""),
    ("the signer", "signers=[\"job\"]", "by=job", ""),
    ("its other key", "signers=[\"job\"]", "by=job-new", ""),
    ("one of two signers", "signers=[\"job\", \"second\"]", "by=second", ""),
    ("a signer of another gate", "signers=[\"job\"]", "by=second", "signer-not-accepted"),
    ("the key of another signer", "signers=[\"second\", \"third\"]", "by=job", "signer-not-accepted"),
    ("an accepted signature besides", "signers=[\"second\"]", "by=job,second", ""),
    ("a stranger's besides", "", "by=job,stranger", ""),
    ("two that are not accepted", "signers=[\"third\"]", "by=job,second", "signer-not-accepted"),
];

#[test]
fn a_seal_is_by_an_accepted_signer() {
    each_gets(SIGNERS);
}

const SCOPES: &[Row] = &[
    ("its cache", "caches=[\"deps\"]", "", ""),
    ("its cache, by a pattern", "caches=[\"npm\", \"d*\"]", "", ""),
    ("another cache", "caches=[\"npm\"]", "", "wrong-cache"),
    ("a part of the name", "caches=[\"dep\", \"eps\"]", "", "wrong-cache"),
    ("its ref", "refs=[\"refs/heads/main\"]", "ref=main", ""),
    ("one of its refs", "refs=[\"refs/tags/*\", \"refs/heads/*\"]", "ref=feature", ""),
    ("another ref", "refs=[\"refs/heads/main\"]", "ref=feature", "wrong-ref"),
    ("a ref below", "refs=[\"refs/heads/*\"]", "ref=main/x", "wrong-ref"),
    ("a ref anywhere below", "refs=[\"refs/heads/**\"]", "ref=main/x", ""),
    ("a pull request", "refs=[\"refs/heads/**\"]", "ref=pull/7", "wrong-ref"),
    ("no ref", "refs=[\"**\"]", "", "wrong-ref"),
    ("its job", "jobs=[\"seal\"]", "job=seal", ""),
    ("its job, by a pattern", "jobs=[\"seal-*\"]", "job=seal-deps", ""),
    ("another job", "jobs=[\"seal\"]", "job=test", "wrong-job"),
    ("no job", "jobs=[\"*\"]", "", "wrong-job"),
    ("the scope of a signer that did not sign", "second.refs=[\"refs/heads/main\"]", "ref=feature", ""),
    (
        "out of scope, and in the scope of one that did not sign",
        "signers=[\"job\", \"second\"]; refs=[\"refs/heads/main\"]; second.refs=[\"**\"]",
        "ref=feature",
        "wrong-ref",
    ),
    (
        "one in scope and one out of it, one is enough",
        "signers=[\"job\", \"second\"]; refs=[\"refs/heads/main\"]",
        "ref=feature; by=job,second",
        "",
    ),
    (
        "both out of scope, for two reasons",
        "signers=[\"job\", \"second\"]; refs=[\"refs/heads/main\"]; second.jobs=[\"seal\"]",
        "ref=feature; by=job,second; job=test",
        "wrong-ref wrong-job",
    ),
];

#[test]
fn a_signer_seals_what_it_may() {
    each_gets(SCOPES);
}

const DAYS: &[Row] = &[
    ("since before the seal", "valid=valid_from = \"{-3}\"", "", ""),
    ("since after today", "valid=valid_from = \"{+2}\"", "", "not-yet-valid"),
    ("since after the seal", "valid=valid_from = \"{-2}\"", "age=96", "not-yet-valid"),
    ("since the day of the seal", "valid=valid_from = \"{-4}\"", "age=72", ""),
    ("until after today", "valid=valid_until = \"{+1}\"", "", ""),
    ("until before today", "valid=valid_until = \"{-2}\"", "", "expired"),
    ("until after the seal, before today", "valid=valid_until = \"{-2}\"", "age=96", "expired"),
    ("for the days of both", "valid=valid_from = \"{-5}\", valid_until = \"{+1}\"", "age=72", ""),
    (
        "for days between them",
        "valid=valid_from = \"{-3}\", valid_until = \"{-2}\"",
        "age=144",
        "not-yet-valid expired",
    ),
    ("the other key has no end", "valid=valid_until = \"{-2}\"", "by=job-new", ""),
    ("both keys, one expired", "valid=valid_until = \"{-2}\"", "by=job,job-new", ""),
    ("the expired key of a signer that did not sign", "second.valid=valid_until = \"{-2}\"", "", ""),
];

#[test]
fn a_key_is_in_use_when_sealing_and_when_verifying() {
    each_gets(DAYS);
}

const RECALLS: &[Row] = &[
    ("the key", "revoke=key job", "", "revoked"),
    ("the key, by a newer list", "list=key job", "", "revoked"),
    ("another key", "revoke=key second", "", ""),
    ("the signer's other key", "revoke=key job-new; list=key job-new", "", ""),
    ("one key of two that signed", "revoke=key job", "by=job,job-new", ""),
    ("both keys that signed, by two lists", "revoke=key job; list=key job-new", "by=job,job-new", "revoked"),
    ("one signer of two", "signers=[\"job\", \"second\"]; list=key job", "by=job,second", ""),
    ("a manifest", "revoke=manifest", "", "revoked"),
    ("a manifest, by a newer list", "list=manifest", "", "revoked"),
    ("another manifest", "revoke=another manifest; list=another manifest", "", ""),
    ("a manifest, whoever signed", "signers=[\"job\", \"second\"]; list=manifest", "by=job,second", "revoked"),
    ("what the signer sealed before", "revoke=before -24 job", "age=48", "revoked"),
    ("what the signer sealed before, by a newer list", "list=before -24 job", "age=48", "revoked"),
    ("what the signer sealed after", "revoke=before -24 job; list=before -12 job", "", ""),
    ("what another signer sealed before", "revoke=before +24 second", "", ""),
    ("the signer, with its other key", "revoke=before +24 job", "by=job-new", "revoked"),
    ("the signer, and one that is not", "signers=[\"job\", \"second\"]; list=before +24 job", "by=job,second", ""),
    ("a newer list takes no key back", "revoke=key job; list=key second", "", "revoked"),
    ("a newer list takes no manifest back", "revoke=manifest; list=another manifest", "", "revoked"),
    ("a newer list takes no signer back", "revoke=before +24 job; list=before +24 second", "", "revoked"),
    ("a newer list brings no earlier end", "revoke=before +24 job; list=before -24 job", "", "revoked"),
];

#[test]
fn what_is_recalled_is_refused() {
    each_gets(RECALLS);
}

const THRESHOLDS: &[Row] = &[
    ("one of one", "threshold=1", "", ""),
    ("one of two", "signers=[\"job\", \"second\"]; threshold=1", "", ""),
    ("two of two", "signers=[\"job\", \"second\"]; threshold=2", "by=job,second", ""),
    ("two of three", "signers=[\"job\", \"second\", \"third\"]; threshold=2", "by=third,second", ""),
    ("three of three", "signers=[\"job\", \"second\", \"third\"]; threshold=3", "by=third,second,job", ""),
    ("one for two", "signers=[\"job\", \"second\"]; threshold=2", "", "threshold-unmet"),
    ("two for three", "signers=[\"job\", \"second\", \"third\"]; threshold=3", "by=third,second", "threshold-unmet"),
    ("two keys of one signer", "signers=[\"job\", \"second\"]; threshold=2", "by=job,job-new", "threshold-unmet"),
    ("one key twice", "signers=[\"job\", \"second\"]; threshold=2", "by=job,job", "threshold-unmet"),
    ("one not accepted", "signers=[\"job\", \"second\"]; threshold=2", "by=job,third", "threshold-unmet"),
    ("a stranger", "signers=[\"job\", \"second\"]; threshold=2", "by=job,stranger", "threshold-unmet"),
    (
        "one out of scope",
        "signers=[\"job\", \"second\"]; threshold=2; second.jobs=[\"x\"]",
        "by=job,second; job=y",
        "threshold-unmet wrong-job",
    ),
    (
        "one expired",
        "signers=[\"job\", \"second\"]; threshold=2; second.valid=valid_until = \"{-2}\"",
        "by=job,second",
        "threshold-unmet expired",
    ),
    (
        "one revoked",
        "signers=[\"job\", \"second\"]; threshold=2; list=key second",
        "by=job,second",
        "threshold-unmet revoked",
    ),
    (
        "one out of scope, two others in it",
        "signers=[\"job\", \"second\", \"third\"]; threshold=2; second.jobs=[\"x\"]",
        "by=job,second,third; job=y",
        "",
    ),
    ("none", "signers=[\"second\", \"third\"]; threshold=2", "by=job", "signer-not-accepted"),
];

#[test]
fn a_threshold_counts_distinct_signers_that_may() {
    each_gets(THRESHOLDS);
}

const PLACES: &[Row] = &[
    ("young enough", "max_age=\"3d\"", "age=71", ""),
    ("too old", "max_age=\"3d\"", "age=73", "too-old"),
    ("old, and the gate is patient", "max_age=\"3650d\"", "age=73", ""),
    ("old by minutes", "max_age=\"90m\"", "age=2", "too-old"),
    ("from tomorrow", "", "age=-24", "sealed-in-future"),
    ("the same lockfile", "lockfile=\"exact\"", "", ""),
    ("another lockfile", "lockfile=\"exact\"; here=other-lockfile", "", "stale-lockfile"),
    ("no lockfile", "lockfile=\"exact\"; here=no-lockfile", "", "stale-lockfile"),
    ("another lockfile that is not compared", "lockfile=\"any\"; here=other-lockfile", "", ""),
    ("no lockfile, not compared", "lockfile=\"any\"; here=no-lockfile", "", ""),
    ("a lockfile that nothing vouches for", "lockfile=\"exact\"; here=pinned", "", "unpinned-lockfile"),
    ("a pinned policy that compares none", "lockfile=\"any\"; here=pinned", "", ""),
    ("another platform", "", "platform=plan9/mips", "wrong-platform"),
    ("a binding", "bindings={ image = \"a:1\" }", "bind=image=a:1", ""),
    ("two bindings", "bindings={ a = \"1\", b = \"2\" }", "bind=b=2,a=1", ""),
    ("a binding more than demanded", "bindings={ a = \"1\" }", "bind=b=2,a=1", ""),
    ("bindings, none demanded", "", "bind=b=2,a=1", ""),
    ("no binding", "bindings={ image = \"a:1\" }", "", "wrong-binding"),
    ("another value", "bindings={ image = \"a:1\" }", "bind=image=a:2", "wrong-binding"),
    ("another name", "bindings={ image = \"a:1\" }", "bind=Image=a:1", "wrong-binding"),
    ("one of two bindings", "bindings={ a = \"1\", b = \"2\" }", "bind=a=1", "wrong-binding"),
    ("the value of another name", "bindings={ a = \"1\", b = \"2\" }", "bind=a=2,b=1", "wrong-binding"),
    ("the roots", "roots=[\"deps\", \"~/store\"]", "", ""),
    ("a root less", "roots=[\"deps\"]", "", "wrong-root"),
    ("the digest", "digest=\"blake3\"", "", ""),
    ("another digest", "digest=\"sha256\"", "", "wrong-digest"),
    ("another project", "project=\"github.com/acme/fork\"", "", "wrong-project"),
    ("a lockfile more", "lockfiles=[\"deps.lock\", \"b.lock\"]", "", "wrong-lockfile"),
    ("no lockfiles any more", "lockfiles=[]", "", "wrong-lockfile"),
];

#[test]
fn a_seal_is_of_its_time_and_place() {
    each_gets(PLACES);
}

/// One row for each outcome, with the real binary.
#[test]
fn the_binary_says_the_same() {
    let mut outcomes = BTreeSet::new();
    let rows = [SIGNERS, SCOPES, DAYS, RECALLS, THRESHOLDS, PLACES].into_iter().flatten();
    each(rows.filter(|(.., codes)| outcomes.insert(*codes)), |(what, demands, said, codes)| {
        expect_of_binary(what, &words(demands), &words(said), codes);
    });
    assert!(outcomes.len() > 20, "{outcomes:?}");
}

/// A seal that no gate would take is not made: the job that seals learns of it, not the job that needs it.
#[test]
fn a_seal_that_no_gate_would_take_is_not_made() {
    let rows: &[Row] = &[
        ("nothing demanded", "", "", ""),
        ("in scope", "refs=[\"refs/heads/main\"]; jobs=[\"seal\"]; caches=[\"deps\"]", "ref=main; job=seal", ""),
        ("another cache", "caches=[\"npm\"]", "", "wrong-cache"),
        ("another ref", "refs=[\"refs/heads/main\"]", "ref=feature", "wrong-ref"),
        ("no ref", "refs=[\"refs/heads/main\"]", "", "wrong-ref"),
        ("another job", "jobs=[\"seal\"]", "job=test", "wrong-job"),
        (
            "everything else",
            "refs=[\"refs/heads/main\"]; jobs=[\"seal\"]; caches=[\"npm\"]; valid=valid_until = \"{-2}\"; revoke=key job",
            "ref=feature; job=test",
            "wrong-cache wrong-ref wrong-job expired revoked",
        ),
        ("an expired key", "valid=valid_until = \"{-2}\"", "", "expired"),
        ("the last day", "valid=valid_until = \"{+1}\"", "", ""),
        ("a key to come", "valid=valid_from = \"{+2}\"", "", "not-yet-valid"),
        ("the new key in place of an expired one", "valid=valid_until = \"{-2}\"", "by=job-new", ""),
        ("a revoked key", "revoke=key job", "", "revoked"),
        ("another key that is revoked", "revoke=key second", "", ""),
        ("a signer whose seals are revoked until tomorrow", "revoke=before +24 job", "", "revoked"),
        ("a signer whose seals are revoked until yesterday", "revoke=before -24 job", "", ""),
        ("a scope of another signer", "second.caches=[\"npm\"]", "", ""),
    ];
    each(rows, |(what, demands, said, codes)| {
        let (project, demands, said) = (project(), words(demands), words(said));
        project.write("cacheseal.toml", policy(&demands));
        if let Some(revoked) = demands.get("revoke") {
            project.write("keys/revoked.toml", revocation(&project, revoked));
        }
        let codes: Vec<_> = codes.split(' ').filter(|code| !code.is_empty()).collect();
        let by = said.get("by").map_or("job", String::as_str);
        let exit = if codes.is_empty() { 0 } else { 10 };
        seal_by_binary(&project, &said, by, &[]).verdict().expect_of(what, exit, &codes);
        assert_eq!(project.seal_path().exists(), codes.is_empty(), "{what}");
        assert!(
            project.path(".cacheseal").read_dir().is_ok_and(|mut seals| seals.all(|seal| {
                // Nothing half made stays behind.
                seal.unwrap().file_name() == "deps"
            })) || !project.path(".cacheseal").exists()
        );
    });
    let project = project();
    let seal_by = |name: &str| seal_by_binary(&project, &Words::new(), name, &[]).verdict();
    seal_by("stranger").expect_error(10, "unknown-signer");
    assert!(!project.seal_path().exists());
    // The same tree once more: the seal that is there stays.
    seal_by("job").expect(0, &[]);
    project.write("keys/revoked.toml", revocation(&project, "manifest"));
    seal_by("second").expect(10, &["revoked"]);
    remove(&project.path("keys/revoked.toml"));
    verdict(&project, &Words::new()).expect(0, &[]);
}
