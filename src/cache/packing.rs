//! Packing a sealed cache: seal and roots into one archive, in the order that a reader needs to judge each member when
//! it comes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::place::{RootState, Workspace};
use super::unverified::UnverifiedDocuments;
use crate::archive::{Compression, Encoder, Writer, packed};
use crate::base::{Code, Refusal, Refusals};
use crate::policy::{Cache, PlacedRoot, Policy, RootBase};
use crate::seal::manifest::Manifest;
use crate::seal::statement::{SealedRoot, Statement};
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{Expectation, ExportError, ExportSink, Memory, Options, all_missing, compare, export};

/// What to pack.
pub struct PackRequest<'a> {
    /// Where roots and seal are.
    pub workspace: &'a Workspace,
    /// The policy.
    pub policy: &'a Policy,
    /// The cache.
    pub cache: &'a Cache,
    /// Its roots, in the policy's order.
    pub roots: &'a [PlacedRoot],
    /// How the archive is compressed.
    pub compression: Compression,
    /// Set when the user wants it to end.
    pub interrupted: &'a AtomicBool,
    /// Threads that look for all differences once one was found, and limits.
    pub options: Options<'a>,
}

/// What was packed. That somebody who is trusted has sealed it is not said.
#[derive(Debug)]
#[non_exhaustive]
pub struct Packed {
    /// What the seal says, unverified.
    pub statement: Statement,
}

/// Why there is no whole archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The roots are not what the seal says, or the seal is not one of this cache.
    #[error("the cache is not as it was sealed")]
    Refused(Refusals),
    /// The archive could not be written.
    #[error("could not write the archive: {0}")]
    Write(io::Error),
    /// The user wanted it to end.
    #[error("interrupted")]
    Interrupted,
}

/// Writes the seal of a cache and then its roots to `out`, which is given back. The roots are held against the seal on
/// the way: a whole archive has exactly what was sealed. The seal is held against itself and the policy, not against
/// keys or a gate.
pub fn pack<W: Write>(request: &PackRequest<'_>, out: W) -> Result<(Packed, W), PackError> {
    let documents = UnverifiedDocuments::open(request.workspace, request.policy, request.cache, request.options.limits)
        .map_err(PackError::Refused)?;
    match (Pack { request, documents: &documents }).write(out) {
        Err(PackError::Write(_)) if request.interrupted.load(Ordering::Relaxed) => Err(PackError::Interrupted),
        Err(error) => Err(error),
        Ok(out) => Ok((Packed { statement: documents.seal.statement }, out)),
    }
}

struct Pack<'a> {
    request: &'a PackRequest<'a>,
    documents: &'a UnverifiedDocuments,
}

/// A root, with what is sealed of it.
#[derive(Clone, Copy)]
struct Root<'a> {
    placed: &'a PlacedRoot,
    sealed: &'a SealedRoot,
    /// `None` if it was absent.
    manifest: Option<&'a Manifest>,
}

enum RootError {
    Differs(Refusal),
    Write(io::Error),
}

impl Pack<'_> {
    fn write<W: Write>(&self, out: W) -> Result<W, PackError> {
        let encoder = Encoder::new(out, self.request.compression);
        let sealed_at = self.documents.seal.statement.predicate.sealed_at.as_second();
        let mut tar = Writer::new(encoder, u64::try_from(sealed_at).unwrap_or(0));
        self.write_seal(&mut tar).map_err(PackError::Write)?;
        for root in self.roots() {
            match self.write_root(&mut tar, root) {
                Ok(()) => {}
                Err(RootError::Write(error)) => return Err(PackError::Write(error)),
                Err(RootError::Differs(first)) => return Err(PackError::Refused(self.differences(first))),
            }
        }
        tar.finish().and_then(Encoder::finish).map_err(PackError::Write)
    }

    fn roots(&self) -> impl Iterator<Item = Root<'_>> {
        let sealed = self.documents.seal.statement.predicate.roots.iter().zip(&self.documents.manifests);
        self.request.roots.iter().zip(sealed).map(|(placed, (sealed, document))| Root {
            placed,
            sealed,
            manifest: document.as_ref().map(|document| &document.manifest),
        })
    }

    fn write_seal<W: Write>(&self, tar: &mut Writer<W>) -> io::Result<()> {
        let mut file = |name: &str, bytes: &[u8]| {
            let path = format!("{}/{SEALS}/{}/{name}", packed::CHECKOUT, self.request.cache.name);
            tar.file(path.as_bytes(), bytes.len() as u64, false)?;
            tar.content(bytes)
        };
        file(ENVELOPE, &self.documents.seal.bytes)?;
        self.documents.manifests.iter().flatten().try_for_each(|document| file(&document.name, &document.bytes))
    }

    fn write_root<W: Write>(&self, tar: &mut Writer<W>, root: Root<'_>) -> Result<(), RootError> {
        let state = self.request.workspace.root(root.placed);
        let (Ok(RootState::There(directory)), Some(manifest)) = (&state, root.manifest) else {
            return no_tree(root, state).map_or(Ok(()), |refusal| Err(RootError::Differs(refusal)));
        };
        let mut sink = Member { tar, prefix: member_name(root.placed), interrupted: self.request.interrupted };
        export(directory, &root.sealed.path, manifest, &mut sink).map_err(|error| match error {
            ExportError::Differs(refusal) => RootError::Differs(refusal),
            ExportError::Sink(error) => RootError::Write(error),
        })
    }

    /// Everything that differs, as `verify` tells it. `first` is what stopped the packing, and all there is to tell if
    /// it is gone by now.
    fn differences(&self, first: Refusal) -> Refusals {
        let options = &self.request.options;
        let cap = options.limits.refusals_max;
        let mut refusals = Refusals::new(cap);
        for root in self.roots() {
            match (self.request.workspace.root(root.placed), root.manifest) {
                (Ok(RootState::There(directory)), Some(manifest)) => {
                    let expected = Expectation {
                        spelling: &root.sealed.path,
                        manifest,
                        links_inside: false,
                        memory: Memory::Nothing,
                    };
                    refusals.append(compare(directory, &expected, options).refusals);
                }
                (Ok(RootState::Absent), Some(manifest)) => {
                    all_missing(&root.sealed.path, manifest, &mut refusals);
                }
                (state, _) => {
                    if let Some(refusal) = no_tree(root, state) {
                        refusals.push(refusal);
                    }
                }
            }
        }
        if refusals.is_empty() {
            refusals.push(first);
        }
        refusals
    }
}

/// Why a root has no tree to compare with a manifest; `None` if that is as sealed.
fn no_tree(root: Root<'_>, state: io::Result<RootState>) -> Option<Refusal> {
    let place = root.sealed.path.as_str();
    let refusal = |code, expected: &str, found: &str| Some(Refusal::new(code, place, expected, found));
    match (state, root.manifest) {
        (Ok(RootState::Absent), None) | (Ok(RootState::There(_)), Some(_)) => None,
        (Ok(RootState::There(root)), None) if matches!(root.is_empty(), Ok(true)) => None,
        (Ok(RootState::Absent), Some(_)) => refusal(Code::MissingEntry, "a directory", "nothing"),
        (Ok(RootState::There(_)), None) => {
            refusal(Code::ExtraEntry, "nothing: the root was absent when it was sealed", "a directory")
        }
        (Ok(RootState::Unsafe(kind)), _) => {
            refusal(Code::UnsafeRoot, "a real directory below real directories", kind.noun())
        }
        (Err(error), _) => refusal(Code::Unreadable, "a directory", &error.to_string()),
    }
}

/// The path of a root in an archive.
fn member_name(root: &PlacedRoot) -> String {
    let base = match root.root.base {
        RootBase::Policy => packed::CHECKOUT,
        RootBase::Home => packed::HOME,
        RootBase::Filesystem => packed::FILESYSTEM,
    };
    format!("{base}/{}", root.root.components.join("/"))
}

/// Writes the entries of one root as members.
struct Member<'a, W> {
    tar: &'a mut Writer<W>,
    /// The root's path in the archive.
    prefix: String,
    interrupted: &'a AtomicBool,
}

impl<W: Write> Member<'_, W> {
    fn path(&self, path: &[u8]) -> Vec<u8> {
        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
        [self.prefix.as_bytes(), slash, path].concat()
    }

    fn go_on(&self) -> io::Result<()> {
        if self.interrupted.load(Ordering::Relaxed) { Err(io::Error::other("interrupted")) } else { Ok(()) }
    }
}

impl<W: Write> ExportSink for Member<'_, W> {
    fn directory(&mut self, path: &[u8]) -> io::Result<()> {
        self.go_on()?;
        self.tar.directory(&self.path(path))
    }

    fn file(&mut self, path: &[u8], size: u64, executable: bool) -> io::Result<()> {
        self.tar.file(&self.path(path), size, executable)
    }

    fn content(&mut self, piece: &[u8]) -> io::Result<()> {
        self.go_on()?;
        self.tar.content(piece)
    }

    fn link(&mut self, path: &[u8], target: &[u8]) -> io::Result<()> {
        self.tar.link(&self.path(path), target)
    }
}
