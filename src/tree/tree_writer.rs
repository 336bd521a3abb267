//! Writing a tree that nobody else sees yet: every entry is new, none is reached through a link, links come last.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};

use rustix::fs::OFlags;
use rustix::io::{Errno, retry_on_intr};

use super::handle::{Directory, Found, MODE_DIRECTORY, MODE_FILE, mode_of};
use super::read::{BUFFER_BYTES, OpenFile, open_file};
use crate::base::Buffer;

/// Writes the tree `name` in a directory. Paths are below the tree, in whatever order; directories that are missing are
/// made. No entry is overwritten: one that is there already is [`io::ErrorKind::AlreadyExists`].
#[derive(Debug)]
pub struct TreeWriter {
    /// Where the tree is.
    staging: Directory,
    name: &'static str,
    /// The directory that was written to last, and those above it, the tree's own first; empty before there is one.
    open: Vec<Level>,
    /// Its path below the tree.
    path: Vec<u8>,
    /// Directories that were made for what is in them, and may still come themselves.
    implied: HashSet<Vec<u8>>,
    file: Option<File>,
    /// Paths and texts of links, to be made at the end.
    links: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An open directory, and where its path ends in [`TreeWriter::path`].
#[derive(Debug)]
struct Level {
    end: usize,
    directory: Directory,
}

/// A file that was written, to be read again.
pub struct WrittenFile(OpenFile);

impl TreeWriter {
    pub(super) fn new(staging: Directory, name: &'static str) -> Self {
        let (implied, open) = (HashSet::new(), Vec::new());
        Self { staging, name, open, path: Vec::new(), implied, file: None, links: Vec::new() }
    }

    /// Makes a directory; the tree itself for the empty path.
    pub fn directory(&mut self, path: &[u8]) -> io::Result<()> {
        let made = match split(path) {
            None => rustix::fs::mkdirat(self.staging.fd(), self.name, MODE_DIRECTORY),
            Some((above, name)) => rustix::fs::mkdirat(self.enter(above)?.fd(), name, MODE_DIRECTORY),
        };
        match made {
            Err(Errno::EXIST) if self.implied.remove(path) => Ok(()),
            made => Ok(made?),
        }
    }

    /// Begins a file. Its bytes follow.
    pub fn file(&mut self, path: &[u8], executable: bool) -> io::Result<()> {
        let (above, name) = split(path).ok_or(Errno::ISDIR)?;
        let directory = self.enter(above)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if executable { MODE_DIRECTORY } else { MODE_FILE };
        let file = retry_on_intr(|| rustix::fs::openat(directory.fd(), name, flags, mode))?;
        self.file = Some(File::from(file));
        Ok(())
    }

    /// Writes the next bytes of the file.
    pub fn content(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.as_mut().ok_or_else(|| io::Error::other("no file was begun"))?.write_all(piece)
    }

    /// Ends the file.
    pub fn file_end(&mut self) {
        self.file = None;
    }

    /// Notes a symlink, which [`TreeWriter::finish`] makes.
    pub fn link(&mut self, path: &[u8], target: &[u8]) {
        self.links.push((path.to_vec(), target.to_vec()));
    }

    /// Opens a file that was written.
    pub fn written(&self, path: &[u8]) -> io::Result<WrittenFile> {
        let (above, name) = split(path).ok_or(Errno::ISDIR)?;
        let mut directory = there(self.staging.child(self.name.as_bytes())?)?;
        for name in above.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            directory = there(directory.child(name)?)?;
        }
        Ok(WrittenFile(open_file(directory.fd(), name)?))
    }

    /// Makes the links, after all else.
    pub fn finish(mut self) -> io::Result<()> {
        for (path, target) in std::mem::take(&mut self.links) {
            let (above, name) = split(&path).ok_or(Errno::EXIST)?;
            rustix::fs::symlinkat(&*target, self.enter(above)?.fd(), name)?;
        }
        Ok(())
    }

    /// Makes `path` the directory that is written to. Those on the way stay open: what comes next is mostly in one.
    #[expect(clippy::indexing_slicing, reason = "the path of what is open begins this one; a panic is a refusal")]
    fn enter(&mut self, path: &[u8]) -> io::Result<&Directory> {
        while let Some(level) = self.open.last() {
            self.path.truncate(level.end);
            if is_within(path, &self.path) {
                break;
            }
            self.open.pop();
        }
        if self.open.is_empty() {
            self.path.clear();
            let tree = open_or_make(&self.staging, self.name.as_bytes())?;
            self.push(tree);
        }
        let rest = &path[self.path.len()..];
        for name in rest.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let next = open_or_make(self.current()?, name)?;
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name);
            self.push(next);
        }
        self.current()
    }

    fn push(&mut self, (directory, is_new): (Directory, bool)) {
        if is_new {
            self.implied.insert(self.path.clone());
        }
        self.open.push(Level { end: self.path.len(), directory });
    }

    fn current(&self) -> io::Result<&Directory> {
        Ok(&self.open.last().ok_or(Errno::NOENT)?.directory)
    }
}

impl WrittenFile {
    /// Whether its owner may execute it.
    #[must_use]
    pub fn executable(&self) -> bool {
        mode_of(&self.0.stat) & 0o100 != 0
    }

    /// Gives its bytes to `take`, in pieces.
    pub fn pieces(&self, take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.0.read_all(&mut Buffer::new(BUFFER_BYTES), take)
    }
}

/// The directory `name`, and whether it had to be made.
fn open_or_make(parent: &Directory, name: &[u8]) -> io::Result<(Directory, bool)> {
    match parent.child(name)? {
        Found::Absent => {
            rustix::fs::mkdirat(parent.fd(), name, MODE_DIRECTORY)?;
            Ok((there(parent.child(name)?)?, true))
        }
        found => Ok((there(found)?, false)),
    }
}

fn there(found: Found<Directory>) -> io::Result<Directory> {
    match found {
        Found::There(directory) => Ok(directory),
        Found::Absent => Err(Errno::NOENT.into()),
        Found::Unsafe { .. } => Err(Errno::NOTDIR.into()),
    }
}

/// The directory that holds an entry, and the entry's name in it; `None` for the tree itself.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => Some((path.get(..at)?, path.get(at + 1..)?)),
        None => (!path.is_empty()).then_some((b"", path)),
    }
}

/// Whether `path` is `directory` or lies in it.
fn is_within(path: &[u8], directory: &[u8]) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => directory.is_empty() || rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}
