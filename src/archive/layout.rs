//! Where in an archive the roots and the seal lie. `CircleCI` writes them below `home/circleci/…`, `tar -C` below
//! nothing, `pack` below `home/` and `checkout/`, and the orb as `pack` does, in one directory of home: an archive has one
//! home, one checkout and one root of the file system. Each is where the first member says that lies in it, and all others
//! agree. What lies elsewhere is stray.

use super::entries::{Obstacle, canonical};
use super::shape;
use crate::base::{Code, EntryPath, Escaped};
use crate::policy::{RootBase, RootPath};
use crate::seal::SEALS;

/// The directory of home in which the orb saves a cache, without the cache's name: below it, parts are as `pack` has them.
const TRAVELLING: &str = ".cacheseal-";

/// Where an archive that `pack` makes has its parts.
pub mod packed {
    /// The policy's directory, with the seal.
    pub const CHECKOUT: &str = "checkout";
    /// The user's home.
    pub const HOME: &str = "home";
    /// The root of the file system.
    pub const FILESYSTEM: &str = "root";
}

/// Where the roots and the seal of one cache lie in an archive, as far as its members have told.
#[derive(Debug)]
pub struct Layout {
    roots: Vec<Wanted>,
    seal: Vec<Vec<u8>>,
    /// Names in the archive that the command line maps, the longest first, and their roots.
    mapped: Vec<(Vec<u8>, usize)>,
    home: Option<Vec<Vec<u8>>>,
    checkout: Option<Vec<Vec<u8>>>,
    filesystem: Option<Vec<Vec<u8>>>,
    /// Home or checkout lie where nobody expects them.
    unexpected: Option<Obstacle>,
    /// Paths of the roots and of the seal, as far as the places that they are below are known.
    known: Vec<(Vec<u8>, Part)>,
}

/// Where home and checkout are in the archive, as the command line says; else they have one of the usual shapes.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The user's home.
    pub home: Option<EntryPath>,
    /// The policy's directory.
    pub checkout: Option<EntryPath>,
}

/// What lies at a path that is known.
#[derive(Debug, Clone, Copy)]
enum Part {
    Root(usize),
    Seal,
}

/// A root to look for.
#[derive(Debug)]
struct Wanted {
    base: RootBase,
    components: Vec<Vec<u8>>,
    is_mapped: bool,
}

/// Where a member belongs.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// Into a root: its index, and the path below it; empty for the root itself.
    Root(usize, EntryPath),
    /// Into the seal's directory: the path below it; empty for the directory itself.
    Seal(EntryPath),
    /// Nowhere that is known so far.
    Elsewhere,
}

impl Layout {
    /// Looks for the seal of `cache` and for `roots`. `mapped` has names in the archive and the roots that they are.
    #[must_use]
    pub fn new<'r>(
        cache: &str,
        roots: impl IntoIterator<Item = &'r RootPath>,
        mapped: &[(Vec<u8>, usize)],
        expected: &Expected,
    ) -> Self {
        let bytes = |components: &[String]| components.iter().map(|name| name.as_bytes().to_vec()).collect();
        let wanted = |(index, root): (usize, &RootPath)| Wanted {
            base: root.base,
            components: bytes(&root.components),
            is_mapped: mapped.iter().any(|(_, root)| *root == index),
        };
        let given = |path: &Option<EntryPath>| path.as_ref().map(|path| owned(&components(path.as_bytes())));
        let mut mapped = mapped.to_vec();
        // The dot is all that no other name is.
        mapped.sort_by_key(|(name, _)| std::cmp::Reverse(if name == b"." { 0 } else { name.len() }));
        let mut layout = Self {
            roots: roots.into_iter().enumerate().map(wanted).collect(),
            seal: vec![SEALS.as_bytes().to_vec(), cache.as_bytes().to_vec()],
            mapped,
            home: given(&expected.home),
            checkout: given(&expected.checkout),
            filesystem: None,
            unexpected: None,
            known: Vec::new(),
        };
        layout.learn();
        layout
    }

    /// The place of a member, and its path in the archive. A name that is mapped needs not be safe: nothing is ever
    /// written by it.
    pub fn place(&mut self, unverified_name: &[u8]) -> Result<(EntryPath, Place), Obstacle> {
        if let Some((index, below)) = self.mapped(unverified_name)? {
            return Ok((mapped_path(unverified_name, index, &below)?, Place::Root(index, below)));
        }
        let path = canonical(unverified_name)?;
        if let Some(place) = self.known_place(&path) {
            return Ok((path, place));
        }
        if self.find_travelling(&components(path.as_bytes())) {
            return Ok((path.clone(), self.known_place(&path).unwrap_or(Place::Elsewhere)));
        }
        let place = self.new_place(&components(path.as_bytes()), &path)?;
        Ok((path, place))
    }

    /// Whether this is the first member, on the way down, of the directory in which the orb saves the cache. Then all
    /// parts are in it. Where one is known already, it is a name like any other.
    fn find_travelling(&mut self, path: &[&[u8]]) -> bool {
        let is_known = self.home.is_some() || self.checkout.is_some() || self.filesystem.is_some();
        let cache = self.seal.last().map_or(&b""[..], Vec::as_slice);
        let is_it = |name: &&[u8]| name.strip_prefix(TRAVELLING.as_bytes()) == Some(cache);
        let Some(at) = path.iter().position(is_it).filter(|at| !is_known && shape::is_home(&path[..*at])) else {
            return false;
        };
        let part = |name: &str| {
            let top = path.iter().take(at + 1).map(|name| name.to_vec());
            Some(top.chain([name.as_bytes().to_vec()]).collect())
        };
        self.home = part(packed::HOME);
        self.checkout = part(packed::CHECKOUT);
        self.filesystem = part(packed::FILESYSTEM);
        self.learn();
        true
    }

    /// Whether a directory member is on the way to a root or the seal.
    #[must_use]
    pub fn is_passage(&self, path: &EntryPath) -> bool {
        let path = components(path.as_bytes());
        let leads_to = |prefix: Option<&Vec<Vec<u8>>>, rest: &[Vec<u8>]| {
            let Some(prefix) = prefix else { return false };
            let full: Vec<&[u8]> = prefix.iter().chain(rest).map(Vec::as_slice).collect();
            full.len() > path.len() && full.starts_with(&path)
        };
        let is_to_mapped = |(name, _): &(Vec<u8>, usize)| {
            canonical(name).is_ok_and(|name| components(name.as_bytes()).starts_with(&path))
        };
        let is_to_root = |root: &Wanted| {
            // What was not met at all would lie at the archive's top.
            let prefix = self.prefix(root.base).or_else(|| (root.base == RootBase::Filesystem).then(Vec::new));
            !root.is_mapped && leads_to(prefix.as_ref(), &root.components)
        };
        leads_to(self.checkout.as_ref(), &self.seal)
            || self.roots.iter().any(is_to_root)
            || self.mapped.iter().any(is_to_mapped)
    }

    /// Why home or checkout cannot be meant where the archive has them.
    #[must_use]
    pub fn unexpected(&mut self) -> Option<Obstacle> {
        self.unexpected.take()
    }

    /// Home and checkout as the archive has them, escaped; `None` for one that no member has told of.
    #[must_use]
    pub fn found(&self) -> (Option<String>, Option<String>) {
        let text = |prefix: &Option<Vec<Vec<u8>>>| prefix.as_ref().map(|names| Escaped(&names.join(&b'/')).to_string());
        (text(&self.home), text(&self.checkout))
    }

    /// The root that the command line maps a name to, and the path below it.
    fn mapped(&self, unverified_name: &[u8]) -> Result<Option<(usize, EntryPath)>, Obstacle> {
        for (name, index) in &self.mapped {
            if name == b"." {
                return canonical(unverified_name).map(|below| Some((*index, below)));
            }
            match unverified_name.strip_prefix(name.as_slice()) {
                Some(b"") => return Ok(Some((*index, EntryPath::root()))),
                Some([b'/', below @ ..]) => return canonical(below).map(|below| Some((*index, below))),
                _ => {}
            }
        }
        Ok(None)
    }

    fn prefix(&self, base: RootBase) -> Option<Vec<Vec<u8>>> {
        match base {
            RootBase::Home => self.home.clone(),
            RootBase::Policy => self.checkout.clone(),
            RootBase::Filesystem => self.filesystem.clone(),
        }
    }

    /// Notes the paths that follow from what is known.
    fn learn(&mut self) {
        let full = |prefix: Vec<Vec<u8>>, names: &[Vec<u8>]| [&prefix, names].concat().join(&b'/');
        let unmapped = self.roots.iter().enumerate().filter(|(_, root)| !root.is_mapped);
        let roots =
            unmapped.filter_map(|(at, root)| Some((full(self.prefix(root.base)?, &root.components), Part::Root(at))));
        let seal = self.checkout.clone().map(|checkout| (full(checkout, &self.seal), Part::Seal));
        self.known = roots.chain(seal).collect();
    }

    /// A place under the home, checkout or file system that is known.
    fn known_place(&self, path: &EntryPath) -> Option<Place> {
        self.known.iter().find_map(|(directory, part)| {
            let below = path.below(directory)?;
            Some(match part {
                Part::Root(index) => Place::Root(*index, below),
                Part::Seal => Place::Seal(below),
            })
        })
    }

    /// A place that tells where home, checkout or `/` are: where a root or the seal is met first on the way down.
    fn new_place(&mut self, path: &[&[u8]], whole: &EntryPath) -> Result<Place, Obstacle> {
        let roots =
            self.roots.iter().filter(|root| !root.is_mapped).map(|root| (root.base, root.components.as_slice()));
        let wanted = roots.chain([(RootBase::Policy, self.seal.as_slice())]);
        // What is in another place than the one that is known cannot be meant: of two readings it is the other.
        let met = wanted.filter_map(|(base, names)| {
            let at = if base == RootBase::Filesystem { self.below_top(path, names) } else { first_run(path, names) };
            Some((at?, self.prefix(base).is_some(), base))
        });
        let met: Vec<_> = met.collect();
        let Some((at, known, base)) = met.iter().copied().min_by_key(|(at, known, _)| (*at, *known)) else {
            return Ok(Place::Elsewhere);
        };
        let found = || format!("`{}`", Escaped(whole.as_bytes()));
        if met.iter().any(|other| (other.0, other.1) == (at, known) && other.2 != base) {
            return Err(ambiguous("each member in one root", format!("{}, which fits two", found())));
        }
        if known {
            let what = match base {
                RootBase::Home => "one home in the archive",
                RootBase::Policy => "one checkout in the archive",
                RootBase::Filesystem => "one place in the archive for roots that begin with `/`",
            };
            return Err(ambiguous(what, format!("{}, below another", found())));
        }
        let place: Vec<&[u8]> = path.iter().take(at).copied().collect();
        if !shape::is_printable(&place) {
            let expected = "names without control characters on the way to home and checkout";
            return Err(Obstacle { code: Code::UnsafePath, expected, found: found() });
        }
        self.fix(base, &place);
        Ok(self.known_place(whole).unwrap_or(Place::Elsewhere))
    }

    /// Where a root that begins with `/` is met: at the archive's top, or below `root` if `pack` may have written it.
    fn below_top(&self, path: &[&[u8]], names: &[Vec<u8>]) -> Option<usize> {
        let is_packed = self.checkout.as_ref().is_none_or(|names| names.concat() == packed::CHECKOUT.as_bytes());
        let starts =
            |path: &[&[u8]]| path.len() >= names.len() && path.iter().zip(names).all(|(one, other)| one == other);
        match path {
            [first, rest @ ..] if is_packed && *first == packed::FILESYSTEM.as_bytes() && starts(rest) => Some(1),
            path => starts(path).then_some(0),
        }
    }

    /// Notes where home, checkout or `/` are, for good.
    fn fix(&mut self, base: RootBase, place: &[&[u8]]) {
        match base {
            RootBase::Home => {
                if !shape::is_home(place) {
                    self.unexpected = Some(unexpected("a home where homes are", "home", place));
                }
                self.home = Some(owned(place));
            }
            RootBase::Policy => {
                if !shape::is_checkout(place) {
                    self.unexpected = Some(unexpected("a checkout where checkouts are", "checkout", place));
                }
                self.checkout = Some(owned(place));
            }
            RootBase::Filesystem => {
                if !place.is_empty() {
                    self.checkout.get_or_insert_with(|| vec![packed::CHECKOUT.as_bytes().to_vec()]);
                }
                self.filesystem = Some(owned(place));
            }
        }
        self.learn();
    }
}

fn unexpected(expected: &'static str, what: &str, place: &[&[u8]]) -> Obstacle {
    let joined = place.join(&b'/');
    let place = Escaped(&joined);
    ambiguous(expected, format!("it in `{place}`; if it belongs there, say `--{what} {place}`"))
}

fn owned(names: &[&[u8]]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.to_vec()).collect()
}

/// A path for a name that may be no safe one: then it stands below a component that no honest archive has.
fn mapped_path(unverified_name: &[u8], root: usize, below: &EntryPath) -> Result<EntryPath, Obstacle> {
    if let Ok(path) = canonical(unverified_name) {
        return Ok(path);
    }
    let mut path = format!("\\root\\{root}").into_bytes();
    if !below.as_bytes().is_empty() {
        path.push(b'/');
        path.extend_from_slice(below.as_bytes());
    }
    EntryPath::new(&path).map_err(|error| Obstacle {
        code: Code::UnsafePath,
        expected: "a path below the name that is mapped",
        found: format!("`{}`, which {error}", Escaped(&path)),
    })
}

fn ambiguous(expected: &'static str, found: String) -> Obstacle {
    Obstacle { code: Code::AmbiguousLayout, expected, found }
}

/// The names of a path; none for the top.
fn components(path: &[u8]) -> Vec<&[u8]> {
    if path.is_empty() { Vec::new() } else { path.split(|byte| *byte == b'/').collect() }
}

/// Where `names` stand one after the other in `path` for the first time.
fn first_run(path: &[&[u8]], names: &[Vec<u8>]) -> Option<usize> {
    path.windows(names.len()).position(|window| window.iter().zip(names).all(|(component, name)| component == name))
}

#[cfg(test)]
mod tests;
