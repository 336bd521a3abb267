//! The seal directory on disk: read whole or not at all, replaced whole or not at all.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::dispose::remove_tree;
use super::handle::{Directory, Found, Kind, MODE_DIRECTORY, MODE_FILE, mode_of};
use super::names::Names;
use super::read::ReadError;
use crate::base::{Bytes, Digest};
use crate::seal::SEALS;
use crate::seal::manifest::forbidden_bits;

/// A seal could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// `.cacheseal` is not a directory.
    #[error("expected `{SEALS}` to be a directory, found {}; remove it", .0.noun())]
    NotADirectory(Kind),
    /// The system's error, and what was being done.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

fn doing<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Io { doing, source: error.into() }
}

/// An existing seal, open for reading.
#[derive(Debug)]
pub struct SealDirectory {
    directory: Directory,
    names: Vec<(Vec<u8>, Kind)>,
    /// Below the policy's directory, with what is wrong.
    forbidden: Vec<(Vec<u8>, String)>,
}

impl SealDirectory {
    /// Opens the seal of `cache` below the policy's directory.
    pub fn open(policy_directory: &Directory, cache: &str) -> io::Result<Found<Self>> {
        Ok(match policy_directory.descend([SEALS, cache])? {
            Found::There(directory) => {
                let mut seal = Self::read(directory)?;
                seal.judge_modes(policy_directory, cache)?;
                Found::There(seal)
            }
            Found::Absent => Found::Absent,
            Found::Unsafe { depth, kind } => Found::Unsafe { depth, kind },
        })
    }

    /// Reads the names in an open seal directory.
    pub fn read(directory: Directory) -> io::Result<Self> {
        let mut found = Names::default();
        found.read(directory.fd())?;
        found.sort();
        let mut names = Vec::with_capacity(found.len());
        for (name, file_type) in found.iter() {
            let kind = match Kind::of(file_type) {
                Some(kind) => kind,
                None => Kind::of_stat(&rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW)?),
            };
            names.push((name.to_vec(), kind));
        }
        Ok(Self { directory, names, forbidden: Vec::new() })
    }

    /// Notes modes by which others could have another seal found here: of `.cacheseal`, of this directory, and of what
    /// is in it.
    fn judge_modes(&mut self, policy_directory: &Directory, cache: &str) -> io::Result<()> {
        let own = format!("{SEALS}/{cache}");
        let inside = self.names.iter().filter(|(_, kind)| matches!(kind, Kind::File | Kind::Directory));
        let inside = inside.map(|(name, kind)| ([own.as_bytes(), b"/", name].concat(), *kind == Kind::File));
        let above = [(SEALS.as_bytes().to_vec(), false), (own.as_bytes().to_vec(), false)];
        let mut forbidden = Vec::new();
        for (place, is_file) in above.into_iter().chain(inside) {
            let stat = retry_on_intr(|| rustix::fs::statat(policy_directory.fd(), &*place, AtFlags::SYMLINK_NOFOLLOW))?;
            forbidden.extend(forbidden_bits(mode_of(&stat), is_file).map(|found| (place, found)));
        }
        self.forbidden = forbidden;
        Ok(())
    }

    /// What others may write, of the seal and the directories above it, or has a bit that no sealed file has: places
    /// below the policy's directory, and what was found. Empty where only the directory itself was opened.
    #[must_use]
    pub fn forbidden(&self) -> &[(Vec<u8>, String)] {
        &self.forbidden
    }

    /// Everything in it, by name.
    #[must_use]
    pub fn names(&self) -> &[(Vec<u8>, Kind)] {
        &self.names
    }

    /// The bytes of one of its files, if there are at most `max`.
    pub fn file(&self, name: &str, max: u64) -> Result<Vec<u8>, ReadError> {
        self.directory.read_file(name.as_bytes(), max)
    }

    /// The same of a manifest, which may be long.
    pub fn manifest(&self, name: &str, max: u64) -> Result<(Bytes, Digest), ReadError> {
        self.directory.read_long_file(name.as_bytes(), max)
    }
}

/// A seal that is being written, out of everyone's way until it is whole. Dropped before
/// [`Staging::publish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Staging {
    seals: Directory,
    directory: Directory,
    cache: String,
    published: bool,
}

impl Staging {
    /// Begins a seal of `cache`. Holds the lock on `.cacheseal` until it is dropped: a second sealer waits.
    pub fn begin(policy_directory: &Directory, cache: &str) -> Result<Self, StoreError> {
        match rustix::fs::mkdirat(policy_directory.fd(), SEALS, MODE_DIRECTORY) {
            Ok(()) => policy_directory.sync().map_err(doing("sync the policy's directory"))?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(doing("create `.cacheseal`")(error)),
        }
        let seals = match policy_directory.child(SEALS.as_bytes()).map_err(doing("open `.cacheseal`"))? {
            Found::There(seals) => seals,
            Found::Absent => return Err(doing("open `.cacheseal`")(Errno::NOENT)),
            Found::Unsafe { kind, .. } => return Err(StoreError::NotADirectory(kind)),
        };
        retry_on_intr(|| rustix::fs::flock(seals.fd(), FlockOperation::LockExclusive))
            .map_err(doing("lock `.cacheseal`"))?;
        let name = staging_name(cache);
        // Whoever made it was killed: the lock is ours.
        remove_tree(&seals, name.as_bytes()).map_err(doing("remove what an interrupted run left in `.cacheseal`"))?;
        rustix::fs::mkdirat(seals.fd(), &name, MODE_DIRECTORY).map_err(doing("create a directory in `.cacheseal`"))?;
        match seals.child(name.as_bytes()).map_err(doing("open a directory in `.cacheseal`"))? {
            Found::There(directory) => Ok(Self { seals, directory, cache: cache.to_owned(), published: false }),
            _ => Err(doing("open a directory in `.cacheseal`")(Errno::NOENT)),
        }
    }

    /// Writes one file of the seal and waits until it is on the disk.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.create(name)?;
        file.write(bytes)?;
        file.sync()
    }

    /// Begins a file of the seal, whose bytes come one after the other.
    pub fn create(&self, name: &str) -> Result<StagedFile, StoreError> {
        let file = create_new(&self.directory, name, MODE_FILE).map_err(doing("write the seal"))?;
        Ok(StagedFile(File::from(file)))
    }

    /// Whether a file of the seal has exactly `bytes`, as it is read back.
    pub fn holds(&self, name: &str, bytes: &[u8]) -> Result<bool, ReadError> {
        self.directory.holds(name.as_bytes(), bytes)
    }

    /// What has been written so far, to be verified before it is published.
    pub fn reopen(&self) -> Result<SealDirectory, StoreError> {
        match self.seals.child(staging_name(&self.cache).as_bytes()).map_err(doing("read the seal back"))? {
            Found::There(directory) => SealDirectory::read(directory).map_err(doing("read the seal back")),
            _ => Err(doing("read the seal back")(Errno::NOENT)),
        }
    }

    /// Puts the seal in its place in one step: at every moment the old seal or the new one is there, whole.
    pub fn publish(mut self) -> Result<(), StoreError> {
        self.directory.sync().map_err(doing("sync the seal"))?;
        let staged = staging_name(&self.cache);
        exchange(&self.seals, &staged, &self.cache).map_err(doing("put the seal in its place"))?;
        self.published = true;
        self.seals.sync().map_err(doing("sync `.cacheseal`"))?;
        remove_tree(&self.seals, staged.as_bytes()).map_err(doing("remove the old seal"))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            // The error that led here is the one to report.
            let _: Result<(), io::Error> = remove_tree(&self.seals, staging_name(&self.cache).as_bytes());
        }
    }
}

/// A file of a seal that is being written.
#[derive(Debug)]
pub struct StagedFile(File);

impl StagedFile {
    /// Adds to it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write_all(bytes).map_err(doing("write the seal"))
    }

    /// Waits until all of it is on the disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.0.sync_all().map_err(doing("write the seal"))
    }
}

/// Caches have no dot in their names, so this is never one.
fn staging_name(cache: &str) -> String {
    format!(".staging-{cache}")
}

/// Swaps `staged` with `target`, or moves it there if nothing is. Where the file system cannot swap, the old
/// goes first: interrupted there, the run leaves no seal, which is refused.
fn exchange(seals: &Directory, staged: &str, target: &str) -> Result<(), Errno> {
    let rename = |flags| rustix::fs::renameat_with(seals.fd(), staged, seals.fd(), target, flags);
    match rename(RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(Errno::NOENT) => rename(RenameFlags::NOREPLACE).or_else(|errno| match errno {
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
                rustix::fs::renameat(seals.fd(), staged, seals.fd(), target)
            }
            errno => Err(errno),
        }),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let old = format!("{staged}-old");
            remove_tree(seals, old.as_bytes()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            match rustix::fs::renameat(seals.fd(), target, seals.fd(), &old) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            rustix::fs::renameat(seals.fd(), staged, seals.fd(), target)?;
            remove_tree(seals, old.as_bytes()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        }
        Err(errno) => Err(errno),
    }
}

/// Creates `name`, which must not exist, with `contents`, and waits until it is on the disk. Removed again if that fails.
fn write_new(directory: &Directory, name: &str, mode: Mode, contents: &[u8]) -> io::Result<()> {
    let mut out = File::from(create_new(directory, name, mode)?);
    let written = out.write_all(contents).and_then(|()| out.sync_all());
    if written.is_err() {
        // The error that led here is the one to report.
        let _: Result<(), Errno> = rustix::fs::unlinkat(directory.fd(), name, AtFlags::empty());
    }
    written
}

/// A name that no file of the user has, and no other process takes.
fn temporary_name(name: &str) -> String {
    format!(".{name}.{:016x}.new", RandomState::new().hash_one(name))
}

fn create_new(directory: &Directory, name: &str, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(directory.fd(), name, flags, mode))
}

impl Directory {
    /// Creates the file `name` with `contents`, all or nothing; a secret one only for its owner.
    /// What exists is never overwritten: that is [`io::ErrorKind::AlreadyExists`].
    pub fn create_file(&self, name: &str, secret: bool, contents: &[u8]) -> io::Result<()> {
        let mode = if secret { Mode::RUSR | Mode::WUSR } else { MODE_FILE };
        let temporary = temporary_name(name);
        write_new(self, &temporary, mode, contents)?;
        // A link, unlike a rename, fails where the name is taken.
        let placed = rustix::fs::linkat(self.fd(), &temporary, self.fd(), name, AtFlags::empty());
        rustix::fs::unlinkat(self.fd(), &temporary, AtFlags::empty())?;
        placed?;
        self.sync()
    }

    /// Puts a file with `contents` in the place of `name` in one step, whether or not there was one.
    pub fn replace_file(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        let temporary = temporary_name(name);
        write_new(self, &temporary, MODE_FILE, contents)?;
        rustix::fs::renameat(self.fd(), &temporary, self.fd(), name)?;
        self.sync()
    }

    /// Creates the directory `name` if nothing has that name, and opens it.
    pub fn create_directory(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(self.fd(), name, MODE_DIRECTORY) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        match self.child(name.as_bytes())? {
            Found::There(directory) => Ok(directory),
            Found::Absent => Err(Errno::NOENT.into()),
            Found::Unsafe { kind, .. } => {
                let text = format!("expected `{name}` to be a directory, found {}", kind.noun());
                Err(io::Error::new(io::ErrorKind::NotADirectory, text))
            }
        }
    }

    /// Whether something has that name, and what it is.
    pub fn kind_of(&self, name: &str) -> io::Result<Option<Kind>> {
        match rustix::fs::statat(self.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                Ok(Some(Kind::of(FileType::from_raw_mode(stat.st_mode)).unwrap_or(Kind::Special("an unknown entry"))))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}
