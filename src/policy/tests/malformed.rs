//! What a file in `tests/vectors/policy` cannot show: other encodings and names, bounds, hints.

use super::*;
use crate::base::Code;

const OTHER_KEYS: &str = "keys = [{ file = \"keys/a b.pub\" }]";

#[test]
fn places_are_counted_in_characters() {
    for (text, shown) in [
        ("version = 2", "cacheseal.toml:1:11: expected `version = 1`, found `2`"),
        ("# \u{e9}\r\nversion = 2\r\n", "cacheseal.toml:2:11: expected `version = 1`, found `2`"),
        ("x = \"\u{e9}\u{1f980}\"; version", "cacheseal.toml:1:9: "),
        ("", "cacheseal.toml:1:1: expected `version = 1`, found no version"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(shown), "{text:?}: {error}");
    }
    let tables = "version = 1\nproject = \"p\"\nsigner = { \"\u{e9}\" = { keys = [] } }\n";
    assert_eq!(parse(tables).unwrap_err().position, Some(Position { line: 3, column: 12 }));
    let tables = "version = 1\nproject = \"p\"\ncache = { a = { roots = [\"\u{e9}\u{1f980}\", \"..\"] } }\n";
    assert_eq!(parse(tables).unwrap_err().position, Some(Position { line: 3, column: 32 }));
}

#[test]
fn other_encodings_are_refused_where_they_begin() {
    let error = Document::parse("p.toml", b"version = 1\n# \xc3\xa9 \xff\n").unwrap_err();
    assert_eq!(error.code(), Code::MalformedPolicy);
    assert_eq!(error.to_string(), "p.toml:2:5: expected UTF-8, found a byte that is not");
}

#[test]
fn hostile_names_cannot_forge_lines() {
    let error = Document::parse("a\nb.toml", b"version = 2").unwrap_err();
    assert!(error.to_string().starts_with("a\\nb.toml:1:11: "), "{error}");
}

#[test]
fn lists_are_bounded() {
    let roots = |count: usize| {
        let roots: Vec<_> = (0..count).map(|n| format!("\"r{n}\"")).collect();
        parse(&edited("roots = [\"~/.npm\"]", &format!("roots = [{}]", roots.join(",")))).map(drop)
    };
    assert_eq!(roots(64), Ok(()));
    assert_eq!(roots(65).unwrap_err().message, "expected at most 64 items, found 65");
    let keys = |count: usize| {
        let keys: Vec<_> = (0..count).map(|n| format!("{{ file = \"k{n}\" }}")).collect();
        parse(&edited(OTHER_KEYS, &format!("keys = [{}]", keys.join(",")))).map(drop)
    };
    assert_eq!(keys(16), Ok(()));
    assert_eq!(keys(17).unwrap_err().message, "expected at most 16 items, found 17");
    let name = "a".repeat(64);
    assert!(parse(&edited("[cache.npm]", &format!("[cache.{name}]"))).is_ok());
}

#[test]
fn hints_say_what_to_do() {
    for (from, to, hint) in [
        ("[\"main\", \"other\"]", "[\"othr\"]", "did you mean `other`"),
        (
            "[gate.release]\nrequire = [\"signature\"]",
            "[gate.release]",
            "add `require = [\"signature\"]`, `[\"lockfile\"]` or both",
        ),
        ("max_age = \"12h\"", "", "add `max_age = \"7d\"`, how old a seal may be"),
        ("version = 1", "version = 2", "a policy of another version needs another release of cacheseal"),
    ] {
        assert_eq!(parse(&edited(from, to)).unwrap_err().hint.as_deref(), Some(hint));
    }
    assert_eq!(parse(&edited("[\"main\", \"other\"]", "[\"zzz\"]")).unwrap_err().hint, None);
}
