//! What the program says of a policy: `verify --explain`, the warning before a key's end, `policy check`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::demand::{Words, day, policy, project, revocation, seal, words};
use crate::forge::remove;
use crate::harness::{Project, Verdict};

/// Every rule that a trusted seal has met at a gate that writes everything.
const RULES: &[&str] = &[
    "policy-changed",
    "signature-mismatch",
    "expired",
    "revoked",
    "wrong-cache",
    "wrong-ref",
    "wrong-job",
    "threshold-unmet",
    "wrong-project",
    "wrong-root",
    "wrong-digest",
    "wrong-lockfile",
    "stale-lockfile",
    "wrong-platform",
    "wrong-binding",
    "sealed-in-future",
    "too-old",
    "digest-mismatch",
    "hardlink-outside",
];

const WRITTEN: &str = "caches=[\"deps\"]; refs=[\"refs/heads/main\"]; jobs=[\"seal\"]; bindings={ image = \"b\" }; \
                       threshold=1; lockfile=\"exact\"; digest=\"blake3\"";
const SAID: &str = "ref=main; job=seal; bind=image=b";

fn explain(project: &Project, more: &[&str]) -> Verdict {
    project.json(&[&["verify", "deps", "--gate", "g", "--trust-checkout", "--explain"], more].concat())
}

/// A project with a seal and a policy that says this.
fn made(demands: &str, said: &str) -> Project {
    let project = project();
    seal(&project, &words(said));
    project.write("cacheseal.toml", policy(&words(demands)));
    project
}

fn rules(verdict: &Verdict) -> &Vec<Value> {
    verdict.json["rules"].as_array().unwrap()
}

/// The origins of a code's rules.
fn origins<'v>(verdict: &'v Verdict, code: &str) -> BTreeSet<&'v str> {
    let of_code = rules(verdict).iter().filter(|rule| rule["code"] == code);
    of_code.map(|rule| rule["origin"].as_str().unwrap()).collect()
}

/// The place of the first line that begins so, after a line that is so.
fn line(project: &Project, table: &str, begins: &str) -> String {
    let text = std::fs::read_to_string(project.path("cacheseal.toml")).unwrap();
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| *line != table);
    let found = lines.find(|(_, line)| line.starts_with(begins)).unwrap_or_else(|| panic!("{table} {begins}: {text}"));
    format!("cacheseal.toml:{}", found.0 + 1)
}

#[test]
fn every_rule_is_shown_with_what_it_compared() {
    let project = made(WRITTEN, SAID);
    let verdict = explain(&project, &[]);
    verdict.expect(0, &[]);
    let shown: BTreeSet<_> = rules(&verdict).iter().map(|rule| rule["code"].as_str().unwrap()).collect();
    assert_eq!(shown, RULES.iter().copied().collect());
    for rule in rules(&verdict) {
        assert_eq!(rule["met"], true, "{rule}");
        for field in ["expected", "found", "origin"] {
            assert!(!rule[field].as_str().unwrap().is_empty(), "{rule}");
        }
    }
    let text = project.run(&["verify", "deps", "--gate", "g", "--trust-checkout", "--explain"]).stdout;
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("  met ")).collect();
    assert_eq!(lines.len(), rules(&verdict).len(), "{text}");
    for (line, rule) in lines.iter().zip(rules(&verdict)) {
        let (code, origin) = (rule["code"].as_str().unwrap(), rule["origin"].as_str().unwrap());
        assert!(line.contains(code) && line.ends_with(&format!("({origin})")), "{line}");
    }
    // Only who asks is told.
    assert!(project.json(&["verify", "deps", "--gate", "g", "--trust-checkout"]).json["rules"].is_null());
}

#[test]
fn each_rule_names_the_line_that_it_comes_from() {
    let (cache, job, gate) = ("[cache.deps]", "[signer.job]", "[gate.g]");
    let project = made(WRITTEN, SAID);
    let written = explain(&project, &[]);
    let expected = |rows: &[(&'static str, &str, &str)]| -> BTreeMap<_, _> {
        rows.iter().map(|(code, table, begins)| (*code, line(&project, table, begins))).collect()
    };
    for (code, place) in expected(&[
        ("signature-mismatch", gate, "signers"),
        ("expired", job, "keys"),
        ("revoked", job, "keys"),
        ("wrong-ref", job, "refs"),
        ("wrong-job", job, "jobs"),
        ("threshold-unmet", gate, "threshold"),
        ("wrong-project", "version = 1", "project"),
        ("wrong-root", cache, "roots"),
        ("wrong-digest", cache, "digest"),
        ("wrong-lockfile", cache, "lockfiles"),
        ("stale-lockfile", gate, "lockfile"),
        ("wrong-binding", gate, "bindings"),
        ("too-old", gate, "max_age"),
        ("digest-mismatch", cache, "roots"),
        // Not written: the gate's own line.
        ("hardlink-outside", gate, "[gate.g]"),
    ]) {
        assert_eq!(origins(&written, code), BTreeSet::from([place.as_str()]), "{code}");
    }
    let both = [line(&project, cache, "[cache.deps]"), line(&project, job, "caches")];
    assert_eq!(origins(&written, "wrong-cache"), both.iter().map(String::as_str).collect());
    assert_eq!(origins(&written, "policy-changed"), ["--trust-checkout"].into());
    assert_eq!(origins(&written, "wrong-platform"), ["this system"].into());
}

#[test]
fn a_field_that_is_not_written_has_the_line_of_its_table() {
    let (cache, job, gate) = ("[cache.deps]", "[signer.job]", "[gate.g]");
    let project = made("", "");
    let text = policy(&Words::new()).replace("lockfile = \"any\"\n", "");
    project.write("cacheseal.toml", text);
    let verdict = explain(&project, &[]);
    verdict.expect(0, &[]);
    for (code, table, begins) in [
        ("wrong-ref", job, "keys"),
        ("wrong-job", job, "keys"),
        ("threshold-unmet", gate, gate),
        ("wrong-digest", cache, cache),
        ("stale-lockfile", gate, gate),
        ("hardlink-outside", gate, gate),
    ] {
        assert_eq!(origins(&verdict, code), BTreeSet::from([line(&project, table, begins).as_str()]), "{code}");
    }
}

#[test]
fn a_rule_that_is_not_met_is_marked_so() {
    for (demands, said, code) in [
        ("refs=[\"refs/heads/main\"]", "ref=feature", "wrong-ref"),
        ("valid=valid_until = \"{-2}\"", "", "expired"),
        ("valid=valid_from = \"{+2}\"", "", "not-yet-valid"),
        ("signers=[\"job\", \"second\"]; threshold=2", "", "threshold-unmet"),
        ("signers=[\"second\"]", "", "signer-not-accepted"),
        ("bindings={ image = \"a\" }", "", "wrong-binding"),
        ("max_age=\"1d\"", "age=48", "too-old"),
        ("project=\"x\"", "", "wrong-project"),
    ] {
        let project = made(demands, said);
        let verdict = explain(&project, &[]);
        verdict.expect_of(demands, 10, &[code]);
        let unmet = rules(&verdict).iter().filter(|rule| rule["met"] == false);
        let mut unmet: BTreeSet<_> = unmet.map(|rule| rule["code"].as_str().unwrap()).collect();
        // Where one signer is enough, why none counts is the reason; that none does is shown all the same.
        if unmet.len() > 1 {
            unmet.remove("threshold-unmet");
        }
        assert_eq!(unmet, [code].into(), "{demands}");
        let text = project.run(&["verify", "deps", "--gate", "g", "--trust-checkout", "--explain"]).stdout;
        assert!(text.lines().any(|line| line.starts_with("  not ") && line.contains(code)), "{text}");
    }
    let project = made("", "");
    project.write("keys/revoked.toml", revocation(&project, "manifest"));
    let revoked = explain(&project, &[]);
    assert!(origins(&revoked, "revoked").contains("keys/revoked.toml:3"), "{:?}", origins(&revoked, "revoked"));
    remove(&project.path("keys/revoked.toml"));
    project.write("deps/pkg/index.js", "x");
    let changed = explain(&project, &[]);
    changed.expect(11, &["digest-mismatch"]);
    let met: Vec<_> =
        rules(&changed).iter().filter(|rule| rule["code"] == "digest-mismatch").map(|rule| &rule["met"]).collect();
    assert_eq!(met, [false, true]);
}

#[test]
fn links_that_must_stay_inside_have_a_rule_of_their_own() {
    let project = project();
    project.relink("deps/out", "/etc/passwd");
    seal(&project, &Words::new());
    let inside = policy(&Words::new()) + "links = \"inside\"\n";
    for (text, refused) in [(policy(&Words::new()), false), (inside, true)] {
        project.write("cacheseal.toml", text);
        let verdict = explain(&project, &[]);
        let place = refused.then(|| line(&project, "[gate.g]", "links"));
        assert_eq!(verdict.codes().contains("link-escapes"), refused);
        assert_eq!(origins(&verdict, "link-escapes"), place.iter().map(String::as_str).collect());
        let unmet = rules(&verdict).iter().filter(|rule| rule["met"] == false);
        let unmet: Vec<_> = unmet.map(|rule| &rule["code"]).collect();
        assert_eq!(unmet, if refused { vec!["link-escapes"] } else { vec![] });
    }
    remove(&project.path("deps/out"));
    seal(&project, &Words::new());
    let verdict = explain(&project, &[]);
    verdict.expect(0, &[]);
    assert_eq!(origins(&verdict, "link-escapes").len(), 1);
}

/// A rule that another signer has met is told, and does not refuse.
#[test]
fn a_signer_that_does_not_count_is_shown_at_a_gate_that_needs_no_more() {
    let project = made("signers=[\"job\", \"second\"]; second.refs=[\"refs/heads/main\"]", "by=job,second; ref=x");
    let verdict = explain(&project, &[]);
    verdict.expect(0, &[]);
    let unmet: Vec<_> = rules(&verdict).iter().filter(|rule| rule["met"] == false).collect();
    assert_eq!(unmet.len(), 1);
    assert_eq!(unmet[0]["code"], "wrong-ref");
}

/// Days well inside and outside of the thirty: the exact end is a unit test's.
#[test]
fn a_key_near_its_end_is_warned_of_and_still_good() {
    for (until, warned) in [(1, true), (28, true), (32, false), (400, false)] {
        let project = made(&format!("valid=valid_until = \"{}\"", day(until)), "");
        let verdict = project.json(&["verify", "deps", "--gate", "g", "--trust-checkout"]);
        verdict.expect_of(until, 0, &[]);
        let warnings = verdict.json["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), usize::from(warned), "{until}");
        let text = project.run(&["verify", "deps", "--gate", "g", "--trust-checkout"]).stdout;
        assert_eq!(text.contains("is valid until"), warned, "{text}");
        if warned {
            let said = warnings[0].as_str().unwrap();
            assert!(said.contains("`job`") && said.contains(&day(until).to_string()), "{said}");
            assert!(text.contains(said), "{text}");
        }
    }
    // The key that signed, not its neighbour.
    let project = made("valid=valid_until = \"{+5}\"", "by=job-new");
    let verdict = project.json(&["verify", "deps", "--gate", "g", "--trust-checkout"]);
    assert_eq!(verdict.json["warnings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn each_finding_of_a_check_has_its_code_its_line_and_its_exit() {
    let all = "signers=[\"job\", \"second\", \"third\", \"other\"]; ";
    let (job, second, gate) = ("[signer.job]", "[signer.second]", "[gate.g]");
    for (demands, edit, code, table, begins) in [
        ("valid=valid_until = \"{-2}\"", None, "expired-key", job, "keys"),
        // A key that outlives it would end the finding.
        ("valid=valid_until = \"{+5}\"", Some((", { file = \"keys/job-new.pub\" }", "")), "expiring-key", job, "keys"),
        ("max_age=\"16d\"", None, "long-max-age", gate, "max_age"),
        ("second.caches=[\"npm\"]", None, "idle-signer", second, "caches"),
        ("revoke=key second", None, "revoked-key", second, "keys"),
        (
            "refs=[\"refs/**\"]",
            Some(("[gate.g]", "[gate.release]")),
            "pull-request-signer",
            "[gate.release]",
            "signers",
        ),
        ("", Some((", \"second\"", "")), "unused-signer", second, "keys"),
    ] {
        let project = project();
        let demands = words(&format!("{all}{demands}"));
        if let Some(what) = demands.get("revoke") {
            project.write("keys/revoked.toml", revocation(&project, what));
        }
        let (from, to) = edit.unwrap_or_default();
        project.write("cacheseal.toml", policy(&demands).replace(from, if from.is_empty() { "" } else { to }));
        let found = project.json(&["policy", "check"]);
        assert_eq!((found.code, &found.json["exit"]), (Some(20), &20.into()), "{code}: {:#}", found.json);
        let findings = found.json["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{code}: {findings:?}");
        let place = line(&project, table, begins);
        assert_eq!((&findings[0]["code"], &findings[0]["origin"]), (&code.into(), &place.clone().into()));
        let text = project.run(&["policy", "check"]);
        let shown = format!("finding[{code}]: {place}: {}\n", findings[0]["message"].as_str().unwrap());
        assert!(text.code == Some(20) && text.stdout.starts_with(&shown), "{}", text.stdout);
    }
    let project = project();
    project.write("cacheseal.toml", policy(&words(all.trim_end_matches("; "))));
    let clean = project.json(&["policy", "check"]);
    assert_eq!((clean.code, &clean.json["findings"]), (Some(0), &Value::Array(Vec::new())));
    // What is wrong in several ways is told of all of them, and the worst first.
    project.write("cacheseal.toml", policy(&words("max_age=\"16d\"; valid=valid_until = \"{-2}\"")));
    let several = project.json(&["policy", "check"]);
    let codes: Vec<_> =
        several.json["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["expired-key", "long-max-age", "unused-signer", "unused-signer", "unused-signer"]);
    project.write("cacheseal.toml", "version = 2\n");
    project.json(&["policy", "check"]).expect_error(5, "malformed-policy");
}
