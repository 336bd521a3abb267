//! What an archive is wrapped in: nothing, gzip (RFC 1952) or Zstandard (RFC 8878), told by its first bytes.
//!
//! All members of a gzip stream and all frames of a Zstandard stream are read, and nothing may follow them. Bytes are
//! only passed on; whoever takes them decides whether they are an archive.

use std::io::{self, BufRead as _, Read};

use flate2::bufread::GzDecoder;
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, get_error_name, is_error_kind};

use super::ends::{Input, Outlet};
use super::error::{ArchiveError, Fault};
use super::frames::{MAGIC, Rest, Sharing, whole_frames};
use crate::base::Code;

/// The first bytes of a gzip member.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The first bytes of a skippable frame, but for the low half of the first: `pzstd` begins with one.
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Decodes all of `source` into `outlet`. `window_log_max` is the base-2 logarithm of the largest Zstandard window. What
/// comes out does not depend on the `sharing`.
pub(super) fn decode(
    source: impl Read,
    window_log_max: u32,
    sharing: Sharing,
    outlet: &mut impl Outlet,
) -> Result<(), ArchiveError> {
    let mut input = Input::new(source);
    let start = input.peek()?;
    let is_skippable = start.first().is_some_and(|byte| byte & 0xf0 == 0x50) && start.get(1..4) == Some(&SKIPPABLE);
    if start.starts_with(&GZIP) {
        gzip(&mut input, outlet)
    } else if start.starts_with(&MAGIC) || is_skippable {
        let mut sequence = sequence(window_log_max)?;
        match whole_frames(input, &mut sequence, window_log_max, sharing, outlet) {
            Rest::Unwanted => Ok(()),
            Rest::Bytes(mut input) => zstd(&mut input, &mut sequence, outlet),
            Rest::Failed(error) => Err(ArchiveError::Io(error)),
        }
    } else {
        plain(&mut input, outlet)
    }
}

/// Decodes a Zstandard stream without a look at its frames.
#[cfg(test)]
pub(super) fn decode_in_sequence(
    source: impl Read,
    window_log_max: u32,
    outlet: &mut impl Outlet,
) -> Result<(), ArchiveError> {
    let mut input = Input::new(source);
    input.peek()?;
    zstd(&mut input, &mut sequence(window_log_max)?, outlet)
}

fn plain<R: Read>(input: &mut Input<R>, outlet: &mut impl Outlet) -> Result<(), ArchiveError> {
    loop {
        let read = input.read(outlet.space()).map_err(ArchiveError::Io)?;
        if read == 0 || !outlet.filled(read, input.consumed) {
            return Ok(());
        }
    }
}

fn gzip<R: Read>(input: &mut Input<R>, outlet: &mut impl Outlet) -> Result<(), ArchiveError> {
    loop {
        if !gzip_member(input, outlet)? {
            return Ok(());
        }
        match input.peek()? {
            [] => return Ok(()),
            [first, ..] if *first == GZIP[0] => {}
            _ => return Err(trailing("the gzip stream").at(input.consumed)),
        }
    }
}

/// Decodes one member. `false` if nobody wants more.
fn gzip_member<R: Read>(input: &mut Input<R>, outlet: &mut impl Outlet) -> Result<bool, ArchiveError> {
    let mut decoder = GzDecoder::new(&mut *input);
    loop {
        match decoder.read(outlet.space()) {
            Ok(0) => return Ok(true),
            Ok(len) => {
                if !outlet.filled(len, decoder.get_ref().consumed) {
                    return Ok(false);
                }
            }
            Err(error) => {
                drop(decoder);
                return Err(input
                    .failure
                    .take()
                    .map_or_else(|| damaged("a gzip stream", error.to_string()).at(input.consumed), ArchiveError::Io));
            }
        }
    }
}

/// What decodes a Zstandard stream from one frame to the next.
fn sequence(window_log_max: u32) -> Result<DCtx<'static>, ArchiveError> {
    let mut context = DCtx::try_create()
        .ok_or_else(|| ArchiveError::Io(io::Error::new(io::ErrorKind::OutOfMemory, "no memory to decompress")))?;
    context
        .set_parameter(DParameter::WindowLogMax(window_log_max))
        .map_err(|code| ArchiveError::Io(io::Error::other(get_error_name(code))))?;
    Ok(context)
}

fn zstd<R: Read>(
    input: &mut Input<R>,
    context: &mut DCtx<'static>,
    outlet: &mut impl Outlet,
) -> Result<(), ArchiveError> {
    let mut in_frame = false;
    loop {
        let mut from = InBuffer::around(input.fill_buf().map_err(ArchiveError::Io)?);
        let at_end = from.src.is_empty();
        if at_end && !in_frame {
            return Ok(());
        }
        let mut to = OutBuffer::around(outlet.space());
        let step = context.decompress_stream(&mut to, &mut from);
        let (taken, filled) = (from.pos(), to.pos());
        let left = step.map_err(|code| zstd_fault(code, in_frame || input.consumed == 0).at(input.consumed))?;
        // No input is left and no output came: the frame wants more than there is.
        if at_end && filled == 0 {
            return Err(damaged("a whole Zstandard frame", "an end within it").at(input.consumed));
        }
        input.consume(taken);
        in_frame = left != 0;
        if filled > 0 && !outlet.filled(filled, input.consumed) {
            return Ok(());
        }
    }
}

fn zstd_fault(code: ErrorCode, in_frame: bool) -> Fault {
    let found = get_error_name(code).to_lowercase();
    if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        Fault::new(Code::WindowTooLarge, "a Zstandard window within the limit", "a larger one")
    } else if !in_frame && is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_prefix_unknown) {
        trailing("the Zstandard stream")
    } else {
        damaged("a Zstandard stream", found)
    }
}

fn damaged(expected: &'static str, found: impl Into<String>) -> Fault {
    Fault::new(Code::DamagedArchive, expected, found)
}

fn trailing(what: &str) -> Fault {
    Fault::new(Code::TrailingData, "the end of the file", format!("more bytes after {what}"))
}
