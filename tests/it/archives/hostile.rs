//! Every kind of hostile archive: the exit status, exactly the codes, and nothing on disk touched.

use std::collections::BTreeSet;

use cacheseal::base::{Code, Exit};

use super::kinds::TABLES;
use super::sample::{Form, Layout};
use super::stage::{Stage, text};
use crate::harness::Verdict;

/// Shows each kind of a table to `verify` with the seal first and last, to `unpack` with the seal first, and to
/// `inspect`. Fails with all that went wrong, one a line.
fn run(table: &str) {
    let (_, kinds) = TABLES.iter().find(|(name, _)| *name == table).unwrap();
    let usual = Stage::new();
    let mut wrong = Vec::new();
    for kind in *kinds {
        let own = kind.stage();
        let stage = own.as_ref().unwrap_or(&usual);
        for (row, archive) in kind.rows(stage) {
            wrong.extend(difference(&row, kind.verified_as(), &stage.verify(&archive, kind.more)));
            stage.assert_untouched(&row);
        }
    }
    for (kind, expected) in kinds.iter().filter_map(|kind| Some((kind, kind.unpacked_as()?))) {
        let own = kind.stage();
        let stage = own.as_ref().unwrap_or(&usual);
        for (row, archive) in kind.rows_of(stage, true) {
            let row = format!("unpack {row}");
            wrong.extend(difference(&row, expected, &stage.unpack(&archive, kind.more)));
            stage.assert_restored(&row);
        }
    }
    for kind in *kinds {
        let own = kind.stage();
        let stage = own.as_ref().unwrap_or(&usual);
        for (row, archive) in kind.rows(stage).into_iter().take(1) {
            let file = stage.file(&archive);
            // It shows what there is, or says why it cannot; it never ends as a bug does.
            let run = stage.project.run(&["inspect", text(&file), "--format", "json"]);
            if !run.code.is_some_and(|code| matches!(code, 0 | 2..=15)) {
                wrong.push(format!("inspect {row}: {:?} {}", run.code, run.stderr));
            }
            stage.assert_restored(&row);
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// How a verdict differs from what it must be.
fn difference(row: &str, (exit, codes): (i32, &[&str]), verdict: &Verdict) -> Option<String> {
    let expected = (Some(exit), codes.iter().map(|code| (*code).to_owned()).collect::<BTreeSet<_>>());
    let found = (verdict.code, verdict.codes());
    let error = &verdict.json["error"];
    (found != expected || verdict.json["exit"] != exit)
        .then(|| format!("{row}: expected {expected:?}, found {found:?} {error:#}"))
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    run("names");
}

#[test]
fn strays_are_refused() {
    run("strays");
}

#[test]
fn links_are_refused_where_they_lead_elsewhere() {
    run("links");
}

#[test]
fn types_and_modes_that_no_cache_needs_are_refused() {
    run("types");
}

#[test]
fn contents_that_were_not_sealed_are_refused() {
    run("contents");
}

#[test]
fn two_places_for_one_thing_are_refused() {
    run("layouts");
}

#[test]
fn seals_that_the_gate_does_not_accept_are_refused() {
    run("seals");
}

#[test]
fn headers_that_lie_are_refused() {
    run("headers");
}

#[test]
fn extensions_that_lie_are_refused() {
    run("extensions");
}

#[test]
fn archives_without_a_proper_end_are_refused() {
    run("framing");
}

#[test]
fn broken_gzip_is_refused() {
    run("gzipped");
}

#[test]
fn broken_zstandard_is_refused() {
    run("zstandard");
}

#[test]
fn archives_that_cost_too_much_are_refused() {
    run("limits");
}

const SEAL_NOT_FIRST: &[&str] = &["seal-not-first"];

#[test]
fn a_seal_that_does_not_come_first_is_not_unpacked() {
    let stage = Stage::new();
    for layout in Layout::ALL {
        let tar = stage.sample.draft(layout, Form::Gnu, false).tar.bytes();
        stage.unpack(&tar, &[]).expect_of(format!("{layout:?}"), 12, SEAL_NOT_FIRST);
        stage.assert_restored("seal last");
    }
}

#[test]
fn every_code_of_an_archive_has_a_kind() {
    let kinds = TABLES.iter().flat_map(|(_, kinds)| *kinds);
    let given: BTreeSet<&str> = kinds.flat_map(|kind| kind.codes).chain(SEAL_NOT_FIRST).copied().collect();
    let of_archives = |code: &&Code| {
        let limits = [
            "expansion-limit",
            "window-too-large",
            "extension-too-large",
            "too-many-entries",
            "path-too-long",
            "too-deep",
            "seal-too-large",
            "manifest-too-large",
        ];
        code.exit() == Exit::UnsafeArchive || **code == Code::StrayEntry || limits.contains(&code.as_str())
    };
    let wanted: Vec<_> = Code::ALL.iter().filter(of_archives).map(|code| code.as_str()).collect();
    assert!(wanted.len() > 20, "{wanted:?}");
    let without: Vec<_> = wanted.iter().filter(|code| !given.contains(**code)).collect();
    assert!(without.is_empty(), "no kind gets {without:?}");
}

#[test]
fn no_two_kinds_have_one_name() {
    let names: Vec<_> = TABLES.iter().flat_map(|(_, kinds)| *kinds).map(|kind| kind.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.len() >= 130, "{}", names.len());
}
