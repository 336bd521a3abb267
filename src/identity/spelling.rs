//! Private keys that came through consoles, shells and copies: what happened to a text that should have been one, and
//! how a text is shown that could hold one.

use std::borrow::Cow;

/// How the DER of an Ed25519 private key begins in base64 (RFC 8410, versions 1 and 2 of PKCS#8), what stands right before
/// its secret part there, base64 of its PEM, and the latter part of the DER in hexadecimal.
const MARKS: [&[u8]; 8] = [
    b"MC4CAQAwBQYDK2Vw",
    b"MFMCAQEwBQYDK2Vw",
    b"K2VwBCIEI",
    b"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t",
    b"2b657004220420",
    b"2B657004220420",
    b"2b:65:70:04:22:04:20",
    b"2b 65 70 04 22 04 20",
];

/// The first line of every PEM of a private key, whatever its kind.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";
const PEM_LABEL: &[u8] = b"PRIVATE KEY-----";
/// Longest such line.
const PEM_LINE_MAX: usize = 64;

const HIDDEN: &[u8] = b"[a private key, not shown]";

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A message about the command line, variables and files of the person who reads it. A key in it may be wrapped.
    Message,
    /// A report about a cache, the names in which are an attacker's: nothing but the word that looks like a key is left
    /// out, so that no name hides what stands behind it.
    Report,
}

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
pub fn redact(text: &[u8], shown: Shown) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((from, to)) = first_key(rest, shown) {
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
fn first_key(text: &[u8], shown: Shown) -> Option<(usize, usize)> {
    let marked = MARKS.iter().filter_map(|mark| memchr::memmem::find(text, mark)).min();
    let from = marked.into_iter().chain(pem_body(text, shown)).min()?;
    Some((from, from + key_length(text.get(from..).unwrap_or_default(), shown)))
}

/// Where the body of the first PEM begins that has one.
fn pem_body(text: &[u8], shown: Shown) -> Option<usize> {
    memchr::memmem::find_iter(text, PEM_BEGIN).find_map(|at| {
        let line = text.get(at..)?;
        let label = memchr::memmem::find(line.get(..PEM_LINE_MAX.min(line.len()))?, PEM_LABEL)?;
        let body = label + PEM_LABEL.len();
        (key_length(line.get(body..)?, shown) > 0).then_some(at + body)
    })
}

/// How many bytes from here on belong to a key: base64 of either alphabet, hexadecimal digits, and line ends that are
/// written as escapes; in a message also white space and colons, if what follows them is no word.
fn key_length(text: &[u8], shown: Shown) -> usize {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let rest = text.get(at + 1..).unwrap_or_default();
        at += match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'/' | b'=' | b'-' | b'_' => 1,
            b'%' if rest.len() > 1 && rest.iter().take(2).all(u8::is_ascii_hexdigit) => 3,
            b'\\' => match escape_length(rest) {
                0 => break,
                length => 1 + length,
            },
            b':' if shown == Shown::Message && is_of_key(rest) => 1,
            _ if byte.is_ascii_whitespace() && shown == Shown::Message && is_of_key(rest.trim_ascii_start()) => 1,
            _ => break,
        };
    }
    at
}

/// How long an escape for white space is behind its backslash, which may be escaped itself.
fn escape_length(text: &[u8]) -> usize {
    match text {
        [b'n' | b'r' | b't', ..] => 1,
        [b'0', b'0' | b'1' | b'4', b'0'..=b'7', ..] => 3,
        [b'\\', b'n' | b'r' | b't', ..] => 2,
        [b'\\', b'0', b'0' | b'1' | b'4', b'0'..=b'7', ..] => 4,
        _ => 0,
    }
}

/// Whether a text begins like a piece of a key, and not like a word.
fn is_of_key(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+/=-_".contains(byte));
    let piece = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    piece.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
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
        let label = "OPENSSH PRIVATE KEY";
        let other = format!("-----BEGIN {label}-----\nb3BlbnNzaC1rZXktdjE=\n-----END {label}-----");
        for text in spellings().into_iter().map(|(text, _)| text).chain([line.clone(), pem, other]) {
            let said = format!("expected `x`, found `{text}` and {text}");
            let shown = String::from_utf8(redact(said.as_bytes(), Shown::Message).into_owned()).unwrap();
            assert!(!shown.contains(secret) && !shown.contains("b3BlbnNz"), "{shown}");
            assert!(shown.starts_with("expected `x`, found `"), "{shown}");
        }
        // Wrapped, with its beginning lost, and in other alphabets.
        let der = super::super::pem::decode(line.as_bytes()).unwrap();
        let wrapped = |columns: usize, between: &str| {
            let pieces: Vec<_> =
                line.as_bytes().chunks(columns).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            pieces.join(between)
        };
        let colons: Vec<_> = der.iter().map(|byte| format!("{byte:02x}")).collect();
        for (text, pieces) in [
            (wrapped(32, "\n"), line[32..].to_owned()),
            (wrapped(20, "\r\n"), line[40..].to_owned()),
            (wrapped(20, " "), line[40..].to_owned()),
            (wrapped(32, "\\n"), line[32..].to_owned()),
            (line[1..].to_owned(), secret.to_owned()),
            (line[5..].to_owned(), secret.to_owned()),
            (line.replace('+', "-").replace('/', "_"), line[50..62].replace('+', "-").replace('/', "_")),
            (line.replace('+', "%2B").replace('/', "%2F"), line[58..62].to_owned()),
            (colons.join(":"), colons[20..].join(":")),
        ] {
            let said = format!("expected a file, found {text}, but it is not there");
            let shown = String::from_utf8(redact(said.as_bytes(), Shown::Message).into_owned()).unwrap();
            assert!(!shown.contains(&pieces), "{said}\n{shown}");
            assert!(shown.ends_with(", but it is not there"), "{shown}");
        }
        for shown in [Shown::Message, Shown::Report] {
            assert_eq!(redact(b"nothing to hide", shown), Cow::Borrowed(b"nothing to hide"));
        }
    }

    /// Names in a cache are an attacker's. None may take anything out of a report but itself, nor break its form.
    #[test]
    fn no_name_hides_what_stands_behind_it() {
        let (line, pem) = (key().to_line().to_string(), key().to_pem().to_string());
        let label = "PRIVATE KEY-----";
        for name in [
            "0 PRIVATE KEY-----x".to_owned(),
            format!("-----BEGIN {label}"),
            format!("-----BEGIN {label}\\012MC4CAQAwBQYDK2Vw"),
            "MC4CAQAwBQYDK2Vw".to_owned(),
            "K2VwBCIEI\\".to_owned(),
            line,
            pem.replace('\n', "\\n"),
        ] {
            let report = format!("refused[extra-entry]: r/{name}\nREFUSED2[extra-entry]: r/evil\nhint: stop\n");
            let shown = String::from_utf8(redact(report.as_bytes(), Shown::Report).into_owned()).unwrap();
            assert!(shown.ends_with("\nREFUSED2[extra-entry]: r/evil\nhint: stop\n"), "{shown}");
            for shown in [Shown::Message, Shown::Report] {
                let json =
                    serde_json::json!({ "place": name, "message": format!("a\n{name}\nb"), "then": "x" }).to_string();
                let value: serde_json::Value = serde_json::from_slice(&redact(json.as_bytes(), shown)).unwrap();
                assert_eq!(value["then"], "x", "{json}");
            }
        }
    }
}
