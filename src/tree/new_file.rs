//! A large file that is written out of sight and then appears whole, under a name that nothing had.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::handle::{Directory, MODE_FILE, is_at};
use crate::base::Digest;

/// A file that is being written. Dropped before [`NewFile::publish`], it leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    directory: Directory,
    name: Vec<u8>,
    temporary: String,
    file: File,
    published: bool,
}

impl NewFile {
    /// Begins the file `name` of `directory`. If it exists, that is [`io::ErrorKind::AlreadyExists`]; if another run
    /// is writing it, [`io::ErrorKind::ResourceBusy`]. What a run that was killed has left is removed.
    pub fn begin(directory: Directory, name: &[u8]) -> io::Result<Self> {
        match rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Err(Errno::EXIST.into()),
            Err(errno) => return Err(errno.into()),
        }
        // As long as any name, so that it fits wherever that one does.
        let temporary = format!(".cacheseal-new-{}", Digest::sha256(name).short());
        let file = File::from(create(&directory, &temporary)?);
        Ok(Self { directory, name: name.to_vec(), temporary, file, published: false })
    }

    /// Waits until all of it is on the disk, and gives it its name if still nothing has that.
    pub fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let (directory, temporary, name) = (self.directory.fd(), self.temporary.as_str(), self.name.as_slice());
        match rustix::fs::renameat_with(directory, temporary, directory, name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                // A link, unlike a plain rename, fails where the name is taken. The first name goes when this is dropped.
                rustix::fs::linkat(directory, temporary, directory, name, AtFlags::empty())?;
            }
            renamed => {
                renamed?;
                self.published = true;
            }
        }
        self.directory.sync()
    }
}

/// Creates the file `name`, which is this run's alone for as long as it is open.
fn create(directory: &Directory, name: &str) -> io::Result<OwnedFd> {
    let open = |flags| {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | flags;
        retry_on_intr(|| rustix::fs::openat(directory.fd(), name, flags, MODE_FILE))
    };
    // Each turn finds the name free, or in use, or takes away what a killed run left.
    for _ in 0..100 {
        match open(OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => {
                lock(&file)?;
                if is_at(file.as_fd(), directory, name.as_bytes())? {
                    return Ok(file);
                }
            }
            Err(Errno::EXIST) => {
                let Ok(left) = open(OFlags::empty()) else {
                    let message = format!("`{name}` is in the way: remove it");
                    return Err(io::Error::other(message));
                };
                lock(&left)?;
                if is_at(left.as_fd(), directory, name.as_bytes())? {
                    rustix::fs::unlinkat(directory.fd(), name, AtFlags::empty())?;
                }
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

fn lock(file: &OwnedFd) -> io::Result<()> {
    match retry_on_intr(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(io::ErrorKind::ResourceBusy.into()),
        Err(errno) => Err(errno.into()),
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published {
            // The error that led here is the one to report.
            let _: Result<(), Errno> = rustix::fs::unlinkat(self.directory.fd(), &*self.temporary, AtFlags::empty());
        }
    }
}
