//! The file of `--differences`: every refusal as it is found, one line of JSON each.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::system::ways;
use crate::base::{Refusal, Stream};
use crate::checkout::{Context, shown};
use crate::report::json_line;
use crate::tree::Spool;

/// Bytes that are written at a time.
const BUFFER_BYTES: usize = 1 << 16;

/// Lines on their way to a file, from all threads. After an error nothing more is written.
pub(super) struct Lines {
    out: Mutex<(BufWriter<File>, io::Result<()>)>,
}

impl Lines {
    pub(super) fn to(file: File) -> Arc<Self> {
        Arc::new(Self { out: Mutex::new((BufWriter::with_capacity(BUFFER_BYTES, file), Ok(()))) })
    }

    pub(super) fn stream(self: &Arc<Self>) -> Stream {
        let lines = Arc::clone(self);
        Stream::new(move |refusal| lines.write(refusal))
    }

    fn write(&self, refusal: &Refusal) {
        let line = json_line(refusal);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, written) = &mut *out;
        if written.is_ok() {
            *written = file.write_all(&line);
        }
    }

    /// Writes what is left. Gives the first error that there was.
    pub(super) fn finish(&self) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, written) = &mut *out;
        std::mem::replace(written, Ok(())).and_then(|()| file.flush())
    }
}

/// The file that the command line names, if it does.
pub(super) struct Differences {
    path: PathBuf,
    begun: io::Result<(Spool, Arc<Lines>)>,
}

impl Differences {
    /// Begins the file at `path`. One that cannot be written is told at the end, with the verdict.
    pub(super) fn begin(path: &Path, policy: &Path, context: &Context) -> Self {
        let way = ways(context, policy).and_then(|ways| ways.to(path));
        let begun = way.and_then(|(directory, name)| with_lines(Spool::begin(directory, &name)?));
        Self { path: path.to_owned(), begun }
    }

    /// Where refusals go that are found here.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.begun.as_ref().ok().map(|(_, lines)| lines.stream())
    }

    /// The file for another process to write to.
    pub(super) fn file(&self) -> Option<&File> {
        self.begun.as_ref().ok().map(|(spool, _)| spool.file())
    }

    /// Forgets what was written: it belongs to no verdict.
    pub(super) fn restart(self) -> Self {
        let begun = self.begun.and_then(|(spool, _)| with_lines(spool.restart()?));
        Self { begun, ..self }
    }

    /// Puts the file in its place. Gives back why it could not be written, in words.
    pub(super) fn put(self) -> Option<String> {
        let put = self.begun.and_then(|(spool, lines)| lines.finish().and_then(|()| spool.put()));
        Some(format!("could not write the differences to {}: {}", shown(&self.path), put.err()?))
    }
}

fn with_lines(spool: Spool) -> io::Result<(Spool, Arc<Lines>)> {
    let lines = Lines::to(spool.file().try_clone()?);
    Ok((spool, lines))
}
