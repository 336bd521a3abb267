//! What a command has to know of the process that it runs in, read once.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::failure::Failure;
use crate::base::{Code, Escaped, Limits, Refusal, Stream};
use crate::seal::statement::Platform;
use crate::tree::Options;

/// Threads that read and hash unless it is said otherwise: enough to keep a disk busy.
const THREADS: u16 = 16;

/// Clock, home and machine, as a verification takes them. Only [`Context::of_process`] reads them from the process.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) now: Timestamp,
    pub(crate) home: Option<OsString>,
    pub(crate) platform: Platform,
    pub(crate) processors: usize,
    pub(crate) threads: u16,
    pub(crate) limits: Limits,
    /// What gets every refusal as it is found.
    pub(crate) differences: Option<Stream>,
}

impl Context {
    /// The context of this process, now: the system's clock, `HOME`, this system and its processors.
    #[must_use]
    pub fn of_process() -> Self {
        // Seconds are all that anyone compares, and shorter to read.
        let now = Timestamp::now();
        Self {
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
            home: std::env::var_os("HOME"),
            platform: Platform { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned() },
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            threads: THREADS,
            limits: Limits::STANDARD,
            differences: None,
        }
    }

    /// The same at another time, in seconds since 1970-01-01 UTC. A time beyond the years -9999 to 9999 is the first or
    /// the last of them: a seal is too old there, or from the future.
    #[must_use]
    pub fn at(mut self, seconds: i64) -> Self {
        let bound = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.now = Timestamp::from_second(seconds).unwrap_or(bound);
        self
    }

    /// The same with another home, for the roots below `~`.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into().into_os_string());
        self
    }

    /// The same with so many threads that read and hash.
    #[must_use]
    pub fn with_threads(mut self, threads: u16) -> Self {
        self.threads = threads;
        self
    }

    /// The same, and `take` gets every refusal as it is found, in any order and from any thread: a report keeps the first
    /// thousand of each code.
    #[must_use]
    pub fn with_differences(mut self, take: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        self.differences = Some(Stream::new(take));
        self
    }

    /// Home as a canonical path: its own symlinks are the system's, not the cache's. As it is where it does not exist.
    pub(crate) fn home_directory(&self) -> Option<PathBuf> {
        let home = PathBuf::from(self.home.as_ref().filter(|home| !home.is_empty())?);
        Some(std::fs::canonicalize(&home).ok().filter(|_| home.is_absolute()).unwrap_or(home))
    }

    /// How trees are read.
    pub(crate) fn options(&self) -> Options<'_> {
        Options {
            threads: usize::from(self.threads),
            processors: self.processors,
            limits: &self.limits,
            differences: self.differences.as_ref(),
            clears_others_write: false,
        }
    }
}

/// The canonical directory of a path that names a file, and the file's name in it.
pub(crate) fn split(path: &Path) -> Result<(PathBuf, String), Failure> {
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
pub(crate) fn shown(path: &Path) -> String {
    format!("`{}`", Escaped(path.as_os_str().as_encoded_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_shows_is_never_now() {
        let at = |seconds| Context::of_process().at(seconds).now;
        assert_eq!(at(7).as_second(), 7);
        assert_eq!((at(i64::MIN), at(i64::MAX)), (Timestamp::MIN, Timestamp::MAX));
    }
}
