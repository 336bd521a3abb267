//! The JSON schemas in `docs/schema` are those of the types, and what version 0.1 said fits them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cacheseal::report::schemas;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema")
}

/// `.ci/generate` sets `CACHESEAL_GENERATE`, and then they are written instead.
#[test]
fn schemas_are_those_of_the_types() {
    let generate = std::env::var_os("CACHESEAL_GENERATE").is_some();
    let mut names = BTreeSet::new();
    for (command, schema) in schemas() {
        let name = format!("{command}.json");
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = directory().join(&name);
        if generate {
            fs::create_dir_all(directory()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "docs/schema/{name} is not what the types say: run .ci/generate");
        names.insert(name);
    }
    let found = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), names);
}

/// Each command of the reference has one, but for those that only hold others.
#[test]
fn every_command_has_a_schema() {
    let reference = fs::read_to_string(directory().join("../cli-reference.md")).unwrap();
    let headings = reference.lines().filter_map(|line| line.strip_prefix("## `cacheseal ")?.strip_suffix('`'));
    let verbs: BTreeSet<_> = headings.map(|verb| verb.replace(' ', "-")).collect();
    let holds_others = |verb: &String| verbs.iter().any(|other| other.starts_with(&format!("{verb}-")));
    let expected: BTreeSet<_> = verbs.iter().filter(|verb| !holds_others(verb)).cloned().collect();
    assert!(expected.len() > 15);
    let found: BTreeSet<_> = schemas().into_iter().map(|(command, _)| command.to_owned()).collect();
    assert_eq!(found, expected);
}

#[cfg(feature = "judges")]
mod judged {
    use std::collections::BTreeMap;
    use std::process::Command;

    use serde_json::Value;

    use super::*;
    use crate::judges::judge;

    fn fits(schema: &str, outputs: &[Value]) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        let mut check: Command = judge("check-jsonschema");
        check.arg("--schemafile").arg(super::directory().join(format!("{schema}.json")));
        for (at, output) in outputs.iter().enumerate() {
            let path = directory.path().join(format!("{at}.json"));
            fs::write(&path, output.to_string()).unwrap();
            check.arg(path);
        }
        let output = check.output().unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into_owned()) }
    }

    /// What version 0.1 said, by command.
    fn outputs() -> BTreeMap<String, Vec<Value>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/0.1/outputs.json");
        let all: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let named = |run: &Value| {
            let words: Vec<_> =
                run["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            let two = ["policy", "key", "guard"].contains(&words[0]);
            (words[..if two { 2 } else { 1 }].join("-"), run["output"].clone())
        };
        let mut outputs = BTreeMap::<_, Vec<_>>::new();
        for (command, output) in all.iter().map(named) {
            outputs.entry(command).or_default().push(output);
        }
        outputs
    }

    #[test]
    fn outputs_of_0_1_fit() {
        let outputs = outputs();
        assert!(outputs.len() > 8);
        for (command, outputs) in outputs {
            fits(&command, &outputs).unwrap_or_else(|found| panic!("{command}: {found}"));
        }
    }

    /// And a field that is gone, or of another type, does not.
    #[test]
    fn a_lost_field_does_not_fit() {
        let output = outputs()["verify"][0].clone();
        for change in [
            |output: &mut Value| drop(output.as_object_mut().unwrap().remove("verdict")),
            |output: &mut Value| {
                output["refusals"] = "none".into();
            },
        ] {
            let mut changed = output.clone();
            change(&mut changed);
            assert!(fits("verify", &[changed.clone()]).is_err(), "{changed:#}");
        }
    }
}
