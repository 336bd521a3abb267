//! PAX records and GNU long names before one file: never panics, and what is accepted the `tar` crate reads as the same.
#![no_main]

use cacheseal_fuzz::{accepted, as_tar_reads, has_lines_in_values, header, padded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let file = header(b"file", b'0', 3);
    let mut archive = header(b"x", b'x', data.len() as u64).to_vec();
    archive.extend(padded(data));
    archive.extend(file);
    archive.extend(padded(b"abc"));
    archive.extend([0; 1024]);
    let Some(members) = accepted(&archive) else { return };
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].1, &members[0].2[..]), ('f', &b"abc"[..]));
    if !has_lines_in_values(data) {
        assert_eq!(as_tar_reads(&archive).ok(), Some(members));
    }
});
