//! What an archive that we write is wrapped in.

use std::io::{self, BufWriter, Write};

use super::framed::Framed;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard (RFC 8878), in a frame with its size and a checksum for every 4 MiB, so that several threads can write
    /// and read them; 32 MiB at high levels. What comes out does not depend on the number of threads.
    Zstd {
        /// 1, the fastest, to [`Compression::LEVEL_MAX`].
        level: i32,
        /// Threads that compress, 1 or more.
        threads: u32,
    },
}

impl Compression {
    /// The level where nothing else is asked for.
    pub const LEVEL: i32 = 3;
    /// The highest level. It takes long: what is gained above 19 are larger windows, and none is larger than a frame.
    pub const LEVEL_MAX: i32 = 22;
}

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Compresses what is written to it.
pub struct Encoder<W: Write>(Stream<W>);

enum Stream<W: Write> {
    Plain(BufWriter<W>),
    Zstd(Framed<W>),
}

impl<W: Write> Encoder<W> {
    /// Begins a stream into `out`.
    pub fn new(out: W, compression: Compression) -> Self {
        match compression {
            Compression::None => Self(Stream::Plain(BufWriter::with_capacity(BUFFER_BYTES, out))),
            Compression::Zstd { level, threads } => Self(Stream::Zstd(Framed::new(out, level, threads))),
        }
    }

    /// Ends the stream, and gives back what it went into.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Stream::Plain(out) => out.into_inner().map_err(io::IntoInnerError::into_error),
            Stream::Zstd(frames) => frames.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Stream::Plain(out) => out.write(bytes),
            Stream::Zstd(frames) => frames.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Stream::Plain(out) => out.flush(),
            Stream::Zstd(frames) => frames.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), compression);
        for piece in bytes.chunks(70_001) {
            encoder.write_all(piece).unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn threads_change_no_byte() {
        // Several frames, so that several threads have something to do; more of both under `judges`.
        let judged = cfg!(feature = "judges");
        let (count, threads): (u32, &[u32]) = if judged { (4_000_000, &[0, 2, 3, 8]) } else { (2_500_000, &[0, 2, 8]) };
        let bytes: Vec<u8> = (0..count).flat_map(|number| ((number / 7) ^ (number >> 3)).to_le_bytes()).collect();
        let zstd = |threads| encoded(&bytes, Compression::Zstd { level: 1, threads });
        let one = zstd(1);
        assert_eq!(zstd::decode_all(&*one).unwrap(), bytes);
        for &threads in threads {
            assert!(zstd(threads) == one, "{threads} threads");
        }
        assert_eq!(encoded(&bytes, Compression::None), bytes);
    }
}
