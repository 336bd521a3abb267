//! Changes to files, directories and links. Each does one thing to one path, and says what the system said.

use std::fs::{self, FileTimes, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

/// Changes one bit of the byte at `at`, and leaves size and times as they were.
pub fn change_byte(path: &Path, at: u64) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let before = file.metadata()?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&byte.map(|byte| byte ^ 1), at)?;
    file.set_times(FileTimes::new().set_modified(before.modified()?).set_accessed(before.accessed()?))
}

/// Cuts a file to `length` bytes, or lengthens it to that by a hole that takes no space. Makes the file if there is
/// none.
pub fn resize(path: &Path, length: u64) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)?.set_len(length)
}

/// Gives each of two entries of one file system the other's name.
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let mut away = one.as_os_str().to_owned();
    away.push(".away");
    fs::rename(one, &away)?;
    fs::rename(other, one)?;
    fs::rename(away, other)
}

/// Sets the mode, whatever the umask.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Removes whatever is there: a file, a link itself, or a directory with all that it holds. Nothing is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Puts a symlink to `target` in the place of whatever was there.
pub fn relink(path: &Path, target: &Path) -> io::Result<()> {
    remove(path)?;
    symlink(target, path)
}

/// Moves an entry to `away` and leaves a symlink to it: every read gives what it gave before.
pub fn link_away(path: &Path, away: &Path) -> io::Result<()> {
    fs::rename(path, away)?;
    symlink(away, path)
}

/// Puts the file that a link leads to in the place of the link.
pub fn link_to_file(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    fs::remove_file(path)?;
    fs::write(path, bytes)
}

/// Puts an empty directory in the place of a file.
pub fn file_to_directory(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    fs::create_dir(path)
}

/// Puts a fifo in the place of whatever was there. Nobody writes to it, so a careless reader waits for ever.
///
/// macOS has no such call, only a program that makes one.
#[cfg(not(target_vendor = "apple"))]
pub fn fifo(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, Mode, mkfifoat};
    remove(path)?;
    Ok(mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?)
}
