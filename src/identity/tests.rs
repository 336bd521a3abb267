use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::base::Code;

/// Key and public key of RFC 8032, section 7.1, test 1.
const RFC_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const RFC_PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

const ED25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];
const X25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x6e];
const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const P256: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// PBES2 without the parameters that only decryption reads.
const PBES2: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 0x0d];

fn seed() -> [u8; 32] {
    hex::decode(RFC_SEED).unwrap().try_into().unwrap()
}

fn secret() -> SecretKey {
    SecretKey::from_seed(Zeroizing::new(seed()))
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let len = u8::try_from(content.len()).unwrap();
    let header = if len < 128 { vec![tag, len] } else { vec![tag, 0x81, len] };
    [header, content].concat()
}

fn pkcs8(version: u8, algorithm: &[u8], key: &[u8], tail: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&[2, 1, version], &tlv(0x30, &[algorithm]), &tlv(4, &[&tlv(4, &[key])]), tail])
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&tlv(0x30, &[algorithm]), &tlv(3, &[&[0], key])])
}

/// PEM with labels put together here, so that no text in this repository looks like a private key.
fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn private(der: &[u8]) -> String {
    pem("PRIVATE KEY", der)
}

#[test]
fn the_public_key_and_its_id_are_those_of_the_rfc() {
    let public = secret().public();
    assert_eq!(hex::encode(public.spki_der()), format!("302a300506032b6570032100{RFC_PUBLIC}"));
    // `openssl pkey -pubin -outform der | sha256sum` of this key.
    let id = "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9";
    assert_eq!(public.id().to_string(), id);
    assert_eq!(KeyId::parse(id), Some(public.id()));
    assert_eq!(KeyId::parse(&id.to_uppercase()), None);
    assert_eq!(KeyId::parse(&id[1..]), None);
}

#[test]
fn debug_shows_the_keyid_and_nothing_else() {
    let key = secret();
    assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.public().id()));
}

#[test]
fn what_is_written_is_read() {
    let key = secret();
    let der = pkcs8(0, ED25519, &seed(), b"");
    assert_eq!(key.to_line().as_str(), STANDARD.encode(&der));
    assert_eq!(key.to_pem().as_str(), private(&der));
    for text in [key.to_line(), key.to_pem()] {
        for text in [text.to_string(), format!(" \t{}\r\n\n", text.as_str()), text.replace('\n', "\r\n")] {
            assert_eq!(SecretKey::from_line(&text).unwrap().sign(b"m"), key.sign(b"m"), "{text:?}");
        }
    }
    assert_eq!(SecretKey::from_pem(key.to_pem().as_bytes()).unwrap().public(), key.public());
    assert_eq!(PublicKey::from_pem(key.public().to_pem().as_bytes()).unwrap(), key.public());
}

/// Every way in which a private key text can be wrong: what it is, its text, the code.
fn private_cases() -> Vec<(&'static str, String, Code)> {
    let seed = seed();
    let good = pkcs8(0, ED25519, &seed, b"");
    let public = secret().public().spki_der();
    let with_public = pkcs8(1, ED25519, &seed, &tlv(0x81, &[&[0], &public[12..]]));
    let text = private(&good);
    let line = STANDARD.encode(&good);
    vec![
        ("version 2 with public key", private(&with_public), Code::MalformedKey),
        ("version 2 without public key", private(&pkcs8(1, ED25519, &seed, b"")), Code::MalformedKey),
        ("attributes", private(&pkcs8(0, ED25519, &seed, &tlv(0xa0, &[]))), Code::MalformedKey),
        ("NULL parameters", private(&pkcs8(0, &[ED25519, &[5, 0]].concat(), &seed, b"")), Code::MalformedKey),
        ("31 bytes", private(&pkcs8(0, ED25519, &seed[1..], b"")), Code::MalformedKey),
        ("33 bytes", private(&pkcs8(0, ED25519, &[&seed[..], &[0]].concat(), b"")), Code::MalformedKey),
        ("a bare seed", private(&seed), Code::MalformedKey),
        ("trailing byte", private(&[&good[..], &[0]].concat()), Code::MalformedKey),
        ("cut", private(&good[..47]), Code::MalformedKey),
        ("empty body", private(b""), Code::MalformedKey),
        ("X25519", private(&pkcs8(0, X25519, &seed, b"")), Code::WrongKeyType),
        ("RSA", private(&pkcs8(0, RSA, &seed, b"")), Code::WrongKeyType),
        ("P-256", private(&pkcs8(0, P256, &seed, b"")), Code::WrongKeyType),
        ("RSA, PKCS#1", pem("RSA PRIVATE KEY", &seed), Code::WrongKeyType),
        ("P-256, SEC 1", pem("EC PRIVATE KEY", &seed), Code::WrongKeyType),
        ("OpenSSH", pem("OPENSSH PRIVATE KEY", &seed), Code::MalformedKey),
        ("encrypted by its label", pem("ENCRYPTED PRIVATE KEY", &seed), Code::EncryptedKey),
        (
            "encrypted by its content",
            private(&tlv(0x30, &[&tlv(0x30, &[PBES2]), &tlv(4, &[&seed])])),
            Code::EncryptedKey,
        ),
        ("a public key", pem("PUBLIC KEY", &public), Code::WrongKeyType),
        ("a public key, private label", private(&public), Code::WrongKeyType),
        ("a private key, public label", pem("PUBLIC KEY", &good), Code::WrongKeyType),
        ("other labels at begin and end", text.replace("END PRIVATE", "END PUBLIC"), Code::MalformedKey),
        ("lower-case label", text.to_lowercase(), Code::MalformedKey),
        ("text before", format!("x\n{text}"), Code::MalformedKey),
        ("text after", format!("{text}x\n"), Code::MalformedKey),
        ("a second block", text.repeat(2), Code::MalformedKey),
        ("byte order mark", format!("\u{feff}{text}"), Code::MalformedKey),
        ("no end", text.lines().next().unwrap().to_owned(), Code::MalformedKey),
        ("header", text.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n", 1), Code::MalformedKey),
        ("short line", text.replace(&line, &format!("{}\n{}", &line[..32], &line[32..])), Code::MalformedKey),
        ("URL-safe line", line.replace(['/', '+'], "_").replacen('M', "-", 1), Code::MalformedKey),
        ("space in the line", line.replacen('C', " ", 1), Code::MalformedKey),
        ("line cut", line[..60].to_owned(), Code::MalformedKey),
        ("seed as a line", STANDARD.encode(seed), Code::MalformedKey),
        ("nothing", String::new(), Code::MalformedKey),
        ("two lines", format!("{line}\n{line}"), Code::MalformedKey),
    ]
}

#[test]
fn a_private_key_is_read_in_one_form_only() {
    for (what, text, code) in private_cases() {
        let found = SecretKey::from_line(&text).map(|key| key.public()).map_err(|error| error.code());
        assert_eq!(found, Err(code), "{what}");
    }
}

#[test]
fn a_private_key_with_its_public_key_inside_is_named() {
    let der = pkcs8(1, ED25519, &seed(), &tlv(0x81, &[&[0], &secret().public().spki_der()[12..]]));
    assert_eq!(SecretKey::from_line(&STANDARD.encode(der)).map(|key| key.public()), Err(KeyError::Version));
}

#[test]
fn only_a_line_may_have_white_space_around_it() {
    let pem = secret().to_pem();
    for text in [format!("\n{}", pem.as_str()), format!("{}\n", pem.as_str()), secret().to_line().to_string()] {
        let found = SecretKey::from_pem(text.as_bytes()).map(|key| key.public());
        assert_eq!(found, Err(KeyError::NotPem { expected: "PRIVATE KEY" }), "{text:?}");
    }
}

#[test]
fn a_public_key_of_another_kind_is_named() {
    let point = [&[4][..], &[7; 64]].concat();
    for (what, text, error) in [
        ("RSA", pem("PUBLIC KEY", &spki(RSA, &[1; 90])), KeyError::Algorithm { found: "RSA" }),
        ("RSA, PKCS#1", pem("RSA PUBLIC KEY", &[1; 90]), KeyError::Algorithm { found: "RSA" }),
        ("P-256", pem("PUBLIC KEY", &spki(P256, &point)), KeyError::Algorithm { found: "ECDSA" }),
        ("X25519", pem("PUBLIC KEY", &spki(X25519, &[9; 32])), KeyError::Algorithm { found: "X25519" }),
        ("no point", pem("PUBLIC KEY", &spki(ED25519, &[2; 32])), KeyError::NotOnCurve),
        (
            "a certificate",
            pem("CERTIFICATE", &[1; 90]),
            KeyError::Label { expected: "PUBLIC KEY", found: "CERTIFICATE".into() },
        ),
    ] {
        assert_eq!(PublicKey::from_pem(text.as_bytes()), Err(error), "{what}");
    }
}

#[test]
fn a_private_key_among_public_ones_is_called_leaked() {
    let key = secret();
    let good = pkcs8(0, ED25519, &seed(), b"");
    for text in [
        key.to_pem().to_string(),
        pem("PUBLIC KEY", &good),
        pem("ENCRYPTED PRIVATE KEY", &good),
        pem("OPENSSH PRIVATE KEY", &good),
        format!("{}{}", key.public().to_pem(), key.to_pem().as_str()),
    ] {
        let error = PublicKey::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!((&error, error.code()), (&KeyError::PrivateGiven, Code::WrongKeyType));
        assert!(error.to_string().contains("consider it leaked"));
    }
}

proptest! {
    #[test]
    fn a_signature_is_by_its_key_over_its_message(seed: [u8; 32], message: Vec<u8>, bit in 0..512_usize) {
        let key = SecretKey::from_seed(Zeroizing::new(seed));
        let mut signature = key.sign(&message);
        prop_assert!(key.public().verify(&message, &signature));
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!key.public().verify(&message, &signature));
    }
}

#[test]
fn no_changed_public_key_file_reads_as_the_same_key() {
    let public = secret().public();
    let text = public.to_pem().into_bytes();
    for at in 0..text.len() {
        for byte in (0..=u8::MAX).filter(|byte| *byte != text[at]) {
            let mut changed = text.clone();
            changed[at] = byte;
            assert_ne!(PublicKey::from_pem(&changed).as_ref(), Ok(&public), "{at} {byte}");
        }
    }
}
