//! What an attacker does to a seal, or with other seals.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::Value;

use super::bench::{Bench, Job, LOCKFILE};
use crate::base::Code;
use crate::cli::context::shown;
use crate::cli::failure::Failure;
use crate::seal::statement::Platform;
use crate::seal::{ENVELOPE, SEALS};

type Done = Result<(), Failure>;

fn io(path: &Path, result: io::Result<()>) -> Done {
    result.map_err(|error| Failure::new(Code::Unwritable, format!("{}: {error}", shown(path))))
}

/// Rewrites the sample's `seal.json`.
fn rewrite(bench: &Bench, change: impl FnOnce(&mut Value)) -> Done {
    let path = bench.seal_directory().join(ENVELOPE);
    let write = || {
        let mut envelope: Value = serde_json::from_slice(&fs::read(&path)?)?;
        change(&mut envelope);
        fs::write(&path, envelope.to_string())
    };
    io(&path, write())
}

fn field(envelope: &Value, pointer: &str) -> Value {
    envelope.pointer(pointer).cloned().unwrap_or_default()
}

fn set(envelope: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = envelope.pointer_mut(pointer) {
        *place = value;
    }
}

fn envelope(bench: &Bench) -> Result<Value, Failure> {
    let path = bench.seal_directory().join(ENVELOPE);
    let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    read.map_err(|error| Failure::new(Code::Unreadable, format!("{}: {error}", shown(&path))))
}

/// Changes a file of the sample, as between two runs of a job.
fn change_tree(bench: &Bench) -> Done {
    let path = bench.sample().join("drill/first");
    io(&path, fs::write(&path, "older\n"))
}

pub(super) fn from_the_future(bench: &Bench) -> Done {
    bench.seal_sample(&Job { sealed_at: bench.now + SignedDuration::from_hours(24), ..bench.honest_job() })
}

pub(super) fn other_lockfile(bench: &Bench) -> Done {
    let path = bench.directory.join(LOCKFILE);
    io(&path, fs::write(&path, "left-pad 1.3.1\n"))
}

pub(super) fn other_ref(bench: &Bench) -> Done {
    bench.seal_sample(&Job { ref_: "refs/heads/feature", ..bench.honest_job() })
}

pub(super) fn other_platform(bench: &Bench) -> Done {
    let platform = Platform { os: "plan9".to_owned(), ..bench.honest_job().platform };
    bench.seal_sample(&Job { platform, ..bench.honest_job() })
}

pub(super) fn other_project(bench: &Bench) -> Done {
    bench.seal_sample(&Job { project: "example.com/acme/other", ..bench.honest_job() })
}

pub(super) fn other_cache(bench: &Bench) -> Done {
    bench.seal_sample(&Job { cache: "other", ..bench.honest_job() })?;
    let place = bench.seal_directory();
    io(&place, fs::remove_dir_all(&place))?;
    io(&place, fs::rename(bench.directory.join(SEALS).join("other"), &place))
}

pub(super) fn other_tree(bench: &Bench) -> Done {
    change_tree(bench)
}

/// The manifest of a changed tree, made by the same job, in the seal of the tree as it was.
pub(super) fn other_manifest(bench: &Bench) -> Done {
    let today = envelope(bench)?;
    change_tree(bench)?;
    bench.seal_sample(&bench.honest_job())?;
    let path = bench.seal_directory().join(ENVELOPE);
    io(&path, fs::write(&path, today.to_string()))
}

pub(super) fn other_signature(bench: &Bench) -> Done {
    let today = envelope(bench)?;
    bench.seal_sample(&Job { sealed_at: bench.now - SignedDuration::from_hours(1), ..bench.honest_job() })?;
    rewrite(bench, |envelope| set(envelope, "/signatures", field(&today, "/signatures")))
}

pub(super) fn remove_seal(bench: &Bench) -> Done {
    let path = bench.directory.join(SEALS);
    io(&path, fs::remove_dir_all(&path))
}

pub(super) fn empty_seal(bench: &Bench) -> Done {
    let path = bench.seal_directory().join(ENVELOPE);
    io(&path, fs::write(&path, ""))
}

pub(super) fn remove_signature(bench: &Bench) -> Done {
    rewrite(bench, |envelope| set(envelope, "/signatures", Value::Array(Vec::new())))
}

/// Says one entry more than was signed.
pub(super) fn change_statement(bench: &Bench) -> Done {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    rewrite(bench, |envelope| {
        let payload = field(envelope, "/payload");
        let statement = STANDARD.decode(payload.as_str().unwrap_or_default()).unwrap_or_default();
        let mut statement: Value = serde_json::from_slice(&statement).unwrap_or_default();
        set(&mut statement, "/predicate/roots/0/entries", Value::from(1));
        set(envelope, "/payload", Value::from(STANDARD.encode(statement.to_string())));
    })
}

pub(super) fn stranger_key(bench: &Bench) -> Done {
    bench.seal_sample(&Job { key: &bench.keys.stranger, ..bench.honest_job() })
}

pub(super) fn stranger_as_job(bench: &Bench) -> Done {
    stranger_key(bench)?;
    let keyid = bench.keys.job.public().id().to_string();
    rewrite(bench, |envelope| set(envelope, "/signatures/0/keyid", Value::from(keyid)))
}

pub(super) fn other_key(bench: &Bench) -> Done {
    bench.seal_sample(&Job { key: &bench.keys.other, ..bench.honest_job() })
}

pub(super) fn add_to_seal(bench: &Bench) -> Done {
    let path = bench.seal_directory().join("1.mtree");
    // With no umask it would be refused for its mode as well.
    io(&path, fs::write(&path, "").and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o644))))
}
