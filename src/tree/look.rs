//! A look at places that are not sealed, by what the file system says of each entry, and what differs between two
//! looks. No file is opened: the change time is the kernel's own, and no program can set it back.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Stat};
use rustix::io::Errno;

use super::Options;
use super::handle::{Directory, Kind, open_directory, stat_of};
use super::names::Names;
use super::stamp::Stamp;
use super::walk::{At, Crew, Trail, Visit, Worker, walk};
use crate::base::Code;

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
    /// The entry alone.
    Entry,
    /// The entry and, if it is a directory, what is directly in it.
    Names,
    /// The entry and all below it.
    Tree,
}

/// Paths that are not looked at, and nothing below them.
#[derive(Debug, Clone, Default)]
pub struct Exceptions {
    /// Names by the path of their directory.
    names: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

impl Exceptions {
    /// The absolute paths that are left out.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut names: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for path in paths {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                names.entry(key_of(parent)).or_default().insert(name.as_bytes().to_vec());
            }
        }
        Self { names }
    }

    /// Whether `path` is one of them or lies below one.
    #[must_use]
    pub fn cover(&self, path: &Path) -> bool {
        path.ancestors().any(|path| {
            let name = path.file_name().map(std::os::unix::ffi::OsStrExt::as_bytes);
            path.parent().zip(name).is_some_and(|(parent, name)| self.within(&key_of(parent)).any(|one| one == name))
        })
    }

    /// Whether one of them lies below `path`.
    #[must_use]
    pub fn lie_below(&self, path: &Path) -> bool {
        self.names.keys().any(|parent| Path::new(std::ffi::OsStr::from_bytes(parent)).starts_with(path))
    }

    fn within(&self, directory: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.names.get(directory).into_iter().flatten().map(Vec::as_slice)
    }
}

/// `/` has no slash after it in paths of what is in it.
fn key_of(directory: &Path) -> Vec<u8> {
    match directory.as_os_str().as_bytes() {
        b"/" => Vec::new(),
        bytes => bytes.to_vec(),
    }
}

/// What was to be seen. Only what this user could change is kept: of the rest, a restore by this user cannot.
#[derive(Debug, Default)]
pub struct Look {
    /// The places themselves; `None` for what is not there.
    tops: BTreeMap<Vec<u8>, Option<Stamp>>,
    listings: BTreeMap<Vec<u8>, Listing>,
    /// Directories that could not be read.
    closed: BTreeSet<Vec<u8>>,
    obstacles: Vec<Obstacle>,
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
}

/// One entry that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// What happened to it.
    pub change: Change,
}

/// What happened to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created(Kind),
    /// It is not there any more; this is what it was.
    Removed(Kind),
    /// It was written to, replaced, or given other rights; in words.
    Changed(String),
}

/// The entries of one directory, sorted by their names.
#[derive(Debug, Default)]
struct Listing {
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

    fn iter(&self) -> impl Iterator<Item = (&[u8], &Stamp)> {
        let mut start = 0;
        self.entries.iter().map(move |(end, stamp)| {
            let name = self.names.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            (name, stamp)
        })
    }
}

/// Looks at places. `user` is the effective user id of this process.
#[must_use]
pub fn look(sights: &[Sight], except: &Exceptions, user: u32, options: &Options<'_>) -> Look {
    let mut look = Look::default();
    let entries = AtomicU64::new(0);
    for sight in sights.iter().filter(|sight| !except.cover(&sight.path)) {
        let path = key_of(&sight.path);
        let top = match rustix::fs::statat(CWD, &sight.path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(Stamp::of(&stat)),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(errno) => {
                look.obstacle(Code::Unreadable, path, errno);
                continue;
            }
        };
        look.tops.insert(path.clone(), top);
        if sight.reach == Reach::Entry || top.is_none_or(|top| top.kind() != Kind::Directory) {
            continue;
        }
        let root = match open_directory(CWD, sight.path.as_os_str().as_bytes()) {
            Ok(root) => root,
            Err(errno) => {
                look.closed.insert(path.clone());
                look.obstacle(Code::Unreadable, path, errno);
                continue;
            }
        };
        let visit =
            LookVisit { top: &path, recurse: sight.reach == Reach::Tree, except, user, options, entries: &entries };
        for part in walk(&visit, root, (), Crew::whole(options)) {
            look.add(part);
        }
    }
    look
}

impl Look {
    fn obstacle(&mut self, code: Code, path: Vec<u8>, found: impl std::fmt::Display) {
        self.obstacles.push(Obstacle { code, path, found: found.to_string() });
    }

    fn add(&mut self, part: Part) {
        self.listings.extend(part.listings);
        self.closed.extend(part.closed);
        self.obstacles.extend(part.obstacles);
    }

    /// The mode of an entry: its type and permission bits. `None` for one that it does not know.
    #[must_use]
    pub fn mode(&self, path: &Path) -> Option<u32> {
        let listed = || {
            let name = path.file_name()?.as_bytes();
            let listing = self.listings.get(&key_of(path.parent()?))?;
            listing.iter().find(|(one, _)| *one == name).map(|(_, stamp)| *stamp)
        };
        let top = self.tops.get(&key_of(path)).copied().flatten();
        top.or_else(listed).map(|stamp| stamp.mode())
    }

    /// The number of entries that it knows.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let listed: usize = self.listings.values().map(|listing| listing.entries.len()).sum();
        (listed + self.tops.values().flatten().count()) as u64
    }

    /// What could not be looked at.
    #[must_use]
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }

    /// What differs in a later look at the same places, in no particular order.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<Difference> {
        let mut found = Found { before: self, after: later, differences: Vec::new() };
        for path in self.tops.keys().chain(later.tops.keys().filter(|path| !self.tops.contains_key(*path))) {
            let of = |look: &Self| look.tops.get(path).copied().flatten();
            found.entry(path, of(self).as_ref(), of(later).as_ref());
        }
        let nothing = Listing::default();
        for (directory, before) in &self.listings {
            found.listing(directory, before, later.listings.get(directory).unwrap_or(&nothing));
        }
        for (directory, after) in &later.listings {
            if !self.listings.contains_key(directory) {
                found.listing(directory, &nothing, after);
            }
        }
        found.differences
    }
}

struct Found<'a> {
    before: &'a Look,
    after: &'a Look,
    differences: Vec<Difference>,
}

impl Found<'_> {
    /// Goes through two sorted listings of one directory side by side.
    fn listing(&mut self, directory: &[u8], before: &Listing, after: &Listing) {
        let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (Some((one, _)), Some((other, _))) => one.cmp(other),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return,
            };
            let one = if order.is_le() { before.next() } else { None };
            let other = if order.is_ge() { after.next() } else { None };
            let (one_stamp, other_stamp) = (one.map(|(_, stamp)| stamp), other.map(|(_, stamp)| stamp));
            // Most entries are as they were, and cost no path.
            if one_stamp == other_stamp {
                continue;
            }
            let name = one.or(other).map_or(&b""[..], |(name, _)| name);
            self.entry(&join(directory, name), one_stamp, other_stamp);
        }
    }

    fn entry(&mut self, path: &[u8], before: Option<&Stamp>, after: Option<&Stamp>) {
        let change = match (before, after) {
            (None, None) => return,
            (None, Some(after)) => Change::Created(after.kind()),
            (Some(before), None) => Change::Removed(before.kind()),
            (Some(before), Some(after)) => {
                let closed = self.before.closed.contains(path) || self.after.closed.contains(path);
                match before.change(after, closed) {
                    Some(words) => Change::Changed(words),
                    None => return,
                }
            }
        };
        self.differences.push(Difference { path: path.to_vec(), change });
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}

struct LookVisit<'a> {
    top: &'a [u8],
    recurse: bool,
    except: &'a Exceptions,
    user: u32,
    options: &'a Options<'a>,
    entries: &'a AtomicU64,
}

#[derive(Default)]
struct Part {
    listings: Vec<(Vec<u8>, Listing)>,
    closed: BTreeSet<Vec<u8>>,
    obstacles: Vec<Obstacle>,
}

impl LookVisit<'_> {
    fn path(&self, trail: &Trail) -> Vec<u8> {
        let below = trail.path(b"");
        if below.is_empty() { self.top.to_vec() } else { join(self.top, &below) }
    }

    /// Whether the directory is within the limits. Beyond them nothing is known, so the walk ends.
    fn limits(&self, at: &At<'_, ()>, names: &Names, worker: &mut Worker<(), Part>) -> bool {
        let limits = self.options.limits;
        let entries = self.entries.fetch_add(names.len() as u64, Ordering::Relaxed) + names.len() as u64;
        let exceeded = if entries > limits.entries_max {
            (Code::TooManyEntries, format!("more than {} entries", limits.entries_max))
        } else if at.trail.depth > limits.depth_max {
            (Code::TooDeep, format!("deeper than {}", limits.depth_max))
        } else if at.trail.path_len(b"") > limits.path_bytes_max {
            (Code::PathTooLong, format!("longer than {}", limits.path_bytes_max))
        } else {
            return true;
        };
        let (code, found) = exceeded;
        worker.found.obstacles.push(Obstacle { code, path: self.path(at.trail), found });
        worker.stop();
        false
    }

    /// Whether this user could write to an entry, or give itself the right. Access control lists can only add to
    /// what the group bits say, and show in them.
    fn can_write(&self, stat: &Stat) -> bool {
        let open = Kind::of_stat(stat) != Kind::Link && super::handle::mode_of(stat) & 0o022 != 0;
        self.user == 0 || stat.st_uid == self.user || open
    }
}

impl Visit for LookVisit<'_> {
    type Place = ();
    type Found = Part;

    fn directory(&self, at: &At<'_, ()>, names: &mut Names, worker: &mut Worker<(), Part>) -> bool {
        if !self.limits(at, names, worker) {
            return false;
        }
        let path = self.path(at.trail);
        let unlocked = match stat_of(at.fd) {
            Ok(stat) => self.can_write(&stat),
            Err(_) => true,
        };
        let left_out: Vec<_> = self.except.within(&path).collect();
        let mut listing = Listing::default();
        names.sort();
        for (name, _) in names.iter().filter(|(name, _)| !left_out.contains(name)) {
            let stat = match rustix::fs::statat(at.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It went away between the two calls.
                Err(Errno::NOENT) => continue,
                Err(errno) => {
                    let found = std::io::Error::from(errno).to_string();
                    worker.found.obstacles.push(Obstacle { code: Code::Unreadable, path: join(&path, name), found });
                    continue;
                }
            };
            if unlocked || self.can_write(&stat) {
                listing.push(name, Stamp::of(&stat));
            }
            if self.recurse && Kind::of_stat(&stat) == Kind::Directory {
                worker.enter(name, ());
            }
        }
        worker.found.listings.push((path, listing));
        false
    }

    fn obstacle(&self, trail: &Trail, (): (), errno: Errno, part: &mut Part) {
        // What went away, or became something else, shows in the directory above.
        if matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) {
            return;
        }
        let path = self.path(trail);
        part.closed.insert(path.clone());
        part.obstacles.push(Obstacle { code: Code::Unreadable, path, found: std::io::Error::from(errno).to_string() });
    }
}

/// The path with the symlinks of every directory that exists resolved: where the kernel would put it.
#[must_use]
pub fn resolve(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let Ok(canonical) = std::fs::canonicalize(there) {
            return match path.strip_prefix(there) {
                Ok(rest) if !rest.as_os_str().is_empty() => canonical.join(rest),
                _ => canonical,
            };
        }
    }
    path.to_path_buf()
}

/// Whether something has this name, a symlink that leads nowhere included.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Whether nothing is at `path`, or an empty real directory; and else what is.
pub fn is_vacant(path: &Path) -> std::io::Result<Result<(), Kind>> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Ok(())),
        Err(errno) => Err(errno.into()),
        Ok(stat) => match Kind::of_stat(&stat) {
            Kind::Directory if Directory::open(path)?.is_empty()? => Ok(Ok(())),
            kind => Ok(Err(kind)),
        },
    }
}
