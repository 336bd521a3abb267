//! One table of ecosystems: what is proven, what `init` knows and what the documents say are the same.

use std::collections::BTreeSet;
use std::fs;

use cacheseal::lockfile::{ECOSYSTEMS, SEALED_ONLY, Starter, ecosystem_of, starters};

/// A file of this lockfile.
fn file(starter: &Starter) -> String {
    starter.lockfile.replace('*', "")
}

#[test]
fn init_knows_every_ecosystem_and_proposes_only_what_its_lockfile_proves() {
    for (index, ecosystem) in ECOSYSTEMS.iter().enumerate() {
        assert!(!ecosystem.starters().is_empty(), "{}", ecosystem.name());
        for starter in ecosystem.starters() {
            assert_eq!(ecosystem_of(&file(starter)), Some(index), "{starter:?}");
        }
    }
    for starter in SEALED_ONLY {
        assert_eq!(ecosystem_of(&file(starter)), None, "{starter:?}");
        assert!(starter.proven.is_empty(), "{starter:?}");
    }
    let forms: BTreeSet<_> = starters().map(|starter| (starter.lockfile, starter.marker)).collect();
    assert_eq!(forms.len(), starters().count());
}

#[test]
fn the_document_has_a_section_for_every_ecosystem() {
    let text = document();
    for ecosystem in ECOSYSTEMS {
        let heading = format!("\n## {}", ecosystem.name());
        let sections: String = text.split("\n## ").filter(|section| section.starts_with(ecosystem.name())).collect();
        assert!(text.contains(&heading), "{heading}");
        for starter in ecosystem.starters() {
            let name = file(starter);
            assert!(sections.contains(name.rsplit('/').next().unwrap()), "{name}");
            for root in starter.proven {
                let end: Vec<_> = root.rsplit('/').take(2).collect();
                let end = end.into_iter().rev().collect::<Vec<_>>().join("/");
                assert!(sections.contains(end.trim_start_matches("~/")), "{name}: {end}");
            }
        }
    }
}

#[test]
fn the_document_has_the_table_of_init() {
    let code = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let row = |starter: &Starter| {
        let proven = if starter.proven.is_empty() { "none".to_owned() } else { code(starter.proven) };
        format!("| `{}` | `{}` | {} | {proven} |", starter.lockfile, starter.cache, code(starter.roots))
    };
    let expected: Vec<_> = starters().map(row).collect();
    let text = document();
    let section = text.split("\n## What init knows\n").nth(1).unwrap();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows, expected, "{}", expected.join("\n"));
}

fn document() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/LOCKFILES.md")).unwrap()
}
