//! Every attack, and the code it must get.

use std::fs;
use std::io;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::Value;

use super::bench::{Bench, Job, LOCKFILE};
use super::error::DrillError;
use super::sample::{NEWLINE, make_directories};
use super::{forgery, tampering};
use crate::base::{Code, Exit};
use crate::seal::SEALS;
use crate::seal::statement::Platform;

type Done = Result<(), DrillError>;

/// One attack on a sealed sample.
pub struct Attack {
    /// What is done, in words.
    pub what: &'static str,
    /// The one code that it must be refused with.
    pub code: Code,
    tamper: fn(&Bench) -> Done,
    /// When the cache is verified, in hours after it was sealed.
    hours_later: i64,
}

/// What came of one attack.
pub struct Tried {
    /// The attack.
    pub attack: Attack,
    /// The exit status of the verdict.
    pub exit: Exit,
    /// The codes of all refusals; none if the cache was trusted.
    pub codes: Vec<Code>,
}

impl Tried {
    /// Whether the sample was refused, for the one reason that the attack was meant to show.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        self.codes == [self.attack.code] && self.exit == self.attack.code.exit()
    }
}

impl Attack {
    /// Makes sample and seal anew, attacks, and verifies.
    pub fn run(self, bench: &Bench) -> Result<Tried, DrillError> {
        bench.reset()?;
        (self.tamper)(bench)?;
        let verified = bench.verify_sample(bench.now + SignedDuration::from_hours(self.hours_later))?;
        let codes = verified.refusals.counts().map(|(code, _)| code).collect();
        Ok(Tried { attack: self, exit: verified.exit(), codes })
    }
}

fn attack(what: &'static str, tamper: fn(&Bench) -> Done, code: Code) -> Attack {
    Attack { what, tamper, hours_later: 0, code }
}

/// All of them: the tree first (threat T1), then replays, mixtures and forgeries (T2, T3).
#[must_use]
pub fn attacks() -> Vec<Attack> {
    let mut all = contents();
    all.extend(kinds());
    all.extend(replays());
    all.extend(forgeries());
    all
}

/// Does something to a path, and says which if that fails.
fn at(path: &Path, act: impl FnOnce(&Path) -> io::Result<()>) -> Done {
    act(path).map_err(|error| DrillError::unwritable(path, error))
}

/// Does something to an entry of `drill/` in the sample.
fn to(bench: &Bench, name: &str, act: impl FnOnce(&Path) -> io::Result<()>) -> Done {
    at(&bench.sample().join("drill").join(name), act)
}

fn set_mode(bench: &Bench, name: &str, mode: u32) -> Done {
    to(bench, name, |path| tampering::set_mode(path, mode))
}

fn relink(bench: &Bench, target: &str) -> Done {
    to(bench, "link", |path| tampering::relink(path, Path::new(target)))
}

/// Moves an entry out of the root and leaves a link to it.
fn link_away(bench: &Bench, name: &str) -> Done {
    at(&bench.elsewhere(), |path| fs::create_dir(path))?;
    to(bench, name, |path| tampering::link_away(path, &bench.elsewhere().join("moved")))
}

/// Rewrites the sample's `seal.json`.
fn edit_envelope(bench: &Bench, change: impl FnOnce(&mut Value)) -> Done {
    at(&bench.envelope(), |path| forgery::edit(path, change))
}

/// Changes a file of the sample, as between two runs of a job.
fn older_tree(bench: &Bench) -> Done {
    to(bench, "first", |path| fs::write(path, "older\n"))
}

/// What the entries hold, and which there are.
fn contents() -> Vec<Attack> {
    use tampering as t;
    vec![
        attack(
            "one byte of a file changed, size and times as before",
            |b| to(b, "first", |path| t::change_byte(path, 2)),
            Code::DigestMismatch,
        ),
        attack("a file cut short", |b| to(b, "first", |path| t::resize(path, 3)), Code::DigestMismatch),
        attack(
            "an empty file filled",
            |b| to(b, "nothing", |path| fs::write(path, "something\n")),
            Code::DigestMismatch,
        ),
        attack(
            "the contents of two files exchanged",
            |b| to(b, "first", |path| t::exchange(path, &path.with_file_name("second"))),
            Code::DigestMismatch,
        ),
        attack(
            "a file grown to 1 TiB that takes no space",
            |b| to(b, "first", |path| t::resize(path, 1 << 40)),
            Code::DigestMismatch,
        ),
        attack(
            "a file with a line feed in its name changed",
            |b| to(b, NEWLINE, |path| fs::write(path, "strange game\n")),
            Code::DigestMismatch,
        ),
        attack("a file added", |b| to(b, "sitecustomize.py", |path| fs::write(path, "import os\n")), Code::ExtraEntry),
        attack(
            "a hidden file added",
            |b| to(b, ".npmrc", |path| fs::write(path, "ignore-scripts=false\n")),
            Code::ExtraEntry,
        ),
        attack("an empty directory added", |b| to(b, "node_modules", |path| fs::create_dir(path)), Code::ExtraEntry),
        attack("a file named as a seal added", |b| to(b, "seal.json", |path| fs::write(path, "{}")), Code::ExtraEntry),
        attack("a file removed", |b| to(b, "first", |path| fs::remove_file(path)), Code::MissingEntry),
        attack("an empty directory removed", |b| to(b, "empty", |path| fs::remove_dir(path)), Code::MissingEntry),
        attack("all contents removed", remove_all, Code::MissingEntry),
        attack("the whole root removed", |b| at(&b.sample(), |path| fs::remove_dir_all(path)), Code::MissingEntry),
    ]
}

/// Modes, types and links.
fn kinds() -> Vec<Attack> {
    use tampering as t;
    vec![
        attack("a file made executable", |b| set_mode(b, "first", 0o755), Code::ModeMismatch),
        attack("a program made not executable", |b| set_mode(b, "tool", 0o644), Code::ModeMismatch),
        attack("a setuid bit added", |b| set_mode(b, "tool", 0o4755), Code::ForbiddenMode),
        attack("a file made writable by everybody", |b| set_mode(b, "first", 0o666), Code::ForbiddenMode),
        attack("a directory made writable by everybody", |b| set_mode(b, "library", 0o777), Code::ForbiddenMode),
        attack("a file replaced by a link to an equal one", |b| link_away(b, "first"), Code::TypeMismatch),
        attack("a link replaced by the file it named", |b| to(b, "link", t::link_to_file), Code::TypeMismatch),
        attack("a directory replaced by a link to an equal one", |b| link_away(b, "library"), Code::TypeMismatch),
        attack("a file replaced by a directory", |b| to(b, "first", t::file_to_directory), Code::TypeMismatch),
        attack("a link pointed elsewhere", |b| relink(b, "second"), Code::LinkMismatch),
        attack("a link respelt, leading to the same file", |b| relink(b, "./first"), Code::LinkMismatch),
        attack("a file replaced by a fifo", file_to_fifo, Code::SpecialFile),
        attack("a fifo added", |b| to(b, "fifo", b.fifo), Code::SpecialFile),
        attack("a file also linked from outside", link_from_outside, Code::HardlinkOutside),
        attack(
            "the root replaced by a link to an equal one",
            |b| at(&b.sample(), |path| t::link_away(path, &b.elsewhere())),
            Code::UnsafeRoot,
        ),
    ]
}

fn remove_all(bench: &Bench) -> Done {
    at(&bench.sample(), |path| fs::remove_dir_all(path).and_then(|()| make_directories(path)))
}

fn file_to_fifo(bench: &Bench) -> Done {
    to(bench, "first", |path| fs::remove_file(path).and_then(|()| (bench.fifo)(path)))
}

fn link_from_outside(bench: &Bench) -> Done {
    at(&bench.elsewhere(), |path| fs::create_dir(path))?;
    to(bench, "first", |path| {
        fs::hard_link(path, bench.elsewhere().join("first")).and_then(|()| fs::File::open(path)?.sync_all())
    })
}

/// Good seals in the wrong place or at the wrong time, and parts of two.
fn replays() -> Vec<Attack> {
    vec![
        Attack {
            hours_later: 24 * 8,
            ..attack("an old cache with its seal, eight days later", |_| Ok(()), Code::TooOld)
        },
        attack(
            "a seal from the future",
            |b| b.seal_sample(&Job { sealed_at: b.now + SignedDuration::from_hours(24), ..b.honest_job() }),
            Code::SealedInFuture,
        ),
        attack(
            "the cache of another lockfile",
            |b| at(&b.path(LOCKFILE), |path| fs::write(path, "left-pad 1.3.1\n")),
            Code::StaleLockfile,
        ),
        attack(
            "the cache of another branch",
            |b| b.seal_sample(&Job { ref_: "refs/heads/feature", ..b.honest_job() }),
            Code::WrongRef,
        ),
        attack("the cache of another platform", other_platform, Code::WrongPlatform),
        attack(
            "the cache of another project, sealed with the same key",
            |b| b.seal_sample(&Job { project: "example.com/acme/other", ..b.honest_job() }),
            Code::WrongProject,
        ),
        attack("another cache of the project", other_cache, Code::WrongCache),
        attack("an older tree under today's seal", older_tree, Code::DigestMismatch),
        attack("a changed tree with a manifest that fits it, in today's seal", other_manifest, Code::ManifestMismatch),
        attack("the signature of another seal", other_signature, Code::SignatureMismatch),
    ]
}

fn other_platform(bench: &Bench) -> Done {
    let platform = Platform { os: "plan9".to_owned(), ..bench.honest_job().platform };
    bench.seal_sample(&Job { platform, ..bench.honest_job() })
}

fn other_cache(bench: &Bench) -> Done {
    bench.seal_sample(&Job { cache: "other", ..bench.honest_job() })?;
    at(&bench.seal_directory(), |place| {
        fs::remove_dir_all(place).and_then(|()| fs::rename(bench.path(SEALS).join("other"), place))
    })
}

fn envelope(bench: &Bench) -> Result<Value, DrillError> {
    let path = bench.envelope();
    forgery::read(&path).map_err(|error| DrillError::Unreadable { path, error })
}

/// The manifest of a changed tree, made by the same job, in the seal of the tree as it was.
fn other_manifest(bench: &Bench) -> Done {
    let today = envelope(bench)?;
    older_tree(bench)?;
    bench.seal_sample(&bench.honest_job())?;
    edit_envelope(bench, |envelope| *envelope = today)
}

fn other_signature(bench: &Bench) -> Done {
    let today = envelope(bench)?;
    bench.seal_sample(&Job { sealed_at: bench.now - SignedDuration::from_hours(1), ..bench.honest_job() })?;
    edit_envelope(bench, |envelope| forgery::take_signatures(envelope, &today))
}

/// Seals that are none, and seals by others.
fn forgeries() -> Vec<Attack> {
    vec![
        attack("the seal removed", |b| at(&b.path(SEALS), |path| fs::remove_dir_all(path)), Code::NoSeal),
        attack("the seal emptied", |b| at(&b.envelope(), |path| fs::write(path, "")), Code::MalformedEnvelope),
        attack("the signature removed", |b| edit_envelope(b, forgery::remove_signatures), Code::NoSignature),
        attack("the signed statement changed", change_statement, Code::SignatureMismatch),
        attack(
            "sealed anew with an attacker's key",
            |b| b.seal_sample(&Job { key: &b.keys.stranger, ..b.honest_job() }),
            Code::UnknownSigner,
        ),
        attack("sealed with an attacker's key under the job's key id", stranger_as_job, Code::SignatureMismatch),
        attack(
            "sealed anew with the key of a job that the gate does not accept",
            |b| b.seal_sample(&Job { key: &b.keys.other, ..b.honest_job() }),
            Code::SignerNotAccepted,
        ),
        attack("a file added to the seal", add_to_seal, Code::MalformedSeal),
    ]
}

/// Says one entry more than was signed.
fn change_statement(bench: &Bench) -> Done {
    edit_envelope(bench, |envelope| {
        let mut statement: Value = serde_json::from_slice(&forgery::payload(envelope)).unwrap_or_default();
        if let Some(entries) = statement.pointer_mut("/predicate/roots/0/entries") {
            *entries = Value::from(1);
        }
        forgery::set_payload(envelope, statement.to_string().as_bytes());
    })
}

fn stranger_as_job(bench: &Bench) -> Done {
    bench.seal_sample(&Job { key: &bench.keys.stranger, ..bench.honest_job() })?;
    edit_envelope(bench, |envelope| forgery::claim_key(envelope, bench.keys.job.public().id()))
}

fn add_to_seal(bench: &Bench) -> Done {
    // With no umask it would be refused for its mode as well.
    at(&bench.seal_directory().join("1.mtree"), |path| {
        fs::write(path, "").and_then(|()| tampering::set_mode(path, 0o644))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_code_that_was_meant_is_a_refusal() {
        for (codes, exit, expected) in [
            (vec![Code::ExtraEntry], Exit::Changed, true),
            (vec![], Exit::Ok, false),
            (vec![Code::MissingEntry], Exit::Changed, false),
            (vec![Code::ExtraEntry, Code::MissingEntry], Exit::Changed, false),
            (vec![Code::ExtraEntry], Exit::Ok, false),
        ] {
            let tried = Tried { attack: attack("a file added", |_| Ok(()), Code::ExtraEntry), exit, codes };
            assert_eq!(tried.as_expected(), expected, "{:?} {:?}", tried.exit, tried.codes);
        }
    }
}
