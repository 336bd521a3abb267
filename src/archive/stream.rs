//! The bytes of an archive, unwrapped by a thread of their own while others look at them.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::codec::decode;
use super::ends::Outlet;
use super::error::{ArchiveError, Fault};
use super::frames::Sharing;
use crate::base::{Buffer, Code, Limits};

/// Bytes that travel from thread to thread at once.
const CHUNK_BYTES: usize = 2 << 20;
/// Chunks under way at most. So far the decoder gets ahead while a manifest is read or many small members are looked at;
/// else the same few do all of it, and stay in the processor's caches.
const CHUNKS: usize = 12;

/// How to unwrap an archive.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CodecOptions<'a> {
    /// The base-2 logarithm of the largest Zstandard window, bytes; 27 is what every decoder must allow.
    pub window_log_max: u32,
    /// Processors to share the work among: contents and refusals do not depend on it.
    pub processors: usize,
    /// Caps on what it expands to.
    pub limits: &'a Limits,
}

impl<'a> CodecOptions<'a> {
    /// Windows up to this size, so many processors, and these caps.
    #[must_use]
    pub fn new(window_log_max: u32, processors: usize, limits: &'a Limits) -> Self {
        Self { window_log_max, processors, limits }
    }
}

/// An archive's bytes, one chunk after the other.
#[derive(Debug)]
pub struct Stream<'a> {
    chunks: Receiver<Message>,
    used: Sender<Buffer>,
    chunk: Option<Chunk>,
    /// What is left of the chunk begins here.
    start: usize,
    ended: bool,
    /// Bytes taken so far.
    offset: u64,
    /// Bytes received so far.
    expanded: u64,
    /// Bytes that it may expand to whatever its ratio.
    free_bytes: u64,
    limits: &'a Limits,
}

#[derive(Debug)]
struct Chunk {
    buffer: Buffer,
    len: usize,
    /// Bytes of the source that were read for it and all before it.
    compressed: u64,
}

#[derive(Debug)]
enum Message {
    Chunk(Chunk),
    End(Result<(), ArchiveError>),
}

/// Unwraps `source` in a thread of its own and has `read` take its bytes.
pub fn unwrapped<T>(
    source: impl Read + Send,
    options: &CodecOptions<'_>,
    read: impl FnOnce(&mut Stream<'_>) -> T,
) -> T {
    let (window_log_max, sharing) = (options.window_log_max, Sharing::among(options.processors));
    piped(CHUNK_BYTES, options.limits, |pipe| decode(source, window_log_max, sharing, pipe), read)
}

/// Has `decode` fill chunks of `chunk_bytes` in a thread of its own, and `read` take them.
pub(super) fn piped<T>(
    chunk_bytes: usize,
    limits: &Limits,
    decode: impl FnOnce(&mut Pipe) -> Result<(), ArchiveError> + Send,
    read: impl FnOnce(&mut Stream<'_>) -> T,
) -> T {
    let (chunks_in, chunks) = sync_channel(CHUNKS - 2);
    let (used, spaces) = channel();
    let mut stream = Stream::new(chunks, used, limits);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut outlet = Pipe::new(chunk_bytes, chunks_in, spaces);
            let result = decode(&mut outlet);
            outlet.flush();
            // Nobody waits for it if the reading ended early.
            let _ = outlet.chunks.send(Message::End(result));
        });
        let result = read(&mut stream);
        // The thread ends when nobody takes its chunks.
        drop(stream);
        result
    })
}

/// The end of the decoder: fills chunks whole before it sends them.
pub(super) struct Pipe {
    chunks: SyncSender<Message>,
    spaces: Receiver<Buffer>,
    chunk_bytes: usize,
    space: Buffer,
    /// Spaces that nobody uses, the last one used at the end.
    free: Vec<Buffer>,
    /// Spaces made so far.
    made: usize,
    len: usize,
    /// The chunk is whole here. Chunks are cut at multiples of their length, wherever the frames before them ended.
    end: usize,
    compressed: u64,
}

impl Pipe {
    fn new(chunk_bytes: usize, chunks: SyncSender<Message>, spaces: Receiver<Buffer>) -> Self {
        let space = Buffer::new(chunk_bytes);
        Self { chunks, spaces, chunk_bytes, space, free: Vec::new(), made: 1, len: 0, end: chunk_bytes, compressed: 0 }
    }

    /// Sends what is there. `false` if nobody wants it.
    fn flush(&mut self) -> bool {
        if self.len == 0 {
            return true;
        }
        let Some(next) = self.next_space() else { return false };
        self.end = self.chunk_bytes;
        let buffer = std::mem::replace(&mut self.space, next);
        let chunk = Chunk { buffer, len: std::mem::take(&mut self.len), compressed: self.compressed };
        self.chunks.send(Message::Chunk(chunk)).is_ok()
    }

    /// The space that was used last, a new one while there may be more, else the first that comes back.
    fn next_space(&mut self) -> Option<Buffer> {
        while let Ok(used) = self.spaces.try_recv() {
            self.keep(used);
        }
        while self.free.is_empty() {
            if self.made < CHUNKS {
                self.made += 1;
                return Some(Buffer::new(self.chunk_bytes));
            }
            let used = self.spaces.recv().ok()?;
            self.keep(used);
        }
        self.free.pop()
    }

    /// Keeps a space for the next chunks, unless it is one of frames: those have done their service.
    fn keep(&mut self, used: Buffer) {
        if used.slice().len() == self.chunk_bytes {
            self.free.push(used);
        }
    }
}

impl Outlet for Pipe {
    #[expect(clippy::indexing_slicing, reason = "no more was filled than fits; a panic is a refusal")]
    fn space(&mut self) -> &mut [u8] {
        &mut self.space.slice_mut()[self.len..self.end]
    }

    fn filled(&mut self, len: usize, compressed: u64) -> bool {
        self.len += len;
        self.compressed = compressed;
        self.len < self.end || self.flush()
    }

    fn used_frame(&mut self) -> Option<Buffer> {
        self.spaces.recv().ok()
    }

    fn filled_frame(&mut self, frame: Buffer, len: usize, compressed: u64) -> bool {
        let filled = self.chunk_bytes - self.end + len;
        self.end = self.chunk_bytes - filled % self.chunk_bytes;
        self.chunks.send(Message::Chunk(Chunk { buffer: frame, len, compressed })).is_ok()
    }
}

impl<'a> Stream<'a> {
    /// An uncompressed archive that is in memory already.
    #[must_use]
    pub fn of_bytes(bytes: &[u8], limits: &'a Limits) -> Self {
        let (chunks_in, chunks) = sync_channel(2);
        let len = bytes.len();
        let mut buffer = Buffer::new(len);
        buffer.slice_mut().copy_from_slice(bytes);
        // The channel has room for both.
        let _ = chunks_in.send(Message::Chunk(Chunk { buffer, len, compressed: len as u64 }));
        let _ = chunks_in.send(Message::End(Ok(())));
        Self::new(chunks, channel().0, limits)
    }

    fn new(chunks: Receiver<Message>, used: Sender<Buffer>, limits: &'a Limits) -> Self {
        let free_bytes = limits.expansion_free_bytes;
        Self { chunks, used, chunk: None, start: 0, ended: false, offset: 0, expanded: 0, free_bytes, limits }
    }

    /// The next bytes; none at the end.
    pub(super) fn fill(&mut self) -> Result<&[u8], ArchiveError> {
        let exhausted = self.chunk.as_ref().is_none_or(|chunk| self.start >= chunk.len);
        if exhausted && !self.ended {
            self.receive()?;
        }
        Ok(self.chunk.as_ref().map_or(&[], |chunk| &chunk.buffer.slice()[self.start..chunk.len]))
    }

    fn receive(&mut self) -> Result<(), ArchiveError> {
        if let Some(chunk) = self.chunk.take() {
            // A decoder that has ended needs no space.
            let _ = self.used.send(chunk.buffer);
        }
        match self.chunks.recv() {
            Ok(Message::Chunk(chunk)) => {
                self.expanded += chunk.len as u64;
                self.check_expansion(chunk.compressed)?;
                (self.start, self.chunk) = (0, Some(chunk));
                Ok(())
            }
            Ok(Message::End(result)) => {
                self.ended = true;
                result
            }
            // Its thread panicked, which the scope passes on.
            Err(_) => {
                self.ended = true;
                Err(ArchiveError::Io(std::io::Error::other("the decoder stopped")))
            }
        }
    }

    fn check_expansion(&self, compressed: u64) -> Result<(), ArchiveError> {
        let limits = self.limits;
        let by_ratio = compressed.saturating_mul(limits.expansion_ratio_max).min(limits.archive_bytes_max);
        if self.expanded <= self.free_bytes.max(by_ratio) {
            return Ok(());
        }
        let found = format!("{} bytes or more from {compressed}", self.expanded);
        Err(Fault::new(Code::ExpansionLimit, "no more than an honest archive expands to", found).at(self.offset))
    }

    /// Takes `len` of the bytes that [`Stream::fill`] gave.
    pub(super) fn consume(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// Bytes taken so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Lets it expand to `bytes` whatever its ratio.
    pub(super) fn set_bound(&mut self, bytes: u64) {
        self.free_bytes = self.free_bytes.max(bytes);
    }

    pub(super) fn limits(&self) -> &Limits {
        self.limits
    }
}
