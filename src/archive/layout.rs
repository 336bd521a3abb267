//! Where in an archive the roots and the seal lie. `CircleCI` writes them below `home/circleci/…`, `tar -C` below
//! nothing, `pack` below `home/` and `checkout/`: an archive has one home and one checkout, and whatever they are, all
//! of its members agree on them. What lies elsewhere is stray.

use super::entries::{Obstacle, canonical};
use crate::base::{Code, EntryPath, Escaped};
use crate::policy::{RootBase, RootPath};
use crate::seal::SEALS;

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
    home: Option<Vec<Vec<u8>>>,
    checkout: Option<Vec<Vec<u8>>>,
    /// Paths of the roots and of the seal, as far as home and checkout are known.
    known: Vec<(Vec<u8>, Part)>,
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
    /// The name that the command line says it has in the archive.
    mapped: Option<Vec<u8>>,
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
    pub fn new<'r>(cache: &str, roots: impl IntoIterator<Item = &'r RootPath>, mapped: &[(Vec<u8>, usize)]) -> Self {
        let bytes = |components: &[String]| components.iter().map(|name| name.as_bytes().to_vec()).collect();
        let wanted = |(index, root): (usize, &RootPath)| Wanted {
            base: root.base,
            components: bytes(&root.components),
            mapped: mapped.iter().find(|(_, root)| *root == index).map(|(name, _)| name.clone()),
        };
        let mut layout = Self {
            roots: roots.into_iter().enumerate().map(wanted).collect(),
            seal: vec![SEALS.as_bytes().to_vec(), cache.as_bytes().to_vec()],
            home: None,
            checkout: None,
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
        let place = self.new_place(&components(path.as_bytes()), &path)?;
        Ok((path, place))
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
        let to_root = |root: &Wanted| match &root.mapped {
            Some(name) => canonical(name).is_ok_and(|name| components(name.as_bytes()).starts_with(&path)),
            None => leads_to(self.prefix(root.base).as_ref(), &root.components),
        };
        leads_to(self.checkout.as_ref(), &self.seal) || self.roots.iter().any(to_root)
    }

    /// Home and checkout as the archive has them, escaped; `None` for one that no member has told of.
    #[must_use]
    pub fn found(&self) -> (Option<String>, Option<String>) {
        let text = |prefix: &Option<Vec<Vec<u8>>>| prefix.as_ref().map(|names| Escaped(&names.join(&b'/')).to_string());
        (text(&self.home), text(&self.checkout))
    }

    /// The root that the command line maps a name to, and the path below it.
    fn mapped(&self, unverified_name: &[u8]) -> Result<Option<(usize, EntryPath)>, Obstacle> {
        for (index, root) in self.roots.iter().enumerate() {
            let Some(name) = root.mapped.as_deref() else { continue };
            if name == b"." {
                return canonical(unverified_name).map(|below| Some((index, below)));
            }
            match unverified_name.strip_prefix(name) {
                Some(b"") => return Ok(Some((index, EntryPath::root()))),
                Some([b'/', below @ ..]) => return canonical(below).map(|below| Some((index, below))),
                _ => {}
            }
        }
        Ok(None)
    }

    fn prefix(&self, base: RootBase) -> Option<Vec<Vec<u8>>> {
        match base {
            RootBase::Home => self.home.clone(),
            RootBase::Policy => self.checkout.clone(),
            RootBase::Filesystem => Some(self.filesystem()),
        }
    }

    /// The root of the file system is the archive's own, but in an archive of `pack`.
    fn filesystem(&self) -> Vec<Vec<u8>> {
        let is_packed = self.checkout.as_ref().is_some_and(|names| names.concat() == packed::CHECKOUT.as_bytes());
        if is_packed { vec![packed::FILESYSTEM.as_bytes().to_vec()] } else { Vec::new() }
    }

    /// Notes the paths that follow from what is known.
    fn learn(&mut self) {
        let full = |prefix: Vec<Vec<u8>>, names: &[Vec<u8>]| [&prefix, names].concat().join(&b'/');
        let unmapped = self.roots.iter().enumerate().filter(|(_, root)| root.mapped.is_none());
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

    /// A place that tells where home or the checkout is: where a root or the seal is met first on the way down.
    fn new_place(&mut self, path: &[&[u8]], whole: &EntryPath) -> Result<Place, Obstacle> {
        let roots = self.roots.iter().filter(|root| root.mapped.is_none() && root.base != RootBase::Filesystem);
        let wanted = roots.map(|root| (root.base, root.components.as_slice()));
        let wanted: Vec<_> = wanted.chain([(RootBase::Policy, self.seal.as_slice())]).collect();
        // What is in another place than the one that is known cannot be meant: of two readings it is the other.
        let is_known = |base| if base == RootBase::Home { self.home.is_some() } else { self.checkout.is_some() };
        let met = wanted.iter().filter_map(|(base, names)| Some((first_run(path, names)?, is_known(*base), *base)));
        let Some((at, known, base)) = met.clone().min_by_key(|(at, known, _)| (*at, *known)) else {
            return Ok(Place::Elsewhere);
        };
        if met.clone().any(|other| (other.0, other.1) == (at, known) && other.2 != base) {
            return Err(ambiguous(
                "each member in one root",
                format!("`{}`, which fits two", Escaped(whole.as_bytes())),
            ));
        }
        let found: Vec<Vec<u8>> = path.get(..at).unwrap_or_default().iter().map(|name| name.to_vec()).collect();
        let (known, what) = match base {
            RootBase::Home => (&mut self.home, "one home in the archive"),
            _ => (&mut self.checkout, "one checkout in the archive"),
        };
        if known.is_some() {
            return Err(ambiguous(what, format!("`{}`, below another", Escaped(whole.as_bytes()))));
        }
        *known = Some(found);
        self.learn();
        Ok(self.known_place(whole).unwrap_or(Place::Elsewhere))
    }
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
    canonical(&path)
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
mod tests {
    use super::*;

    fn root(spelling: &str) -> RootPath {
        RootPath::parse(spelling).unwrap()
    }

    fn layout(roots: &[&str], mapped: &[(&str, usize)]) -> Layout {
        let roots: Vec<_> = roots.iter().map(|spelling| root(spelling)).collect();
        let mapped: Vec<_> = mapped.iter().map(|(name, root)| (name.as_bytes().to_vec(), *root)).collect();
        Layout::new("deps", &roots, &mapped)
    }

    fn place(layout: &mut Layout, name: &str) -> String {
        match layout.place(name.as_bytes()).map(|(_, place)| place) {
            Ok(Place::Root(index, path)) => format!("{index}:{}", Escaped(path.as_bytes())),
            Ok(Place::Seal(path)) => format!("seal:{}", Escaped(path.as_bytes())),
            Ok(Place::Elsewhere) => "elsewhere".to_owned(),
            Err(obstacle) => obstacle.code.to_string(),
        }
    }

    #[test]
    fn one_home_and_one_checkout_are_found() {
        let roots = ["~/.cargo/registry", "vendor", "/opt/tools"];
        for (home, checkout, top) in
            [("home/ci/", "home/ci/project/", ""), ("", "", ""), ("home/", "checkout/", "root/")]
        {
            let mut layout = layout(&roots, &[]);
            for (name, expected) in [
                (format!("{checkout}.cacheseal/deps/seal.json"), "seal:seal.json"),
                (format!("{home}.cargo/registry"), "0:"),
                (format!("{home}.cargo/registry/a/vendor/b"), "0:a/vendor/b"),
                (format!("{checkout}vendor/x/vendor/y"), "1:x/vendor/y"),
                (format!("{top}opt/tools/z"), "2:z"),
                (format!("{home}.cargo/config.toml"), "elsewhere"),
                ("else/.cargo/registry/a".to_owned(), "ambiguous-layout"),
                ("else/vendor".to_owned(), "ambiguous-layout"),
                ("else/.cacheseal/deps".to_owned(), "ambiguous-layout"),
                (format!("{checkout}.cacheseal/other/seal.json"), "elsewhere"),
                ("../vendor".to_owned(), "unsafe-path"),
            ] {
                assert_eq!(place(&mut layout, &name), expected, "{name}");
            }
            let is_passage = |path: String| layout.is_passage(&canonical(path.as_bytes()).unwrap());
            assert!(is_passage(format!("{home}.cargo")) && is_passage(format!("{checkout}.cacheseal")));
            assert!(!is_passage(format!("{home}.ssh")) && is_passage(".".to_owned()));
        }
    }

    #[test]
    fn the_outermost_root_is_met_first() {
        let mut layout = layout(&["node_modules"], &[]);
        assert_eq!(place(&mut layout, "app/node_modules/a/node_modules/b"), "0:a/node_modules/b");
        assert_eq!(place(&mut layout, "app/.cacheseal/deps/seal.json"), "seal:seal.json");
    }

    #[test]
    fn a_member_that_fits_two_roots_is_ambiguous() {
        assert_eq!(place(&mut layout(&["~/a", "a"], &[]), "a/b"), "ambiguous-layout");
        assert_eq!(place(&mut layout(&["~/a", "a"], &[("a", 1)]), "a/b"), "1:b");
        // Where the checkout is known, only home can be meant.
        let mut packed = layout(&["~/a", "a"], &[]);
        for (name, expected) in [
            ("checkout/.cacheseal/deps/seal.json", "seal:seal.json"),
            ("checkout/a/b", "1:b"),
            ("home/a/b", "0:b"),
            ("else/a/b", "ambiguous-layout"),
        ] {
            assert_eq!(place(&mut packed, name), expected, "{name}");
        }
    }

    #[test]
    fn mapped_names_need_not_be_safe() {
        let mut layout = layout(&["~/.npm", "deps"], &[("/home/runner/.npm", 0), ("../../deps", 1)]);
        assert_eq!(place(&mut layout, "/home/runner/.npm/a"), "0:a");
        assert_eq!(place(&mut layout, "../../deps/b"), "1:b");
        assert_eq!(place(&mut layout, "../../deps/../b"), "unsafe-path");
        assert_eq!(place(&mut layout, "/home/runner/.npmrc"), "unsafe-path");
        let paths = ["/home/runner/.npm/a", "../../deps/a"].map(|name| layout.place(name.as_bytes()).unwrap().0);
        assert_ne!(paths[0], paths[1]);
    }
}
