//! What can be typed after `guard`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common_arguments::{PolicyArgument, WalkArguments, parse_elsewhere};
use crate::policy::{Glob, MaxAge, MaxAgeError};

#[derive(Debug, Subcommand)]
pub(super) enum GuardCommand {
    /// Before the restore: load what decides about trust, and look at everything that a restore has no business with
    Start(GuardStartArguments),
    /// Before the restore: wait until a guard that was started beside this step answers
    Wait(GuardWaitArguments),
    /// After the restore: look again; exits with 15 if anything outside the roots was written
    Check(GuardCheckArguments),
    /// Before publishing: look whether what was verified is still as it was; exits with 11 if it is not
    Recheck(GuardRecheckArguments),
    /// End the guard
    Stop(PolicyArgument),
    /// The process that makes the guard's socket listen
    #[command(hide = true)]
    Witness,
}

#[derive(Debug, Args)]
pub(super) struct GuardStartArguments {
    /// The caches whose roots and seals may be written, as the policy names them
    #[arg(value_name = "CACHE", required = true)]
    pub(super) caches: Vec<String>,
    /// ROOT will be filled at DIR, for `seal --root` (can be repeated)
    #[arg(long, value_name = "DIR=ROOT", value_parser = parse_elsewhere)]
    pub(super) root: Vec<(PathBuf, String)>,
    /// Nothing is restored while the guard watches: what fills the empty roots may be sealed
    #[arg(long)]
    pub(super) no_restore: bool,
    /// Start although roots or seals are there already; they cannot be sealed before they were verified
    #[arg(long)]
    pub(super) allow_filled: bool,
    /// Do not watch PATH and what is below it: absolute, or `~/…`; `*` within a component matches (can be repeated)
    #[arg(long, value_name = "PATH")]
    pub(super) allow: Vec<PathBuf>,
    /// Watch PATH and what is below it too, whether or not it is there (can be repeated)
    #[arg(long, value_name = "PATH")]
    pub(super) watch: Vec<PathBuf>,
    /// Let stray writes decide nothing, and list them
    #[arg(long)]
    pub(super) report_only: bool,
    /// Watch what the variables in FILE name too: the output of `env -0`, in the environment that later steps will have
    #[arg(long, value_name = "FILE")]
    pub(super) environment_of: Option<PathBuf>,
    #[command(flatten)]
    pub(super) process: GuardProcess,
    /// If the guard cannot start, say why in FILE, a new one, for `guard wait`
    #[arg(long, value_name = "FILE", requires = "foreground")]
    pub(super) failure_file: Option<PathBuf>,
    /// End by itself after this time: a whole number and `h` or `m`, at most a day
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = parse_lifetime)]
    pub(super) max_lifetime: MaxAge,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
    #[command(flatten)]
    pub(super) walk: WalkArguments,
}

/// Which process is the guard.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct GuardProcess {
    /// Serve in this process instead of a detached one
    #[arg(long)]
    pub(super) foreground: bool,
    /// The process that `guard start` makes, and that stays
    #[arg(long, hide = true)]
    pub(super) detached: bool,
}

fn parse_lifetime(text: &str) -> Result<MaxAge, String> {
    let time: MaxAge = text.parse().map_err(|error: MaxAgeError| error.to_string())?;
    if time.seconds() > 86_400 { Err("expected at most `24h`".to_owned()) } else { Ok(time) }
}

#[derive(Debug, Args)]
pub(super) struct GuardWaitArguments {
    /// Caches that it must guard
    #[arg(value_name = "CACHE")]
    pub(super) caches: Vec<String>,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(super) timeout: u16,
    /// Where a guard that cannot start says why: then wait no longer, and end as it did
    #[arg(long, value_name = "FILE")]
    pub(super) failure_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}

#[derive(Debug, Args)]
pub(super) struct GuardCheckArguments {
    /// List what was written, and exit with 0
    #[arg(long)]
    pub(super) report_only: bool,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}

#[derive(Debug, Args)]
pub(super) struct GuardRecheckArguments {
    /// The caches to look at; all that the guard watches if none is named
    #[arg(value_name = "CACHE")]
    pub(super) caches: Vec<String>,
    /// Let new entries be whose path matches: the root as the policy writes it, and the path below it. `*` stays within
    /// a component, `**` does not (can be repeated)
    #[arg(long, value_name = "GLOB", value_parser = parse_glob)]
    pub(super) allow_new: Vec<Glob>,
    /// Read every file again, and rely on no time that a file system tells
    #[arg(long)]
    pub(super) full: bool,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
    #[command(flatten)]
    pub(super) walk: WalkArguments,
}

fn parse_glob(text: &str) -> Result<Glob, String> {
    Glob::parse(text).map_err(|error| error.to_string())
}
