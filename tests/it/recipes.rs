//! The policies and lists that `docs/POLICY.md` shows are ones that a reader can paste.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cacheseal::policy::{Document, PolicyError, REVOCATIONS, Revocations};
use jiff::Timestamp;

use super::harness::key;

/// The day that the recipes are written for: no key of theirs is near its last one.
const NOW: &str = "2026-12-01T00:00:00Z";

/// The fenced blocks of exactly this language, without the indent of their fence: recipes stand in lists too.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((indent, fence)) = line.split_once("```") else { continue };
        let block: String = lines
            .by_ref()
            .take_while(|line| line.trim() != "```")
            .flat_map(|line| [line.strip_prefix(indent).unwrap_or(line), "\n"])
            .collect();
        if fence == language {
            found.push(block);
        }
    }
    found
}

/// What is wrong or unwise in a policy whose key files all hold a key of their own.
fn faults(text: &str) -> Result<Vec<String>, PolicyError> {
    let document = Document::parse("cacheseal.toml", text.as_bytes())?;
    let pem = |file: &str| key(file).public().to_pem().into_bytes();
    let files: BTreeMap<_, _> = document.files().into_iter().map(|file| (file.to_owned(), pem(file))).collect();
    let policy = document.resolve(&files)?;
    policy.place(Some(Path::new("/home/reader")), Path::new("/home/reader/app"), "cacheseal.toml")?;
    for gate in policy.gates() {
        for cache in policy.caches() {
            policy.edge(&cache.name, &gate.name)?;
        }
    }
    let now: Timestamp = NOW.parse().unwrap();
    Ok(policy.lints(now).into_iter().map(|lint| format!("{}: {}", lint.code, lint.message)).collect())
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/POLICY.md")).unwrap()
}

#[test]
fn a_recipe_that_does_not_work_is_reported() {
    let text = document();
    let good = &blocks(&text, "toml")[0];
    assert_eq!(faults(good).unwrap(), [""; 0]);
    for (from, to) in [
        ("max_age", "max_ages"),
        ("threshold = 1", "threshold = 2"),
        ("\"~/.cargo/git/db\"", "\"~/.cargo/registry/x\""),
        ("lockfile  = \"any\"", "lockfile  = \"some\""),
    ] {
        assert!(good.contains(from), "{from}");
        faults(&good.replacen(from, to, 1)).unwrap_err();
    }
    let late = faults(&good.replacen("2027-12-31", "2026-12-15", 1)).unwrap();
    assert!(late.len() == 1 && late[0].starts_with("expiring-key"), "{late:?}");
}

#[test]
fn blocks_in_lists_are_found() {
    let text =
        "```toml\na = 1\n```\n1. x\n\n   ```toml\n   b = [\n       1,\n   ]\n   ```\n```toml other\nc = 1\n```\n";
    assert_eq!(blocks(text, "toml"), ["a = 1\n", "b = [\n    1,\n]\n"]);
    assert_eq!(blocks(text, "toml other"), ["c = 1\n"]);
}

#[test]
fn every_policy_of_the_recipes_works_and_has_no_lint() {
    let blocks = blocks(&document(), "toml");
    let policies: Vec<_> = blocks.iter().filter(|block| block.contains("version = 1")).collect();
    assert!(policies.len() >= 8, "{} policies", policies.len());
    for text in policies {
        match faults(text) {
            Ok(faults) => assert!(faults.is_empty(), "{faults:?}\n{text}"),
            Err(error) => panic!("{error}\n{text}"),
        }
    }
}

#[test]
fn every_list_of_the_recipes_is_read() {
    let lists = blocks(&document(), "toml keys/revoked.toml");
    assert!(lists.len() >= 2, "{} lists", lists.len());
    for text in lists {
        let list = Revocations::parse(REVOCATIONS, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(list.len(), text.matches("[[revoked]]").count(), "{text}");
    }
}
