//! Policies and lists of revocations that are not ones: `tests/vectors/policy` and `tests/vectors/revocations`, one
//! failure a file. Its first lines say what the program must: the code, the place, a part of the message.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cacheseal::base::Code;
use cacheseal::policy::{Document, REVOCATIONS};

use crate::harness::{POLICY, Project, judged_or_plain, key};
use crate::rows::each;

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

/// What the library says of a policy with its files: code and message.
fn error_of(project: &Project) -> (Code, String) {
    let read = |file: &str| Some((file.to_owned(), fs::read(project.path(file)).ok()?));
    let text = fs::read(project.path("cacheseal.toml")).unwrap();
    let policy = Document::parse("cacheseal.toml", &text).and_then(|document| {
        let names: Vec<_> = document.files().into_iter().map(str::to_owned).chain([REVOCATIONS.to_owned()]).collect();
        document.resolve(&names.iter().filter_map(|name| read(name)).collect())
    });
    let placed = policy
        .and_then(|policy| policy.place(Some(&project.canonical_home()), &project.canonical_root(), "cacheseal.toml"));
    let error = placed.map(drop).unwrap_err();
    (error.code(), error.to_string())
}

/// Puts each file in its place and reads it; some, and under `judges` all, by the commands that read it.
fn each_is_an_error(folder: &str, at_least: usize, place: &str) {
    let project = project();
    let mut bodies = BTreeSet::new();
    let vectors = vectors(folder, at_least);
    each(vectors.iter().enumerate().map(|(at, vector)| (&vector.name, at, vector)), |(_, at, vector)| {
        let body = vector.text.splitn(4, '\n').nth(3).unwrap_or_default();
        assert!(bodies.insert(body), "another file again");
        project.write(place, &vector.text);
        let expect = |code: &str, message: &str| {
            let as_said = message.starts_with(&format!("{place}:{}: ", vector.at)) && message.contains(&vector.says);
            assert!(as_said && code == vector.code, "{} {} {}: {code} {message}", vector.code, vector.at, vector.says);
        };
        let (code, message) = error_of(&project);
        expect(code.as_str(), &message);
        if at % judged_or_plain(1, 16) == 0 {
            for arguments in [&["policy", "check"][..], &["verify", "cargo", "--gate", "release", "--trust-checkout"]] {
                let verdict = project.json(arguments);
                verdict.expect_error(5, &vector.code);
                expect(&vector.code, verdict.json["error"]["message"].as_str().unwrap());
            }
        }
    });
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
