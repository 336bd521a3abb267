//! What the documents show is what the program does: commands, exit statuses, the worked example of the format.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cacheseal::base::{Algorithm, Code, Digest, Exit, Limits};
use cacheseal::identity::PublicKey;
use cacheseal::seal::envelope::UnverifiedEnvelope;
use cacheseal::seal::manifest::Manifest;
use cacheseal::seal::statement::Statement;

use super::harness::{Project, Run};

/// The documents that show commands.
const DOCUMENTS: [&str; 6] = [
    "README.md",
    "docs/VERIFY.md",
    "docs/FORMAT.md",
    "docs/POLICY.md",
    "docs/THREAT_MODEL.md",
    "docs/CIRCLECI.md",
];

fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The fenced code blocks of exactly this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.strip_prefix("```") {
            let block: String =
                lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
            if fence == language {
                found.push(block);
            }
        }
    }
    found
}

/// The arguments of every `$ cacheseal …` line in the console blocks, up to the first sign of the shell.
fn commands(text: &str) -> Vec<Vec<String>> {
    let blocks = blocks(text, "console");
    let lines = blocks.iter().flat_map(|block| block.lines()).filter_map(|line| line.strip_prefix("$ cacheseal "));
    lines.map(|line| line.split_whitespace().take_while(|word| !is_shell(word)).map(value_of).collect()).collect()
}

fn is_shell(word: &str) -> bool {
    matches!(word, "|" | "&&" | "||" | ";" | "#" | ">" | "<" | "2>&1")
}

/// A word as the shell passes it on; a variable stands for a digest, the only kind that the documents use.
fn value_of(word: &str) -> String {
    let word = word.trim_matches(['"', '\'']);
    if word.starts_with('$') { "0".repeat(Digest::HEX_LEN) } else { word.to_owned() }
}

/// Whether the program knows the verb and every flag: it refuses what it does not know before it shows its help.
fn is_known(project: &Project, arguments: &[String]) -> bool {
    let run = Run::of(project.command().args(arguments).arg("--help").output().unwrap());
    run.code == Some(0) && run.stdout.contains("Usage: cacheseal")
}

#[test]
fn an_unknown_command_is_reported() {
    let project = Project::empty(super::harness::POLICY);
    let text = "```console\n$ cacheseal verify a --gate b --policy-sha256 \"$PIN\" | head\nout\n$ ls\n```\n\
                ```text\n$ cacheseal none\n```\n```console\n$ cacheseal verfy a\n$ cacheseal verify a --gait b\n\
                $ cacheseal verify a --policy-sha256 00\n$ cacheseal policy digests\n```\n";
    let known: Vec<_> = commands(text).iter().map(|arguments| is_known(&project, arguments)).collect();
    assert_eq!(known, [true, false, false, false, false]);
}

#[test]
fn every_command_of_the_documents_is_known() {
    let project = Project::empty(super::harness::POLICY);
    for path in DOCUMENTS {
        for arguments in commands(&document(path)) {
            assert!(is_known(&project, &arguments), "{path}: cacheseal {}", arguments.join(" "));
        }
    }
    assert!(commands(&document("README.md")).len() >= 3, "the README shows no session");
}

/// The numbers in the first column of the tables of a document: "| `10` | …".
fn statuses(text: &str) -> BTreeSet<u8> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.filter_map(|(cell, _)| cell.parse().ok()).collect()
}

fn all_exits() -> BTreeSet<u8> {
    Code::ALL.iter().map(|code| code.exit()).chain([Exit::Ok]).map(Exit::number).collect()
}

#[test]
fn exit_statuses_of_the_readme_are_those_of_the_program() {
    assert_eq!(statuses("| Status |\n| --- |\n| `0` | a |\n| `x` | b |\n| `15` | c |\n"), BTreeSet::from([0, 15]));
    assert_eq!(statuses(&document("README.md")), all_exits());
}

/// The sections `### code` of a document with the status of the section `## Exit N: …` that holds them.
fn grouped(text: &str) -> BTreeMap<String, u8> {
    let mut status = None;
    let mut codes = BTreeMap::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            status = heading.strip_prefix("Exit ").and_then(|rest| rest.split(':').next()?.parse().ok());
        }
        if let (Some(code), Some(status)) = (line.strip_prefix("### "), status) {
            codes.insert(code.to_owned(), status);
        }
    }
    codes
}

#[test]
fn every_code_stands_under_its_exit_status_in_the_order_of_reports() {
    let text = document("docs/VERIFY.md");
    let expected: BTreeMap<_, _> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), code.exit().number())).collect();
    assert_eq!(grouped(&text), expected);
    let order: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let order: Vec<_> = order.into_iter().filter(|word| expected.contains_key(*word)).collect();
    assert_eq!(order, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}

#[test]
fn the_worked_example_of_the_format_is_genuine() {
    let text = document("docs/FORMAT.md");
    let only = |language: &str| {
        let mut blocks = blocks(&text, language);
        assert_eq!(blocks.len(), 1, "{language}");
        blocks.remove(0)
    };
    let key = PublicKey::from_pem(only("pem").as_bytes()).unwrap();
    let envelope = UnverifiedEnvelope::parse(only("json seal.json").as_bytes(), &Limits::STANDARD).unwrap();
    let keys = [key.clone()];
    let checked = envelope.verified_by_name(&keys);
    assert!(checked.verified().contains(&key.id()));
    let payload = checked.payload().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&only("json statement")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(payload.bytes()).unwrap(), shown);

    let manifest = only("mtree");
    let statement = Statement::parse(payload.payload_type(), payload.bytes(), &Limits::STANDARD).unwrap();
    assert_eq!(statement.subjects[0].sha256, Digest::sha256(manifest.as_bytes()));
    let totals = Manifest::parse(manifest.as_bytes(), Algorithm::Sha256, &Limits::STANDARD).unwrap().totals();
    assert_eq!(totals.entries, statement.predicate.roots[0].entries);
    for hex in [key.id().to_string(), hex::encode(key.spki_der())] {
        assert!(text.contains(&hex), "{hex}");
    }
}
