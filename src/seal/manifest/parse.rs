//! Reading the lines of manifests. Only bytes whose digest a trusted key signed come here, and still nothing is repaired:
//! what is not byte for byte canonical is refused.

use super::encode::digest_keyword;
use super::{Listing, Manifest, Node, SIGNATURE, Totals};
use crate::base::{Algorithm, Code, Digest, EntryPath, Limits, PathError, unescape};

/// Why bytes are not a manifest; `line` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ManifestError {
    /// The line.
    pub line: u64,
    /// What is wrong with it.
    pub kind: ManifestErrorKind,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestErrorKind {
    /// The first line is not ours.
    #[error("expected `#mtree v2.0`")]
    Signature,
    /// The second line is not the root.
    #[error("expected `. type=dir mode=0755`, the root")]
    Root,
    /// The last line has no line feed.
    #[error("expected a line feed at the end")]
    Unterminated,
    /// The path is not in the one spelling that is read.
    #[error("the path is not `./` and a canonically escaped name")]
    Path,
    /// The path leads elsewhere.
    #[error("the path {0}")]
    UnsafePath(#[from] PathError),
    /// Keywords, their order or their values are not canonical.
    #[error("expected `type=file mode=0644|0755 size=N {0}digest=HEX`, `type=dir mode=0755` or `type=link link=TEXT`")]
    Fields(Algorithm),
    /// Not after the line before it.
    #[error("paths must be sorted by their bytes, each once")]
    Order,
    /// The directory that holds the entry is not listed as one.
    #[error("the directory that holds the entry is not listed before it")]
    Orphan,
    /// A limit.
    #[error("{}", limit_text(*.0))]
    Limit(Code),
}

fn limit_text(code: Code) -> &'static str {
    match code {
        Code::TooManyEntries => "more entries than the limit",
        Code::PathTooLong => "a path or link text longer than the limit",
        _ => "directories nested deeper than the limit",
    }
}

impl ManifestError {
    /// The stable code: a limit's own, or `malformed-manifest`.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.kind {
            ManifestErrorKind::Limit(code) => code,
            _ => Code::MalformedManifest,
        }
    }
}

impl Manifest {
    /// Parses the canonical text of a manifest whose digests are of `algorithm`.
    ///
    /// # Errors
    ///
    /// If the text is not byte for byte what [`Manifest::encode`] writes, or goes beyond the limits.
    pub fn parse(text: &[u8], algorithm: Algorithm, limits: &Limits) -> Result<Self, ManifestError> {
        let fault = |line, kind| ManifestError { line, kind };
        let lines = text.strip_prefix(SIGNATURE.as_bytes()).ok_or(fault(1, ManifestErrorKind::Signature))?;
        let lines = lines.strip_prefix(b". type=dir mode=0755\n").ok_or(fault(2, ManifestErrorKind::Root))?;
        let mut line = 2;
        let mut parser = Parser::new(algorithm, limits);
        parser.lines(lines, &mut line).map_err(|kind| fault(line, kind))?;
        Ok(Self { algorithm, listings: parser.listings, totals: parser.totals })
    }
}

/// Reads lines one after the other.
struct Parser<'l> {
    algorithm: Algorithm,
    limits: &'l Limits,
    listings: Vec<Listing>,
    /// The listings of the directories on the trail while they grow, one for each, and some more to be used again. Each
    /// is copied into memory of its exact size when its directory is left.
    open: Vec<Listing>,
    totals: Totals,
    /// The path of the line before, and of this one.
    previous: Vec<u8>,
    path: Vec<u8>,
    /// The way to the directory of the line before: of each directory on it, the length of its path with a trailing
    /// slash, and its listing. The root's own is `(0, 0)`.
    trail: Vec<(usize, u32)>,
    target: Vec<u8>,
}

impl<'l> Parser<'l> {
    fn new(algorithm: Algorithm, limits: &'l Limits) -> Self {
        Self {
            algorithm,
            limits,
            listings: vec![Listing::default()],
            open: vec![Listing::default()],
            totals: Totals { entries: 1, bytes: 0 },
            previous: Vec::new(),
            path: Vec::new(),
            trail: vec![(0, 0)],
            target: Vec::new(),
        }
    }

    /// Reads the lines after the root's own; `line` is the number of the one before them, then of the last one read.
    fn lines(&mut self, lines: &[u8], line: &mut u64) -> Result<(), ManifestErrorKind> {
        let mut rest = lines;
        while !rest.is_empty() {
            *line += 1;
            let end = memchr::memchr(b'\n', rest).ok_or(ManifestErrorKind::Unterminated)?;
            let (line, tail) = rest.split_at_checked(end).ok_or(ManifestErrorKind::Unterminated)?;
            self.line(line)?;
            rest = tail.strip_prefix(b"\n").ok_or(ManifestErrorKind::Unterminated)?;
        }
        for level in 0..self.trail.len() {
            self.close(level);
        }
        Ok(())
    }

    #[expect(clippy::indexing_slicing, reason = "positions were found in the same path; a panic is a refusal")]
    fn line(&mut self, line: &[u8]) -> Result<(), ManifestErrorKind> {
        self.totals.entries += 1;
        if self.totals.entries > self.limits.entries_max {
            return Err(ManifestErrorKind::Limit(Code::TooManyEntries));
        }
        let space = memchr::memchr(b' ', line).ok_or(ManifestErrorKind::Path)?;
        let (path, fields) = line.split_at_checked(space).ok_or(ManifestErrorKind::Path)?;
        std::mem::swap(&mut self.path, &mut self.previous);
        self.path.clear();
        path.strip_prefix(b"./").and_then(|path| unescape(path, &mut self.path)).ok_or(ManifestErrorKind::Path)?;
        if self.path.len() > self.limits.path_bytes_max {
            return Err(ManifestErrorKind::Limit(Code::PathTooLong));
        }
        if self.path <= self.previous {
            return Err(if self.path.is_empty() { ManifestErrorKind::Path } else { ManifestErrorKind::Order });
        }
        let name_at = memchr::memrchr(b'/', &self.path).map_or(0, |slash| slash + 1);
        let name = &self.path[name_at..];
        EntryPath::check_name(name)?;
        self.enter(name_at)?;
        self.entry(name_at, fields)
    }

    /// Keeps what was read of a directory on the trail.
    fn close(&mut self, level: usize) {
        let listing = self.trail.get(level).and_then(|(_, index)| self.listings.get_mut(*index as usize));
        if let (Some(listing), Some(open)) = (listing, self.open.get_mut(level))
            && !open.records.is_empty()
        {
            *listing = open.clone();
            open.text.clear();
            open.records.clear();
        }
    }

    /// Whether the lines before and this one both lie below the directory whose path, with its slash, has `above` bytes.
    fn is_below(&self, above: usize, len: usize) -> bool {
        above <= len && self.previous.get(..above) == self.path.get(..above)
    }

    /// Steps from the directory of the line before to that of this one, whose path, with its slash, has `len` bytes.
    #[expect(clippy::indexing_slicing, reason = "positions were found in the same path; a panic is a refusal")]
    fn enter(&mut self, len: usize) -> Result<(), ManifestErrorKind> {
        while self.trail.last().is_some_and(|(above, _)| !self.is_below(*above, len)) {
            self.close(self.trail.len() - 1);
            self.trail.pop();
        }
        let path = &self.path[..len];
        let (mut above, mut index) = self.trail.last().copied().unwrap_or((0, 0));
        while let Some(rest) = path.get(above..).filter(|rest| !rest.is_empty()) {
            if self.trail.len() > self.limits.depth_max {
                return Err(ManifestErrorKind::Limit(Code::TooDeep));
            }
            // An empty component is never the name of an entry, so `a//b` finds no directory.
            let name = &rest[..memchr::memchr(b'/', rest).unwrap_or(rest.len())];
            // A directory that was closed already has its entries at their last place.
            let open = self.open.get(self.trail.len() - 1).and_then(|listing| listing.find(name));
            let record = open.or_else(|| self.listings.get(index as usize)?.find(name));
            let Some(Node::Directory(next)) = record.map(|record| record.node) else {
                return Err(ManifestErrorKind::Orphan);
            };
            (above, index) = (above + name.len() + 1, next);
            self.trail.push((above, index));
        }
        self.open.resize_with(self.open.len().max(self.trail.len()), Listing::default);
        Ok(())
    }

    /// Adds the entry whose name begins at `name_at` in the path to the last directory of the trail.
    #[expect(clippy::indexing_slicing, reason = "positions were found in the same path; a panic is a refusal")]
    fn entry(&mut self, name_at: usize, fields: &[u8]) -> Result<(), ManifestErrorKind> {
        let malformed = ManifestErrorKind::Fields(self.algorithm);
        let index = u32::try_from(self.listings.len()).map_err(|_| ManifestErrorKind::Limit(Code::TooManyEntries))?;
        let listing = self.open.get_mut(self.trail.len() - 1).ok_or(ManifestErrorKind::Orphan)?;
        let name = &self.path[name_at..];
        let full = |_| ManifestErrorKind::Limit(Code::PathTooLong);
        if let Some(file) = fields.strip_prefix(b" type=file mode=") {
            let (size, executable, digest) = parse_file(file, self.algorithm).ok_or(malformed)?;
            self.totals.bytes = self.totals.bytes.saturating_add(size);
            listing.push(name, Node::File { size, executable, digest }).map_err(full)
        } else if let Some(link) = fields.strip_prefix(b" type=link link=") {
            self.target.clear();
            unescape(link, &mut self.target).ok_or(malformed.clone())?;
            if self.target.is_empty() || self.target.contains(&0) {
                return Err(malformed);
            }
            if self.target.len() > self.limits.link_bytes_max {
                return Err(ManifestErrorKind::Limit(Code::PathTooLong));
            }
            listing.push_link(name, &self.target).map_err(full)
        } else if fields == b" type=dir mode=0755" {
            listing.push(name, Node::Directory(index)).map_err(full)?;
            self.listings.push(Listing::default());
            Ok(())
        } else {
            Err(malformed)
        }
    }
}

/// `0644|0755 size=N …digest=HEX`, nothing else: size, whether it is executable, digest.
fn parse_file(text: &[u8], algorithm: Algorithm) -> Option<(u64, bool, Digest)> {
    let (executable, rest) = match text.split_at_checked(4)? {
        (b"0644", rest) => (false, rest),
        (b"0755", rest) => (true, rest),
        _ => return None,
    };
    let rest = rest.strip_prefix(b" size=")?;
    let end = rest.iter().position(|byte| *byte == b' ')?;
    let (size, rest) = rest.split_at_checked(end)?;
    let size = parse_decimal(size)?;
    let digest = Digest::from_hex(rest.strip_prefix(digest_keyword(algorithm))?)?;
    Some((size, executable, digest))
}

/// A decimal number without sign or leading zeros that fits 63 bits, as file sizes do.
fn parse_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 1 && text.first() == Some(&b'0') {
        return None;
    }
    let number = text.iter().try_fold(0_i64, |number, digit| {
        let value = i64::from(digit.wrapping_sub(b'0'));
        if value > 9 { None } else { number.checked_mul(10)?.checked_add(value) }
    })?;
    u64::try_from(number).ok()
}
