//! What can be typed.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use super::archive_arguments::{ArchiveArguments, PlacesArguments, WindowArgument};
pub(super) use super::common_arguments::{PolicyArgument, WalkArguments};
pub(super) use super::guard_arguments::{
    GuardCheckArguments, GuardCommand, GuardRecheckArguments, GuardStartArguments, GuardWaitArguments,
};

use super::common_arguments::parse_elsewhere;
pub(super) use super::policy_arguments::{PolicyCommand, PolicyRootsArguments};
use crate::base::Digest;
use crate::report::{FORMATS, Format};
use crate::tree::Disposal;

/// The version, and what tells this build from another of it.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CACHESEAL_BUILD"), ")");

/// Decides whether a restored dependency cache is exactly what a trusted job said it was
#[derive(Debug, Parser)]
#[command(name = "cacheseal", version = VERSION, max_term_width = 100, arg_required_else_help = true)]
pub(super) struct Cli {
    /// Form of the output: text for people, json for programs, junit (of `verify` alone) for test reports
    #[arg(long, global = true, value_parser = forms(), default_value = "text", value_name = "FORMAT")]
    pub(super) format: &'static Format,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The names of the forms, and the form of each.
fn forms() -> impl TypedValueParser<Value = &'static Format> {
    let named = |name: String| Format::named(&name, FORMATS).ok_or("expected the name of a form");
    PossibleValuesParser::new(FORMATS.iter().map(|format| format.name)).try_map(named)
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a commented policy for the lockfiles found here, and make a first job key
    Init(InitArguments),
    /// Make and show job keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Snapshot a cache's roots, sign, and write the seal
    Seal(SealArguments),
    /// Verify a restored cache at a gate
    Verify(VerifyArguments),
    /// Watch what a restore writes outside the roots, and keep in memory what decides about trust
    #[command(subcommand)]
    Guard(GuardCommand),
    /// Write a sealed cache into one archive, the seal first
    Pack(PackArguments),
    /// Verify an archive and put what is in it into its places, all of it or nothing
    Unpack(UnpackArguments),
    /// Show what a seal says or an archive holds, without verifying anything
    Inspect(InspectArguments),
    /// Show what differs between two seals, directories or archives
    Diff(DiffArguments),
    /// Write a seal in a form that other tools read
    Export(ExportArguments),
    /// Pin and check the policy
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Say what a code means, and what to do
    Explain(ExplainArguments),
    /// Tamper with a copy in every way we know and show that each is refused
    Drill(DrillArguments),
}

impl Command {
    /// The verb, for reports.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Key(_) => "key",
            Self::Seal(_) => "seal",
            Self::Verify(_) => "verify",
            Self::Guard(GuardCommand::Start(_)) => "guard start",
            Self::Guard(GuardCommand::Wait(_)) => "guard wait",
            Self::Guard(GuardCommand::Check(_)) => "guard check",
            Self::Guard(GuardCommand::Recheck(_)) => "guard recheck",
            Self::Guard(GuardCommand::Stop(_)) => "guard stop",
            Self::Guard(GuardCommand::Witness) => "guard witness",
            Self::Pack(_) => "pack",
            Self::Unpack(_) => "unpack",
            Self::Inspect(_) => "inspect",
            Self::Diff(_) => "diff",
            Self::Export(_) => "export",
            Self::Policy(_) => "policy",
            Self::Explain(_) => "explain",
            Self::Drill(_) => "drill",
        }
    }

    /// Whether stdout belongs to what the command makes, so that its report goes to stderr.
    pub(super) fn takes_stdout(&self) -> bool {
        matches!(self, Self::Pack(arguments) if arguments.out == Path::new("-"))
    }
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The code, as a report shows it
    pub(super) code: String,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The name signed into every seal [default: from git's origin, else the directory's name]
    #[arg(long, value_name = "NAME")]
    pub(super) project: Option<String>,
    /// Where the private key goes: a new file, or `-` for one line on stdout
    /// [default: below ~/.config/cacheseal]
    #[arg(long, value_name = "FILE")]
    pub(super) key_out: Option<PathBuf>,
    /// No key and no seals: propose the directories that the lockfiles can prove whole, and a gate that demands it
    #[arg(long, conflicts_with = "key_out")]
    pub(super) lockfile_only: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a job key: the public half to keys/NAME.pub, the private half to --out
    New(KeyNewArguments),
    /// Show a public key, its key id and what the policy lets it seal
    Show(KeyShowArguments),
    /// Add a line to keys/revoked.toml: a key, a manifest, or what a signer sealed before a time
    Revoke(KeyRevokeArguments),
}

#[derive(Debug, Args)]
pub(super) struct KeyRevokeArguments {
    #[command(flatten)]
    pub(super) what: Revoked,
    /// The end of what is recalled, in UTC, like 2026-11-22T12:00:00Z
    // clap drops `requires` where the group already excludes the signer, so say what it goes with by what it does not.
    #[arg(long, value_name = "TIME", requires = "signer", conflicts_with_all = ["keyid", "file", "manifest"], value_parser = parse_time)]
    pub(super) before: Option<jiff::Timestamp>,
    /// Why, for those who read the list
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// Also what the policy does not name
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Revoked {
    /// A key, by its id
    #[arg(long, value_name = "HEX", value_parser = parse_digest)]
    pub(super) keyid: Option<Digest>,
    /// A key, by its file
    #[arg(long = "key", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// One root of one seal, by the SHA-256 of its manifest
    #[arg(long, value_name = "HEX", value_parser = parse_digest)]
    pub(super) manifest: Option<Digest>,
    /// What a signer sealed before --before
    #[arg(long, value_name = "NAME", requires = "before")]
    pub(super) signer: Option<String>,
}

fn parse_time(text: &str) -> Result<jiff::Timestamp, String> {
    let time = text.parse().ok().filter(|_| text.ends_with('Z'));
    time.ok_or_else(|| "expected a time in UTC like 2026-11-22T12:00:00Z".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct KeyNewArguments {
    /// Name of the key: lower-case letters, digits and `-`
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Where the private key goes: a new file of mode 0600, or `-` for one line on stdout
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}

#[derive(Debug, Args)]
pub(super) struct KeyShowArguments {
    /// A public key, or a private one (only its public half is shown)
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Print the private key in one line, for the secrets of a CI system, and nothing else
    #[arg(long)]
    pub(super) private_line: bool,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}

#[derive(Debug, Args)]
pub(super) struct SealArguments {
    /// The cache, as the policy names it
    #[arg(value_name = "CACHE")]
    pub(super) cache: String,
    #[command(flatten)]
    pub(super) key: KeySource,
    /// Sign a name and value of your own with the rest; a gate can demand them (can be repeated). With
    /// --add-signature: what the seal must say, all of it
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_binding)]
    pub(super) bind: Vec<(String, String)>,
    /// Add a signature to the seal that is there, after verifying it and the roots
    #[arg(long)]
    pub(super) add_signature: bool,
    /// Only if the guard vouches for what the roots were before: empty after the restore, or verified
    #[arg(long, conflicts_with = "add_signature")]
    pub(super) guard: bool,
    /// Seal the tree at DIR as ROOT, which is spelled as in the policy (can be repeated)
    #[arg(long, value_name = "DIR=ROOT", value_parser = parse_elsewhere, conflicts_with = "add_signature")]
    pub(super) root: Vec<(PathBuf, String)>,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
    #[command(flatten)]
    pub(super) walk: WalkArguments,
}

fn parse_binding(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct KeySource {
    /// The job's private key, `-` for standard input
    #[arg(long = "key", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The environment variable that holds the job's private key
    #[arg(long = "key-env", value_name = "NAME")]
    pub(super) variable: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The cache, as the policy names it
    #[arg(value_name = "CACHE", required_unless_present = "archive")]
    pub(super) cache: Option<String>,
    /// The gate, as the policy names it
    #[arg(long, value_name = "GATE", required_unless_present = "archive")]
    pub(super) gate: Option<String>,
    #[command(flatten)]
    pub(super) archive: ArchiveArguments,
    #[command(flatten)]
    pub(super) pin: Pin,
    /// A list of revocations on top of keys/revoked.toml: an old tag carries an old list (can be repeated)
    #[arg(long, value_name = "FILE")]
    pub(super) revocations: Vec<PathBuf>,
    /// Show every rule, what it compared and the line of the policy that it came from
    #[arg(long)]
    pub(super) explain: bool,
    /// Exit with 0 when nothing was restored
    #[arg(long)]
    pub(super) allow_miss: bool,
    /// What to do with a refused cache; the exit status stays the same
    #[arg(long, value_enum, value_name = "ACTION", default_value_t = OnRefusal::Keep)]
    pub(super) on_refusal: OnRefusal,
    /// Also write the report to a file: text, json or junit (can be repeated)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_report)]
    pub(super) report: Vec<(&'static Format, PathBuf)>,
    /// Also write every difference to a file as it is found, one line of JSON each
    #[arg(long, value_name = "FILE")]
    pub(super) differences: Option<PathBuf>,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
    #[command(flatten)]
    pub(super) walk: WalkArguments,
}

/// Why the policy can be believed.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Pin {
    /// Let the guard decide: by policy, keys and lockfiles as they were before the restore, and only if nothing was
    /// written outside the roots
    #[arg(long)]
    pub(super) guard: bool,
    /// Believe the policy and lockfiles on disk: only where nothing was restored over the checkout
    #[arg(long)]
    pub(super) trust_checkout: bool,
    /// Believe the policy only if `cacheseal policy digest` printed this of it
    #[arg(long, value_name = "HEX", value_parser = parse_digest)]
    pub(super) policy_sha256: Option<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnRefusal {
    /// Leave everything where it is
    Keep,
    /// Move roots and seal aside, into new directories of mode 0700
    Quarantine,
    /// Move roots and seal aside, then delete them
    Purge,
}

impl From<OnRefusal> for Disposal {
    fn from(action: OnRefusal) -> Self {
        match action {
            OnRefusal::Keep => Self::Keep,
            OnRefusal::Quarantine => Self::Quarantine,
            OnRefusal::Purge => Self::Purge,
        }
    }
}

fn parse_report(text: &str) -> Result<(&'static Format, PathBuf), String> {
    let (format, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or("expected FORMAT=FILE")?;
    let format = Format::named(format, FORMATS).ok_or("expected text, json or junit before the `=`")?;
    Ok((format, PathBuf::from(file)))
}

fn parse_digest(text: &str) -> Result<Digest, String> {
    Digest::from_hex(text.as_bytes()).ok_or_else(|| "expected 64 lower-case hex digits".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct PackArguments {
    /// The cache, as the policy names it; it must be sealed
    #[arg(value_name = "CACHE")]
    pub(super) cache: String,
    /// The archive, a new file: plain if its name ends in `.tar`, else Zstandard; `-` for stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// How hard to compress, from 1 to 22 [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=22))]
    pub(super) level: Option<u8>,
    /// Threads that compress; they change no byte [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}

#[derive(Debug, Args)]
pub(super) struct UnpackArguments {
    /// The archive, `-` for stdin; its seal must come first, as `pack` writes it
    #[arg(value_name = "FILE")]
    pub(super) archive: PathBuf,
    /// The cache that the archive is to be [default: the policy's only one]
    #[arg(long, value_name = "CACHE")]
    pub(super) cache: Option<String>,
    /// The gate, as the policy names it [default: the policy's only one]
    #[arg(long, value_name = "GATE")]
    pub(super) gate: Option<String>,
    /// Replace roots that are not empty, and the seal
    #[arg(long)]
    pub(super) replace: bool,
    /// A list of revocations on top of keys/revoked.toml (can be repeated)
    #[arg(long, value_name = "FILE")]
    pub(super) revocations: Vec<PathBuf>,
    /// Show every rule, what it compared and the line of the policy that it came from
    #[arg(long)]
    pub(super) explain: bool,
    #[command(flatten)]
    pub(super) places: PlacesArguments,
    #[command(flatten)]
    pub(super) window: WindowArgument,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}

#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// A seal: its directory, such as .cacheseal/cargo; or a cache archive, `-` for stdin
    #[arg(value_name = "SEAL|ARCHIVE")]
    pub(super) seal: PathBuf,
    #[command(flatten)]
    pub(super) window: WindowArgument,
}

#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// A seal, a directory or an archive
    #[arg(value_name = "A")]
    pub(super) a: PathBuf,
    /// A seal, a directory or an archive
    #[arg(value_name = "B")]
    pub(super) b: PathBuf,
    /// The root to compare, where one side has several and the other is a directory
    #[arg(long, value_name = "ROOT")]
    pub(super) root: Option<String>,
    #[command(flatten)]
    pub(super) window: WindowArgument,
    #[command(flatten)]
    pub(super) walk: WalkArguments,
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// A seal: its directory, such as .cacheseal/cargo
    #[arg(value_name = "SEAL")]
    pub(super) seal: PathBuf,
    /// The form to write
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub(super) form: ExportForm,
    /// The root to write, where the seal has several
    #[arg(long, value_name = "ROOT")]
    pub(super) root: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportForm {
    /// mtree(5); SHA-256 digests included where the seal has them
    Mtree,
    /// Lines for `sha256sum -c`, run inside the root
    Sha256sum,
    /// Lines for `b3sum --check`, run inside the root
    B3sum,
    /// A Sigstore bundle v0.3 with the key's id as hint
    SigstoreBundle,
}

#[derive(Debug, Args)]
pub(super) struct DrillArguments {
    /// A directory, which is only read [default: the Cargo registry of this machine]
    #[arg(value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
    #[command(flatten)]
    pub(super) walk: WalkArguments,
}
