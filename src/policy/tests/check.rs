use jiff::Timestamp;

use super::*;
use crate::base::Code;

/// A policy with one thing to find, put into its signer, its key or its gate.
fn lints(key: &str, signer: &str, gate: &str, gate_name: &str, rest: &str) -> Vec<(Code, String)> {
    let text = format!(
        "version = 1\nproject = 'p'\n[cache.npm]\nroots = ['x']\n[signer.job]\n\
         keys = [{{ file = 'keys/a.pub'{key} }}]\n{signer}\n[gate.{gate_name}]\nrequire = ['signature']\n\
         signers = ['job']\n{gate}\nlockfile = 'any'\n{rest}"
    );
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    policy(&text).lints(now).into_iter().map(|lint| (lint.code, lint.origin)).collect()
}

#[test]
fn each_lint_finds_its_fault_and_nothing_else() {
    let week = "max_age = '7d'";
    let second = "[signer.two]\nkeys = [{ file = 'keys/b.pub' }]\n";
    for (key, signer, gate, name, rest, expected) in [
        ("", "", week, "release", "", &[][..]),
        ("", "refs = ['refs/heads/*']", "max_age = '15d'", "release", "", &[][..]),
        (", valid_until = '2027-11-22'", "", week, "release", "", &[][..]),
        (", valid_until = '2026-11-21'", "", week, "release", "", &[(Code::ExpiredKey, 6)][..]),
        (", valid_until = '2026-11-22'", "", week, "release", "", &[(Code::ExpiringKey, 6)][..]),
        (", valid_until = '2026-11-22' }, { file = 'keys/b.pub'", "", week, "release", "", &[][..]),
        (
            ", valid_until = '2026-11-22' }, { file = 'keys/b.pub', valid_until = '2026-11-21'",
            "",
            week,
            "release",
            "",
            &[(Code::ExpiredKey, 6), (Code::ExpiringKey, 6)][..],
        ),
        ("", "", "max_age = '16d'", "ci", "", &[(Code::LongMaxAge, 11)][..]),
        ("", "refs = ['refs/**']", week, "release", "", &[(Code::PullRequestSigner, 10)][..]),
        ("", "refs = ['refs/pull/*/head']", week, "deploy-eu", "", &[(Code::PullRequestSigner, 10)][..]),
        ("", "refs = ['refs/**']", week, "ci", "", &[][..]),
        ("", "caches = ['cargo']", week, "ci", "", &[(Code::IdleSigner, 7)][..]),
        ("", "", week, "ci", second, &[(Code::UnusedSigner, 14)][..]),
        ("", "refs = ['refs/tags/v*', 'main']", week, "ci", "", &[(Code::ShortRef, 7)][..]),
        ("", "refs = ['ref/heads/main', 'release/*']", week, "ci", "", &[(Code::ShortRef, 7), (Code::ShortRef, 7)][..]),
        ("", "refs = ['**/main']", week, "ci", "", &[][..]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(code, line)| (*code, format!("cacheseal.toml:{line}"))).collect();
        assert_eq!(lints(key, signer, gate, name, rest), expected, "{key} {signer} {gate} {name} {rest}");
    }
}

#[test]
fn a_signer_named_for_pull_requests_is_found_at_a_release_gate() {
    let text = "version = 1\nproject = 'p'\n[cache.npm]\nroots = ['x']\n[signer.deps-pr]\n\
                keys = [{ file = 'keys/a.pub' }]\n[gate.publish]\nrequire = ['signature']\nsigners = ['deps-pr']\n\
                max_age = '7d'\nlockfile = 'any'\n";
    let codes: Vec<_> = policy(text).lints(Timestamp::UNIX_EPOCH).into_iter().map(|lint| lint.code).collect();
    assert_eq!(codes, [Code::PullRequestSigner]);
}

#[test]
fn a_recall_of_nobody_is_found() {
    let mut files = key_files(&parse(GOOD).unwrap());
    let known = parse(GOOD).unwrap().resolve(&files).unwrap().signers().next().unwrap().name.clone();
    for (signer, expected) in [(known.as_str(), &[][..]), ("nobody", &[(Code::IdleRecall, "keys/revoked.toml:3")][..])]
    {
        let entry = entry_text(&[("signer", signer), ("before", "2026-01-01T00:00:00Z")], "leaked");
        files.insert(REVOCATIONS.to_owned(), format!("version = 1\n{entry}").into_bytes());
        let lints = parse(GOOD).unwrap().resolve(&files).unwrap().lints(Timestamp::UNIX_EPOCH);
        let found: Vec<_> = lints.iter().map(|lint| (lint.code, lint.origin.as_str())).collect();
        assert_eq!(found, expected, "{signer}");
    }
}

#[test]
fn a_revoked_key_is_found() {
    let document = parse(GOOD).unwrap();
    let mut files = key_files(&document);
    let id = key("keys/main-2026.pub").id().to_string();
    let list = format!("version = 1\n{}", entry_text(&[("keyid", &id)], "leaked"));
    files.insert(REVOCATIONS.to_owned(), list.into_bytes());
    let codes: Vec<_> =
        document.resolve(&files).unwrap().lints(Timestamp::UNIX_EPOCH).into_iter().map(|lint| lint.code).collect();
    assert_eq!(codes, [Code::RevokedKey]);
}
