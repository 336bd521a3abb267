//! Manifests: whatever parses encodes to the very bytes that were read, so no two texts mean one tree.
#![no_main]

use cacheseal::base::{Algorithm, Limits};
use cacheseal::seal::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for algorithm in [Algorithm::Blake3, Algorithm::Sha256] {
        if let Ok(manifest) = Manifest::parse(text, algorithm, &Limits::STANDARD) {
            assert_eq!(manifest.encode(), text);
        }
    }
});
