use super::*;
use crate::base::Code;

/// Stands in the text where the error must point; not part of the policy.
const MARK: char = '¦';

/// One piece of GOOD, what replaces it with one thing wrong, the code, a part of the message.
type Case = (&'static str, &'static str, Code, &'static str);

use Code::{GateWithoutEvidence as Evidence, MalformedPolicy as Malformed};

const TOP: &[Case] = &[
    ("version = 1", "¦", Malformed, "expected `version = 1`, found no version"),
    ("version = 1", "version = ¦2", Malformed, "expected `version = 1`, found `2`"),
    ("version = 1", "version = ¦0", Malformed, "expected `version = 1`, found `0`"),
    ("version = 1", "version = ¦-1", Malformed, "found `-1`"),
    ("version = 1", "version = ¦1.0", Malformed, "found `1.0`"),
    ("version = 1", "version = ¦\"1\"", Malformed, "found `\"1\"`"),
    ("version = 1", "version = ¦[1]", Malformed, "found `[1]`"),
    ("version = 1", "version = ¦99999999999999999999", Malformed, "found `99999999999999999999`"),
    ("version = 1\n", "unknown = true\nversion = ¦2\n", Malformed, "expected `version = 1`"),
    (
        "version = 1\n",
        "version = 1\n¦unknown = true\n",
        Malformed,
        "unknown field `unknown`, expected one of `project`",
    ),
    ("version = 1\n", "version = 1\n¦version = 1\n", Malformed, "duplicate key"),
    ("version = 1\n", "version = 1\n¦signers = []\n", Malformed, "unknown field `signers`"),
    ("project = \"github.com/acme/app\"", "project = ¦\"\"", Malformed, "expected a name like"),
    ("version = 1\nproject = \"github.com/acme/app\"", "¦version = 1", Malformed, "missing field `project`"),
    ("project = \"github.com/acme/app\"", "project = ¦\"a b\"", Malformed, "found `a b`"),
    ("project = \"github.com/acme/app\"", "project = ¦\"a\\u00a0b\"", Malformed, "without spaces"),
    ("project = \"github.com/acme/app\"", "project = ¦\"a\\u001bb\"", Malformed, "found `a\\u{1b}b`"),
    ("project = \"github.com/acme/app\"", "project = ¦\"a\\u202eb\"", Malformed, "found `a\\u{202e}b`"),
    ("project = \"github.com/acme/app\"", "project = ¦7", Malformed, "invalid type: integer `7`, expected a string"),
    (
        "project = \"github.com/acme/app\"",
        "project = \"github.com/acme/app¦",
        Malformed,
        "invalid basic string, expected",
    ),
];

const CACHES: &[Case] = &[
    ("[cache.npm]", "[cache.¦Npm]", Malformed, "expected a cache's name of 1 to 64 characters"),
    ("[cache.npm]", "[cache.¦n_m]", Malformed, "found `n_m`"),
    ("[cache.npm]", "[cache.¦\"\"]", Malformed, "found ``"),
    ("[cache.npm]", "[cache.¦\"../x\"]", Malformed, "found `../x`"),
    ("[cache.npm]", "[cache.¦\"caf\u{e9}\"]", Malformed, "found `caf\u{e9}`"),
    (
        "[cache.npm]",
        "[cache.¦aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]",
        Malformed,
        "of 1 to 64 characters",
    ),
    ("[cache.npm]", "[cache.¦cargo]", Malformed, "duplicate key"),
    ("[cache.npm]\nroots = [\"~/.npm\"]", "¦[cache.npm]", Malformed, "missing field `roots`"),
    ("[cache.npm]\nroots = [\"~/.npm\"]", "[cache]\nnpm = ¦[[\"~/.npm\"]]", Malformed, "expected a table"),
    ("[cache.npm]\nroots = [\"~/.npm\"]", "[cache]\nnpm = ¦\"~/.npm\"", Malformed, "expected a table"),
    (
        "digest = \"sha256\"",
        "¦threshold = 1",
        Malformed,
        "unknown field `threshold`, expected one of `roots`, `lockfiles`, `digest`",
    ),
    ("digest = \"sha256\"", "¦\"a\\u001bb\" = 1", Malformed, "unknown field `a\\u{1b}b`"),
    ("digest = \"sha256\"", "digest = ¦\"md5\"", Malformed, "expected `blake3` or `sha256`, found `md5`"),
    ("digest = \"sha256\"", "digest = ¦\"SHA256\"", Malformed, "found `SHA256`"),
    ("digest = \"sha256\"", "digest = ¦[\"sha256\"]", Malformed, "expected a string"),
    ("roots = [\"~/.npm\"]", "roots = ¦[]", Malformed, "expected at least one item, found an empty list"),
    ("roots = [\"~/.npm\"]", "roots = ¦\"~/.npm\"", Malformed, "expected a sequence"),
    ("roots = [\"~/.npm\"]", "roots = [\"a\", ¦1]", Malformed, "expected a string"),
    ("roots = [\"~/.npm\"]", "roots = [\"a\", ¦\"\"]", Malformed, "found an empty string"),
    ("roots = [\"~/.npm\"]", "roots = [¦\"a/\"]", Malformed, "found `a/`, which has an empty component"),
    ("roots = [\"~/.npm\"]", "roots = [¦'a\\b']", Malformed, "found `a\\\\b`"),
    ("roots = [\"~/.npm\"]", "roots = [¦\"../a\"]", Code::ForbiddenRoot, "which has a `.` or `..` component"),
    ("roots = [\"~/.npm\"]", "roots = [¦\"~\"]", Code::ForbiddenRoot, "found `~` itself"),
    ("roots = [\"~/.npm\"]", "roots = [¦\"$HOME/.npm\"]", Code::ForbiddenRoot, "found `$` in `$HOME/.npm`"),
    ("roots = [\"~/.npm\"]", "roots = [¦\"~me/.npm\"]", Code::ForbiddenRoot, "found `~me` in `~me/.npm`"),
    ("roots = [\"~/.npm\"]", "roots = [¦\"packages/*\"]", Code::ForbiddenRoot, "found `*` in `packages/*`"),
    ("roots = [\"~/.npm\"]", "roots = [\n  \"~/.npm\",\n  ¦\"x/.git\",\n]", Code::ForbiddenRoot, "outside `.git`"),
    ("\"tools/Cargo.lock\"", "¦\"Cargo.lock\"", Malformed, "expected each item once, found `Cargo.lock` twice"),
    ("\"tools/Cargo.lock\"", "¦\"/etc/passwd\"", Malformed, "relative to the policy's directory"),
    ("\"tools/Cargo.lock\"", "¦\"~/Cargo.lock\"", Malformed, "relative to the policy's directory"),
    ("\"tools/Cargo.lock\"", "¦\"../Cargo.lock\"", Malformed, "`.` or `..`"),
    ("\"tools/Cargo.lock\"", "¦\"a\\nb\"", Malformed, "found `a\\nb`"),
    ("\"tools/Cargo.lock\"", "¦\"**/Cargo.lock\"", Malformed, "found `*`"),
    ("\"tools/Cargo.lock\"", "¦\".cacheseal/Cargo.lock\"", Malformed, "outside `.git` and `.cacheseal`"),
];

const OTHER_KEYS: &str = "keys = [{ file = \"keys/a b.pub\" }]";

const SIGNERS: &[Case] = &[
    ("[signer.other]", "[signer.¦Other]", Malformed, "expected a signer's name"),
    ("[signer.other]\nkeys = [{ file = \"keys/a b.pub\" }]", "¦[signer.other]", Malformed, "missing field `keys`"),
    (OTHER_KEYS, "keys = ¦[]", Malformed, "expected at least one item"),
    (OTHER_KEYS, "keys = [¦\"keys/a.pub\"]", Malformed, "expected a table"),
    (OTHER_KEYS, "keys = [¦[\"keys/a.pub\"]]", Malformed, "expected a table"),
    (OTHER_KEYS, "keys = ¦{ file = \"keys/a.pub\" }", Malformed, "expected a sequence"),
    (OTHER_KEYS, "keys = [¦{ }]", Malformed, "missing field `file`"),
    (OTHER_KEYS, "keys = [{ file = \"a\", valid_until = ¦\"2027-6-30\" }]", Malformed, "a day like `2027-06-30`"),
    (OTHER_KEYS, "keys = [{ file = \"a\", valid_from = ¦\"2027-02-29\" }]", Malformed, "found `2027-02-29`"),
    (OTHER_KEYS, "keys = [{ file = \"a\", valid_until = ¦2027-06-30 }]", Malformed, "expected a string"),
    (OTHER_KEYS, "keys = [{ file = \"a\", ¦valid = \"2027-06-30\" }]", Malformed, "unknown field `valid`"),
    (
        OTHER_KEYS,
        "keys = [{ file = \"a\", valid_from = \"2027-06-30\", valid_until = ¦\"2027-06-29\" }]",
        Malformed,
        "expected a day not before `2027-06-30`, the first, found `2027-06-29`",
    ),
    (OTHER_KEYS, "keys = [{ file = ¦\"/a.pub\" }]", Malformed, "relative to the policy's directory"),
    (OTHER_KEYS, "keys = [{ file = ¦\"keys/../a.pub\" }]", Malformed, "`.` or `..`"),
    (OTHER_KEYS, "keys = [{ file = ¦\"cacheseal.toml\" }]", Malformed, "found the policy itself"),
    (
        OTHER_KEYS,
        "keys = [{ file = \"a\" }, { file = ¦\"a\" }]",
        Code::SharedKey,
        "found `a` under `other` (line 19) and `other`",
    ),
    (
        OTHER_KEYS,
        "keys = [{ file = ¦\"keys/main-2027.pub\" }]",
        Code::SharedKey,
        "found `keys/main-2027.pub` under `main` (line 13) and `other`",
    ),
    (OTHER_KEYS, "¦issuer = \"https://oidc.example\"", Malformed, "unknown field `issuer`"),
    ("caches = [\"cargo\", \"npm-*\"]", "caches = ¦[]", Malformed, "expected at least one item"),
    ("\"npm-*\"", "¦\"npm-?\"", Malformed, "expected no sign other than `*` and `**`, found `?` in `npm-?`"),
    ("\"npm-*\"", "¦\"npm-[ab]\"", Malformed, "found `[`"),
    ("\"npm-*\"", "¦\"\"", Malformed, "expected a pattern, found an empty string"),
    ("refs = [\"refs/heads/main\"]", "refs = ¦[]", Malformed, "expected at least one item"),
    ("refs = [\"refs/heads/main\"]", "refs = ¦\"refs/heads/main\"", Malformed, "expected a sequence"),
    ("refs = [\"refs/heads/main\"]", "refs = [\"**\", ¦\"!refs/heads/x\"]", Malformed, "found `!`"),
    ("jobs = [\"deps\"]", "jobs = [¦\"{a,b}\"]", Malformed, "found `{`"),
    ("jobs = [\"deps\"]", "jobs = ¦[]", Malformed, "expected at least one item"),
];

const RELEASE: &str = "require = [\"signature\"]\nsigners = [\"main\", \"other\"]\nmax_age = \"7d\"\n";

const GATES: &[Case] = &[
    ("[gate.release]", "[gate.¦Release]", Malformed, "expected a gate's name"),
    ("[gate.release]\nrequire = [\"signature\"]", "[gate.¦release]", Evidence, "found `release` without it"),
    (RELEASE, "require = ¦[]\nsigners = [\"main\"]\nmax_age = \"7d\"\n", Evidence, "in `require`, found an empty list"),
    (
        "[gate.release]\nrequire = [\"signature\"]\nsigners = [\"main\", \"other\"]",
        "[gate.¦release]\nrequire = [\"signature\"]",
        Evidence,
        "expected a gate with `signers`",
    ),
    ("signers = [\"main\", \"other\"]", "signers = ¦[]", Evidence, "in `signers`, found an empty list"),
    (
        "[gate.plain]\nrequire = [\"signature\"]\nsigners = [\"main\"]\nmax_age = \"12h\"",
        "[gate.¦plain]\nrequire = [\"signature\"]\nsigners = [\"main\"]",
        Evidence,
        "expected a gate with `max_age`",
    ),
    (
        RELEASE,
        "require = [\"signature\", ¦\"lockfile\"]\nsigners = [\"main\"]\nmax_age = \"7d\"\n",
        Malformed,
        "found `lockfile`, which this version cannot prove yet",
    ),
    (
        RELEASE,
        "require = [¦\"lockfile\"]\nsigners = [\"main\"]\nmax_age = \"7d\"\n",
        Malformed,
        "this version cannot prove",
    ),
    (
        RELEASE,
        "require = [¦\"Signature\"]\nsigners = [\"main\"]\nmax_age = \"7d\"\n",
        Malformed,
        "expected `signature`, found `Signature`",
    ),
    (
        RELEASE,
        "require = [\"signature\", ¦\"signature\"]\nsigners = [\"main\"]\nmax_age = \"7d\"\n",
        Malformed,
        "each item once",
    ),
    (RELEASE, "require = ¦\"signature\"\nsigners = [\"main\"]\nmax_age = \"7d\"\n", Malformed, "expected a sequence"),
    (
        "[\"main\", \"other\"]",
        "[\"main\", ¦\"othr\"]",
        Malformed,
        "expected a signer that the policy defines, found `othr`",
    ),
    ("[\"main\", \"other\"]", "[¦\"*\"]", Malformed, "expected a signer that the policy defines, found `*`"),
    ("[\"main\", \"other\"]", "[\"main\", ¦\"main\"]", Malformed, "found `main` twice"),
    ("max_age = \"7d\"", "max_age = ¦7", Malformed, "expected a string"),
    (
        "max_age = \"7d\"",
        "max_age = ¦\"7\"",
        Malformed,
        "expected a whole number and `d`, `h` or `m`, like `7d`, found `7`",
    ),
    ("max_age = \"7d\"", "max_age = ¦\"1w\"", Malformed, "found `1w`"),
    ("max_age = \"7d\"", "max_age = ¦\"0d\"", Malformed, "expected more than nothing and at most `3650d`, found `0d`"),
    ("max_age = \"7d\"", "max_age = ¦\"3651d\"", Malformed, "found `3651d`"),
    ("lockfile = \"exact\"", "lockfile = ¦\"none\"", Malformed, "expected `exact` or `any`, found `none`"),
    ("lockfile = \"exact\"", "lockfile = ¦false", Malformed, "expected a string"),
    ("links = \"inside\"", "links = ¦\"outside\"", Malformed, "expected `any` or `inside`, found `outside`"),
    ("hardlinks = \"any\"", "hardlinks = ¦\"exact\"", Malformed, "expected `any` or `inside`, found `exact`"),
    ("hardlinks = \"any\"", "threshold = ¦0", Evidence, "which would let everything pass"),
    ("hardlinks = \"any\"", "threshold = ¦3", Malformed, "at most 2, the number of `signers`, found 3"),
    ("hardlinks = \"any\"", "threshold = ¦\"2\"", Malformed, "expected u64"),
    ("hardlinks = \"any\"", "threshold = ¦-1", Malformed, "expected u64"),
    ("hardlinks = \"any\"", "¦unproven = \"allow\"", Malformed, "unknown field `unproven`"),
    ("hardlinks = \"any\"", "¦min_lockfile_coverage = 0.95", Malformed, "unknown field `min_lockfile_coverage`"),
    ("hardlinks = \"any\"", "bindings = ¦[\"a=b\"]", Malformed, "expected a map"),
    ("hardlinks = \"any\"", "bindings = { image = ¦1 }", Malformed, "expected a string"),
    ("hardlinks = \"any\"", "bindings = { image = ¦\"\" }", Malformed, "found an empty string"),
    ("hardlinks = \"any\"", "bindings = { ¦\"\" = \"x\" }", Malformed, "found an empty string"),
];

#[test]
fn each_error_has_its_code_its_place_and_its_words() {
    let mut wrong = Vec::new();
    for (from, to, code, fragment) in [TOP, CACHES, SIGNERS, GATES].into_iter().flatten() {
        let marked = edited(from, to);
        let offset = marked.find(MARK).unwrap();
        let line = marked[..offset].matches('\n').count() + 1;
        let column = marked[..offset].chars().rev().take_while(|character| *character != '\n').count() + 1;
        match parse(&marked.replace(MARK, "")) {
            Ok(_) => wrong.push(format!("accepted: {to}")),
            Err(error) => {
                let found = (error.code(), error.position, error.message.contains(fragment));
                if found != (*code, Some(Position { line, column }), true) {
                    wrong.push(format!(
                        "{to}\n  expected {code} {line}:{column} {fragment}\n  found {} {error}",
                        error.code()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

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
        ("[gate.release]\nrequire = [\"signature\"]", "[gate.release]", "add `require = [\"signature\"]`"),
        ("max_age = \"12h\"", "", "add `max_age = \"7d\"`, how old a seal may be"),
        ("version = 1", "version = 2", "a policy of another version needs another release of cacheseal"),
    ] {
        assert_eq!(parse(&edited(from, to)).unwrap_err().hint.as_deref(), Some(hint));
    }
    assert_eq!(parse(&edited("[\"main\", \"other\"]", "[\"zzz\"]")).unwrap_err().hint, None);
}
