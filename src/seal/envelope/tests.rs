use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

const TYPE: &str = "application/vnd.in-toto+json";

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(Zeroizing::new([seed; 32]))
}

fn parse(bytes: &[u8]) -> UnverifiedEnvelope {
    UnverifiedEnvelope::parse(bytes, &Limits::STANDARD).unwrap()
}

fn code(text: &str) -> Code {
    UnverifiedEnvelope::parse(text.as_bytes(), &Limits::STANDARD).unwrap_err().code()
}

/// An envelope with `count` signatures, each `{keyid, sig}` as given.
fn with_signatures(count: usize, signature: &str) -> String {
    let signatures = vec![signature; count].join(",");
    format!(r#"{{"payloadType":"t","payload":"cA==","signatures":[{signatures}]}}"#)
}

#[test]
fn pae_is_that_of_the_specification() {
    let found = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(found, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pae("\u{e9}", b""), "DSSEv1 2 \u{e9} 0 ".as_bytes());
}

#[test]
fn what_is_signed_is_written_in_one_form() {
    let key = secret(1);
    let (id, sig) = (key.public().id(), STANDARD.encode(key.sign(&pae("t", b"p"))));
    let expected = format!(
        "{{\n  \"payload\": \"cA==\",\n  \"payloadType\": \"t\",\n  \"signatures\": [\n    {{\n      \
         \"keyid\": \"{id}\",\n      \"sig\": \"{sig}\"\n    }}\n  ]\n}}\n"
    );
    assert_eq!(String::from_utf8(sign("t", b"p", &[&key])).unwrap(), expected);
}

#[test]
fn limits_are_inclusive_and_have_codes_of_their_own() {
    let max = Limits::STANDARD.signatures_max;
    let signature = r#"{"sig":""}"#;
    assert!(parse(with_signatures(max, signature).as_bytes()).verified_by(&[]).has_signatures());
    assert_eq!(code(&with_signatures(max + 1, signature)), Code::TooManySignatures);
    let size = usize::try_from(Limits::STANDARD.envelope_bytes_max).unwrap();
    let text = with_signatures(1, signature);
    let full = format!("{}{text}", " ".repeat(size - text.len()));
    assert_eq!(parse(full.as_bytes()).unverified_payload(), ("t", &b"p"[..]));
    assert_eq!(code(&(full + " ")), Code::SealTooLarge);
}

#[test]
fn fields_of_the_wrong_kind_are_refused_and_unknown_ones_ignored() {
    let good = with_signatures(1, r#"{"sig":""}"#);
    for (from, to) in [
        (r#"{"sig":""}"#, r#"{"sig":null}"#),
        (r#"{"sig":""}"#, "{}"),
        (r#"{"sig":""}"#, "[]"),
        (r#"{"sig":""}"#, "null"),
        (r#"{"sig":""}"#, r#"{"sig":"","keyid":null}"#),
        (r#"{"sig":""}"#, r#"{"sig":"","keyid":1}"#),
        (r#"{"sig":""}"#, r#"{"sig":"A"}"#),
        (r#""t""#, "null"),
        (r#""payloadType":"t","#, ""),
        ("cA==", "cA="),
        ("cA==", "cB=="),
        ("cA==", "cA==cA=="),
        ("cA==", "-+AA"),
        ("[", r#"{"0":"#),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        assert_eq!(code(&text), Code::MalformedEnvelope, "{text}");
    }
    let extended = good.replacen('{', r#"{"version":[2],"#, 1).replacen("\"sig\"", "\"alg\":{},\"sig\"", 1);
    assert_eq!(parse(extended.as_bytes()).unverified_payload(), ("t", &b"p"[..]));
}

#[test]
fn both_alphabets_are_read() {
    for (text, bytes) in [("-_8=", b"\xfb\xff"), ("+/8=", b"\xfb\xff")] {
        let envelope = parse(with_signatures(0, "").replace("cA==", text).as_bytes());
        assert_eq!(envelope.unverified_payload().1, bytes);
    }
}

#[test]
fn a_keyid_chooses_the_key_to_try_and_nothing_more() {
    let (a, b) = (secret(1), secret(2));
    let (id_a, id_b) = (a.public().id(), b.public().id());
    let keys = [a.public(), b.public(), a.public()];
    let text = String::from_utf8(sign(TYPE, b"payload", &[&a])).unwrap();
    let id = id_a.to_string();
    let other = secret(3).public().id().to_string();
    for (keyid, verified, mismatched) in [
        (id.as_str(), vec![id_a], vec![]),
        ("", vec![id_a], vec![]),
        (&id_b.to_string(), vec![], vec![id_b]),
        (&other, vec![], vec![]),
        (&id.to_uppercase(), vec![], vec![]),
        (&id[..63], vec![], vec![]),
    ] {
        let envelope = parse(text.replace(&id, keyid).as_bytes());
        assert_eq!(envelope.unverified_keyids().collect::<Vec<_>>(), [keyid]);
        let checked = envelope.verified_by(&keys);
        assert!(checked.verified().iter().eq(&verified), "{keyid}");
        assert!(checked.mismatched().iter().eq(&mismatched), "{keyid}");
        assert_eq!(checked.payload().is_some(), !verified.is_empty(), "{keyid}");
    }
}

#[test]
fn signers_are_counted_once_however_often_they_sign() {
    let (a, b) = (secret(1), secret(2));
    for (signers, count) in [(vec![&a, &a], 1), (vec![&a, &b], 2), (vec![&b, &a, &b], 2), (vec![], 0)] {
        let text = String::from_utf8(sign(TYPE, b"payload", &signers)).unwrap();
        let anonymous = text.replace("\"keyid\"", "\"key\"");
        for text in [text, anonymous] {
            let envelope = parse(text.as_bytes());
            let checked = envelope.verified_by(&[a.public(), a.public(), b.public()]);
            assert_eq!(checked.verified().len(), count);
            assert_eq!(checked.has_signatures(), !signers.is_empty());
            assert!(checked.mismatched().is_empty());
        }
    }
}

#[test]
fn a_bit_that_can_be_flipped_was_not_signed() {
    let (key, payload) = (secret(1), b"{\"what\":\"was signed\"}");
    let good = sign(TYPE, payload, &[&key]);
    let mut accepted = 0;
    for bit in 0..good.len() * 8 {
        let mut text = good.clone();
        text[bit / 8] ^= 1 << (bit % 8);
        let Ok(envelope) = UnverifiedEnvelope::parse(&text, &Limits::STANDARD) else { continue };
        let checked = envelope.verified_by(&[key.public()]);
        if let Some(verified) = checked.payload() {
            assert_eq!((verified.payload_type(), verified.bytes()), (TYPE, &payload[..]));
            accepted += 1;
        }
    }
    // The seven bits of each letter of the word `keyid` that leave UTF-8: an envelope without the hint.
    assert_eq!(accepted, 35);
}

proptest! {
    #[test]
    fn what_is_signed_is_read_back(payload_type: String, payload: Vec<u8>, seeds in proptest::collection::btree_set(any::<u8>(), 1..4)) {
        let keys: Vec<_> = seeds.iter().map(|seed| secret(*seed)).collect();
        let text = sign(&payload_type, &payload, &keys.iter().collect::<Vec<_>>());
        let envelope = parse(&text);
        let publics: Vec<_> = keys.iter().map(SecretKey::public).collect();
        let checked = envelope.verified_by(&publics);
        prop_assert_eq!(checked.verified().len(), keys.len());
        let verified = checked.payload().unwrap();
        prop_assert_eq!((verified.payload_type(), verified.bytes()), (payload_type.as_str(), &payload[..]));
    }

    #[test]
    fn a_byte_that_can_be_changed_was_not_signed(at in any::<prop::sample::Index>(), byte: u8, change in 0..3) {
        let (key, payload) = (secret(1), b"{\"what\":\"was signed\"}");
        let mut text = sign(TYPE, payload, &[&key]);
        let at = at.index(text.len());
        match change {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => {
                text.remove(at);
            }
        }
        if let Ok(envelope) = UnverifiedEnvelope::parse(&text, &Limits::STANDARD)
            && let Some(verified) = envelope.verified_by(&[key.public()]).payload()
        {
            prop_assert_eq!((verified.payload_type(), verified.bytes()), (TYPE, &payload[..]));
        }
    }
}
