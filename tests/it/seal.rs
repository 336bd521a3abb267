//! The envelope, its signatures and the seal's directory, rows 25 to 46, through the real binary. What only a thief of
//! the job's key can do is in `statement.rs`.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheseal::drill::{forgery, tampering};
use cacheseal::seal::statement::PAYLOAD_TYPE;
use serde_json::{Value, json};

use crate::forge::{chmod, fifo, remove};
use crate::harness::{Project, key};
use crate::rows::{each, some};

type Tamper = fn(&Project);

/// Seals, tampers, and expects this exit status and exactly these codes.
pub(crate) fn each_gets(cases: &[(&str, Tamper, i32, &[&str])]) {
    each(some(cases), |(what, tamper, exit, codes)| {
        let project = Project::new();
        project.seal();
        tamper(&project);
        project.verify("any").expect_of(what, *exit, codes);
    });
}

#[test]
fn a_seal_without_a_good_signature_by_the_job_is_refused() {
    each_gets(&[
        (
            "row 25: a payload byte changed",
            |p| other_payload(p, |t| t.replace("acme", "acmf")),
            10,
            &["signature-mismatch"],
        ),
        ("row 25: a digest replaced", |p| other_payload(p, swap_digest), 10, &["signature-mismatch"]),
        ("row 25: no payload", |p| p.edit_envelope(|e| e["payload"] = "".into()), 10, &["signature-mismatch"]),
        ("row 26: no signatures", |p| p.edit_envelope(forgery::remove_signatures), 10, &["no-signature"]),
        (
            "row 26: an empty signature",
            |p| p.edit_envelope(|e| e["signatures"][0]["sig"] = "".into()),
            10,
            &["signature-mismatch"],
        ),
        (
            "row 26: no field for signatures",
            |p| p.edit_envelope(|e| drop_field(e, "signatures")),
            10,
            &["malformed-envelope"],
        ),
        (
            "row 26: null for signatures",
            |p| p.edit_envelope(|e| e["signatures"] = Value::Null),
            10,
            &["malformed-envelope"],
        ),
        (
            "row 26: the bare statement",
            |p| {
                let payload = p.payload();
                replace(p, payload);
            },
            10,
            &["malformed-envelope"],
        ),
        (
            "row 29: signed by a stranger",
            |p| p.sign_as("stranger", PAYLOAD_TYPE, &p.payload()),
            10,
            &["unknown-signer"],
        ),
        ("row 29: by a stranger under the job's key id", |p| stranger_as_job(p), 10, &["signature-mismatch"]),
        (
            "row 29: the signature names no key",
            |p| p.edit_envelope(|e| drop_field(&mut e["signatures"][0], "keyid")),
            10,
            &["unknown-signer"],
        ),
        (
            "row 29: by a signer of another gate",
            |p| p.sign_as("other", PAYLOAD_TYPE, &p.payload()),
            10,
            &["signer-not-accepted"],
        ),
        ("row 30: a key in the envelope", |p| embedded_key(p), 10, &["unknown-signer"]),
    ]);
}

#[test]
fn a_signature_that_only_looks_like_one_is_refused() {
    each_gets(&[
        (
            "row 33: a signature too short",
            |p| {
                edit_signature(p, |s| {
                    s.pop();
                });
            },
            10,
            &["signature-mismatch"],
        ),
        ("row 33: a signature too long", |p| edit_signature(p, |s| s.push(0)), 10, &["signature-mismatch"]),
        ("row 33: S + L", |p| edit_signature(p, |s| add_order(&mut s[32..])), 10, &["signature-mismatch"]),
        (
            "row 33: R of small order",
            |p| {
                edit_signature(p, |s| {
                    s[..32].fill(0);
                    s[0] = 1;
                });
            },
            10,
            &["signature-mismatch"],
        ),
        ("row 35: signed without its type", |p| sign_raw(p, &p.payload()), 10, &["signature-mismatch"]),
        (
            "row 35: signed in base64",
            |p| sign_raw(p, p.envelope()["payload"].as_str().unwrap().as_bytes()),
            10,
            &["signature-mismatch"],
        ),
        (
            "row 36: the type changed",
            |p| p.edit_envelope(|e| e["payloadType"] = "text/plain".into()),
            10,
            &["signature-mismatch"],
        ),
        (
            "row 38: no algorithm",
            |p| {
                p.edit_envelope(|e| {
                    e["alg"] = "none".into();
                    e["signatures"] = json!([]);
                });
            },
            10,
            &["no-signature"],
        ),
        (
            "row 38: a stranger's with an algorithm",
            |p| {
                p.sign_as("stranger", PAYLOAD_TYPE, &p.payload());
                p.edit_envelope(|e| e["signatures"][0]["alg"] = "HS256".into());
            },
            10,
            &["unknown-signer"],
        ),
        ("row 53: the signature of another seal", |p| signature_of_another(p), 10, &["signature-mismatch"]),
    ]);
}

#[test]
fn what_a_good_signature_carries_is_ignored_where_the_specification_says_so() {
    each_gets(&[
        ("row 31: a stranger's signature after", |p| add_stranger(p, 1), 0, &[]),
        ("row 31: a stranger's signature before", |p| add_stranger(p, 0), 0, &[]),
        (
            "row 31: a broken signature by no known key",
            |p| p.edit_envelope(|e| push(e, json!({ "keyid": "x", "sig": "AAAA" }))),
            0,
            &[],
        ),
        (
            "row 32: the same signature twice",
            |p| {
                p.edit_envelope(|e| {
                    let one = e["signatures"][0].clone();
                    push(e, one);
                });
            },
            0,
            &[],
        ),
        (
            "row 38: an algorithm in a good signature",
            |p| p.edit_envelope(|e| e["signatures"][0]["alg"] = "none".into()),
            0,
            &[],
        ),
        ("row 45: an unknown field in the envelope", |p| p.edit_envelope(|e| e["critical"] = json!(["rule"])), 0, &[]),
        ("row 44: the other alphabet", |p| p.edit_envelope(url_safe), 0, &[]),
    ]);
}

#[test]
fn an_envelope_that_two_readers_could_read_differently_is_refused() {
    each_gets(&[
        (
            "row 41: a field twice",
            |p| edit_text(p, |t| t.replacen('{', "{\"payloadType\":\"x\",", 1)),
            10,
            &["malformed-envelope"],
        ),
        (
            "row 41: a field twice, once escaped",
            |p| edit_text(p, |t| t.replacen('{', "{\"p\\u0061yload\":\"\",", 1)),
            10,
            &["malformed-envelope"],
        ),
        (
            "row 41: nested",
            |p| edit_text(p, |t| t.replacen("\"keyid\"", "\"sig\":\"\",\"keyid\"", 1)),
            10,
            &["malformed-envelope"],
        ),
        ("row 42: a second document", |p| edit_text(p, |t| format!("{t}{t}")), 10, &["malformed-envelope"]),
        ("row 42: a comma after it", |p| edit_text(p, |t| format!("{t},")), 10, &["malformed-envelope"]),
        ("row 42: a byte order mark", |p| edit_text(p, |t| format!("\u{feff}{t}")), 10, &["malformed-envelope"]),
        ("row 42: NUL after it", |p| edit_text(p, |t| format!("{t}\0")), 10, &["malformed-envelope"]),
        (
            "row 42: UTF-16",
            |p| replace(p, fs::read(p.envelope_path()).unwrap().iter().flat_map(|b| [*b, 0]).collect()),
            10,
            &["malformed-envelope"],
        ),
        (
            "row 42: bytes that are not UTF-8",
            |p| {
                let mut bytes = fs::read(p.envelope_path()).unwrap();
                bytes.splice(1..1, *b"\"\xff\":1,");
                replace(p, bytes);
            },
            10,
            &["malformed-envelope"],
        ),
        ("an array", |p| edit_text(p, |t| format!("[{t}]")), 10, &["malformed-envelope"]),
        (
            "values in an array",
            |p| p.edit_envelope(|e| *e = json!([e["payloadType"], e["payload"], e["signatures"]])),
            10,
            &["malformed-envelope"],
        ),
        (
            "row 43: deep",
            |p| {
                edit_text(p, |t| {
                    t.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(100_000), "]".repeat(100_000)), 1)
                });
            },
            10,
            &["malformed-envelope"],
        ),
        ("row 43: white space", |p| edit_text(p, |t| format!("{t}{}", " ".repeat(64 << 20))), 13, &["seal-too-large"]),
        ("row 43: holes", |p| tampering::resize(&p.envelope_path(), 1 << 40).unwrap(), 13, &["seal-too-large"]),
        (
            "row 43: signatures",
            |p| p.edit_envelope(|e| (0..64).for_each(|_| push(e, json!({ "sig": "" })))),
            13,
            &["too-many-signatures"],
        ),
        (
            "row 44: a space",
            |p| p.edit_envelope(|e| edit_payload_text(e, |t| format!("{} {}", &t[..4], &t[4..]))),
            10,
            &["malformed-envelope"],
        ),
        (
            "row 44: a line feed",
            |p| p.edit_envelope(|e| edit_payload_text(e, |t| format!("{t}\n"))),
            10,
            &["malformed-envelope"],
        ),
        ("row 44: no padding", |p| p.edit_envelope(unpadded_signature), 10, &["malformed-envelope"]),
        ("row 44: bits that nobody reads", |p| p.edit_envelope(spare_bits), 10, &["malformed-envelope"]),
        ("row 46: half", |p| edit_text(p, |t| t[..t.len() / 2].to_owned()), 10, &["malformed-envelope"]),
        ("row 46: empty", |p| replace(p, Vec::new()), 10, &["malformed-envelope"]),
        ("row 46: zeros", |p| replace(p, vec![0; 4_096]), 10, &["malformed-envelope"]),
    ]);
}

#[test]
fn the_seal_directory_holds_what_was_signed_and_nothing_else() {
    each_gets(&[
        ("a stray file", |p| p.write(".cacheseal/deps/README", ""), 10, &["malformed-seal"]),
        ("a stray hidden file", |p| p.write(".cacheseal/deps/.x", ""), 10, &["malformed-seal"]),
        ("a stray manifest", |p| p.write(".cacheseal/deps/2.mtree", ""), 10, &["malformed-seal"]),
        ("a stray directory", |p| p.write(".cacheseal/deps/d/x", ""), 10, &["malformed-seal"]),
        ("a stray link", |p| p.relink(".cacheseal/deps/l", "seal.json"), 10, &["malformed-seal"]),
        ("a stray fifo", |p| fifo(&p.path(".cacheseal/deps/f")), 10, &["malformed-seal"]),
        ("`seal.json` is gone", |p| remove(&p.envelope_path()), 10, &["no-seal"]),
        (
            "`seal.json` is a link to itself elsewhere",
            |p| p.link_away(".cacheseal/deps/seal.json"),
            10,
            &["malformed-seal"],
        ),
        ("`seal.json` is a fifo", |p| fifo(&p.envelope_path()), 10, &["malformed-seal"]),
        (
            "`seal.json` is a directory",
            |p| {
                remove(&p.envelope_path());
                p.write(".cacheseal/deps/seal.json/x", "");
            },
            10,
            &["malformed-seal"],
        ),
        ("a manifest is gone", |p| remove(&p.path(".cacheseal/deps/1.mtree")), 10, &["manifest-mismatch"]),
        ("a manifest is empty", |p| p.write(".cacheseal/deps/0.mtree", ""), 10, &["manifest-mismatch"]),
        ("a manifest lost its last byte", |p| shorten(p, ".cacheseal/deps/0.mtree"), 10, &["manifest-mismatch"]),
        (
            "manifests exchanged",
            |p| p.swap(".cacheseal/deps/0.mtree", ".cacheseal/deps/1.mtree"),
            10,
            &["manifest-mismatch"],
        ),
        (
            "a manifest is a link to itself elsewhere",
            |p| p.link_away(".cacheseal/deps/0.mtree"),
            10,
            &["malformed-seal"],
        ),
        ("a manifest is a fifo", |p| fifo(&p.path(".cacheseal/deps/0.mtree")), 10, &["malformed-seal"]),
        (
            "a manifest of 1 TiB",
            |p| tampering::resize(&p.path(".cacheseal/deps/0.mtree"), 1 << 40).unwrap(),
            13,
            &["manifest-too-large"],
        ),
        ("the seal is a link", |p| p.link_away(".cacheseal/deps"), 10, &["malformed-seal"]),
        ("all seals are a link", |p| p.link_away(".cacheseal"), 10, &["malformed-seal"]),
        (
            "other modes",
            |p| {
                chmod(&p.envelope_path(), 0o600);
                p.chmod(".cacheseal/deps", 0o700);
            },
            0,
            &[],
        ),
        ("another seal beside it", |p| p.write(".cacheseal/other/seal.json", "{}"), 0, &[]),
    ]);
}

/// Row 53: the seal of one tree does not hold for another, even by the same job on the same day.
#[test]
fn a_seal_of_another_tree_is_refused() {
    let project = Project::new();
    project.seal();
    fs::rename(project.seal_path(), project.outside("seal-a")).unwrap();
    project.write("deps/pkg/index.js", "module.exports = 2\n");
    fs::write(project.home().join("store/blob"), "b").unwrap();
    project.seal();
    let seal_b = project.outside("seal-b");
    fs::rename(project.seal_path(), &seal_b).unwrap();
    fs::rename(project.outside("seal-a"), project.seal_path()).unwrap();
    project.verify("any").expect(11, &["digest-mismatch"]);
    // Row 59: one root of each run, under either seal.
    project.write("deps/pkg/index.js", "module.exports = 1\n");
    project.verify("any").expect(11, &["digest-mismatch"]);
    // A manifest of the other seal in this one.
    fs::copy(seal_b.join("1.mtree"), project.seal_path().join("1.mtree")).unwrap();
    project.verify("any").expect(10, &["manifest-mismatch"]);
    remove(&project.seal_path());
    fs::rename(seal_b, project.seal_path()).unwrap();
    project.verify("any").expect(11, &["digest-mismatch"]);
}

fn drop_field(object: &mut Value, field: &str) {
    object.as_object_mut().unwrap().remove(field).unwrap();
}

fn push(envelope: &mut Value, signature: Value) {
    envelope["signatures"].as_array_mut().unwrap().push(signature);
}

fn replace(project: &Project, bytes: Vec<u8>) {
    fs::write(project.envelope_path(), bytes).unwrap();
}

fn edit_text(project: &Project, edit: impl FnOnce(String) -> String) {
    replace(project, edit(fs::read_to_string(project.envelope_path()).unwrap()).into_bytes());
}

fn other_payload(project: &Project, edit: impl FnOnce(&str) -> String) {
    let before = String::from_utf8(project.payload()).unwrap();
    let after = edit(&before);
    assert_ne!(before, after);
    project.edit_envelope(|envelope| forgery::set_payload(envelope, after.as_bytes()));
}

/// The other root's digest for the first.
fn swap_digest(text: &str) -> String {
    let statement: Value = serde_json::from_str(text).unwrap();
    let digest = |index: usize| statement["subject"][index]["digest"]["sha256"].as_str().unwrap();
    text.replace(digest(0), digest(1))
}

fn edit_payload_text(envelope: &mut Value, edit: impl FnOnce(&str) -> String) {
    envelope["payload"] = edit(envelope["payload"].as_str().unwrap()).into();
}

fn edit_signature(project: &Project, edit: impl FnOnce(&mut Vec<u8>)) {
    project.edit_envelope(|envelope| {
        let mut signature = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
        edit(&mut signature);
        envelope["signatures"][0]["sig"] = STANDARD.encode(signature).into();
    });
}

/// Adds the order of the group (RFC 8032, section 5.1) to a little-endian number: the same S to a lax verifier.
fn add_order(scalar: &mut [u8]) {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (digit, add) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(add) + carry;
        *digit = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
}

fn stranger_as_job(project: &Project) {
    project.sign_as("stranger", PAYLOAD_TYPE, &project.payload());
    project.edit_envelope(|envelope| forgery::claim_key(envelope, key("job").public().id()));
}

fn embedded_key(project: &Project) {
    project.sign_as("stranger", PAYLOAD_TYPE, &project.payload());
    project.edit_envelope(|envelope| {
        envelope["publicKey"] = key("stranger").public().to_pem().into();
        envelope["signatures"][0]["cert"] = key("stranger").public().to_pem().into();
    });
}

/// The job's key over bytes that are not the pre-authentication encoding.
fn sign_raw(project: &Project, message: &[u8]) {
    let signature = STANDARD.encode(key("job").sign(message));
    project.edit_envelope(|envelope| envelope["signatures"][0]["sig"] = signature.into());
}

fn add_stranger(project: &Project, at: usize) {
    let honest = project.envelope();
    project.sign_as("stranger", PAYLOAD_TYPE, &project.payload());
    let stranger = project.envelope()["signatures"][0].clone();
    let mut both = honest;
    both["signatures"].as_array_mut().unwrap().insert(at, stranger);
    replace(project, both.to_string().into_bytes());
}

fn signature_of_another(project: &Project) {
    let before = project.envelope();
    project.write("deps/pkg/index.js", "module.exports = 2\n");
    project.seal();
    project.edit_envelope(|envelope| forgery::take_signatures(envelope, &before));
}

fn url_safe(envelope: &mut Value) {
    edit_payload_text(envelope, |text| text.replace('+', "-").replace('/', "_"));
    let signature = envelope["signatures"][0]["sig"].as_str().unwrap().replace('+', "-").replace('/', "_");
    envelope["signatures"][0]["sig"] = signature.into();
}

fn unpadded_signature(envelope: &mut Value) {
    let signature = envelope["signatures"][0]["sig"].as_str().unwrap().trim_end_matches('=').to_owned();
    envelope["signatures"][0]["sig"] = signature.into();
}

/// 64 bytes end in a character of which two bits count.
fn spare_bits(envelope: &mut Value) {
    let signature = envelope["signatures"][0]["sig"].as_str().unwrap().to_owned();
    let last = signature.trim_end_matches('=').chars().next_back().unwrap();
    let next = char::from(u8::try_from(last).unwrap() + 1);
    envelope["signatures"][0]["sig"] = signature.replace(&format!("{last}=="), &format!("{next}==")).into();
}

fn shorten(project: &Project, below: &str) {
    let path = project.path(below);
    tampering::resize(&path, fs::metadata(&path).unwrap().len() - 1).unwrap();
}
