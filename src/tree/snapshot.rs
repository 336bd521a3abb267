//! The snapshot that a seal is made of.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::Options;
use super::entry::{code_of, kind_of};
use super::handle::{Directory, Kind, mode_of, stat_of};
use super::names::Names;
use super::read::{ReadError, read_link};
use super::walk::{At, Crew, Portion, Trail, Visit, Worker, walk};
use crate::base::{Algorithm, Code, Refusal, Refusals, place};
use crate::seal::manifest::{Listing, ListingFull, Manifest, Node, Totals, forbidden_bits};

/// What a tree holds, and what in it cannot be sealed.
#[derive(Debug)]
pub struct Snapshot {
    /// The tree. Not the whole of it if there are refusals.
    pub manifest: Manifest,
    /// Entries that are never sealed, or that could not be read.
    pub refusals: Refusals,
}

/// Reads every file below `root` once and lists the tree. `spelling` is the root as refusals name it.
#[must_use]
pub fn snapshot(root: Directory, spelling: &str, algorithm: Algorithm, options: &Options<'_>) -> Snapshot {
    let visit =
        SnapshotVisit { spelling, algorithm, options, next_listing: AtomicU32::new(1), entries: AtomicU64::new(1) };
    let mut refusals = Refusals::new(options.limits.refusals_max);
    let found = walk(&visit, root.into_fd(), 0, Crew::growing(options));
    let mut parts = Vec::new();
    let mut totals = Totals::default();
    for part in found {
        parts.extend(part.listings);
        totals.add(part.totals);
        if let Some(part) = part.refusals {
            refusals.append(part);
        }
    }
    let listings = join(parts, visit.next_listing.into_inner()).unwrap_or_else(|ListingFull| {
        refusals.push(Refusal::new(Code::Unreadable, spelling, "names in one directory of at most 4 GiB", "more"));
        Vec::new()
    });
    Snapshot { manifest: Manifest::counted(algorithm, listings, totals), refusals }
}

/// The listings of `count` directories, some of which were read in several parts.
fn join(parts: Vec<(u32, Listing)>, count: u32) -> Result<Vec<Listing>, ListingFull> {
    let mut listings = vec![Listing::default(); count as usize];
    let mut shared: BTreeMap<u32, Vec<Listing>> = BTreeMap::new();
    for (index, part) in parts {
        match listings.get_mut(index as usize) {
            Some(slot) if slot.records().is_empty() => *slot = part,
            Some(_) => shared.entry(index).or_default().push(part),
            None => {}
        }
    }
    for (index, mut parts) in shared {
        let Some(slot) = listings.get_mut(index as usize) else { continue };
        parts.push(std::mem::take(slot));
        // Each is a run of the sorted names: in their order there is nothing left to sort.
        parts.sort_by(|a, b| first_name(a).cmp(&first_name(b)));
        parts.into_iter().try_for_each(|part| slot.append(part))?;
        slot.finish();
    }
    Ok(listings)
}

fn first_name(listing: &Listing) -> Option<&[u8]> {
    listing.records().first().map(|record| listing.name(record))
}

struct SnapshotVisit<'a> {
    spelling: &'a str,
    algorithm: Algorithm,
    options: &'a Options<'a>,
    next_listing: AtomicU32,
    entries: AtomicU64,
}

#[derive(Default)]
struct Part {
    listings: Vec<(u32, Listing)>,
    totals: Totals,
    refusals: Option<Refusals>,
}

impl SnapshotVisit<'_> {
    fn refuse(&self, part: &mut Part, code: Code, path: &[u8], expected: &str, found: impl Into<String>) {
        let refusal = Refusal::new(code, place(self.spelling, path), expected, found);
        part.refusals.get_or_insert_with(|| Refusals::new(self.options.limits.refusals_max)).push(refusal);
    }

    fn read_error(&self, part: &mut Part, path: &[u8], error: &ReadError) {
        let code = code_of(error);
        self.refuse(part, code, path, "an entry that stays as it is and can be read", error.to_string());
    }

    /// Adds one entry to the listing of its directory.
    fn entry(
        &self,
        at: &At<'_, u32>,
        name: &[u8],
        file_type: FileType,
        listing: &mut Listing,
        worker: &mut Worker<'_, u32, Part>,
    ) -> Result<(), ReadError> {
        let full = |_| ReadError::Io(std::io::Error::other("the names in one directory take more than 4 GiB"));
        match kind_of(at.fd, name, file_type)? {
            Kind::File => {
                let file = worker.open(at.fd, name)?;
                if let Some(found) = forbidden_bits(mode_of(&file.stat), true) {
                    let expected = "no setuid, setgid or sticky bit, and not writable by others";
                    self.refuse(&mut worker.found, Code::ForbiddenMode, &at.trail.path(name), expected, found);
                }
                let (size, executable) = (file.size(), mode_of(&file.stat) & 0o100 != 0);
                let digest = worker.digest(file, self.algorithm)?;
                listing.push(name, Node::File { size, executable, digest }).map_err(full)
            }
            Kind::Link => {
                let target = read_link(at.fd, name)?;
                listing.push_link(name, &target).map_err(full)
            }
            Kind::Directory => {
                let index = self.next_listing.fetch_add(1, Ordering::Relaxed);
                worker.enter(name, index);
                listing.push(name, Node::Directory(index)).map_err(full)
            }
            Kind::Special(noun) => {
                let expected = "a file, directory or symlink";
                self.refuse(&mut worker.found, Code::SpecialFile, &at.trail.path(name), expected, noun);
                Ok(())
            }
        }
    }

    /// Whether the directory itself is within the limits and may be sealed.
    fn limits(&self, at: &At<'_, u32>, names: &Names, worker: &mut Worker<'_, u32, Part>) -> bool {
        let limits = self.options.limits;
        let entries = self.entries.fetch_add(names.len() as u64, Ordering::Relaxed) + names.len() as u64;
        let longest = names.iter().map(|(name, _)| at.trail.path_len(name)).max().unwrap_or(0);
        let exceeded = if entries > limits.entries_max {
            Some((Code::TooManyEntries, limits.entries_max, "more"))
        } else if at.trail.depth > limits.depth_max {
            Some((Code::TooDeep, limits.depth_max as u64, "deeper"))
        } else if longest > limits.path_bytes_max {
            Some((Code::PathTooLong, limits.path_bytes_max as u64, "longer"))
        } else {
            None
        };
        if let Some((code, limit, found)) = exceeded {
            self.refuse(&mut worker.found, code, &at.trail.path(b""), &format!("at most {limit}"), found);
            worker.stop();
        }
        exceeded.is_none()
    }
}

impl Visit for SnapshotVisit<'_> {
    type Place = u32;
    type Found = Part;

    fn directory(&self, at: &At<'_, u32>, names: &mut Names, worker: &mut Worker<'_, u32, Part>) -> bool {
        if !self.limits(at, names, worker) {
            return false;
        }
        match stat_of(at.fd) {
            Ok(stat) => {
                if let Some(found) = forbidden_bits(mode_of(&stat), false) {
                    let path = at.trail.path(b"");
                    self.refuse(&mut worker.found, Code::ForbiddenMode, &path, "not writable by others", found);
                }
            }
            Err(errno) => self.read_error(&mut worker.found, &at.trail.path(b""), &errno.into()),
        }
        names.sort();
        true
    }

    fn entries(&self, at: &At<'_, u32>, portion: &mut Portion<'_, u32>, worker: &mut Worker<'_, u32, Part>) {
        let left = portion.left();
        let bytes = portion.names().range(left.clone()).map(|(name, _)| name.len()).sum();
        let mut listing = Listing::with_capacity(left.len(), bytes);
        while let Some((name, file_type)) = portion.next(worker) {
            if let Err(error) = self.entry(at, name, file_type, &mut listing, worker) {
                self.read_error(&mut worker.found, &at.trail.path(name), &error);
            }
        }
        listing.finish();
        worker.found.totals.count(&listing);
        worker.found.listings.push((*at.place, listing));
    }

    fn obstacle(&self, trail: &Trail, _: u32, errno: Errno, part: &mut Part) {
        let error = match errno {
            // It was a directory a moment ago.
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => ReadError::Changed,
            errno => errno.into(),
        };
        self.read_error(part, &trail.path(b""), &error);
    }
}
