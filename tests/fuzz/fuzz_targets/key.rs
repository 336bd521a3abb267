//! Keys: what reads as a key is written as a text that reads as the same key.
#![no_main]

use cacheseal::identity::{PublicKey, SecretKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(key) = PublicKey::from_pem(text) {
        assert_eq!(PublicKey::from_pem(key.to_pem().as_bytes()).ok(), Some(key));
    }
    for key in [
        SecretKey::from_pem(text).ok(),
        std::str::from_utf8(text).ok().and_then(|line| SecretKey::from_line(line).ok()),
    ] {
        let Some(key) = key else { continue };
        let again = SecretKey::from_line(&key.to_line()).map(|key| key.public());
        assert_eq!(again.ok(), Some(key.public()));
    }
});
