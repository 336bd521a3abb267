//! The workbench: a project in a directory of its own, with policy and keys in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::sample::{SampleFile, choose, write_chosen, write_fixtures};
use crate::base::{Code, Exit, Limits, Refusals};
use crate::cache::{SealError, SealRequest, Verification, VerifyRequest, Workspace, seal, verify};
use crate::cli::context::{Context, random_seed, shown};
use crate::cli::failure::Failure;
use crate::identity::SecretKey;
use crate::policy::{Document, PlacedRoot, Policy};
use crate::seal::manifest::Totals;
use crate::seal::statement::{Platform, Source};
use crate::tree::{Directory, Options};

/// The cache of the real directory, and that of the sample.
const REAL: &str = "real";
const SAMPLE: &str = "sample";
/// The lockfile of the sample.
pub(super) const LOCKFILE: &str = "drill.lock";

/// Everything a drill needs; its directory is deleted when it is dropped.
pub(super) struct Bench {
    /// The project: sample, lockfile and seals.
    pub(super) directory: PathBuf,
    parent: Directory,
    name: String,
    workspace: Workspace,
    policy: Policy,
    chosen: Vec<SampleFile>,
    pub(super) keys: Keys,
    pub(super) now: Timestamp,
    limits: Limits,
    threads: usize,
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
    pub(super) fn new(real: &Path, threads: usize, context: &Context) -> Result<Self, Failure> {
        let keys = Keys {
            job: SecretKey::from_seed(random_seed()?),
            other: SecretKey::from_seed(random_seed()?),
            stranger: SecretKey::from_seed(random_seed()?),
        };
        let (parent_path, parent, name) = work_directory(real)?;
        let directory = parent_path.join(&name);
        let roots = [(REAL, real.to_string_lossy().into_owned()), (SAMPLE, SAMPLE.to_owned())];
        let policy = policy(PROJECT, &roots, &keys);
        let workspace = Workspace::open(&directory, None).map_err(|error| failed(&directory, &error));
        let (limits, chosen) = (context.limits.clone(), choose(real));
        match (policy, workspace) {
            (Ok(policy), Ok(workspace)) => {
                Ok(Self { directory, parent, name, workspace, policy, chosen, keys, now: context.now, limits, threads })
            }
            (Err(failure), _) | (_, Err(failure)) => {
                let _ = parent.remove(&name);
                Err(failure)
            }
        }
    }

    fn options(&self) -> Options<'_> {
        Options { threads: self.threads, processors: self.threads, limits: &self.limits }
    }

    /// Where a cache's roots are.
    fn places(&self, policy: &Policy, cache: &str) -> Result<Vec<PlacedRoot>, Failure> {
        let mut places = policy.place(None, &self.directory, "cacheseal.toml")?;
        Ok(places.remove(cache).unwrap_or_default())
    }

    /// Seals the real directory: what it holds, or why it cannot be sealed.
    pub(super) fn seal_real(&self) -> Result<Result<Totals, Refusals>, Failure> {
        let roots = self.places(&self.policy, REAL)?;
        match self.seal_with(&self.policy, REAL, &roots, &self.honest_job()) {
            Ok(totals) => Ok(Ok(totals)),
            Err(SealError::Refused(refusals)) => Ok(Err(refusals)),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn verify_real(&self) -> Result<Verification, Failure> {
        self.verify(REAL, self.now)
    }

    /// A job that may seal.
    pub(super) fn honest_job(&self) -> Job<'_> {
        Job {
            project: PROJECT,
            cache: SAMPLE,
            ref_: REF,
            platform: Context::platform(),
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
        let sealed = seal(&SealRequest {
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
    pub(super) fn seal_sample(&self, job: &Job<'_>) -> Result<(), Failure> {
        let roots = [(job.cache, SAMPLE.to_owned())];
        let policy = document(job.project, &roots, "[\"**\"]", &[("job", job.key)])?;
        let places = self.places(&policy, job.cache)?;
        self.seal_with(&policy, job.cache, &places, job)?;
        Ok(())
    }

    /// Makes the sample and its seal anew.
    pub(super) fn reset(&self) -> Result<(), Failure> {
        let failure = |error: std::io::Error| failed(&self.directory, &error);
        let project = self.workspace.policy_directory();
        for name in [SAMPLE, ".cacheseal", "elsewhere"] {
            project.remove(name).map_err(failure)?;
        }
        std::fs::write(self.directory.join(LOCKFILE), "left-pad 1.3.0\n").map_err(failure)?;
        write_chosen(&self.chosen, &self.sample()).map_err(failure)?;
        write_fixtures(&self.sample()).map_err(failure)?;
        self.seal_sample(&self.honest_job())
    }

    pub(super) fn sample(&self) -> PathBuf {
        self.directory.join(SAMPLE)
    }

    /// The directory of the sample's seal.
    pub(super) fn seal_directory(&self) -> PathBuf {
        self.directory.join(".cacheseal").join(SAMPLE)
    }

    /// Makes sure that the untouched sample is trusted: a drill where everything is refused shows nothing.
    pub(super) fn check_sample(&self) -> Result<(), Failure> {
        self.reset()?;
        let verified = self.verify(SAMPLE, self.now)?;
        if verified.exit() == Exit::Ok {
            return Ok(());
        }
        let codes: Vec<_> = verified.refusals.counts().map(|(code, _)| code.as_str()).collect();
        Err(Failure::new(Code::DrillFailed, format!("the untouched sample was refused: {}", codes.join(", "))))
    }

    /// Verifies the sample, at a time of one's choosing.
    pub(super) fn verify_sample(&self, now: Timestamp) -> Result<Verification, Failure> {
        self.verify(SAMPLE, now)
    }

    fn verify(&self, cache: &str, now: Timestamp) -> Result<Verification, Failure> {
        let gate = if cache == REAL { "any" } else { "release" };
        let edge = self.policy.edge(cache, gate)?;
        Ok(verify(&VerifyRequest {
            workspace: &self.workspace,
            edge: &edge,
            roots: &self.places(&self.policy, cache)?,
            lockfiles_pinned: true,
            locked: None,
            now,
            platform: Context::platform(),
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

/// A new directory among the system's temporary ones, which must lie outside the directory that is only read.
fn work_directory(real: &Path) -> Result<(PathBuf, Directory, String), Failure> {
    let parent = std::env::temp_dir();
    let parent = std::fs::canonicalize(&parent).map_err(|error| failed(&parent, &error))?;
    if parent.starts_with(real) {
        let message = format!("expected a directory that does not contain {}, found {}", shown(&parent), shown(real));
        return Err(Failure::new(Code::Usage, message).hint("set TMPDIR to a directory outside it"));
    }
    let number = random_seed()?;
    let name = format!("cacheseal-drill-{}", hex::encode(number.get(..8).unwrap_or_default()));
    let handle = Directory::open(&parent).map_err(|error| failed(&parent, &error))?;
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(parent.join(&name)).map_err(|error| failed(&parent, &error))?;
    Ok((parent, handle, name))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Unwritable, format!("{}: {error}", shown(path)))
}

/// The policy that decides in the drill.
fn policy(project: &str, roots: &[(&str, String)], keys: &Keys) -> Result<Policy, Failure> {
    document(project, roots, &format!("[\"{REF}\"]"), &[("job", &keys.job), ("other", &keys.other)])
}

/// A policy in memory: caches by name and root, signers by name and key, the first of which the gates accept.
fn document(
    project: &str,
    roots: &[(&str, String)],
    refs: &str,
    signers: &[(&str, &SecretKey)],
) -> Result<Policy, Failure> {
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
