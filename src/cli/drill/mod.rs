//! `drill`: the main job on a real directory with a key that only ever lies in memory, then every tampering we
//! know on a copied sample. The directory itself is only read.

mod attempts;
mod bench;
mod forgery;
mod sample;
mod tampering;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::arguments::DrillArguments;
use super::context::{Context, shown};
use super::failure::Failure;
use super::outcome::Outcome;
use crate::base::{Code, Exit, plural};
use crate::report::{bytes_text, refusals_text};
use crate::seal::manifest::Totals;
use crate::tree::Directory;
use attempts::attempts;
use bench::Bench;

pub(super) fn run(arguments: &DrillArguments, context: &Context) -> Result<Outcome, Failure> {
    let path = directory(arguments, context)?;
    let bench = Bench::new(&path, usize::from(arguments.walk.threads), context)?;
    let sealed = match bench.seal_real()? {
        Ok(sealed) => sealed,
        Err(refusals) => {
            let text = format!("refused: {} cannot be sealed\n{}", shown(&path), refusals_text(&refusals));
            let json =
                json!({ "version": 1, "command": "drill", "verdict": "refused", "exit": refusals.exit().number() });
            return Ok(Outcome { exit: refusals.exit(), output: text.into_bytes(), json });
        }
    };
    let verified = bench.verify_real()?;
    if verified.exit() != Exit::Ok {
        let text =
            format!("refused: {} just sealed, does not verify\n{}", shown(&path), refusals_text(&verified.refusals));
        let json = json!({ "version": 1, "command": "drill", "verdict": "refused", "exit": verified.exit().number() });
        return Ok(Outcome { exit: verified.exit(), output: text.into_bytes(), json });
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
    for attempt in attempts() {
        let result = attempt.run(&bench)?;
        if !result.as_expected() {
            survived += 1;
        }
        let _ = writeln!(text, "{}", result.text());
        rows.push(result.json());
    }
    let tried = rows.len() as u64;
    let _ = writeln!(text, "\n{}", summary(tried, survived));
    let exit = exit_of(survived);
    Ok(Outcome { exit, output: text.into_bytes(), json: report(&path, &sealed, &rows, exit) })
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

fn report(path: &Path, sealed: &Totals, rows: &[Value], exit: Exit) -> Value {
    json!({
        "version": 1, "command": "drill", "verdict": if exit == Exit::Ok { "trusted" } else { "error" },
        "exit": exit.number(), "directory": path.to_string_lossy(), "entries": sealed.entries, "bytes": sealed.bytes,
        "tamperings": rows,
    })
}

/// The directory to drill on, canonical: the one named, or the Cargo registry.
fn directory(arguments: &DrillArguments, context: &Context) -> Result<PathBuf, Failure> {
    let cargo_home = || Context::variable("CARGO_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
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
}
