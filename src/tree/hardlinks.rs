//! Hard links: a file whose other names lie outside the roots can be changed through them after it was verified.

use std::collections::BTreeMap;

use rustix::fs::Stat;

use crate::base::{Code, Refusal};

/// The files with several names that a walk met, each name once.
#[derive(Debug, Default)]
pub struct HardLinks(Vec<HardLink>);

#[derive(Debug)]
struct HardLink {
    device: u64,
    inode: u64,
    names: u64,
    /// Nothing for a name that is counted and is never refused itself.
    place: Option<Vec<u8>>,
}

impl HardLinks {
    /// Notes that `place` is one of the names of the file of this stat.
    pub(super) fn push(&mut self, stat: &Stat, place: Vec<u8>) {
        self.note(stat, Some(place));
    }

    /// Counts a name that may be there whatever file it is of.
    pub(super) fn push_allowed(&mut self, stat: &Stat) {
        self.note(stat, None);
    }

    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the fields are narrower on macOS")]
    #[allow(clippy::cast_sign_loss, reason = "device numbers are only compared")]
    fn note(&mut self, stat: &Stat, place: Option<Vec<u8>>) {
        let (device, inode, names) = (stat.st_dev as u64, stat.st_ino as u64, u64::from(stat.st_nlink));
        self.0.push(HardLink { device, inode, names, place });
    }

    /// Adds those of another walk.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// A refusal for every name of a file that has more names than were met. Ask only when all roots have been walked.
    pub fn outside(self) -> impl Iterator<Item = Refusal> {
        let mut met: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for link in &self.0 {
            *met.entry((link.device, link.inode)).or_default() += 1;
        }
        self.0.into_iter().filter_map(move |link| {
            let inside = met.get(&(link.device, link.inode)).copied().unwrap_or(0);
            let place = link.place.filter(|_| inside < link.names)?;
            let found = format!("{} of its {} names are inside", inside, link.names);
            Some(Refusal::new(Code::HardlinkOutside, place, "all names of the file inside the roots", found))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_missing_count() {
        let link = |inode, place: &[u8]| HardLink { device: 1, inode, names: 2, place: Some(place.to_vec()) };
        let mut links = HardLinks(vec![link(7, b"r/a"), link(8, b"r/c")]);
        links.append(HardLinks(vec![link(7, b"s/b")]));
        let refused: Vec<_> = links.outside().map(|refusal| refusal.place).collect();
        assert_eq!(refused, [b"r/c".to_vec()]);
    }
}
