use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::base::{Code, Limits};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Three roots, the second one absent.
fn sample() -> Statement {
    let root = |path: &str, manifest: Option<&str>, entries, bytes| SealedRoot {
        path: path.into(),
        manifest: manifest.map(Into::into),
        digest: Algorithm::Blake3,
        entries,
        bytes,
    };
    let a = Digest::from_hex(A.as_bytes()).unwrap();
    let subject = |name: &str| Subject { name: name.into(), sha256: a };
    let predicate = Predicate {
        project: "github.com/acme/app".into(),
        cache: "cargo".into(),
        roots: vec![
            root("~/one", Some("0.mtree"), 3, 40),
            root("two", None, 0, 0),
            root("three", Some("2.mtree"), 1, 0),
        ],
        lockfiles: vec![SealedLockfile { path: "Cargo.lock".into(), sha256: Digest::from_hex(B.as_bytes()).unwrap() }],
        platform: Platform { os: "linux".into(), arch: "x86_64".into() },
        bindings: BTreeMap::from([("rust".into(), "1.95".into())]),
        source: Source { ref_: Some("refs/heads/main".into()), job: Some("deps".into()), ..Source::default() },
        sealed_at: "2026-01-31T12:00:00Z".parse().unwrap(),
        tool: Tool { name: "cacheseal".into(), version: "0.1.0".into() },
    };
    Statement { subjects: vec![subject("~/one"), subject("three")], predicate }
}

fn parse(json: &[u8]) -> Result<Statement, StatementError> {
    Statement::parse(PAYLOAD_TYPE, json, &Limits::STANDARD)
}

fn code(json: &[u8]) -> Code {
    parse(json).unwrap_err().code()
}

/// The sample with the value at a JSON pointer replaced, or added to its object.
fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(&sample().to_json()).unwrap();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        parent => parent[field] = value,
    }
    json.to_string().into_bytes()
}

fn without(pointer: &str) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(&sample().to_json()).unwrap();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    json.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
    json.to_string().into_bytes()
}

#[test]
fn a_statement_is_written_in_one_form() {
    let expected = format!(
        concat!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicate":{{"bindings":{{"rust":"1.95"}},"cache":"cargo","#,
            r#""lockfiles":[{{"digest":{{"sha256":"{b}"}},"path":"Cargo.lock"}}],"#,
            r#""platform":{{"arch":"x86_64","os":"linux"}},"project":"github.com/acme/app","roots":["#,
            r#"{{"bytes":40,"digest":"blake3","entries":3,"manifest":"0.mtree","path":"~/one"}},"#,
            r#"{{"bytes":0,"digest":"blake3","entries":0,"manifest":null,"path":"two"}},"#,
            r#"{{"bytes":0,"digest":"blake3","entries":1,"manifest":"2.mtree","path":"three"}}],"#,
            r#""sealedAt":"2026-01-31T12:00:00Z","source":{{"job":"deps","ref":"refs/heads/main"}},"#,
            r#""tool":{{"name":"cacheseal","version":"0.1.0"}}}},"#,
            r#""predicateType":"https://cacheseal.dev/cache/v1","subject":["#,
            r#"{{"digest":{{"sha256":"{a}"}},"name":"~/one"}},{{"digest":{{"sha256":"{a}"}},"name":"three"}}]}}"#,
        ),
        a = A,
        b = B,
    );
    assert_eq!(String::from_utf8(sample().to_json()).unwrap(), expected);
    assert_eq!(parse(expected.as_bytes()), Ok(sample()));
}

#[test]
fn types_of_other_protocols_are_refused() {
    let good = sample().to_json();
    for payload_type in ["application/json", "", "application/vnd.in-toto+JSON", "application/vnd.in-toto.x+json"] {
        let error = Statement::parse(payload_type, &good, &Limits::STANDARD).unwrap_err();
        assert_eq!(error.code(), Code::WrongType, "{payload_type}");
    }
    for (field, value) in [
        ("/_type", "https://in-toto.io/Statement/v0.1"),
        ("/_type", ""),
        ("/predicateType", "https://cacheseal.dev/cache/v2"),
        ("/predicateType", "https://cacheseal.dev/cache/v1/"),
        ("/predicateType", "https://slsa.dev/provenance/v1"),
    ] {
        assert_eq!(code(&with(field, json!(value))), Code::WrongType, "{field} {value}");
    }
}

#[test]
fn unknown_fields_are_ignored_where_the_specification_says_so() {
    for (pointer, value) in [
        ("/extra", json!({ "a": [1.5, -1] })),
        ("/subject/0/mediaType", json!("text/plain")),
        ("/subject/0/digest/sha512", json!("what it likes")),
    ] {
        assert_eq!(parse(&with(pointer, value)), Ok(sample()), "{pointer}");
    }
}

#[test]
fn every_field_is_required() {
    for pointer in [
        "/_type",
        "/subject",
        "/predicateType",
        "/predicate",
        "/subject/0/name",
        "/subject/0/digest",
        "/subject/0/digest/sha256",
        "/predicate/project",
        "/predicate/cache",
        "/predicate/roots",
        "/predicate/lockfiles",
        "/predicate/platform",
        "/predicate/bindings",
        "/predicate/source",
        "/predicate/sealedAt",
        "/predicate/tool",
        "/predicate/roots/1/path",
        "/predicate/roots/1/manifest",
        "/predicate/roots/1/digest",
        "/predicate/roots/1/entries",
        "/predicate/roots/1/bytes",
        "/predicate/lockfiles/0/path",
        "/predicate/lockfiles/0/digest",
        "/predicate/lockfiles/0/digest/sha256",
        "/predicate/platform/os",
        "/predicate/platform/arch",
        "/predicate/tool/name",
        "/predicate/tool/version",
    ] {
        assert_eq!(code(&without(pointer)), Code::MalformedStatement, "without {pointer}");
        assert_eq!(code(&with(pointer, json!(true))), Code::MalformedStatement, "{pointer} is a boolean");
    }
}

#[test]
fn unknown_fields_are_refused_in_the_predicate() {
    for parent in ["", "/roots/0", "/lockfiles/0", "/lockfiles/0/digest", "/platform", "/source", "/tool"] {
        let pointer = format!("/predicate{parent}/x");
        let error = parse(&with(&pointer, json!("y"))).unwrap_err();
        assert!(matches!(&error, StatementError::UnknownField { field, .. } if field == "x"), "{pointer}: {error}");
        assert_eq!(error.code(), Code::MalformedStatement, "{pointer}");
    }
}

#[test]
fn values_that_break_a_promise_are_refused() {
    let root = |path: &str, manifest: Value| json!({ "path": path, "manifest": manifest, "digest": "sha256", "entries": 1, "bytes": 0 });
    let lockfile = json!({ "path": "Cargo.lock", "digest": { "sha256": A } });
    let subject = |name: &str| json!({ "name": name, "digest": { "sha256": A } });
    for (pointer, value) in [
        ("/subject", json!([])),
        ("/subject", json!([subject("~/one")])),
        ("/subject", json!([subject("three"), subject("~/one")])),
        ("/subject", json!([subject("~/one"), subject("two"), subject("three")])),
        ("/subject", json!([subject("~/one"), subject("three"), subject("three")])),
        ("/subject/0/name", json!("~/One")),
        ("/subject/0/digest/sha256", json!(A.to_uppercase())),
        ("/subject/0/digest/sha256", json!(A[1..])),
        ("/subject/0/digest/sha256", json!(format!("{A}a"))),
        ("/subject/0/digest/sha256", json!("")),
        ("/predicate/lockfiles/0/digest/sha256", json!(B.to_uppercase())),
        ("/predicate/lockfiles", json!([lockfile, lockfile])),
        ("/predicate/lockfiles/0/path", json!("")),
        ("/predicate/roots", json!([])),
        ("/predicate/roots/0", root("~/one", json!("1.mtree"))),
        ("/predicate/roots/0", root("~/one", json!("00.mtree"))),
        ("/predicate/roots/0", root("~/one", json!("../0.mtree"))),
        ("/predicate/roots/0", root("~/one", json!(""))),
        ("/predicate/roots/0", root("~/one", json!(0))),
        ("/predicate/roots/0", root("three", json!("0.mtree"))),
        ("/predicate/roots/2", root("three", json!("1.mtree"))),
        ("/predicate/roots/1", root("two", json!(null))),
        ("/predicate/roots/1/path", json!("~/one")),
        ("/predicate/roots/1/bytes", json!(1)),
        ("/predicate/roots/0/path", json!("")),
        ("/predicate/roots/0/digest", json!("BLAKE3")),
        ("/predicate/roots/0/digest", json!("md5")),
        ("/predicate/roots/0/entries", json!(-1)),
        ("/predicate/roots/0/entries", json!(1.5)),
        ("/predicate/roots/0/entries", json!("3")),
        ("/predicate/project", json!("")),
        ("/predicate/cache", json!("")),
        ("/predicate/cache", json!(["cargo"])),
        ("/predicate/platform/os", json!("")),
        ("/predicate/platform", json!(["linux", "x86_64"])),
        ("/predicate/bindings", json!([])),
        ("/predicate/bindings", json!({ "": "x" })),
        ("/predicate/bindings", json!({ "x": "" })),
        ("/predicate/bindings", json!({ "x": 1 })),
        ("/predicate/source/ref", json!("")),
        ("/predicate/source/ref", json!(null)),
        ("/predicate/source/run", json!(7)),
        ("/predicate/tool/version", json!("")),
    ] {
        assert_eq!(code(&with(pointer, value.clone())), Code::MalformedStatement, "{pointer} {value}");
    }
}

#[test]
fn a_statement_about_nothing_is_refused() {
    let mut nothing = sample();
    nothing.subjects.clear();
    for root in &mut nothing.predicate.roots {
        *root = SealedRoot { manifest: None, entries: 0, bytes: 0, ..root.clone() };
    }
    assert_eq!(parse(&nothing.to_json()), Err(StatementError::Empty { field: "subject" }));
}

#[test]
fn the_instant_has_one_spelling() {
    for text in [
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00-00:00",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T12:00:00z",
        "2026-01-31t12:00:00Z",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00:00.500Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:60Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T12:00:00Z[UTC]",
        "20260131T120000Z",
        "-000001-01-31T12:00:00Z",
        " 2026-01-31T12:00:00Z",
        "1769860800",
        "",
    ] {
        assert_eq!(code(&with("/predicate/sealedAt", json!(text))), Code::MalformedStatement, "{text}");
    }
    for text in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.000000001Z"] {
        let found = parse(&with("/predicate/sealedAt", json!(text))).unwrap();
        assert_eq!(found.predicate.sealed_at.to_string(), text);
    }
}

#[test]
fn a_text_that_is_not_strict_json_is_refused() {
    let good = String::from_utf8(sample().to_json()).unwrap();
    for text in [
        good.replacen('{', r#"{"_type":"https://in-toto.io/Statement/v1","#, 1),
        good.replacen(r#""cache""#, r#""\u0063ache":"npm","cache""#, 1),
        good.replacen(r#"{"sha256""#, &format!(r#"{{"sha256":"{B}","sha256""#), 1),
        format!("[{good}]"),
        format!("{good}{good}"),
        good.replacen('{', &format!(r#"{{"x":{},"#, "[".repeat(100) + &"]".repeat(100)), 1),
        good[..good.len() - 1].to_owned(),
        String::new(),
    ] {
        assert_ne!(text, good);
        assert_eq!(code(text.as_bytes()), Code::MalformedStatement, "{text}");
    }
}

#[test]
fn hostile_text_is_shown_harmless() {
    let error = parse(&with("/predicate/\u{1b}[2J", json!(1))).unwrap_err();
    assert_eq!(error.to_string(), "`predicate` has the field `\\u{1b}[2J`, which this version does not read");
}

fn text() -> impl Strategy<Value = String> {
    "(?s).{1,12}"
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

prop_compose! {
    fn roots()(paths in btree_set(text(), 1..5), there in any::<prop::sample::Index>())
        (
            rows in vec((any::<bool>(), any::<bool>(), any::<u64>(), any::<u64>(), digest()), paths.len()),
            there in Just(there.index(paths.len())),
            paths in Just(paths),
        )
        -> Vec<(SealedRoot, Digest)> {
        paths.into_iter().zip(rows).enumerate().map(|(index, (path, (present, blake3, entries, bytes, sha256)))| {
            // At least one root is there: a seal of nothing is not written.
            let present = present || index == there;
            let root = SealedRoot {
                path,
                manifest: present.then(|| manifest_name(index)),
                digest: if blake3 { Algorithm::Blake3 } else { Algorithm::Sha256 },
                entries: if present { entries } else { 0 },
                bytes: if present { bytes } else { 0 },
            };
            (root, sha256)
        }).collect()
    }
}

prop_compose! {
    fn source()(fields in proptest::array::uniform5(proptest::option::of(text()))) -> Source {
        let [ci, ref_, revision, job, run] = fields;
        Source { ci, ref_, revision, job, run }
    }
}

prop_compose! {
    fn statement()(
        roots in roots(),
        names in proptest::array::uniform6(text()),
        lockfiles in btree_map(text(), digest(), 0..4),
        bindings in btree_map(text(), text(), 0..4),
        source in source(),
        // The years 0 to 9999.
        seconds in -62_167_219_200..253_402_207_200_i64,
        nanoseconds in 0..1_000_000_000,
    ) -> Statement {
        let [project, cache, os, arch, name, version] = names;
        let sealed = roots.iter().filter(|(root, _)| root.manifest.is_some());
        let subjects = sealed.map(|(root, sha256)| Subject { name: root.path.clone(), sha256: *sha256 }).collect();
        let predicate = Predicate {
            project,
            cache,
            roots: roots.into_iter().map(|(root, _)| root).collect(),
            lockfiles: lockfiles.into_iter().map(|(path, sha256)| SealedLockfile { path, sha256 }).collect(),
            platform: Platform { os, arch },
            bindings,
            source,
            sealed_at: Timestamp::new(seconds, nanoseconds).unwrap(),
            tool: Tool { name, version },
        };
        Statement { subjects, predicate }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_written_again_the_same(statement in statement()) {
        let json = statement.to_json();
        let read = parse(&json);
        prop_assert_eq!(read.as_ref(), Ok(&statement));
        prop_assert_eq!(read.unwrap().to_json(), json);
    }
}
