//! The process's surroundings, read once.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::failure::Failure;
use crate::base::{Code, Escaped, Limits};
use crate::seal::statement::{Platform, Source};
use crate::tree::{Options, Ways};

/// Environment, clock and working directory.
pub(super) struct Context {
    pub(super) now: Timestamp,
    pub(super) home: Option<OsString>,
    pub(super) limits: Limits,
}

impl Context {
    pub(super) fn of_process() -> Self {
        raise_open_file_limit();
        Self { now: Self::now(), home: std::env::var_os("HOME"), limits: Limits::STANDARD }
    }

    /// The clock. Seconds are all that anyone compares, and shorter to read.
    pub(super) fn now() -> Timestamp {
        Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_else(|_| Timestamp::now())
    }

    /// Home as a canonical path: its own symlinks are the system's, not the cache's. As it is where it does not exist.
    pub(super) fn home_directory(&self) -> Option<PathBuf> {
        let home = PathBuf::from(self.home.as_ref().filter(|home| !home.is_empty())?);
        Some(std::fs::canonicalize(&home).ok().filter(|_| home.is_absolute()).unwrap_or(home))
    }

    /// Whose links are followed on the way to a file that is to be written, with the policy at `policy`.
    pub(super) fn ways(&self, policy: &Path) -> io::Result<Ways> {
        let working_directory = std::env::current_dir()?;
        let beside = working_directory.join(policy.parent().unwrap_or(Path::new("")));
        let home = self.home.as_ref().map(PathBuf::from).filter(|home| home.is_absolute());
        let own = home.into_iter().chain([beside]).collect();
        Ok(Ways { working_directory, own, user: rustix::process::geteuid().as_raw() })
    }

    /// An environment variable as text, if it is set and not empty.
    pub(super) fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// What tells this job from another on the same machine; empty where nothing does.
    pub(super) fn job() -> String {
        let job = Self::variable("CIRCLECI").and_then(|_| Self::variable("CIRCLE_WORKFLOW_JOB_ID"));
        job.unwrap_or_default()
    }

    pub(super) fn platform() -> Platform {
        Platform { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned() }
    }

    /// Processors that this process may use, as far as the system tells.
    pub(super) fn processors() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// How a command reads trees: with the threads that were asked for.
    pub(super) fn options(threads: u16, limits: &Limits) -> Options<'_> {
        Options { threads: usize::from(threads), processors: Self::processors(), limits, differences: None }
    }

    /// What `CircleCI` says of this job; nothing elsewhere.
    pub(super) fn source() -> Source {
        if Self::variable("CIRCLECI").is_none() {
            return Source::default();
        }
        let branch = Self::variable("CIRCLE_BRANCH").map(|branch| match branch.strip_prefix("pull/") {
            Some(number) => format!("refs/pull/{number}/head"),
            None => format!("refs/heads/{branch}"),
        });
        Source {
            ci: Some("circleci".to_owned()),
            ref_: Self::variable("CIRCLE_TAG").map(|tag| format!("refs/tags/{tag}")).or(branch),
            revision: Self::variable("CIRCLE_SHA1"),
            job: Self::variable("CIRCLE_JOB"),
            run: Self::variable("CIRCLE_WORKFLOW_ID").or_else(|| Self::variable("CIRCLE_BUILD_NUM")),
        }
    }
}

/// A deep tree holds a handle for each level on the way; the soft limit is often a mere 1,024.
fn raise_open_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where this is not allowed, the walk still works for all but the deepest trees.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The canonical directory of a path that names a file, and the file's name in it.
pub(super) fn split(path: &Path) -> Result<(PathBuf, String), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| Failure::new(Code::Usage, format!("expected the path of a file, found {}", shown(path))))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = std::fs::canonicalize(parent).map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { Code::NoPolicy } else { Code::Unreadable };
        Failure::new(code, format!("expected the directory {}: {error}", shown(parent)))
    })?;
    Ok((directory, name.to_owned()))
}

/// A path for messages, quoted and harmless.
pub(super) fn shown(path: &Path) -> String {
    format!("`{}`", Escaped(path.as_os_str().as_encoded_bytes()))
}

/// Random bytes of the operating system.
pub(super) fn random_seed() -> Result<zeroize::Zeroizing<[u8; 32]>, Failure> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|error| Failure::new(Code::Internal, format!("the system gave no random bytes: {error}")))?;
    Ok(seed)
}

/// Writes what is left to say. The verdict stands whether or not anyone listens.
pub(super) fn to_stdout(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

pub(super) fn to_stderr(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}
