//! What an archive has held so far: each path once, nothing below a link or a file, hard links to files that came
//! before. A program that unpacks such an archive never writes through something that the archive made.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::error::Fault;
use crate::base::{Code, Digest, EntryPath, Escaped, Limits};

/// The paths that an archive has held so far.
#[derive(Debug)]
pub struct Entries<'l> {
    /// Where in `seen` each path stands.
    paths: HashMap<Box<[u8]>, usize>,
    seen: Vec<Seen>,
    limits: &'l Limits,
    /// Bytes of all paths.
    bytes: u64,
    /// The directory of the last member: it and those above it have been looked at.
    last_parent: Option<Box<[u8]>>,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// A directory that only the members below it tell of.
    Implied,
    /// A directory that is a member.
    Directory,
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
            path => EntryPath::new(path).map_err(|error| fault(&error.to_string())),
        },
    }
}

impl<'l> Entries<'l> {
    /// No paths yet.
    #[must_use]
    pub fn new(limits: &'l Limits) -> Self {
        Self { paths: HashMap::new(), seen: Vec::new(), limits, bytes: 0, last_parent: None }
    }

    /// Makes room for `count` paths, of which something that is trusted says that they will come.
    pub fn expect(&mut self, count: u64) {
        let count = usize::try_from(count.min(self.limits.entries_max)).unwrap_or(0);
        self.paths.reserve(count);
        self.seen.reserve(count);
    }

    /// Adds a member, unless it may not stand there. The second time a path comes, the first stays.
    pub fn admit(&mut self, path: &EntryPath, kind: Kind) -> Result<Admitted, Obstacle> {
        let bytes = path.as_bytes();
        self.check_limits(bytes)?;
        self.admit_parents(bytes)?;
        let new = match kind {
            Kind::Directory => Seen::Directory,
            Kind::Leaf(noun) => Seen::Other(noun),
        };
        let at = match self.paths.entry(bytes.into()) {
            Slot::Vacant(slot) => {
                self.bytes += bytes.len() as u64;
                self.seen.push(new);
                return Ok(Admitted(*slot.insert(self.seen.len() - 1)));
            }
            Slot::Occupied(slot) => *slot.get(),
        };
        match (self.seen.get_mut(at), kind) {
            (Some(seen @ Seen::Implied), Kind::Directory) => {
                *seen = new;
                Ok(Admitted(at))
            }
            (Some(Seen::Implied), Kind::Leaf(noun)) => {
                Err(Fault::new(Code::EntryBelowLink, "no member below a link or file", format!("{noun} above others"))
                    .into())
            }
            _ => Err(Fault::new(Code::DuplicateEntry, "each path once", "it again").into()),
        }
    }

    /// Notes the contents of a file, so that hard links to it can be followed.
    pub fn set_contents(&mut self, file: Admitted, contents: Contents) {
        if let Some(seen) = self.seen.get_mut(file.0) {
            *seen = Seen::File(contents);
        }
    }

    fn seen(&self, path: &[u8]) -> Option<Seen> {
        self.seen.get(*self.paths.get(path)?).copied()
    }

    /// The file at `path`, to which a hard link leads.
    pub fn target(&self, path: &EntryPath) -> Result<Contents, Obstacle> {
        let noun = match self.seen(path.as_bytes()) {
            Some(Seen::File(contents)) => return Ok(contents),
            Some(Seen::Other(noun)) => noun,
            Some(Seen::Directory | Seen::Implied) => "a directory",
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

    /// Makes sure that everything above `path` is a directory, from the bottom up to what is known already.
    fn admit_parents(&mut self, path: &[u8]) -> Result<(), Obstacle> {
        let parent = parent(path);
        if parent.is_none() || self.last_parent.as_deref() == parent {
            return Ok(());
        }
        let mut above = parent;
        while let Some(directory) = above {
            match self.seen(directory) {
                Some(Seen::Implied | Seen::Directory) => break,
                Some(Seen::File(_)) => return Err(below(directory, "a regular file")),
                Some(Seen::Other(noun)) => return Err(below(directory, noun)),
                None => {
                    self.bytes += directory.len() as u64;
                    self.paths.insert(directory.into(), self.seen.len());
                    self.seen.push(Seen::Implied);
                }
            }
            above = self::parent(directory);
        }
        self.last_parent = parent.map(Into::into);
        Ok(())
    }
}

fn below(directory: &[u8], noun: &str) -> Obstacle {
    let found = format!("one below `{}`, {noun}", Escaped(directory));
    Fault::new(Code::EntryBelowLink, "no member below a link or file", found).into()
}

/// The directory that a path lies in; `None` for the top.
fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path.get(..slash)
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
