//! Envelopes: `tests/vectors/dsse/`, one failure a file, and those too large to keep, made here.

use std::collections::BTreeSet;
use std::{fs, io};

use cacheseal::base::{Code, Digest, Limits};
use cacheseal::identity::PublicKey;
use cacheseal::seal::envelope::UnverifiedEnvelope;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");

/// Digest of the payload of most vectors.
const PAYLOAD: &str = "7c880cb7afe7fbeaff9607cd3949b473330020743db5f96e04801029ebb44abd";

/// What an envelope proves about the keys of its row.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Signed by so many distinct keys, and the payload is [`PAYLOAD`].
    Signers(usize),
    /// Refused.
    Refused(Code),
}

use Outcome::{Refused, Signers};

/// File, trusted keys, outcome.
const CASES: &[(&str, &[&str], Outcome)] = &[
    ("ok-no-keyid", &["k1"], Signers(1)),
    ("ok-empty-keyid", &["k1"], Signers(1)),
    ("ok-two-sigs-one-unknown", &["k1"], Signers(1)),
    ("ok-bad-then-good", &["k1"], Signers(1)),
    ("ok-urlsafe", &["k1"], Signers(1)),
    // A gate with a threshold of two is not satisfied by one key under two names.
    ("threshold-same-key-listed-twice", &["k1", "k1"], Signers(1)),
    ("keyid-wrong-but-key-trusted", &["k1", "k2"], Refused(Code::SignatureMismatch)),
    ("no-sig", &["k1"], Refused(Code::NoSignature)),
    ("sigs-null", &["k1"], Refused(Code::MalformedEnvelope)),
    ("sig-empty", &["k1"], Refused(Code::SignatureMismatch)),
    ("sig-null", &["k1"], Refused(Code::MalformedEnvelope)),
    ("sig-other-job-key", &["k1"], Refused(Code::UnknownSigner)),
    ("sig-over-payload", &["k1"], Refused(Code::SignatureMismatch)),
    ("sig-over-b64", &["k1"], Refused(Code::SignatureMismatch)),
    ("sig-malleated", &["k1"], Refused(Code::SignatureMismatch)),
    ("sig-hex", &["k1"], Refused(Code::SignatureMismatch)),
    ("pae-leading-zero", &["k1"], Refused(Code::SignatureMismatch)),
    ("pae-v0", &["k1"], Refused(Code::SignatureMismatch)),
    ("pae-le64", &["k1"], Refused(Code::SignatureMismatch)),
    ("pae-char-count", &["k1"], Refused(Code::SignatureMismatch)),
    ("payload-bitflip", &["k1"], Refused(Code::SignatureMismatch)),
    ("payload-empty", &["k1"], Refused(Code::SignatureMismatch)),
    ("payload-missing", &["k1"], Refused(Code::MalformedEnvelope)),
    ("type-changed", &["k1"], Refused(Code::SignatureMismatch)),
    ("b64-newline", &["k1"], Refused(Code::MalformedEnvelope)),
    ("b64-space", &["k1"], Refused(Code::MalformedEnvelope)),
    ("b64-no-pad", &["k1"], Refused(Code::MalformedEnvelope)),
    ("b64-junk", &["k1"], Refused(Code::MalformedEnvelope)),
    ("dup-signatures", &["k1"], Refused(Code::MalformedEnvelope)),
    ("dup-sig-inner", &["k1"], Refused(Code::MalformedEnvelope)),
    ("json-bom", &["k1"], Refused(Code::MalformedEnvelope)),
    ("json-utf16", &["k1"], Refused(Code::MalformedEnvelope)),
    ("json-lone-surrogate", &["k1"], Refused(Code::MalformedEnvelope)),
    ("json-array", &["k1"], Refused(Code::MalformedEnvelope)),
    ("json-truncated", &["k1"], Refused(Code::MalformedEnvelope)),
    ("json-lines", &["k1"], Refused(Code::MalformedEnvelope)),
    ("json-crlf-prefix", &["k1"], Refused(Code::MalformedEnvelope)),
    ("alg-none", &["k1"], Refused(Code::UnknownSigner)),
    ("embedded-key", &["k1"], Refused(Code::UnknownSigner)),
    ("jws", &["k1"], Refused(Code::MalformedEnvelope)),
];

fn read(path: &str) -> io::Result<Vec<u8>> {
    fs::read(format!("{VECTORS}/{path}"))
}

/// What the bytes prove, in the order in which a judge asks.
fn outcome(bytes: &[u8], keys: &[PublicKey], limits: &Limits) -> Outcome {
    let envelope = match UnverifiedEnvelope::parse(bytes, limits) {
        Ok(envelope) => envelope,
        Err(error) => return Refused(error.code()),
    };
    let checked = envelope.verified_by(keys);
    match checked.payload() {
        Some(payload) => {
            assert_eq!(Digest::sha256(payload.bytes()).to_string(), PAYLOAD);
            Signers(checked.verified().len())
        }
        None if !checked.has_signatures() => Refused(Code::NoSignature),
        None if !checked.mismatched().is_empty() => Refused(Code::SignatureMismatch),
        None => Refused(Code::UnknownSigner),
    }
}

#[test]
fn every_envelope_proves_what_its_row_says() {
    for (name, keys, expected) in CASES {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| PublicKey::from_pem(&read(&format!("keys/{key}.pub.pem")).unwrap()).unwrap())
            .collect();
        let bytes = read(&format!("dsse/{name}.json")).unwrap();
        assert_eq!(&outcome(&bytes, &keys, &Limits::STANDARD), expected, "{name}");
    }
}

#[test]
fn every_envelope_has_a_row() {
    let files = fs::read_dir(format!("{VECTORS}/dsse")).unwrap();
    let files: BTreeSet<_> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, CASES.iter().map(|(name, ..)| format!("{name}.json")).collect());
}

#[test]
fn an_ignored_field_cannot_exhaust_the_reader() {
    let key = PublicKey::from_pem(&read("keys/k1.pub.pem").unwrap()).unwrap();
    let good = String::from_utf8(read("dsse/ok-no-keyid.json").unwrap()).unwrap();
    let with_field = |value: &str| format!("{},\"x\":{value}}}", good.trim_end().strip_suffix('}').unwrap());
    let sig = good.split("[{").nth(1).unwrap().split("}]").next().unwrap();
    let signatures = good.replace(sig, &vec![sig; 20_000].join("},{"));
    let mut unlimited = Limits::STANDARD;
    unlimited.envelope_bytes_max = u64::MAX;
    let standard = Limits::STANDARD;
    for (name, text, limits, expected) in [
        ("small", with_field("[[1e9]]"), &standard, Signers(1)),
        (
            "json-deep",
            with_field(&("[".repeat(100_000) + &"]".repeat(100_000))),
            &standard,
            Refused(Code::MalformedEnvelope),
        ),
        ("json-deep, no end", with_field(&"[".repeat(100_000)), &standard, Refused(Code::MalformedEnvelope)),
        (
            "json-deep-obj",
            with_field(&("{\"a\":".repeat(50_000) + "1" + &"}".repeat(50_000))),
            &standard,
            Refused(Code::MalformedEnvelope),
        ),
        ("json-number-huge", with_field(&"9".repeat(400_000)), &standard, Refused(Code::MalformedEnvelope)),
        ("sigs-20k", signatures.clone(), &standard, Refused(Code::SealTooLarge)),
        ("sigs-20k, size allowed", signatures, &unlimited, Refused(Code::TooManySignatures)),
        ("64 MiB of white space", " ".repeat(64 << 20), &standard, Refused(Code::SealTooLarge)),
    ] {
        assert_eq!(outcome(text.as_bytes(), std::slice::from_ref(&key), limits), expected, "{name}");
    }
}
