//! `drill`: the main job on a real directory with a key that only ever lies in memory, then every attack of the room
//! `drill` on a copied sample. The directory itself is only read.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::arguments::DrillArguments;
use super::outcome::Outcome;
use super::system::{random_seed, variable};
use crate::base::{Code, Exit, plural};
use crate::checkout::{Context, Failure, shown};
use crate::drill::{Bench, DrillError, Ground, Tried, attacks};
use crate::report::{Asker, DrillReport, DrillRow, DrillTried, Head, bytes_text, refusals_text};
use crate::tree::Directory;

pub(super) fn run(arguments: &DrillArguments, context: &Context) -> Result<Outcome, Failure> {
    let path = directory(arguments, context)?;
    let bench = bench(&path, usize::from(arguments.walk.threads), context)?;
    let sealed = match bench.seal_real()? {
        Ok(sealed) => sealed,
        Err(refusals) => {
            let text =
                format!("refused: {} cannot be sealed\n{}", shown(&path), refusals_text(&refusals, Asker::Maker));
            return Ok(outcome(refusals.exit(), "refused", text, None));
        }
    };
    let verified = bench.verify_real()?;
    if verified.exit() != Exit::Ok {
        let text = format!(
            "refused: {} just sealed, does not verify\n{}",
            shown(&path),
            refusals_text(&verified.refusals, Asker::Maker)
        );
        return Ok(outcome(verified.exit(), "refused", text, None));
    }
    let mut text = format!(
        "trusted  {}: {}, {}\n         sealed and verified with a key made in memory; the directory was only read\n\n",
        shown(&path),
        plural(sealed.entries, "entry", "entries"),
        bytes_text(sealed.bytes),
    );
    bench.check_sample()?;
    let mut rows = Vec::new();
    let mut survived = 0;
    for attack in attacks() {
        let tried = attack.run(&bench)?;
        if !tried.as_expected() {
            survived += 1;
        }
        let _ = writeln!(text, "{}", row_text(&tried));
        rows.push(row(&tried));
    }
    let tried = rows.len() as u64;
    let _ = writeln!(text, "\n{}", summary(tried, survived));
    let exit = exit_of(survived);
    let directory = path.to_string_lossy().into_owned();
    let tried = DrillTried { directory, entries: sealed.entries, bytes: sealed.bytes, tamperings: rows };
    Ok(outcome(exit, if exit == Exit::Ok { "trusted" } else { "error" }, text, Some(tried)))
}

/// Where the drill is held: everything that the room does not look up by itself.
fn bench(real: &Path, threads: usize, context: &Context) -> Result<Bench, Failure> {
    let above = std::env::temp_dir();
    let above = std::fs::canonicalize(&above)
        .map_err(|error| Failure::new(Code::Unwritable, format!("{}: {error}", shown(&above))))?;
    Ok(Bench::new(Ground {
        real,
        above: &above,
        seeds: [random_seed()?, random_seed()?, random_seed()?, random_seed()?],
        now: context.now,
        platform: context.platform.clone(),
        threads,
        limits: context.limits.clone(),
        fifo: make_fifo,
    })?)
}

#[cfg(not(target_vendor = "apple"))]
fn make_fifo(path: &Path) -> io::Result<()> {
    crate::drill::tampering::fifo(path)
}

/// macOS has no such call relative to a handle, so its own program makes the fifo.
#[cfg(target_vendor = "apple")]
fn make_fifo(path: &Path) -> io::Result<()> {
    let status = std::process::Command::new("/usr/bin/mkfifo").arg(path).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("mkfifo failed")) }
}

impl From<DrillError> for Failure {
    fn from(error: DrillError) -> Self {
        match error {
            DrillError::Policy(error) => error.into(),
            DrillError::Inside { .. } => {
                Self::new(error.code(), error.to_string()).hint("set TMPDIR to a directory outside it")
            }
            _ => Self::new(error.code(), error.to_string()),
        }
    }
}

fn row_text(tried: &Tried) -> String {
    let codes: Vec<_> = tried.codes.iter().map(|code| code.as_str()).collect();
    let found = if codes.is_empty() { "trusted".to_owned() } else { codes.join(", ") };
    if tried.as_expected() {
        format!("refused  {found:<20} {}", tried.attack.what)
    } else {
        format!("NOT SO   {found:<20} {}: expected {}", tried.attack.what, tried.attack.code)
    }
}

fn row(tried: &Tried) -> DrillRow {
    DrillRow {
        tampering: tried.attack.what,
        expected: tried.attack.code,
        exit: tried.exit,
        codes: tried.codes.clone(),
        as_expected: tried.as_expected(),
    }
}

fn exit_of(survived: u64) -> Exit {
    if survived == 0 { Exit::Ok } else { Code::DrillFailed.exit() }
}

fn summary(tried: u64, survived: u64) -> String {
    if survived == 0 {
        format!("{} refused, each for its own reason", plural(tried, "tampering was", "tamperings were"))
    } else {
        let fault = plural(survived, "tampering was", "tamperings were");
        format!("{}: of {tried}, {fault} not refused as expected; please report this", Code::DrillFailed)
    }
}

fn outcome(exit: Exit, verdict: &'static str, text: String, tried: Option<DrillTried>) -> Outcome {
    Outcome::of(exit, text, &DrillReport { head: Head::with("drill", exit, verdict), tried })
}

/// The directory to drill on, canonical: the one named, or the Cargo registry.
fn directory(arguments: &DrillArguments, context: &Context) -> Result<PathBuf, Failure> {
    let cargo_home = || variable("CARGO_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let registry =
        || cargo_home().or_else(|| Some(context.home_directory()?.join(".cargo"))).map(|home| home.join("registry"));
    let Some(path) = arguments.directory.clone().or_else(registry) else {
        return Err(nothing("expected HOME or CARGO_HOME to find a Cargo registry, found neither"));
    };
    let absent = |error: &dyn std::fmt::Display| nothing(&format!("expected a directory at {}: {error}", shown(&path)));
    let path = std::fs::canonicalize(&path).map_err(|error| absent(&error))?;
    let opened = Directory::open(&path).map_err(|error| absent(&error))?;
    if opened.is_empty().map_err(|error| absent(&error))? {
        return Err(absent(&"it is empty"));
    }
    Ok(path)
}

fn nothing(message: &str) -> Failure {
    Failure::new(Code::NothingToDrill, message).hint("name a directory: `cacheseal drill DIR`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tampering_that_survives_fails_the_drill() {
        assert_eq!((exit_of(0), exit_of(1)), (Exit::Ok, Exit::Internal));
        assert!(!summary(47, 0).contains("drill-failed"));
        assert!(summary(47, 1).starts_with("drill-failed: of 47, 1 tampering was not refused"), "{}", summary(47, 1));
    }

    #[test]
    fn a_row_says_whether_the_attack_was_refused_as_expected() {
        for (codes, begins) in [(vec![Code::TooOld], "refused  too-old"), (vec![], "NOT SO   trusted")] {
            let attack = attacks().into_iter().find(|attack| attack.code == Code::TooOld).unwrap();
            let tried = Tried { attack, exit: codes.first().map_or(Exit::Ok, |code| code.exit()), codes };
            assert!(row_text(&tried).starts_with(begins), "{}", row_text(&tried));
            assert_eq!(row(&tried).as_expected, tried.as_expected());
        }
    }
}
