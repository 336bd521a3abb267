//! The seal of an archive: its files as they come, in whatever order, until they are the whole of it.

use std::collections::BTreeMap;

use super::held::SealedTree;
use crate::base::{Code, Digest, Escaped, Limits, Refusal, Refusals};
use crate::cache::opening::{check_manifest, code_of, judge_seal};
use crate::cache::verifying::Facts;
use crate::policy::Edge;
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{Kind, SealDirectory};
use crate::verify::{Checkout, Rule, TrustedSeal};

/// The files of a seal so far.
pub(super) struct ArchivedSeal<'a> {
    edge: &'a Edge<'a>,
    checkout: Checkout,
    limits: &'a Limits,
    /// The seal as refusals name it.
    place: String,
    envelope: Vec<u8>,
    /// By name; nothing for one that was refused for its size.
    manifests: BTreeMap<String, Option<(Vec<u8>, Digest)>>,
    /// Bytes of manifests that came before a trusted envelope.
    unverified_bytes: u64,
    is_met: bool,
    state: State,
}

enum State {
    /// Without an envelope.
    Waiting,
    /// With an envelope that the gate accepts.
    Trusted(Box<TrustedSeal>, Vec<Rule>),
    /// It was opened: no file of it is still to come.
    Open,
    /// It was refused.
    Refused,
}

/// What is done with a file of the seal.
pub(super) enum Acceptance {
    /// It is read.
    Read,
    /// It was refused, and the seal with it.
    SealRefused,
    /// It was refused.
    Refused,
}

/// What is known of a seal.
pub(super) enum Opened {
    /// Not enough.
    NotYet,
    /// The gate does not accept it; the rules that it was held against.
    Refused(Vec<Rule>),
    /// The gate accepts it.
    Trusted(Box<OpenedSeal>),
}

/// A seal that the gate accepts.
pub(super) struct OpenedSeal {
    pub(super) facts: Facts,
    pub(super) rules: Vec<Rule>,
    /// What was sealed, by the spelling of its root.
    pub(super) trees: Vec<(String, SealedTree)>,
    /// Its files by their names, as they are.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl<'a> ArchivedSeal<'a> {
    pub(super) fn new(edge: &'a Edge<'a>, checkout: Checkout, limits: &'a Limits) -> Self {
        Self {
            edge,
            checkout,
            limits,
            place: format!("{SEALS}/{}", edge.cache.name),
            envelope: Vec::new(),
            manifests: BTreeMap::new(),
            unverified_bytes: 0,
            is_met: false,
            state: State::Waiting,
        }
    }

    /// The seal as refusals name it.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether anything of it was met, its directory included.
    pub(super) fn is_met(&self) -> bool {
        self.is_met
    }

    /// Memory that manifests take which came before a trusted envelope, bytes.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.unverified_bytes
    }

    /// Notes that its directory is there.
    pub(super) fn meet_directory(&mut self) {
        self.is_met = true;
    }

    /// Whether a file of the seal is to be read: one that a seal has, of a size that is believed.
    pub(super) fn accept(&mut self, name: &[u8], size: u64, member: &[u8], refusals: &mut Refusals) -> Acceptance {
        self.is_met = true;
        let limits = self.limits;
        let is_envelope = name == ENVELOPE.as_bytes();
        let (is_named, manifest_max) = match &self.state {
            State::Waiting => {
                let left = limits.unverified_manifest_bytes_max.saturating_sub(self.unverified_bytes);
                (is_envelope || is_manifest_name(name), left)
            }
            State::Trusted(seal, _) => (named(seal).any(|named| named.as_bytes() == name), limits.manifest_bytes_max),
            // Whatever a seal has came before it was opened.
            State::Open => (false, 0),
            State::Refused => return Acceptance::Refused,
        };
        if !is_named {
            let expected = "only `seal.json` and the manifests it names, regular files";
            refusals.push(Refusal::new(Code::MalformedSeal, member, expected, "a regular file"));
            return Acceptance::Refused;
        }
        let (max, code) = if is_envelope {
            (limits.envelope_bytes_max, Code::SealTooLarge)
        } else {
            (manifest_max, Code::ManifestTooLarge)
        };
        if size > max {
            refusals.push(Refusal::new(code, member, format!("at most {max} bytes"), format!("{size} bytes")));
            if matches!(self.state, State::Trusted(..)) {
                self.manifests.insert(String::from_utf8_lossy(name).into_owned(), None);
                return Acceptance::Refused;
            }
            self.state = State::Refused;
            return Acceptance::SealRefused;
        }
        if !is_envelope && matches!(self.state, State::Waiting) {
            self.unverified_bytes += size;
        }
        Acceptance::Read
    }

    /// Adds a file that was accepted, with its SHA-256.
    pub(super) fn add(&mut self, name: &[u8], bytes: Vec<u8>, sha256: Digest, refusals: &mut Refusals) -> Opened {
        if name == ENVELOPE.as_bytes() {
            let (trusted, rules, found) = judge_seal(&bytes, self.edge, &self.checkout, self.limits);
            refusals.append(found);
            let Some(trusted) = trusted else {
                self.state = State::Refused;
                return Opened::Refused(rules);
            };
            self.state = State::Trusted(Box::new(trusted), rules);
            self.envelope = bytes;
        } else {
            self.manifests.insert(String::from_utf8_lossy(name).into_owned(), Some((bytes, sha256)));
        }
        match &self.state {
            State::Trusted(seal, _) if named(seal).all(|name| self.manifests.contains_key(name)) => {
                self.close(refusals)
            }
            _ => Opened::NotYet,
        }
    }

    /// Opens the seal with the manifests that are there.
    pub(super) fn close(&mut self, refusals: &mut Refusals) -> Opened {
        let (seal, rules) = match std::mem::replace(&mut self.state, State::Open) {
            State::Trusted(seal, rules) => (seal, rules),
            other => {
                self.state = other;
                return Opened::NotYet;
            }
        };
        let statement = seal.statement();
        for name in self.manifests.keys().filter(|name| !named(&seal).any(|named| named == name.as_str())) {
            let at = format!("{}/{}", self.place, Escaped(name.as_bytes()));
            let expected = "only `seal.json` and the manifests it names, regular files";
            refusals.push(Refusal::new(Code::MalformedSeal, at, expected, "a regular file"));
        }
        let mut subjects = statement.subjects.iter();
        let mut trees = Vec::new();
        let mut files = vec![(ENVELOPE.to_owned(), std::mem::take(&mut self.envelope))];
        for sealed in &statement.predicate.roots {
            let tree = match &sealed.manifest {
                None => SealedTree::Absent,
                Some(name) => {
                    let place = format!("{}/{name}", self.place);
                    let checked = match (subjects.next(), self.manifests.remove(name)) {
                        (Some(subject), Some(Some((bytes, sha256)))) => {
                            let checked = check_manifest(&bytes, sha256, subject, sealed, &place, self.limits);
                            files.push((name.clone(), bytes));
                            checked.map_err(Some)
                        }
                        // Refused when it was met.
                        (Some(_), Some(None)) => Err(None),
                        (Some(_), None) => {
                            let expected = "the manifest that was signed";
                            Err(Some(Refusal::new(Code::ManifestMismatch, place, expected, "it is not there")))
                        }
                        (None, _) => {
                            let (expected, found) = ("a manifest that was signed", "no subject for it");
                            Err(Some(Refusal::new(Code::ManifestMismatch, place, expected, found)))
                        }
                    };
                    checked.map_or_else(
                        |refusal| {
                            if let Some(refusal) = refusal {
                                refusals.push(refusal);
                            }
                            SealedTree::Unknown
                        },
                        SealedTree::Known,
                    )
                }
            };
            trees.push((sealed.path.clone(), tree));
        }
        let facts = Facts {
            statement: statement.clone(),
            signers: seal.signers().iter().map(|(name, key)| (name.clone(), key.to_string())).collect(),
            links_leaving: 0,
            warnings: seal.warnings().to_vec(),
        };
        Opened::Trusted(Box::new(OpenedSeal { facts, rules, trees, files }))
    }

    /// Reads a seal that lies beside the archive.
    pub(super) fn read_directory(&mut self, directory: &SealDirectory, refusals: &mut Refusals) -> Opened {
        let limits = self.limits;
        let mut opened = match self.read_file(directory, ENVELOPE, limits.envelope_bytes_max, refusals) {
            Some((bytes, sha256)) => self.add(ENVELOPE.as_bytes(), bytes, sha256, refusals),
            None => Opened::Refused(Vec::new()),
        };
        let names: Vec<String> = match &self.state {
            State::Trusted(seal, _) => named(seal).map(str::to_owned).collect(),
            State::Waiting | State::Open | State::Refused => return opened,
        };
        for (name, kind) in directory.names() {
            let is_named = name == ENVELOPE.as_bytes() || names.iter().any(|named| named.as_bytes() == name);
            if !is_named || *kind != Kind::File {
                let at = format!("{}/{}", self.place, Escaped(name));
                let expected = "only `seal.json` and the manifests it names, regular files";
                refusals.push(Refusal::new(Code::MalformedSeal, at, expected, kind.noun()));
            }
        }
        for name in names {
            if let Some((bytes, sha256)) = self.read_file(directory, &name, limits.manifest_bytes_max, refusals) {
                opened = self.add(name.as_bytes(), bytes, sha256, refusals);
            }
        }
        match opened {
            Opened::NotYet => self.close(refusals),
            opened => opened,
        }
    }

    fn read_file(
        &self,
        directory: &SealDirectory,
        name: &str,
        max: u64,
        refusals: &mut Refusals,
    ) -> Option<(Vec<u8>, Digest)> {
        let (absent, too_large) = if name == ENVELOPE {
            (Code::NoSeal, Code::SealTooLarge)
        } else {
            (Code::ManifestMismatch, Code::ManifestTooLarge)
        };
        match directory.file(name, max) {
            Ok(bytes) => {
                let sha256 = Digest::sha256(&bytes);
                Some((bytes, sha256))
            }
            Err(error) => {
                let place = format!("{}/{name}", self.place);
                let code = code_of(&error, absent, too_large);
                refusals.push(Refusal::new(code, place, "a regular file that stays as it is", format!("it {error}")));
                None
            }
        }
    }
}

/// The manifests that a statement names.
fn named(seal: &TrustedSeal) -> impl Iterator<Item = &str> {
    seal.statement().predicate.roots.iter().filter_map(|root| root.manifest.as_deref())
}

/// `0.mtree`, `1.mtree`, …: what a seal may name.
fn is_manifest_name(name: &[u8]) -> bool {
    let digits = name.strip_suffix(b".mtree").unwrap_or_default();
    !digits.is_empty() && digits.len() <= 4 && digits.iter().all(u8::is_ascii_digit)
}
