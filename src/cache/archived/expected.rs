//! The members of an archive held against the manifests of a trusted seal, in whatever order they come.

use crate::archive::{Member, MemberKind, Route};
use crate::base::{Code, Digest, Refusal, Refusals, place, split_name};
use crate::seal::manifest::{LINK_INSIDE, Listing, Manifest, Node, forbidden_bits, leaves_root, link_text, missing};
use crate::tree::all_missing;

/// All roots of a seal, and what of them has been seen.
#[derive(Debug)]
pub(super) struct ExpectedTrees {
    roots: Vec<ExpectedRoot>,
    /// Whether symlinks that leave their root are refused.
    links_inside: bool,
    /// Symlinks whose text leads out of their root.
    pub(super) links_leaving: u64,
}

/// What was sealed for a root.
#[derive(Debug)]
pub(super) enum SealedTree {
    /// Nothing: the root was absent.
    Absent,
    /// Its manifest was refused: nothing is compared with it.
    Unknown,
    /// Its manifest.
    Known(Manifest),
}

/// A member as the archive has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) kind: SeenKind<'a>,
    /// Permission bits.
    pub(super) mode: u32,
}

/// The type of a member.
#[derive(Debug, Clone, Copy)]
pub(super) enum SeenKind<'a> {
    File { size: u64 },
    Directory,
    Link(&'a [u8]),
    Special(&'static str),
}

impl<'a> SeenKind<'a> {
    /// The type of a member; a hard link is a file.
    pub(super) fn of(member: &'a Member) -> Self {
        match &member.kind {
            MemberKind::File { size } => Self::File { size: *size },
            MemberKind::HardLink(_) => Self::File { size: 0 },
            MemberKind::Directory => Self::Directory,
            MemberKind::Link(text) => Self::Link(text),
            MemberKind::Special(noun) => Self::Special(noun),
        }
    }

    /// Whether it is of the sealed type.
    fn fits(self, node: Node) -> bool {
        matches!(
            (node, self),
            (Node::File { .. }, Self::File { .. })
                | (Node::Directory(_), Self::Directory)
                | (Node::Link(_), Self::Link(_))
        )
    }

    /// The code for another type than the sealed one.
    fn mismatch(self) -> Code {
        if let Self::Special(_) = self { Code::SpecialFile } else { Code::TypeMismatch }
    }

    /// The word for people, with its article.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::File { .. } => "a regular file",
            Self::Directory => "a directory",
            Self::Link(_) => "a symlink",
            Self::Special(noun) => noun,
        }
    }
}

impl ExpectedTrees {
    /// Roots in the policy's order, each with its spelling.
    pub(super) fn new(roots: Vec<(String, SealedTree)>, links_inside: bool) -> Self {
        let roots = roots.into_iter().map(|(spelling, sealed)| ExpectedRoot::new(spelling, sealed)).collect();
        Self { roots, links_inside, links_leaving: 0 }
    }

    /// Holds a member against what was sealed. For a file that may still be the sealed one, the digest that its
    /// contents must have.
    #[expect(clippy::indexing_slicing, reason = "roots have numbers of their own; a panic is a refusal")]
    pub(super) fn compare(
        &mut self,
        root: usize,
        path: &[u8],
        seen: &Seen<'_>,
        refusals: &mut Refusals,
    ) -> Option<Digest> {
        let links_inside = self.links_inside;
        let root = &mut self.roots[root];
        root.is_seen = true;
        let at = || place(&root.spelling, path);
        let found = match &root.sealed {
            SealedTree::Unknown => return None,
            // An empty directory holds nothing.
            SealedTree::Absent if path.is_empty() && matches!(seen.kind, SeenKind::Directory) => {
                if std::mem::replace(&mut root.is_named, true) {
                    refusals.push(Refusal::new(Code::DuplicateEntry, at(), "each entry once", "it again"));
                }
                forbidden(seen.mode, false, &at, refusals);
                return None;
            }
            SealedTree::Absent => {
                if !std::mem::replace(&mut root.is_refused, true) {
                    let expected = "nothing: the root was absent when it was sealed";
                    refusals.push(Refusal::new(Code::ExtraEntry, root.spelling.as_str(), expected, "a directory"));
                }
                return None;
            }
            SealedTree::Known(manifest) => locate(manifest, &mut root.marks, &mut root.route, path),
        };
        let differs = |code, expected: String, found: &str| Refusal::new(code, at(), expected, found);
        match found {
            Located::Root if matches!(seen.kind, SeenKind::Directory) => {
                if std::mem::replace(&mut root.is_named, true) {
                    refusals.push(differs(Code::DuplicateEntry, "each entry once".to_owned(), "it again"));
                }
                forbidden(seen.mode, false, &at, refusals);
            }
            Located::Root => {
                refusals.push(differs(seen.kind.mismatch(), "a directory".to_owned(), seen.kind.noun()));
                root.is_refused = true;
            }
            Located::Nothing => {
                let (code, expected) = match seen.kind {
                    SeenKind::Special(_) => (Code::SpecialFile, "a file, directory or symlink"),
                    _ => (Code::ExtraEntry, "nothing"),
                };
                refusals.push(differs(code, expected.to_owned(), seen.kind.noun()));
            }
            Located::Below { len, node, is_new } => {
                if is_new {
                    let at = place(&root.spelling, &path[..len]);
                    refusals.push(Refusal::new(Code::TypeMismatch, at, node.describe(), "a directory"));
                }
            }
            Located::Entry { mark: Mark::Seen, .. } => {
                refusals.push(differs(Code::DuplicateEntry, "each entry once".to_owned(), "it again"));
            }
            Located::Entry { node, link, mark } => {
                if seen.kind.fits(node) {
                    *mark = Mark::Seen;
                    let (leaves, digest) = same_type(node, link, path, seen, links_inside, &at, refusals);
                    self.links_leaving += u64::from(leaves);
                    return digest;
                }
                *mark = Mark::Alone;
                refusals.push(differs(seen.kind.mismatch(), node.describe(), seen.kind.noun()));
            }
        }
        None
    }

    /// Notes that a member was refused for something else: it is not missing as well.
    #[expect(clippy::indexing_slicing, reason = "roots have numbers of their own; a panic is a refusal")]
    pub(super) fn mark_refused(&mut self, root: usize, path: &[u8]) {
        let root = &mut self.roots[root];
        root.is_seen = true;
        if let SealedTree::Known(manifest) = &root.sealed
            && let Located::Entry { mark, .. } = locate(manifest, &mut root.marks, &mut root.route, path)
        {
            *mark = Mark::Alone;
        }
    }

    /// Adds a refusal for everything that was sealed and not seen.
    pub(super) fn refuse_missing(&self, refusals: &mut Refusals) {
        for root in &self.roots {
            let SealedTree::Known(manifest) = &root.sealed else { continue };
            if !root.is_seen {
                all_missing(&root.spelling, manifest, refusals);
            } else if !root.is_refused {
                root.refuse_missing_below(manifest, refusals);
            }
        }
    }
}

/// Compares a member with an entry of its type: whether it is a link that leaves its root, and the digest that the
/// contents of a file must have if it is as long as it must be.
fn same_type(
    node: Node,
    sealed_link: &[u8],
    path: &[u8],
    seen: &Seen<'_>,
    links_inside: bool,
    at: &dyn Fn() -> Vec<u8>,
    refusals: &mut Refusals,
) -> (bool, Option<Digest>) {
    match (node, seen.kind) {
        (Node::File { size: sealed, executable, digest }, SeenKind::File { size }) => {
            forbidden(seen.mode, true, at, refusals);
            executability(executable, seen, at, refusals);
            if size == sealed {
                return (false, Some(digest));
            }
            let found = format!("a file of {size} bytes");
            refusals.push(Refusal::new(Code::DigestMismatch, at(), node.describe(), found));
        }
        (Node::Link(_), SeenKind::Link(text)) => {
            if text != sealed_link {
                refusals.push(Refusal::new(Code::LinkMismatch, at(), link_text(sealed_link), link_text(text)));
            }
            let depth = path.split(|byte| *byte == b'/').count() - 1;
            let leaves = leaves_root(text, depth);
            if leaves && links_inside {
                refusals.push(Refusal::new(Code::LinkEscapes, at(), LINK_INSIDE, link_text(text)));
            }
            return (leaves, None);
        }
        _ => forbidden(seen.mode, false, at, refusals),
    }
    (false, None)
}

/// One root, with what was sealed for it.
#[derive(Debug)]
struct ExpectedRoot {
    spelling: String,
    sealed: SealedTree,
    /// A mark for each record of each listing.
    marks: Vec<Box<[Mark]>>,
    /// Whether anything of it was seen, the root itself included.
    is_seen: bool,
    /// Whether the root itself was seen.
    is_named: bool,
    /// Whether it was refused as a whole.
    is_refused: bool,
    /// The directory of the last member.
    route: Route<Reached>,
}

/// How far a directory was gone through: the next member is often the next of its listing.
#[derive(Debug, Clone, Copy)]
struct Reached {
    listing: u32,
    /// Records up to the last one that a member was found at.
    records: usize,
}

/// Whether a record has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    /// A directory that others lie in.
    Entered,
    Seen,
    /// Refused for what it is: nothing is said of what was sealed below it.
    Alone,
}

impl ExpectedRoot {
    fn new(spelling: String, sealed: SealedTree) -> Self {
        let unseen = |listing: &Listing| vec![Mark::Unseen; listing.records().len()].into_boxed_slice();
        let marks = match &sealed {
            SealedTree::Known(manifest) => (0..).map_while(|index| manifest.listing(index)).map(unseen).collect(),
            SealedTree::Absent | SealedTree::Unknown => Vec::new(),
        };
        let route = Route::new(Reached { listing: 0, records: 0 });
        Self { spelling, sealed, marks, is_seen: false, is_named: false, is_refused: false, route }
    }

    fn refuse_missing_below(&self, manifest: &Manifest, refusals: &mut Refusals) {
        let mut waiting = vec![(self.spelling.as_bytes().to_vec(), 0, false)];
        while let Some((path, index, is_missing)) = waiting.pop() {
            // A mark that is not there must not make its entry one that was seen, nor a listing its entries.
            let marks = &self.marks[index as usize];
            let Some(listing) = manifest.listing(index) else { continue };
            for (at, record) in listing.records().iter().enumerate() {
                let mark = &marks[at];
                let is_missing = is_missing || *mark == Mark::Unseen;
                if *mark == Mark::Alone {
                    continue;
                }
                let is_directory = matches!(record.node, Node::Directory(_));
                if !is_missing && !is_directory {
                    continue;
                }
                let at = [&path, &b"/"[..], listing.name(record)].concat();
                if let Node::Directory(below) = record.node {
                    waiting.push((at.clone(), below, is_missing));
                }
                if is_missing {
                    refusals.push(missing(at, record.node));
                }
            }
        }
    }
}

/// Where a path stands in a manifest.
enum Located<'m> {
    /// It is the root.
    Root,
    /// Nothing was sealed there.
    Nothing,
    /// Below something that was sealed as no directory; `len` bytes of the path lead to it.
    Below { len: usize, node: Node, is_new: bool },
    /// An entry, with the text of a link.
    Entry { node: Node, link: &'m [u8], mark: &'m mut Mark },
}

/// Finds a path, and marks the directories on the way as seen: whoever unpacks the archive creates them.
fn locate<'m>(
    manifest: &'m Manifest,
    marks: &'m mut [Box<[Mark]>],
    route: &mut Route<Reached>,
    path: &[u8],
) -> Located<'m> {
    if path.is_empty() {
        return Located::Root;
    }
    let (directory, name) = split_name(path);
    if let Err(located) = descend(manifest, marks, route, directory) {
        return located;
    }
    entry(manifest, marks, route.here(), name).map_or(Located::Nothing, |(node, mark)| {
        let listing = manifest.listing(route.here().listing);
        let link = match (node, listing) {
            (Node::Link(target), Some(listing)) => listing.link(target),
            _ => b"",
        };
        Located::Entry { node, link, mark }
    })
}

/// The record of a name in a directory.
fn entry<'m>(
    manifest: &Manifest,
    marks: &'m mut [Box<[Mark]>],
    reached: &mut Reached,
    name: &[u8],
) -> Option<(Node, &'m mut Mark)> {
    let listing = manifest.listing(reached.listing)?;
    let is_next = |position: &usize| listing.records().get(*position).is_some_and(|next| listing.name(next) == name);
    let position = Some(reached.records).filter(is_next).or_else(|| listing.position(name))?;
    reached.records = position + 1;
    let node = listing.records().get(position)?.node;
    Some((node, marks.get_mut(reached.listing as usize)?.get_mut(position)?))
}

/// Goes to a directory, those on the way marked as seen.
fn descend<'m>(
    manifest: &Manifest,
    marks: &mut [Box<[Mark]>],
    route: &mut Route<Reached>,
    directory: &[u8],
) -> Result<(), Located<'m>> {
    route.turn_to(directory);
    while let Some(name) = route.next_name() {
        let end = name.end;
        let name = &directory[name];
        match entry(manifest, marks, route.here(), name).ok_or(Located::Nothing)? {
            (Node::Directory(listing), mark) => {
                if *mark == Mark::Unseen {
                    *mark = Mark::Entered;
                }
                route.step(end, Reached { listing, records: 0 });
            }
            (node, mark) => {
                let is_new = std::mem::replace(mark, Mark::Alone) != Mark::Alone;
                return Err(Located::Below { len: end, node, is_new });
            }
        }
    }
    Ok(())
}

/// Refuses bits that give rights to others.
pub(super) fn forbidden(mode: u32, is_file: bool, at: &dyn Fn() -> Vec<u8>, refusals: &mut Refusals) {
    if let Some(found) = forbidden_bits(mode, is_file) {
        let expected = if is_file {
            "no setuid, setgid or sticky bit, and not writable by others"
        } else {
            "not writable by others"
        };
        refusals.push(Refusal::new(Code::ForbiddenMode, at(), expected, found));
    }
}

fn executability(sealed: bool, seen: &Seen<'_>, at: &dyn Fn() -> Vec<u8>, refusals: &mut Refusals) {
    if (seen.mode & 0o100 != 0) != sealed {
        let (expected, found) =
            if sealed { ("executable", "not executable") } else { ("not executable", "executable") };
        let text = |what: &str| format!("{what} by its owner");
        refusals.push(Refusal::new(Code::ModeMismatch, at(), text(expected), text(found)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Algorithm;

    #[test]
    fn a_record_is_met_once() {
        let mut below = Listing::default();
        let digest = Algorithm::Blake3.digest(b"x");
        below.push(b"f", Node::File { size: 1, executable: false, digest }).unwrap();
        below.finish();
        let mut top = Listing::default();
        top.push(b"d", Node::Directory(1)).unwrap();
        top.finish();
        let manifest = Manifest::new(Algorithm::Blake3, vec![top, below]);
        let mut held = ExpectedTrees::new(vec![("deps".to_owned(), SealedTree::Known(manifest))], false);
        let mut refusals = Refusals::new(10);
        let mut meet = |path: &[u8], kind, count| {
            held.compare(0, path, &Seen { kind, mode: 0o755 }, &mut refusals);
            let found = refusals.counts().find(|(code, _)| *code == Code::DuplicateEntry).map_or(0, |(_, count)| count);
            assert_eq!(found, count, "{}", String::from_utf8_lossy(path));
        };
        // A directory may come after what is in it.
        meet(b"d/f", SeenKind::File { size: 1 }, 0);
        meet(b"d", SeenKind::Directory, 0);
        meet(b"", SeenKind::Directory, 0);
        meet(b"d/f", SeenKind::File { size: 1 }, 1);
        meet(b"d", SeenKind::Directory, 2);
        meet(b"", SeenKind::Directory, 3);
    }
}
