//! Unpacking an archive: verified while it is written beside the places of its roots, and put there when all of it is
//! trusted.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use super::archived::{ArchiveRequest, ArchiveVerification, LookedAt, Sink, extract_archive, look_at_checkout};
use super::verifying::Verification;
use crate::base::{Code, Escaped, Exit, Refusal, Refusals, place};
use crate::seal::SEALS;
use crate::seal::statement::Statement;
use crate::tree::{Confinement, Directory, StageError, StagedTree, TreeWriter, confine};

/// What to unpack, and how.
pub struct UnpackRequest<'a> {
    /// The archive, and what it is held against. Its seal must be in it, and names are never mapped.
    pub archive: ArchiveRequest<'a>,
    /// Whether what is in the places of the roots and the seal is replaced.
    pub replace: bool,
    /// Set when the user wants it to end.
    pub interrupted: &'a AtomicBool,
}

/// What came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unpacked {
    /// The verdict. Roots and seal are in their places if and only if there is no refusal.
    pub archive: ArchiveVerification,
    /// How far the thread was confined that read the archive; `None` if nothing was read.
    pub confinement: Option<Confinement>,
    /// What was replaced and could not be removed.
    pub left: Vec<String>,
}

/// Why nothing was unpacked, although nothing is wrong with the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// There is something in the place of a root or of the seal.
    #[error("expected an empty directory or nothing at `{}`, found other files", Escaped(.place.as_bytes()))]
    NotEmpty {
        /// The root as the policy writes it, or the seal's directory.
        place: String,
    },
    /// Another run is unpacking there.
    #[error("another run is unpacking `{}`", Escaped(.place.as_bytes()))]
    Busy {
        /// The root as the policy writes it, or the seal's directory.
        place: String,
    },
    /// The system's error.
    #[error("could not write `{}`: {what}", Escaped(.place.as_bytes()))]
    Write {
        /// The root as the policy writes it, or the seal's directory.
        place: String,
        /// What was being done, and the system's error.
        what: String,
    },
    /// The user wanted it to end.
    #[error("interrupted")]
    Interrupted,
}

impl UnpackError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotEmpty { .. } => Code::RootNotEmpty,
            Self::Busy { .. } | Self::Write { .. } => Code::Unwritable,
            Self::Interrupted => Code::Interrupted,
        }
    }
}

/// Reads `source` once, holds it against the policy as [`super::verify_archive`] does, and writes it beside the places of
/// its roots. Only if it is trusted to its end, roots and seal are put in their places, each in one step and the seal
/// last. In every other case all is as it was.
pub fn unpack(request: &UnpackRequest<'_>, source: impl Read + Send) -> Result<Unpacked, UnpackError> {
    // What the checkout says is read before anything is written.
    let looked = look_at_checkout(&request.archive);
    let mut stage = match Stage::begin(request) {
        Ok(stage) => stage,
        Err(Obstacle::Unsafe(refusal)) => return Ok(nothing_read(refusal)),
        Err(Obstacle::Error(error)) => return Err(error),
    };
    let (mut archive, confinement) = stage.extract(request, looked, source)?;
    let exit = archive.verification.exit();
    if request.interrupted.load(Ordering::Relaxed) && !exit.is_refusal() {
        return Err(UnpackError::Interrupted);
    }
    let left = match &archive.verification.facts {
        Some(facts) if exit == Exit::Ok && archive.read_whole => stage.publish(&facts.statement)?,
        _ if exit == Exit::Ok => {
            // Nobody may take this for an unpacked archive.
            let refusal = Refusal::new(Code::Internal, request.archive.name, "a verdict", "an archive without one");
            archive.verification.refusals.push(refusal);
            Vec::new()
        }
        _ => Vec::new(),
    };
    Ok(Unpacked { archive, confinement: Some(confinement), left })
}

/// A root is not one, so the archive was not even looked at.
fn nothing_read(refusal: Refusal) -> Unpacked {
    let mut refusals = Refusals::new(1);
    refusals.push(refusal);
    let verification = Verification { refusals, facts: None, coverage: None, rules: Vec::new(), kept: None };
    let archive = ArchiveVerification { verification, home: None, checkout: None, read_whole: false };
    Unpacked { archive, confinement: None, left: Vec::new() }
}

/// The staged trees: one for each root in the policy's order, then that of the seal.
struct Stage(Vec<Staged>);

/// A tree on its way, and its place as the policy writes it.
struct Staged {
    place: String,
    tree: StagedTree,
}

/// Why there is no stage.
enum Obstacle {
    Unsafe(Refusal),
    Error(UnpackError),
}

impl Stage {
    fn begin(request: &UnpackRequest<'_>) -> Result<Self, Obstacle> {
        let ArchiveRequest { workspace, roots, edge, .. } = &request.archive;
        let mut stage = Self(Vec::new());
        for root in *roots {
            let place = &root.root.spelling;
            let components: Vec<_> = root.root.components.iter().map(String::as_str).collect();
            let base = match workspace.base(root) {
                Ok(Some(base)) => base,
                Ok(None) => {
                    return Err(Obstacle::Error(write_error(place, &"the directory that it is below is not there")));
                }
                Err(error) => return Err(Obstacle::Error(write_error(place, &error))),
            };
            stage.add(place, StagedTree::begin(&base, &components, request.replace))?;
        }
        let cache = edge.cache.name.as_str();
        let begun = StagedTree::begin(workspace.policy_directory(), &[SEALS, cache], request.replace);
        stage.add(&format!("{SEALS}/{cache}"), begun)?;
        Ok(stage)
    }

    fn add(&mut self, place: &str, begun: Result<StagedTree, StageError>) -> Result<(), Obstacle> {
        match begun {
            Ok(tree) => {
                self.0.push(Staged { place: place.to_owned(), tree });
                Ok(())
            }
            Err(StageError::Unsafe(kind)) => {
                let expected = "a real directory or nothing, below real directories";
                Err(Obstacle::Unsafe(Refusal::new(Code::UnsafeRoot, place, expected, kind.noun())))
            }
            Err(error) => Err(Obstacle::Error(stage_error(place, error))),
        }
    }

    /// Reads the archive in a thread that has no rights but to write into the staging directories.
    fn extract(
        &self,
        request: &UnpackRequest<'_>,
        looked: LookedAt,
        source: impl Read + Send,
    ) -> Result<(ArchiveVerification, Confinement), UnpackError> {
        let mut writing = Writing { trees: Vec::new(), file: None, interrupted: request.interrupted };
        for Staged { place, tree } in &self.0 {
            let writer = tree.writer().map_err(|error| write_error(place, &error))?;
            writing.trees.push((place, writer));
        }
        let directories: Vec<&Directory> = self.0.iter().map(|staged| staged.tree.directory()).collect();
        let work = || {
            let confinement = confine(&directories);
            let mut archive = extract_archive(&request.archive, looked, source, &mut writing);
            let refusals = &mut archive.verification.refusals;
            if refusals.is_empty()
                && let Err(refusal) = writing.finish()
            {
                refusals.push(refusal);
            }
            (archive, confinement)
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, work);
            let thread = thread.map_err(|error| write_error(request.archive.name, &error))?;
            thread.join().or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Puts all in place, the seal last; as long as it is not there, whoever verifies refuses. Tells what was replaced
    /// and is still there. An error undoes all.
    fn publish(&mut self, statement: &Statement) -> Result<Vec<String>, UnpackError> {
        // Trees are those of the roots and the seal's own.
        let is_tree = statement.predicate.roots.iter().map(|root| root.manifest.is_some()).chain([true]);
        for (Staged { place, tree }, is_tree) in self.0.iter_mut().zip(is_tree) {
            tree.place(is_tree).map_err(|error| stage_error(place, error))?;
        }
        let kept = self.0.drain(..).map(|Staged { place, tree }| (place, tree.keep()));
        Ok(kept.filter_map(|(place, kept)| Some(format!("{}: {}", Escaped(place.as_bytes()), kept.err()?))).collect())
    }
}

impl Drop for Stage {
    /// Later ones may lie in directories that earlier ones made.
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

fn stage_error(place: &str, error: StageError) -> UnpackError {
    match error {
        StageError::NotEmpty => UnpackError::NotEmpty { place: place.to_owned() },
        StageError::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
            UnpackError::Busy { place: place.to_owned() }
        }
        error => write_error(place, &error),
    }
}

fn write_error(place: &str, error: &impl ToString) -> UnpackError {
    UnpackError::Write { place: place.to_owned(), what: error.to_string() }
}

/// Writes what was accepted into the staged trees.
struct Writing<'a> {
    /// As in [`Stage`].
    trees: Vec<(&'a str, TreeWriter)>,
    /// The tree and the path of the file under way.
    file: Option<(usize, Vec<u8>)>,
    interrupted: &'a AtomicBool,
}

impl Writing<'_> {
    /// Does something in a tree, unless the user wants an end.
    fn at(
        &mut self,
        tree: usize,
        path: &[u8],
        write: impl FnOnce(&mut TreeWriter) -> io::Result<()>,
    ) -> Result<(), Refusal> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Refusal::new(Code::Interrupted, path, "time to finish", "a signal"));
        }
        let Some((spelling, writer)) = self.trees.get_mut(tree) else {
            return Err(Refusal::new(Code::Internal, path, "a root of the cache", "another"));
        };
        write(writer).map_err(|error| unwritable(spelling, path, &error))
    }

    /// The file under way; there is one between its beginning and its end.
    fn under_way(&mut self) -> Result<(usize, Vec<u8>), Refusal> {
        self.file.take().ok_or_else(|| Refusal::new(Code::Internal, "", "contents of a file", "some of none"))
    }

    fn spelling(&self, tree: usize) -> &str {
        self.trees.get(tree).map_or("", |(spelling, _)| spelling)
    }

    /// Makes the links, when all else was written and nothing is wrong.
    fn finish(self) -> Result<(), Refusal> {
        for (spelling, writer) in self.trees {
            writer.finish().map_err(|error| unwritable(spelling, b"", &error))?;
        }
        Ok(())
    }
}

fn unwritable(spelling: &str, path: &[u8], error: &io::Error) -> Refusal {
    Refusal::new(Code::Unwritable, place(spelling, path), "an entry that can be written", error.to_string())
}

impl Sink for Writing<'_> {
    fn seal_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let seal = self.trees.len().saturating_sub(1);
        self.at(seal, name.as_bytes(), |tree| {
            tree.file(name.as_bytes(), false)?;
            tree.content(bytes)?;
            tree.file_end();
            Ok(())
        })
    }

    fn directory(&mut self, root: usize, path: &[u8]) -> Result<(), Refusal> {
        self.at(root, path, |tree| tree.directory(path))
    }

    fn file(&mut self, root: usize, path: &[u8], executable: bool) -> Result<(), Refusal> {
        self.at(root, path, |tree| tree.file(path, executable))?;
        self.file = Some((root, path.to_vec()));
        Ok(())
    }

    fn piece(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let (root, path) = self.under_way()?;
        self.at(root, &path, |tree| tree.content(piece))?;
        self.file = Some((root, path));
        Ok(())
    }

    fn file_end(&mut self) -> Result<(), Refusal> {
        let (root, path) = self.under_way()?;
        self.at(root, &path, |tree| {
            tree.file_end();
            Ok(())
        })
    }

    fn link(&mut self, root: usize, path: &[u8], target: &[u8]) -> Result<(), Refusal> {
        self.at(root, path, |tree| {
            tree.link(path, target);
            Ok(())
        })
    }

    fn copy(&mut self, root: usize, path: &[u8], from_root: usize, from: &[u8]) -> Result<(), Refusal> {
        let source = self.trees.get(from_root).map(|(_, tree)| tree.written(from));
        let source = source.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()));
        let source = source.map_err(|error| unwritable(self.spelling(root), path, &error))?;
        self.file(root, path, source.executable())?;
        let mut refused = Ok(());
        let read = source.pieces(|piece| {
            refused = self.piece(piece);
            if refused.is_err() { Err(io::Error::other("not taken")) } else { Ok(()) }
        });
        refused?;
        read.map_err(|error| unwritable(self.spelling(root), path, &error))?;
        self.file_end()
    }
}
