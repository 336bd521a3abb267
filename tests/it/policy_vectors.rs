//! Policies and lists of revocations that are not ones: `tests/vectors/policy` and `tests/vectors/revocations`, one
//! failure a file. Its first lines say what the program must: the code, the place, a part of the message.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{POLICY, Project, key};

/// One file.
struct Vector {
    name: String,
    text: String,
    code: String,
    at: String,
    says: String,
}

impl Vector {
    /// Reads a file; the header has these three lines, and line numbers count it.
    fn read(path: &Path) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let mut field = |field: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(field));
            line.filter(|value| !value.trim().is_empty()).unwrap_or_else(|| panic!("{name}: no `{field}`")).to_owned()
        };
        let (code, at, says) = (field("# expect: "), field("# at: "), field("# says: "));
        Self { name, text, code, at, says }
    }
}

/// All files of a folder, every one a vector.
fn vectors(folder: &str, at_least: usize) -> Vec<Vector> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.inspect(|path| assert_eq!(path.extension().unwrap(), "toml", "{path:?}")).collect();
    paths.sort();
    assert!(paths.len() >= at_least, "{}", paths.len());
    paths.iter().map(|path| Vector::read(path)).collect()
}

/// A good policy and good keys, those that the vectors name among them.
fn project() -> Project {
    let project = Project::empty(POLICY);
    for name in ["main-2026", "main-2027", "a b"] {
        project.write(&format!("keys/{name}.pub"), key(name).public().to_pem());
    }
    project.write("keys/copy-of-main-2026.pub", key("main-2026").public().to_pem());
    project
}

/// Puts each file in its place and runs every command that reads it.
fn each_is_an_error(folder: &str, at_least: usize, place: &str) {
    let project = project();
    let mut wrong = Vec::new();
    let mut bodies = BTreeSet::new();
    for vector in vectors(folder, at_least) {
        let body = vector.text.splitn(4, '\n').nth(3).unwrap_or_default().to_owned();
        assert!(bodies.insert(body), "{} is another file again", vector.name);
        project.write(place, &vector.text);
        for arguments in [&["policy", "check"][..], &["verify", "cargo", "--gate", "release", "--trust-checkout"]] {
            let verdict = project.json(arguments);
            let error = &verdict.json["error"];
            let message = error["message"].as_str().unwrap_or_default();
            let at = format!("{place}:{}: ", vector.at);
            let as_said = message.starts_with(&at) && message.contains(&vector.says);
            if (verdict.code, error["code"].as_str(), as_said) != (Some(5), Some(&vector.code), true) {
                let Vector { name, code, at, says, .. } = &vector;
                wrong.push(format!("{name}: expected {code} {at} {says}\n  found {:#}", verdict.json));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_malformed_policy_is_an_error_with_its_code_its_place_and_its_words() {
    each_is_an_error("policy", 60, "cacheseal.toml");
}

#[test]
fn each_malformed_list_is_an_error_with_its_code_its_place_and_its_words() {
    each_is_an_error("revocations", 10, "keys/revoked.toml");
}

/// A newer list that cannot be read revokes nothing, so it is no list.
#[test]
fn a_malformed_list_on_the_command_line_is_an_error_too() {
    let project = Project::new();
    project.seal();
    for vector in vectors("revocations", 10) {
        let list = project.outside("newer.toml");
        fs::write(&list, &vector.text).unwrap();
        let verdict = project.verify_with(&["--revocations", list.to_str().unwrap()]);
        verdict.expect_error_of(&vector.name, 5, &vector.code);
        let message = verdict.json["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("newer.toml:{}: ", vector.at)), "{}: {message}", vector.name);
    }
    for nothing in ["nosuch.toml", "."] {
        let verdict = project.verify_with(&["--revocations", nothing]);
        assert!(matches!(verdict.code, Some(4 | 5)), "{nothing}: {:#}", verdict.json);
        assert!(verdict.json["error"]["code"].is_string(), "{nothing}");
    }
}

/// The header of a good policy would make it a vector of nothing.
#[test]
fn what_the_vectors_start_from_is_good() {
    let project = project();
    project.json(&["policy", "check"]).expect(20, &[]);
    project.write("keys/revoked.toml", "# expect: nothing\n# at: 1:1\n# says: x\nversion = 1\n");
    assert_eq!(project.json(&["policy", "digest"]).code, Some(0));
}
