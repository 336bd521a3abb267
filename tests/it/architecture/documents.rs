//! Documents: a section for each code, links that lead somewhere.

use std::collections::BTreeSet;

use cacheseal::base::Code;

use super::{SourceFile, assert_none, repository};

/// Lines outside fenced code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Codes without a section `### code`, and sections of words that are no code or came before.
fn undocumented(text: &str, codes: &[&str]) -> Vec<String> {
    let mut missing: BTreeSet<&str> = codes.iter().copied().collect();
    let is_code_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let mut offences = Vec::new();
    for word in prose(text).filter_map(|line| line.strip_prefix("### ")).filter(is_code_word) {
        if !missing.remove(word) {
            offences.push(format!("section `{word}` is no code, or stands twice"));
        }
    }
    offences.extend(missing.into_iter().map(|code| format!("code `{code}` has no section `### {code}`")));
    offences
}

/// Targets of `[text](target)` and `[label]: target`, code spans left out.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let plain: String = line.split('`').step_by(2).collect();
        let inline = plain.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        found.extend(inline.map(str::to_owned));
        if let Some((_, target)) = plain.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push(target.trim().to_owned());
        }
    }
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|heading| heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-"))
        .collect()
}

/// Joins a target to the directory of the file that names it; `None` if it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}

/// Links to files or sections that are not there.
fn dead_links(files: &[SourceFile]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.is("md")) {
        for target in targets(&file.text()) {
            if !target.contains("://") && !target.starts_with("mailto:") && !leads_somewhere(files, &file.path, &target)
            {
                offences.push(format!("{}: `{target}` leads nowhere", file.path));
            }
        }
    }
    offences
}

fn leads_somewhere(files: &[SourceFile], from: &str, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let Some(path) = (if path.is_empty() { Some(from.to_owned()) } else { resolve(from, path) }) else { return false };
    let Some(file) = files.iter().find(|file| file.path == path) else {
        // A directory has no sections.
        return anchor.is_empty() && files.iter().any(|file| file.path.starts_with(&format!("{path}/")));
    };
    anchor.is_empty() || anchors(&file.text()).contains(anchor)
}

#[test]
fn a_code_without_a_section_is_reported() {
    for (text, count) in [
        ("### no-seal\n### too-old\n", 0),
        ("### no-seal\n", 1),
        ("### no-seal\n### too-old\n### to-old\n", 1),
        ("### no-seal\n### too-old\n### no-seal\n", 1),
        ("### no-seal\n```\n### too-old\n```\n", 1),
        ("### `no-seal`\n### too-old\n### How to read this\n", 1),
    ] {
        assert_eq!(undocumented(text, &["no-seal", "too-old"]).len(), count, "{text}");
    }
}

#[test]
fn every_code_has_a_section() {
    let files = repository();
    let verify = files.iter().find(|file| file.path == "docs/VERIFY.md").unwrap();
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_none(&undocumented(&verify.text(), &codes));
}

#[test]
fn a_dead_link_is_reported() {
    let there = SourceFile::sample("docs/THERE.md", "# One `two`\n### no-seal\n");
    for (text, count) in [
        ("[a](docs/THERE.md) [b](docs/THERE.md#no-seal) [c](docs) [d](#top)\n# Top\n", 0),
        ("[a](docs/THERE.md#one-two) https://x.example [b](https://x.example/y)", 0),
        ("[a](docs/GONE.md) and [b](docs/THERE.md#gone)", 2),
        ("[a](../outside.md)", 1),
        ("[a]: docs/GONE.md", 1),
        ("`[a](docs/GONE.md)`\n```\n[a](docs/GONE.md)\n```\n", 0),
    ] {
        let files = [SourceFile::sample("README.md", text), SourceFile::sample("docs/THERE.md", &there.text())];
        assert_eq!(dead_links(&files).len(), count, "{text}");
    }
    let below = SourceFile::sample("docs/A.md", "[a](THERE.md) [b](../docs/THERE.md) [c](docs/THERE.md)");
    assert_eq!(dead_links(&[below, there]).len(), 1);
}

#[test]
fn no_link_is_dead() {
    assert_none(&dead_links(&repository()));
}

/// Steps of walks, `file.rs: function`, that name no file of `src/` or no function in it.
fn lost_steps(text: &str, files: &[SourceFile]) -> (usize, Vec<String>) {
    let spans = text.split('`').skip(1).step_by(2);
    let steps: Vec<_> =
        spans.filter_map(|span| span.split_once(".rs: ").filter(|(_, name)| !name.contains(' '))).collect();
    let is_there = |(path, name): &(&str, &str)| {
        let path = format!("src/{path}.rs");
        let defines = |file: &SourceFile| {
            let text = file.text();
            ["(", "<"].iter().any(|next| text.contains(&format!("fn {name}{next}")))
        };
        files.iter().any(|file| file.path == path && defines(file))
    };
    let lost = steps.iter().filter(|step| !is_there(step));
    (steps.len(), lost.map(|(path, name)| format!("there is no `{name}` in src/{path}.rs")).collect())
}

#[test]
fn lost_steps_are_reported() {
    let files = [SourceFile::sample("src/a/b.rs", "fn one() {}\nfn two<T>() {}")];
    for (text, lost) in [
        ("1. `a/b.rs: one`, `a/b.rs: two`: x", 0),
        ("1. `a/b.rs: on`: x", 1),
        ("1. `a/c.rs: one`: x", 1),
        ("see `a/c.rs` and `x: y`", 0),
    ] {
        assert_eq!(lost_steps(text, &files).1.len(), lost, "{text}");
    }
}

#[test]
fn walks_name_functions_that_exist() {
    let files = repository();
    let architecture = files.iter().find(|file| file.path == "docs/ARCHITECTURE.md").unwrap().text();
    let (steps, lost) = lost_steps(&architecture, &files);
    assert!(steps > 30, "{steps}");
    assert_none(&lost);
}
