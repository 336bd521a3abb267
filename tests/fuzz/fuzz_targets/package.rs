//! Packages: bytes that are no archive end with an error, and what is read of one is no longer than it says.
#![no_main]

use cacheseal::lockfile::{Member, ScratchPool, UnpackError, tar_gz, zip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A bomb is not what is looked for here: proven packages may be large.
    let mut left = 1_u64 << 24;
    let mut take = |member: Member<'_>| -> Result<(), UnpackError> {
        let mut read = 0;
        loop {
            let piece = member.content.fill_buf()?.len();
            if piece == 0 {
                break;
            }
            member.content.consume(piece);
            read += piece as u64;
            assert!(read <= member.size);
            left = left.checked_sub(piece as u64).ok_or_else(|| UnpackError::new("enough"))?;
        }
        Ok(())
    };
    let _ = tar_gz(bytes, &ScratchPool::default(), &mut take);
    let _ = zip(bytes, &mut take);
});
