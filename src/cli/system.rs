//! What the process is given: variables, random bytes, its output.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::base::Code;
use crate::checkout::{Context, Failure};
use crate::seal::statement::Source;
use crate::tree::{Options, Ways};

/// Whose links are followed on the way to a file that is to be written, with the policy at `policy`.
pub(super) fn ways(context: &Context, policy: &Path) -> io::Result<Ways> {
    let working_directory = std::env::current_dir()?;
    let beside = working_directory.join(policy.parent().unwrap_or(Path::new("")));
    let home = context.home.as_ref().map(PathBuf::from).filter(|home| home.is_absolute());
    let own = home.into_iter().chain([beside]).collect();
    Ok(Ways { working_directory, own, user: rustix::process::geteuid().as_raw() })
}

/// An environment variable as text, if it is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What tells this job from another on the same machine; empty where nothing does.
pub(super) fn job() -> String {
    let job = variable("CIRCLECI").and_then(|_| variable("CIRCLE_WORKFLOW_JOB_ID"));
    job.unwrap_or_default()
}

/// What `CircleCI` says of this job; nothing elsewhere.
pub(super) fn source() -> Source {
    if variable("CIRCLECI").is_none() {
        return Source::default();
    }
    let branch = variable("CIRCLE_BRANCH").map(|branch| match branch.strip_prefix("pull/") {
        Some(number) => format!("refs/pull/{number}/head"),
        None => format!("refs/heads/{branch}"),
    });
    Source {
        ci: Some("circleci".to_owned()),
        ref_: variable("CIRCLE_TAG").map(|tag| format!("refs/tags/{tag}")).or(branch),
        revision: variable("CIRCLE_SHA1"),
        job: variable("CIRCLE_JOB"),
        run: variable("CIRCLE_WORKFLOW_ID").or_else(|| variable("CIRCLE_BUILD_NUM")),
    }
}

/// How a command reads trees: with the threads that were asked for.
pub(super) fn options(threads: u16, context: &Context) -> Options<'_> {
    Options { threads: usize::from(threads), ..context.options() }
}

/// A deep tree holds a handle for each level on the way; the soft limit is often a mere 1,024.
pub(super) fn raise_open_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where this is not allowed, the walk still works for all but the deepest trees.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Random bytes of the operating system.
pub(super) fn random_seed() -> Result<zeroize::Zeroizing<[u8; 32]>, Failure> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|error| Failure::new(Code::Internal, format!("the system gave no random bytes: {error}")))?;
    Ok(seed)
}

/// Writes what is left to say. The verdict stands whether or not anyone listens.
pub(super) fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

pub(super) fn to_stderr(bytes: &[u8]) -> io::Result<()> {
    io::stderr().lock().write_all(bytes)
}
