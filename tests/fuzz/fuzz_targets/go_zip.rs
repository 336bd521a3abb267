//! Zips of Go modules: what is taken for one that Go packed, the other reader of zips reads with the same names and bytes.
#![no_main]

use std::collections::BTreeMap;

use cacheseal::base::Digest;
use cacheseal::lockfile::{MemberKind, go, zip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(listed) = go::zip_files(bytes) else { return };
    let mut read = BTreeMap::new();
    let result = zip(bytes, &mut |member| {
        let mut contents = Vec::new();
        // Go takes the text of a link for contents like any other; the other reader has taken it off them.
        if let MemberKind::Link(text) = member.kind {
            contents.extend_from_slice(text);
        }
        member.content.read_to_end(&mut contents)?;
        assert_eq!(contents.len() as u64, member.size);
        assert!(read.insert(member.path.to_vec(), Digest::sha256(&contents).0).is_none());
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(read, listed);
});
