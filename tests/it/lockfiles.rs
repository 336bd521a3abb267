//! The checkout's lockfiles against the sealed ones, by what is known of them.

use std::fs;

use cacheseal::base::{Code, Digest, Exit, Limits};
use cacheseal::policy::Document;
use cacheseal::verify::{Consumer, Lockfiles, Trail, judge_envelope};

use crate::harness::{POLICY, Project, now, platform};

#[test]
fn only_a_lockfile_that_was_read_is_held_against_the_seal() {
    let project = Project::new();
    project.seal();
    let document = Document::parse("cacheseal.toml", POLICY.as_bytes()).unwrap();
    let read = |file: &str| (file.to_owned(), fs::read(project.path(file)).unwrap());
    let files = document.files().into_iter().map(read).collect();
    let policy = document.resolve(&files).unwrap();
    let edge = policy.edge("deps", "exact").unwrap();
    let seal = read(".cacheseal/deps/seal.json").1;
    let digest_of = |bytes: &[u8]| Lockfiles::Known(vec![Some(Digest::sha256(bytes))]);
    let unreadable = Lockfiles::Unreadable { path: "deps.lock".to_owned(), found: "an error".to_owned() };
    for (lockfiles, expected) in [
        (digest_of(&read("deps.lock").1), None),
        (digest_of(b"another"), Some((Code::StaleLockfile, Exit::Untrusted))),
        (Lockfiles::Known(vec![None]), Some((Code::StaleLockfile, Exit::Untrusted))),
        (Lockfiles::Known(Vec::new()), Some((Code::StaleLockfile, Exit::Untrusted))),
        (Lockfiles::Unpinned, Some((Code::UnpinnedLockfile, Exit::Untrusted))),
        // The machine is at fault, not the seal.
        (unreadable, Some((Code::Unreadable, Exit::Io))),
    ] {
        let consumer = Consumer { now: now(), platform: platform(), lockfiles };
        let mut trail = Trail::new("seal.json", 9);
        let trusted = judge_envelope(&seal, &edge, &consumer, &Limits::STANDARD, &mut trail);
        let (_, refusals) = trail.into_parts();
        let codes: Vec<_> = refusals.iter().map(|refusal| refusal.code).collect();
        assert!(codes.len() <= 1, "{codes:?}");
        assert_eq!(trusted.is_some(), codes.is_empty());
        let found = codes.first().map(|code| (*code, refusals.exit()));
        assert_eq!(found, expected, "{:?}", consumer.lockfiles);
    }
}
