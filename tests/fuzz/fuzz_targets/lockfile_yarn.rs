//! `yarn.lock`, as Yarn classic and as later ones write it: every error names a line of the text or none, and no message
//! carries a control character.
#![no_main]

use cacheseal::lockfile::LockedSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let later = [b"__metadata:\n  version: 8\n", text].concat();
    for text in [text, &later[..]] {
        let lines = text.split(|byte| *byte == b'\n').count();
        if let Err(error) = LockedSet::read([("yarn.lock", text)]) {
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }
});
