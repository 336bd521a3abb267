//! Where paths lead.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;

use super::handle::{Directory, Kind};

/// As many links as the kernel follows on one way.
const LINKS_MAX: usize = 40;

/// Where a path leads, and by which links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The links on the way, the last name included, in the order in which they are met.
    pub links: Vec<PathBuf>,
    /// The path without links: where the kernel would find or put it.
    pub end: PathBuf,
}

/// Follows the links on the way to an absolute path, those that lead to nothing as well.
#[must_use]
pub fn trace(path: &Path) -> Lead {
    let mut lead = Lead { links: Vec::new(), end: PathBuf::from("/") };
    let mut left = names(path);
    while let Some(name) = left.pop() {
        if name == ".." {
            lead.end.pop();
            continue;
        }
        let at = lead.end.join(name);
        match std::fs::read_link(&at) {
            Ok(target) if lead.links.len() < LINKS_MAX => {
                if target.is_absolute() {
                    lead.end = PathBuf::from("/");
                }
                left.extend(names(&target));
                lead.links.push(at);
            }
            _ => lead.end = at,
        }
    }
    lead
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    names.collect()
}

/// The path without links: where the kernel would find or put it.
#[must_use]
pub fn resolve(path: &Path) -> PathBuf {
    trace(path).end
}

/// Whether something has this name, a symlink that leads nowhere included.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Whether nothing is at `path`, or an empty real directory; and else what is.
pub fn is_vacant(path: &Path) -> std::io::Result<Result<(), Kind>> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Ok(())),
        Err(errno) => Err(errno.into()),
        Ok(stat) => match Kind::of_stat(&stat) {
            Kind::Directory if Directory::open(path)?.is_empty()? => Ok(Ok(())),
            kind => Ok(Err(kind)),
        },
    }
}
