//! Every kind of hostile archive: the exit status, exactly the codes, and nothing on disk touched.

use std::collections::BTreeSet;

use cacheseal::base::{Code, Exit, Limits};

use super::kinds::TABLES;
use super::kit::Kind;
use super::memory::{SHARE, baseline, verify_within};
use super::sample::{Form, Layout};
use super::stage::{Stage, text};
use crate::harness::{Verdict, judged_or_plain};
use crate::rows::{each, some};

/// Shows each kind of a table to `verify` with the seal first and last, to `unpack` with the seal first, and to
/// `inspect`. The verifier runs in this process for each archive. The program runs for every fifth kind and for those
/// with arguments of their own; under `judges` it runs for all.
fn run(table: &str) {
    let (_, kinds) = TABLES.iter().find(|(name, _)| *name == table).unwrap();
    let (read, written) = (Stage::new(), Stage::new());
    let is_about_memory = cfg!(target_os = "linux") && matches!(table, "bombs" | "limits" | "zstandard");
    let memory = is_about_memory.then(|| baseline(&read) + SHARE);
    each(kinds.iter().map(|kind| (kind.name, kind)), |(_, kind)| {
        let wrong = judged(kind, kind.stage().as_ref().unwrap_or(&read));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
    // Nothing but a run has arguments.
    let (with_arguments, without): (Vec<&Kind>, Vec<&Kind>) = kinds.iter().partition(|kind| !kind.more.is_empty());
    each(with_arguments.into_iter().chain(some(without)).map(|kind| (kind.name, kind)), |(_, kind)| {
        let wrong = verified(kind, kind.stage().as_ref().unwrap_or(&read), memory);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
    each(some(kinds.iter().map(|kind| (kind.name, kind))), |(_, kind)| {
        let wrong = unpacked(kind, kind.stage().as_ref().unwrap_or(&written));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// What is wrong with the verdicts of the verifier in this process.
fn judged(kind: &Kind, stage: &Stage) -> Vec<String> {
    let judge = stage.project.judge();
    let rows = if kind.more.is_empty() { kind.rows(stage) } else { Vec::new() };
    let wrong = rows.iter().filter_map(|(row, archive)| {
        let (exit, codes) = judge.archive_verdict(archive, &Limits::STANDARD);
        let codes = codes.into_iter().map(str::to_owned).collect();
        stage.assert_untouched(row);
        difference(row, kind.verified_as(), &(Some(exit.into()), codes))
    });
    wrong.collect()
}

/// What is wrong with the verdicts of `verify`, in so many MiB of memory where the table is about that.
fn verified(kind: &Kind, stage: &Stage, memory: Option<u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (row, archive) in &kind.rows(stage) {
        let verdict = match memory {
            Some(mebibytes) => verify_within(stage, mebibytes, archive, kind.more).verdict(),
            None => stage.verify(archive, kind.more),
        };
        wrong.extend(difference(row, kind.verified_as(), &outcome(row, &verdict)));
        stage.assert_untouched(row);
    }
    wrong
}

/// What is wrong with what `unpack` and `inspect` say.
fn unpacked(kind: &Kind, stage: &Stage) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(expected) = kind.unpacked_as() {
        for (row, archive) in kind.rows_of(stage, true).iter().take(judged_or_plain(usize::MAX, 1)) {
            let row = format!("unpack {row}");
            wrong.extend(difference(&row, expected, &outcome(&row, &stage.unpack(archive, kind.more))));
            stage.assert_restored(&row);
        }
    }
    for (row, archive) in kind.rows(stage).iter().take(judged_or_plain(1, 0)) {
        let file = stage.file(archive);
        // It shows what there is, or says why it cannot; it never ends as a bug does.
        let run = stage.project.run(&["inspect", text(&file), "--format", "json"]);
        if !run.code.is_some_and(|code| matches!(code, 0 | 2..=15)) {
            wrong.push(format!("inspect {row}: {:?} {}", run.code, run.stderr));
        }
        stage.assert_restored(row);
    }
    wrong
}

type Outcome = (Option<i32>, BTreeSet<String>);

fn outcome(row: &str, verdict: &Verdict) -> Outcome {
    assert_eq!(verdict.json["exit"].as_i64(), verdict.code.map(i64::from), "{row}: {:#}", verdict.json);
    (verdict.code, verdict.codes())
}

/// How an outcome differs from what it must be.
fn difference(row: &str, (exit, codes): (i32, &[&str]), found: &Outcome) -> Option<String> {
    let expected: Outcome = (Some(exit), codes.iter().map(|code| (*code).to_owned()).collect());
    (*found != expected).then(|| format!("{row}: expected {expected:?}, found {found:?}"))
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
fn bombs_are_refused() {
    run("bombs");
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
