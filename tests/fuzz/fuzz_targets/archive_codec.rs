//! Whatever an archive is wrapped in: never panics, expands within the limits, and reading is a function of the bytes.
#![no_main]

use cacheseal::archive::{CodecOptions, unwrapped};
use cacheseal::base::Limits;
use cacheseal_fuzz::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let limits = Limits { expansion_free_bytes: 1 << 20, archive_bytes_max: 8 << 20, ..Limits::STANDARD };
    let options = |processors| CodecOptions { window_log_max: 20, processors, limits: &limits };
    let once =
        |processors| unwrapped(file, &options(processors), |stream| read(stream).map_err(|error| error.to_string()));
    // On one thread and on several.
    assert_eq!(once(1), once(3));
});
