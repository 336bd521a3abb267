//! What can be typed about an archive.

use std::path::PathBuf;

use clap::Args;

use crate::archive::Expected;
use crate::base::EntryPath;
use crate::seal::statement::Platform;

#[derive(Debug, Args)]
pub(super) struct ArchiveArguments {
    /// Verify a cache archive instead of directories: a tar file, plain or in gzip or Zstandard, or `-` for stdin.
    /// Nothing is written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["guard", "trust_checkout", "policy_sha256", "on_refusal"])]
    pub(super) archive: Option<PathBuf>,
    /// The cache that the archive is to be [default: the policy's only one]
    #[arg(long = "cache", value_name = "CACHE", requires = "archive", conflicts_with = "cache")]
    pub(super) archive_cache: Option<String>,
    /// The seal's directory, where the archive does not hold it
    #[arg(long, value_name = "DIR", requires = "archive")]
    pub(super) seal: Option<PathBuf>,
    /// A name in the archive and the root that it is, `.` for all of it: reads absolute and `../` names too (can be
    /// repeated)
    #[arg(long, value_name = "PREFIX=ROOT", requires = "archive", value_parser = parse_mapping)]
    pub(super) root: Vec<(String, String)>,
    /// The system that the cache is for [default: this one]
    #[arg(long, value_name = "OS/ARCH", requires = "archive", value_parser = parse_platform)]
    pub(super) platform: Option<Platform>,
    #[command(flatten)]
    pub(super) places: PlacesArguments,
    #[command(flatten)]
    pub(super) window: WindowArgument,
}

/// Where the archive has what the policy places in home and beside itself.
#[derive(Debug, Args)]
pub(super) struct PlacesArguments {
    /// Where home is in the archive, `.` for its top [default: where homes are, like home/circleci]
    #[arg(long, value_name = "PREFIX", requires = "archive", value_parser = parse_prefix)]
    pub(super) home: Option<EntryPath>,
    /// Where the policy's directory is in the archive, `.` for its top [default: where checkouts are, like
    /// home/circleci/project]
    #[arg(long, value_name = "PREFIX", requires = "archive", value_parser = parse_prefix)]
    pub(super) checkout: Option<EntryPath>,
}

impl PlacesArguments {
    pub(super) fn expected(&self) -> Expected {
        Expected { home: self.home.clone(), checkout: self.checkout.clone() }
    }
}

/// A directory in an archive; a path of this machine is taken as what archives make of it.
fn parse_prefix(text: &str) -> Result<EntryPath, String> {
    let path = text.strip_prefix("./").or_else(|| text.strip_prefix('/')).unwrap_or(text);
    let path = path.strip_suffix('/').unwrap_or(path);
    if text.is_empty() {
        return Err("expected a directory in the archive, `.` for its top".to_owned());
    }
    EntryPath::new(if path == "." { b"" } else { path.as_bytes() }).map_err(|error| format!("a path that {error}"))
}

#[derive(Debug, Args)]
pub(super) struct WindowArgument {
    /// The largest Zstandard window to allow, as a power of two in bytes: 30 reads what `zstd --long=30` wrote
    #[arg(long, value_name = "N", default_value_t = 27, value_parser = clap::value_parser!(u32).range(10..=31))]
    pub(super) window_log_max: u32,
}

fn parse_mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((prefix, root)) if !prefix.is_empty() && !root.is_empty() => {
            let prefix = prefix.strip_suffix('/').filter(|prefix| !prefix.is_empty()).unwrap_or(prefix);
            Ok((prefix.to_owned(), root.to_owned()))
        }
        _ => Err("expected PREFIX=ROOT, the name in the archive and the root as the policy writes it".to_owned()),
    }
}

fn parse_platform(text: &str) -> Result<Platform, String> {
    match text.split_once('/') {
        Some((os, arch)) if !os.is_empty() && !arch.is_empty() => {
            Ok(Platform { os: os.to_owned(), arch: arch.to_owned() })
        }
        _ => Err("expected OS/ARCH, like linux/x86_64".to_owned()),
    }
}
