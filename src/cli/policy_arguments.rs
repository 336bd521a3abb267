//! What can be typed after `policy`.

use clap::{Args, Subcommand};

use super::common_arguments::PolicyArgument;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Print what --policy-sha256 pins: the policy and every file it names
    Digest(PolicyArgument),
    /// Look for what is allowed but unwise: exits with 20 if it finds something
    Check(PolicyArgument),
    /// Print the roots of a cache, one a line, as the policy writes them
    Roots(PolicyRootsArguments),
}

#[derive(Debug, Args)]
pub(super) struct PolicyRootsArguments {
    /// The cache, as the policy names it
    #[arg(value_name = "CACHE")]
    pub(super) cache: String,
    #[command(flatten)]
    pub(super) policy: PolicyArgument,
}
