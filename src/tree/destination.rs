//! Where files go that the command line names: never through a symlink that a restore could have put there.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::handle::{Directory, Found, Kind};
use crate::base::Escaped;

/// Most links on the way to one file, as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Whose links are followed on the way to a file that is to be written.
#[derive(Debug, Clone)]
pub struct Ways {
    /// Where relative paths begin, absolute.
    pub working_directory: PathBuf,
    /// Absolute directories below which no link is followed, as whoever runs this names them: home, the policy's
    /// directory. The way to each of them is the system's affair, and so is the working directory's.
    pub own: Vec<PathBuf>,
    /// The user. Elsewhere, this user's links are not followed either; root's are the system's.
    pub user: u32,
}

impl Ways {
    /// The directory of the file at `path`, which must be there, and the file's name.
    pub fn to(&self, path: &Path) -> io::Result<(Directory, OsString)> {
        let name = path.file_name().ok_or_else(|| io::Error::other("expected the name of a file"))?;
        let parent = plain(&self.working_directory.join(path.parent().unwrap_or(Path::new(""))));
        let own = || self.own.iter().chain([&self.working_directory]).filter(|own| own.parent().is_some());
        let start = own().filter(|own| parent.starts_with(own)).max_by_key(|own| own.as_os_str().len());
        let start = start.map_or(Path::new("/"), PathBuf::as_path);
        let canonical = std::fs::canonicalize(start)?;
        let mut walk = Walk { directory: Directory::open(&canonical)?, at: canonical, links: 0 };
        let closed: Vec<_> = own().filter_map(|own| std::fs::canonicalize(own).ok()).collect();
        let mut rest: Vec<_> = names(parent.strip_prefix(start).unwrap_or(&parent));
        while let Some(next) = rest.pop() {
            if let Some(target) = walk.enter(&next, self.user, &closed)? {
                rest.extend(names(&target));
            }
        }
        Ok((walk.directory, name.to_owned()))
    }
}

/// The names in a path, the last first.
fn names(path: &Path) -> Vec<OsString> {
    let kept = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    let mut names: Vec<_> = path.components().filter(kept).map(|part| part.as_os_str().to_owned()).collect();
    names.reverse();
    names
}

/// An absolute path in which `..` takes away the name before it, whatever that is.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

struct Walk {
    directory: Directory,
    /// Its path, without links.
    at: PathBuf,
    links: usize,
}

impl Walk {
    /// Goes into `name`, or gives back where a link leads that may be followed.
    fn enter(&mut self, name: &OsString, user: u32, closed: &[PathBuf]) -> io::Result<Option<PathBuf>> {
        match self.directory.child(name.as_bytes())? {
            Found::There(next) => {
                self.directory = next;
                if name == ".." {
                    self.at.pop();
                } else {
                    self.at.push(name);
                }
                return Ok(None);
            }
            Found::Absent => return Err(Errno::NOENT.into()),
            Found::Unsafe { kind: Kind::Link, .. } => {}
            Found::Unsafe { .. } => return Err(Errno::NOTDIR.into()),
        }
        let link = rustix::fs::statat(self.directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
        let target = rustix::fs::readlinkat(self.directory.fd(), name, Vec::new())?;
        let is_users = user != 0 && link.st_uid == user;
        if is_users || closed.iter().any(|own| self.at.starts_with(own)) {
            let (link, target) = (self.at.join(name), Escaped(target.as_bytes()));
            return Err(io::Error::other(format!(
                "`{}` is a symlink to `{target}`, and a restore may have put it there: remove it, or name the place itself",
                Escaped(link.as_os_str().as_bytes())
            )));
        }
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        let target = PathBuf::from(OsString::from(std::ffi::OsStr::from_bytes(target.as_bytes())));
        if target.is_absolute() {
            self.at = PathBuf::from("/");
            self.directory = Directory::open(&self.at)?;
        }
        Ok(Some(target))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// `project`, `home` and `elsewhere` in a directory whose links are the system's, with a way to write to each.
    fn ways(user: u32) -> (tempfile::TempDir, Ways) {
        let here = tempfile::tempdir().unwrap();
        let at = fs::canonicalize(here.path()).unwrap();
        for name in ["project/reports/sub", "project/deps", "home/.ssh", "elsewhere/reports", "real-home/reports"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        let ways = Ways { working_directory: at.join("project"), own: vec![at.join("home")], user };
        (here, ways)
    }

    fn reached(ways: &Ways, path: &Path) -> Result<PathBuf, String> {
        let (directory, name) = ways.to(path).map_err(|error| error.to_string())?;
        let name = name.to_str().unwrap();
        directory.replace_file(name, b"report").unwrap();
        Ok(path.to_owned())
    }

    #[test]
    fn honest_files_are_written() {
        let (here, ways) = ways(1);
        let at = fs::canonicalize(here.path()).unwrap();
        for path in ["x", "./x", "reports/x", "reports/sub/../x", "../elsewhere/reports/x", "reports//sub/x"] {
            reached(&ways, Path::new(path)).unwrap();
            assert_eq!(fs::read(at.join("project").join(path)).unwrap(), b"report", "{path}");
        }
        for path in ["elsewhere/reports/x", "home/x", "project/x"] {
            reached(&ways, &at.join(path)).unwrap();
            assert_eq!(fs::read(at.join(path)).unwrap(), b"report", "{path}");
        }
        for path in ["none/x", "reports/none/x"] {
            assert!(reached(&ways, Path::new(path)).unwrap_err().starts_with("No such file"), "{path}");
        }
        fs::write(at.join("project/file"), "").unwrap();
        assert!(reached(&ways, Path::new("file/x")).unwrap_err().starts_with("Not a directory"));
        assert!(reached(&ways, Path::new("..")).is_err());
    }

    #[test]
    fn a_link_of_the_system_is_followed_and_one_below_home_or_checkout_is_not() {
        let me = rustix::process::geteuid().as_raw();
        let (here, system) = ways(me + 1);
        let at = fs::canonicalize(here.path()).unwrap();
        let mine = Ways { user: me, ..system.clone() };
        symlink("elsewhere", at.join("var")).unwrap();
        symlink(at.join("elsewhere"), at.join("absolute")).unwrap();
        symlink("../elsewhere/./reports", at.join("elsewhere/up")).unwrap();
        for path in ["var/reports/x", "absolute/reports/x", "elsewhere/up/x", "var/up/x"] {
            reached(&system, &at.join(path)).unwrap();
            assert_eq!(fs::read(at.join("elsewhere/reports/x")).unwrap(), b"report");
            fs::remove_file(at.join("elsewhere/reports/x")).unwrap();
            // The user's own link, wherever it lies; what root makes is the system's.
            assert_eq!(reached(&mine, &at.join(path)).is_ok(), me == 0, "{path}");
        }
        symlink("../home/.ssh", at.join("project/planted")).unwrap();
        symlink("/tmp", at.join("project/reports/planted")).unwrap();
        symlink("project", at.join("checkout")).unwrap();
        symlink(at.join("home/.ssh"), at.join("home/.keys")).unwrap();
        for ways in [&system, &mine] {
            for path in ["project/planted/x", "project/reports/planted/x", "checkout/planted/x", "home/.keys/x"] {
                let refused = reached(ways, &at.join(path)).unwrap_err();
                assert!(refused.contains("is a symlink to `"), "{path}: {refused}");
            }
            reached(ways, Path::new("planted/x")).unwrap_err();
        }
        assert_eq!(fs::read_dir(at.join("home/.ssh")).unwrap().count(), 0);
        symlink("loop", at.join("loop")).unwrap();
        assert!(reached(&system, &at.join("loop/x")).unwrap_err().contains("ymbolic link"));
    }

    #[test]
    fn the_way_to_home_itself_may_be_a_link_of_anybody() {
        let me = rustix::process::geteuid().as_raw();
        let (here, mut ways) = ways(me);
        let at = fs::canonicalize(here.path()).unwrap();
        symlink("real-home", at.join("linked-home")).unwrap();
        ways.own = vec![at.join("linked-home")];
        reached(&ways, &at.join("linked-home/reports/x")).unwrap();
        assert_eq!(fs::read(at.join("real-home/reports/x")).unwrap(), b"report");
        symlink("reports", at.join("real-home/planted")).unwrap();
        for path in ["linked-home/planted/x", "real-home/planted/x"] {
            reached(&ways, &at.join(path)).unwrap_err();
        }
    }
}
