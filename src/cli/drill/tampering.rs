//! What an attacker does to a tree.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::bench::Bench;
use super::sample::{NEWLINE, make_directories};
use crate::base::Code;
use crate::cli::context::shown;
use crate::cli::failure::Failure;

type Done = Result<(), Failure>;

/// Does something to an entry of `drill/`, and says which if that fails.
fn at(bench: &Bench, name: &str, act: impl FnOnce(&Path) -> io::Result<()>) -> Done {
    let path = bench.sample().join("drill").join(name);
    act(&path).map_err(|error| Failure::new(Code::Unwritable, format!("{}: {error}", shown(&path))))
}

/// Where an attacker keeps what is not in the root.
fn elsewhere(path: &Path) -> io::Result<PathBuf> {
    let project = path.ancestors().find(|above| above.join("sample").is_dir() || above.join("sample").is_symlink());
    let directory = project.unwrap_or(path).join("elsewhere");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

pub(super) fn change_byte(bench: &Bench) -> Done {
    at(bench, "first", |path| {
        let times = fs::metadata(path)?.modified()?;
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(2))?;
        file.write_all(b"X")?;
        file.set_modified(times)
    })
}

pub(super) fn truncate(bench: &Bench) -> Done {
    at(bench, "first", |path| OpenOptions::new().write(true).open(path)?.set_len(3))
}

pub(super) fn fill_empty(bench: &Bench) -> Done {
    at(bench, "nothing", |path| fs::write(path, "something\n"))
}

pub(super) fn exchange(bench: &Bench) -> Done {
    at(bench, "first", |path| {
        let second = path.with_file_name("second");
        let (one, other) = (fs::read(path)?, fs::read(&second)?);
        fs::write(path, other)?;
        fs::write(second, one)
    })
}

pub(super) fn grow_sparse(bench: &Bench) -> Done {
    at(bench, "first", |path| OpenOptions::new().write(true).open(path)?.set_len(1 << 40))
}

pub(super) fn change_strange_name(bench: &Bench) -> Done {
    at(bench, NEWLINE, |path| fs::write(path, "strange game\n"))
}

pub(super) fn add_file(bench: &Bench) -> Done {
    at(bench, "sitecustomize.py", |path| fs::write(path, "import os\n"))
}

pub(super) fn add_hidden(bench: &Bench) -> Done {
    at(bench, ".npmrc", |path| fs::write(path, "ignore-scripts=false\n"))
}

pub(super) fn add_directory(bench: &Bench) -> Done {
    at(bench, "node_modules", |path| fs::create_dir(path))
}

pub(super) fn add_seal_lookalike(bench: &Bench) -> Done {
    at(bench, "seal.json", |path| fs::write(path, "{}"))
}

pub(super) fn remove_file(bench: &Bench) -> Done {
    at(bench, "first", |path| fs::remove_file(path))
}

pub(super) fn remove_directory(bench: &Bench) -> Done {
    at(bench, "empty", |path| fs::remove_dir(path))
}

pub(super) fn remove_all(bench: &Bench) -> Done {
    remove_root(bench)?;
    at(bench, "..", |_| make_directories(&bench.sample()))
}

pub(super) fn remove_root(bench: &Bench) -> Done {
    at(bench, "..", |_| fs::remove_dir_all(bench.sample()))
}

fn chmod(bench: &Bench, name: &str, mode: u32) -> Done {
    at(bench, name, |path| fs::set_permissions(path, Permissions::from_mode(mode)))
}

pub(super) fn set_executable(bench: &Bench) -> Done {
    chmod(bench, "first", 0o755)
}

pub(super) fn clear_executable(bench: &Bench) -> Done {
    chmod(bench, "tool", 0o644)
}

pub(super) fn set_setuid(bench: &Bench) -> Done {
    chmod(bench, "tool", 0o4755)
}

pub(super) fn open_file_to_all(bench: &Bench) -> Done {
    chmod(bench, "first", 0o666)
}

pub(super) fn open_directory_to_all(bench: &Bench) -> Done {
    chmod(bench, "library", 0o777)
}

/// Moves an entry out of the root and leaves a link to it.
fn replace_by_link(path: &Path) -> io::Result<()> {
    let moved = elsewhere(path)?.join("moved");
    fs::rename(path, &moved)?;
    symlink(moved, path)
}

pub(super) fn file_to_link(bench: &Bench) -> Done {
    at(bench, "first", replace_by_link)
}

pub(super) fn directory_to_link(bench: &Bench) -> Done {
    at(bench, "library", replace_by_link)
}

pub(super) fn root_to_link(bench: &Bench) -> Done {
    let moved = bench.directory.join("elsewhere");
    let link = || {
        fs::rename(bench.sample(), &moved)?;
        symlink("elsewhere", bench.sample())
    };
    link().map_err(|error| Failure::new(Code::Unwritable, format!("{}: {error}", shown(&moved))))
}

pub(super) fn link_to_file(bench: &Bench) -> Done {
    at(bench, "link", |path| {
        let bytes = fs::read(path)?;
        fs::remove_file(path)?;
        fs::write(path, bytes)
    })
}

pub(super) fn file_to_directory(bench: &Bench) -> Done {
    at(bench, "first", |path| {
        fs::remove_file(path)?;
        fs::create_dir(path)
    })
}

fn relink(bench: &Bench, target: &str) -> Done {
    at(bench, "link", |path| {
        fs::remove_file(path)?;
        symlink(target, path)
    })
}

pub(super) fn retarget_link(bench: &Bench) -> Done {
    relink(bench, "second")
}

pub(super) fn respell_link(bench: &Bench) -> Done {
    relink(bench, "./first")
}

#[cfg(not(target_vendor = "apple"))]
fn make_fifo(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

/// macOS has no such call relative to a handle, so its own program makes the fifo.
#[cfg(target_vendor = "apple")]
fn make_fifo(path: &Path) -> io::Result<()> {
    let status = std::process::Command::new("/usr/bin/mkfifo").arg(path).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("mkfifo failed")) }
}

pub(super) fn file_to_fifo(bench: &Bench) -> Done {
    at(bench, "first", |path| {
        fs::remove_file(path)?;
        make_fifo(path)
    })
}

pub(super) fn add_fifo(bench: &Bench) -> Done {
    at(bench, "fifo", make_fifo)
}

pub(super) fn link_from_outside(bench: &Bench) -> Done {
    at(bench, "first", |path| {
        fs::hard_link(path, elsewhere(path)?.join("first")).and_then(|()| File::open(path)?.sync_all())
    })
}
