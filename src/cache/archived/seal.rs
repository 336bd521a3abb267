//! The seal of an archive: its files as they come, in whatever order, until they are the whole of it.

use super::expected::{ExpectedTrees, SealedTree, SeenKind, forbidden};
use super::progress::{SealProgress, Trusted, named};
use super::run::{MEMBER_BYTES, Observed, ObservedKind, Run, Stop};
use crate::archive::{Member, MemberKind, Reader};
use crate::base::{Algorithm, Code, Digest, EntryPath, Hasher};
use crate::cache::loading::{ByGate, FILES_OF_A_SEAL, Loader, sealed_roots};
use crate::cache::verifying::Facts;
use crate::policy::LinkRule;
use crate::seal::{ENVELOPE, SEALS};
use crate::verify::{Rule, TrustedSeal};

impl Run<'_, '_> {
    /// Opens the seal that lies beside the archive.
    pub(super) fn open_beside(&mut self) -> Result<(), Stop> {
        let Some(directory) = self.request.seal else { return Ok(()) };
        let mut gate = ByGate { edge: self.request.edge, consumer: &self.consumer, rules: Vec::new() };
        let mut loader = Loader::of_cache(&self.request.edge.cache.name, self.request.limits, &mut self.refusals);
        let envelope = loader.envelope(directory);
        let seal = envelope.as_ref().and_then(|envelope| loader.judge(envelope, &mut gate));
        let rules = gate.rules;
        let (Some(envelope), Some(seal)) = (envelope, seal) else { return self.refuse_seal(rules) };
        loader.names(directory, seal.statement());
        let mut trees = Vec::new();
        let mut files = vec![(ENVELOPE.to_owned(), envelope)];
        for (root, manifest) in sealed_roots(seal.statement()) {
            let tree = match manifest {
                None => SealedTree::Absent,
                Some((name, subject)) => match loader.manifest(directory, root, name, subject) {
                    Some((manifest, bytes)) => {
                        files.push((name.to_owned(), bytes.to_vec()));
                        SealedTree::Known(manifest)
                    }
                    None => SealedTree::Unknown,
                },
            };
            trees.push((root.path.clone(), tree));
        }
        self.trust(&seal, rules, trees, &files)
    }

    /// A member in the seal's directory, or that directory.
    pub(super) fn seal_member(
        &mut self,
        reader: &mut Reader<'_, '_>,
        below: &EntryPath,
        member: &Member,
    ) -> Result<(), Stop> {
        let at = &member.unverified_name;
        if self.request.seal.is_some() {
            let expected = "no seal in the archive where one is given beside it";
            self.refuse(Code::AmbiguousLayout, at, expected, SeenKind::of(member).noun());
            return self.skip(reader, member);
        }
        self.judge_rights(at, member);
        let MemberKind::File { size } = member.kind else {
            if below.as_bytes().is_empty() && member.kind == MemberKind::Directory {
                self.arrived.is_seen = true;
            } else {
                self.refuse(Code::MalformedSeal, at, FILES_OF_A_SEAL, SeenKind::of(member).noun());
            }
            return Ok(());
        };
        if !self.accept_seal_file(below.as_bytes(), size, at)? {
            return self.skip(reader, member);
        }
        let mut bytes = Vec::new();
        // Without room for all of them now, there may be some as they come.
        let _ = bytes.try_reserve_exact(usize::try_from(size).unwrap_or(0));
        let mut sha256 = Hasher::new(Algorithm::Sha256);
        let read = reader.contents(|piece| {
            bytes.extend_from_slice(piece);
            sha256.update(piece);
            Ok(())
        });
        read.map_err(|error| self.stop_at(&error))?;
        self.add_seal_file(below.as_bytes(), bytes, sha256.finish())
    }

    /// Refuses modes, attributes and lists of a file or directory of the seal by which others could change it.
    fn judge_rights(&mut self, at: &[u8], member: &Member) {
        self.refuse_privilege(at, member);
        let is_file = matches!(member.kind, MemberKind::File { .. });
        if is_file || member.kind == MemberKind::Directory {
            forbidden(member.mode, is_file, &|| at.to_vec(), &mut self.refusals);
        }
    }

    /// Whether a file of the seal is to be read: one that a seal has, of a size that is believed.
    fn accept_seal_file(&mut self, name: &[u8], size: u64, at: &[u8]) -> Result<bool, Stop> {
        self.arrived.is_seen = true;
        let limits = self.request.limits;
        let is_envelope = name == ENVELOPE.as_bytes();
        let (is_named, manifest_max) = match &self.seal {
            SealProgress::Waiting => {
                let left = limits.unverified_manifest_bytes_max.saturating_sub(self.arrived.unverified_bytes);
                (is_envelope || is_manifest_name(name), left)
            }
            SealProgress::Accepted(seal, _) => {
                (named(seal.statement()).any(|named| named.as_bytes() == name), limits.manifest_bytes_max)
            }
            // All that a seal has came before it was trusted.
            SealProgress::Trusted(_) => (false, 0),
            SealProgress::Refused => return Ok(false),
        };
        if !is_named {
            self.refuse(Code::MalformedSeal, at, FILES_OF_A_SEAL, "a regular file");
            return Ok(false);
        }
        let (max, code) = if is_envelope {
            (limits.envelope_bytes_max, Code::SealTooLarge)
        } else {
            (manifest_max, Code::ManifestTooLarge)
        };
        if size > max {
            self.refuse(code, at, &format!("at most {max} bytes"), format!("{size} bytes"));
            if matches!(self.seal, SealProgress::Accepted(..)) {
                self.arrived.manifests.insert(String::from_utf8_lossy(name).into_owned(), None);
                return Ok(false);
            }
            return self.refuse_seal(Vec::new()).map(|()| false);
        }
        if !is_envelope && matches!(self.seal, SealProgress::Waiting) {
            self.arrived.unverified_bytes += size;
        }
        Ok(true)
    }

    /// Adds a file that was accepted, with its SHA-256.
    fn add_seal_file(&mut self, name: &[u8], bytes: Vec<u8>, sha256: Digest) -> Result<(), Stop> {
        if name == ENVELOPE.as_bytes() {
            let mut gate = ByGate { edge: self.request.edge, consumer: &self.consumer, rules: Vec::new() };
            let mut loader = Loader::of_cache(&self.request.edge.cache.name, self.request.limits, &mut self.refusals);
            let Some(seal) = loader.judge(&bytes, &mut gate) else { return self.refuse_seal(gate.rules) };
            self.seal = SealProgress::Accepted(Box::new(seal), gate.rules);
            self.arrived.envelope = bytes;
        } else {
            self.arrived.manifests.insert(String::from_utf8_lossy(name).into_owned(), Some((bytes, sha256)));
        }
        match &self.seal {
            SealProgress::Accepted(seal, _) if self.arrived.are_whole(seal) => self.complete_seal(),
            _ => Ok(()),
        }
    }

    /// Trusts an accepted seal with the manifests that are there.
    fn complete_seal(&mut self) -> Result<(), Stop> {
        let (seal, rules) = match std::mem::replace(&mut self.seal, SealProgress::Refused) {
            SealProgress::Accepted(seal, rules) => (seal, rules),
            other => {
                self.seal = other;
                return Ok(());
            }
        };
        let arrived = std::mem::take(&mut self.arrived);
        let mut loader = Loader::of_cache(&self.request.edge.cache.name, self.request.limits, &mut self.refusals);
        loader.names(&&arrived, seal.statement());
        let mut trees = Vec::new();
        for (root, manifest) in sealed_roots(seal.statement()) {
            let tree = match manifest {
                None => SealedTree::Absent,
                // Refused when it came.
                Some((name, _)) if arrived.is_refused(name) => SealedTree::Unknown,
                Some((name, subject)) => loader
                    .manifest(&&arrived, root, name, subject)
                    .map_or(SealedTree::Unknown, |(manifest, _)| SealedTree::Known(manifest)),
            };
            trees.push((root.path.clone(), tree));
        }
        let files = arrived.into_files(seal.statement());
        self.trust(&seal, rules, trees, &files)
    }

    /// From here on members are compared with what was sealed; first those that have waited for it.
    fn trust(
        &mut self,
        seal: &TrustedSeal,
        rules: Vec<Rule>,
        trees: Vec<(String, SealedTree)>,
        files: &[(String, Vec<u8>)],
    ) -> Result<(), Stop> {
        let facts = Facts {
            statement: seal.statement().clone(),
            signers: seal.signers().to_vec(),
            links_leaving: 0,
            warnings: seal.warnings().to_vec(),
        };
        let totals = facts.totals();
        self.rules = rules;
        self.entries.expect(totals.entries);
        // A manifest has each name with its whole path, as the members have it: in deep trees that is more than all else,
        // and it is there twice, in the seal and in the members.
        let sealed = files.iter().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(bytes.len() as u64));
        let around = totals.entries.saturating_mul(MEMBER_BYTES).saturating_add(sealed.saturating_mul(2));
        let links_inside = self.request.edge.gate.links == LinkRule::Inside;
        self.seal = SealProgress::Trusted(Box::new(Trusted {
            expected: ExpectedTrees::new(trees, links_inside),
            facts,
            totals,
            bytes_max: totals.bytes.saturating_add(around),
        }));
        for member in std::mem::take(&mut self.observed) {
            self.compare_observed(&member);
        }
        files.iter().try_for_each(|(name, bytes)| self.sink(|sink| sink.seal_file(name, bytes)))
    }

    /// Compares nothing any more. `rules` are those that the seal was judged by.
    fn refuse_seal(&mut self, rules: Vec<Rule>) -> Result<(), Stop> {
        self.rules = rules;
        self.seal = SealProgress::Refused;
        self.observed.clear();
        // Nothing will be written.
        if self.sink.is_some() { Err(Stop) } else { Ok(()) }
    }

    /// All of the archive was read: an accepted seal gets no more manifests, and without any there may have been nothing.
    pub(super) fn end_of_seal(&mut self) {
        match self.seal {
            SealProgress::Trusted(_) | SealProgress::Refused => return,
            SealProgress::Accepted(..) => {
                // What may stop a reading does not matter after its end.
                let _: Result<(), Stop> = self.complete_seal();
                return;
            }
            SealProgress::Waiting => {}
        }
        let is_nothing =
            |member: &Observed| member.path.as_bytes().is_empty() && matches!(member.kind, ObservedKind::Directory);
        let place = format!("{SEALS}/{}", self.request.edge.cache.name);
        if self.arrived.is_seen || !self.observed.iter().all(is_nothing) {
            self.refuse(Code::NoSeal, place.as_bytes(), "a seal for the files in the roots", "nothing");
        } else {
            self.refuse(Code::NothingRestored, place.as_bytes(), "a seal and its roots", "neither: nothing is in it");
        }
    }
}

/// `0.mtree`, `1.mtree`, …: what a seal may name.
fn is_manifest_name(name: &[u8]) -> bool {
    let digits = name.strip_suffix(b".mtree").unwrap_or_default();
    !digits.is_empty() && digits.len() <= 4 && digits.iter().all(u8::is_ascii_digit)
}
