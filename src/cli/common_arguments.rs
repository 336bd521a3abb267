//! What several verbs take.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct PolicyArgument {
    /// The policy; seals, keys and lockfiles are found beside it
    #[arg(long, value_name = "FILE", default_value = "cacheseal.toml")]
    pub(super) policy: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct WalkArguments {
    /// Threads that read; more than there are cores keeps a cold disk busy
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
}

/// The last `=` parts the two: a root has none more often than a directory.
pub(super) fn parse_elsewhere(text: &str) -> Result<(PathBuf, String), String> {
    match text.rsplit_once('=') {
        Some((place, root)) if !place.is_empty() && !root.is_empty() => Ok((PathBuf::from(place), root.to_owned())),
        _ => Err("expected DIR=ROOT".to_owned()),
    }
}
