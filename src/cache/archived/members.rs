//! What is done with a member, once it is known where it belongs.

use super::expected::{Seen, SeenKind};
use super::progress::SealProgress;
use super::request::Sink;
use super::run::{Observed, ObservedKind, Run, Stop};
use crate::archive::{Admitted, Contents, Member, MemberKind, Obstacle, Place, Reader};
use crate::base::{Algorithm, Code, Digest, EntryPath, Hasher, Refusal, place};

/// One block: how far contents may go beyond what was sealed before the reading ends.
const BLOCK: u64 = 512;
/// Bits that a hard link has as its file has: some programs set the mode of the link on the file, others do not.
const SHARED_BITS: u32 = 0o7102;

impl Run<'_, '_> {
    /// Takes a refused member out of what may be missing.
    pub(super) fn mark_refused(&mut self, at: &Place) {
        let Place::Root(root, path) = at else { return };
        match &mut self.seal {
            SealProgress::Trusted(trusted) => trusted.expected.mark_refused(*root, path.as_bytes()),
            SealProgress::Waiting | SealProgress::Accepted(..) => {
                self.wait(Observed { root: *root, path: path.clone(), mode: 0, kind: ObservedKind::Refused });
            }
            SealProgress::Refused => {}
        }
    }

    /// Reads past the contents of a member that was refused; ends the reading where they are more than was sealed.
    pub(super) fn skip(&mut self, reader: &mut Reader<'_, '_>, member: &Member) -> Result<(), Stop> {
        if let MemberKind::File { size } = member.kind {
            self.count_contents(size)?;
        }
        reader.contents(|_| Ok(())).map_err(|error| self.stop_at(&error))
    }

    fn count_contents(&mut self, size: u64) -> Result<(), Stop> {
        self.contents = self.contents.saturating_add(size);
        match &self.seal {
            SealProgress::Trusted(trusted) if self.contents > trusted.totals.bytes.saturating_add(BLOCK) => Err(Stop),
            _ => Ok(()),
        }
    }

    pub(super) fn stray_member(
        &mut self,
        reader: &mut Reader<'_, '_>,
        path: EntryPath,
        member: &Member,
    ) -> Result<(), Stop> {
        if member.kind == MemberKind::Directory {
            self.refuse_privilege(&member.unverified_name, member);
            self.passages.push((path, member.mode));
            return Ok(());
        }
        self.refuse_stray(&member.unverified_name, SeenKind::of(member).noun());
        self.skip(reader, member)
    }

    pub(super) fn refuse_stray(&mut self, name: &[u8], noun: &str) {
        self.refuse(Code::StrayEntry, name, "only the roots and the seal of this cache", noun);
    }

    pub(super) fn refuse_privilege(&mut self, at: &[u8], member: &Member) {
        if let Some(privilege) = &member.privilege {
            self.refuse(Code::ForbiddenMode, at, "no attribute that gives privileges", privilege);
        }
    }

    pub(super) fn root_member(
        &mut self,
        reader: &mut Reader<'_, '_>,
        root: usize,
        below: EntryPath,
        admitted: Admitted,
        member: &Member,
    ) -> Result<(), Stop> {
        if self.sink.is_some() && !matches!(self.seal, SealProgress::Trusted(_)) {
            let expected = "the seal before what it is for: only then can the archive be unpacked";
            self.refuse(Code::SealNotFirst, &member.unverified_name, expected, "a member of a root");
            return Err(Stop);
        }
        self.refuse_privilege(&place(self.spelling(root), below.as_bytes()), member);
        match &member.kind {
            MemberKind::File { size } => self.file(reader, root, below, admitted, member, *size),
            MemberKind::HardLink(target) => self.hard_link(root, below, admitted, member, target),
            kind => {
                let seen = Seen { kind: SeenKind::of(member), mode: member.mode };
                self.compare(root, &below, &seen);
                match kind {
                    MemberKind::Directory => self.sink(|sink| sink.directory(root, below.as_bytes())),
                    MemberKind::Link(text) => self.sink(|sink| sink.link(root, below.as_bytes(), text)),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Holds a member without contents against the seal, or keeps it until there is one.
    fn compare(&mut self, root: usize, below: &EntryPath, seen: &Seen<'_>) {
        match &mut self.seal {
            SealProgress::Trusted(trusted) => {
                trusted.expected.compare(root, below.as_bytes(), seen, &mut self.refusals);
            }
            SealProgress::Waiting | SealProgress::Accepted(..) => {
                let kind = match seen.kind {
                    SeenKind::Directory => ObservedKind::Directory,
                    SeenKind::Link(text) => ObservedKind::Link(text.to_vec()),
                    SeenKind::Special(noun) => ObservedKind::Special(noun),
                    SeenKind::File { .. } => ObservedKind::Refused,
                };
                self.wait(Observed { root, path: below.clone(), mode: seen.mode, kind });
            }
            SealProgress::Refused => {}
        }
    }

    /// Holds what was met before the seal against it.
    pub(super) fn compare_observed(&mut self, member: &Observed) {
        // Without a trusted seal there is a refusal already, and nothing to compare with.
        let SealProgress::Trusted(trusted) = &mut self.seal else { return };
        let path = member.path.as_bytes();
        let kind = match &member.kind {
            ObservedKind::File { size, .. } => SeenKind::File { size: *size },
            ObservedKind::Directory => SeenKind::Directory,
            ObservedKind::Link(text) => SeenKind::Link(text),
            ObservedKind::Special(noun) => SeenKind::Special(noun),
            ObservedKind::Refused => return trusted.expected.mark_refused(member.root, path),
        };
        let expected =
            trusted.expected.compare(member.root, path, &Seen { kind, mode: member.mode }, &mut self.refusals);
        if let (Some(expected), ObservedKind::File { size, digest }) = (expected, &member.kind) {
            self.compare_digest(member.root, path, *size, expected, *digest);
        }
    }

    fn compare_digest(&mut self, root: usize, path: &[u8], size: u64, expected: Digest, found: Digest) {
        if found != expected {
            let algorithm = *self.request.edge.cache.digest;
            let text = |digest| format!("{size} bytes of {algorithm} {digest}");
            let at = place(self.spelling(root), path);
            self.refusals.push(Refusal::new(Code::DigestMismatch, at, text(expected), text(found)));
        }
    }

    fn file(
        &mut self,
        reader: &mut Reader<'_, '_>,
        root: usize,
        below: EntryPath,
        admitted: Admitted,
        member: &Member,
        size: u64,
    ) -> Result<(), Stop> {
        let seen = Seen { kind: SeenKind::File { size }, mode: member.mode };
        let expected = match &mut self.seal {
            SealProgress::Refused => return self.skip(reader, member),
            SealProgress::Waiting | SealProgress::Accepted(..) => None,
            SealProgress::Trusted(trusted) => {
                match trusted.expected.compare(root, below.as_bytes(), &seen, &mut self.refusals) {
                    Some(expected) => Some(expected),
                    None => return self.skip(reader, member),
                }
            }
        };
        self.count_contents(size)?;
        if expected.is_some() {
            self.sink(|sink| sink.file(root, below.as_bytes(), member.mode & 0o100 != 0))?;
        }
        let digest = self.digest(reader, size, expected.is_some())?;
        self.entries.set_contents(admitted, Contents { root, size, mode: member.mode, digest });
        if let Some(expected) = expected {
            self.compare_digest(root, below.as_bytes(), size, expected, digest);
            return self.sink(|sink| sink.file_end());
        }
        self.wait(Observed { root, path: below, mode: member.mode, kind: ObservedKind::File { size, digest } });
        Ok(())
    }

    /// Reads the contents of a file: their digest, and each piece to the sink, if it is to be written.
    fn digest(&mut self, reader: &mut Reader<'_, '_>, size: u64, is_written: bool) -> Result<Digest, Stop> {
        let algorithm = *self.request.edge.cache.digest;
        let mut digest = PieceDigest::new(algorithm, size);
        let mut sink = self.sink.as_deref_mut().filter(|_| is_written && self.refusals.is_empty());
        let mut refused = None;
        let read = reader.contents(|piece| {
            digest.update(piece);
            if let (Some(sink), None) = (&mut sink, &refused) {
                refused = sink.piece(piece).err();
            }
            Ok(())
        });
        read.map_err(|error| self.stop_at(&error))?;
        match refused {
            Some(refusal) => {
                self.refusals.push(refusal);
                Err(Stop)
            }
            None => Ok(digest.finish()),
        }
    }

    /// Gives something to the sink, if there is one and nothing was refused.
    pub(super) fn sink(&mut self, give: impl FnOnce(&mut dyn Sink) -> Result<(), Refusal>) -> Result<(), Stop> {
        let Some(sink) = self.sink.as_deref_mut().filter(|_| self.refusals.is_empty()) else { return Ok(()) };
        give(sink).map_err(|refusal| {
            self.refusals.push(refusal);
            Stop
        })
    }

    /// One more name of a file of the roots that came before: a file with the same contents.
    fn hard_link(
        &mut self,
        root: usize,
        below: EntryPath,
        admitted: Admitted,
        member: &Member,
        target: &[u8],
    ) -> Result<(), Stop> {
        let found = self.layout.place(target).map_err(|obstacle| Obstacle { code: Code::UnsafeHardlink, ..obstacle });
        let found = found.and_then(|(target, at)| self.entries.target(&target).map(|contents| (contents, at)));
        let (contents, from) = match found {
            Ok((contents, Place::Root(_, from))) => (contents, from),
            Ok(_) => return Ok(()),
            Err(obstacle) => {
                let at = place(self.spelling(root), below.as_bytes());
                self.refuse_obstacle(&at, obstacle);
                self.mark_refused(&Place::Root(root, below));
                return Ok(());
            }
        };
        if (member.mode ^ contents.mode) & SHARED_BITS != 0 {
            let at = place(self.spelling(root), below.as_bytes());
            let found = format!("{:04o} where its file has {:04o}", member.mode, contents.mode);
            self.refuse(Code::AmbiguousHeader, &at, "a hard link with the mode of its file", found);
        }
        self.entries.set_contents(admitted, Contents { root, ..contents });
        let kind = ObservedKind::File { size: contents.size, digest: contents.digest };
        let observed = Observed { root, path: below, mode: member.mode, kind };
        match &self.seal {
            SealProgress::Waiting | SealProgress::Accepted(..) => self.wait(observed),
            SealProgress::Refused => {}
            SealProgress::Trusted(_) => {
                self.compare_observed(&observed);
                self.sink(|sink| sink.copy(root, observed.path.as_bytes(), contents.root, from.as_bytes()))?;
            }
        }
        Ok(())
    }
}

/// A digest over pieces. Most files come in one, which needs no hasher state.
struct PieceDigest {
    algorithm: Algorithm,
    size: u64,
    whole: Option<Digest>,
    pieces: Option<Hasher>,
}

impl PieceDigest {
    fn new(algorithm: Algorithm, size: u64) -> Self {
        Self { algorithm, size, whole: None, pieces: None }
    }

    fn update(&mut self, piece: &[u8]) {
        if piece.len() as u64 == self.size {
            self.whole = Some(self.algorithm.digest(piece));
        } else {
            self.pieces.get_or_insert_with(|| Hasher::new(self.algorithm)).update(piece);
        }
    }

    fn finish(self) -> Digest {
        self.whole.or_else(|| self.pieces.map(Hasher::finish)).unwrap_or_else(|| self.algorithm.digest(b""))
    }
}
