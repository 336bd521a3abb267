//! Lockfile proofs: the real binary at gates that demand them. One file an ecosystem; here is what they share.

mod cargo;
mod gates;
mod go;
mod gradle;
mod guarded;
mod maven;
pub(crate) mod npm;
mod pnpm;
mod properties;
mod python;
mod python_locks;
mod python_trees;
mod seal_form;
mod table;
mod yarn;
pub(crate) mod zips;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use cacheseal::lockfile::LockedSet;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{Project, Verdict, share};

/// A member of an archive made here: path, contents, mode. A path with a final slash is a directory.
pub(crate) type File<'a> = (&'a str, &'a [u8], u32);

/// A gzipped tar of these members, in this order.
pub(crate) fn tgz(members: &[File<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, contents, mode) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(if path.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_size(contents.len() as u64);
        header.set_mode(*mode);
        builder.append_data(&mut header, path, *contents).unwrap();
    }
    let mut bytes = builder.into_inner().unwrap();
    bytes.flush().unwrap();
    bytes.finish().unwrap()
}

/// Reads mutations of the lockfile of this name: none may panic, each error names a line of the text and holds nothing
/// that a terminal obeys, and enough of them are read and refused to say something.
pub(crate) fn mutated(name: &str, text: &[u8]) {
    let read = |bytes: &[u8]| LockedSet::read([(name, bytes)]).map(drop);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap() % below
    };
    let (mut fine, mut refused) = (0, 0);
    let count = share(10_000);
    for _ in 0..count {
        let mut bytes = text.to_vec();
        for _ in 0..=random(3) {
            // A short text may be used up.
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(16) {
                0..4 => bytes[at] = u8::try_from(random(256)).unwrap(),
                4..8 => drop(bytes.remove(at)),
                8..15 => bytes.insert(at, b"\"{}[],:\\0\n -"[random(12)]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let lines = bytes.split(|byte| *byte == b'\n').count();
        match read(&bytes) {
            Ok(()) => fine += 1,
            Err(error) => {
                refused += 1;
                assert!(error.line.is_some_and(|line| (1..=lines).contains(&line)), "{name}: {error}");
                assert!(!error.to_string().contains(char::is_control), "{error}");
            }
        }
    }
    assert!(fine > count / 100 && refused > count / 10, "{name}: {fine} read, {refused} refused");
}

/// A project with one cache `deps` of these roots and lockfiles, and three gates: `lock` (the lockfile alone),
/// `allow` (the same, files without executable bit may be unproven anywhere), `both` (signature and lockfile).
pub(crate) struct Locked {
    pub(crate) project: Project,
}

impl Locked {
    pub(crate) fn new(roots: &[&str], lockfile: &str) -> Self {
        let places: Vec<_> = roots.iter().map(|root| format!("{root}/**")).collect();
        let policy = format!(
            r#"version = 1
project = "github.com/acme/app"

[cache.deps]
roots = {roots:?}
lockfiles = ["{lockfile}"]

[signer.job]
keys = [{{ file = "keys/job.pub" }}]

[gate.lock]
require = ["lockfile"]

[gate.allow]
require = ["lockfile"]
unproven = {places:?}

[gate.both]
require = ["signature", "lockfile"]
signers = ["job"]
max_age = "7d"
min_lockfile_coverage = 0.01
"#
        );
        Self { project: Project::empty(&policy) }
    }

    /// A path: below home for one that begins with `~/`, else below the project.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.project.home().join(rest),
            None => self.project.path(path),
        }
    }

    /// Writes a file and the directories above it; mode 0644.
    pub(crate) fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        self.write_mode(path, contents, 0o644);
    }

    pub(crate) fn write_mode(&self, path: &str, contents: impl AsRef<[u8]>, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The verdict at a gate, the checkout trusted.
    pub(crate) fn verify(&self, gate: &str) -> Verdict {
        self.project.verify(gate)
    }

    /// Asserts that the gate `lock` refuses with exactly these codes, and names `place` under the first.
    #[track_caller]
    pub(crate) fn refused(&self, row: &str, codes: &[&str], place: &str) {
        let verdict = self.verify("lock");
        verdict.expect_of(row, 14, codes);
        let refusals = verdict.json["refusals"].as_array().unwrap();
        let named = refusals.iter().any(|refusal| refusal["code"] == codes[0] && refusal["place"] == place);
        assert!(named, "{row}: {place}: {:#}", verdict.json);
    }

    /// Asserts that the gate `lock` trusts the cache and that everything in it is proven.
    #[track_caller]
    pub(crate) fn trusted(&self, row: &str) {
        let verdict = self.verify("lock");
        verdict.expect_of(row, 0, &[]);
        let coverage = &verdict.json["coverage"];
        assert_eq!(coverage["lockfile"], coverage["total"], "{row}: {:#}", verdict.json);
        assert_ne!(coverage["total"]["files"], 0, "{row}: {:#}", verdict.json);
    }
}
