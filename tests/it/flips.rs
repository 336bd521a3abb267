//! Every bit that counts (rows 25, 42, 46): a byte of a seal changed, cut off or put in, anywhere. Thousands of seals,
//! so the verifier runs in this process; a sample goes through the binary.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

use crate::forge::Judge;
use crate::harness::{Project, SealAs, judged_or_plain};

/// What is flipped in the byte at an offset: each of these bits, or in a plain `cargo test` one of them in turn, in every third byte.
fn flips(offset: usize, bits: &'static [u8]) -> impl Iterator<Item = u8> {
    let count = judged_or_plain(bits.len(), 1);
    bits.iter().cycle().skip(offset % bits.len()).take(count).copied()
}

/// What a DSSE reader takes from an envelope. Whoever changes none of it has changed nothing.
fn meaning(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let envelope: Value = serde_json::from_slice(bytes).ok()?;
    let decode = |value: &Value| [&STANDARD, &URL_SAFE].iter().find_map(|engine| engine.decode(value.as_str()?).ok());
    let mut parts = vec![(envelope["payloadType"].as_str()?.to_owned(), decode(&envelope["payload"])?)];
    for signature in envelope["signatures"].as_array()? {
        parts.push((signature["keyid"].as_str()?.to_owned(), decode(&signature["sig"])?));
    }
    Some(parts)
}

/// Trusted only where the meaning is what it was; the number of those.
fn expect_refused(judge: &Judge, path: &Path, honest: &[u8], changed: &[u8], what: &str) -> usize {
    fs::write(path, changed).unwrap();
    let (exit, codes) = judge.verdict();
    if exit == 0 {
        assert_eq!(meaning(changed), meaning(honest), "{what}");
        return 1;
    }
    assert_eq!(exit, 10, "{what}: {codes:?}");
    0
}

#[test]
fn no_changed_byte_of_the_envelope_is_trusted() {
    let project = Project::new();
    project.seal_as(SealAs::default());
    let (judge, path) = (project.judge(), project.envelope_path());
    let honest = fs::read(&path).unwrap();
    assert!(meaning(&honest).is_some_and(|parts| parts.len() == 2));
    assert_eq!(judge.verdict().0, 0);
    let mut trusted = 0;
    for offset in (0..honest.len()).step_by(judged_or_plain(1, 3)) {
        for flip in flips(offset, &[0x01, 0x20, 0x80]) {
            let mut changed = honest.clone();
            changed[offset] ^= flip;
            trusted += expect_refused(&judge, &path, &honest, &changed, &format!("{offset} ^ {flip:#x}"));
        }
    }
    // Nothing but spaces between the values may differ, and no flip turns one into another.
    assert_eq!(trusted, 0);
}

#[test]
fn no_truncated_or_lengthened_envelope_is_trusted() {
    let project = Project::new();
    project.seal_as(SealAs::default());
    let (judge, path) = (project.judge(), project.envelope_path());
    let honest = fs::read(&path).unwrap();
    for end in 0..honest.len() {
        let trusted = expect_refused(&judge, &path, &honest, &honest[..end], &format!("cut at {end}"));
        // The line feed at the end says nothing.
        assert_eq!(trusted, usize::from(end == honest.len() - 1), "cut at {end}");
    }
    for offset in (0..=honest.len()).step_by(judged_or_plain(7, 31)) {
        for byte in *b"\0\"=, " {
            let mut changed = honest.clone();
            changed.insert(offset, byte);
            expect_refused(&judge, &path, &honest, &changed, &format!("{byte:#x} at {offset}"));
        }
    }
}

#[test]
fn no_changed_byte_of_a_manifest_is_trusted() {
    let project = Project::new();
    project.seal_as(SealAs::default());
    let judge = project.judge();
    for name in ["0.mtree", "1.mtree"] {
        let path = project.seal_path().join(name);
        let honest = fs::read(&path).unwrap();
        let expect = |changed: &[u8], what: String| {
            fs::write(&path, changed).unwrap();
            let (exit, codes) = judge.verdict();
            assert_eq!((exit, codes.into_iter().collect()), (10, vec!["manifest-mismatch"]), "{name}: {what}");
        };
        for offset in (0..honest.len()).step_by(judged_or_plain(1, 3)) {
            for flip in flips(offset, &[0x01, 0x20, 0x80]) {
                let mut changed = honest.clone();
                changed[offset] ^= flip;
                expect(&changed, format!("{offset} ^ {flip:#x}"));
            }
            expect(&honest[..offset], format!("cut at {offset}"));
        }
        fs::write(&path, &honest).unwrap();
    }
    assert_eq!(judge.verdict().0, 0);
}

/// The parser itself, where the digest does not stop it first: whatever it reads, it never takes the tree for it.
#[test]
fn no_changed_byte_of_a_signed_manifest_is_trusted() {
    let project = Project::new();
    project.seal_as(SealAs::default());
    let judge = project.judge();
    let honest = fs::read(project.seal_path().join("0.mtree")).unwrap();
    let roots = serde_json::from_slice::<Value>(&project.payload()).unwrap()["predicate"]["roots"][0].clone();
    let (entries, bytes) = (roots["entries"].as_u64().unwrap(), roots["bytes"].as_u64().unwrap());
    for offset in (0..honest.len()).step_by(judged_or_plain(1, 3)) {
        for flip in flips(offset, &[0x01, 0x20]) {
            let mut changed = honest.clone();
            changed[offset] ^= flip;
            project.resign_manifest(&changed, entries, bytes);
            let (exit, codes) = judge.verdict();
            assert!(exit == 10 || exit == 11, "{offset} ^ {flip:#x}: {exit} {codes:?}");
        }
    }
    project.resign_manifest(&honest, entries, bytes);
    assert_eq!(judge.verdict().0, 0);
}

#[test]
fn the_binary_says_the_same() {
    let project = Project::new();
    project.seal_as(SealAs::default());
    for name in ["seal.json", "0.mtree"] {
        let path = project.seal_path().join(name);
        let honest = fs::read(&path).unwrap();
        for offset in (0..honest.len()).step_by(honest.len() / 12) {
            let mut changed = honest.clone();
            changed[offset] ^= 0x20;
            fs::write(&path, changed).unwrap();
            let verdict = project.verify("any");
            assert_eq!(verdict.code, Some(10), "{name} at {offset}: {:#}", verdict.json);
        }
        fs::write(&path, &honest).unwrap();
    }
    project.verify("any").expect(0, &[]);
}
