//! Envelopes: never panics, and a payload comes out only as the bytes that the one trusted key signed.
#![no_main]

use std::sync::LazyLock;

use cacheseal::base::{Digest, Limits};
use cacheseal::identity::SecretKey;
use cacheseal::seal::envelope::{UnverifiedEnvelope, sign};
use libfuzzer_sys::fuzz_target;

const PAYLOAD: &[u8] = b"{\"signed\":true}";
const TYPE: &str = "application/vnd.in-toto+json";

static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(Digest::sha256(b"fuzz").0.into()));
static HONEST: LazyLock<Vec<u8>> = LazyLock::new(|| sign(TYPE, PAYLOAD, &[&KEY]));

fuzz_target!(|edits: &[u8]| {
    // The input is an envelope of its own, and a list of edits (place, place, byte) to an honest one.
    let mut edited = HONEST.clone();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % edited.len();
        edited[at] = edit[2];
    }
    for text in [edits, &edited] {
        let Ok(envelope) = UnverifiedEnvelope::parse(text, &Limits::STANDARD) else { continue };
        if let Some(payload) = envelope.verified_by(&[KEY.public()]).payload() {
            assert_eq!((payload.payload_type(), payload.bytes()), (TYPE, PAYLOAD));
        }
    }
});
