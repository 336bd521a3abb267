//! What differs between two manifests.

use super::{Entries, Entry, Manifest, Node};
use crate::base::{Code, Escaped, Refusal, Refusals};

/// Adds to `found` how `b` differs from `a`, entry by entry. Places begin with `spelling`. Manifests of
/// different digest algorithms have no contents in common: every file differs.
pub fn differences(spelling: &str, a: &Manifest, b: &Manifest, found: &mut Refusals) {
    let (mut left, mut right) = (Cursor::new(a), Cursor::new(b));
    loop {
        let order = match (&left.current, &right.current) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), Some(_)) => left.path.cmp(&right.path),
        };
        let path = if order.is_gt() { &right.path } else { &left.path };
        let place = [spelling.as_bytes(), b"/", path].concat();
        match (&left.current, &right.current) {
            (Some(one), Some(other)) if order.is_eq() => {
                if one != other {
                    found.push(Refusal::new(one.code(other), place, one.text(), other.text()));
                }
            }
            (Some(one), _) if order.is_lt() => {
                found.push(Refusal::new(Code::MissingEntry, place, one.text(), "nothing"));
            }
            (_, Some(other)) => found.push(Refusal::new(Code::ExtraEntry, place, "nothing", other.text())),
            (_, None) => return,
        }
        if order.is_le() {
            left.advance();
        }
        if order.is_ge() {
            right.advance();
        }
    }
}

struct Cursor<'a> {
    entries: Entries<'a>,
    path: Vec<u8>,
    current: Option<Sealed>,
}

/// An entry on its own, without the listing that holds it.
#[derive(PartialEq)]
enum Sealed {
    File { size: u64, executable: bool, digest: String },
    Directory,
    Link(Vec<u8>),
}

impl<'a> Cursor<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        let mut cursor = Self { entries: manifest.entries(), path: Vec::new(), current: None };
        cursor.advance();
        cursor
    }

    fn advance(&mut self) {
        self.current = self.entries.next_entry().map(|entry| {
            self.path.clear();
            self.path.extend_from_slice(entry.path);
            Sealed::of(&entry)
        });
    }
}

impl Sealed {
    fn of(entry: &Entry<'_, '_>) -> Self {
        match entry.record.node {
            Node::File { size, executable, digest } => Self::File { size, executable, digest: digest.to_string() },
            Node::Directory(_) => Self::Directory,
            Node::Link(target) => Self::Link(entry.listing.link(target).to_vec()),
        }
    }

    fn code(&self, other: &Self) -> Code {
        match (self, other) {
            (Self::File { size, digest, .. }, Self::File { size: other_size, digest: other_digest, .. }) => {
                if size == other_size && digest == other_digest { Code::ModeMismatch } else { Code::DigestMismatch }
            }
            (Self::Link(_), Self::Link(_)) => Code::LinkMismatch,
            _ => Code::TypeMismatch,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::File { size, executable, digest } => {
                let kind = if *executable { "an executable" } else { "a file" };
                format!("{kind} of {size} bytes, {digest}")
            }
            Self::Directory => "a directory".to_owned(),
            Self::Link(target) => format!("a link to `{}`", Escaped(target)),
        }
    }
}
