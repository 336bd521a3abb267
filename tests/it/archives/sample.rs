//! What a sealed project looks like in an archive: its seal and its roots, in every layout, form and order.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::tar::{Item, LINK, MAGIC, NAME, PREFIX, SIZE, Tar, VERSION, dir, file, gnu_long, pax, symlink};
use crate::harness::Project;

/// Where an archive puts what lies in the checkout and what lies in home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// As `tar -C` writes it: no prefix at all.
    Plain,
    /// The same below `./`.
    Dotted,
    /// As `CircleCI` does: from `/`, without the leading slash.
    Circle,
    /// As `cacheseal pack` does.
    Packed,
}

impl Layout {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Dotted, Self::Circle, Self::Packed];

    fn prefix(self, in_home: bool) -> &'static str {
        match (self, in_home) {
            (Self::Plain, _) => "",
            (Self::Dotted, _) => "./",
            (Self::Circle, true) => "home/circleci/",
            (Self::Circle, false) => "home/circleci/project/",
            (Self::Packed, true) => "home/",
            (Self::Packed, false) => "checkout/",
        }
    }
}

/// How headers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    V7,
    Ustar,
    Gnu,
    Pax,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::V7, Self::Ustar, Self::Gnu, Self::Pax];

    /// The member in this form: its header, and before it what the form needs for what does not fit.
    pub(crate) fn write(self, member: &Member) -> Vec<Item> {
        let (name, target) = (member.name.as_bytes(), member.target());
        let short = |text: &str| text.as_bytes()[..text.len().min(100)].to_vec();
        let mut item = match &member.node {
            Node::Directory => dir(""),
            Node::File { executable, contents } => file("", contents).mode(if *executable { 0o755 } else { 0o644 }),
            Node::Link(target) => symlink("", short(target)),
        };
        item.label.clone_from(&member.label);
        let mut items = Vec::new();
        match self {
            Self::V7 => item = item.v7().with(NAME, name),
            Self::Ustar => item = split(item, &member.name),
            Self::Gnu => {
                item = item.gnu().with(NAME, short(&member.name));
                items.extend((target.len() > 100).then(|| gnu_long(b'K', target)));
                items.extend((name.len() > 100).then(|| gnu_long(b'L', name)));
            }
            Self::Pax => {
                item = item.with(NAME, short(&member.name));
                let mut records: Vec<(&str, &[u8])> = vec![("mtime", b"1700000000.123456789"), ("atime", b"1.5")];
                records.extend((name.len() > 100).then_some(("path", name)));
                records.extend((target.len() > 100).then_some(("linkpath", target)));
                items.push(pax(&records));
            }
        }
        items.push(item);
        items
    }
}

/// A long name over both of the fields that ustar has for it.
fn split(item: Item, name: &str) -> Item {
    if name.len() <= 100 {
        return item.with(NAME, name);
    }
    let at = name.len() - 101 + name[name.len() - 101..].find('/').unwrap();
    item.with(PREFIX, &name[..at]).with(NAME, &name[at + 1..])
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Directory,
    File { executable: bool, contents: Vec<u8> },
    Link(String),
}

/// An entry of a root or a file of the seal.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name in the plain layout, without the slash of a directory.
    pub(crate) label: String,
    /// Its name in the archive.
    pub(crate) name: String,
    in_home: bool,
    pub(crate) node: Node,
}

impl Member {
    fn target(&self) -> &[u8] {
        if let Node::Link(target) = &self.node { target.as_bytes() } else { b"" }
    }
}

/// A seal and the trees that it is for.
pub(crate) struct Sample {
    pub(crate) seal: Vec<Member>,
    pub(crate) roots: Vec<Member>,
}

impl Sample {
    /// Reads a sealed project whose roots are `deps` and `~/store`.
    pub(crate) fn read(project: &Project) -> Self {
        let (mut seal, mut roots) = (Vec::new(), Vec::new());
        gather(&project.root(), ".cacheseal/deps", false, &mut seal);
        gather(&project.root(), "deps", false, &mut roots);
        gather(&project.home(), "store", true, &mut roots);
        Self { seal, roots }
    }

    /// The archive that an honest job makes of it.
    pub(crate) fn draft(&self, layout: Layout, form: Form, seal_first: bool) -> Draft {
        let (one, other) = if seal_first { (&self.seal, &self.roots) } else { (&self.roots, &self.seal) };
        let items = one.iter().chain(other).flat_map(|member| {
            let slash = if let Node::Directory = member.node { "/" } else { "" };
            let name = format!("{}{}{slash}", layout.prefix(member.in_home), member.name);
            form.write(&Member { name, ..member.clone() })
        });
        let mut items: Vec<_> = items.collect();
        // By its checksum alone, no program should take a file for a tar.
        if let (Form::V7, Some(first)) = (form, items.first_mut()) {
            first.set(MAGIC, b"ustar\0");
            first.set(VERSION, b"00");
        }
        Draft { tar: Tar::new(items) }
    }
}

/// All that is below `base` at `label`, parents first, in the order of names.
fn gather(base: &Path, label: &str, in_home: bool, out: &mut Vec<Member>) {
    let path = base.join(label);
    let Ok(metadata) = fs::symlink_metadata(&path) else { return };
    let node = if metadata.is_dir() {
        Node::Directory
    } else if metadata.is_symlink() {
        Node::Link(fs::read_link(&path).unwrap().into_os_string().into_string().unwrap())
    } else {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        Node::File { executable, contents: fs::read(&path).unwrap() }
    };
    out.push(Member { label: label.to_owned(), name: label.to_owned(), in_home, node });
    if metadata.is_dir() {
        let names = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        for name in names {
            gather(base, &format!("{label}/{name}"), in_home, out);
        }
    }
}

/// An archive in the making.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) tar: Tar,
}

impl Draft {
    /// Where the member of this label is.
    #[track_caller]
    pub(crate) fn at(&self, label: &str) -> usize {
        let found = self.tar.items.iter().position(|item| item.label == label);
        found.unwrap_or_else(|| panic!("no member `{label}`"))
    }

    /// Adds members as the last of the roots.
    pub(crate) fn add(&mut self, items: impl IntoIterator<Item = Item>) {
        let is_root = |item: &Item| !item.label.starts_with(".cacheseal");
        let last = self.tar.items.iter().rposition(is_root).map_or(self.tar.items.len(), |last| last + 1);
        self.tar.items.splice(last..last, items);
    }

    /// Puts members before all others.
    pub(crate) fn begin(&mut self, items: impl IntoIterator<Item = Item>) {
        self.tar.items.splice(0..0, items);
    }

    #[track_caller]
    pub(crate) fn before(&mut self, label: &str, items: impl IntoIterator<Item = Item>) {
        let at = self.at(label);
        self.tar.items.splice(at..at, items);
    }

    #[track_caller]
    pub(crate) fn after(&mut self, label: &str, items: impl IntoIterator<Item = Item>) {
        let at = self.at(label) + 1;
        self.tar.items.splice(at..at, items);
    }

    /// Puts members in the place of one.
    #[track_caller]
    pub(crate) fn replace(&mut self, label: &str, items: impl IntoIterator<Item = Item>) {
        let at = self.at(label);
        self.tar.items.splice(at..=at, items);
    }

    #[track_caller]
    pub(crate) fn remove(&mut self, label: &str) {
        self.replace(label, []);
    }

    /// Removes a directory and what is in it.
    pub(crate) fn remove_all(&mut self, label: &str) {
        let below = format!("{label}/");
        self.tar.items.retain(|item| item.label != label && !item.label.starts_with(&below));
    }

    #[track_caller]
    pub(crate) fn edit(&mut self, label: &str, edit: impl FnOnce(Item) -> Item) {
        let at = self.at(label);
        let item = self.tar.items.remove(at);
        self.tar.items.insert(at, edit(item));
    }

    /// Gives a member other contents, of any length.
    #[track_caller]
    pub(crate) fn refill(&mut self, label: &str, contents: impl AsRef<[u8]>) {
        self.edit(label, |item| item.holding(contents));
    }

    /// The contents of a member.
    #[track_caller]
    pub(crate) fn contents(&self, label: &str) -> Vec<u8> {
        self.tar.items[self.at(label)].data.clone()
    }

    /// Makes a file a hard link.
    #[track_caller]
    pub(crate) fn relink(&mut self, label: &str, target: impl AsRef<[u8]>) {
        self.edit(label, |item| {
            let item = item.with(super::tar::FLAG, b"1").with(LINK, target).number(SIZE, 0);
            item.followed_by("")
        });
    }
}
