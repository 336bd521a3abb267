//! What is written at length, out of sight, and then takes the place of a file as a whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek as _};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::handle::{Directory, MODE_FILE};

/// A file without a name, in the directory of the one whose place its contents take. Until then nobody finds it, neither
/// a look at that directory nor whoever comes after a process that was killed.
#[derive(Debug)]
pub struct Spool {
    directory: Directory,
    name: String,
    file: File,
}

impl Spool {
    /// Begins what will be the file `name` of `directory`.
    pub fn begin(directory: Directory, name: &OsStr) -> io::Result<Self> {
        let name = name.to_str().ok_or_else(|| io::Error::other("expected a name that is text"))?.to_owned();
        let file = create(&directory, &temporary(&name))?;
        rustix::fs::unlinkat(directory.fd(), temporary(&name), AtFlags::empty())?;
        Ok(Self { directory, name, file })
    }

    /// Where the contents go.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Begins once more: what another process may still write to the first is not for anybody.
    pub fn restart(self) -> io::Result<Self> {
        Self::begin(self.directory, OsStr::new(&self.name))
    }

    /// Puts the contents in their place in one step, whether or not there was such a file.
    pub fn put(mut self) -> io::Result<()> {
        self.file.rewind()?;
        let temporary = temporary(&self.name);
        let mut copy = create(&self.directory, &temporary)?;
        let copied = io::copy(&mut self.file, &mut copy).and_then(|_| copy.sync_all());
        if let Err(error) = copied {
            // The error that led here is the one to report.
            let _: Result<(), Errno> = rustix::fs::unlinkat(self.directory.fd(), &temporary, AtFlags::empty());
            return Err(error);
        }
        rustix::fs::renameat(self.directory.fd(), &temporary, self.directory.fd(), &self.name)?;
        self.directory.sync()
    }
}

fn temporary(name: &str) -> String {
    format!(".{name}.new")
}

/// Creates a file of this name, in the place of what a killed run has left.
fn create(directory: &Directory, name: &str) -> io::Result<File> {
    match rustix::fs::unlinkat(directory.fd(), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(retry_on_intr(|| rustix::fs::openat(directory.fd(), name, flags, MODE_FILE))?))
}
