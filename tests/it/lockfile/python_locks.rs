//! Lockfiles of Python's tools that cannot be read, or are not what they were.

use super::python::lockfiles;
use super::{Locked, mutated};
use crate::rows::{each, some};

#[test]
fn a_lockfile_that_cannot_be_read_is_an_error_with_its_line() {
    let hash = format!("--hash=sha256:{}", "0".repeat(64));
    let uv = "version = 1\n[[package]]\nname = \"a\"\n";
    let rows: &[(&str, &str, String, &str, usize)] = &[
        ("no pin", "requirements.txt", format!("a>=1 {hash}\n"), "malformed", 1),
        ("no hash", "requirements.txt", "\na==1\n".to_owned(), "malformed", 2),
        ("a wildcard", "requirements.txt", format!("a==1.* {hash}\n"), "malformed", 1),
        ("a short hash", "requirements.txt", "a==1 \\\n --hash=sha256:00\n".to_owned(), "malformed", 1),
        ("a weak hash", "requirements.txt", format!("a==1 --hash=sha1:{}\n", "0".repeat(40)), "malformed", 1),
        ("an option", "requirements.txt", "--evil\n".to_owned(), "malformed", 1),
        ("another file", "requirements.txt", format!("a==1 {hash}\n-r other.txt\n"), "unsupported", 2),
        (
            "two lists",
            "requirements.txt",
            format!("a==1 {hash}\nA==1.0 --hash=sha256:{}\n", "1".repeat(64)),
            "malformed",
            2,
        ),
        ("a version to come", "uv.lock", "\nversion = 2\n".to_owned(), "unsupported", 2),
        ("no version", "uv.lock", "revision = 1\n".to_owned(), "malformed", 1),
        ("a source", "uv.lock", format!("{uv}version = \"1\"\nsource = {{ ipfs = \"x\" }}\n"), "unsupported", 2),
        ("no release", "uv.lock", format!("{uv}source = {{ registry = \"x\" }}\n"), "malformed", 2),
        (
            "a digest",
            "uv.lock",
            format!(
                "{uv}version = \"1\"\nsource = {{ registry = \"x\" }}\nwheels = [{{ url = \"a-1-py3-none-any.whl\", hash = \"sha256:00\" }}]\n"
            ),
            "malformed",
            2,
        ),
        ("a version to come", "poetry.lock", "[metadata]\nlock-version = \"3.0\"\n".to_owned(), "unsupported", 2),
        ("no version", "poetry.lock", "\n[metadata]\n".to_owned(), "unsupported", 2),
        ("no metadata", "poetry.lock", "package = []\n".to_owned(), "malformed", 1),
        ("not TOML", "poetry.lock", "[metadata]\nx\n".to_owned(), "malformed", 2),
        ("a version to come", "Pipfile.lock", "{\"_meta\":\n{\"pipfile-spec\": 7}}".to_owned(), "unsupported", 2),
        ("no version", "Pipfile.lock", "{\"_meta\": {}}".to_owned(), "malformed", 1),
        ("a name twice", "Pipfile.lock", "{\"_meta\": {},\n\"_meta\": {}}".to_owned(), "malformed", 2),
        (
            "no pin",
            "Pipfile.lock",
            "{\"_meta\": {\"pipfile-spec\": 6}, \"default\": {\n\"a\": {\"version\": \"*\"}}}".to_owned(),
            "malformed",
            2,
        ),
    ];
    each(some(rows), |(row, file, text, code, line)| {
        let locked = Locked::new(&["wheelhouse"], file);
        locked.write(file, text);
        let verdict = locked.verify("lock");
        verdict.expect_error_of(format!("{file}: {row}"), 5, &format!("{code}-lockfile"));
        let message = verdict.json["error"].to_string();
        assert!(message.contains(&format!("{file}:{line}:")), "{row}: {message}");
    });
}

#[test]
fn no_mutation_of_a_lockfile_makes_it_panic() {
    for (name, text) in lockfiles() {
        mutated(name, text.as_bytes());
    }
}
