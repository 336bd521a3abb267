//! `pack`.

use std::io::{self, IsTerminal as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::arguments::PackArguments;
use super::interrupt::{Interrupt, interruption};
use super::outcome::Outcome;
use super::system::{options, ways};
use super::unwritable::unwritable;
use crate::archive::Compression;
use crate::base::{Code, Exit, Refusals, plural};
use crate::cache::{PackError, PackRequest, Packed, pack};
use crate::checkout::{Checkout, Context, Failure, shown};
use crate::report::{Asker, Head, PackedReport, RefusedReport, bytes_text, refusals_text, verdict};
use crate::tree::NewFile;

pub(super) fn run(arguments: &PackArguments, context: &Context) -> Result<Outcome, Failure> {
    let compression = compression(arguments, context)?;
    let checkout = Checkout::load(&arguments.policy.policy, context)?;
    let packing = Packing { arguments, context, checkout: &checkout, compression };
    if arguments.out == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(Failure::new(Code::Usage, "expected stdout to be a file or a pipe, found a terminal"));
        }
        // Nothing is left behind that a signal would have to wait for.
        return packing.write(io::stdout().lock(), &AtomicBool::new(false), |mut out| out.flush());
    }
    let interrupt = Interrupt::listen()?;
    packing.write(begin(arguments, context)?, &interrupt.flag, NewFile::publish)
}

/// How the name of the archive wants it compressed.
fn compression(arguments: &PackArguments, context: &Context) -> Result<Compression, Failure> {
    let name = arguments.out.as_os_str().as_bytes();
    let ends_in = |end: &str| name.len() > end.len() && name.to_ascii_lowercase().ends_with(end.as_bytes());
    let usage = |message: String| Err(Failure::new(Code::Usage, message));
    if [".gz", ".tgz", ".bz2", ".xz", ".lz4", ".zip"].into_iter().any(ends_in) {
        return usage(format!("expected a name that ends in `.tar.zst` or `.tar`, found {}", shown(&arguments.out)));
    }
    if !ends_in(".tar") {
        let level = arguments.level.map_or(Compression::LEVEL, i32::from);
        let threads = arguments.threads.map_or(context.processors, usize::from);
        return Ok(Compression::Zstd { level, threads: u32::try_from(threads).unwrap_or(1) });
    }
    match arguments.level {
        Some(_) => {
            usage("expected no `--level` for an archive that ends in `.tar`, which is not compressed".to_owned())
        }
        None => Ok(Compression::None),
    }
}

/// Begins the file of the archive.
fn begin(arguments: &PackArguments, context: &Context) -> Result<NewFile, Failure> {
    let path = &arguments.out;
    if path.file_name().is_none() {
        return Err(Failure::new(Code::Usage, format!("expected the path of a file, found {}", shown(path))));
    }
    let ways = ways(context, &arguments.policy.policy);
    let begun =
        ways.and_then(|ways| ways.to(path)).and_then(|(directory, name)| NewFile::begin(directory, name.as_bytes()));
    begun.map_err(|error| not_written(arguments, &error))
}

fn not_written(arguments: &PackArguments, error: &io::Error) -> Failure {
    let name = arguments.out.to_string_lossy();
    if error.kind() == io::ErrorKind::ResourceBusy {
        let message = format!("could not write {}: another run is writing it", shown(&arguments.out));
        return Failure::new(Code::Unwritable, message).hint("run again when it has ended");
    }
    unwritable(&name, error)
}

struct Packing<'a> {
    arguments: &'a PackArguments,
    context: &'a Context,
    checkout: &'a Checkout,
    compression: Compression,
}

impl Packing<'_> {
    /// Packs into `out`, and has `publish` end it if it is whole.
    fn write<W: Write>(
        &self,
        out: W,
        interrupted: &AtomicBool,
        publish: impl FnOnce(W) -> io::Result<()>,
    ) -> Result<Outcome, Failure> {
        let Self { arguments, context, checkout, compression } = *self;
        let request = PackRequest {
            workspace: &checkout.workspace,
            policy: &checkout.policy,
            cache: checkout.policy.cache(&arguments.cache)?,
            roots: checkout.roots(&arguments.cache),
            compression,
            interrupted,
            options: options(arguments.threads.unwrap_or(16), context),
        };
        let failed = |error| not_written(arguments, &error);
        match pack(&request, Counted { out, bytes: 0 }) {
            Ok((packed, Counted { out, bytes })) => {
                publish(out).map_err(failed)?;
                Ok(outcome(arguments, &packed, bytes))
            }
            Err(PackError::Refused(refusals)) => Ok(refused(arguments, refusals)),
            Err(PackError::Write(error)) => Err(failed(error)),
            Err(PackError::Interrupted) => Err(interruption()),
        }
    }
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn outcome(arguments: &PackArguments, packed: &Packed, archive_bytes: u64) -> Outcome {
    let roots = &packed.statement.predicate.roots;
    let entries = roots.iter().map(|root| root.entries).fold(0, u64::saturating_add);
    let bytes = roots.iter().map(|root| root.bytes).fold(0, u64::saturating_add);
    let text = format!(
        "packed: cache `{}` into {}, {}\n  {} in {}, {}\n\
         note: roots and seal agree, but nobody has verified who sealed them; `verify --archive` does\n",
        arguments.cache,
        shown(&arguments.out),
        bytes_text(archive_bytes),
        plural(entries, "entry", "entries"),
        plural(roots.len() as u64, "root", "roots"),
        bytes_text(bytes),
    );
    let report = PackedReport {
        head: Head::with("pack", Exit::Ok, "packed"),
        cache: &arguments.cache,
        verified: false,
        archive: arguments.out.to_string_lossy().into_owned(),
        archive_bytes,
        entries,
        bytes,
        sealed_at: packed.statement.predicate.sealed_at.to_string(),
    };
    Outcome::of(Exit::Ok, text, &report)
}

fn refused(arguments: &PackArguments, refusals: Refusals) -> Outcome {
    let exit = refusals.exit();
    let verdict = verdict(exit);
    let text =
        format!("{verdict}: cache `{}` was not packed\n{}", arguments.cache, refusals_text(&refusals, Asker::Packer));
    Outcome::of(exit, text, &RefusedReport::new("pack", verdict, &arguments.cache, refusals))
}
