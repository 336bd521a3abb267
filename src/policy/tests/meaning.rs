use super::*;
use crate::base::{Algorithm, Code};

#[test]
fn every_field_is_read() {
    let policy = policy(GOOD);
    assert_eq!(policy.project().as_str(), "github.com/acme/app");

    let cargo = policy.cache("cargo").unwrap();
    let roots: Vec<_> = cargo.roots.iter().map(|root| root.spelling.as_str()).collect();
    assert_eq!(roots, ["~/.cargo/registry", "/opt/cargo", "target/deps"]);
    assert_eq!(*cargo.lockfiles, ["Cargo.lock", "tools/Cargo.lock"]);
    assert_eq!(cargo.digest, Algorithm::Sha256);

    let main = policy.signers().next().unwrap();
    assert_eq!(main.name, "main");
    let keys: Vec<_> =
        main.keys.iter().map(|key| (key.file.as_str(), key.key.clone(), policy.origin(&key.file))).collect();
    let expected = |file: &'static str| (file, key(file), "cacheseal.toml:13".to_owned());
    assert_eq!(keys, [expected("keys/main-2026.pub"), expected("keys/main-2027.pub")]);
    let shown = |globs: &[Glob]| globs.iter().map(Glob::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&main.scope.caches), ["cargo", "npm-*"]);
    assert_eq!(main.scope.refs.as_deref().map(shown), Some(vec!["refs/heads/main".to_owned()]));
    assert_eq!(main.scope.jobs.as_deref().map(shown), Some(vec!["deps".to_owned()]));

    let release = policy.gate("release").unwrap();
    assert_eq!(*release.signers, ["main", "other"]);
    assert_eq!((release.max_age.to_string().as_str(), release.max_age.seconds()), ("7d", 604_800));
    assert_eq!(release.lockfile, LockfileRule::Exact);
    assert_eq!((*release.links, *release.hardlinks), (LinkRule::Inside, LinkRule::Any));
    assert_eq!(policy.gate("ci").unwrap().lockfile, LockfileRule::Any);
}

#[test]
fn fields_left_out_have_the_documented_meaning() {
    let policy = policy(GOOD);
    let npm = policy.cache("npm").unwrap();
    assert_eq!((npm.lockfiles.len(), *npm.digest), (0, Algorithm::Blake3));
    let plain = policy.gate("plain").unwrap();
    assert_eq!(plain.lockfile, LockfileRule::Exact);
    assert_eq!((*plain.links, *plain.hardlinks), (LinkRule::Any, LinkRule::Inside));
    let other = policy.signers().nth(1).unwrap();
    assert!(other.scope.allows_cache("anything"));
    assert!(other.scope.allows_ref(Some("refs/heads/x/y")) && other.scope.allows_ref(None));
    assert!(other.scope.allows_job(Some("x")) && other.scope.allows_job(None));
}

#[test]
fn a_scope_is_closed() {
    let policy = policy(GOOD);
    let scope = &policy.signers().next().unwrap().scope;
    for (name, allowed) in [("cargo", true), ("npm-web", true), ("npm", false), ("cargo2", false), ("", false)] {
        assert_eq!(scope.allows_cache(name), allowed, "{name}");
    }
    for (name, allowed) in
        [(Some("refs/heads/main"), true), (Some("refs/heads/mainx"), false), (Some(""), false), (None, false)]
    {
        assert_eq!(scope.allows_ref(name), allowed, "{name:?}");
    }
    for (name, allowed) in [(Some("deps"), true), (Some("test"), false), (None, false)] {
        assert_eq!(scope.allows_job(name), allowed, "{name:?}");
    }
}

#[test]
fn tables_may_be_written_in_any_form_of_toml() {
    let inline = "version = 0x1\nproject = 'p'\ncache.c.roots = ['r']\nsigner = { s = { keys = [{ file = 'k' }] } }\n\
                  gate.g = { require = ['signature'], signers = ['s'], max_age = '1d' }\n";
    assert_eq!(policy(inline).gate("g").unwrap().signers.value, ["s"]);
    let bare = policy("version = 1\nproject = 'p'\n");
    assert_eq!((bare.caches().count(), bare.signers().count(), bare.gates().count()), (0, 0, 0));
}

#[test]
fn an_edge_joins_a_cache_a_gate_and_its_signers() {
    let policy = policy(GOOD);
    let edge = policy.edge("cargo", "release").unwrap();
    assert_eq!((edge.cache.name.as_str(), edge.gate.name.as_str()), ("cargo", "release"));
    assert_eq!(edge.signers.iter().map(|signer| signer.name.as_str()).collect::<Vec<_>>(), ["main", "other"]);
    assert!(policy.edge("npm", "ci").is_ok());
}

#[test]
fn a_gate_cannot_compare_lockfiles_that_are_not_there() {
    let policy = policy(GOOD);
    for (gate, line) in [("release", 21), ("plain", 35)] {
        let error = policy.edge("npm", gate).unwrap_err();
        assert_eq!(error.code(), Code::GateWithoutEvidence);
        assert_eq!(error.position, Some(Position { line, column: 7 }));
        assert!(error.message.contains("found `npm` without"), "{error}");
        let hint = format!("add `lockfiles` to `[cache.npm]` or write `lockfile = \"any\"` in `[gate.{gate}]`");
        assert_eq!(error.hint, Some(hint));
    }
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let policy = policy(GOOD);
    let error = policy.cache("crgo").unwrap_err();
    assert_eq!(error.code(), Code::UnknownCache);
    assert_eq!(error.to_string(), "cacheseal.toml: expected a cache of the policy (`cargo` and `npm`), found `crgo`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `cargo`"));
    let error = policy.gate("deploy\n").unwrap_err();
    assert_eq!(error.code(), Code::UnknownGate);
    assert_eq!(
        error.to_string(),
        "cacheseal.toml: expected a gate of the policy (`ci`, `plain` and `release`), found `deploy\\n`"
    );
    assert_eq!(error.hint, None);
    assert_eq!(policy.edge("x", "ci").unwrap_err().code(), Code::UnknownCache);
    assert_eq!(policy.edge("npm", "x").unwrap_err().code(), Code::UnknownGate);
    let bare = super::policy("version = 1\nproject = 'p'\n");
    assert_eq!(bare.gate("x").unwrap_err().message, "expected a gate of the policy (none), found `x`");
}

#[test]
fn what_a_guard_leaves_alone_is_read_with_its_lines() {
    let policy = policy(GOOD);
    let allowed: Vec<_> = policy.allowed().map(|pattern| (pattern.text.as_str(), policy.origin(pattern))).collect();
    assert_eq!(allowed, ["/tmp/agent-*", "~/.cache/reports"].map(|text| (text, "cacheseal.toml:41".to_owned())));
    assert_eq!(super::policy("version = 1\nproject = 'p'\n").allowed().count(), 0);
}

#[test]
fn key_files_are_named_and_must_be_there() {
    let document = parse(GOOD).unwrap();
    assert_eq!(document.files(), ["keys/a b.pub", "keys/main-2026.pub", "keys/main-2027.pub"]);
    let mut files = key_files(&document);
    files.remove("keys/main-2027.pub");
    let error = document.resolve(&files).unwrap_err();
    assert_eq!(error.code(), Code::NoKey);
    assert_eq!(
        error.to_string(),
        "cacheseal.toml:13:51: expected a public key in `keys/main-2027.pub`, found no such file"
    );
}

#[test]
fn key_files_must_be_public_keys() {
    let document = parse(GOOD).unwrap();
    let mut files = key_files(&document);
    files.insert("keys/main-2027.pub".to_owned(), b"no key\n".to_vec());
    let error = document.resolve(&files).unwrap_err();
    assert_eq!(error.code(), Code::MalformedKey);
    assert!(error.to_string().starts_with("cacheseal.toml:13:51: `keys/main-2027.pub`: "), "{error}");
}

#[test]
fn one_key_in_two_files_is_one_key() {
    for (copy, signers) in [("keys/main-2027.pub", "one signer"), ("keys/a b.pub", "two signers")] {
        let document = parse(GOOD).unwrap();
        let mut files = key_files(&document);
        files.insert(copy.to_owned(), key("keys/main-2026.pub").to_pem().into_bytes());
        let error = document.resolve(&files).unwrap_err();
        assert_eq!(error.code(), Code::SharedKey, "{signers}");
        assert!(error.message.contains("`keys/main-2026.pub`") && error.message.contains(copy), "{error}");
    }
}
