//! The workbench: a project in a directory of its own, with policy and keys in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::DrillError;
use super::sample::{SampleFile, choose, write_chosen, write_fixtures};
use crate::base::{Exit, Limits, Refusals};
use crate::cache::{SealError, SealRequest, Verification, VerifyRequest, Workspace, seal_cache, verify_cache};
use crate::identity::SecretKey;
use crate::policy::{Document, PlacedRoot, Policy};
use crate::seal::manifest::Totals;
use crate::seal::statement::{Platform, Source};
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{Directory, Options};

/// The cache of the real directory, and that of the sample.
const REAL: &str = "real";
const SAMPLE: &str = "sample";
/// Where an attacker keeps what is not in the root.
const ELSEWHERE: &str = "elsewhere";
/// The lockfile of the sample.
pub(super) const LOCKFILE: &str = "drill.lock";

/// What a drill is given; it reads neither clock nor environment, and makes no random bytes.
pub struct Ground<'a> {
    /// The directory that is sealed and verified and only read, canonical.
    pub real: &'a Path,
    /// Where the directory of the drill is made, canonical, not in `real`.
    pub above: &'a Path,
    /// Random bytes: three keys, and the name of the drill's directory.
    pub seeds: [Zeroizing<[u8; 32]>; 4],
    /// When the sample is sealed.
    pub now: Timestamp,
    /// Where it is sealed and verified.
    pub platform: Platform,
    /// Threads that read files.
    pub threads: usize,
    /// The caps of seals and trees.
    pub limits: Limits,
    /// Makes a fifo: see [`tampering::fifo`](super::tampering::fifo), and what it says of macOS.
    pub fifo: fn(&Path) -> io::Result<()>,
}

/// A project in a directory of its own, which is deleted when this is dropped.
pub struct Bench {
    /// The project: sample, lockfile and seals.
    directory: PathBuf,
    parent: Directory,
    name: String,
    workspace: Workspace,
    policy: Policy,
    chosen: Vec<SampleFile>,
    pub(super) keys: Keys,
    pub(super) now: Timestamp,
    platform: Platform,
    threads: usize,
    limits: Limits,
    pub(super) fifo: fn(&Path) -> io::Result<()>,
}

/// The keys of the drill. They lie in memory only.
pub(super) struct Keys {
    pub(super) job: SecretKey,
    /// A job that the policy knows and the gate does not accept.
    pub(super) other: SecretKey,
    /// An attacker's own.
    pub(super) stranger: SecretKey,
}

/// What a seal says of the job that made it; a tampering changes some of it.
pub(super) struct Job<'a> {
    pub(super) project: &'a str,
    pub(super) cache: &'a str,
    pub(super) ref_: &'a str,
    pub(super) platform: Platform,
    pub(super) sealed_at: Timestamp,
    pub(super) key: &'a SecretKey,
}

pub(super) const PROJECT: &str = "example.com/acme/app";
pub(super) const REF: &str = "refs/heads/main";

impl Bench {
    /// Makes keys, the directory and some files to tamper with.
    pub fn new(ground: Ground<'_>) -> Result<Self, DrillError> {
        let Ground { real, above, seeds: [job, other, stranger, name], now, platform, threads, limits, fifo } = ground;
        let [job, other, stranger] = [job, other, stranger].map(SecretKey::from_seed);
        let keys = Keys { job, other, stranger };
        let name = format!("cacheseal-drill-{}", hex::encode(name.get(..8).unwrap_or_default()));
        let parent = work_directory(real, above, &name)?;
        let directory = above.join(&name);
        let roots = [(REAL, real.to_string_lossy().into_owned()), (SAMPLE, SAMPLE.to_owned())];
        let made = policy(PROJECT, &roots, &keys).and_then(|policy| {
            let workspace = Workspace::open(&directory, None);
            Ok((policy, workspace.map_err(|error| DrillError::unwritable(&directory, error))?))
        });
        match made {
            Ok((policy, workspace)) => {
                let chosen = choose(real);
                Ok(Self {
                    directory,
                    parent,
                    name,
                    workspace,
                    policy,
                    chosen,
                    keys,
                    now,
                    platform,
                    threads,
                    limits,
                    fifo,
                })
            }
            Err(error) => {
                let _ = parent.remove(&name);
                Err(error)
            }
        }
    }

    fn options(&self) -> Options<'_> {
        Options::new(self.threads, self.threads, &self.limits)
    }

    /// Where a cache's roots are.
    fn places(&self, policy: &Policy, cache: &str) -> Result<Vec<PlacedRoot>, DrillError> {
        let mut places = policy.place(None, &self.directory, "cacheseal.toml")?;
        Ok(places.remove(cache).unwrap_or_default())
    }

    /// Seals the real directory: what it holds, or why it cannot be sealed.
    pub fn seal_real(&self) -> Result<Result<Totals, Refusals>, DrillError> {
        let roots = self.places(&self.policy, REAL)?;
        match self.seal_with(&self.policy, REAL, &roots, &self.honest_job()) {
            Ok(totals) => Ok(Ok(totals)),
            Err(SealError::Refused(refusals)) => Ok(Err(refusals)),
            Err(error) => Err(error.into()),
        }
    }

    /// Verifies the real directory, hard links to a store beside it allowed.
    pub fn verify_real(&self) -> Result<Verification, DrillError> {
        self.verify(REAL, self.now)
    }

    /// A job that may seal.
    pub(super) fn honest_job(&self) -> Job<'_> {
        Job {
            project: PROJECT,
            cache: SAMPLE,
            ref_: REF,
            platform: self.platform.clone(),
            sealed_at: self.now,
            key: &self.keys.job,
        }
    }

    fn seal_with(
        &self,
        policy: &Policy,
        cache: &str,
        roots: &[PlacedRoot],
        job: &Job<'_>,
    ) -> Result<Totals, SealError> {
        let cache = policy.cache(cache).map_err(|error| SealError::NotAsWritten(error.to_string()))?;
        let sealed = seal_cache(&SealRequest {
            workspace: &self.workspace,
            policy,
            cache,
            roots,
            key: job.key,
            platform: job.platform.clone(),
            source: Source { ref_: Some(job.ref_.to_owned()), ..Source::default() },
            now: job.sealed_at,
            bindings: BTreeMap::new(),
            version: env!("CARGO_PKG_VERSION"),
            options: self.options(),
        })?;
        let roots = &sealed.statement.predicate.roots;
        Ok(Totals {
            entries: roots.iter().map(|root| root.entries).sum(),
            bytes: roots.iter().map(|root| root.bytes).sum(),
        })
    }

    /// Seals the sample as `job` says, under a policy of the job's own making.
    pub(super) fn seal_sample(&self, job: &Job<'_>) -> Result<(), DrillError> {
        let roots = [(job.cache, SAMPLE.to_owned())];
        let policy = document(job.project, &roots, "[\"**\"]", &[("job", job.key)])?;
        let places = self.places(&policy, job.cache)?;
        self.seal_with(&policy, job.cache, &places, job)?;
        Ok(())
    }

    /// Makes the sample and its seal anew.
    pub(super) fn reset(&self) -> Result<(), DrillError> {
        let failure = |error: io::Error| DrillError::unwritable(&self.directory, error);
        let project = self.workspace.policy_directory();
        for name in [SAMPLE, SEALS, ELSEWHERE] {
            project.remove(name).map_err(failure)?;
        }
        std::fs::write(self.directory.join(LOCKFILE), "left-pad 1.3.0\n").map_err(failure)?;
        write_chosen(&self.chosen, &self.sample()).map_err(failure)?;
        write_fixtures(&self.sample()).map_err(failure)?;
        self.seal_sample(&self.honest_job())
    }

    /// A path in the project.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.directory.join(below)
    }

    /// The root of the sample.
    pub(super) fn sample(&self) -> PathBuf {
        self.path(SAMPLE)
    }

    /// The directory of the sample's seal.
    pub(super) fn seal_directory(&self) -> PathBuf {
        self.path(SEALS).join(SAMPLE)
    }

    /// Its `seal.json`.
    pub(super) fn envelope(&self) -> PathBuf {
        self.seal_directory().join(ENVELOPE)
    }

    /// Where an attacker keeps what is not in the root.
    pub(super) fn elsewhere(&self) -> PathBuf {
        self.path(ELSEWHERE)
    }

    /// Makes sure that the untouched sample is trusted: a drill where everything is refused shows nothing.
    pub fn check_sample(&self) -> Result<(), DrillError> {
        self.reset()?;
        let verified = self.verify(SAMPLE, self.now)?;
        if verified.exit() == Exit::Ok {
            return Ok(());
        }
        Err(DrillError::SampleRefused(verified.refusals.counts().map(|(code, _)| code).collect()))
    }

    /// Verifies the sample, at a time of one's choosing.
    pub(super) fn verify_sample(&self, now: Timestamp) -> Result<Verification, DrillError> {
        self.verify(SAMPLE, now)
    }

    fn verify(&self, cache: &str, now: Timestamp) -> Result<Verification, DrillError> {
        let gate = if cache == REAL { "any" } else { "release" };
        let edge = self.policy.edge(cache, gate)?;
        Ok(verify_cache(&VerifyRequest {
            workspace: &self.workspace,
            edge: &edge,
            roots: &self.places(&self.policy, cache)?,
            lockfiles_pinned: true,
            locked: None,
            now,
            platform: self.platform.clone(),
            keep: false,
            options: self.options(),
        }))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Nothing in it is of use to anyone; a directory that stays is no reason to change a verdict.
        let _ = self.parent.remove(&self.name);
    }
}

/// Makes the drill's directory, which must lie outside the directory that is only read. Gives the handle of `above`.
fn work_directory(real: &Path, above: &Path, name: &str) -> Result<Directory, DrillError> {
    if above.starts_with(real) {
        return Err(DrillError::Inside { above: above.to_owned(), real: real.to_owned() });
    }
    let handle = Directory::open(above).map_err(|error| DrillError::unwritable(above, error))?;
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(above.join(name)).map_err(|error| DrillError::unwritable(above, error))?;
    Ok(handle)
}

/// The policy that decides in the drill.
fn policy(project: &str, roots: &[(&str, String)], keys: &Keys) -> Result<Policy, DrillError> {
    document(project, roots, &format!("[\"{REF}\"]"), &[("job", &keys.job), ("other", &keys.other)])
}

/// A policy in memory: caches by name and root, signers by name and key, the first of which the gates accept.
fn document(
    project: &str,
    roots: &[(&str, String)],
    refs: &str,
    signers: &[(&str, &SecretKey)],
) -> Result<Policy, DrillError> {
    let mut text = format!("version = 1\nproject = \"{project}\"\n");
    for (name, root) in roots {
        // JSON strings are TOML strings too, but for the escape of a slash, which is never written.
        let root = serde_json::Value::String(root.clone());
        let lockfiles = if *name == REAL { "[]".to_owned() } else { format!("[\"{LOCKFILE}\"]") };
        let _ = write!(text, "[cache.{name}]\nroots = [{root}]\nlockfiles = {lockfiles}\n");
    }
    let mut files = BTreeMap::new();
    for (name, key) in signers {
        let _ = write!(text, "[signer.{name}]\nkeys = [{{ file = \"keys/{name}.pub\" }}]\nrefs = {refs}\n");
        files.insert(format!("keys/{name}.pub"), key.public().to_pem().into_bytes());
    }
    let first = signers.first().map_or("", |(name, _)| name);
    // The real directory may be linked to a store, as some package managers do; the sample may not.
    for (gate, lockfile, hardlinks) in [("release", "exact", "inside"), ("any", "any", "any")] {
        let _ = write!(
            text,
            "[gate.{gate}]\nrequire = [\"signature\"]\nsigners = [\"{first}\"]\nmax_age = \"7d\"\n\
             lockfile = \"{lockfile}\"\nhardlinks = \"{hardlinks}\"\n"
        );
    }
    Ok(Document::parse("cacheseal.toml", text.as_bytes())?.resolve(&files)?)
}
