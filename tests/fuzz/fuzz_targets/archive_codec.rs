//! Whatever an archive is wrapped in: never panics, expands within the limits, and reading is a function of the bytes.
#![no_main]

use cacheseal::archive::{CodecOptions, unwrapped};
use cacheseal::base::Limits;
use cacheseal_fuzz::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let mut limits = Limits::STANDARD;
    (limits.expansion_free_bytes, limits.archive_bytes_max) = (1 << 20, 8 << 20);
    let options = |processors| CodecOptions::new(20, processors, &limits);
    let once =
        |processors| unwrapped(file, &options(processors), |stream| read(stream).map_err(|error| error.to_string()));
    // On one thread and on several.
    assert_eq!(once(1), once(3));
});
