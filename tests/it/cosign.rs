//! `seal --add-signature`: a second job vouches only for what it has verified itself; and `seal --bind`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::demand::{Words, policy, project, revocation, seal, seal_by_binary, verdict, words};
use crate::forge::{chmod, remove};
use crate::harness::{Project, Run, Verdict};
use crate::rows::{each, some};

/// `signers = [job, second]`, both needed.
const BOTH: &str = "signers=[\"job\", \"second\"]; threshold=2";

fn add(project: &Project, by: &str) -> Verdict {
    add_as(project, &Words::new(), by)
}

/// In a job that says this of itself.
fn add_as(project: &Project, said: &Words, by: &str) -> Verdict {
    seal_by_binary(project, said, by, &["--add-signature"]).verdict()
}

/// What is in the seal, by name.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

fn sealed(said: &str) -> Project {
    let project = project();
    seal(&project, &words(said));
    project
}

#[test]
fn a_second_signature_meets_a_threshold_and_changes_nothing_else() {
    let project = sealed("ref=main; job=seal; bind=image=a");
    let (before, payload) = (files(&project.seal_path()), project.payload());
    verdict(&project, &words(BOTH)).expect(10, &["threshold-unmet"]);
    let added = add_as(&project, &words("bind=image=a"), "second");
    added.expect(0, &[]);
    assert_eq!((&added.json["signer"], &added.json["verdict"]), (&json!("second"), &json!("sealed")));
    assert_eq!(project.payload(), payload);
    let mut after = files(&project.seal_path());
    assert_ne!(after.insert("seal.json".to_owned(), before["seal.json"].clone()), None);
    assert_eq!(after, before);
    let verified = verdict(&project, &words(BOTH));
    verified.expect(0, &[]);
    let signers = verified.json["seal"]["signers"].as_array().unwrap();
    assert_eq!(signers.iter().map(|one| one["signer"].as_str().unwrap()).collect::<Vec<_>>(), ["job", "second"]);
    add_as(&project, &words("ref=main; bind=image=a"), "third").expect(0, &[]);
    assert_eq!(project.envelope()["signatures"].as_array().unwrap().len(), 3);
    verdict(&project, &words("signers=[\"job\", \"second\", \"third\"]; threshold=3")).expect(0, &[]);
}

#[test]
fn nobody_vouches_for_what_has_changed() {
    type Tamper = fn(&Project);
    let cases: &[(&str, Tamper, i32, &[&str])] = &[
        ("a file", |p| p.write("deps/pkg/index.js", "x"), 11, &["digest-mismatch"]),
        ("a file more", |p| p.write("deps/more", "x"), 11, &["extra-entry"]),
        ("a mode", |p| p.chmod("deps/tool", 0o644), 11, &["mode-mismatch"]),
        ("no tree", |p| remove(&p.path("deps")), 11, &["missing-entry"]),
        ("a manifest", |p| p.write(".cacheseal/deps/0.mtree", "#mtree\n"), 10, &["manifest-mismatch"]),
        ("a file in the seal", |p| p.write(".cacheseal/deps/x", ""), 10, &["malformed-seal"]),
        ("the payload", |p| p.edit_envelope(|e| e["payload"] = "e30=".into()), 10, &["signature-mismatch"]),
        ("no signature", |p| p.edit_envelope(|e| e["signatures"] = json!([])), 10, &["no-signature"]),
        (
            "a stranger's seal",
            |p| p.sign_as("stranger", "application/vnd.in-toto+json", &p.payload()),
            10,
            &["unknown-signer"],
        ),
        ("another statement", |p| p.resign(|s| s["predicate"]["cache"] = "npm".into()), 10, &["wrong-cache"]),
        ("another lockfile", |p| p.write("deps.lock", "left-pad 1.3.1\n"), 10, &["stale-lockfile"]),
        ("a recalled key", |p| p.write("keys/revoked.toml", revocation(p, "key job")), 10, &["revoked"]),
        ("a recalled manifest", |p| p.write("keys/revoked.toml", revocation(p, "manifest")), 10, &["revoked"]),
        ("a recalled key of its own", |p| p.write("keys/revoked.toml", revocation(p, "key second")), 10, &["revoked"]),
        ("no seal", |p| remove(&p.path(".cacheseal")), 10, &["no-seal"]),
        ("no envelope", |p| remove(&p.envelope_path()), 10, &["no-seal"]),
    ];
    each(some(cases), |(what, tamper, exit, codes)| {
        let project = sealed("");
        tamper(&project);
        let before = project.seal_path().is_dir().then(|| files(&project.seal_path()));
        add(&project, "second").expect_of(what, *exit, codes);
        let after = project.seal_path().is_dir().then(|| files(&project.seal_path()));
        assert_eq!(before, after, "{what}");
    });
}

/// The scope of the one who adds is that of the job that sealed: it vouches for that job's word.
#[test]
fn one_signs_only_what_one_may_seal() {
    for (demands, said, codes) in [
        ("second.refs=[\"refs/heads/main\"]", "ref=main", ""),
        ("second.refs=[\"refs/heads/main\"]", "ref=feature", "wrong-ref"),
        ("second.jobs=[\"seal\"]", "job=test", "wrong-job"),
        ("second.caches=[\"npm\"]", "", "wrong-cache"),
        ("second.valid=valid_until = \"{-2}\"", "", "expired"),
        ("second.valid=valid_from = \"{+2}\"", "", "not-yet-valid"),
        ("second.valid=valid_from = \"{-2}\"", "age=120", "not-yet-valid"),
        ("jobs=[\"x\"]", "job=test", "wrong-job"),
    ] {
        let project = sealed(said);
        project.write("cacheseal.toml", policy(&words(demands)));
        let before = files(&project.seal_path());
        let codes: Vec<_> = codes.split(' ').filter(|code| !code.is_empty()).collect();
        add(&project, "second").expect_of(demands, if codes.is_empty() { 0 } else { 10 }, &codes);
        assert_eq!(files(&project.seal_path()) == before, !codes.is_empty(), "{demands}");
    }
}

/// What the first job said of itself is the second's word as well, so it has to know it.
#[test]
fn one_signs_only_what_one_knows_of_the_first_job() {
    for (said, knows, codes) in [
        ("bind=image=a", "bind=image=a", &[][..]),
        ("bind=image=a,os=b", "bind=os=b,image=a", &[]),
        ("bind=image=a", "", &["wrong-binding"]),
        ("bind=image=a", "bind=image=b", &["wrong-binding"]),
        ("bind=image=a,os=b", "bind=image=a", &["wrong-binding"]),
        ("", "bind=image=a", &["wrong-binding"]),
        ("ref=main", "ref=main", &[]),
        // A job that nobody tells its ref vouches for none: the signer's `refs` are compared all the same.
        ("ref=main", "", &[]),
        ("ref=main", "ref=feature", &["wrong-ref"]),
        ("", "ref=main", &["wrong-ref"]),
        ("ref=main; bind=image=a", "ref=feature; bind=image=b", &["wrong-binding", "wrong-ref"]),
    ] {
        let project = sealed(said);
        let before = files(&project.seal_path());
        let what = format!("{said} | {knows}");
        add_as(&project, &words(knows), "second").expect_of(&what, if codes.is_empty() { 0 } else { 10 }, codes);
        assert_eq!(files(&project.seal_path()) == before, !codes.is_empty(), "{what}");
    }
}

/// A gate that accepts the second signer would take the second signature for more than the first one is worth.
#[test]
fn nobody_lifts_the_seal_of_a_weaker_gate() {
    // Signer `third` seals pull requests, and no gate that accepts `second` accepts it.
    for (signers, exit) in [
        ("[\"job\", \"second\"]", 10),
        ("[\"second\"]", 10),
        ("[\"second\", \"third\"]", 0),
        ("[\"job\"]", 0),
        ("[\"third\"]", 0),
    ] {
        let project = sealed("by=third");
        let demands = words(&format!("signers={signers}"));
        project.write("cacheseal.toml", policy(&demands));
        let before = files(&project.seal_path());
        let added = add(&project, "second");
        added.expect_of(signers, exit, if exit == 0 { &[] } else { &["unverified-base"] });
        if exit != 0 {
            let refusal = &added.json["refusals"][0];
            assert!(refusal["expected"].as_str().unwrap().contains("gate `g`"), "{refusal}");
            assert_eq!(refusal["found"], "only `third`");
            assert_eq!(files(&project.seal_path()), before);
            verdict(&project, &demands).expect(10, &["signer-not-accepted"]);
        }
    }
    // A signature of the gate's own beside the weaker one is enough.
    let project = sealed("by=third,job");
    project.write("cacheseal.toml", policy(&words(BOTH)));
    add(&project, "second").expect(0, &[]);
    verdict(&project, &words(BOTH)).expect(0, &[]);
}

#[test]
fn nobody_signs_twice_and_strangers_not_at_all() {
    let project = sealed("by=job,second");
    let before = files(&project.seal_path());
    add(&project, "job").expect_error(5, "already-signed");
    add(&project, "second").expect_error(5, "already-signed");
    add(&project, "stranger").expect_error(10, "unknown-signer");
    assert_eq!(files(&project.seal_path()), before);
    // The other key of a signer may, while it rotates; it does not count twice.
    add(&project, "job-new").expect(0, &[]);
    let three = "signers=[\"job\", \"second\", \"third\"]; threshold=3";
    verdict(&project, &words(three)).expect(10, &["threshold-unmet"]);
}

/// One signature too many would make a good seal one that nobody reads.
#[test]
fn no_signature_is_added_beyond_the_cap() {
    let project = sealed("");
    let fill = |count: usize| {
        project.edit_envelope(|envelope| {
            let signatures = envelope["signatures"].as_array_mut().unwrap();
            let mut stranger = signatures[0].clone();
            stranger["keyid"] = "0".repeat(64).into();
            signatures.resize(count, stranger);
        });
    };
    fill(63);
    add(&project, "second").expect(0, &[]);
    verdict(&project, &words(BOTH)).expect(0, &[]);
    let before = files(&project.seal_path());
    add(&project, "third").expect_error(13, "too-many-signatures");
    assert_eq!(files(&project.seal_path()), before);
    verdict(&project, &words(BOTH)).expect(0, &[]);
}

/// Old or new, never half.
#[test]
fn an_interrupted_signature_leaves_the_seal_as_it_was() {
    let project = sealed("");
    let before = files(&project.seal_path());
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -f 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_cacheseal")]);
    shell.args(["seal", "deps", "--add-signature", "--key", "../second.key"]);
    let killed = Run::of(shell.current_dir(project.root()).env_clear().env("HOME", project.home()).output().unwrap());
    assert_ne!(killed.code, Some(0), "{}", killed.stdout);
    assert_eq!(files(&project.seal_path()), before);
    verdict(&project, &Words::new()).expect(0, &[]);
    add(&project, "second").expect(0, &[]);
    verdict(&project, &words(BOTH)).expect(0, &[]);
    let left: Vec<_> = fs::read_dir(project.path(".cacheseal")).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["deps"]);

    let project = sealed("");
    let before = files(&project.seal_path());
    chmod(&project.path(".cacheseal"), 0o555);
    let key = project.private_key("second");
    let refused = project.run_unprivileged(&["seal", "deps", "--add-signature", "--key", key.to_str().unwrap()]);
    refused.verdict().expect_error(4, "unwritable");
    chmod(&project.path(".cacheseal"), 0o755);
    assert_eq!(files(&project.seal_path()), before);
}

#[test]
fn a_binding_is_a_name_and_a_value_once_and_on_a_new_seal() {
    let project = project();
    each(
        [
            ("no value", &["--bind", "image"][..]),
            ("an empty value", &["--bind", "image="]),
            ("an empty name", &["--bind", "=a"]),
            ("nothing", &["--bind", ""]),
            ("no argument", &["--bind"]),
            ("a name with two values", &["--bind", "image=a", "--bind", "image=b"]),
            ("a name twice", &["--bind", "image=a", "--bind", "image=a"]),
            ("twice with another signature", &["--bind", "image=a", "--bind", "image=a", "--add-signature"]),
        ],
        |(what, arguments)| {
            let run = seal_by_binary(&project, &Words::new(), "job", arguments);
            assert_eq!(run.code, Some(2), "{what}: {}{}", run.stdout, run.stderr);
            assert!(!project.seal_path().exists(), "{what}");
        },
    );
    // The first `=` ends the name.
    let odd = ["--bind", "image=a=b", "--bind", "\u{e9} \u{1b}=\u{202e}"];
    seal_by_binary(&project, &Words::new(), "job", &odd).verdict().expect(0, &[]);
    let bound = |bindings: &str| verdict(&project, &words(&format!("bindings={bindings}")));
    bound("{ image = \"a=b\", \"\u{e9} \\u001b\" = \"\\u202e\" }").expect(0, &[]);
    bound("{ image = \"a\" }").expect(10, &["wrong-binding"]);
}

/// Anybody can write a bad signature under the second job's key id; it must not keep that job out.
#[test]
fn a_bad_signature_in_its_name_does_not_keep_a_job_out() {
    let project = sealed("ref=main; job=seal");
    let keyid = crate::harness::key("second").public().id().to_string();
    project.edit_envelope(|envelope| {
        let first = envelope["signatures"][0]["sig"].clone();
        envelope["signatures"].as_array_mut().unwrap().push(json!({ "keyid": keyid, "sig": first }));
    });
    add(&project, "second").expect(0, &[]);
    verdict(&project, &words(BOTH)).expect(0, &[]);
    add(&project, "second").expect_error(5, "already-signed");
}
