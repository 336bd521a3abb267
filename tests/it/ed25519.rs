//! Ed25519 by the strict rules: `tests/vectors/ed25519.json` and the Wycheproof set.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheseal::base::Code;
use cacheseal::identity::PublicKey;
use wycheproof::eddsa::{TestName, TestSet};

const VECTORS: &str = include_str!("../vectors/ed25519.json");

fn key(bytes: &[u8]) -> Result<PublicKey, Code> {
    let spki = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", bytes].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki));
    PublicKey::from_pem(pem.as_bytes()).map_err(|error| error.code())
}

/// A signature of another length has no type here: it cannot verify.
fn verifies(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    signature.try_into().is_ok_and(|signature| key.verify(message, signature))
}

#[test]
fn every_vector_is_judged_as_the_strict_rules_say() {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 23);
    for vector in vectors {
        let field = |name: &str| vector[name].as_str().unwrap();
        let bytes = |name: &str| hex::decode(field(name)).unwrap();
        let found = key(&bytes("key")).map(|key| verifies(&key, &bytes("msg"), &bytes("sig")));
        // A key of small order is refused before any signature is looked at.
        let forged = field("id").starts_with("forge-");
        let expected = if forged { Err(Code::WeakKey) } else { Ok(field("expect") == "valid") };
        assert_eq!(found, expected, "{}", field("id"));
    }
}

#[test]
fn every_wycheproof_vector_is_judged_as_it_says() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in set.test_groups {
        let key = key(&group.key.pk).unwrap();
        for test in group.tests {
            assert_eq!(
                verifies(&key, &test.msg, &test.sig),
                !test.result.must_fail(),
                "{} {}",
                test.tc_id,
                test.comment
            );
            count += 1;
        }
    }
    assert_eq!(count, 151);
}
