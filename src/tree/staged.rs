//! Trees that are written beside their places, out of everyone's way, and put there whole.
//!
//! Nothing of it waits for the disk: after a power failure a tree may lack contents. A tree is verified before it is
//! used, and then it is refused.

use std::io;
use std::os::fd::AsFd as _;

use rustix::fs::{AtFlags, FlockOperation, Mode, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::dispose::{open_to_owner, remove_tree};
use super::handle::{Directory, Found, Kind, MODE_DIRECTORY, is_at, mode_of, stat_of};
use super::names::Names;
use super::tree_writer::TreeWriter;
use crate::base::Digest;

/// Why a tree cannot be staged, or not be put in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The place, or a directory above it, is something else.
    #[error("expected a real directory or nothing, found {}", .0.noun())]
    Unsafe(Kind),
    /// There is something in the place, and it is not to be replaced.
    #[error("expected an empty directory or nothing, found other files")]
    NotEmpty,
    /// The system's error, and what was being done.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

fn doing<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> StageError {
    move |error| StageError::Io { doing, source: error.into() }
}

/// The tree inside the staging directory, and what was in its place, if it could not be swapped in one step.
const TREE: &str = "tree";
const OLD: &str = "old";

/// A tree on its way into its place. Dropped before [`StagedTree::keep`], it leaves the place as it was, and nothing of
/// its own.
#[derive(Debug)]
pub struct StagedTree {
    /// The directory that holds the place.
    parent: Directory,
    name: String,
    /// The staging directory, and its name in `parent`. It belongs to whoever holds its lock.
    staging: Directory,
    staging_name: String,
    replace: bool,
    placed: Option<Placed>,
    kept: bool,
    /// Goes last when this is dropped.
    parents: MadeParents,
}

/// How a tree came into its place, to undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placed {
    /// Nothing was there.
    New,
    /// What was there was an empty directory of this mode, and is gone; whether a tree has come in its place.
    Emptied { mode: Mode, tree: bool },
    /// Swapped with what was there, which now has the tree's name in the staging directory.
    Swapped,
    /// What was there is `old` in the staging directory; whether a tree has come in its place.
    Moved { tree: bool },
}

/// Directories that were made on the way to a place, outermost first. Dropped, it removes those that hold nothing.
#[derive(Debug, Default)]
struct MadeParents(Vec<(Directory, String)>);

impl Drop for MadeParents {
    fn drop(&mut self) {
        while let Some((above, name)) = self.0.pop() {
            // Somebody else may have put something there.
            let _: Result<(), Errno> = rustix::fs::unlinkat(above.fd(), &*name, AtFlags::REMOVEDIR);
        }
    }
}

impl StagedTree {
    /// Begins a tree whose place is at `components` below `base`. The place must be absent or an empty directory, or
    /// any real directory with `replace`; the directories above it are made where they are missing. What a run that
    /// was killed has left is removed; another run that is under way is [`io::ErrorKind::ResourceBusy`].
    pub fn begin(base: &Directory, components: &[&str], replace: bool) -> Result<Self, StageError> {
        let Some((name, above)) = components.split_last() else {
            return Err(doing("find its place")(Errno::INVAL));
        };
        let (parent, parents) = reach(base, above)?;
        check_place(&parent, name, replace)?;
        // As long for every name, and another one for every root, since no two roots have one place.
        let staging_name = format!(".cacheseal-unpack-{}", Digest::sha256(name.as_bytes()).short());
        let staging = own_directory(&parent, &staging_name).map_err(doing("create a staging directory beside it"))?;
        let staged = Self {
            parent,
            name: (*name).to_owned(),
            staging,
            staging_name,
            replace,
            placed: None,
            kept: false,
            parents,
        };
        staged.clear().map_err(doing("remove what an interrupted run left beside it"))?;
        let mode = mode_of(&stat_of(staged.staging.fd()).map_err(doing("look at the staging directory"))?);
        if mode & 0o700 != 0o700 {
            let message =
                format!("the umask takes rights from the owner: a new directory has mode {:04o}", mode & 0o777);
            return Err(doing("use the staging directory")(io::Error::other(message)));
        }
        Ok(staged)
    }

    /// What writes the tree. It can do so in another thread, where it needs no more than [`StagedTree::directory`].
    pub fn writer(&self) -> io::Result<TreeWriter> {
        Ok(TreeWriter::new(self.staging.try_clone()?, TREE))
    }

    /// The staging directory: all that is written lies in it.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.staging
    }

    /// Puts the tree in its place in one step, or takes away what is there if there `is_tree` no tree. Undone when this
    /// is dropped without [`StagedTree::keep`].
    pub fn place(&mut self, is_tree: bool) -> Result<(), StageError> {
        let moved = if is_tree { self.move_in() } else { self.move_out().map(|_| ()) };
        moved.map_err(doing("put it in its place"))?;
        // Somebody may have put something there after this began.
        let old = match self.placed {
            Some(Placed::Swapped) => TREE,
            Some(Placed::Moved { .. }) => OLD,
            Some(Placed::New | Placed::Emptied { .. }) | None => return Ok(()),
        };
        if self.replace {
            return Ok(());
        }
        match self.staging.child(old.as_bytes()).map_err(doing("look at what was in its place"))? {
            Found::There(old) if old.is_empty().map_err(doing("look at what was in its place"))? => Ok(()),
            Found::Absent => Ok(()),
            Found::There(_) => Err(StageError::NotEmpty),
            Found::Unsafe { kind, .. } => Err(StageError::Unsafe(kind)),
        }
    }

    /// Lets what was placed stay, and removes what was there before. An error says that this is still beside it.
    pub fn keep(mut self) -> io::Result<()> {
        self.kept = true;
        if self.placed == Some(Placed::New) {
            self.parents.0.clear();
        }
        remove_tree(&self.parent, self.staging_name.as_bytes())
    }

    fn move_in(&mut self) -> Result<(), Errno> {
        match self.swap(RenameFlags::EXCHANGE) {
            Ok(()) => self.placed = Some(Placed::Swapped),
            Err(Errno::NOENT) => match self.swap(RenameFlags::NOREPLACE) {
                Ok(()) => self.placed = Some(Placed::New),
                Err(errno) if cannot(errno) => self.move_through()?,
                Err(errno) => return Err(errno),
            },
            Err(Errno::XDEV) => self.move_over()?,
            Err(errno) if cannot(errno) => self.move_through()?,
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// On an overlay, a directory of a lower layer stays where it is; but a tree may take the place of an empty one.
    fn move_over(&mut self) -> Result<(), Errno> {
        let mode = self.mode_of_place()?;
        match rustix::fs::renameat(self.staging.fd(), TREE, self.parent.fd(), &*self.name) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Err(Errno::XDEV),
            renamed => renamed?,
        }
        self.placed = Some(Placed::Emptied { mode, tree: true });
        Ok(())
    }

    /// Where the file system cannot do it in one step: interrupted between two, the place is empty.
    fn move_through(&mut self) -> Result<(), Errno> {
        let was_there = self.move_out()?;
        rustix::fs::renameat(self.staging.fd(), TREE, self.parent.fd(), &*self.name)?;
        self.placed = Some(if was_there { Placed::Moved { tree: true } } else { Placed::New });
        Ok(())
    }

    /// Takes away what is in the place. Whether there was something.
    fn move_out(&mut self) -> Result<bool, Errno> {
        let moved =
            self.with_rights(|this| rustix::fs::renameat(this.parent.fd(), &*this.name, this.staging.fd(), OLD));
        match moved {
            Ok(()) => {
                self.placed = Some(Placed::Moved { tree: false });
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::XDEV) => {
                let mode = self.mode_of_place()?;
                rustix::fs::unlinkat(self.parent.fd(), &*self.name, AtFlags::REMOVEDIR).map_err(|_| Errno::XDEV)?;
                self.placed = Some(Placed::Emptied { mode, tree: false });
                Ok(true)
            }
            Err(errno) => Err(errno),
        }
    }

    fn mode_of_place(&self) -> Result<Mode, Errno> {
        let stat = rustix::fs::statat(self.parent.fd(), &*self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Mode::from_raw_mode(stat.st_mode))
    }

    /// Makes the empty directory anew that was in the place.
    fn make_place(&self, mode: Mode) -> Result<(), Errno> {
        rustix::fs::mkdirat(self.parent.fd(), &*self.name, Mode::RWXU)?;
        match self.parent.child(self.name.as_bytes()) {
            Ok(Found::There(place)) => rustix::fs::fchmod(place.fd(), mode),
            _ => Err(Errno::NOENT),
        }
    }

    /// Renames the tree and the place.
    fn swap(&self, flags: RenameFlags) -> Result<(), Errno> {
        self.with_rights(|this| {
            rustix::fs::renameat_with(this.staging.fd(), TREE, this.parent.fd(), &*this.name, flags)
        })
    }

    /// A directory that its owner may not write cannot leave the directory that holds it: gives the rights for the time
    /// that it takes.
    fn with_rights(&self, rename: impl Fn(&Self) -> Result<(), Errno>) -> Result<(), Errno> {
        match rename(self) {
            Err(Errno::ACCESS) => {}
            renamed => return renamed,
        }
        let mode = self.mode_of_place()?;
        let Ok(Found::There(place)) = open_to_owner(&self.parent, self.name.as_bytes()) else {
            return Err(Errno::ACCESS);
        };
        let renamed = rename(self);
        // Whether it was renamed is what counts; else it has rights more than it had, for its owner alone.
        let _: Result<(), Errno> = rustix::fs::fchmod(place.fd(), mode);
        renamed
    }

    fn undo(&mut self) -> Result<(), Errno> {
        let (parent, staging, name) = (self.parent.fd(), self.staging.fd(), self.name.as_str());
        match self.placed.take() {
            Some(Placed::New) => rustix::fs::renameat(parent, name, staging, TREE),
            Some(Placed::Emptied { mode, tree }) => {
                let out = if tree { rustix::fs::renameat(parent, name, staging, TREE) } else { Ok(()) };
                out.and_then(|()| self.make_place(mode))
            }
            Some(Placed::Swapped) => self.swap(RenameFlags::EXCHANGE),
            Some(Placed::Moved { tree }) => {
                let out = if tree { rustix::fs::renameat(parent, name, staging, TREE) } else { Ok(()) };
                out.and_then(|()| rustix::fs::renameat(staging, OLD, parent, name))
            }
            None => Ok(()),
        }
    }

    /// Empties the staging directory, but does not let go of it.
    fn clear(&self) -> io::Result<()> {
        let mut names = Names::default();
        names.read(self.staging.fd())?;
        names.iter().try_for_each(|(name, _)| remove_tree(&self.staging, name))
    }
}

impl Drop for StagedTree {
    fn drop(&mut self) {
        // What was there is in the staging directory where it could not be put back: nobody deletes it then. The error
        // that led here is the one to report.
        if !self.kept && self.undo().is_ok() {
            let _: io::Result<()> = remove_tree(&self.parent, self.staging_name.as_bytes());
        }
    }
}

/// Whether a file system does not know a way to rename.
fn cannot(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Goes down to the directory that holds a place, and makes what is missing of it.
fn reach(base: &Directory, components: &[&str]) -> Result<(Directory, MadeParents), StageError> {
    let mut current = base.try_clone().map_err(doing("reach its place"))?;
    let mut made = MadeParents::default();
    for name in components {
        let mut found = current.child(name.as_bytes()).map_err(doing("reach its place"))?;
        if let Found::Absent = found {
            match rustix::fs::mkdirat(current.fd(), *name, MODE_DIRECTORY) {
                Ok(()) => {
                    let above = current.try_clone().map_err(doing("reach its place"))?;
                    made.0.push((above, (*name).to_owned()));
                }
                // Another run was faster.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(doing("create a directory above it")(errno)),
            }
            found = current.child(name.as_bytes()).map_err(doing("reach its place"))?;
        }
        current = match found {
            Found::There(next) => next,
            Found::Unsafe { kind, .. } => return Err(StageError::Unsafe(kind)),
            Found::Absent => return Err(doing("reach its place")(Errno::NOENT)),
        };
    }
    Ok((current, made))
}

fn check_place(parent: &Directory, name: &str, replace: bool) -> Result<(), StageError> {
    match parent.child(name.as_bytes()).map_err(doing("look at its place"))? {
        Found::Absent => Ok(()),
        Found::Unsafe { kind, .. } => Err(StageError::Unsafe(kind)),
        Found::There(_) if replace => Ok(()),
        Found::There(place) if place.is_empty().map_err(doing("look at its place"))? => Ok(()),
        Found::There(_) => Err(StageError::NotEmpty),
    }
}

/// A directory that nobody else enters, made if it is not there, and locked: this run's alone for as long as it is open.
fn own_directory(parent: &Directory, name: &str) -> io::Result<Directory> {
    // Each turn finds the name free, or in use, or what another run has just let go of.
    for _ in 0..100 {
        match rustix::fs::mkdirat(parent.fd(), name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let directory = match parent.child(name.as_bytes())? {
            Found::There(directory) => directory,
            Found::Absent => continue,
            Found::Unsafe { kind, .. } => {
                return Err(io::Error::other(format!("`{name}` is {}: remove it", kind.noun())));
            }
        };
        if stat_of(directory.fd())?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!("`{name}` belongs to another user: remove it")));
        }
        match retry_on_intr(|| rustix::fs::flock(directory.fd(), FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(errno) => return Err(errno.into()),
        }
        if is_at(directory.fd().as_fd(), parent, name.as_bytes())? {
            return Ok(directory);
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}
