//! Memory that an archive can make the program use: 64 MiB beside what it uses for any, and its window. `hostile.rs`
//! holds the kinds of archives to that which are about memory.

use std::io::Write as _;
use std::process::Command;

use cacheseal::base::{Digest, Limits};

use super::codec::{Frame, window, zstd_with};
use super::sample::{Form, Layout};
use super::stage::{Stage, text};
use super::tar::{Tar, pax, symlink};
use crate::harness::Run;

/// What an archive may cost, MiB.
pub(super) const SHARE: u64 = 64;
/// The largest window that is allowed without asking, MiB.
const WINDOW: u64 = 128;

/// Runs the binary on an archive with an address space of this many MiB.
pub(super) fn verify_within(stage: &Stage, mebibytes: u64, archive: &[u8], more: &[&str]) -> Run {
    let file = stage.file(archive);
    let plain = stage.project.command();
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -v \"$1\" && shift && exec \"$@\"", "bash"]).arg((mebibytes << 10).to_string());
    command.arg(plain.get_program()).args(["verify", "--archive", text(&file), "--gate", "any", "--format", "json"]);
    command.args(more).current_dir(stage.project.root()).env_clear().env("HOME", stage.project.home());
    // Else the allocator sets 64 MiB of addresses aside for each thread, or not, as it comes.
    command.env("MALLOC_ARENA_MAX", "1");
    Run::of(command.output().unwrap())
}

/// The least that an honest archive without compression is verified in, MiB.
pub(super) fn baseline(stage: &Stage) -> u64 {
    let tar = stage.sample.draft(Layout::Plain, Form::Gnu, true).tar.bytes();
    let is_enough = |mebibytes| verify_within(stage, mebibytes, &tar, &[]).code == Some(0);
    let (mut too_little, mut enough) = (0, 1_024);
    assert!(is_enough(enough), "an honest archive needs more than a gibibyte");
    while enough - too_little > 2 {
        let middle = u64::midpoint(too_little, enough);
        if is_enough(middle) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    enough
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "other systems do not limit the address space")]
fn the_largest_window_costs_itself() {
    let stage = Stage::new();
    let allowed = baseline(&stage) + SHARE + WINDOW;
    let tar = stage.sample.draft(Layout::Plain, Form::Gnu, false).tar.bytes();
    for (row, archive) in [
        ("written by the library", zstd_with(&tar, 3, true, Some(27))),
        ("announced alone", Frame::headed(&tar, &[&[0, window(27)]]).bytes()),
    ] {
        let run = verify_within(&stage, allowed, &archive, &[]);
        assert!(run.code == Some(0), "{row} in {allowed} MiB: {:?} {}", run.code, run.stderr);
    }
    // Eight gibibytes behind the end, through the whole window.
    let bomb = Frame::headed(&tar, &[&[0, window(27)]]).zeros(1 << 16).bytes();
    verify_within(&stage, allowed, &bomb, &[]).verdict().expect(13, &["expansion-limit"]);
}

/// So many links before any seal, with texts that compress as honest ones do.
fn waiting(links: u32) -> Vec<u8> {
    let links = (0..links).flat_map(|at| {
        let text = format!("{}{}", Digest::sha256(&at.to_le_bytes()), "x".repeat(4_000));
        let records = pax(&[("linkpath", text.as_bytes())]);
        [records, symlink(format!("deps/{at}"), "x")].map(|item| Tar { items: vec![item], end: Vec::new() }.bytes())
    });
    let mut archive = zstd::Encoder::new(Vec::new(), 1).unwrap();
    links.for_each(|item| archive.write_all(&item).unwrap());
    archive.finish().unwrap()
}

#[test]
fn no_more_waits_for_a_seal_than_may() {
    let mut limits = Limits::STANDARD;
    limits.waiting_bytes_max = 1 << 20;
    let found = Stage::new().project.judge().archive_verdict(&waiting(400), &limits);
    assert_eq!(found, (13, ["too-many-entries"].into()));
}

/// What an archive may cost until a seal is trusted, MiB.
#[cfg(feature = "judges")]
const WAITING: u64 = 256;

#[cfg(feature = "judges")]
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "other systems do not limit the address space")]
fn what_waits_for_a_seal_costs_no_more_than_it_may() {
    let stage = Stage::new();
    let run = verify_within(&stage, baseline(&stage) + WAITING, &waiting(60_000), &[]);
    assert!(run.code == Some(13), "{:?} {}", run.code, run.stderr);
    run.verdict().expect(13, &["too-many-entries"]);
}
