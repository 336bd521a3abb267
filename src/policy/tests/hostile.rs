use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Asks everything of a text that can be asked; says whether it is a policy.
fn exercise(text: &[u8]) -> Result<(), TestCaseError> {
    let document = match Document::parse("cacheseal.toml", text) {
        Ok(document) => document,
        Err(error) => {
            let position = error.position.expect("errors in form have a place");
            let lines = text.split(|byte| *byte == b'\n').count();
            prop_assert!((1..=lines).contains(&position.line), "{}", error);
            prop_assert!((1..=text.len() + 1).contains(&position.column), "{}", error);
            prop_assert!(!error.to_string().contains(char::is_control), "{}", error);
            return Ok(());
        }
    };
    let files = key_files(&document);
    prop_assert_eq!(files.len(), document.files().len());
    let policy = document.resolve(&files).expect("every named file is there");
    let home = Path::new("/home/u");
    let placed = policy.place(Some(home), Path::new("/srv/app"), "cacheseal.toml");
    for root in placed.iter().flat_map(BTreeMap::values).flatten() {
        let base = match root.root.base {
            RootBase::Home => "~/",
            RootBase::Policy => "",
            RootBase::Filesystem => "/",
        };
        prop_assert_eq!(format!("{base}{}", root.root.components.join("/")), &*root.root.spelling);
        prop_assert!(!home.starts_with(&root.absolute));
    }
    for (cache, gate) in policy.caches().flat_map(|cache| policy.gates().map(move |gate| (cache, gate))) {
        if let Ok(edge) = policy.edge(&cache.name, &gate.name) {
            prop_assert!(!edge.signers.is_empty());
            prop_assert!(edge.gate.lockfile == LockfileRule::Any || !edge.cache.lockfiles.is_empty());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        exercise(&bytes)?;
        exercise(&[b"version = 1\nproject = 'p'\n", bytes.as_slice()].concat())?;
    }

    #[test]
    fn no_text_of_its_own_words_panics(words in proptest::collection::vec(
        prop::sample::select(vec![
            "version", "project", "[cache.a]", "[signer.b]", "[gate.c]", "[[cache]]", "roots", "keys", "file", "signers",
            "=", "[", "]", "{", "}", ",", "\n", ".", "\"", "'", "\"a\"", "1", "true", "2020-01-01", "1e9", "nan", "#",
            "\u{e9}", "\\", "'''", "signature",
        ]), 0..40,
    )) {
        exercise(words.join(" ").as_bytes())?;
        exercise(format!("version = 1\nproject = 'p'\n{}", words.join(" ")).as_bytes())?;
    }

    #[test]
    fn no_mutation_panics(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut text = GOOD.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 if text.len() > 1 => { text.remove(at); }
                _ => text.truncate(at.max(1)),
            }
        }
        exercise(&text)?;
    }

    #[test]
    fn no_line_out_of_order_panics(lines in proptest::collection::vec(
        prop::sample::select(GOOD.lines().collect::<Vec<_>>()), 0..30,
    )) {
        exercise(lines.join("\n").as_bytes())?;
        exercise(format!("version = 1\nproject = 'p'\n{}", lines.join("\n")).as_bytes())?;
    }
}

#[test]
fn deep_nesting_and_long_lists_end_in_an_error() {
    for text in
        ["[".repeat(200_000), format!("a = {}", "[".repeat(200_000)), "a.".repeat(100_000), "{a=".repeat(100_000)]
    {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn values_of_every_kind_are_refused_everywhere() {
    for field in ["project", "cache", "cache.x", "cache.x.roots", "signer", "signer.x", "signer.x.keys", "gate.x"] {
        for value in
            ["1", "1.5", "nan", "true", "2020-01-01", "2020-01-01T00:00:00Z", "10:00:00", "[]", "[[]]", "[2020-01-01]"]
        {
            let project = if field == "project" { "" } else { "project = 'p'\n" };
            assert!(parse(&format!("version = 1\n{project}{field} = {value}\n")).is_err(), "{field} = {value}");
        }
    }
}
