//! Reports for people. Not a stable interface: scripts read JSON and exit codes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::advice::{Asker, advice};
use super::form::{ErrorReport, Format};
use super::verdict::{ArchiveReport, CoverageReport, SealReport, UnpackReport, VerifyReport};
use crate::base::{Code, Escaped, Exit, Refusal, Refusals, plural};
use crate::verify::{Amount, Rule};

pub(super) const FORMAT: Format = Format { name: "text", render: |report| verdict_text(report).into_bytes(), error };

/// Entries shown that no lockfile proves; refusals name them too, where the gate refuses them.
const UNPROVEN_SHOWN_MAX: usize = 10;

/// Refusals shown in full; the counts cover all.
const SHOWN_MAX: usize = 50;

/// The report in plain text, ending in a line feed.
#[must_use]
pub fn verdict_text(report: &VerifyReport) -> String {
    let mut out = format!("{}: cache `{}` at gate `{}`\n", report.verdict, report.cache, report.gate);
    out.push_str(&report.seal.as_ref().map_or_else(String::new, seal_text));
    out.push_str(&report.coverage.as_ref().map_or_else(String::new, coverage_text));
    for warning in &report.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out.push_str(&rules_text(report.rules.as_deref().unwrap_or_default()));
    let sealed_by = report.seal.as_ref().and_then(|seal| seal.signers.first()).map(|signed| signed.signer.as_str());
    let asker = Asker::Verifier { sealed_by, of_archive: report.archive.is_some() };
    out.push_str(&listing(&report.refusals, &report.counts, asker, report.is_allowed_miss()));
    if let (Some(candidates), Some(counts)) = (&report.candidates, &report.candidate_counts) {
        out.push_str(&candidates_text(candidates, counts));
    }
    out.push_str(&report.archive.as_ref().map_or_else(String::new, archive_text));
    out.push_str(&report.unpacked.as_ref().map_or_else(String::new, unpacked_text));
    for line in &report.disposal {
        let _ = writeln!(out, "note: {line}");
    }
    for line in &report.unwritten {
        let _ = writeln!(out, "error[{}]: {line}", Code::Unwritable);
    }
    out
}

fn error(report: &ErrorReport<'_>) -> Vec<u8> {
    let mut out = format!("error[{}]: {}\n", report.code, report.message);
    for hint in report.hints {
        let _ = writeln!(out, "hint: {hint}");
    }
    out.into_bytes()
}

/// Where the archive has its parts, and whether more of it may be wrong.
fn archive_text(archive: &ArchiveReport) -> String {
    let mut out = String::new();
    for (what, place) in [("home", &archive.home), ("the checkout", &archive.checkout)] {
        if let Some(place) = place.as_ref().filter(|place| !place.is_empty()) {
            let _ = writeln!(out, "note: {what} is `{place}` in the archive");
        }
    }
    if !archive.read_whole {
        out.push_str("note: the archive was not read to its end, so more may be wrong with it\n");
    }
    out
}

/// Whether it was unpacked, and how far its reader was confined.
fn unpacked_text(unpacked: &UnpackReport) -> String {
    let mut out = String::new();
    let done = if unpacked.in_place { "roots and seal are in their places" } else { "nothing was unpacked" };
    let _ = writeln!(out, "note: {done}");
    let confined = match unpacked.confinement.as_deref() {
        Some("none") => "this system has no Landlock to keep the reader from other files",
        Some("partial") => "its reader was kept from other files as far as Landlock can on this kernel",
        _ => "",
    };
    if !confined.is_empty() {
        let _ = writeln!(out, "note: {confined}");
    }
    for left in &unpacked.left {
        let _ = writeln!(out, "note: what was replaced is still beside it: {left}");
    }
    out
}

fn seal_text(seal: &SealReport) -> String {
    let mut out = String::new();
    for signed in &seal.signers {
        let short = signed.keyid.get(..12).unwrap_or(&signed.keyid);
        let _ = writeln!(out, "  sealed by `{}` (key {short}) at {}", signed.signer, seal.sealed_at);
    }
    let source = &seal.source;
    let from: Vec<String> = [("ref", &source.ref_), ("job", &source.job), ("revision", &source.revision)]
        .into_iter()
        .filter_map(|(what, value)| Some(format!("{what} `{}`", Escaped(value.as_deref()?.as_bytes()))))
        .collect();
    if !from.is_empty() {
        let _ = writeln!(out, "  from {}", from.join(", "));
    }
    let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0, u64::saturating_add);
    let _ = writeln!(
        out,
        "  {} in {}, {}",
        plural(sum(&mut seal.roots.iter().map(|root| root.entries)), "entry", "entries"),
        plural(seal.roots.len() as u64, "root", "roots"),
        bytes_text(sum(&mut seal.roots.iter().map(|root| root.bytes)))
    );
    if seal.links_leaving > 0 {
        let _ = writeln!(out, "  {} out of their root", plural(seal.links_leaving, "symlink leads", "symlinks lead"));
    }
    out
}

/// How much is proven by what, and the first entries that no lockfile proves.
fn coverage_text(coverage: &CoverageReport) -> String {
    let mut out = String::new();
    let amount = |amount: Amount| format!("{}, {}", plural(amount.files, "file", "files"), bytes_text(amount.bytes));
    let total = coverage.total;
    let _ = writeln!(out, "  proven by lockfile: {} of {}", amount(coverage.lockfile), amount(total));
    if coverage.signature.files > 0 {
        let _ = writeln!(out, "  proven by signature: {}", amount(coverage.signature));
    }
    if coverage.unproven.files > 0 {
        let _ = writeln!(out, "  unproven: {}", amount(coverage.unproven));
    }
    if coverage.weak.files > 0 {
        let _ = writeln!(out, "  as locked, but by a digest that proves nothing: {}", amount(coverage.weak));
    }
    for entry in coverage.entries.iter().take(UNPROVEN_SHOWN_MAX) {
        let (nature, place) = (&entry.nature, Escaped(&entry.place));
        let _ = writeln!(out, "  no lockfile proves {nature} {place}: {}", Escaped(entry.reason.as_bytes()));
    }
    out
}

/// One rule a line: whether it is met, what was compared, where it comes from.
fn rules_text(rules: &[Rule]) -> String {
    let mut out = String::new();
    for rule in rules {
        let mark = if rule.met { "met " } else { "not " };
        let _ = writeln!(out, "  {mark} {:<19} {} | {} ({})", rule.code, rule.expected, rule.found, rule.origin);
    }
    out
}

/// The refusals, worst first, then how many there are of each code, then where to read on.
#[must_use]
pub fn refusals_text(refusals: &Refusals, asker: Asker<'_>) -> String {
    let (refusals, counts) = refusals.clone().into_parts();
    listing(&refusals, &counts, asker, false)
}

/// The same of refusals as reports have them.
#[must_use]
pub fn listing_text(refusals: &[Refusal], counts: &BTreeMap<Code, u64>) -> String {
    listing(refusals, counts, Asker::VERIFIER, false)
}

/// A miss that is `allowed` needs no advice.
fn listing(refusals: &[Refusal], counts: &BTreeMap<Code, u64>, asker: Asker<'_>, allowed: bool) -> String {
    let total = counts.values().sum();
    let mut out = listed(refusals.iter(), total, kind);
    if total > 1 {
        let counts: Vec<_> = counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
        let _ = writeln!(out, "total: {}", counts.join(", "));
    }
    if let Some(worst) = refusals.first().filter(|_| !allowed) {
        // Bits alone can be put right; with anything else they are the least of it.
        let others = counts.keys().find(|code| **code != Code::ForbiddenMode && code.exit() == Exit::Changed);
        let code = others.copied().filter(|_| worst.code == Code::ForbiddenMode).unwrap_or(worst.code);
        let _ = writeln!(out, "hint: {}; `cacheseal explain {code}` says more", advice(code, asker));
    }
    out
}

/// How many there are of one code.
pub(super) fn counted(counts: &BTreeMap<Code, u64>, code: Code) -> u64 {
    counts.get(&code).copied().unwrap_or_default()
}

/// The refusals of one code.
pub(super) fn listed_of(refusals: &[Refusal], code: Code, total: u64) -> String {
    listed(refusals.iter().filter(|refusal| refusal.code == code), total, kind)
}

/// What would have been refused, for those who make a list of what to allow.
#[must_use]
pub fn candidates_text(refusals: &[Refusal], counts: &BTreeMap<Code, u64>) -> String {
    listed(refusals.iter(), counts.values().sum(), |_| "candidate")
}

fn listed<'a>(refusals: impl Iterator<Item = &'a Refusal>, total: u64, kind: fn(Code) -> &'static str) -> String {
    let mut out = String::new();
    for refusal in refusals.take(SHOWN_MAX) {
        let _ = writeln!(out, "{}[{}]: {}", kind(refusal.code), refusal.code, Escaped(&refusal.place));
        for (label, text) in [("expected", &refusal.expected), ("found", &refusal.found)] {
            let _ = writeln!(out, "  {label:<8}  {text}");
        }
    }
    if total > SHOWN_MAX as u64 {
        let _ = writeln!(out, "and {} more", total - SHOWN_MAX as u64);
    }
    out
}

fn kind(code: Code) -> &'static str {
    match code.exit() {
        exit if exit.is_refusal() => "refused",
        Exit::Miss => "miss",
        _ => "error",
    }
}

/// A size for people: "2.86 GB", decimal units.
#[must_use]
pub fn bytes_text(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        if bytes < unit.saturating_mul(1_000) || name == "TB" {
            let hundredths = u128::from(bytes) * 100 / u128::from(unit);
            return if name == "B" {
                format!("{bytes} B")
            } else {
                format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
            };
        }
        unit = unit.saturating_mul(1_000);
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_or_so() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.00 kB"), (2_861_234_567, "2.86 GB"), (u64::MAX, "18446744.07 TB")]
        {
            assert_eq!(bytes_text(bytes), text);
        }
    }
}
