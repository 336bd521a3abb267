//! Statements and manifests that the job's own key has signed, rows 36 to 49 and 52 to 59: a good signature over
//! the wrong words.

use std::fs;

use cacheseal::seal::statement::{PAYLOAD_TYPE, Platform, Source};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{POLICY, Project, SealAs, now};
use crate::rows::{each, some};
use crate::seal::each_gets;

#[test]
fn a_signed_statement_of_another_type_or_digest_is_refused() {
    each_gets(&[
        ("row 36: another payload type", |p| p.sign_as("job", "application/json", &p.payload()), 10, &["wrong-type"]),
        (
            "row 36: a parameter on the type",
            |p| p.sign_as("job", &format!("{PAYLOAD_TYPE};v=1"), &p.payload()),
            10,
            &["wrong-type"],
        ),
        (
            "row 36: another statement type",
            |p| p.resign(|s| s["_type"] = "https://in-toto.io/Statement/v0.1".into()),
            10,
            &["wrong-type"],
        ),
        (
            "row 36: another predicate type",
            |p| p.resign(|s| s["predicateType"] = "https://slsa.dev/provenance/v1".into()),
            10,
            &["wrong-type"],
        ),
        (
            "row 36: a later version",
            |p| p.resign(|s| s["predicateType"] = "https://cacheseal.dev/cache/v2".into()),
            10,
            &["wrong-type"],
        ),
        (
            "row 39: relabelled as MD5",
            |p| p.resign(|s| s["predicate"]["roots"][0]["digest"] = "md5".into()),
            10,
            &["malformed-statement"],
        ),
        (
            "row 39: relabelled as none",
            |p| p.resign(|s| s["predicate"]["roots"][0]["digest"] = "none".into()),
            10,
            &["malformed-statement"],
        ),
        (
            "row 39: relabelled as the other algorithm",
            |p| p.resign(|s| s["predicate"]["roots"][0]["digest"] = "sha256".into()),
            10,
            &["wrong-digest"],
        ),
        (
            "row 39: the digest dropped",
            |p| p.resign(|s| s["subject"][0]["digest"] = json!({})),
            10,
            &["malformed-statement"],
        ),
        (
            "row 39: a weak digest alone",
            |p| p.resign(|s| s["subject"][0]["digest"] = json!({ "md5": "d41d8cd98f00b204e9800998ecf8427e" })),
            10,
            &["malformed-statement"],
        ),
        ("row 40: upper-case hex", |p| p.resign(|s| edit_hex(s, str::to_uppercase)), 10, &["malformed-statement"]),
        ("row 40: a prefix", |p| p.resign(|s| edit_hex(s, |hex| hex[..8].to_owned())), 10, &["malformed-statement"]),
        ("row 40: longer", |p| p.resign(|s| edit_hex(s, |hex| format!("{hex}00"))), 10, &["malformed-statement"]),
        ("row 40: empty", |p| p.resign(|s| edit_hex(s, |_| String::new())), 10, &["malformed-statement"]),
        (
            "row 40: null",
            |p| p.resign(|s| s["subject"][0]["digest"]["sha256"] = Value::Null),
            10,
            &["malformed-statement"],
        ),
    ]);
}

#[test]
fn a_signed_statement_that_two_readers_could_read_differently_is_refused() {
    each_gets(&[
        (
            "row 41: a field twice",
            |p| sign_text(p, |t| t.replacen('{', "{\"_type\":\"x\",", 1)),
            10,
            &["malformed-statement"],
        ),
        (
            "row 41: a field twice, once escaped",
            |p| sign_text(p, |t| t.replacen("\"cache\"", "\"c\\u0061che\":\"x\",\"cache\"", 1)),
            10,
            &["malformed-statement"],
        ),
        ("row 42: a second document", |p| sign_text(p, |t| format!("{t}{t}")), 10, &["malformed-statement"]),
        ("row 42: a byte order mark", |p| sign_text(p, |t| format!("\u{feff}{t}")), 10, &["malformed-statement"]),
        ("row 42: NUL", |p| sign_text(p, |t| format!("{t}\0")), 10, &["malformed-statement"]),
        ("row 42: an array", |p| sign_text(p, |t| format!("[{t}]")), 10, &["malformed-statement"]),
        (
            "row 43: deep",
            |p| sign_text(p, |t| t.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(40), "]".repeat(40)), 1)),
            10,
            &["malformed-statement"],
        ),
        (
            "row 43: a huge number",
            |p| sign_text(p, |t| t.replacen("\"entries\":", &format!("\"entries\":{}", "9".repeat(400_000)), 1)),
            10,
            &["malformed-statement"],
        ),
        (
            "row 45: an unknown field in the predicate",
            |p| p.resign(|s| s["predicate"]["critical"] = true.into()),
            10,
            &["malformed-statement"],
        ),
        (
            "row 45: an unknown field in a root",
            |p| p.resign(|s| s["predicate"]["roots"][0]["exclude"] = json!(["pkg"])),
            10,
            &["malformed-statement"],
        ),
        ("row 46: empty", |p| p.sign(b""), 10, &["malformed-statement"]),
        ("row 46: zeros", |p| p.sign(&[0; 512]), 10, &["malformed-statement"]),
        ("row 49: no subjects", |p| p.resign(|s| s["subject"] = json!([])), 10, &["malformed-statement"]),
        (
            "subjects in another order",
            |p| p.resign(|s| s["subject"].as_array_mut().unwrap().reverse()),
            10,
            &["malformed-statement"],
        ),
        (
            "a subject twice",
            |p| {
                p.resign(|s| {
                    let one = s["subject"][0].clone();
                    s["subject"].as_array_mut().unwrap().push(one);
                });
            },
            10,
            &["malformed-statement"],
        ),
        (
            "a field missing",
            |p| {
                p.resign(|s| {
                    s["predicate"].as_object_mut().unwrap().remove("sealedAt");
                });
            },
            10,
            &["malformed-statement"],
        ),
        ("row 45: an unknown field in the statement", |p| p.resign(|s| s["critical"] = true.into()), 0, &[]),
        (
            "row 45: a second digest of a subject",
            |p| p.resign(|s| s["subject"][0]["digest"]["sha512"] = "x".into()),
            0,
            &[],
        ),
    ]);
}

#[test]
fn a_signed_statement_about_other_directories_is_refused() {
    each_gets(&[
        (
            "row 47: a manifest elsewhere",
            |p| p.resign(|s| s["predicate"]["roots"][0]["manifest"] = "../../0.mtree".into()),
            10,
            &["malformed-statement"],
        ),
        (
            "row 47: an absolute manifest",
            |p| p.resign(|s| s["predicate"]["roots"][0]["manifest"] = "/0.mtree".into()),
            10,
            &["malformed-statement"],
        ),
        (
            "a manifest for two roots",
            |p| p.resign(|s| s["predicate"]["roots"][1]["manifest"] = "0.mtree".into()),
            10,
            &["malformed-statement"],
        ),
        ("row 47: a root elsewhere", |p| p.resign(|s| rename_root(s, "../app2/deps")), 10, &["wrong-root"]),
        ("another spelling of the root", |p| p.resign(|s| rename_root(s, "./deps")), 10, &["wrong-root"]),
        (
            "a root called absent",
            |p| {
                p.resign(|s| {
                    drop_subject(s);
                    absent(s, 0, 0);
                });
            },
            10,
            &["malformed-seal", "extra-entry"],
        ),
        (
            "a root called absent, with entries",
            |p| {
                p.resign(|s| {
                    drop_subject(s);
                    absent(s, 1, 0);
                });
            },
            10,
            &["malformed-statement"],
        ),
        (
            "a root left out",
            |p| {
                p.resign(|s| {
                    drop_subject(s);
                    s["predicate"]["roots"].as_array_mut().unwrap().remove(0);
                    s["predicate"]["roots"][0]["manifest"] = "0.mtree".into();
                });
            },
            10,
            &["wrong-root"],
        ),
        ("roots exchanged", |p| p.resign(exchange_roots), 10, &["wrong-root"]),
        ("no lockfiles", |p| p.resign(|s| s["predicate"]["lockfiles"] = json!([])), 10, &["wrong-lockfile"]),
        (
            "another lockfile",
            |p| p.resign(|s| s["predicate"]["lockfiles"][0]["path"] = "other.lock".into()),
            10,
            &["wrong-lockfile"],
        ),
        (
            "row 52: another project",
            |p| p.resign(|s| s["predicate"]["project"] = "github.com/acme/app2".into()),
            10,
            &["wrong-project"],
        ),
        ("row 52: another cache", |p| p.resign(|s| s["predicate"]["cache"] = "deps2".into()), 10, &["wrong-cache"]),
        (
            "row 52: everything",
            |p| p.resign(everything),
            10,
            &[
                "wrong-project",
                "wrong-cache",
                "wrong-root",
                "wrong-digest",
                "wrong-lockfile",
                "wrong-platform",
                "too-old",
            ],
        ),
    ]);
}

/// Rows 52 and 58: the policy says another word than the seal.
#[test]
fn a_seal_for_something_else_is_refused() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("another project", "acme/app", "acme/app2", &["wrong-project"]),
        ("other roots", "\"deps\", ", "\"deps2\", ", &["wrong-root"]),
        ("roots in another order", "\"deps\", \"~/store\"", "\"~/store\", \"deps\"", &["wrong-root"]),
        ("a root more", "\"deps\", ", "\"deps\", \"more\", ", &["wrong-root"]),
        (
            "other lockfiles",
            "lockfiles = [\"deps.lock\"]",
            "lockfiles = [\"deps.lock\", \"b.lock\"]",
            &["wrong-lockfile"],
        ),
        ("another digest", "[signer.job]", "digest = \"sha256\"\n\n[signer.job]", &["wrong-digest"]),
        ("a signer of other caches", "job.pub\" }]", "job.pub\" }]\ncaches = [\"npm-*\"]", &["wrong-cache"]),
        ("a signer of other refs", "job.pub\" }]", "job.pub\" }]\nrefs = [\"refs/heads/main\"]", &["wrong-ref"]),
        ("a signer of other jobs", "job.pub\" }]", "job.pub\" }]\njobs = [\"seal\"]", &["wrong-job"]),
        ("a gate of other signers", "[\"job\"]", "[\"other\"]", &["signer-not-accepted"]),
    ];
    each(some(cases), |(what, from, to, codes)| {
        let project = Project::new();
        let source = Source { ref_: Some("refs/heads/feature".into()), job: Some("test".into()), ..Source::default() };
        project.seal_as(SealAs { source, ..SealAs::default() });
        project.verify("any").expect(0, &[]);
        assert!(POLICY.contains(from), "{what}");
        project.write("cacheseal.toml", POLICY.replace(from, to));
        project.verify("any").expect_of(what, 10, codes);
    });
}

/// Row 52: the seal of one cache under the name of another.
#[test]
fn a_seal_of_another_cache_is_refused() {
    let project = Project::new();
    project.seal();
    project.write("cacheseal.toml", POLICY.replace("[cache.deps]", "[cache.more]"));
    project.rename(".cacheseal/deps", ".cacheseal/more");
    let verify = ["verify", "more", "--gate", "any", "--trust-checkout"];
    project.json(&verify).expect(10, &["wrong-cache"]);
}

/// Row 52: a seal says where it was made, and a signer may be bound to that.
#[test]
fn a_scope_of_refs_and_jobs_is_compared_exactly() {
    let scope = "job.pub\" }]\nrefs = [\"refs/heads/main\", \"refs/tags/v*\"]\njobs = [\"seal\"]";
    let said = |ref_: Option<&str>, job: Option<&str>| Source {
        ref_: ref_.map(str::to_owned),
        job: job.map(str::to_owned),
        ..Source::default()
    };
    let cases: &[(Source, i32, &[&str])] = &[
        (said(Some("refs/heads/main"), Some("seal")), 0, &[]),
        (said(Some("refs/tags/v1"), Some("seal")), 0, &[]),
        (said(Some("refs/heads/main2"), Some("seal")), 10, &["wrong-ref"]),
        (said(Some("refs/heads/evil/refs/heads/main"), Some("seal")), 10, &["wrong-ref"]),
        (said(Some("main"), Some("seal")), 10, &["wrong-ref"]),
        (said(Some("refs/pull/1/head"), Some("Seal")), 10, &["wrong-ref", "wrong-job"]),
        (said(None, Some("seal")), 10, &["wrong-ref"]),
        (said(Some("refs/heads/main"), None), 10, &["wrong-job"]),
    ];
    for (source, exit, codes) in cases {
        let project = Project::new();
        project.seal_as(SealAs { source: source.clone(), ..SealAs::default() });
        project.write("cacheseal.toml", POLICY.replace("job.pub\" }]", scope));
        project.verify("any").expect_of(format_args!("{source:?}"), *exit, codes);
    }
}

/// Row 52.
#[test]
fn a_seal_from_another_platform_is_refused() {
    for (os, arch) in [("plan9", std::env::consts::ARCH), (std::env::consts::OS, "m68k"), ("Linux", "X86_64")] {
        let project = Project::new();
        let platform = Platform { os: os.to_owned(), arch: arch.to_owned() };
        project.seal_as(SealAs { platform, ..SealAs::default() });
        project.verify("any").expect(10, &["wrong-platform"]);
    }
}

/// Rows 54 to 56. The gates take seven days, and clocks five minutes apart.
#[test]
fn a_seal_is_neither_old_nor_from_the_future() {
    let hours = SignedDuration::from_hours;
    let cases: &[(Timestamp, i32, &[&str])] = &[
        (now(), 0, &[]),
        (now() - hours(24 * 7 - 1), 0, &[]),
        (now() - hours(24 * 7 + 1), 10, &["too-old"]),
        (now() - hours(24 * 365 * 20), 10, &["too-old"]),
        (now() + SignedDuration::from_mins(3), 0, &[]),
        (now() + hours(1), 10, &["sealed-in-future"]),
        (now() + hours(24 * 365 * 20), 10, &["sealed-in-future"]),
    ];
    for (sealed_at, exit, codes) in cases {
        let project = Project::new();
        project.seal_as(SealAs { now: *sealed_at, ..SealAs::default() });
        project.verify("any").expect_of(sealed_at, *exit, codes);
    }
}

/// Rows 54 and 58: an old seal with its old files, by the same key.
#[test]
fn a_seal_for_an_older_lockfile_is_stale_where_the_gate_compares_them() {
    let project = Project::new();
    project.seal();
    project.write("deps.lock", "left-pad 1.3.1\n");
    project.verify("exact").expect(10, &["stale-lockfile"]);
    project.verify("any").expect(0, &[]);
    fs::remove_file(project.path("deps.lock")).unwrap();
    project.verify("exact").expect(10, &["stale-lockfile"]);
    project.try_seal().expect_error(5, "no-lockfile");
    project.relink("deps.lock", "../deps.lock");
    fs::write(project.outside("deps.lock"), "left-pad 1.3.0\n").unwrap();
    project.verify("exact").expect(10, &["stale-lockfile", "unreadable"]);
}

fn sign_text(project: &Project, edit: impl FnOnce(String) -> String) {
    let before = String::from_utf8(project.payload()).unwrap();
    let after = edit(before.clone());
    assert_ne!(before, after);
    project.sign(after.as_bytes());
}

fn edit_hex(statement: &mut Value, edit: impl FnOnce(&str) -> String) {
    let hex = &mut statement["subject"][0]["digest"]["sha256"];
    *hex = edit(hex.as_str().unwrap()).into();
}

fn rename_root(statement: &mut Value, path: &str) {
    statement["subject"][0]["name"] = path.into();
    statement["predicate"]["roots"][0]["path"] = path.into();
}

fn drop_subject(statement: &mut Value) {
    statement["subject"].as_array_mut().unwrap().remove(0);
}

fn absent(statement: &mut Value, entries: u64, bytes: u64) {
    let root = &mut statement["predicate"]["roots"][0];
    (root["manifest"], root["entries"], root["bytes"]) = (Value::Null, entries.into(), bytes.into());
}

fn exchange_roots(statement: &mut Value) {
    statement["subject"].as_array_mut().unwrap().reverse();
    let roots = statement["predicate"]["roots"].as_array_mut().unwrap();
    roots.reverse();
    for (index, root) in roots.iter_mut().enumerate() {
        root["manifest"] = format!("{index}.mtree").into();
    }
}

fn everything(statement: &mut Value) {
    rename_root(statement, "other");
    let predicate = &mut statement["predicate"];
    predicate["project"] = "other".into();
    predicate["cache"] = "other".into();
    predicate["roots"][0]["digest"] = "sha256".into();
    predicate["lockfiles"] = json!([]);
    predicate["platform"]["os"] = "other".into();
    predicate["sealedAt"] = "2001-01-01T00:00:00Z".into();
}
