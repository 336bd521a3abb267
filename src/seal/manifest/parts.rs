//! Reading manifests, long ones by several threads: each takes a run of lines, and what the runs say of one directory is
//! joined.
//!
//! A run is read as if the directories that its first line lies in were listed before it; joining makes sure that they
//! were. Whatever does not fit gives nothing, and the text is read again from its beginning by one thread, which tells
//! what is wrong: this way is never more than a faster one.

use std::thread::Builder;

use super::parse::{ManifestError, ManifestErrorKind, Parser};
use super::{Listing, Manifest, Node, SIGNATURE, Totals};
use crate::base::{Algorithm, Limits, unescape};

/// Bytes of lines that are worth a thread.
const PART_BYTES: usize = 512 << 10;
/// Beyond this, joining takes longer than reading.
const PARTS_MAX: usize = 4;

impl Manifest {
    /// Parses the canonical text of a manifest whose digests are of `algorithm`.
    pub fn parse(text: &[u8], algorithm: Algorithm, limits: &Limits) -> Result<Self, ManifestError> {
        let fault = |line, kind| ManifestError { line, kind };
        let lines = text.strip_prefix(SIGNATURE.as_bytes()).ok_or(fault(1, ManifestErrorKind::Signature))?;
        let lines = lines.strip_prefix(b". type=dir mode=0755\n").ok_or(fault(2, ManifestErrorKind::Root))?;
        let runs = count(lines);
        if runs > 1
            && let Some((listings, totals)) = listings(lines, runs, algorithm, limits)
        {
            return Ok(Self { algorithm, listings, totals });
        }
        let mut line = 2;
        let mut parser = Parser::new(algorithm, limits);
        parser.lines(lines, &mut line).map_err(|kind| fault(line, kind))?;
        Ok(Self { algorithm, listings: parser.listings, totals: parser.totals })
    }
}

/// Into how many runs `lines` is worth being cut.
pub(super) fn count(lines: &[u8]) -> usize {
    match lines.len() / PART_BYTES {
        0 | 1 => 1,
        parts => parts.min(PARTS_MAX).min(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// The listings that `lines`, which follow the root's own, make, and their totals; read in `count` runs. `None` unless all is in order.
pub(super) fn listings(
    lines: &[u8],
    count: usize,
    algorithm: Algorithm,
    limits: &Limits,
) -> Option<(Vec<Listing>, Totals)> {
    let (first, later) = cut(lines, count)?;
    std::thread::scope(|scope| {
        let read = |part| Builder::new().spawn_scoped(scope, move || Part::read(part, algorithm, limits)).ok();
        let threads = later.into_iter().map(read).collect::<Option<Vec<_>>>()?;
        let mut whole = Parser::new(algorithm, limits);
        whole.lines(first, &mut 0).ok()?;
        for thread in threads {
            // After a panic in one of them, one thread reads all.
            whole.join(thread.join().ok()??)?;
        }
        Some((whole.listings, whole.totals))
    })
}

/// `count` runs of whole lines of about one length, the first apart.
fn cut(lines: &[u8], count: usize) -> Option<(&[u8], Vec<&[u8]>)> {
    let mut later = Vec::new();
    let mut rest = lines;
    for left in (1..count).rev() {
        let about = rest.len() / (left + 1) * left;
        let at = memchr::memrchr(b'\n', rest.get(..about)?).map_or(0, |end| end + 1);
        let (before, part) = rest.split_at_checked(at)?;
        later.push(part);
        rest = before;
    }
    later.reverse();
    Some((rest, later))
}

/// A run of lines that was read.
struct Part<'l> {
    parser: Parser<'l>,
    /// The path of its first line.
    first: Vec<u8>,
    /// The directory that the first line lies in, with the slash: its length in bytes.
    directory_len: usize,
    /// Directories on the way to it, the root included: the first listings, without what was listed before.
    depth: usize,
}

impl<'l> Part<'l> {
    fn read(lines: &[u8], algorithm: Algorithm, limits: &'l Limits) -> Option<Self> {
        let mut first = Vec::new();
        let name = lines.get(..memchr::memchr(b' ', lines)?)?.strip_prefix(b"./")?;
        unescape(name, &mut first)?;
        let mut parser = Parser::new(algorithm, limits);
        for slash in memchr::memchr_iter(b'/', &first) {
            let index = u32::try_from(parser.listings.len()).ok()?;
            parser.listings.push(Listing::default());
            parser.trail.push((slash + 1, index));
        }
        parser.open.resize_with(parser.trail.len(), Listing::default);
        let depth = parser.listings.len();
        let directory_len = parser.trail.last()?.0;
        // As if the line before had been the directory's: every name in it comes after its slash.
        parser.path = first.get(..directory_len)?.to_vec();
        parser.lines(lines, &mut 0).ok()?;
        Some(Self { parser, first, directory_len, depth })
    }
}

impl Parser<'_> {
    /// Takes in the lines that follow those that were read.
    fn join(&mut self, part: Part<'_>) -> Option<()> {
        let Part { parser, first, directory_len, depth } = part;
        self.previous = std::mem::replace(&mut self.path, first);
        if self.path <= self.previous {
            return None;
        }
        self.enter(directory_len).ok()?;
        if self.trail.len() != depth {
            return None;
        }
        // The root is counted in both.
        self.totals.entries = self.totals.entries.checked_add(parser.totals.entries)?.checked_sub(1)?;
        self.totals.bytes = self.totals.bytes.saturating_add(parser.totals.bytes);
        if self.totals.entries > self.limits.entries_max {
            return None;
        }
        let shift = u32::try_from(self.listings.len().checked_sub(depth)?).ok()?;
        u32::try_from(self.listings.len() + parser.listings.len()).ok()?;
        for (index, mut listing) in parser.listings.into_iter().enumerate() {
            for record in &mut listing.records {
                if let Node::Directory(below) = &mut record.node {
                    *below += shift;
                }
            }
            match self.trail.get(index) {
                Some((_, here)) => self.listings.get_mut(*here as usize)?.append(listing).ok()?,
                None => self.listings.push(listing),
            }
        }
        let on_trail = self.trail.clone();
        let moved = |(len, index): (usize, u32)| match on_trail.get(index as usize) {
            Some((_, here)) => (len, *here),
            None => (len, index + shift),
        };
        self.trail = parser.trail.into_iter().map(moved).collect();
        self.path = parser.path;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: &str = "\
./a type=dir mode=0755
./a-b type=link link=a
./a/c type=dir mode=0755
./a/c/d type=dir mode=0755
./a/c/d/e type=link link=x
./a/c/f type=link link=y
./a/g type=link link=z
./b type=dir mode=0755
./c type=dir mode=0755
./c/h type=link link=z
";

    fn sequential(lines: &str, limits: &Limits) -> Option<(Vec<Listing>, Totals)> {
        let mut parser = Parser::new(Algorithm::Blake3, limits);
        parser.lines(lines.as_bytes(), &mut 0).ok()?;
        Some((parser.listings, parser.totals))
    }

    /// Whatever the number of runs, they give what one thread does or nothing.
    fn check(lines: &str, limits: &Limits) -> usize {
        let expected = sequential(lines, limits);
        let agree = |count: &usize| {
            let found = listings(lines.as_bytes(), *count, Algorithm::Blake3, limits);
            assert!(found.is_none() || found == expected, "{count} runs of\n{lines}");
            found.is_some()
        };
        (2..=12).filter(agree).count()
    }

    #[test]
    fn runs_give_what_one_thread_does() {
        assert!(sequential(SEALED, &Limits::STANDARD).is_some());
        // Where the contents of `a` come after `a-b` in another run than `a`, they are left to one thread.
        assert!(check(SEALED, &Limits::STANDARD) >= 4);
        let lines: Vec<_> = SEALED.lines().collect();
        for left_out in 0..lines.len() {
            let (before, after) = lines.split_at(left_out);
            check(&[before, &after[1..]].concat().join("\n"), &Limits::STANDARD);
            check(&([before, &after[1..]].concat().join("\n") + "\n"), &Limits::STANDARD);
            // Twice, and in another order.
            check(&([before, &after[..1], after].concat().join("\n") + "\n"), &Limits::STANDARD);
            check(&([after, before].concat().join("\n") + "\n"), &Limits::STANDARD);
        }
    }

    #[test]
    fn limits_count_over_all_runs() {
        for entries_max in 1..=12 {
            let taken = check(SEALED, &Limits { entries_max, ..Limits::STANDARD });
            assert_eq!(taken > 0, entries_max >= 11, "{entries_max}");
        }
        for depth_max in 0..=4 {
            let taken = check(SEALED, &Limits { depth_max, ..Limits::STANDARD });
            assert_eq!(taken > 0, depth_max >= 3, "{depth_max}");
        }
    }
}
