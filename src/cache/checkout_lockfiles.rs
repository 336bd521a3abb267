//! What a checkout says that can be believed.

use super::place::Workspace;
use crate::base::{Code, Limits, Refusal, Refusals};
use crate::policy::Edge;
use crate::tree::ReadError;
use crate::verify::Lockfiles;

/// The lockfiles of a checkout that can be believed.
pub(super) fn read_lockfiles(workspace: &Workspace, edge: &Edge<'_>, limits: &Limits) -> (Lockfiles, Refusals) {
    let mut refusals = Refusals::new(limits.refusals_max);
    let mut digests = Vec::new();
    for path in &edge.cache.lockfiles {
        match workspace.lockfile(path, limits.lockfile_bytes_max) {
            Ok(digest) => digests.push(digest),
            Err(ReadError::Io(error)) => {
                return (Lockfiles::Unreadable { path: path.clone(), found: error.to_string() }, refusals);
            }
            // Something stands in its place.
            Err(error) => {
                refusals.push(Refusal::new(Code::Unreadable, path.as_str(), "a lockfile", format!("it {error}")));
                digests.push(None);
            }
        }
    }
    (Lockfiles::Known(digests), refusals)
}
