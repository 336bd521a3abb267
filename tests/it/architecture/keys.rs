//! No private key lies in the repository, not even one for tests: those are made when the test runs.

use super::{SourceFile, assert_none, repository};

/// How secret keys begin, in the forms that tools write. A block counts only with key material behind it:
/// source code may name the label. Split so that this file holds none of them.
const SECRETS: [[&str; 2]; 5] = [
    ["PRIVATE", " KEY-----"],
    ["PRIVATE", " KEY BLOCK-----"],
    // Every Ed25519 key in PKCS#8, base64, with or without its PEM lines.
    ["MC4CAQAwBQYDK2Vw", "BCIEI"],
    ["AGE-SECRET-", "KEY-1"],
    ["encrypted secret", " key"],
];

/// Base64 characters in a row that are taken for key material; 32 bytes need 43.
const MATERIAL: usize = 40;

fn private_key(file: &SourceFile) -> Option<String> {
    let text = file.text();
    let holds = |secret: &[&str; 2]| {
        let secret = secret.concat();
        text.match_indices(&secret).any(|(at, _)| is_followed_by_material(&text[at + secret.len()..]))
    };
    SECRETS.iter().any(holds).then(|| format!("{}: holds a private key", file.path))
}

/// Line ends, written out or escaped, and armour headers may come first.
fn is_followed_by_material(text: &str) -> bool {
    let start: String = text.replace("\\n", "\n").chars().take(1_000).collect();
    let is_material = |line: &str| {
        let line = line.trim_matches(|c: char| !is_base64(c));
        line.len() >= MATERIAL && line.chars().all(is_base64)
    };
    start.lines().take_while(|line| !line.contains("-----END")).any(is_material)
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

#[test]
fn a_private_key_is_reported() {
    let body = "Abc9".repeat(16);
    for (secret, reported) in [
        (format!("-----BEGIN {}{}\n{body}\n-----END", SECRETS[0][0], SECRETS[0][1]), true),
        (format!("\"-----BEGIN EC {}{}\\n{body}\\n\"", SECRETS[0][0], SECRETS[0][1]), true),
        (format!("-----BEGIN RSA {}{}\nProc-Type: 4,ENCRYPTED\n\n{body}", SECRETS[0][0], SECRETS[0][1]), true),
        (format!("KEY={}{body}", SECRETS[2].concat()), true),
        (format!("{}{body}", SECRETS[3].concat()), true),
        (format!("untrusted comment: minisign {}\n{body}\n", SECRETS[4].concat()), true),
        (format!("-----BEGIN {}{}\n{{body}}\n-----END", SECRETS[0][0], SECRETS[0][1]), false),
        (format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END"), false),
    ] {
        assert_eq!(private_key(&SourceFile::sample("a", &secret)).is_some(), reported, "{secret}");
    }
}

#[test]
fn the_repository_holds_no_private_key() {
    assert_none(&repository().iter().filter_map(private_key).collect::<Vec<_>>());
}
