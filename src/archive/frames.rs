//! Zstandard frames that can be decoded as a whole and side by side, as `pack` writes them.
//!
//! Only what both ways of decoding take alike is decoded so: a frame of one segment, whose window is all of its contents,
//! and of a size that it announces. Whatever is wrong with a frame, and whatever is out of the ordinary, is left to the
//! decoder that goes through the stream in sequence, with the bytes that were read ahead, and just as they were read.
//! That decoder hears of each frame that it has not seen, since what it makes of damaged ones depends on the memory that
//! it has. So contents, refusals and where they are told do not depend on who decodes.

use std::collections::VecDeque;
use std::io::{self, Read};

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{
    DCtx, InBuffer, OutBuffer, ResetDirective, compress_bound, find_frame_compressed_size, get_frame_content_size,
    is_error_kind,
};

use super::ends::{INPUT_BYTES, Input, Outlet};
use super::framed::FRAME_BYTES;
use super::pool::{Pool, Worker};
use crate::base::Buffer;

/// How the work is shared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharing {
    /// Threads that decode. With none, the thread that reads the source does.
    pub(super) threads: usize,
    /// The least that a frame must hold to be worth the way to another thread, bytes.
    pub(super) least: usize,
    /// The most that it may hold, bytes.
    pub(super) most: usize,
}

/// Threads that are of use: what they decode, one thread reads.
const THREADS_MAX: usize = 4;
/// Smaller frames are quicker decoded than handed on.
const LEAST_BYTES: usize = 64 << 10;
/// Buffers beyond those of frames under way: one with the reader, one on the way to it.
const BUFFERS_BEYOND: usize = 2;
/// Reads that are remembered. A source that gives little at a time would fill memory with them.
const READS_MAX: usize = 1 << 14;
/// The first bytes of a Zstandard frame.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The longest header of a frame that is looked for here, bytes: magic, descriptor and a size of eight.
const HEADER_BYTES: usize = 4 + 1 + 8;

impl Sharing {
    /// What suits a machine with so many processors.
    pub(super) fn among(processors: usize) -> Self {
        let threads = if processors < 2 { 0 } else { processors.min(THREADS_MAX) };
        Self { threads, least: LEAST_BYTES, most: FRAME_BYTES }
    }

    /// Memory for the bytes of a frame, and for what is read with its last ones: two reads at most.
    fn memory(self) -> Buffer {
        Buffer::new(compress_bound(self.most) + 2 * INPUT_BYTES)
    }

    fn under_way_max(self) -> usize {
        self.threads + 1
    }
}

/// What comes after the whole frames.
pub(super) enum Rest<R> {
    /// Nothing: nobody wants more.
    Unwanted,
    /// Bytes to decode in sequence, or the end.
    Bytes(Input<Replay<R>>),
    /// A thread stopped.
    Failed(io::Error),
}

/// Decodes the whole frames that `input` begins with, of which nothing was taken yet. `sequence` is what decodes the rest.
pub(super) fn whole_frames<R: Read>(
    input: Input<R>,
    sequence: &mut DCtx<'static>,
    window_log_max: u32,
    sharing: Sharing,
    outlet: &mut impl Outlet,
) -> Rest<R> {
    let window_max = 1_usize.checked_shl(window_log_max).unwrap_or(usize::MAX);
    let sharing = Sharing { most: sharing.most.min(window_max), ..sharing };
    let mut frames = Frames {
        gathered: Gathered::new(input, sharing.memory()),
        sharing,
        pool: Pool::new(sharing.threads, decompressor),
        buffers: 0,
        spare: Vec::new(),
        delivered: 0,
        sequence,
        outlet,
    };
    match frames.run() {
        Ok(()) => frames.rest(None),
        Err(Stop::Lost(compressed)) => frames.rest(Some(compressed)),
        Err(Stop::Unwanted) => Rest::Unwanted,
        Err(Stop::Failed(error)) => Rest::Failed(error),
    }
}

struct Frames<'a, R, O> {
    gathered: Gathered<R>,
    sharing: Sharing,
    pool: Pool<Frame, Frame>,
    /// Buffers made so far.
    buffers: usize,
    /// Memory for compressed bytes.
    spare: Vec<Buffer>,
    /// Bytes of the source whose contents were delivered.
    delivered: u64,
    sequence: &'a mut DCtx<'static>,
    outlet: &'a mut O,
}

struct Frame {
    compressed: Compressed,
    /// Where its contents go.
    contents: Buffer,
    /// Bytes of contents that it announces.
    size: usize,
    /// Whether it was decoded, and to just as many.
    is_whole: bool,
}

/// Bytes of the source, at the beginning of memory that is used again.
struct Compressed {
    memory: Buffer,
    len: usize,
}

impl Compressed {
    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    fn bytes(&self) -> &[u8] {
        &self.memory.slice()[..self.len]
    }
}

/// Why frames are delivered no further.
enum Stop {
    /// This frame could not be decoded.
    Lost(Compressed),
    Unwanted,
    Failed(io::Error),
}

impl<R: Read, O: Outlet> Frames<'_, R, O> {
    /// Decodes and delivers until there is a frame that is not for here.
    fn run(&mut self) -> Result<(), Stop> {
        while let Some((len, size)) = self.gathered.frame(self.sharing) {
            let contents = self.buffer()?;
            let compressed = self.gathered.take(len, self.spare.pop().unwrap_or_else(|| self.sharing.memory()));
            self.pool.submit(Frame { compressed, contents, size, is_whole: false });
            while let Some(frame) = self.pool.next_ready() {
                self.deliver(frame)?;
            }
            self.deliver_all_but(self.sharing.under_way_max() - 1)?;
        }
        self.deliver_all_but(0)
    }

    /// A buffer that is free. There is one or will be: more are made than there are frames under way.
    fn buffer(&mut self) -> Result<Buffer, Stop> {
        if self.buffers < self.sharing.under_way_max() + BUFFERS_BEYOND {
            self.buffers += 1;
            return Ok(Buffer::new(self.sharing.most));
        }
        self.outlet.used_frame().ok_or(Stop::Unwanted)
    }

    /// Waits until there are no more than `left` frames under way.
    fn deliver_all_but(&mut self, left: usize) -> Result<(), Stop> {
        while self.pool.under_way() > left {
            if let Some(frame) = self.pool.next() {
                self.deliver(frame)?;
            }
        }
        Ok(())
    }

    fn deliver(&mut self, frame: io::Result<Frame>) -> Result<(), Stop> {
        let Frame { compressed, contents, size, is_whole } = frame.map_err(Stop::Failed)?;
        if !is_whole {
            return Err(Stop::Lost(compressed));
        }
        self.tell_sequence(compressed.bytes(), size);
        self.delivered += compressed.len as u64;
        self.gathered.forget(compressed.len);
        self.spare.push(compressed.memory);
        if self.outlet.filled_frame(contents, size, self.delivered) { Ok(()) } else { Err(Stop::Unwanted) }
    }

    /// Has the decoder in sequence make the memory for a frame that is about to be delivered, as if it had decoded it. It
    /// keeps that memory, and when it notices that a later frame holds more than it announces depends on how much it has.
    fn tell_sequence(&mut self, compressed: &[u8], size: usize) {
        // Where it has all of a frame, and space for all contents, it decodes without memory of its own.
        let has_all = self.gathered.reads.front().is_some_and(|read| *read >= compressed.len());
        if has_all && self.outlet.space().len() >= size {
            return;
        }
        let mut header = InBuffer::around(compressed.get(..HEADER_BYTES).unwrap_or(compressed));
        // The frame was decoded once: the header is good.
        let _ = self.sequence.decompress_stream(&mut OutBuffer::around(&mut [][..]), &mut header);
        let _ = self.sequence.reset(ResetDirective::SessionOnly);
    }

    /// What is left: the frame that was lost, those that were under way after it, and what was not looked at.
    fn rest(mut self, lost: Option<Compressed>) -> Rest<R> {
        let mut parts = VecDeque::from_iter(lost);
        while let Some(frame) = self.pool.next() {
            match frame {
                Ok(frame) => parts.push_back(frame.compressed),
                Err(error) => return Rest::Failed(error),
            }
        }
        Rest::Bytes(Input::resumed(self.gathered.replay(parts), self.delivered))
    }
}

fn decompressor() -> Worker<Frame, Frame> {
    let mut context = None;
    Box::new(move |mut frame| {
        if context.is_none() {
            context = DCtx::try_create();
        }
        let contents = frame.contents.slice_mut().get_mut(..frame.size);
        frame.is_whole = context.as_mut().zip(contents).is_some_and(|(context, contents)| {
            context.decompress(contents, frame.compressed.bytes()) == Ok(frame.size)
        });
        frame
    })
}

/// What was read of the source and not yet taken.
struct Gathered<R> {
    input: Input<R>,
    /// What was read lies at its beginning. A frame fits in, and what is read beyond it.
    memory: Buffer,
    len: usize,
    /// How many bytes each read gave, from the first byte that is not delivered: what a decoder makes of a damaged frame
    /// depends on where its input is cut.
    reads: VecDeque<usize>,
    /// What the last read gave: no bytes, or an error.
    end: Option<io::Result<usize>>,
}

impl<R: Read> Gathered<R> {
    fn new(input: Input<R>, memory: Buffer) -> Self {
        Self { input, memory, len: 0, reads: VecDeque::new(), end: None }
    }

    /// Reads once. `false` if there is no more, or no more is read here.
    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    fn more(&mut self) -> bool {
        if self.end.is_some() || self.reads.len() >= READS_MAX {
            return false;
        }
        let space = &mut self.memory.slice_mut()[self.len..self.len + INPUT_BYTES];
        match self.input.read(space) {
            Ok(read) if read > 0 => {
                self.len += read;
                self.reads.push_back(read);
                true
            }
            end => {
                self.end = Some(end);
                false
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    fn bytes(&self) -> &[u8] {
        &self.memory.slice()[..self.len]
    }

    /// Gathers the next frame. Gives its length and that of its contents; `None` if it is not one to decode as a whole.
    fn frame(&mut self, sharing: Sharing) -> Option<(usize, usize)> {
        while self.len < HEADER_BYTES && self.more() {}
        let size = announced(self.bytes()).filter(|size| (sharing.least..=sharing.most).contains(size))?;
        loop {
            match find_frame_compressed_size(self.bytes()) {
                Ok(len) => return Some((len, size)),
                Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_srcSize_wrong) => {}
                Err(_) => return None,
            }
            let looked_at = self.len;
            if looked_at >= compress_bound(size) {
                return None;
            }
            // Each look goes through all blocks: not after every few bytes.
            while self.len < looked_at + INPUT_BYTES && self.more() {}
            if self.len == looked_at {
                return None;
            }
        }
    }

    /// Takes the first `len` bytes, with the memory that they lie in; `spare` is to be used for what follows them.
    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    fn take(&mut self, len: usize, mut spare: Buffer) -> Compressed {
        let rest = &self.bytes()[len..];
        spare.slice_mut().iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.len = rest.len();
        Compressed { memory: std::mem::replace(&mut self.memory, spare), len }
    }

    /// The first `len` bytes that were taken will not be asked for again.
    fn forget(&mut self, mut len: usize) {
        while let Some(read) = self.reads.front_mut() {
            if *read > len {
                *read -= len;
                return;
            }
            len -= *read;
            self.reads.pop_front();
        }
    }

    /// The source as it was when all was read that was not forgotten, `taken` being what was taken of it.
    fn replay(self, taken: VecDeque<Compressed>) -> Replay<R> {
        let mut parts = taken;
        parts.push_back(Compressed { memory: self.memory, len: self.len });
        Replay { parts, start: 0, reads: self.reads, end: self.end, source: self.input.into_source() }
    }
}

/// The contents that a frame of one segment and without a dictionary says it has, bytes (RFC 8878, section 3.1.1.1).
fn announced(start: &[u8]) -> Option<usize> {
    let descriptor = start.strip_prefix(&MAGIC)?.first()?;
    let (is_single_segment, has_dictionary) = (descriptor & 0b0010_0000 != 0, descriptor & 0b0000_0011 != 0);
    if !is_single_segment || has_dictionary {
        return None;
    }
    get_frame_content_size(start).ok().flatten().and_then(|size| size.try_into().ok())
}

/// A source of which some was read before: gives that again, cut as it was, and then the rest.
pub(super) struct Replay<R> {
    parts: VecDeque<Compressed>,
    /// What is left of the first part begins here.
    start: usize,
    reads: VecDeque<usize>,
    end: Option<io::Result<usize>>,
    source: R,
}

impl<R: Read> Read for Replay<R> {
    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let Some(read) = self.reads.front_mut() else {
            return self.end.take().unwrap_or_else(|| self.source.read(space));
        };
        let len = space.len().min(*read);
        *read -= len;
        if *read == 0 {
            self.reads.pop_front();
        }
        self.copy(&mut space[..len])
    }
}

impl<R> Replay<R> {
    #[expect(clippy::indexing_slicing, reason = "no more was read than fits; a panic is a refusal")]
    fn copy(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut len = 0;
        while let Some(part) = self.parts.front() {
            let mut left = &part.bytes()[self.start..];
            let copied = left.read(&mut space[len..])?;
            len += copied;
            self.start += copied;
            if self.start < part.len {
                break;
            }
            self.parts.pop_front();
            self.start = 0;
        }
        Ok(len)
    }
}
