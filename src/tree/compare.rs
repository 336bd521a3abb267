//! A tree held against its manifest: every difference, and nothing read that the manifest does not name.

use std::cmp::Ordering;
use std::sync::atomic::{self, AtomicU64};

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::Options;
use super::entry::{code_of, digest_text, kind_of, mode_differences};
use super::handle::{Directory, Kind, mode_of, stat_of};
use super::hardlinks::HardLinks;
use super::known::{Counts, Known, Memory};
use super::names::Names;
use super::read::{ReadError, read_link};
use super::stamps::{FileStamp, Stamps, Standing, device_of};
use super::trial::Devices;
use super::walk::{At, Crew, Portion, Trail, Visit, Worker, walk};
use crate::base::{Code, Exit, Refusal, Refusals, place};
use crate::seal::manifest::{
    LINK_INSIDE, Listing, Manifest, Node, Record, Span, forbidden_bits, leaves_root, link_text, missing,
};

/// What a root must be.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The root as the policy writes it; refusals begin with it.
    pub spelling: &'a str,
    /// Its entries.
    pub manifest: &'a Manifest,
    /// Whether symlinks that leave the root are refused.
    pub links_inside: bool,
    /// What is remembered of the files.
    pub memory: Memory<'a>,
}

/// How a tree differs from its manifest.
#[derive(Debug)]
pub struct Comparison {
    /// Every difference, and everything that could not be read.
    pub refusals: Refusals,
    /// Symlinks whose text leads out of the root.
    pub links_leaving: u64,
    /// Files with more than one name.
    pub hardlinks: HardLinks,
    /// What the file system said of each file before its first byte was read, if that was to be kept.
    pub stamps: Option<Stamps>,
    /// How the tree was looked at, if it was known.
    pub counts: Counts,
}

/// Reads every file that `expected` names, once, and compares. A file of another size is not read, an extra
/// file never, so that the cost is bounded by what was sealed. Of a tree that is known, files whose stamps stand for
/// their bytes are not read.
#[must_use]
pub fn compare(root: Directory, expected: &Expectation<'_>, options: &Options<'_>) -> Comparison {
    let visit = CompareVisit { expected, options, extra: AtomicU64::new(0), devices: Devices::default() };
    visit.compare(root, Some(0))
}

/// The same where the manifest names nothing, not even the root: all that is there is new.
#[must_use]
pub fn compare_absent(root: Directory, expected: &Expectation<'_>, options: &Options<'_>) -> Comparison {
    let visit = CompareVisit { expected, options, extra: AtomicU64::new(0), devices: Devices::default() };
    visit.compare(root, None)
}

/// A root that is absent or cannot be entered although `manifest` was sealed for it: all of it is missing.
pub fn all_missing(spelling: &str, manifest: &Manifest, refusals: &mut Refusals) {
    refusals.push(Refusal::new(Code::MissingEntry, spelling, "a directory", "nothing"));
    let mut entries = manifest.entries();
    while let Some(entry) = entries.next_entry() {
        refusals.push(missing(place(spelling, entry.path), entry.record.node));
    }
}

struct CompareVisit<'a> {
    expected: &'a Expectation<'a>,
    options: &'a Options<'a>,
    /// Entries found that are not in the manifest.
    extra: AtomicU64,
    /// The devices met, where stamps are to be kept.
    devices: Devices,
}

#[derive(Default)]
struct Part {
    refusals: Option<Refusals>,
    links_leaving: u64,
    hardlinks: HardLinks,
    /// Stamps of files by listing and record.
    stamps: Vec<(u32, u32, FileStamp)>,
    /// The last device that a file was on, and its number.
    device: Option<(u64, usize)>,
    counts: Counts,
}

impl Part {
    /// Keeps the stamp of a file, which was taken before its first byte was read and is equal after the last.
    fn keep(&mut self, (listing, record): (u32, u32), stat: &Stat, devices: &Devices) {
        let device = device_of(stat);
        let number = match self.device {
            Some((last, number)) if last == device => number,
            _ => devices.number(stat),
        };
        self.device = Some((device, number));
        self.stamps.push((listing, record, FileStamp::of(stat, number)));
    }
}

/// The listing of a directory in the manifest; `None` for a directory that the manifest does not name.
type Place = Option<u32>;

impl CompareVisit<'_> {
    fn compare(self, root: Directory, place: Place) -> Comparison {
        let options = self.options;
        let mut whole = Comparison {
            refusals: options.refusals(),
            links_leaving: 0,
            hardlinks: HardLinks::default(),
            stamps: None,
            counts: Counts::default(),
        };
        let mut stamps = Vec::new();
        for part in walk(&self, root.into_fd(), place, Crew::growing(options)) {
            whole.links_leaving += part.links_leaving;
            whole.hardlinks.append(part.hardlinks);
            whole.counts.add(part.counts);
            stamps.push(part.stamps);
            if let Some(refusals) = part.refusals {
                whole.refusals.append(refusals);
            }
        }
        if let Memory::Keep = self.expected.memory {
            let stamps = stamps.into_iter().flatten();
            whole.stamps = Some(Stamps::new(self.expected.manifest, stamps, self.devices.finish()));
        }
        whole
    }

    fn known(&self) -> Option<&Known<'_>> {
        if let Memory::Known(known) = self.expected.memory { Some(known) } else { None }
    }

    fn refuse(&self, part: &mut Part, mut refusal: Refusal) {
        // It was as sealed before, or it was not there; whatever the difference is, it came since then.
        if self.known().is_some() && refusal.code.exit() != Exit::Limit {
            refusal.code = Code::ChangedAfterVerify;
        }
        part.refusals.get_or_insert_with(|| self.options.refusals()).push(refusal);
    }

    fn place(&self, trail: &Trail, name: &[u8]) -> Vec<u8> {
        place(self.expected.spelling, &trail.path(name))
    }

    fn differs(&self, part: &mut Part, code: Code, at: &At<'_, Place>, name: &[u8], expected: String, found: String) {
        self.refuse(part, Refusal::new(code, self.place(at.trail, name), expected, found));
    }

    fn read_error(&self, part: &mut Part, place: Vec<u8>, node: Node, error: &ReadError) {
        self.refuse(part, Refusal::new(code_of(error), place, node.describe(), error.to_string()));
    }

    /// An entry that the manifest names and the directory has.
    fn both(
        &self,
        at: &At<'_, Place>,
        listing: &Listing,
        (number, record): (u32, &Record),
        file_type: FileType,
        worker: &mut Worker<'_, Place, Part>,
    ) -> Result<(), ReadError> {
        let name = listing.name(record);
        let kind = kind_of(at.fd, name, file_type)?;
        match (record.node, kind) {
            (Node::File { .. }, Kind::File) => self.file(at, name, (number, record.node), worker),
            (Node::Directory(index), Kind::Directory) => {
                worker.enter(name, Some(index));
                Ok(())
            }
            (Node::Link(target), Kind::Link) => self.link(at, name, listing, target, &mut worker.found),
            (node, kind) => {
                let code = if let Kind::Special(_) = kind { Code::SpecialFile } else { Code::TypeMismatch };
                self.differs(&mut worker.found, code, at, name, node.describe(), kind.noun().to_owned());
                Ok(())
            }
        }
    }

    fn file(
        &self,
        at: &At<'_, Place>,
        name: &[u8],
        (number, node): (u32, Node),
        worker: &mut Worker<'_, Place, Part>,
    ) -> Result<(), ReadError> {
        let Node::File { size, executable, digest } = node else { return Err(ReadError::Changed) };
        let record = (at.place.unwrap_or(u32::MAX), number);
        if let Some(known) = self.known()
            && self.stands(known, at, name, (record, size), &mut worker.found)?
        {
            return Ok(());
        }
        let file = worker.open(at.fd, name)?;
        let part = &mut worker.found;
        self.mode(part, at, name, &file.stat, executable);
        if file.stat.st_nlink > 1 {
            part.hardlinks.push(&file.stat, self.place(at.trail, name));
        }
        if file.size() != size {
            self.differs(
                part,
                Code::DigestMismatch,
                at,
                name,
                node.describe(),
                format!("a file of {} bytes", file.size()),
            );
            return Ok(());
        }
        let stat = file.stat;
        let found = worker.digest(file, self.expected.manifest.algorithm())?;
        if let Memory::Keep = self.expected.memory {
            worker.found.keep(record, &stat, &self.devices);
        }
        if found != digest {
            let algorithm = self.expected.manifest.algorithm();
            let (expected, found) = (digest_text(size, algorithm, &digest), digest_text(size, algorithm, &found));
            self.differs(&mut worker.found, Code::DigestMismatch, at, name, expected, found);
        }
        Ok(())
    }

    /// Whether the stamp of a file that was as sealed still stands for its bytes and its mode.
    fn stands(
        &self,
        known: &Known<'_>,
        at: &At<'_, Place>,
        name: &[u8],
        (record, size): ((u32, u32), u64),
        part: &mut Part,
    ) -> Result<bool, ReadError> {
        let Some(stamps) = known.stamps else {
            part.counts.demanded += 1;
            return Ok(false);
        };
        let stat = match rustix::fs::statat(at.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Err(ReadError::Absent),
            Err(errno) => return Err(errno.into()),
        };
        let count = match stamps.standing(record, size, &stat) {
            Standing::Same => {
                part.counts.unread += 1;
                if stat.st_nlink > 1 {
                    part.hardlinks.push(&stat, self.place(at.trail, name));
                }
                return Ok(true);
            }
            Standing::Touched => &mut part.counts.touched,
            Standing::Recent => &mut part.counts.recent,
            Standing::Untried => &mut part.counts.untried,
        };
        *count += 1;
        Ok(false)
    }

    fn mode(&self, part: &mut Part, at: &At<'_, Place>, name: &[u8], stat: &Stat, executable: bool) {
        for (code, expected, found) in mode_differences(mode_of(stat), executable) {
            self.differs(part, code, at, name, expected, found);
        }
    }

    fn link(
        &self,
        at: &At<'_, Place>,
        name: &[u8],
        listing: &Listing,
        target: Span,
        part: &mut Part,
    ) -> Result<(), ReadError> {
        let expected = listing.link(target);
        let found = read_link(at.fd, name)?;
        if found != expected {
            self.differs(part, Code::LinkMismatch, at, name, link_text(expected), link_text(&found));
        }
        if leaves_root(&found, at.trail.depth) {
            part.links_leaving += 1;
            if self.expected.links_inside {
                self.differs(part, Code::LinkEscapes, at, name, LINK_INSIDE.to_owned(), link_text(&found));
            }
        }
        Ok(())
    }

    /// An entry that the manifest does not name. Directories are entered, so that each entry in them is told too.
    fn extra(&self, at: &At<'_, Place>, name: &[u8], file_type: FileType, worker: &mut Worker<'_, Place, Part>) {
        let limits = self.options.limits;
        let before = self.extra.fetch_add(1, atomic::Ordering::Relaxed);
        if before >= limits.entries_max {
            // The others of the directory still pass by here.
            if before == limits.entries_max {
                let expected = format!("at most {before}");
                let found = "more entries that the seal does not name".to_owned();
                self.differs(&mut worker.found, Code::TooManyEntries, at, name, expected, found);
                worker.stop();
            }
            return;
        }
        match kind_of(at.fd, name, file_type) {
            Ok(kind) if at.trail.depth < limits.depth_max && self.is_new_allowed(at, name, kind) => {
                worker.found.counts.new += 1;
                if kind == Kind::File
                    && let Ok(stat) = rustix::fs::statat(at.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    && stat.st_nlink > 1
                {
                    worker.found.hardlinks.push_allowed(&stat);
                }
                if kind == Kind::Directory {
                    worker.enter(name, None);
                }
            }
            Ok(Kind::Special(noun)) => {
                let expected = "a file, directory or symlink".to_owned();
                self.differs(&mut worker.found, Code::SpecialFile, at, name, expected, noun.to_owned());
            }
            Ok(kind) => {
                self.differs(
                    &mut worker.found,
                    Code::ExtraEntry,
                    at,
                    name,
                    "nothing".to_owned(),
                    kind.noun().to_owned(),
                );
                if kind == Kind::Directory && at.trail.depth < limits.depth_max {
                    worker.enter(name, None);
                }
            }
            Err(error) => {
                let found = format!("an entry that {error}");
                self.differs(&mut worker.found, Code::ExtraEntry, at, name, "nothing".to_owned(), found);
            }
        }
    }

    /// Whether an entry that the manifest does not name may be there.
    fn is_new_allowed(&self, at: &At<'_, Place>, name: &[u8], kind: Kind) -> bool {
        let Some(known) = self.known() else { return false };
        known.allows(self.place(at.trail, name), kind == Kind::Directory)
    }

    /// An entry that the manifest names and the directory does not have, with all below it.
    fn missing(&self, at: &At<'_, Place>, listing: &Listing, record: &Record, part: &mut Part) {
        let mut waiting = vec![(self.place(at.trail, listing.name(record)), record.node)];
        while let Some((place, node)) = waiting.pop() {
            if let Node::Directory(index) = node
                && let Some(below) = self.expected.manifest.listing(index)
            {
                for record in below.records() {
                    waiting.push(([&place, &b"/"[..], below.name(record)].concat(), record.node));
                }
            }
            self.refuse(part, missing(place, node));
        }
    }
}

impl Visit for CompareVisit<'_> {
    type Place = Place;
    type Found = Part;

    fn directory(&self, at: &At<'_, Place>, names: &mut Names, worker: &mut Worker<'_, Place, Part>) -> bool {
        if at.place.is_some() {
            match stat_of(at.fd) {
                Ok(stat) => {
                    if let Memory::Keep = self.expected.memory {
                        self.devices.meet(at.fd, &stat, at.trail.depth == 0);
                    }
                    if let Some(found) = forbidden_bits(mode_of(&stat), false) {
                        let expected = "not writable by others".to_owned();
                        self.differs(&mut worker.found, Code::ForbiddenMode, at, b"", expected, found);
                    }
                }
                Err(errno) => self.obstacle(at.trail, *at.place, errno, &mut worker.found),
            }
            names.sort();
        }
        true
    }

    fn entries(&self, at: &At<'_, Place>, portion: &mut Portion<'_, Place>, worker: &mut Worker<'_, Place, Part>) {
        let Some(listing) = at.place.and_then(|index| self.expected.manifest.listing(index)) else {
            while let Some((name, file_type)) = portion.next(worker) {
                self.extra(at, name, file_type, worker);
            }
            return;
        };
        let (names, records) = (portion.names(), listing.records());
        let start = match portion.left().start {
            0 => 0,
            start => sealed_before(listing, names, start),
        };
        // A start beyond them would leave entries out: then the index panics, which is a refusal.
        let mut sealed = records[start..].iter().enumerate().peekable();
        while let Some((name, file_type)) = portion.next(worker) {
            let same = loop {
                match sealed.peek().map(|(_, record)| listing.name(record).cmp(name)) {
                    Some(Ordering::Less) => {
                        if let Some((_, record)) = sealed.next() {
                            self.missing(at, listing, record, &mut worker.found);
                        }
                    }
                    Some(Ordering::Equal) => break sealed.next(),
                    Some(Ordering::Greater) | None => break None,
                }
            };
            match same {
                Some((after, record)) => {
                    // Listings have less than 4 Gi records: their names alone would take more.
                    let number = u32::try_from(start + after).unwrap_or(u32::MAX);
                    if let Err(error) = self.both(at, listing, (number, record), file_type, worker) {
                        self.read_error(&mut worker.found, self.place(at.trail, name), record.node, &error);
                    }
                }
                None => self.extra(at, name, file_type, worker),
            }
        }
        // What comes from the next name on is for the thread that took it: together they leave nothing out.
        let others = records.len() - sealed_before(listing, names, portion.left().end);
        while sealed.len() > others
            && let Some((_, record)) = sealed.next()
        {
            self.missing(at, listing, record, &mut worker.found);
        }
    }

    fn obstacle(&self, trail: &Trail, place: Place, errno: Errno, part: &mut Part) {
        let error = ReadError::of_directory(errno);
        let at = self.place(trail, b"");
        match place {
            Some(index) => self.read_error(part, at, Node::Directory(index), &error),
            None => self.refuse(part, Refusal::new(code_of(&error), at, "nothing", error.to_string())),
        }
    }
}

/// How many entries are sealed before the name at `index`; all of them if there is no such name.
fn sealed_before(listing: &Listing, names: &Names, index: usize) -> usize {
    let records = listing.records();
    names.get(index).map_or(records.len(), |(name, _)| records.partition_point(|record| listing.name(record) < name))
}
