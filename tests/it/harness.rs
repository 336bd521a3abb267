//! A throw-away project, and the real binary run in it with a clean environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cacheseal::base::{Digest, Limits};
use cacheseal::cache::{SealError, SealRequest, Sealed, Workspace, seal};
use cacheseal::identity::SecretKey;
use cacheseal::policy::{Document, Policy, REVOCATIONS};
use cacheseal::seal::statement::{Platform, Source};
use cacheseal::tree::Options;
use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

/// One root beside the policy, one in home, both filled by [`Project::fill`]; one signer, and a stranger that no
/// gate accepts; a gate that compares lockfiles and one that does not.
pub(crate) const POLICY: &str = r#"version = 1
project = "github.com/acme/app"

[cache.deps]
roots = ["deps", "~/store"]
lockfiles = ["deps.lock"]

[signer.job]
keys = [{ file = "keys/job.pub" }]

[signer.other]
keys = [{ file = "keys/other.pub" }]

[gate.exact]
require = ["signature"]
signers = ["job"]
max_age = "7d"

[gate.any]
require = ["signature"]
signers = ["job"]
max_age = "7d"
lockfile = "any"
"#;

/// A project directory and a home, gone when it is dropped.
pub(crate) struct Project {
    temporary: tempfile::TempDir,
}

/// What a run of the binary ended with.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a seal made in this process says, where it differs from what the binary would say.
pub(crate) struct SealAs<'a> {
    pub(crate) key: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) platform: Platform,
    pub(crate) source: Source,
    pub(crate) bindings: BTreeMap<String, String>,
}

impl Default for SealAs<'_> {
    fn default() -> Self {
        Self { key: "job", now: now(), platform: platform(), source: Source::default(), bindings: BTreeMap::new() }
    }
}

/// Now, as the binary sees it too: tests that need another time move away from it by days.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

pub(crate) fn platform() -> Platform {
    Platform { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned() }
}

/// The key of a name, always the same.
pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(Zeroizing::new(Digest::sha256(name.as_bytes()).0))
}

impl Project {
    /// A project with [`POLICY`], its keys, a lockfile and filled roots. Not sealed.
    pub(crate) fn new() -> Self {
        let project = Self::empty(POLICY);
        project.fill();
        project
    }

    /// A project with a policy and keys `job` and `other`, whose roots are absent.
    pub(crate) fn empty(policy: &str) -> Self {
        Self::empty_in(&std::env::temp_dir(), policy)
    }

    /// The same in a directory of the caller's choice.
    pub(crate) fn empty_in(above: &Path, policy: &str) -> Self {
        // Not a name with a dot first, of which a guard watches everything where it lies above a checkout.
        let temporary = tempfile::Builder::new().prefix("project-").tempdir_in(above).unwrap();
        let project = Self { temporary };
        fs::create_dir_all(project.path("keys")).unwrap();
        fs::create_dir_all(project.home()).unwrap();
        fs::write(project.path("cacheseal.toml"), policy).unwrap();
        fs::write(project.path("deps.lock"), "left-pad 1.3.0\n").unwrap();
        for name in ["job", "other"] {
            fs::write(project.path(&format!("keys/{name}.pub")), key(name).public().to_pem()).unwrap();
            project.write_private_key(name);
        }
        project
    }

    /// Outside the project, as a CI secret would be.
    pub(crate) fn write_private_key(&self, name: &str) {
        let path = self.private_key(name);
        fs::write(&path, key(name).to_pem().as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Fills the roots with one of everything that can be sealed.
    pub(crate) fn fill(&self) {
        fs::create_dir_all(self.path("deps/pkg/lib")).unwrap();
        fs::create_dir_all(self.path("deps/empty")).unwrap();
        fs::create_dir_all(self.home().join("store")).unwrap();
        self.write("deps/pkg/index.js", "module.exports = 1\n");
        self.write("deps/pkg/lib/a.js", "exports.a = 1\n");
        self.write("deps/pkg/lib/b.js", "exports.b = 2\n");
        self.write("deps/pkg/zero", "");
        self.write("deps/tool", "#!/bin/sh\necho tool\n");
        fs::set_permissions(self.path("deps/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("pkg/index.js", self.path("deps/link")).unwrap();
        fs::write(self.home().join("store/blob"), vec![0_u8; 200_000]).unwrap();
    }

    /// The project's directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.temporary.path().join("app")
    }

    /// A path in the project's directory.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.temporary.path().join("home")
    }

    /// A path that is neither in the project nor in home.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    pub(crate) fn private_key(&self, name: &str) -> PathBuf {
        self.outside(&format!("{name}.key"))
    }

    pub(crate) fn write(&self, below: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// A command of the real binary in this project, with nothing in its environment but HOME.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cacheseal"));
        command.current_dir(self.root()).env_clear().env("HOME", self.home());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command().args(arguments).output().unwrap())
    }

    /// Seals with the binary and the key `job`; must work.
    pub(crate) fn seal(&self) {
        self.try_seal().expect(0, &[]);
    }

    /// Seals with the binary and the key `job`, as JSON.
    pub(crate) fn try_seal(&self) -> Verdict {
        self.json(&["seal", "deps", "--key", self.private_key("job").to_str().unwrap()])
    }

    /// Seals in this process, so that clock, platform, key and source can be chosen.
    pub(crate) fn seal_as(&self, said: SealAs<'_>) {
        self.try_seal_as(said, &Limits::STANDARD).unwrap();
    }

    /// The same under other limits.
    pub(crate) fn try_seal_as(&self, said: SealAs<'_>, limits: &Limits) -> Result<Sealed, SealError> {
        let policy = self.policy();
        let places = policy.place(Some(&self.canonical_home()), &self.canonical_root(), "cacheseal.toml").unwrap();
        let workspace = Workspace::open(&self.canonical_root(), Some(self.canonical_home())).unwrap();
        seal(&SealRequest {
            workspace: &workspace,
            policy: &policy,
            cache: policy.cache("deps").unwrap(),
            roots: &places["deps"],
            key: &key(said.key),
            platform: said.platform,
            source: said.source,
            now: said.now,
            bindings: said.bindings,
            version: "0.0.0-test",
            options: Options { threads: 2, processors: 2, limits, differences: None },
        })
    }

    pub(crate) fn policy(&self) -> Policy {
        let text = fs::read(self.path("cacheseal.toml")).unwrap();
        let document = Document::parse("cacheseal.toml", &text).unwrap();
        let files = document.files().into_iter().map(|file| (file.to_owned(), fs::read(self.path(file)).unwrap()));
        let revoked = fs::read(self.path(REVOCATIONS)).ok().map(|list| (REVOCATIONS.to_owned(), list));
        let files = files.chain(revoked).collect();
        document.resolve(&files).unwrap()
    }

    pub(crate) fn canonical_root(&self) -> PathBuf {
        fs::canonicalize(self.root()).unwrap()
    }

    pub(crate) fn canonical_home(&self) -> PathBuf {
        fs::canonicalize(self.home()).unwrap()
    }

    /// `verify deps` at a gate, the checkout trusted, as JSON.
    pub(crate) fn verify(&self, gate: &str) -> Verdict {
        self.json(&["verify", "deps", "--gate", gate, "--trust-checkout"])
    }

    /// `verify deps` at the gate `any`, the checkout trusted, with more arguments, as JSON.
    pub(crate) fn verify_with(&self, more: &[&str]) -> Verdict {
        self.json(&[&["verify", "deps", "--gate", "any", "--trust-checkout"], more].concat())
    }

    /// Any command, as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Verdict {
        self.run(&[arguments, &["--format", "json"]].concat()).verdict()
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Its output as JSON: one object and nothing else on stdout.
    #[track_caller]
    pub(crate) fn verdict(&self) -> Verdict {
        let json = serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr));
        Verdict { code: self.code, json }
    }
}

/// A verdict in JSON and the exit status that came with it.
pub(crate) struct Verdict {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
}

impl Verdict {
    /// The codes of all refusals, each once.
    pub(crate) fn codes(&self) -> BTreeSet<String> {
        let listed = self.json["refusals"].as_array().into_iter().flatten();
        let listed: BTreeSet<_> = listed.map(|refusal| refusal["code"].as_str().unwrap().to_owned()).collect();
        // `verify` counts them too, and what it counts it lists.
        if let Some(counts) = self.json["counts"].as_object() {
            assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), listed, "{:#}", self.json);
        }
        listed
    }

    /// Asserts the exit status and that exactly these codes were given.
    #[track_caller]
    pub(crate) fn expect(&self, exit: i32, codes: &[&str]) {
        self.expect_of("", exit, codes);
    }

    /// The same for one row of a table.
    #[track_caller]
    pub(crate) fn expect_of(&self, row: impl Display, exit: i32, codes: &[&str]) {
        let expected: BTreeSet<String> = codes.iter().map(|code| (*code).to_owned()).collect();
        assert_eq!((self.code, self.codes()), (Some(exit), expected), "{row}: {:#}", self.json);
        assert_eq!(self.json["exit"], exit, "{row}: {:#}", self.json);
    }

    /// Asserts the exit status and the code of an error that ended the command before a verdict.
    #[track_caller]
    pub(crate) fn expect_error(&self, exit: i32, code: &str) {
        self.expect_error_of("", exit, code);
    }

    /// The same for one row of a table.
    #[track_caller]
    pub(crate) fn expect_error_of(&self, row: impl Display, exit: i32, code: &str) {
        assert_eq!(self.code, Some(exit), "{row}: {:#}", self.json);
        assert_eq!(self.json["error"]["code"], code, "{row}: {:#}", self.json);
    }
}

/// Copies a tree with its links and modes.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Puts a copy of the program at `to`, to be run from there. Another process writes it: a descriptor of ours that is
/// open for writing would live on in whatever another test starts meanwhile, and such a file cannot be run.
pub(crate) fn copy_program(to: &Path) {
    let status = Command::new("cp").arg(env!("CARGO_BIN_EXE_cacheseal")).arg(to).status().unwrap();
    assert!(status.success(), "{status}");
}

/// How much of something a plain `cargo test` does, where the judges do all of it.
pub(crate) const fn judged_or_plain(judged: usize, plain: usize) -> usize {
    if cfg!(feature = "judges") { judged } else { plain }
}

/// The part of a full count of random or corpus cases that this run takes: `CACHESEAL_RANDOM` percent of it, ten where
/// the variable is not set, and never none.
pub(crate) fn share(full: u32) -> u32 {
    let percent = std::env::var("CACHESEAL_RANDOM").map_or(10, |text| text.parse().unwrap());
    u32::try_from(u64::from(full) * percent / 100).unwrap().max(1)
}
