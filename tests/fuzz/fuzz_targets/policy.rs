//! Policies: every error names a line of the text, and no message carries a control character.
#![no_main]

use cacheseal::policy::{Document, Revocations};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|byte| *byte == b'\n').count();
    for error in [Document::parse("cacheseal.toml", text).err(), Revocations::parse("revoked.toml", text).err()] {
        let Some(error) = error else { continue };
        assert!(error.position.is_some_and(|position| (1..=lines).contains(&position.line)), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
});
