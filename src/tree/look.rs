//! A look at places that are not sealed, by what the file system says of each entry. No file is opened: the change time
//! is the kernel's own, and no program can set it back.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Stat};
use rustix::io::Errno;

use super::Options;
use super::exceptions::{Exceptions, key_of};
use super::handle::{Kind, mode_of, open_directory, stat_of};
use super::lead::trace;
use super::names::Names;
use super::stamp::Stamp;
use super::walk::{At, Crew, Trail, Visit, Worker, walk};
use crate::base::Code;

/// What git wants of a directory that it takes for a repository.
const REPOSITORY: [&[u8]; 3] = [b"HEAD", b"objects", b"refs"];

/// A place to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sight {
    /// Its absolute path.
    pub path: PathBuf,
    /// How much of it.
    pub reach: Reach,
}

/// How much of a place is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Where the path leads: it may go through links.
    Lead,
    /// The entry alone.
    Entry,
    /// The entry alone, and no look at what is above goes into it.
    Boundary,
    /// The entry and, if it is a directory, what is directly in it.
    Names,
    /// The entry and all below it, if that is not more than so many entries; else what is directly in it.
    Part(u64),
    /// The entry and all below it.
    Tree,
}

fn path_of(key: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(if key.is_empty() { b"/".to_vec() } else { key.to_vec() }))
}

/// A place itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Top {
    /// `None` for what is not there.
    pub(super) stamp: Option<Stamp>,
    /// Whether this user could change it.
    pub(super) open: bool,
}

/// What was to be seen. Only what this user could change is kept: of the rest, a restore by this user cannot.
#[derive(Debug, Default)]
pub struct Look {
    /// The places themselves.
    pub(super) tops: BTreeMap<Vec<u8>, Top>,
    /// Where paths lead that may go through links.
    pub(super) leads: BTreeMap<Vec<u8>, PathBuf>,
    pub(super) listings: BTreeMap<Vec<u8>, Listing>,
    /// Directories that could not be read.
    pub(super) closed: BTreeSet<Vec<u8>>,
    obstacles: Vec<Obstacle>,
    large: Vec<PathBuf>,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Its code: unreadable, or beyond a limit.
    pub code: Code,
    /// Its absolute path.
    pub path: Vec<u8>,
    /// Why.
    pub found: String,
    /// Whether this user could have made it so.
    pub own: bool,
}

/// The entries of one directory, sorted by their names.
#[derive(Debug, Default)]
pub(super) struct Listing {
    names: Vec<u8>,
    /// Where each name ends.
    entries: Vec<(u32, Stamp)>,
}

impl Listing {
    fn push(&mut self, name: &[u8], stamp: Stamp) {
        self.names.extend_from_slice(name);
        // Names of one directory take less than 4 GiB by the limit on entries.
        self.entries.push((u32::try_from(self.names.len()).unwrap_or(u32::MAX), stamp));
    }

    #[expect(clippy::indexing_slicing, reason = "entries are made with their names; a panic is a refusal")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Stamp)> {
        let mut start = 0;
        self.entries.iter().map(move |(end, stamp)| {
            let name = &self.names[start..*end as usize];
            start = *end as usize;
            (name, stamp)
        })
    }
}

/// Looks at places. `user` is the effective user id of this process.
#[must_use]
pub fn look(sights: &[Sight], except: &Exceptions, user: u32, options: &Options<'_>) -> Look {
    look_for(sights, except, user, options, false).0
}

/// The same, and what it met in what was looked through as a whole that may lead elsewhere: links, whatever is called
/// `.git`, and directories that look like a repository of git.
#[must_use]
pub fn look_with_leads(
    sights: &[Sight],
    except: &Exceptions,
    user: u32,
    options: &Options<'_>,
) -> (Look, Vec<PathBuf>) {
    look_for(sights, except, user, options, true)
}

fn look_for(
    sights: &[Sight],
    except: &Exceptions,
    user: u32,
    options: &Options<'_>,
    with_leads: bool,
) -> (Look, Vec<PathBuf>) {
    let mut look = Look::default();
    let ends = sights.iter().filter(|sight| matches!(sight.reach, Reach::Boundary | Reach::Part(_) | Reach::Tree));
    let ends = Exceptions::new(ends.map(|sight| sight.path.clone()));
    let field = Field { except, ends: &ends, user, options, entries: &AtomicU64::new(0), with_leads };
    let mut leads = Vec::new();
    for sight in sights.iter().filter(|sight| !except.cover(&sight.path)) {
        if sight.reach == Reach::Lead {
            look.leads.insert(key_of(&sight.path), trace(&sight.path).end);
        } else {
            leads.append(&mut field.look_at(sight, &mut look));
        }
    }
    (look, leads)
}

/// What is the same for all places of a look.
#[derive(Clone, Copy)]
struct Field<'a> {
    except: &'a Exceptions,
    /// Directories that are not entered from above.
    ends: &'a Exceptions,
    user: u32,
    options: &'a Options<'a>,
    entries: &'a AtomicU64,
    with_leads: bool,
}

impl Field<'_> {
    /// Looks at one place, and gives back what in it may lead elsewhere.
    fn look_at(self, sight: &Sight, look: &mut Look) -> Vec<PathBuf> {
        let path = key_of(&sight.path);
        let stat = match rustix::fs::statat(CWD, &sight.path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(errno) => {
                look.obstacle(path, errno, self.closes(&sight.path));
                return Vec::new();
            }
        };
        let open = stat.as_ref().is_some_and(|stat| self.can_write(stat)) || self.lies_open(&sight.path);
        let top = Top { stamp: stat.as_ref().map(Stamp::of), open };
        look.tops.insert(path.clone(), top);
        let is_directory = top.stamp.is_some_and(|stamp| stamp.kind() == Kind::Directory);
        if !is_directory || matches!(sight.reach, Reach::Lead | Reach::Entry | Reach::Boundary) {
            return Vec::new();
        }
        let most = match sight.reach {
            Reach::Part(most) => most,
            _ => u64::MAX,
        };
        let mut walked = self.walk(&path, sight.reach > Reach::Names, most);
        if matches!(walked, Ok(None)) {
            look.large.push(sight.path.clone());
            walked = self.walk(&path, false, u64::MAX);
        }
        let parts = match walked {
            Ok(parts) => parts.unwrap_or_default(),
            Err(errno) => {
                look.closed.insert(path.clone());
                look.obstacle(path, errno, stat.is_some_and(|stat| stat.st_uid == self.user));
                return Vec::new();
            }
        };
        parts.into_iter().flat_map(|part| look.add(part)).collect()
    }

    /// Goes through a directory; `None` if more than `most` entries are in it.
    fn walk(self, path: &[u8], recurse: bool, most: u64) -> Result<Option<Vec<Part>>, Errno> {
        let root = open_directory(CWD, path_of(path).as_os_str().as_bytes())?;
        let (entries, large) = (AtomicU64::new(0), AtomicBool::new(false));
        let visit = LookVisit { top: path, recurse, most, entries: &entries, large: &large, field: self };
        // One directory is not worth more threads.
        let crew = if recurse { Crew::whole(self.options) } else { Crew::single() };
        let parts = walk(&visit, root, false, crew);
        if large.into_inner() {
            self.entries.fetch_sub(entries.into_inner(), Ordering::Relaxed);
            return Ok(None);
        }
        Ok(Some(parts))
    }

    /// Whether this user could write to an entry, or give itself the right. Access control lists can only add to
    /// what the group bits say, and show in them.
    fn can_write(self, stat: &Stat) -> bool {
        let open = Kind::of_stat(stat) != Kind::Link && mode_of(stat) & 0o022 != 0;
        self.user == 0 || stat.st_uid == self.user || open
    }

    /// Whether this user could put another entry in the place of any in this directory. In a sticky one of another's,
    /// only those that are its own.
    fn is_unlocked(self, directory: &Stat) -> bool {
        self.can_write(directory) && !self.is_shared(directory)
    }

    fn is_shared(self, directory: &Stat) -> bool {
        self.user != 0 && directory.st_uid != self.user && mode_of(directory) & 0o1000 != 0
    }

    /// Whether it is a directory of this user's own that keeps what has this path from being looked at.
    fn closes(self, path: &Path) -> bool {
        let mut above = path.ancestors().skip(1);
        above.find_map(|above| rustix::fs::stat(above).ok()).is_some_and(|stat| stat.st_uid == self.user)
    }

    /// Whether this user could replace or make what has this path. What is above a directory that is not there counts
    /// for it.
    fn lies_open(self, path: &Path) -> bool {
        let mut above = path.ancestors().skip(1);
        above.find_map(|above| rustix::fs::stat(above).ok()).is_none_or(|stat| self.is_unlocked(&stat))
    }
}

impl Look {
    fn obstacle(&mut self, path: Vec<u8>, errno: Errno, own: bool) {
        let found = std::io::Error::from(errno).to_string();
        self.obstacles.push(Obstacle { code: Code::Unreadable, path, found, own });
    }

    fn add(&mut self, part: Part) -> Vec<PathBuf> {
        self.listings.extend(part.listings);
        self.closed.extend(part.closed);
        self.obstacles.extend(part.obstacles);
        part.leads
    }

    /// Takes over what another look saw of other places.
    pub fn append(&mut self, other: Self) {
        self.tops.extend(other.tops);
        self.leads.extend(other.leads);
        self.listings.extend(other.listings);
        self.closed.extend(other.closed);
        self.obstacles.extend(other.obstacles);
        self.large.extend(other.large);
    }

    /// Places that have more entries than they may, so that only what is directly in them was looked at.
    #[must_use]
    pub fn large(&self) -> &[PathBuf] {
        &self.large
    }

    /// The number of entries that it knows.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let listed: usize = self.listings.values().map(|listing| listing.entries.len()).sum();
        (listed + self.tops.values().filter(|top| top.stamp.is_some()).count()) as u64
    }

    /// What could not be looked at.
    #[must_use]
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }
}

struct LookVisit<'a> {
    top: &'a [u8],
    recurse: bool,
    most: u64,
    /// Entries of this place.
    entries: &'a AtomicU64,
    /// Whether there are more than `most`.
    large: &'a AtomicBool,
    field: Field<'a>,
}

#[derive(Default)]
struct Part {
    listings: Vec<(Vec<u8>, Listing)>,
    closed: BTreeSet<Vec<u8>>,
    obstacles: Vec<Obstacle>,
    leads: Vec<PathBuf>,
}

/// Whether a directory is this user's own, which travels with it.
type Own = bool;

impl LookVisit<'_> {
    fn path(&self, trail: &Trail) -> Vec<u8> {
        let below = trail.path(b"");
        if below.is_empty() { self.top.to_vec() } else { join(self.top, &below) }
    }

    /// Whether the directory is within the limits. Beyond them nothing is known, so the walk ends.
    fn limits(&self, at: &At<'_, Own>, names: &Names, worker: &mut Worker<Own, Part>) -> bool {
        let limits = self.field.options.limits;
        let more = names.len() as u64;
        let of_all = self.field.entries.fetch_add(more, Ordering::Relaxed) + more;
        if self.entries.fetch_add(more, Ordering::Relaxed) + more > self.most {
            self.large.store(true, Ordering::Relaxed);
            worker.stop();
            return false;
        }
        let exceeded = if of_all > limits.entries_max {
            (Code::TooManyEntries, format!("more than {} entries", limits.entries_max))
        } else if at.trail.depth > limits.depth_max {
            (Code::TooDeep, format!("deeper than {}", limits.depth_max))
        } else if at.trail.path_len(b"") > limits.path_bytes_max {
            (Code::PathTooLong, format!("longer than {}", limits.path_bytes_max))
        } else {
            return true;
        };
        let (code, found) = exceeded;
        worker.found.obstacles.push(Obstacle { code, path: self.path(at.trail), found, own: true });
        worker.stop();
        false
    }

    /// Whether what another user has made cannot be entered by this one, and so holds nothing that it could change.
    fn is_closed_to_us(&self, stat: &Stat) -> bool {
        !self.field.can_write(stat) && mode_of(stat) & 0o011 == 0
    }
}

impl Visit for LookVisit<'_> {
    type Place = Own;
    type Found = Part;

    fn directory(&self, at: &At<'_, Own>, names: &mut Names, worker: &mut Worker<Own, Part>) -> bool {
        if !self.limits(at, names, worker) {
            return false;
        }
        let (path, field) = (self.path(at.trail), self.field);
        let (unlocked, shared) =
            stat_of(at.fd).map_or((true, false), |stat| (field.is_unlocked(&stat), field.is_shared(&stat)));
        let (left_out, ends) = (field.except.within(&path), field.ends.within(&path));
        let mut listing = Listing::default();
        names.sort();
        if self.recurse
            && field.with_leads
            && REPOSITORY.iter().all(|name| names.iter().any(|(other, _)| other == *name))
        {
            worker.found.leads.push(path_of(&path));
        }
        for (name, _) in names.iter().filter(|(name, _)| !left_out.hold(name)) {
            let stat = match rustix::fs::statat(at.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It went away between the two calls.
                Err(Errno::NOENT) => continue,
                Err(errno) => {
                    let (found, path) = (std::io::Error::from(errno).to_string(), join(&path, name));
                    worker.found.obstacles.push(Obstacle { code: Code::Unreadable, path, found, own: *at.place });
                    continue;
                }
            };
            let writable = unlocked || field.can_write(&stat);
            let leads = name == b".git" || Kind::of_stat(&stat) == Kind::Link;
            if leads && self.recurse && field.with_leads {
                worker.found.leads.push(path_of(&join(&path, name)));
            }
            if writable {
                listing.push(name, Stamp::of(&stat));
            }
            match Kind::of_stat(&stat) {
                // What others keep in a place that all share is theirs.
                Kind::Directory
                    if self.recurse && (writable || !shared) && !self.is_closed_to_us(&stat) && !ends.hold(name) =>
                {
                    worker.enter(name, stat.st_uid == field.user);
                }
                _ => {}
            }
        }
        drop((left_out, ends));
        worker.found.listings.push((path, listing));
        false
    }

    fn obstacle(&self, trail: &Trail, own: Own, errno: Errno, part: &mut Part) {
        // What went away, or became something else, shows in the directory above.
        if matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) {
            return;
        }
        let path = self.path(trail);
        part.closed.insert(path.clone());
        let found = std::io::Error::from(errno).to_string();
        part.obstacles.push(Obstacle { code: Code::Unreadable, path, found, own });
    }
}

pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    #[test]
    fn what_leads_elsewhere_is_met_in_trees_of_any_owner() {
        let temporary = tempfile::tempdir().unwrap();
        let top = trace(temporary.path()).end;
        std::fs::create_dir_all(top.join("bare/objects")).unwrap();
        std::fs::create_dir_all(top.join("bare/refs")).unwrap();
        std::fs::write(top.join("bare/HEAD"), "").unwrap();
        std::fs::create_dir_all(top.join("module/objects")).unwrap();
        std::fs::write(top.join("module/.git"), "").unwrap();
        std::os::unix::fs::symlink("/nowhere", top.join("link")).unwrap();
        let sights = [Sight { path: top.clone(), reach: Reach::Tree }];
        let limits = Limits::STANDARD;
        let options = Options::new(1, 1, &limits);
        let owner = rustix::process::geteuid().as_raw();
        for user in [owner, owner + 1] {
            let (_, leads) = look_with_leads(&sights, &Exceptions::default(), user, &options);
            let leads: BTreeSet<_> = leads.into_iter().collect();
            assert_eq!(leads, ["bare", "link", "module/.git"].map(|path| top.join(path)).into(), "{user}");
        }
    }
}
