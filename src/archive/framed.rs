//! A Zstandard stream of many frames (RFC 8878), each of which can be written and read without the others.

use std::io::{self, Write};

use zstd::zstd_safe::{CCtx, CParameter, ErrorCode, compress_bound, get_error_name};

use super::pool::{Pool, Worker};

/// Bytes of the stream that go into a frame, all but the last. The smallest power of two that costs little: at the
/// default level, archives are 2 % larger or smaller than with one frame; with half of it, up to 8 % larger.
pub(super) const FRAME_BYTES: usize = 1 << FRAME_LOG;
const FRAME_LOG: u32 = 22;
/// The strength of high levels are long distances: in frames of 4 MiB they lose up to a third. So theirs are of 32 MiB,
/// which are read one after the other.
const LONG_FRAME_LOG: u32 = 25;
/// Levels from here on have long frames.
const LONG_LEVEL: i32 = 16;

/// The base-2 logarithm of the bytes that go into a frame.
fn frame_log(level: i32) -> u32 {
    if level < LONG_LEVEL { FRAME_LOG } else { LONG_FRAME_LOG }
}
/// Bytes of a frame that are held back until there is more: of its checksum.
const HELD_BYTES: usize = 1;

/// Compresses what is written to it, on threads of its own; writes on the thread of whoever writes to it.
///
/// Something is always missing from what was written until [`Framed::finish`]: the last frame lacks its last byte. Else
/// a stream that was given up between two frames would be a whole one with fewer contents.
pub(super) struct Framed<W> {
    out: W,
    /// Frames that may be under way.
    ahead: usize,
    frame_bytes: usize,
    pool: Pool<Frame, io::Result<Frame>>,
    piece: Vec<u8>,
    /// Memory of frames that are written.
    spare: Vec<Frame>,
    /// What is left to be written of the last frame.
    held: Vec<u8>,
    frames: u64,
    /// Why nothing more is written.
    failed: Option<io::ErrorKind>,
}

/// A piece of the stream and, when it is compressed, the frame of it.
#[derive(Default)]
struct Frame {
    piece: Vec<u8>,
    compressed: Vec<u8>,
}

impl<W: Write> Framed<W> {
    /// Begins a stream into `out`, compressed at `level` by up to `threads` threads.
    pub(super) fn new(out: W, level: i32, threads: u32) -> Self {
        let threads = usize::try_from(threads.max(1)).unwrap_or(1);
        Self {
            out,
            // Two more than there are threads: one that waits to be written, one that waits for a thread.
            ahead: threads.saturating_add(2),
            frame_bytes: 1 << frame_log(level),
            pool: Pool::new(threads, move || compressor(level)),
            piece: Vec::new(),
            spare: Vec::new(),
            held: Vec::new(),
            frames: 0,
            failed: None,
        }
    }

    /// Ends the stream, and gives back what it went into.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.flush_frames()?;
        if self.frames == 0 {
            // A stream of nothing has a frame too.
            self.submit()?;
            self.flush_frames()?;
        }
        Ok(self.out)
    }

    /// Has the piece compressed, and takes what became of earlier ones.
    fn submit(&mut self) -> io::Result<()> {
        let Frame { piece, compressed } = self.spare.pop().unwrap_or_default();
        self.pool.submit(Frame { piece: std::mem::replace(&mut self.piece, piece), compressed });
        self.frames += 1;
        while let Some(frame) = self.pool.next_ready() {
            self.write_frame(frame)?;
        }
        while self.pool.under_way() >= self.ahead {
            self.write_next()?;
        }
        Ok(())
    }

    /// Waits for the oldest frame, and writes it.
    fn write_next(&mut self) -> io::Result<()> {
        self.pool.next().map_or(Ok(()), |frame| self.write_frame(frame))
    }

    /// Writes a frame but for its end, after the end of the one before it.
    fn write_frame(&mut self, frame: io::Result<io::Result<Frame>>) -> io::Result<()> {
        let written = frame.and_then(|frame| frame).and_then(|mut frame| {
            let end = frame.compressed.split_off(frame.compressed.len().saturating_sub(HELD_BYTES));
            self.held.append(&mut frame.compressed);
            // In one piece, so that a pipe does not get the end of a frame alone.
            self.out.write_all(&self.held)?;
            self.held = end;
            frame.piece.clear();
            self.spare.push(frame);
            Ok(())
        });
        self.keep(written)
    }

    /// Writes whatever there is, the end of the last frame too.
    fn flush_frames(&mut self) -> io::Result<()> {
        self.go_on()?;
        if !self.piece.is_empty() {
            self.submit()?;
        }
        while self.pool.under_way() > 0 {
            self.write_next()?;
        }
        let written = self.out.write_all(&std::mem::take(&mut self.held));
        self.keep(written)
    }

    /// A frame that was lost must not be followed by another.
    fn keep(&mut self, result: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &result {
            self.failed = Some(error.kind());
        }
        result
    }

    fn go_on(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |kind| Err(io::Error::new(kind, "an earlier write failed")))
    }
}

impl<W: Write> Write for Framed<W> {
    #[expect(clippy::indexing_slicing, reason = "no more is taken than there is; a panic is a refusal")]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.go_on()?;
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(self.frame_bytes);
        }
        let taken = bytes.len().min(self.frame_bytes - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == self.frame_bytes {
            self.submit()?;
        }
        Ok(taken)
    }

    /// Ends the frame, however short it is: what was written can be read.
    fn flush(&mut self) -> io::Result<()> {
        self.flush_frames()?;
        let flushed = self.out.flush();
        self.keep(flushed)
    }
}

fn compressor(level: i32) -> Worker<Frame, io::Result<Frame>> {
    let mut context = None;
    Box::new(move |mut frame| {
        if context.is_none() {
            context = Some(new_context(level)?);
        }
        if let Some(context) = &mut context {
            frame.compressed.clear();
            frame.compressed.reserve_exact(compress_bound(frame.piece.len()));
            context.compress2(&mut frame.compressed, &frame.piece).map_err(failure)?;
        }
        Ok(frame)
    })
}

fn new_context(level: i32) -> io::Result<CCtx<'static>> {
    let mut context =
        CCtx::try_create().ok_or_else(|| io::Error::new(io::ErrorKind::OutOfMemory, "no memory to compress"))?;
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::ChecksumFlag(true),
        CParameter::ContentSizeFlag(true),
        // Low levels have a smaller one. With the frame for a window, no window is moved when it is read.
        CParameter::WindowLog(frame_log(level)),
    ] {
        context.set_parameter(parameter).map_err(failure)?;
    }
    Ok(context)
}

fn failure(code: ErrorCode) -> io::Error {
    io::Error::other(get_error_name(code))
}

#[cfg(test)]
mod tests {
    use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

    use super::*;

    /// Whether everything is tried; a plain run tries less.
    const JUDGED: bool = cfg!(feature = "judges");

    /// Bytes that compress somewhat.
    fn sample(len: usize) -> Vec<u8> {
        (0..u32::try_from(len.div_ceil(4)).unwrap())
            .flat_map(|at| ((at / 7) ^ (at >> 3)).to_le_bytes())
            .take(len)
            .collect()
    }

    /// The contents of the frames of a stream, by what each says of its size.
    fn sizes(mut stream: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        while !stream.is_empty() {
            let size = get_frame_content_size(stream).unwrap_or_default().expect("a size");
            // A single segment and a checksum, no dictionary.
            assert_eq!(stream[4] & 0x3f, 0x24);
            found.push(usize::try_from(size).unwrap());
            stream = &stream[find_frame_compressed_size(stream).unwrap()..];
        }
        found
    }

    fn framed(bytes: &[u8], level: i32, threads: u32) -> Vec<u8> {
        let mut frames = Framed::new(Vec::new(), level, threads);
        frames.write_all(bytes).unwrap();
        frames.finish().unwrap()
    }

    #[test]
    fn a_stream_is_cut_into_frames_of_one_length() {
        let many = if JUDGED { 5 } else { 3 };
        for (len, expected) in [
            (0, vec![0]),
            (1, vec![1]),
            (FRAME_BYTES - 1, vec![FRAME_BYTES - 1]),
            (FRAME_BYTES, vec![FRAME_BYTES]),
            (FRAME_BYTES + 1, vec![FRAME_BYTES, 1]),
            (many * FRAME_BYTES + 7, vec![FRAME_BYTES; many].into_iter().chain([7]).collect()),
        ] {
            let bytes = sample(len);
            let stream = framed(&bytes, 1, 2);
            assert_eq!(sizes(&stream), expected);
            assert!(zstd::decode_all(&*stream).unwrap() == bytes);
        }
    }

    #[test]
    fn high_levels_have_long_frames() {
        let bytes = sample(FRAME_BYTES + 1);
        for (level, expected) in [(LONG_LEVEL - 1, vec![FRAME_BYTES, 1]), (LONG_LEVEL, vec![FRAME_BYTES + 1])] {
            assert_eq!(sizes(&framed(&bytes, level, 1)), expected, "level {level}");
        }
    }

    #[test]
    fn every_level_gives_whole_frames() {
        let bytes = sample(FRAME_BYTES / 32);
        for level in 1..=22 {
            let stream = framed(&bytes, level, 1);
            assert_eq!(sizes(&stream), [bytes.len()], "level {level}");
            assert!(zstd::decode_all(&*stream).unwrap() == bytes, "level {level}");
        }
    }

    #[test]
    fn a_flush_ends_a_frame() {
        let mut frames = Framed::new(Vec::new(), 1, 2);
        frames.flush().unwrap();
        assert!(frames.out.is_empty());
        frames.write_all(b"one").unwrap();
        frames.flush().unwrap();
        assert_eq!(zstd::decode_all(&*frames.out).unwrap(), b"one");
        frames.flush().unwrap();
        frames.write_all(b"two").unwrap();
        let stream = frames.finish().unwrap();
        assert_eq!((zstd::decode_all(&*stream).unwrap(), sizes(&stream)), (b"onetwo".to_vec(), vec![3, 3]));
    }

    #[test]
    fn a_stream_that_is_given_up_is_no_whole_one() {
        let out = std::cell::RefCell::new(Vec::new());
        for pieces in 1..if JUDGED { 4 } else { 3 } {
            out.borrow_mut().clear();
            let mut frames = Framed::new(Shared(&out), 1, 1);
            frames.write_all(&sample(pieces * FRAME_BYTES)).unwrap();
            // So that the last frame is written as well.
            while frames.pool.under_way() > 0 {
                frames.write_next().unwrap();
            }
            drop(frames);
            assert!(out.borrow().len() > pieces * 1_000);
            assert!(zstd::decode_all(&**out.borrow()).is_err(), "{pieces} frames and an end");
        }
    }

    struct Shared<'a>(&'a std::cell::RefCell<Vec<u8>>);

    impl Write for Shared<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes so many bytes, then fails, each time in another way.
    struct Full {
        room: usize,
        failures: u32,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                self.failures += 1;
                return Err(io::Error::new(io::ErrorKind::StorageFull, format!("failure {}", self.failures)));
            }
            let taken = self.room.min(bytes.len());
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_first_error_of_the_output_comes_back_and_nothing_is_written_after_it() {
        let bytes = sample(if JUDGED { 6 } else { 4 } * FRAME_BYTES);
        let whole = framed(&bytes, 1, 2).len();
        for threads in [1, 3] {
            let (few, all) = ([0, whole / 2, whole - 1], [0, 1, whole / 7, whole / 2, whole - 2, whole - 1]);
            for &room in if JUDGED { &all[..] } else { &few[..] } {
                let mut frames = Framed::new(Full { room, failures: 0 }, 1, threads);
                let written = frames.write_all(&bytes);
                let failed_early = written.is_err();
                let error = written.and_then(|()| frames.flush()).expect_err("there is no room");
                assert_eq!(error.to_string(), "failure 1", "{room} bytes of {whole}, early: {failed_early}");
                for again in [frames.write(b"more").map(|_| ()), frames.flush(), frames.finish().map(|_| ())] {
                    let again = again.expect_err("it is lost");
                    assert_eq!(again.kind(), io::ErrorKind::StorageFull);
                    assert_eq!(again.to_string(), "an earlier write failed");
                }
            }
            let mut frames = Framed::new(Full { room: whole, failures: 0 }, 1, threads);
            frames.write_all(&bytes).unwrap();
            assert_eq!(frames.finish().unwrap().room, 0);
        }
    }
}
