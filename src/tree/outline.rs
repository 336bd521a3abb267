//! The outline of a tree: every entry by its name and type, before any file is opened.

use rustix::fs::FileType;
use rustix::io::Errno;

use super::Options;
use super::admission::{Admission, Refused};
use super::entry::kind_of;
use super::handle::{Directory, Kind};
use super::names::Names;
use super::read::{ReadError, read_link};
use super::walk::{At, Crew, Trail, Visit, Worker, walk};
use crate::base::Refusals;

/// A root's entries, each with a number: the root has 0, a directory comes before what is in it, and what is below
/// it follows it without a gap, in the order of the bytes of the names.
#[derive(Debug, Default)]
pub struct Outline {
    nodes: Vec<Node>,
    /// Names and link texts, one after the other.
    text: Vec<u8>,
    /// Numbers of the entries of each directory, one directory after the other.
    children: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Node {
    name: Span,
    parent: u32,
    /// One past the last entry below.
    end: u32,
    entry: Entry,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: usize,
    len: u32,
}

#[derive(Debug, Clone)]
enum Entry {
    File,
    Directory(std::ops::Range<usize>),
    Link(Span),
    Special(&'static str),
}

/// What was found below a root, and what could not be looked at.
#[derive(Debug)]
pub struct Outlined {
    /// The entries.
    pub outline: Outline,
    /// Special files, directories that others may write, and what could not be read. The outline is not whole then.
    pub refusals: Refusals,
}

impl Outline {
    /// The number of the root itself.
    pub const ROOT: u32 = 0;

    /// How many entries there are, the root among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing, not even a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "spans and ranges are made with what they are of; a panic is a refusal"
    )]
    fn text(&self, span: Span) -> &[u8] {
        &self.text[span.start..][..span.len as usize]
    }

    /// What an entry is.
    #[must_use]
    pub fn kind(&self, node: u32) -> Kind {
        match self.node(node).map(|node| &node.entry) {
            Some(Entry::File) => Kind::File,
            Some(Entry::Directory(_)) => Kind::Directory,
            Some(Entry::Link(_)) => Kind::Link,
            Some(Entry::Special(noun)) => Kind::Special(noun),
            None => Kind::Special("an entry that is not in the outline"),
        }
    }

    /// The text of a symlink; nothing for other entries.
    #[must_use]
    pub fn link(&self, node: u32) -> Option<&[u8]> {
        match self.node(node)?.entry {
            Entry::Link(target) => Some(self.text(target)),
            _ => None,
        }
    }

    /// An entry's name in its directory; that of the root is empty.
    #[must_use]
    pub fn name(&self, node: u32) -> &[u8] {
        self.node(node).map_or(&[][..], |node| self.text(node.name))
    }

    /// The directory that an entry lies in; `None` for the root.
    #[must_use]
    pub fn parent(&self, node: u32) -> Option<u32> {
        self.node(node).map(|node| node.parent).filter(|_| node != Self::ROOT)
    }

    /// The number of directories between the root and an entry.
    #[must_use]
    pub fn depth(&self, node: u32) -> usize {
        std::iter::successors(self.parent(node), |node| self.parent(*node)).count().saturating_sub(1)
    }

    /// The path of an entry below the root.
    #[must_use]
    pub fn path(&self, node: u32) -> Vec<u8> {
        self.path_from(Self::ROOT, node)
    }

    /// The path of an entry below the directory `from`.
    #[must_use]
    pub fn path_from(&self, from: u32, node: u32) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = node;
        while at != from {
            let Some(parent) = self.parent(at) else { break };
            names.push(self.name(at));
            at = parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The entries of a directory, sorted by the bytes of their names.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "spans and ranges are made with what they are of; a panic is a refusal"
    )]
    pub fn children(&self, node: u32) -> &[u32] {
        match self.node(node).map(|node| &node.entry) {
            Some(Entry::Directory(range)) => &self.children[range.clone()],
            _ => &[],
        }
    }

    /// The entry `name` of a directory.
    #[must_use]
    pub fn child(&self, node: u32, name: &[u8]) -> Option<u32> {
        let children = self.children(node);
        let at = children.binary_search_by(|child| self.name(*child).cmp(name)).ok()?;
        children.get(at).copied()
    }

    /// The entry at a path below a directory; the directory itself for an empty path.
    #[must_use]
    pub fn find(&self, node: u32, path: &[u8]) -> Option<u32> {
        if path.is_empty() {
            return Some(node);
        }
        path.split(|byte| *byte == b'/').try_fold(node, |node, name| self.child(node, name))
    }

    /// Everything below an entry, directories before what is in them.
    #[must_use]
    pub fn below(&self, node: u32) -> std::ops::Range<u32> {
        node + 1..self.node(node).map_or(node + 1, |node| node.end)
    }
}

/// Lists everything below `root` without opening a file. `spelling` is the root as refusals name it.
#[must_use]
pub fn outline(root: Directory, spelling: &str, options: &Options<'_>) -> Outlined {
    let visit = OutlineVisit { admission: Admission::new(spelling, options) };
    let mut refusals = options.refusals();
    let mut listed = Vec::new();
    for part in walk(&visit, root.into_fd(), 0, Crew::whole(options)) {
        listed.extend(part.listed);
        if let Some(part) = part.refusals {
            refusals.append(part);
        }
    }
    Outlined { outline: assemble(listed, visit.admission.directories()), refusals }
}

/// One directory, sorted.
#[derive(Debug, Default)]
struct Listed {
    text: Vec<u8>,
    entries: Vec<(Span, ListedEntry)>,
}

#[derive(Debug, Clone, Copy)]
enum ListedEntry {
    File,
    Directory(u32),
    Link(Span),
    Special(&'static str),
}

impl Listed {
    fn push_text(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        // Names and links are shorter than 64 KiB.
        Span { start, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "spans and ranges are made with what they are of; a panic is a refusal"
    )]
    fn text(&self, span: Span) -> &[u8] {
        &self.text[span.start..][..span.len as usize]
    }
}

/// Puts the directories together: depth first, so that what is below an entry stands together.
#[expect(
    clippy::indexing_slicing,
    reason = "every listing has a number below the count; a panic is a refusal, a listing left out is not"
)]
#[expect(clippy::cast_possible_truncation, reason = "a walk admits fewer than 2^32 entries")]
fn assemble(listed: Vec<(u32, Listed)>, count: usize) -> Outline {
    let mut directories = Vec::new();
    directories.resize_with(count, Listed::default);
    for (index, listing) in listed {
        directories[index as usize] = listing;
    }
    let mut outline = Outline::default();
    let root = Node { name: Span::default(), parent: 0, end: 0, entry: Entry::Directory(0..0) };
    outline.nodes.push(root);
    // A directory that is being gone through: its number, its listing, the numbers of its entries so far.
    let mut open: Vec<(u32, usize, Vec<u32>)> = vec![(Outline::ROOT, 0, Vec::new())];
    while let Some((number, listing, entries)) = open.last_mut() {
        let listed = &directories[*listing];
        let Some((name, entry)) = listed.entries.get(entries.len()).copied() else {
            outline.close(*number, entries);
            open.pop();
            continue;
        };
        let child = outline.nodes.len() as u32;
        entries.push(child);
        let parent = *number;
        let name = outline.push_text(listed.text(name));
        let (entry, below) = match entry {
            ListedEntry::File => (Entry::File, None),
            ListedEntry::Special(noun) => (Entry::Special(noun), None),
            ListedEntry::Link(target) => (Entry::Link(outline.push_text(listed.text(target))), None),
            ListedEntry::Directory(index) => (Entry::Directory(0..0), Some(index as usize)),
        };
        outline.nodes.push(Node { name, parent, end: child + 1, entry });
        if let Some(below) = below {
            open.push((child, below, Vec::new()));
        }
    }
    outline
}

impl Outline {
    fn push_text(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Span { start, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
    }

    /// A directory is complete: all below it has its number.
    #[expect(clippy::indexing_slicing, reason = "the node of an open directory is there; a panic is a refusal")]
    #[expect(clippy::cast_possible_truncation, reason = "a walk admits fewer than 2^32 entries")]
    fn close(&mut self, number: u32, entries: &[u32]) {
        let start = self.children.len();
        self.children.extend_from_slice(entries);
        let end = self.nodes.len() as u32;
        let node = &mut self.nodes[number as usize];
        node.end = end;
        node.entry = Entry::Directory(start..self.children.len());
    }
}

struct OutlineVisit<'a> {
    admission: Admission<'a>,
}

#[derive(Default)]
struct Part {
    listed: Vec<(u32, Listed)>,
    refusals: Refused,
}

impl OutlineVisit<'_> {
    fn entry(
        &self,
        at: &At<'_, u32>,
        name: &[u8],
        file_type: FileType,
        listed: &mut Listed,
        worker: &mut Worker<'_, u32, Part>,
    ) -> Result<(), ReadError> {
        let entry = match kind_of(at.fd, name, file_type)? {
            Kind::File => ListedEntry::File,
            Kind::Link => ListedEntry::Link(listed.push_text(&read_link(at.fd, name)?)),
            Kind::Directory => {
                let index = self.admission.number();
                worker.enter(name, index);
                ListedEntry::Directory(index)
            }
            Kind::Special(noun) => {
                self.admission.special(&mut worker.found.refusals, &at.trail.path(name), noun);
                ListedEntry::Special(noun)
            }
        };
        let name = listed.push_text(name);
        listed.entries.push((name, entry));
        Ok(())
    }
}

impl Visit for OutlineVisit<'_> {
    type Place = u32;
    type Found = Part;

    fn directory(&self, at: &At<'_, u32>, names: &mut Names, worker: &mut Worker<'_, u32, Part>) -> bool {
        if !self.admission.directory(at, names, &mut worker.found.refusals) {
            worker.stop();
            return false;
        }
        let mut listed = Listed::default();
        for (name, file_type) in names.iter() {
            if let Err(error) = self.entry(at, name, file_type, &mut listed, worker) {
                self.admission.read_error(&mut worker.found.refusals, &at.trail.path(name), &error);
            }
        }
        worker.found.listed.push((*at.place, listed));
        false
    }

    fn obstacle(&self, trail: &Trail, _: u32, errno: Errno, part: &mut Part) {
        self.admission.obstacle(&mut part.refusals, trail, errno);
    }
}
