//! What an archive that we write is wrapped in.

use std::io::{self, BufWriter, Write};

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard (RFC 8878), in one frame with a checksum. What comes out does not depend on the number of threads.
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
    /// The highest level. Its window, 128 MiB, is what readers must be ready for.
    pub const LEVEL_MAX: i32 = 22;
}

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Compresses what is written to it.
pub struct Encoder<W: Write>(Stream<W>);

enum Stream<W: Write> {
    Plain(BufWriter<W>),
    Zstd(zstd::Encoder<'static, BufWriter<W>>),
}

impl<W: Write> Encoder<W> {
    /// Begins a stream into `out`.
    pub fn new(out: W, compression: Compression) -> io::Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, out);
        let Compression::Zstd { level, threads } = compression else { return Ok(Self(Stream::Plain(out))) };
        let mut encoder = zstd::Encoder::new(out, level)?;
        encoder.include_checksum(true)?;
        // With no worker at all the library cuts its input in another way than with one or more.
        encoder.multithread(threads.max(1))?;
        Ok(Self(Stream::Zstd(encoder)))
    }

    /// Ends the stream, and gives back what it went into.
    pub fn finish(self) -> io::Result<W> {
        let out = match self.0 {
            Stream::Plain(out) => out,
            Stream::Zstd(encoder) => encoder.finish()?,
        };
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Stream::Plain(out) => out.write(bytes),
            Stream::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Stream::Plain(out) => out.flush(),
            Stream::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
        for piece in bytes.chunks(70_001) {
            encoder.write_all(piece).unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn threads_change_no_byte() {
        // Larger than a job of the library, so that several threads have something to do.
        let bytes: Vec<u8> =
            (0_u32..4_000_000).flat_map(|number| ((number / 7) ^ (number >> 3)).to_le_bytes()).collect();
        let zstd = |threads| encoded(&bytes, Compression::Zstd { level: 1, threads });
        let one = zstd(1);
        assert_eq!(zstd::decode_all(&*one).unwrap(), bytes);
        for threads in [0, 2, 3, 8] {
            assert!(zstd(threads) == one, "{threads} threads");
        }
        assert_eq!(encoded(&bytes, Compression::None), bytes);
    }
}
