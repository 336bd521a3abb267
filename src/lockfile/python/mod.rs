//! Python: `requirements.txt` with hashes, `uv.lock`, `poetry.lock`, `Pipfile.lock`, and what caches of pip, uv and
//! Poetry, wheelhouses and virtual environments hold of the releases in them.

mod home;
mod installed;
mod lock;
mod marker;
mod name;
mod needed;
mod pipfile;
mod plan;
mod poetry;
mod record;
mod requirements;
mod scripts;
mod uv;
mod wheel;

pub use lock::{LockedFile, Package, PythonLock};
pub use name::{Name, Release, Version};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};
use crate::base::Escaped;

/// The ecosystem of pip, uv, Poetry and Pipenv.
#[derive(Debug)]
pub struct Python;

/// What `init` knows of it.
const STARTERS: &[Starter] = &[
    Starter {
        lockfile: "uv.lock",
        marker: None,
        cache: "uv",
        roots: &["~/.cache/uv"],
        proven: &["wheelhouse"],
        note: "wheels and unpacked archives",
    },
    Starter {
        lockfile: "poetry.lock",
        marker: None,
        cache: "poetry",
        roots: &["~/.cache/pypoetry"],
        proven: &["~/.cache/pypoetry/artifacts"],
        note: "downloaded packages",
    },
    Starter {
        lockfile: "Pipfile.lock",
        marker: None,
        cache: "pipenv",
        roots: &["~/.cache/pip"],
        proven: &["wheelhouse"],
        note: "downloads and built wheels",
    },
    Starter {
        lockfile: "requirements.txt",
        marker: None,
        cache: "pip",
        roots: &["~/.cache/pip"],
        proven: &["wheelhouse"],
        note: "downloads and built wheels",
    },
];

impl Ecosystem for Python {
    fn name(&self) -> &'static str {
        "Python"
    }

    fn reads(&self, file_name: &str) -> bool {
        matches!(file_name, "uv.lock" | "poetry.lock" | "Pipfile.lock") || is_requirements(file_name)
    }

    fn reads_path(&self, path: &str) -> bool {
        is_in_requirements(path)
    }

    fn starters(&self) -> &'static [Starter] {
        STARTERS
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        Ok(Box::new(PythonLock::read(files)?))
    }
}

/// `requirements/base.txt`: the layout of split requirements.
fn is_in_requirements(path: &str) -> bool {
    let mut names = path.rsplit('/');
    names.next().is_some_and(|name| name.strip_suffix(".txt").is_some_and(|stem| !stem.is_empty()))
        && names.next() == Some("requirements")
}

/// `requirements.txt`, `requirements-dev.txt`, `dev-requirements.txt`, …
fn is_requirements(file_name: &str) -> bool {
    file_name.strip_suffix(".txt").is_some_and(|stem| stem.contains("requirements"))
}

impl PythonLock {
    /// Reads all lockfiles of a cache.
    pub fn read(files: &[LockfileText<'_>]) -> Result<Self, LockfileError> {
        let mut lock = Self::default();
        for file in files {
            let read = match file.file.rsplit('/').next().unwrap_or(file.file) {
                "uv.lock" => uv::read(file)?,
                "poetry.lock" => poetry::read(file)?,
                "Pipfile.lock" => pipfile::read(file)?,
                _ => read_requirements(file, files)?,
            };
            lock.add(file, read)?;
        }
        Ok(lock)
    }
}

/// Reads a `requirements.txt`; the files that it includes must be lockfiles of the cache too.
fn read_requirements(file: &LockfileText<'_>, all: &[LockfileText<'_>]) -> Result<lock::Read, LockfileError> {
    let found = requirements::read(file)?;
    for (line, include) in found.includes {
        let beside = file.file.rsplit_once('/').map_or("", |(directory, _)| directory);
        if !all.iter().any(|other| Some(other.file) == joined(beside, &include).as_deref()) {
            let shown = Escaped(include.as_bytes()).to_string();
            let message =
                format!("expected each included file in `lockfiles` of the cache, found `{shown}`, which is not");
            return Err(file.unsupported(line, message));
        }
    }
    Ok(found.read)
}

/// A path below a directory, with `.` and `..` resolved; `None` for one that leads out of the checkout.
fn joined(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Locked for PythonLock {
    fn packages(&self) -> usize {
        self.packages().len()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        plan::plan(self, plan);
    }
}
