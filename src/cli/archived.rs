//! An archive as `inspect` and `diff` read it: whatever it holds, by nobody in particular.

use std::path::Path;

use super::archive_input::ArchiveInput;
use super::sealed::FoundSeal;
use crate::archive::{CodecOptions, Expected, Layout, Place, UnverifiedArchive, UnverifiedKind, unwrapped};
use crate::base::{Algorithm, Code, EntryPath, Escaped};
use crate::checkout::{Failure, shown};
use crate::policy::RootPath;
use crate::seal::manifest::{Builder, Manifest, NewEntry};
use crate::tree::Options;

/// An archive and the only seal in it, if there is one.
pub(super) struct Archived {
    pub(super) archive: UnverifiedArchive,
    pub(super) seal: Option<FoundSeal>,
}

/// The trees of an archive's roots.
pub(super) struct Trees {
    /// By the path that the seal gives the root; absent ones left out.
    pub(super) roots: Vec<(String, Manifest)>,
    /// Members outside the roots and the seal, but for directories on the way.
    pub(super) outside: Vec<EntryPath>,
}

impl Archived {
    /// Reads the archive at `path` whole, whatever is wrong with its members.
    pub(super) fn open(
        path: &Path,
        algorithm: Algorithm,
        window_log_max: u32,
        options: &Options<'_>,
    ) -> Result<Self, Failure> {
        let limits = options.limits;
        let input = ArchiveInput::open(path)?;
        let codec = CodecOptions { window_log_max, processors: options.processors, limits };
        let mut archive = unwrapped(input.source, &codec, |stream| UnverifiedArchive::read(stream, algorithm, limits));
        let mut seals = std::mem::take(&mut archive.seals).into_iter();
        let seal = match (seals.next(), seals.next()) {
            (Some((place, files)), None) => Some(FoundSeal::of_files(&place, files, limits)?),
            (Some((one, _)), Some((other, _))) => {
                let message = format!(
                    "{}: expected one seal in the archive, found `{}` and `{}`",
                    shown(path),
                    Escaped(&one),
                    Escaped(&other),
                );
                return Err(Failure::new(Code::AmbiguousLayout, message));
            }
            (None, _) => None,
        };
        Ok(Self { archive, seal })
    }

    /// The same, only if every member may stand where it does.
    pub(super) fn open_whole(
        path: &Path,
        algorithm: Algorithm,
        window_log_max: u32,
        options: &Options<'_>,
    ) -> Result<Self, Failure> {
        let archived = Self::open(path, algorithm, window_log_max, options)?;
        if let Some(error) = &archived.archive.error {
            return Err(Failure::new(error.code(), format!("{}: {error}", shown(path))));
        }
        if let Some((name, obstacle)) = archived.archive.obstacles.first() {
            let message = format!("`{}`: expected {}, found {}", Escaped(name), obstacle.expected, obstacle.found);
            return Err(Failure::new(obstacle.code, message));
        }
        Ok(archived)
    }

    /// The trees of the roots that `seal` names: the archive's own, or another.
    pub(super) fn trees(&self, seal: &FoundSeal, algorithm: Algorithm) -> Result<Trees, Failure> {
        let predicate = &seal.seal.statement.predicate;
        let parse = |path: &str| {
            RootPath::parse(path).map_err(|error| Failure::new(Code::MalformedStatement, error.to_string()))
        };
        let roots = predicate.roots.iter().map(|root| parse(&root.path)).collect::<Result<Vec<_>, _>>()?;
        let mut layout = Layout::new(&predicate.cache, &roots, &[], &Expected::default());
        let mut builders: Vec<Option<Builder>> = roots.iter().map(|_| None).collect();
        let mut outside = Vec::new();
        for member in &self.archive.members {
            let name = member.path.as_bytes();
            match layout.place(if name.is_empty() { b"." } else { name }) {
                Ok((_, Place::Root(index, below))) => {
                    let builder = builders.get_mut(index).map(|one| one.get_or_insert_with(|| Builder::new(algorithm)));
                    add(builder, &below, &member.kind)?;
                }
                Ok((_, Place::Seal(_))) => {}
                Ok((path, Place::Elsewhere)) => outside.push(path),
                Err(obstacle) => {
                    let message = format!("expected {}, found {}", obstacle.expected, obstacle.found);
                    return Err(Failure::new(obstacle.code, message)
                        .hint("the archive cannot be told apart into roots; compare it without its seal"));
                }
            }
        }
        // Only directories are passages: a file that is one would have something below it.
        outside.retain(|path| !layout.is_passage(path));
        let roots = roots.into_iter().zip(builders);
        let roots = roots.filter_map(|(root, builder)| Some((root.spelling, builder?.finish()))).collect();
        Ok(Trees { roots, outside })
    }

    /// All of the archive as one tree.
    pub(super) fn whole(&self, algorithm: Algorithm) -> Result<Manifest, Failure> {
        let mut builder = Builder::new(algorithm);
        for member in &self.archive.members {
            add(Some(&mut builder), &member.path, &member.kind)?;
        }
        Ok(builder.finish())
    }
}

fn add(builder: Option<&mut Builder>, path: &EntryPath, kind: &UnverifiedKind) -> Result<(), Failure> {
    let Some(builder) = builder else { return Ok(()) };
    let entry = match kind {
        UnverifiedKind::File { size, executable, digest } => {
            NewEntry::File { size: *size, executable: *executable, digest: *digest }
        }
        UnverifiedKind::Directory => NewEntry::Directory,
        UnverifiedKind::Link(text) => NewEntry::Link(text),
    };
    builder.add(path, entry).map_err(|error| Failure::new(Code::PathTooLong, error.to_string()))
}
