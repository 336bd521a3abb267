//! What an archive has held so far: each path once, nothing below a link or a file, hard links to files that came
//! before. A program that unpacks such an archive never writes through something that the archive made.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::error::Fault;
use super::route::Route;
use crate::base::{Code, Digest, EntryPath, Escaped, Limits, split_name};

/// The paths that an archive has held so far.
#[derive(Debug)]
pub struct Entries<'l> {
    seen: Vec<Seen>,
    /// The names in each directory, and where in `seen` each stands. One map of all paths would be all over the memory
    /// where members come one directory after the other.
    directories: Vec<BTreeMap<Box<[u8]>, usize>>,
    limits: &'l Limits,
    /// Bytes of all paths.
    bytes: u64,
    /// The directory of the last member: where those on the way to it stand in `directories`.
    route: Route<usize>,
}

/// Where the top stands, both in what was seen and among the directories.
const TOP: usize = 0;

/// What stands at a path.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// A directory.
    Directory {
        /// Where it stands in `directories`.
        names: usize,
        /// Whether it is a member; else only those below it tell of it.
        is_member: bool,
    },
    /// A file whose contents were read.
    File(Contents),
    /// Anything else.
    Other(&'static str),
}

/// A path that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted(usize);

/// A file as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Index of its root.
    pub root: usize,
    /// Length in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// What a member adds to the paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Something that nothing may lie below: its noun.
    Leaf(&'static str),
}

/// A member may not stand where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Why.
    pub code: Code,
    /// What was expected.
    pub expected: &'static str,
    /// What was found, escaped.
    pub found: String,
}

impl From<Fault> for Obstacle {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code, expected: fault.expected, found: fault.found }
    }
}

/// Bytes of all paths: 250 for each of a million entries.
const PATHS_BYTES_MAX: u64 = 256 << 20;
/// Memory of an entry beside its name: what it is, its place in the names of its directory, and an allocation.
const ENTRY_BYTES: u64 = 160;
/// Memory of the names of a directory beside themselves: a node has room for eleven.
const DIRECTORY_BYTES: u64 = 320;

/// The path that a member's name means: one `./` in front is left out, and `.` is the top.
pub fn canonical(unverified_name: &[u8]) -> Result<EntryPath, Obstacle> {
    const EXPECTED: &str = "a relative path without empty, `.` or `..` components";
    let fault = |what: &str| {
        let found = format!("`{}`, which {what}", Escaped(unverified_name));
        Obstacle { code: Code::UnsafePath, expected: EXPECTED, found }
    };
    match unverified_name {
        b"" => Err(fault("is empty")),
        [b'/', ..] => Err(fault("is absolute")),
        b"." => Ok(EntryPath::root()),
        name => match name.strip_prefix(b"./").unwrap_or(name) {
            b"" => Err(fault("has an empty component")),
            // bsdtar takes these away, and what they stand for.
            [b'\\', ..] => Err(fault("begins with a backslash")),
            [letter, b':', ..] if letter.is_ascii_alphabetic() => Err(fault("begins with a drive letter")),
            path => EntryPath::new(path).map_err(|error| fault(&error.to_string())),
        },
    }
}

impl<'l> Entries<'l> {
    /// No paths yet.
    #[must_use]
    pub fn new(limits: &'l Limits) -> Self {
        let seen = vec![Seen::Directory { names: TOP, is_member: false }];
        Self { seen, directories: vec![BTreeMap::new()], limits, bytes: 0, route: Route::new(TOP) }
    }

    /// Makes room for `count` paths, of which something that is trusted says that they will come.
    pub fn expect(&mut self, count: u64) {
        self.seen.reserve(usize::try_from(count.min(self.limits.entries_max)).unwrap_or(0));
    }

    /// Memory that the paths take, bytes, rather more than less.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let directories = self.directories.len() as u64 * DIRECTORY_BYTES;
        self.bytes + self.seen.len() as u64 * ENTRY_BYTES + directories
    }

    /// Counts text that is kept beside the paths.
    pub fn count(&mut self, text: &[u8]) {
        self.bytes += text.len() as u64;
    }

    /// Adds a member, unless it may not stand there. The second time a path comes, the first stays.
    pub fn admit(&mut self, path: &EntryPath, kind: Kind) -> Result<Admitted, Obstacle> {
        let bytes = path.as_bytes();
        self.check_limits(bytes)?;
        let at = if bytes.is_empty() {
            TOP
        } else {
            let (directory, name) = split_name(bytes);
            let directory = self.directory(directory)?;
            let new = match kind {
                Kind::Directory => self.new_directory(true),
                Kind::Leaf(noun) => Seen::Other(noun),
            };
            match self.add(directory, name, new, bytes.len()) {
                Added::New(at) => return Ok(Admitted(at)),
                Added::Before(at) => at,
            }
        };
        match (self.seen.get_mut(at), kind) {
            (Some(Seen::Directory { is_member: is_member @ false, .. }), Kind::Directory) => {
                *is_member = true;
                Ok(Admitted(at))
            }
            (Some(Seen::Directory { is_member: false, .. }), Kind::Leaf(noun)) => {
                Err(Fault::new(Code::EntryBelowLink, "no member below a link or file", format!("{noun} above others"))
                    .into())
            }
            _ => Err(Fault::new(Code::DuplicateEntry, "each path once", "it again").into()),
        }
    }

    /// Notes the contents of a file, so that hard links to it can be followed.
    #[expect(clippy::indexing_slicing, reason = "what was admitted stays; a panic is a refusal")]
    pub fn set_contents(&mut self, file: Admitted, contents: Contents) {
        self.seen[file.0] = Seen::File(contents);
    }

    fn seen(&self, path: &[u8]) -> Option<Seen> {
        let mut at = TOP;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let Seen::Directory { names, .. } = self.seen.get(at)? else { return None };
            at = *self.directories.get(*names)?.get(name)?;
        }
        self.seen.get(at).copied()
    }

    /// The file at `path`, to which a hard link leads.
    pub fn target(&self, path: &EntryPath) -> Result<Contents, Obstacle> {
        let noun = match self.seen(path.as_bytes()) {
            Some(Seen::File(contents)) => return Ok(contents),
            Some(Seen::Other(noun)) => noun,
            Some(Seen::Directory { .. }) => "a directory",
            None => "which did not come before",
        };
        let found = format!("one to `{}`, {noun}", Escaped(path.as_bytes()));
        Err(Fault::new(Code::UnsafeHardlink, "a hard link to a file of the roots before it", found).into())
    }

    fn check_limits(&self, path: &[u8]) -> Result<(), Obstacle> {
        let limits = self.limits;
        let depth = path.split(|byte| *byte == b'/').count();
        let fault = |code, expected, found| Err(Fault::new(code, expected, found).into());
        if path.len() > limits.path_bytes_max {
            fault(Code::PathTooLong, "a path within the limit", format!("one of {} bytes", path.len()))
        } else if depth > limits.depth_max {
            fault(Code::TooDeep, "directories nested within the limit", format!("{depth} levels"))
        } else if self.seen.len() as u64 >= limits.entries_max || self.bytes > PATHS_BYTES_MAX {
            fault(Code::TooManyEntries, "a number of entries within the limit", "more".to_owned())
        } else {
            Ok(())
        }
    }

    /// The names of a directory, which it and those above it are from now on.
    fn directory(&mut self, path: &[u8]) -> Result<usize, Obstacle> {
        self.route.turn_to(path);
        while let Some(name) = self.route.next_name() {
            let end = name.end;
            let (above, new) = (*self.route.here(), self.new_directory(false));
            let (Added::New(at) | Added::Before(at)) = self.add(above, &path[name], new, end);
            let noun = match self.seen.get(at) {
                Some(Seen::Directory { names, .. }) => {
                    self.route.step(end, *names);
                    continue;
                }
                Some(Seen::Other(noun)) => noun,
                Some(Seen::File(_)) | None => "a regular file",
            };
            return Err(below(&path[..end], noun));
        }
        Ok(*self.route.here())
    }

    fn new_directory(&self, is_member: bool) -> Seen {
        Seen::Directory { names: self.directories.len(), is_member }
    }

    /// Adds a name to a directory, of a path of `len` bytes, unless it is there.
    #[expect(clippy::indexing_slicing, reason = "directories are never removed; a panic is a refusal")]
    fn add(&mut self, directory: usize, name: &[u8], new: Seen, len: usize) -> Added {
        let at = self.seen.len();
        match self.directories[directory].entry(name.into()) {
            Slot::Occupied(slot) => return Added::Before(*slot.get()),
            Slot::Vacant(slot) => _ = slot.insert(at),
        }
        self.bytes += len as u64;
        self.seen.push(new);
        if let Seen::Directory { .. } = new {
            self.directories.push(BTreeMap::new());
        }
        Added::New(at)
    }
}

/// Where in what was seen a name stands.
enum Added {
    New(usize),
    /// It stood there before.
    Before(usize),
}

fn below(directory: &[u8], noun: &str) -> Obstacle {
    let found = format!("one below `{}`, {noun}", Escaped(directory));
    Fault::new(Code::EntryBelowLink, "no member below a link or file", found).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(entries: &mut Entries<'_>, name: &str, kind: Kind) -> Result<(), Code> {
        let path = canonical(name.as_bytes()).map_err(|obstacle| obstacle.code)?;
        entries.admit(&path, kind).map(|_| ()).map_err(|obstacle| obstacle.code)
    }

    #[test]
    fn names_have_one_meaning() {
        for (name, path) in [(".", ""), ("./a", "a"), ("a/b", "a/b"), ("...", "..."), ("./..a", "..a")] {
            assert_eq!(canonical(name.as_bytes()).map(|path| path.as_bytes().to_vec()), Ok(path.into()), "{name}");
        }
        for name in ["", "/", "./", "/a", "a/", "a//b", "././a", ".//a", "..", "../a", "./../a", "a/..", "a/./b", "a\0"]
        {
            assert_eq!(canonical(name.as_bytes()).map_err(|obstacle| obstacle.code), Err(Code::UnsafePath), "{name}");
        }
    }

    #[test]
    fn paths_come_once_and_never_below_a_leaf() {
        const LINK: Kind = Kind::Leaf("a symlink");
        let mut entries = Entries::new(&Limits::STANDARD);
        for (name, kind, expected) in [
            ("a/b/c", LINK, Ok(())),
            ("a/b", Kind::Directory, Ok(())),
            ("a/b", Kind::Directory, Err(Code::DuplicateEntry)),
            ("./a/b/c", LINK, Err(Code::DuplicateEntry)),
            ("a/b/c/d", LINK, Err(Code::EntryBelowLink)),
            ("a/b/c/d/e", Kind::Directory, Err(Code::EntryBelowLink)),
            ("a/b/c/d/f", LINK, Err(Code::EntryBelowLink)),
            ("a/b/g", LINK, Ok(())),
            ("a", LINK, Err(Code::EntryBelowLink)),
            (".", Kind::Directory, Ok(())),
            ("b", LINK, Ok(())),
            ("b", Kind::Directory, Err(Code::DuplicateEntry)),
        ] {
            assert_eq!(admit(&mut entries, name, kind), expected, "{name}");
        }
        for name in [&b"a"[..], b"b", b"c"] {
            let target = entries.target(&canonical(name).unwrap());
            assert_eq!(target.map_err(|obstacle| obstacle.code), Err(Code::UnsafeHardlink));
        }
    }
}
