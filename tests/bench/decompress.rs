//! The floor of every verification of an archive: read it, decompress it with the library that cacheseal uses, and do
//! nothing with the bytes. `decompress FILE` prints their number, `decompress --out FILE` the bytes. `run.py` times it.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that reads a file and prints what it met"
)]
#![expect(clippy::expect_used, reason = "an archive that cannot be read is no floor of anything")]

use std::io::{Read, Write as _};

fn main() {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<_> = std::env::args_os().skip(1).filter(|argument| argument != "--bench").collect();
    let is_written = arguments.first().is_some_and(|argument| argument == "--out");
    let path = arguments.last().expect("an archive");
    let is_gzip = path.to_string_lossy().ends_with("gz");
    let file = std::fs::File::open(path).expect("the archive is there");
    let mut source: Box<dyn Read> = if is_gzip {
        Box::new(flate2::read::MultiGzDecoder::new(std::io::BufReader::with_capacity(128 << 10, file)))
    } else {
        Box::new(zstd::Decoder::new(file).expect("a Zstandard stream"))
    };
    let mut buffer = cacheseal::base::Buffer::new(512 << 10);
    let mut bytes = 0;
    loop {
        match source.read(buffer.slice_mut()).expect("a whole stream") {
            0 => break,
            read => {
                bytes += read as u64;
                if is_written {
                    std::io::stdout().write_all(&buffer.slice()[..read]).expect("somebody who reads");
                }
            }
        }
    }
    if !is_written {
        println!("{bytes} bytes");
    }
}
