//! What the commands that read an archive have in common.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use crate::base::{Code, Escaped};
use crate::checkout::{Failure, shown};

/// An archive to be read once, from its beginning to its end.
pub(super) struct ArchiveInput {
    /// Its name as reports show it.
    pub(super) name: String,
    pub(super) source: File,
}

impl ArchiveInput {
    /// Opens the file at `path`, or stdin for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            let file = file.map_err(|error| Failure::new(Code::Unreadable, format!("stdin: {error}")))?;
            return Ok(Self { name: "stdin".to_owned(), source: file });
        }
        let failed = |what: String| {
            Failure::new(Code::Unreadable, format!("expected an archive at {}, but {what}", shown(path)))
        };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        // A directory opens, and fails at the first read with words that help nobody.
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            let hint = "verify directories with `cacheseal verify CACHE --gate GATE`";
            return Err(failed("it is a directory".to_owned()).hint(hint));
        }
        Ok(Self { name: path.to_string_lossy().into_owned(), source: file })
    }
}

/// What the command line names, or the only one that the policy has.
pub(super) fn chosen<'a>(
    what: &str,
    named: Option<&'a str>,
    known: impl Iterator<Item = &'a str>,
) -> Result<&'a str, Failure> {
    if let Some(name) = named {
        return Ok(name);
    }
    let known: Vec<_> = known.collect();
    if let [only] = known[..] {
        return Ok(only);
    }
    let quoted: Vec<_> = known.iter().map(|name| format!("`{}`", Escaped(name.as_bytes()))).collect();
    let message = format!("expected `--{what}` to name one of the policy's: {}", quoted.join(", "));
    Err(Failure::new(Code::Usage, message))
}
