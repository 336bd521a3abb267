//! `pnpm-lock.yaml`: every error names a line of the text or none, and no message carries a control character.
#![no_main]

use cacheseal::lockfile::LockedSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|byte| *byte == b'\n').count();
    if let Err(error) = LockedSet::read([("pnpm-lock.yaml", text)]) {
        assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
});
