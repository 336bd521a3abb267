//! `keys/revoked.toml`: what is no longer trusted, whatever else says so. Caches cannot be deleted; this is how
//! they are recalled.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::PolicyError;
use super::shape::{Table, Text};
use super::source::{Source, quoted};
use super::text::{read_shape, read_text};
use crate::base::{Code, Digest};
use crate::identity::KeyId;

/// Where the policy's own list lies, below its directory.
pub const REVOCATIONS: &str = "keys/revoked.toml";

/// Everything recalled. Lists only add up: no entry takes another back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    keys: BTreeMap<KeyId, Revocation>,
    manifests: BTreeMap<Digest, Revocation>,
    signers: Vec<(String, Timestamp, Revocation)>,
}

/// One entry: where it stands and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// File and line.
    pub origin: String,
    /// The reason that was written down.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    #[serde(default)]
    revoked: Vec<Spanned<Table<EntryShape>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryShape {
    keyid: Option<Text>,
    manifest: Option<Text>,
    signer: Option<Text>,
    before: Option<Text>,
    reason: Text,
}

impl Revocations {
    /// Reads a list: TOML, `version = 1`, then `[[revoked]]` entries, each of one kind: `keyid`, `manifest`, or
    /// `signer` with `before`; and a `reason`.
    pub fn parse(file_name: &str, text: &[u8]) -> Result<Self, PolicyError> {
        let source = read_text(file_name, text)?;
        let shape: Shape = read_shape(&source)?;
        let mut revocations = Self::default();
        for entry in shape.revoked {
            revocations.add(&source, entry)?;
        }
        Ok(revocations)
    }

    fn add(&mut self, source: &Source, entry: Spanned<Table<EntryShape>>) -> Result<(), PolicyError> {
        let at = Spanned::new(entry.span(), ());
        let Table(entry) = entry.into_inner();
        if entry.reason.get_ref().trim().is_empty() {
            return Err(source.malformed(&entry.reason, "why it is revoked", "nothing"));
        }
        let origin = format!("{}:{}", source.file, source.line(&at));
        let revocation = Revocation { origin, reason: entry.reason.into_inner() };
        match (entry.keyid, entry.manifest, entry.signer, entry.before) {
            (Some(keyid), None, None, None) => {
                let id = KeyId::parse(keyid.get_ref());
                let id = id.ok_or_else(|| not_hex(source, &keyid, "a key id"))?;
                self.keys.entry(id).or_insert(revocation);
            }
            (None, Some(manifest), None, None) => {
                let digest = Digest::from_hex(manifest.get_ref().as_bytes());
                let digest = digest.ok_or_else(|| not_hex(source, &manifest, "the SHA-256 of a manifest"))?;
                self.manifests.entry(digest).or_insert(revocation);
            }
            (None, None, Some(signer), Some(before)) => {
                let instant = before.get_ref().parse::<Timestamp>().ok().filter(|_| before.get_ref().ends_with('Z'));
                let expected = "a time in UTC like `2026-11-22T12:00:00Z`";
                let instant = instant.ok_or_else(|| source.malformed(&before, expected, quoted(before.get_ref())))?;
                self.signers.push((signer.into_inner(), instant, revocation));
            }
            _ => {
                let expected = "`keyid`, or `manifest`, or `signer` with `before`";
                return Err(source.error(
                    Code::MalformedPolicy,
                    &at,
                    format_args!("expected one of {expected} in an entry, found another combination"),
                ));
            }
        }
        Ok(())
    }

    /// Adds another list.
    pub fn extend(&mut self, other: Self) {
        for (key, revocation) in other.keys {
            self.keys.entry(key).or_insert(revocation);
        }
        for (manifest, revocation) in other.manifests {
            self.manifests.entry(manifest).or_insert(revocation);
        }
        self.signers.extend(other.signers);
    }

    /// The signers of which something is recalled, and where that stands.
    pub fn of_signers(&self) -> impl Iterator<Item = (&str, &Revocation)> {
        self.signers.iter().map(|(name, _, revocation)| (name.as_str(), revocation))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() + self.manifests.len() + self.signers.len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry that revokes a key.
    #[must_use]
    pub fn of_key(&self, key: &KeyId) -> Option<&Revocation> {
        self.keys.get(key)
    }

    /// The entry that revokes a manifest.
    #[must_use]
    pub fn of_manifest(&self, sha256: &Digest) -> Option<&Revocation> {
        self.manifests.get(sha256)
    }

    /// The entry that revokes what a signer sealed at that time.
    #[must_use]
    pub fn of_signer(&self, name: &str, sealed_at: Timestamp) -> Option<&Revocation> {
        let revoked = |(signer, before, _): &&(String, Timestamp, Revocation)| signer == name && sealed_at < *before;
        self.signers.iter().find(revoked).map(|(_, _, revocation)| revocation)
    }
}

fn not_hex(source: &Source, text: &Text, what: &str) -> PolicyError {
    source.malformed(text, format_args!("{what} of 64 lower-case hex digits"), quoted(text.get_ref()))
}

/// The text of an entry, to be appended to a list.
#[must_use]
pub fn entry_text(kind: &[(&str, &str)], reason: &str) -> String {
    let mut text = "\n[[revoked]]\n".to_owned();
    for (name, value) in kind.iter().chain(&[("reason", reason)]) {
        // JSON strings are TOML strings too.
        let _ = writeln!(text, "{name} = {}", serde_json::Value::String((*value).to_owned()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn parse(entries: &str) -> Result<Revocations, PolicyError> {
        Revocations::parse("keys/revoked.toml", format!("version = 1\n{}", entries.replace("KEY", KEY)).as_bytes())
    }

    #[test]
    fn three_kinds_of_entries_are_read() {
        let list = parse(
            "[[revoked]]\nkeyid = 'KEY'\nreason = 'leaked'\n[[revoked]]\nmanifest = 'KEY'\nreason = 'malware'\n\
             [[revoked]]\nsigner = 'job'\nbefore = '2026-11-22T12:00:00Z'\nreason = 'compromised runner'\n",
        )
        .unwrap();
        assert_eq!(list.len(), 3);
        let found = list.of_key(&KeyId::parse(KEY).unwrap()).unwrap();
        assert_eq!((found.origin.as_str(), found.reason.as_str()), ("keys/revoked.toml:2", "leaked"));
        assert!(list.of_manifest(&Digest::from_hex(KEY.as_bytes()).unwrap()).is_some());
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(list.of_signer("job", at("2026-11-22T11:59:59Z")).is_some());
        assert!(list.of_signer("job", at("2026-11-22T12:00:00Z")).is_none());
        assert!(list.of_signer("other", at("2026-11-22T11:59:59Z")).is_none());
    }

    #[test]
    fn lists_add_up() {
        let mut list = parse("[[revoked]]\nkeyid = 'KEY'\nreason = 'first'\n").unwrap();
        list.extend(parse("[[revoked]]\nkeyid = 'KEY'\nreason = 'second'\n").unwrap());
        list.extend(parse("[[revoked]]\nsigner = 'a'\nbefore = '2026-11-22T12:00:00Z'\nreason = 'x'\n").unwrap());
        list.extend(parse("").unwrap());
        assert_eq!(list.len(), 2);
        assert_eq!(list.of_key(&KeyId::parse(KEY).unwrap()).unwrap().reason, "first");
    }

    #[test]
    fn what_is_appended_is_read() {
        let text = entry_text(&[("signer", "job"), ("before", "2026-11-22T12:00:00Z")], "a \"quoted\"\nreason");
        let list = parse(&text).unwrap();
        assert_eq!(list.signers.first().unwrap().2.reason, "a \"quoted\"\nreason");
    }
}
