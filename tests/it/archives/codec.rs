//! Gzip and zstd streams, each field of which can be set to any value.

use std::io::Write as _;

use cacheseal::archive::Encoder;
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A gzip member (RFC 1952), the parts of which are right until they are changed.
#[derive(Clone)]
pub(crate) struct Gzip {
    pub(crate) method: u8,
    pub(crate) flags: u8,
    /// The optional fields between the fixed ten bytes and the data.
    pub(crate) fields: Vec<u8>,
    pub(crate) deflated: Vec<u8>,
    pub(crate) crc: u32,
    pub(crate) length: u32,
}

impl Gzip {
    pub(crate) fn new(data: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(1));
        encoder.write_all(data).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let deflated = encoder.finish().unwrap();
        Self { method: 8, flags: 0, fields: Vec::new(), deflated, crc: crc.sum(), length: crc.amount() }
    }

    /// The ten fixed bytes and the optional fields.
    pub(crate) fn head(&self) -> Vec<u8> {
        [&[0x1f, 0x8b, self.method, self.flags, 0, 0, 0, 0, 0, 0xff], &self.fields[..]].concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let trailer = [self.crc.to_le_bytes(), self.length.to_le_bytes()].concat();
        [self.head(), self.deflated.clone(), trailer].concat()
    }
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    Gzip::new(data).bytes()
}

/// The header's own checksum (`FHCRC`): the low half of the CRC-32 of what stands before it.
pub(crate) fn header_crc(head: &[u8]) -> [u8; 2] {
    let mut crc = flate2::Crc::new();
    crc.update(head);
    let sum = crc.sum().to_le_bytes();
    [sum[0], sum[1]]
}

/// A gzip member that holds `head` and then `mebibytes` of zeros: a thousandth of that in size. Its checksum is wrong,
/// which nobody learns who does not read to the end.
pub(crate) fn gzip_of_zeros(head: &[u8], mebibytes: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(9));
    encoder.write_all(head).unwrap();
    let zeros = vec![0; 1 << 20];
    // The second mebibyte refers back to zeros alone, and so can be repeated.
    encoder.write_all(&zeros).unwrap();
    encoder.flush().unwrap();
    let before = encoder.get_ref().len();
    encoder.write_all(&zeros).unwrap();
    encoder.flush().unwrap();
    let repeated = encoder.get_ref()[before..].to_vec();
    let mut deflated = encoder.get_ref().clone();
    for _ in 2..mebibytes {
        deflated.extend_from_slice(&repeated);
    }
    // A last block, stored and empty.
    deflated.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    Gzip { deflated, ..Gzip::new(b"") }.bytes()
}

const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// A zstd frame (RFC 8878) of raw and run-length blocks.
#[derive(Clone)]
pub(crate) struct Frame {
    /// The descriptor and what it announces: window, dictionary, content size.
    pub(crate) head: Vec<u8>,
    /// Blocks: their type, the size that their header tells, their bytes.
    pub(crate) blocks: Vec<(u8, usize, Vec<u8>)>,
    /// The checksum, if the descriptor announces one.
    pub(crate) tail: Vec<u8>,
}

/// Stored as it is.
pub(crate) const RAW: u8 = 0;
/// One byte, repeated.
pub(crate) const RUN: u8 = 1;
/// Of no meaning.
pub(crate) const RESERVED: u8 = 3;
/// The most that a block may hold.
pub(crate) const BLOCK_MAX: usize = 128 << 10;

impl Frame {
    /// A frame with a window of 128 KiB, no content size and no checksum, which holds `data` as it is.
    pub(crate) fn new(data: &[u8]) -> Self {
        let blocks = data.chunks(BLOCK_MAX).map(|chunk| (RAW, chunk.len(), chunk.to_vec())).collect();
        Self { head: vec![0, window(17)], blocks, tail: Vec::new() }
    }

    /// The same with this descriptor and what follows it.
    pub(crate) fn headed(data: &[u8], head: &[&[u8]]) -> Self {
        Self { head: head.concat(), ..Self::new(data) }
    }

    /// Adds `count` blocks of zeros, each as large as may be.
    pub(crate) fn zeros(mut self, count: usize) -> Self {
        self.blocks.extend((0..count).map(|_| (RUN, BLOCK_MAX, vec![0])));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = [&ZSTD_MAGIC, &self.head[..]].concat();
        for (at, (kind, size, bytes)) in self.blocks.iter().enumerate() {
            let last = u32::from(at + 1 == self.blocks.len());
            let header = last | u32::from(*kind) << 1 | u32::try_from(*size).unwrap() << 3;
            out.extend_from_slice(&header.to_le_bytes()[..3]);
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(&self.tail);
        out
    }
}

/// The window descriptor of two to the power of `log` bytes.
pub(crate) fn window(log: u8) -> u8 {
    (log - 10) << 3
}

/// A frame that decoders step over.
pub(crate) fn skippable(contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap();
    [&0x184D_2A50_u32.to_le_bytes(), &length.to_le_bytes()[..], contents].concat()
}

/// What the zstd library itself writes: level 3, with a checksum.
pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd_with(data, 3, true, None)
}

/// What `pack` writes.
pub(crate) fn packed_zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), cacheseal::archive::Compression::Zstd { level: 3, threads: 1 });
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd_with(data: &[u8], level: i32, checksum: bool, window_log: Option<u32>) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level).unwrap();
    encoder.include_checksum(checksum).unwrap();
    if let Some(log) = window_log {
        encoder.long_distance_matching(true).unwrap();
        encoder.window_log(log).unwrap();
    }
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
