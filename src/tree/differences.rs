//! What differs between two looks.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;

use super::handle::Kind;
use super::look::{Listing, Look, Top, join};
use super::stamp::Stamp;
use crate::base::Escaped;

/// One entry that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// What happened to it.
    pub change: Change,
    /// What was there before; `None` of a path that leads elsewhere now, too.
    pub before: Option<Stamp>,
    /// What is there now.
    pub after: Option<Stamp>,
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

impl Look {
    /// What differs in a later look at the same places, in no particular order.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<Difference> {
        let mut found = Found { before: self, after: later, differences: Vec::new() };
        for path in self.tops.keys().chain(later.tops.keys().filter(|path| !self.tops.contains_key(*path))) {
            let (before, after) = (self.tops.get(path), later.tops.get(path));
            // What nobody but others could change is theirs to change.
            if before.is_some_and(|top| top.open) || after.is_some_and(|top| top.open) {
                let stamp = |top: Option<&Top>| top.and_then(|top| top.stamp);
                found.entry(path.clone(), stamp(before).as_ref(), stamp(after).as_ref());
            }
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
        found.leads();
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
            let path = join(directory, name);
            // A place of its own was compared as such.
            if !self.before.tops.contains_key(&path) && !self.after.tops.contains_key(&path) {
                self.entry(path, one_stamp, other_stamp);
            }
        }
    }

    fn entry(&mut self, path: Vec<u8>, before: Option<&Stamp>, after: Option<&Stamp>) {
        let change = match (before, after) {
            (None, None) => return,
            (None, Some(after)) => Change::Created(after.kind()),
            (Some(before), None) => Change::Removed(before.kind()),
            (Some(before), Some(after)) => {
                let closed = self.before.closed.contains(&path) || self.after.closed.contains(&path);
                match before.change(after, closed) {
                    Some(words) => Change::Changed(words),
                    None => return,
                }
            }
        };
        self.differences.push(Difference { path, change, before: before.copied(), after: after.copied() });
    }

    /// Paths that lead elsewhere, where the entry of that path does not say so already.
    fn leads(&mut self) {
        let told: BTreeSet<_> = self.differences.iter().map(|difference| difference.path.clone()).collect();
        let mut elsewhere = Vec::new();
        for (path, before) in &self.before.leads {
            let Some(after) = self.after.leads.get(path).filter(|after| *after != before) else { continue };
            if !told.contains(path) {
                let shown = |path: &std::path::Path| Escaped(path.as_os_str().as_bytes()).to_string();
                let words = format!("leads to `{}`, led to `{}`", shown(after), shown(before));
                let (path, change) = (path.clone(), Change::Changed(words));
                elsewhere.push(Difference { path, change, before: None, after: None });
            }
        }
        self.differences.append(&mut elsewhere);
    }
}
