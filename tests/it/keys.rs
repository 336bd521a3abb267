//! Public key files: `tests/vectors/keys/`, one property a file.

use std::collections::BTreeSet;
use std::{fs, io};

use cacheseal::base::Code;
use cacheseal::identity::{PublicKey, SecretKey};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys");

const CASES: &[(&str, Option<Code>)] = &[
    ("k1.pub.pem", None),
    ("k2.pub.pem", None),
    ("k3.pub.pem", None),
    ("k4.pub.pem", None),
    ("k5.pub.pem", None),
    ("key-label-public.pem", None),
    ("pub-crlf.pem", None),
    ("pub-no-final-newline.pem", None),
    ("pub-leading-text.pem", Some(Code::MalformedKey)),
    ("pub-two-keys.pem", Some(Code::MalformedKey)),
    ("pub-only-newlines.pem", Some(Code::MalformedKey)),
    ("pub-label-lower.pem", Some(Code::MalformedKey)),
    ("pub-bom.pem", Some(Code::MalformedKey)),
    ("pub-b64-space.pem", Some(Code::MalformedKey)),
    ("pub-b64-junk.pem", Some(Code::MalformedKey)),
    ("pub-33.pem", Some(Code::MalformedKey)),
    ("pub-x25519.pem", Some(Code::WrongKeyType)),
    ("pub-weak-0-order1.pem", Some(Code::WeakKey)),
    ("pub-weak-3-order8.pem", Some(Code::WeakKey)),
    ("pub-weak-4-order2.pem", Some(Code::WeakKey)),
    ("pub-weak-5-order8.pem", Some(Code::WeakKey)),
    ("pub-noncanon-0.pem", Some(Code::WeakKey)),
    ("pub-noncanon-3.pem", Some(Code::WeakKey)),
    // The key of y = 3, spelled as p + 3.
    ("pub-noncanon-full-order.pem", Some(Code::WeakKey)),
];

fn read(name: &str) -> io::Result<Vec<u8>> {
    fs::read(format!("{KEYS}/{name}"))
}

#[test]
fn every_key_file_is_read_or_refused_by_its_code() {
    for (name, expected) in CASES {
        let found = PublicKey::from_pem(&read(name).unwrap()).map_err(|error| error.code());
        assert_eq!(found.as_ref().err(), expected.as_ref(), "{name}");
        if let Ok(key) = found {
            let text = String::from_utf8(read(name).unwrap()).unwrap();
            assert_eq!(key.to_pem().trim_end(), text.replace('\r', "").trim_end(), "{name}");
        }
    }
}

#[test]
fn every_key_file_has_a_row() {
    let files = fs::read_dir(KEYS).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let rows: BTreeSet<_> = CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), rows);
}

#[test]
fn line_ends_do_not_change_the_key() {
    let key = PublicKey::from_pem(&read("k1.pub.pem").unwrap()).unwrap();
    // `openssl pkey -pubin -in k1.pub.pem -outform der | sha256sum`.
    assert_eq!(key.id().to_string(), "65ab552713d8f4d772b630008be6852ab80783af84091d3a51b3418a499d6a0b");
    for name in ["pub-crlf.pem", "pub-no-final-newline.pem"] {
        assert_eq!(PublicKey::from_pem(&read(name).unwrap()).unwrap(), key, "{name}");
    }
}

#[test]
fn a_public_key_is_not_taken_for_a_private_one() {
    let found = SecretKey::from_pem(&read("key-label-public.pem").unwrap()).map(|_| ()).map_err(|error| error.code());
    assert_eq!(found, Err(Code::WrongKeyType));
}
