//! The snapshot that a seal is made of.

use std::collections::BTreeMap;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::Options;
use super::admission::{Admission, Refused};
use super::entry::kind_of;
use super::handle::{Directory, Kind, mode_of};
use super::hardlinks::HardLinks;
use super::names::Names;
use super::read::{ReadError, read_link};
use super::walk::{At, Crew, Portion, Trail, Visit, Worker, walk};
use crate::base::{Algorithm, Code, Refusal, Refusals};
use crate::seal::manifest::{Listing, ListingFull, Manifest, Node, Totals, forbidden_bits};

/// What a tree holds, and what in it cannot be sealed.
#[derive(Debug)]
pub struct Snapshot {
    /// The tree. Not the whole of it if there are refusals.
    pub manifest: Manifest,
    /// Entries that are never sealed, or that could not be read.
    pub refusals: Refusals,
    /// Files with several names: what some gates will refuse.
    pub hardlinks: HardLinks,
    /// How many entries others could write to, and no longer can.
    pub closed: u64,
}

/// Reads every file below `root` once and lists the tree. `spelling` is the root as refusals name it.
#[must_use]
pub fn snapshot(root: Directory, spelling: &str, algorithm: Algorithm, options: &Options<'_>) -> Snapshot {
    let visit = SnapshotVisit { admission: Admission::new(spelling, options), algorithm };
    let mut refusals = options.refusals();
    let found = walk(&visit, root.into_fd(), 0, Crew::growing(options));
    let mut parts = Vec::new();
    let (mut totals, mut hardlinks) = (Totals::default(), HardLinks::default());
    for part in found {
        parts.extend(part.listings);
        totals.add(part.totals);
        hardlinks.append(part.hardlinks);
        if let Some(part) = part.refusals {
            refusals.append(part);
        }
    }
    let closed = visit.admission.closed_entries();
    let listings = join(parts, visit.admission.directories()).unwrap_or_else(|ListingFull| {
        refusals.push(Refusal::new(Code::Unreadable, spelling, "names in one directory of at most 4 GiB", "more"));
        Vec::new()
    });
    Snapshot { manifest: Manifest::counted(algorithm, listings, totals), refusals, hardlinks, closed }
}

/// The listings of `count` directories, some of which were read in several parts.
#[expect(
    clippy::indexing_slicing,
    reason = "every part has a number below the count; a panic is a refusal, a part left out is not"
)]
fn join(parts: Vec<(u32, Listing)>, count: usize) -> Result<Vec<Listing>, ListingFull> {
    let mut listings = vec![Listing::default(); count];
    let mut shared: BTreeMap<u32, Vec<Listing>> = BTreeMap::new();
    for (index, part) in parts {
        let slot = &mut listings[index as usize];
        if slot.records().is_empty() {
            *slot = part;
        } else {
            shared.entry(index).or_default().push(part);
        }
    }
    for (index, mut parts) in shared {
        let slot = &mut listings[index as usize];
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
    admission: Admission<'a>,
    algorithm: Algorithm,
}

#[derive(Default)]
struct Part {
    listings: Vec<(u32, Listing)>,
    totals: Totals,
    refusals: Refused,
    hardlinks: HardLinks,
}

impl SnapshotVisit<'_> {
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
                let mut file = worker.open(at.fd, name)?;
                file.stat = self.admission.closed(file.fd(), file.stat);
                if let Some(found) = forbidden_bits(mode_of(&file.stat), true) {
                    let expected = "no setuid, setgid or sticky bit, and not writable by others";
                    let path = at.trail.path(name);
                    self.admission.refuse(&mut worker.found.refusals, Code::ForbiddenMode, &path, expected, found);
                }
                if file.stat.st_nlink > 1 {
                    worker.found.hardlinks.push(&file.stat, self.admission.place(&at.trail.path(name)));
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
                let index = self.admission.number();
                worker.enter(name, index);
                listing.push(name, Node::Directory(index)).map_err(full)
            }
            Kind::Special(noun) => {
                self.admission.special(&mut worker.found.refusals, &at.trail.path(name), noun);
                Ok(())
            }
        }
    }
}

impl Visit for SnapshotVisit<'_> {
    type Place = u32;
    type Found = Part;

    fn directory(&self, at: &At<'_, u32>, names: &mut Names, worker: &mut Worker<'_, u32, Part>) -> bool {
        if !self.admission.directory(at, names, &mut worker.found.refusals) {
            worker.stop();
            return false;
        }
        true
    }

    fn entries(&self, at: &At<'_, u32>, portion: &mut Portion<'_, u32>, worker: &mut Worker<'_, u32, Part>) {
        let left = portion.left();
        let bytes = portion.names().range(left.clone()).map(|(name, _)| name.len()).sum();
        let mut listing = Listing::with_capacity(left.len(), bytes);
        while let Some((name, file_type)) = portion.next(worker) {
            if let Err(error) = self.entry(at, name, file_type, &mut listing, worker) {
                self.admission.read_error(&mut worker.found.refusals, &at.trail.path(name), &error);
            }
        }
        listing.finish();
        worker.found.totals.count(&listing);
        worker.found.listings.push((*at.place, listing));
    }

    fn obstacle(&self, trail: &Trail, _: u32, errno: Errno, part: &mut Part) {
        self.admission.obstacle(&mut part.refusals, trail, errno);
    }
}
