//! Private keys that came through consoles, shells and copies: what happened to a text that should have been one, and
//! how a text is shown that could hold one.

use std::borrow::Cow;

/// How the DER of an Ed25519 private key begins in base64 (RFC 8410, versions 1 and 2 of PKCS#8), base64 of its PEM, and
/// the DER in hexadecimal. Whatever else a key is made into, its text holds one of these.
const MARKS: [&[u8]; 5] = [
    b"MC4CAQAwBQYDK2Vw",
    b"MFMCAQEwBQYDK2Vw",
    b"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t",
    b"302e020100300506032b6570",
    b"302E020100300506032B6570",
];

/// The end of the first line of every PEM of a private key, whatever its kind.
const PEM_LABEL: &[u8] = b"PRIVATE KEY-----";
const PEM_END: &[u8] = b"-----END";

const HIDDEN: &[u8] = b"[a private key, not shown]";

/// What a text is that was to be a private key in one line, if that can be told.
pub(super) fn misspelt(text: &str) -> Option<&'static str> {
    let inner = text.trim_matches(['"', '\'', '`']);
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins = |text: &str| text.starts_with("MC4CAQAw") || text.starts_with("-----BEGIN");
    let assigned = text.split_once('=').filter(|(name, value)| is_name(name) && !begins(name) && !value.is_empty());
    let found = if text.is_empty() {
        "nothing"
    } else if text.starts_with('\u{feff}') {
        "a byte order mark before it: save the text without one"
    } else if inner.len() != text.len() {
        "quotes around it: leave them out"
    } else if text.contains("\\n") {
        "`\\n` where lines should end: give it with real line ends, or in one line"
    } else if assigned.is_some_and(|(_, value)| begins(value.trim_matches(['"', '\'']))) {
        "a name and `=` before it: leave them out"
    } else if text.starts_with("LS0tLS1CRUdJT") {
        "base64 of a PEM: decode it once"
    } else if text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        "hexadecimal digits"
    } else if text.starts_with("-----BEGIN") && !text.contains('\n') {
        "a PEM without line ends"
    } else if text.starts_with("MC4CAQAw") && text.contains(char::is_whitespace) {
        "white space in it: it is one line"
    } else if text.starts_with("MC4CAQAw") && text.len() < 64 {
        "only the beginning of one"
    } else if text.starts_with("MC4CAQAw") && text.len() > 64 {
        "something behind it"
    } else if text.starts_with(['/', '.', '~']) || [".key", ".pem"].iter().any(|end| text.ends_with(end)) {
        "what looks like the path of a file, which `--key` takes"
    } else if !text.starts_with("MC4CAQAw") && !text.starts_with("-----BEGIN") {
        "something else"
    } else {
        return None;
    };
    Some(found)
}

/// The text with everything left out that could be a private key.
#[must_use]
pub fn redact(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((from, to)) = first_key(rest) {
        out.extend_from_slice(rest.get(..from).unwrap_or_default());
        out.extend_from_slice(HIDDEN);
        rest = rest.get(to..).unwrap_or_default();
    }
    if out.is_empty() && rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Where the first thing begins and ends that could be a private key.
fn first_key(text: &[u8]) -> Option<(usize, usize)> {
    let marked = MARKS.iter().filter_map(|mark| memchr::memmem::find(text, mark)).min().map(|at| run_around(text, at));
    let pem = memchr::memmem::find(text, PEM_LABEL).map(|at| at + PEM_LABEL.len()).and_then(|from| {
        let body = text.get(from..)?;
        // What has no end may be cut.
        let to = memchr::memmem::find(body, PEM_END).unwrap_or(body.len());
        body.get(..to)?.iter().any(u8::is_ascii_alphanumeric).then_some((from, from + to))
    });
    marked.into_iter().chain(pem).min()
}

/// The base64 around a place.
fn run_around(text: &[u8], at: usize) -> (usize, usize) {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let before = text.get(..at).unwrap_or_default().iter().rev().take_while(|byte| is_base64(byte)).count();
    let behind = text.get(at..).unwrap_or_default().iter().take_while(|byte| is_base64(byte)).count();
    (at - before, at + behind)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::identity::{KeyError, SecretKey};

    fn key() -> SecretKey {
        SecretKey::from_seed(Zeroizing::new([7; 32]))
    }

    /// The text in every form that a key has come in.
    fn spellings() -> Vec<(String, &'static str)> {
        let (line, pem) = (key().to_line().to_string(), key().to_pem().to_string());
        let base64 = super::super::pem::encode(pem.as_bytes()).to_string();
        let der = super::super::pem::decode(line.as_bytes()).unwrap();
        vec![
            (format!("\"{line}\""), "quotes"),
            (format!("'{pem}'"), "quotes"),
            (pem.trim_end().replace('\n', "\\n"), "`\\n`"),
            (pem.trim_end().replace('\n', " "), "without line ends"),
            (format!("CACHESEAL_KEY={line}"), "a name"),
            (format!("\u{feff}{line}"), "byte order"),
            (format!("{}\n{}", &line[..40], &line[40..]), "white space"),
            (line[..40].to_owned(), "beginning"),
            (format!("{line}{line}"), "behind"),
            (base64, "base64 of a PEM"),
            (hex::encode(&*der), "hexadecimal"),
            ("/root/deps.key".to_owned(), "path"),
            ("~/deps.pem".to_owned(), "path"),
        ]
    }

    #[test]
    fn what_happened_to_a_key_is_told() {
        for (text, said) in spellings() {
            let error = SecretKey::from_line(&text).unwrap_err();
            assert!(matches!(&error, KeyError::Spelling { found } if found.contains(said)), "{said}: {error:?}");
        }
    }

    #[test]
    fn no_key_is_shown() {
        let (line, pem) = (key().to_line().to_string(), key().to_pem().to_string());
        let secret = &line[24..60];
        let other = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=\n-----END OPENSSH PRIVATE KEY-----";
        for text in spellings().into_iter().map(|(text, _)| text).chain([line.clone(), pem, other.to_owned()]) {
            let said = format!("expected `x`, found `{text}` and {text}");
            let shown = String::from_utf8(redact(said.as_bytes()).into_owned()).unwrap();
            assert!(!shown.contains(secret) && !shown.contains("b3BlbnNz"), "{shown}");
            assert!(shown.starts_with("expected `x`, found `"), "{shown}");
        }
        assert_eq!(redact(b"nothing to hide"), Cow::Borrowed(b"nothing to hide"));
    }
}
