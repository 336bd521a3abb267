//! Taking a refused cache out of the way. The first step is always one rename, so that a tree is never seen
//! half removed in its place.

use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd as _;
use std::os::fd::BorrowedFd;

#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::fs::OFlags;
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::handle::{Directory, Found, Kind};
use super::names::Names;

/// What to do with a refused cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposal {
    /// Leave it.
    Keep,
    /// Move it into a directory of mode 0700 beside it.
    Quarantine,
    /// Move it away, then delete it.
    Purge,
}

/// A refused cache could not be moved away or deleted.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}: {source}")]
pub struct DisposalError {
    /// What was being done.
    pub doing: &'static str,
    /// The system's error.
    pub source: io::Error,
}

/// Where something was moved.
#[derive(Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// How many of the components lead to the directory that holds the new one.
    pub depth: usize,
    /// The new directory beside it.
    pub directory: String,
    /// Its name in there, as before.
    pub name: String,
}

/// Prefix of quarantine directories; a number follows.
const PREFIX: &str = ".cacheseal-refused-";

impl Directory {
    /// Moves the entry at `components` below this directory into a new directory beside it; what stands in
    /// place of one of the directories on the way is moved instead, and never entered. `None` if nothing is there.
    pub fn quarantine(&self, components: &[&str]) -> Result<Option<Quarantine>, DisposalError> {
        Ok(self.move_away(components)?.map(|(_, quarantine)| quarantine))
    }

    /// Moves the entry away as [`Directory::quarantine`] does, then deletes it without following links.
    pub fn purge(&self, components: &[&str]) -> Result<bool, DisposalError> {
        let Some((parent, quarantine)) = self.move_away(components)? else { return Ok(false) };
        remove_tree(&parent, quarantine.directory.as_bytes()).map_err(doing("delete it after it was moved"))?;
        Ok(true)
    }

    /// Moves the entry away; also gives the directory that holds the new one.
    fn move_away(&self, components: &[&str]) -> Result<Option<(Self, Quarantine)>, DisposalError> {
        let Some((parent, depth, name)) = self.parent_of(components).map_err(doing("reach it"))? else {
            return Ok(None);
        };
        if parent.kind_of(name).map_err(doing("look at it"))?.is_none() {
            return Ok(None);
        }
        let (directory, inside) = parent.new_quarantine().map_err(doing("create a directory beside it"))?;
        let moved = move_into(&parent, name, &inside).or_else(|errno| match errno {
            // A directory that its owner may not write cannot be moved out of its parent.
            Errno::ACCESS if open_to_owner(&parent, name.as_bytes()).is_ok() => move_into(&parent, name, &inside),
            errno => Err(errno),
        });
        match moved {
            Ok(()) => Ok(Some((parent, Quarantine { depth, directory, name: name.to_owned() }))),
            Err(errno) => {
                // An empty directory of ours is no use to anyone.
                let _: Result<(), Errno> = rustix::fs::unlinkat(parent.fd(), &directory, AtFlags::REMOVEDIR);
                Err(doing("move it")(errno))
            }
        }
    }

    /// Deletes the entry `name` and all below it, without following links. No error if nothing is there.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        remove_tree(self, name.as_bytes())
    }

    /// The deepest real directory on the way to `components`, its depth, and the name that comes next in it.
    fn parent_of<'a>(&self, components: &[&'a str]) -> io::Result<Option<(Self, usize, &'a str)>> {
        let Some((last, above)) = components.split_last() else { return Ok(None) };
        match self.descend(above.iter().copied())? {
            Found::There(parent) => Ok(Some((parent, above.len(), last))),
            Found::Absent => Ok(None),
            Found::Unsafe { depth, .. } => {
                let (before, rest) = above.split_at(depth.min(above.len()));
                match (self.descend(before.iter().copied())?, rest.first()) {
                    (Found::There(parent), Some(name)) => Ok(Some((parent, before.len(), name))),
                    _ => Err(Errno::AGAIN.into()),
                }
            }
        }
    }

    fn new_quarantine(&self) -> io::Result<(String, Self)> {
        for number in 1..=9_999 {
            let name = format!("{PREFIX}{number}");
            match rustix::fs::mkdirat(self.fd(), &name, Mode::RWXU) {
                Ok(()) => {
                    let directory = self.create_directory(&name)?;
                    return Ok((name, directory));
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::Error::other(format!("{PREFIX}1 to 9999 all exist: delete some")))
    }
}

/// Moves `name` from one directory to another that has none of that name.
fn move_into(from: &Directory, name: &str, to: &Directory) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from.fd(), name, to.fd(), name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::renameat(from.fd(), name, to.fd(), name),
        moved => moved,
    }
}

/// Opens the directory `name` after giving its owner every right to it: whoever may delete it may do so whatever
/// its mode says.
pub(super) fn open_to_owner(parent: &Directory, name: &[u8]) -> io::Result<Found<Directory>> {
    let found = match parent.child(name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(parent.fd(), name)?;
            parent.child(name)?
        }
        found => found?,
    };
    if let Found::There(directory) = &found {
        rustix::fs::fchmod(directory.fd(), Mode::RWXU)?;
    }
    Ok(found)
}

/// Changes the mode of a directory that cannot be opened, without following a symlink: by the path of a handle
/// that allows nothing else, because before Linux 6.6 no call takes a name and does not follow it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unlock(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)
}

/// Changes the mode of a directory that cannot be opened, without following a symlink.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn unlock(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)
}

fn doing<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> DisposalError {
    move |error| DisposalError { doing, source: error.into() }
}

/// Deletes the entry `name` of `parent` and all below it, without following links. No error if nothing is there.
///
/// Directories below it are first moved up beside one another, so that two handles are enough at any depth.
pub(super) fn remove_tree(parent: &Directory, name: &[u8]) -> io::Result<()> {
    match open_to_owner(parent, name)? {
        Found::Absent => return Ok(()),
        Found::Unsafe { .. } => return Ok(rustix::fs::unlinkat(parent.fd(), name, AtFlags::empty())?),
        Found::There(top) => {
            let mut moved_up = Flattened { top: &top, count: 0, waiting: Vec::new() };
            moved_up.clear(&top)?;
            while let Some(name) = moved_up.waiting.pop() {
                if let Found::There(directory) = open_to_owner(&top, &name)? {
                    moved_up.clear(&directory)?;
                }
                rustix::fs::unlinkat(top.fd(), &*name, AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(rustix::fs::unlinkat(parent.fd(), name, AtFlags::REMOVEDIR)?)
}

struct Flattened<'a> {
    top: &'a Directory,
    count: u64,
    /// Directories that now lie in `top` and wait to be emptied.
    waiting: Vec<Vec<u8>>,
}

impl Flattened<'_> {
    /// Empties `directory`: deletes what is no directory, moves directories up to `top`.
    fn clear(&mut self, directory: &Directory) -> io::Result<()> {
        let mut names = Names::default();
        names.read(directory.fd())?;
        let in_top = std::ptr::eq(directory, self.top);
        for (name, file_type) in names.iter() {
            let kind = match Kind::of(file_type) {
                Some(kind) => kind,
                None => Kind::of_stat(&rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW)?),
            };
            if kind != Kind::Directory {
                rustix::fs::unlinkat(directory.fd(), name, AtFlags::empty())?;
            } else if in_top {
                self.waiting.push(name.to_vec());
            } else {
                let up = self.move_up(directory, name)?;
                self.waiting.push(up);
            }
        }
        Ok(())
    }

    fn move_up(&mut self, directory: &Directory, name: &[u8]) -> io::Result<Vec<u8>> {
        // A directory that its owner may not write cannot be moved out of its parent.
        open_to_owner(directory, name)?;
        loop {
            self.count += 1;
            let up = format!(".cacheseal-{}", self.count).into_bytes();
            match rustix::fs::renameat_with(directory.fd(), name, self.top.fd(), &*up, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(up),
                Err(Errno::EXIST | Errno::NOTEMPTY) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
