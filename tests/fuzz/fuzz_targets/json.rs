//! Strict JSON: never panics, and reading is a function of the bytes alone.
#![no_main]

use cacheseal::base::{Json, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let depth_max = Limits::STANDARD.json_depth_max;
    if let Ok(value) = Json::parse(text, depth_max) {
        // A deeper limit never changes what a text means.
        assert_eq!(Json::parse(text, depth_max + 1), Ok(value));
    }
});
