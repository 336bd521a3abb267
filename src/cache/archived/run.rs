//! The run over an archive: what is known of the seal, and what each member is.

use std::io::Read;

use super::expected::SeenKind;
use super::progress::{ArrivedFiles, SealProgress, Trusted};
use super::request::{ArchiveRequest, ArchiveVerification, Sink};

use crate::archive::{ArchiveError, CodecOptions, Entries, Kind, Layout, Member, Obstacle, Place, Reader, unwrapped};
use crate::base::{Code, Digest, EntryPath, Exit, Refusal, Refusals, place, plural};
use crate::cache::checkout_lockfiles::read_lockfiles;
use crate::cache::verifying::{Facts, Verification};
use crate::policy::LockfileRule;
use crate::verify::{Consumer, Lockfiles, Rule};

/// Reads `source` once and holds it against the policy.
#[must_use]
pub fn verify_archive(request: &ArchiveRequest<'_>, source: impl Read + Send) -> ArchiveVerification {
    read(request, look_at_checkout(request), source, None)
}

/// The same, and gives what was accepted to `sink`: only while nothing was refused, and only if the seal comes before
/// what it is for. Opens no file, unless the seal is one beside the archive.
pub(in crate::cache) fn extract_archive(
    request: &ArchiveRequest<'_>,
    looked: LookedAt,
    source: impl Read + Send,
    sink: &mut dyn Sink,
) -> ArchiveVerification {
    read(request, looked, source, Some(sink))
}

/// What the checkout says at one moment.
#[derive(Debug)]
pub(in crate::cache) struct LookedAt {
    consumer: Consumer,
    /// What is wrong with it.
    refusals: Refusals,
}

/// Reads the lockfiles of the checkout, where the gate compares them.
pub(in crate::cache) fn look_at_checkout(request: &ArchiveRequest<'_>) -> LookedAt {
    let limits = request.limits;
    let (lockfiles, refusals) = match *request.edge.gate.lockfile {
        LockfileRule::Any => (Lockfiles::Unpinned, Refusals::new(limits.refusals_max)),
        LockfileRule::Exact => read_lockfiles(request.workspace, request.edge, limits),
    };
    LookedAt { consumer: Consumer { now: request.now, platform: request.platform.clone(), lockfiles }, refusals }
}

fn read(
    request: &ArchiveRequest<'_>,
    looked: LookedAt,
    source: impl Read + Send,
    sink: Option<&mut dyn Sink>,
) -> ArchiveVerification {
    let mut run = Run::new(request, looked, sink);
    // Without a signature there is nothing that an archive could be held against.
    if !request.edge.gate.require.signature {
        return run.finish(false);
    }
    let options =
        CodecOptions { window_log_max: request.window_log_max, processors: request.processors, limits: request.limits };
    let read_whole = match run.open_beside() {
        Ok(()) => unwrapped(source, &options, |stream| run.read(&mut Reader::new(stream))),
        Err(_) => false,
    };
    run.finish(read_whole)
}

/// Members beyond those that were sealed before the reading ends: each costs memory.
const EXTRA_MEMBERS_MAX: u64 = 10_000;
/// What an allocation takes beside what is in it, on average.
const ALLOCATION_BYTES: usize = 24;
/// What a member takes beside its contents and its names: headers, filling, and an extension with some attributes.
pub(super) const MEMBER_BYTES: u64 = 8 << 10;

/// The reading ends: what there is to say has been said.
pub(super) struct Stop;

pub(super) struct Run<'a, 's> {
    pub(super) request: &'a ArchiveRequest<'a>,
    pub(super) sink: Option<&'s mut dyn Sink>,
    pub(super) layout: Layout,
    pub(super) entries: Entries<'a>,
    /// What the checkout says.
    pub(super) consumer: Consumer,
    pub(super) seal: SealProgress,
    /// Files of the seal before it is trusted.
    pub(super) arrived: ArrivedFiles,
    /// Members of roots before it is.
    pub(super) observed: Vec<Observed>,
    /// Directories that are neither in a root nor the seal's.
    pub(super) passages: Vec<(EntryPath, u32)>,
    pub(super) refusals: Refusals,
    pub(super) rules: Vec<Rule>,
    /// Bytes of contents so far, those of the seal left out.
    pub(super) contents: u64,
    /// Members so far.
    members: u64,
    /// Memory that what waits for the seal takes, bytes, as far as the paths do not take it.
    waiting_bytes: u64,
}

/// A member of a root that was met before the seal.
pub(super) struct Observed {
    pub(super) root: usize,
    pub(super) path: EntryPath,
    pub(super) mode: u32,
    pub(super) kind: ObservedKind,
}

impl Observed {
    /// Memory that it takes, bytes.
    fn memory(&self) -> u64 {
        let text = if let ObservedKind::Link(text) = &self.kind { text.len() } else { 0 };
        (size_of::<Self>() + ALLOCATION_BYTES + self.path.as_bytes().len() + text) as u64
    }
}

pub(super) enum ObservedKind {
    File {
        size: u64,
        digest: Digest,
    },
    Directory,
    Link(Vec<u8>),
    Special(&'static str),
    /// Refused for what it is.
    Refused,
}

impl<'a, 's> Run<'a, 's> {
    pub(super) fn new(request: &'a ArchiveRequest<'a>, looked: LookedAt, sink: Option<&'s mut dyn Sink>) -> Self {
        let limits = request.limits;
        let LookedAt { consumer, refusals: of_checkout } = looked;
        let mut refusals = Refusals::streamed(limits.refusals_max, request.differences);
        refusals.append(of_checkout);
        Self {
            request,
            sink,
            layout: Layout::new(
                &request.edge.cache.name,
                request.roots.iter().map(|root| &root.root),
                request.mapped,
                &request.expected,
            ),
            entries: Entries::new(limits),
            consumer,
            seal: SealProgress::Waiting,
            arrived: ArrivedFiles::default(),
            observed: Vec::new(),
            passages: Vec::new(),
            refusals,
            rules: Vec::new(),
            contents: 0,
            members: 0,
            waiting_bytes: 0,
        }
    }

    pub(super) fn refuse(&mut self, code: Code, place: &[u8], expected: &str, found: impl Into<String>) {
        self.refusals.push(Refusal::new(code, place, expected, found));
    }

    pub(super) fn refuse_obstacle(&mut self, at: &[u8], obstacle: Obstacle) {
        self.refusals.push(Refusal::new(obstacle.code, at, obstacle.expected, obstacle.found));
    }

    /// Reads all members. Whether the end of the archive was reached.
    pub(super) fn read(&mut self, reader: &mut Reader<'_, '_>) -> bool {
        loop {
            match reader.next_member() {
                Ok(None) => return true,
                Ok(Some(member)) => {
                    if self.member(reader, &member).is_err() {
                        return false;
                    }
                }
                Err(error) => {
                    self.stop_at(&error);
                    return false;
                }
            }
        }
    }

    pub(super) fn stop_at(&mut self, error: &ArchiveError) -> Stop {
        self.refusals.push(error.refusal(self.request.name.as_bytes()));
        Stop
    }

    fn member(&mut self, reader: &mut Reader<'_, '_>, member: &Member) -> Result<(), Stop> {
        self.members += 1;
        let members_max = match &self.seal {
            SealProgress::Trusted(trusted) => {
                reader.set_bound(trusted.bytes_max);
                trusted.totals.entries.saturating_add(EXTRA_MEMBERS_MAX)
            }
            _ => self.request.limits.entries_max,
        };
        if self.members > members_max {
            let expected = "the sealed entries, or a number within the limit";
            self.refuse(Code::TooManyEntries, self.request.name.as_bytes(), expected, "far more");
            return Err(Stop);
        }
        self.check_waiting()?;
        let (path, place) = match self.layout.place(&member.unverified_name) {
            Ok(placed) => placed,
            Err(obstacle) => {
                self.refuse_obstacle(&member.unverified_name, obstacle);
                return self.skip(reader, member);
            }
        };
        let kind = match SeenKind::of(member) {
            SeenKind::Directory => Kind::Directory,
            kind => Kind::Leaf(kind.noun()),
        };
        let admitted = match self.entries.admit(&path, kind) {
            Ok(admitted) => admitted,
            Err(obstacle) => {
                let at = self.spelled(&place, member);
                let is_limit = obstacle.code.exit() == Exit::Limit;
                self.refuse_obstacle(&at, obstacle);
                self.mark_refused(&place);
                return if is_limit { Err(Stop) } else { self.skip(reader, member) };
            }
        };
        match place {
            Place::Root(root, below) => self.root_member(reader, root, below, admitted, member),
            Place::Seal(below) => self.seal_member(reader, &below, member),
            Place::Elsewhere => self.stray_member(reader, path, member),
        }
    }

    /// Adds a member to what waits for the seal.
    pub(super) fn wait(&mut self, member: Observed) {
        if let SealProgress::Waiting | SealProgress::Accepted(..) = self.seal {
            self.waiting_bytes += member.memory();
            self.observed.push(member);
        }
    }

    /// Before a seal is trusted, memory is bounded by nothing that the archive says.
    fn check_waiting(&mut self) -> Result<(), Stop> {
        let memory = self.entries.memory() + self.waiting_bytes + self.arrived.unverified_bytes;
        if matches!(self.seal, SealProgress::Trusted(_)) || memory <= self.request.limits.waiting_bytes_max {
            return Ok(());
        }
        let expected = "a trusted seal before so many members: it in front of them, or `--seal`";
        let found = format!("{} members without", self.members);
        self.refuse(Code::TooManyEntries, self.request.name.as_bytes(), expected, found);
        Err(Stop)
    }

    /// A member as refusals name it.
    fn spelled(&self, at: &Place, member: &Member) -> Vec<u8> {
        match at {
            Place::Root(root, below) => place(self.spelling(*root), below.as_bytes()),
            Place::Seal(_) | Place::Elsewhere => member.unverified_name.clone(),
        }
    }

    pub(super) fn spelling(&self, root: usize) -> &'a str {
        self.request.roots.get(root).map_or("", |root| &root.root.spelling)
    }

    /// What there is to say when no member is left, or none is read any more.
    pub(super) fn finish(mut self, read_whole: bool) -> ArchiveVerification {
        if let Some(obstacle) = self.layout.unexpected() {
            self.refuse_obstacle(self.request.name.as_bytes(), obstacle);
        }
        if self.request.edge.gate.require.lockfile {
            self.refuse_proof();
        }
        if read_whole {
            self.judge_passages();
            self.end_of_seal();
            if let SealProgress::Trusted(trusted) = &self.seal {
                trusted.expected.refuse_missing(&mut self.refusals);
            }
        }
        let (home, checkout) = self.layout.found();
        let facts = match self.seal {
            SealProgress::Trusted(trusted) => {
                self.rules.push(contents_rule(&trusted, &self.refusals, self.request));
                Some(Facts { links_leaving: trusted.expected.links_leaving, ..trusted.facts })
            }
            SealProgress::Waiting | SealProgress::Accepted(..) | SealProgress::Refused => None,
        };
        let verification =
            Verification { refusals: self.refusals, facts, coverage: None, rules: self.rules, kept: None };
        ArchiveVerification { verification, home, checkout, read_whole }
    }

    /// Lockfiles prove directories only.
    fn refuse_proof(&mut self) {
        let expected = "directories, which lockfiles can prove";
        let found = "an archive: unpack it with another program, where nothing is run yet, and verify the directories";
        self.refuse(Code::UnprovenEntry, self.request.name.as_bytes(), expected, found);
    }

    /// Directories outside the roots are fine on the way to them, and stray elsewhere.
    fn judge_passages(&mut self) {
        for (path, mode) in std::mem::take(&mut self.passages) {
            let at = if path.as_bytes().is_empty() { b"." } else { path.as_bytes() };
            if !self.layout.is_passage(&path) {
                self.refuse_stray(at, "a directory");
            } else if let Some(found) = crate::seal::manifest::forbidden_bits(mode, false) {
                self.refuse(Code::ForbiddenMode, at, "not writable by others", found);
            }
        }
    }
}

/// How the contents compared, for those who ask.
fn contents_rule(trusted: &Trusted, refusals: &Refusals, request: &ArchiveRequest<'_>) -> Rule {
    let is_difference = |code: Code| code.exit() == Exit::Changed && code != Code::LinkEscapes;
    let differences = refusals.counts().filter(|(code, _)| is_difference(*code)).map(|(_, count)| count).sum();
    Rule {
        code: Code::DigestMismatch,
        expected: format!("the {} of all roots as sealed", plural(trusted.totals.entries, "entry", "entries")),
        found: plural(differences, "difference", "differences"),
        met: differences == 0,
        origin: request.edge.policy.origin(&request.edge.cache.roots),
    }
}
