//! Frames that are decoded as a whole and side by side, against the decoder that goes through the stream in sequence.

use std::io::{self, Read, Write as _};

use zstd::zstd_safe::{CCtx, CParameter, compress_bound, find_frame_compressed_size};

use super::codec::{decode, decode_in_sequence};
use super::ends::Outlet;
use super::frames::Sharing;
use super::stream::{CodecOptions, Pipe, Stream, piped, unwrapped};
use super::{ArchiveError, Compression, Encoder};
use crate::base::{Buffer, Code, Limits};

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn is(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// Contents that compress well, somewhat or not at all.
    fn contents(&mut self, len: usize) -> Vec<u8> {
        match self.below(4) {
            0 => vec![self.byte(); len],
            1 => self.bytes(len),
            kinds => {
                let words: Vec<_> = (0..5 * kinds).map(|at| self.bytes(at % 9 + 3)).collect();
                let mut text = Vec::new();
                while text.len() < len {
                    text.extend_from_slice(&words[self.below(words.len())]);
                }
                text.truncate(len);
                text
            }
        }
    }

    /// A frame as the library writes it.
    fn frame(&mut self, len: usize) -> Vec<u8> {
        let contents = self.contents(len);
        let mut context = CCtx::create();
        let mut set = |parameter| context.set_parameter(parameter).unwrap();
        set(CParameter::CompressionLevel(self.of(&[-3, 1, 3, 9])));
        set(CParameter::ChecksumFlag(!self.is(3)));
        set(CParameter::ContentSizeFlag(!self.is(16)));
        if self.is(16) {
            // Smaller than some contents.
            set(CParameter::WindowLog(self.of(&[10, 11, 12])));
        }
        let mut frame = Vec::with_capacity(compress_bound(len));
        context.compress2(&mut frame, &contents).unwrap();
        frame
    }

    /// A frame of one block, stored or repeated, whose header says whatever it says.
    fn crude_frame(&mut self) -> Vec<u8> {
        let len = self.below(3_000) + 256;
        let contents = self.contents(len);
        let told = if self.is(10) { self.below(4_000) + 256 } else { contents.len() };
        let descriptor = if self.is(8) { self.of(&[0x68, 0x61, 0x64, 0xe0]) } else { 0x60 };
        let size = u16::try_from(told - 256).unwrap().to_le_bytes();
        let block =
            |last: u32, kind: u32, len: usize| (last | kind << 1 | u32::try_from(len).unwrap() << 3).to_le_bytes();
        let mut frame = [&[0x28, 0xb5, 0x2f, 0xfd, descriptor][..], &size].concat();
        if self.is(2) {
            frame.extend_from_slice(&block(1, 0, contents.len())[..3]);
            frame.extend_from_slice(&contents);
        } else {
            frame.extend_from_slice(&block(0, 1, contents.len() / 2)[..3]);
            frame.push(7);
            frame.extend_from_slice(&block(1, 1, contents.len().div_ceil(2))[..3]);
            frame.push(9);
        }
        frame
    }

    fn skippable(&mut self) -> Vec<u8> {
        let len = self.below(300);
        let contents = self.contents(len);
        let magic = [0x50 | self.byte() & 0x0f, 0x2a, 0x4d, 0x18];
        [&magic[..], &u32::try_from(contents.len()).unwrap().to_le_bytes(), &contents].concat()
    }

    /// Frames of all kinds, most of them such as can be decoded as a whole, and where each begins.
    fn stream(&mut self) -> (Vec<u8>, Vec<usize>) {
        let (mut stream, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..self.below(9) {
            starts.push(stream.len());
            let frame = match self.below(24) {
                0 => self.frame(0),
                1 => self.frame(30_000),
                2 => self.skippable(),
                3..6 => self.crude_frame(),
                _ => {
                    let len = self.below(6_000);
                    self.frame(len)
                }
            };
            stream.extend_from_slice(&frame);
        }
        (stream, starts)
    }

    /// Changes something, at a place that matters half of the time.
    fn mutate(&mut self, stream: &mut Vec<u8>, starts: &[usize]) {
        let near = starts.get(self.below(starts.len())).map_or(0, |start| start + self.below(16));
        let anywhere = self.below(stream.len());
        let at = self.of(&[near, anywhere]).min(stream.len().saturating_sub(1));
        let to = (at + self.below(200)).min(stream.len());
        match self.below(7) {
            0 | 1 => stream.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            2 => stream.truncate(at),
            3 => drop(stream.splice(at..at, self.bytes(3))),
            4 => drop(stream.splice(to..to, stream[at..to].to_vec())),
            5 => drop(stream.drain(at..to)),
            _ => stream.extend_from_slice(&self.bytes(at % 40)),
        }
    }
}

/// Gives some bytes at a time, and may fail in the end.
struct Trickle<'a> {
    bytes: &'a [u8],
    random: Random,
    most: usize,
    failure: Option<io::ErrorKind>,
}

impl Read for Trickle<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.random.is(20) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = space.len().min(self.bytes.len()).min(self.random.below(self.most) + 1);
        if len == 0 {
            // Once: who asks again has lost it.
            return self.failure.take().map_or(Ok(0), |kind| Err(io::Error::new(kind, "it fails")));
        }
        let (now, later) = self.bytes.split_at(len);
        space[..len].copy_from_slice(now);
        self.bytes = later;
        Ok(len)
    }
}

/// Counts the frames that came as a whole.
struct Counted<'a> {
    pipe: &'a mut Pipe,
    frames: usize,
}

impl Outlet for Counted<'_> {
    fn space(&mut self) -> &mut [u8] {
        self.pipe.space()
    }

    fn filled(&mut self, len: usize, compressed: u64) -> bool {
        self.pipe.filled(len, compressed)
    }

    fn used_frame(&mut self) -> Option<Buffer> {
        self.pipe.used_frame()
    }

    fn filled_frame(&mut self, frame: Buffer, len: usize, compressed: u64) -> bool {
        self.frames += 1;
        self.pipe.filled_frame(frame, len, compressed)
    }
}

/// All bytes that come, and the error after them.
fn read_all(stream: &mut Stream<'_>) -> (Vec<u8>, Option<ArchiveError>) {
    let mut found = Vec::new();
    loop {
        let len = match stream.fill() {
            Ok([]) => return (found, None),
            Ok(bytes) => {
                found.extend_from_slice(bytes);
                bytes.len()
            }
            Err(error) => return (found, Some(error)),
        };
        stream.consume(len);
    }
}

/// What came of many streams.
#[derive(Debug, Default)]
struct Tally {
    mutated: usize,
    whole: usize,
    refused: usize,
    unreadable: usize,
    frames: usize,
    /// Streams with frames that came as a whole and others, or an error, after them.
    mixed: usize,
}

/// Whether a frame that comes to be decoded has a window of its own. Where one of those is damaged, the library gives
/// what happens to lie in memory: no two decoders agree.
fn has_window(mut stream: &[u8]) -> bool {
    loop {
        if matches!(stream, [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] if descriptor & 0x20 == 0) {
            return true;
        }
        match find_frame_compressed_size(stream) {
            Ok(len) if len > 0 => stream = &stream[len..],
            _ => return false,
        }
    }
}

/// What is delivered of a source, and how many frames came as a whole.
fn decoded(
    source: impl Read + Send,
    window_log_max: u32,
    sharing: Sharing,
    chunk_bytes: usize,
) -> ((Vec<u8>, Option<ArchiveError>), usize) {
    let mut frames = 0;
    let decode = |pipe: &mut Pipe| {
        let mut counted = Counted { pipe, frames: 0 };
        let result = decode(source, window_log_max, sharing, &mut counted);
        frames = counted.frames;
        result
    };
    let found = piped(chunk_bytes, &Limits::STANDARD, decode, read_all);
    (found, frames)
}

fn one_case(seed: u64, tally: &mut Tally) {
    let mut random = Random(seed);
    let (mut stream, starts) = random.stream();
    let mutations = random.of(&[0, 0, 1, 1, 1, 2]);
    for _ in 0..mutations {
        random.mutate(&mut stream, &starts);
    }
    if mutations > 0 && has_window(&stream) {
        return;
    }
    if !matches!(stream[..], [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
        return;
    }
    tally.mutated += usize::from(mutations > 0);
    let reads_max = random.of(&[1, 7, 300, 5_000, 1 << 20]);
    let failure = random.of(&[None, None, None, None, None, Some(io::ErrorKind::ConnectionReset)]);
    let source_seed = random.next();
    let source = || Trickle { bytes: &stream, random: Random(source_seed), most: reads_max, failure };
    let (chunk_bytes, window_log_max) = (random.of(&[700, 4_096, 1 << 20]), random.of(&[10, 12, 13, 17, 27, 27]));
    let limits = &Limits::STANDARD;
    let (bytes, error) =
        piped(chunk_bytes, limits, |pipe| decode_in_sequence(source(), window_log_max, pipe), read_all);
    for threads in [0, 1, 3] {
        let sharing = Sharing { threads, least: random.of(&[1, 300]), most: random.of(&[700, 4_096, 6_000]) };
        let (found, frames) = decoded(source(), window_log_max, sharing, chunk_bytes);
        let told = format!("seed {seed:#x}, {sharing:?}");
        assert_eq!(format!("{:?}", found.1), format!("{error:?}"), "{told}");
        assert!(found.0 == bytes, "{told}: {} bytes, expected {}", found.0.len(), bytes.len());
        tally.frames += frames;
        tally.mixed += usize::from(frames > 0 && error.is_some());
    }
    match error {
        None => tally.whole += 1,
        Some(ArchiveError::Refused { .. }) => tally.refused += 1,
        Some(ArchiveError::Io(_)) => tally.unreadable += 1,
    }
}

#[test]
fn whole_frames_and_the_sequence_agree_about_every_stream() {
    let mut tally = Tally::default();
    // A fifth of them in a plain run.
    let parts = if cfg!(feature = "judges") { 5 } else { 1 };
    for seed in (0..).take(1_000 * parts) {
        one_case(seed, &mut tally);
    }
    // The cases are about what they are meant to be about.
    let Tally { mutated, whole, refused, unreadable, frames, mixed } = tally;
    let per_part = [mutated / 400, whole / 100, refused / 240, unreadable / 18, frames / 600, mixed / 200];
    assert!(per_part.iter().all(|count| *count >= parts), "{tally:?}");
}

#[test]
fn only_frames_that_are_their_own_window_are_decoded_as_a_whole() {
    let contents = Random(1).contents(5_000);
    // Heads of such frames; then with a dictionary, a window, no size, a reserved bit, and a size that is not so.
    for (head, expected) in [
        (&[0x60, 0x88, 0x12][..], 1),
        (&[0xa0, 0x88, 0x13, 0, 0], 1),
        (&[0xe0, 0x88, 0x13, 0, 0, 0, 0, 0, 0], 1),
        (&[0x61, 0, 0x88, 0x12], 0),
        (&[0x62, 0, 0, 0x88, 0x12], 0),
        (&[0x40, 0x18, 0x88, 0x12], 0),
        (&[0x00, 0x18], 0),
        (&[0x68, 0x88, 0x12], 0),
        (&[0x60, 0x87, 0x12], 0),
        (&[0x60, 0x89, 0x12], 0),
    ] {
        let block = (1 | u32::try_from(contents.len()).unwrap() << 3).to_le_bytes();
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd][..], head, &block[..3], &contents].concat();
        for (least, most, window_log_max, expected) in [
            (1, 5_000, 27, expected),
            (5_000, 1 << 20, 13, expected),
            (5_001, 1 << 20, 27, 0),
            (1, 4_999, 27, 0),
            (1, 1 << 20, 12, 0),
        ] {
            for threads in [0, 2] {
                let sharing = Sharing { threads, least, most };
                let ((_, error), frames) = decoded(&*frame, window_log_max, sharing, 1 << 20);
                assert_eq!(frames, expected, "{head:x?}, {sharing:?}, {window_log_max}: {error:?}");
            }
        }
    }
}

#[test]
fn the_form_of_pack_is_read_the_same_by_any_number_of_processors() {
    let count: u32 = if cfg!(feature = "judges") { 5_000_000 } else { 3_000_000 };
    let bytes: Vec<u8> = (0..count).flat_map(|at| ((at / 7) ^ (at >> 3)).to_le_bytes()).collect();
    let mut encoder = Encoder::new(Vec::new(), Compression::Zstd { level: 1, threads: 2 });
    encoder.write_all(&bytes).unwrap();
    let stream = encoder.finish().unwrap();
    let mut damaged = stream.clone();
    damaged[stream.len() / 2] ^= 1;
    let cut = &stream[..stream.len() - 1];
    let mut errors = Vec::new();
    for processors in [1, 2, 3, 64] {
        let options = CodecOptions { window_log_max: 27, processors, limits: &Limits::STANDARD };
        let (found, error) = unwrapped(&*stream, &options, read_all);
        assert!(found == bytes && error.is_none(), "{processors} processors");
        errors.push(format!("{:?}", [&damaged, cut].map(|stream| unwrapped(stream, &options, read_all).1.unwrap())));
    }
    assert!(errors.iter().all(|error| *error == errors[0] && error.contains("DamagedArchive")), "{errors:?}");
}

#[test]
fn a_bomb_of_whole_frames_ends_where_the_limit_is() {
    let mut encoder = Encoder::new(Vec::new(), Compression::Zstd { level: 1, threads: 1 });
    encoder.write_all(&vec![0; 4 << 20]).unwrap();
    let frame = encoder.finish().unwrap();
    let limits = Limits { expansion_free_bytes: 10 << 20, ..Limits::STANDARD };
    for processors in [1, 2, 8] {
        let options = CodecOptions { window_log_max: 27, processors, limits: &limits };
        // Of which there is no end.
        let source = Endless { frame: &frame, at: 0 };
        let (found, error) = unwrapped(source, &options, read_all);
        let Some(ArchiveError::Refused { code: Code::ExpansionLimit, offset, found: told, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!((found.len(), offset), (8 << 20, 8 << 20), "{processors} processors");
        assert_eq!(told, format!("{} bytes or more from {}", 12 << 20, 3 * frame.len()));
    }
}

#[test]
fn a_reading_that_ends_early_ends_the_threads() {
    let mut frame = Vec::with_capacity(1 << 20);
    CCtx::create().compress2(&mut frame, &vec![7; 100_000]).unwrap();
    for processors in [1, 2, 8] {
        let options = CodecOptions { window_log_max: 27, processors, limits: &Limits::STANDARD };
        for chunks in 0..12 {
            let source = Endless { frame: &frame, at: 0 };
            unwrapped(source, &options, |stream| {
                for _ in 0..chunks {
                    let len = stream.fill().unwrap().len();
                    assert_eq!(len, 100_000);
                    stream.consume(len);
                }
            });
        }
    }
}

/// One frame, again and again.
struct Endless<'a> {
    frame: &'a [u8],
    at: usize,
}

impl Read for Endless<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let len = (&self.frame[self.at..]).read(space)?;
        self.at = (self.at + len) % self.frame.len();
        Ok(len)
    }
}
