//! What an attacker with the cache, and in the worst case a thief of the job's key, does to a seal; and a verifier
//! in this process, for attacks by the thousand.

use std::collections::BTreeSet;
use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, io};

use cacheseal::archive::Expected;
use cacheseal::base::{Digest, Limits, Refusals};
use cacheseal::cache::{ArchiveRequest, Verification, VerifyRequest, Workspace, verify_archive, verify_cache};
use cacheseal::drill::{forgery, tampering};
use cacheseal::policy::{PlacedRoot, Policy};
use cacheseal::seal::envelope::sign;
use cacheseal::seal::statement::PAYLOAD_TYPE;
use cacheseal::tree::Options;
use serde_json::{Value, json};

use crate::harness::{Project, Run, key, now, platform};

/// Neither root nor the owner of anything.
const NOBODY: u32 = 65_534;

impl Project {
    /// The seal's directory.
    pub(crate) fn seal_path(&self) -> PathBuf {
        self.path(".cacheseal/deps")
    }

    /// `seal.json`.
    pub(crate) fn envelope_path(&self) -> PathBuf {
        self.seal_path().join("seal.json")
    }

    pub(crate) fn envelope(&self) -> Value {
        forgery::read(&self.envelope_path()).unwrap()
    }

    /// Changes the envelope and signs nothing.
    pub(crate) fn edit_envelope(&self, edit: impl FnOnce(&mut Value)) {
        forgery::edit(&self.envelope_path(), edit).unwrap();
    }

    /// The signed statement.
    pub(crate) fn payload(&self) -> Vec<u8> {
        forgery::payload(&self.envelope())
    }

    /// Replaces the seal by one over these very bytes, signed by the key of this name.
    pub(crate) fn sign_as(&self, name: &str, payload_type: &str, payload: &[u8]) {
        fs::write(self.envelope_path(), sign(payload_type, payload, &[&key(name)])).unwrap();
    }

    /// Signs these bytes with the job's own key.
    pub(crate) fn sign(&self, payload: &[u8]) {
        self.sign_as("job", PAYLOAD_TYPE, payload);
    }

    /// Changes the statement and signs it with the job's own key.
    pub(crate) fn resign(&self, edit: impl FnOnce(&mut Value)) {
        let mut statement = serde_json::from_slice(&self.payload()).unwrap();
        edit(&mut statement);
        self.sign(statement.to_string().as_bytes());
    }

    /// Puts `text` in the place of the first root's manifest and signs its digest and these totals.
    pub(crate) fn resign_manifest(&self, text: &[u8], entries: u64, bytes: u64) {
        fs::write(self.seal_path().join("0.mtree"), text).unwrap();
        self.resign(|statement| {
            statement["subject"][0]["digest"] = json!({ "sha256": Digest::sha256(text).to_string() });
            statement["predicate"]["roots"][0]["entries"] = entries.into();
            statement["predicate"]["roots"][0]["bytes"] = bytes.into();
        });
    }

    pub(crate) fn chmod(&self, below: &str, mode: u32) {
        chmod(&self.path(below), mode);
    }

    /// A symlink in the place of whatever stood there.
    pub(crate) fn relink(&self, below: &str, target: impl AsRef<Path>) {
        tampering::relink(&self.path(below), target.as_ref()).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Exchanges two entries.
    pub(crate) fn swap(&self, one: &str, other: &str) {
        tampering::exchange(&self.path(one), &self.path(other)).unwrap();
    }

    /// Moves an entry out of the project and leaves a link to it.
    pub(crate) fn link_away(&self, below: &str) {
        tampering::link_away(&self.path(below), &self.outside("away")).unwrap();
    }

    /// Runs the binary as one who is not root: root may read whatever the modes say.
    pub(crate) fn run_unprivileged(&self, arguments: &[&str]) -> Run {
        let mut command = self.command();
        if !rustix::process::geteuid().is_root() {
            return Run::of(command.args(arguments).args(["--format", "json"]).output().unwrap());
        }
        chown_all(self.home().parent().unwrap(), NOBODY);
        let binary = PathBuf::from(command.get_program());
        let output = self.output_of_nobody(&binary, arguments).or_else(|_| {
            // The directory that the build writes to is closed to others. A program of its own makes the copy: a
            // handle of this one would leak into other tests' children, and what is open for writing does not run.
            let copy = self.outside("cacheseal");
            assert!(Command::new("cp").arg(&binary).arg(&copy).status().unwrap().success());
            self.output_of_nobody(&copy, arguments)
        });
        Run::of(output.unwrap())
    }

    fn output_of_nobody(&self, binary: &Path, arguments: &[&str]) -> io::Result<Output> {
        let mut command = Command::new(binary);
        command.current_dir(self.root()).env_clear().env("HOME", self.home()).uid(NOBODY).gid(NOBODY);
        command.args(arguments).args(["--format", "json"]).output()
    }

    /// The verifier in this process.
    pub(crate) fn judge(&self) -> Judge {
        self.judge_at("any", self.policy(), true)
    }

    /// The same at a gate of this policy, the lockfiles vouched for or not.
    pub(crate) fn judge_at(&self, gate: &'static str, policy: Policy, lockfiles_pinned: bool) -> Judge {
        let places = policy.place(Some(&self.canonical_home()), &self.canonical_root(), "cacheseal.toml").unwrap();
        let workspace = Workspace::open(&self.canonical_root(), Some(self.canonical_home())).unwrap();
        Judge { policy, gate, lockfiles_pinned, roots: places["deps"].clone(), workspace }
    }
}

/// A policy at a gate, ready to verify again and again.
pub(crate) struct Judge {
    policy: Policy,
    gate: &'static str,
    lockfiles_pinned: bool,
    roots: Vec<PlacedRoot>,
    workspace: Workspace,
}

impl Judge {
    pub(crate) fn verify(&self, threads: usize) -> Verification {
        verify_cache(&VerifyRequest {
            workspace: &self.workspace,
            edge: &self.policy.edge("deps", self.gate).unwrap(),
            roots: &self.roots,
            lockfiles_pinned: self.lockfiles_pinned,
            locked: None,
            now: now(),
            platform: platform(),
            keep: false,
            options: Options::new(threads, 2, &Limits::STANDARD),
        })
    }

    /// The exit status and the codes.
    pub(crate) fn verdict(&self) -> (u8, BTreeSet<&'static str>) {
        let found = self.verify(1);
        (found.exit().number(), codes(&found.refusals))
    }

    /// The same of an archive, with no more arguments than that.
    pub(crate) fn archive_verdict(&self, archive: &[u8], limits: &Limits) -> (u8, BTreeSet<&'static str>) {
        let request = ArchiveRequest {
            workspace: &self.workspace,
            edge: &self.policy.edge("deps", self.gate).unwrap(),
            roots: &self.roots,
            name: "archive",
            seal: None,
            mapped: &[],
            expected: Expected::default(),
            now: now(),
            platform: platform(),
            window_log_max: 27,
            processors: 2,
            limits,
            differences: None,
        };
        let found = verify_archive(&request, archive).verification;
        (found.exit().number(), codes(&found.refusals))
    }
}

fn codes(refusals: &Refusals) -> BTreeSet<&'static str> {
    refusals.counts().map(|(code, _)| code.as_str()).collect()
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    tampering::set_mode(path, mode).unwrap();
}

/// Removes whatever is there.
pub(crate) fn remove(path: &Path) {
    tampering::remove(path).unwrap();
}

/// A fifo that nobody writes to: a careless reader waits for ever.
pub(crate) fn fifo(path: &Path) {
    tampering::fifo(path).unwrap();
}

fn chown_all(path: &Path, owner: u32) {
    lchown(path, Some(owner), Some(owner)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            chown_all(&entry.unwrap().path(), owner);
        }
    }
}
