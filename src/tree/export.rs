//! A tree in the order of its manifest, with all bytes, for whoever writes it elsewhere. What is given out is what was
//! sealed: each entry is held against the manifest on the way, and the first difference ends it.

use std::io;

use rustix::fs::FileType;

use super::entry::{code_of, digest_text, kind_of, mode_differences};
use super::handle::{Directory, Found, Kind, mode_of, stat_of};
use super::names::Names;
use super::read::{BUFFER_BYTES, OpenFile, ReadError, open_file, read_link};
use crate::base::{Algorithm, Buffer, Code, Refusal, place};
use crate::seal::manifest::{Entry, Manifest, Node, Step, forbidden_bits, link_text, missing};

/// Takes a tree, entry by entry, each directory before what it holds. Paths are below the root, which is the empty one.
pub trait ExportSink {
    /// A directory.
    fn directory(&mut self, path: &[u8]) -> io::Result<()>;

    /// A file, whose `size` bytes follow in pieces.
    fn file(&mut self, path: &[u8], size: u64, executable: bool) -> io::Result<()>;

    /// The next bytes of the file.
    fn content(&mut self, piece: &[u8]) -> io::Result<()>;

    /// A symlink.
    fn link(&mut self, path: &[u8], target: &[u8]) -> io::Result<()>;
}

/// Why a tree was not given out to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It is not what was sealed, or could not be read: the first reason. `super::compare` finds all.
    #[error("the tree differs from its manifest at `{}`", crate::base::Escaped(&.0.place))]
    Differs(Refusal),
    /// What takes the tree has failed.
    #[error("{0}")]
    Sink(io::Error),
}

/// Gives the tree below `root` to `sink`, entry by entry in the order of `manifest`. Every file is read once, from the
/// handle whose digest is compared, so that nothing but what was sealed is ever given out as whole.
///
/// `spelling` is the root as the policy writes it.
pub fn export(
    root: &Directory,
    spelling: &str,
    manifest: &Manifest,
    sink: &mut impl ExportSink,
) -> Result<(), ExportError> {
    let mut exporter = Exporter {
        spelling,
        algorithm: manifest.algorithm(),
        buffer: Buffer::new(BUFFER_BYTES),
        names: Names::default(),
        sink,
    };
    let root = exporter.again(root)?;
    let mut frames = vec![exporter.enter(root, b"")?];
    let mut steps = manifest.entries();
    exporter.sink.directory(b"").map_err(ExportError::Sink)?;
    while let (Some(step), Some(frame)) = (steps.next_step(), frames.last_mut()) {
        match step {
            Step::Entry(entry) => exporter.entry(frame, &entry)?,
            Step::Enter { path, name, .. } => {
                let below = exporter.open(frame, path, name)?;
                frames.push(exporter.enter(below, path)?);
            }
            Step::Leave => {
                exporter.leave(frame)?;
                frames.pop();
            }
        }
    }
    Ok(())
}

struct Exporter<'a, S> {
    spelling: &'a str,
    algorithm: Algorithm,
    buffer: Buffer,
    /// Space for the names of the next directory.
    names: Names,
    sink: &'a mut S,
}

/// A directory under way: its handle, its names, and how many of them have come up in the manifest.
struct Frame {
    directory: Directory,
    path: Vec<u8>,
    names: Names,
    met: usize,
}

impl Frame {
    /// The path below the root of a name in this directory.
    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, &b"/"[..], name].concat() }
    }
}

impl<S: ExportSink> Exporter<'_, S> {
    fn differs(&self, code: Code, path: &[u8], expected: String, found: String) -> ExportError {
        ExportError::Differs(Refusal::new(code, place(self.spelling, path), expected, found))
    }

    fn unread(&self, path: &[u8], expected: String, error: &ReadError) -> ExportError {
        self.differs(code_of(error), path, expected, error.to_string())
    }

    /// A handle of the root of its own.
    fn again(&self, root: &Directory) -> Result<Directory, ExportError> {
        root.try_clone().map_err(|error| self.unread(b"", "a directory".to_owned(), &error.into()))
    }

    fn open(&self, frame: &Frame, path: &[u8], name: &[u8]) -> Result<Directory, ExportError> {
        let expected = || "a directory".to_owned();
        match frame.directory.child(name) {
            Ok(Found::There(directory)) => Ok(directory),
            // It was a directory a moment ago.
            Ok(Found::Absent | Found::Unsafe { .. }) => Err(self.unread(path, expected(), &ReadError::Changed)),
            Err(error) => Err(self.unread(path, expected(), &error.into())),
        }
    }

    /// Reads the names in a directory whose contents come next.
    fn enter(&mut self, directory: Directory, path: &[u8]) -> Result<Frame, ExportError> {
        let looked = stat_of(directory.fd()).and_then(|stat| self.names.read(directory.fd()).map(|()| stat));
        let stat = looked.map_err(|errno| self.unread(path, "a directory".to_owned(), &errno.into()))?;
        if let Some(found) = forbidden_bits(mode_of(&stat), false) {
            return Err(self.differs(Code::ForbiddenMode, path, "not writable by others".to_owned(), found));
        }
        self.names.sort();
        Ok(Frame { directory, path: path.to_vec(), names: self.names.take(), met: 0 })
    }

    /// Nothing may be left in a directory whose contents are over.
    fn leave(&self, frame: &Frame) -> Result<(), ExportError> {
        match frame.names.get(frame.met) {
            Some((name, file_type)) => Err(self.extra(frame, name, file_type)),
            None => Ok(()),
        }
    }

    fn extra(&self, frame: &Frame, name: &[u8], file_type: FileType) -> ExportError {
        let path = frame.path_of(name);
        match kind_of(frame.directory.fd(), name, file_type) {
            Ok(Kind::Special(noun)) => {
                let expected = "a file, directory or symlink".to_owned();
                self.differs(Code::SpecialFile, &path, expected, noun.to_owned())
            }
            Ok(kind) => self.differs(Code::ExtraEntry, &path, "nothing".to_owned(), kind.noun().to_owned()),
            Err(error) => self.differs(Code::ExtraEntry, &path, "nothing".to_owned(), format!("an entry that {error}")),
        }
    }

    /// An entry of the manifest, which must be the directory's next name.
    fn entry(&mut self, frame: &mut Frame, entry: &Entry<'_, '_>) -> Result<(), ExportError> {
        let (path, node) = (entry.path, entry.record.node);
        let name = entry.listing.name(entry.record);
        let file_type = match frame.names.get(frame.met) {
            Some((found, file_type)) if found == name => file_type,
            Some((found, file_type)) if found < name => return Err(self.extra(frame, found, file_type)),
            _ => return Err(ExportError::Differs(missing(place(self.spelling, path), node))),
        };
        frame.met += 1;
        let unread = |exporter: &Self, error: &ReadError| exporter.unread(path, node.describe(), error);
        let kind = kind_of(frame.directory.fd(), name, file_type).map_err(|error| unread(self, &error))?;
        match (node, kind) {
            (Node::File { .. }, Kind::File) => {
                let file = open_file(frame.directory.fd(), name).map_err(|error| unread(self, &error))?;
                self.file(path, node, &file)
            }
            (Node::Directory(_), Kind::Directory) => self.sink.directory(path).map_err(ExportError::Sink),
            (Node::Link(target), Kind::Link) => {
                let found = read_link(frame.directory.fd(), name).map_err(|error| unread(self, &error))?;
                let target = entry.listing.link(target);
                if found != target {
                    return Err(self.differs(Code::LinkMismatch, path, link_text(target), link_text(&found)));
                }
                self.sink.link(path, target).map_err(ExportError::Sink)
            }
            (node, kind) => {
                let code = if let Kind::Special(_) = kind { Code::SpecialFile } else { Code::TypeMismatch };
                Err(self.differs(code, path, node.describe(), kind.noun().to_owned()))
            }
        }
    }

    fn file(&mut self, path: &[u8], node: Node, file: &OpenFile) -> Result<(), ExportError> {
        let Node::File { size, executable, digest } = node else {
            return Err(self.differs(Code::Internal, path, "a file".to_owned(), node.describe()));
        };
        if let Some((code, expected, found)) = mode_differences(mode_of(&file.stat), executable).next() {
            return Err(self.differs(code, path, expected, found));
        }
        if file.size() != size {
            let found = format!("a file of {} bytes", file.size());
            return Err(self.differs(Code::DigestMismatch, path, node.describe(), found));
        }
        self.sink.file(path, size, executable).map_err(ExportError::Sink)?;
        let sink = &mut *self.sink;
        let digest_and =
            file.digest_and(self.algorithm, &mut self.buffer, |piece| sink.content(piece).map_err(ContentError::Sink));
        let found = match digest_and {
            Ok(found) => found,
            Err(ContentError::Read(error)) => return Err(self.unread(path, node.describe(), &error)),
            Err(ContentError::Sink(error)) => return Err(ExportError::Sink(error)),
        };
        if found != digest {
            let text = |digest| digest_text(size, self.algorithm, digest);
            return Err(self.differs(Code::DigestMismatch, path, text(&digest), text(&found)));
        }
        Ok(())
    }
}

enum ContentError {
    Read(ReadError),
    Sink(io::Error),
}

impl From<ReadError> for ContentError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}
