//! The policy that `init` writes: a page to learn from.

use std::fmt::Write as _;

use crate::base::Escaped;

/// A cache of the starter policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarterCache {
    /// Its name.
    pub name: String,
    /// Its roots as the policy spells them.
    pub roots: Vec<String>,
    /// Its lockfiles, relative to the policy's directory.
    pub lockfiles: Vec<String>,
    /// What the cache is, for the comment above it.
    pub note: String,
}

const HEAD: &str = "\
# What cacheseal accepts, and from whom. Commit this file together with keys/. Unknown fields are errors.
# Nothing here is a secret, and every change to it deserves a review: it decides which caches are trusted.
# What is no longer trusted stands in keys/revoked.toml: see `cacheseal key revoke`.
";

const CACHES: &str = "
# Caches: directories that are saved, sealed and restored together. A name has only a-z, 0-9 and -.
#   roots      the directories: below home (`~/...`), absolute, or relative to this file; nothing else expands.
#              They must not overlap, nor contain this file, keys/, lockfiles, .cacheseal/ or .git.
#   lockfiles  what decides about the contents; their digests are sealed. A gate can compare them.
#   digest     \"blake3\" (fast), or \"sha256\" (stock tools can check the manifests).
";

const EXAMPLE_CACHE: &str = "
# [cache.example]
# roots     = [\"~/.cargo/registry\"]
# lockfiles = [\"Cargo.lock\"]
# digest    = \"blake3\"
";

const SIGNERS: &str = "
# Signers: jobs that may seal, each with keys that are its alone.
#   keys    public keys (Ed25519, PEM), at most 16; list the new and the old one while you rotate. Each can have
#           a first and a last day: { file = \"…\", valid_from = \"2026-01-01\", valid_until = \"2026-12-31\" }.
#   caches  what the signer may seal: `*` is any run of characters but /, `**` any run at all.
#   refs    branches and tags it may seal from, in the same patterns. Left out: any.
#   jobs    CI jobs it may seal from, in the same patterns. Left out: any.
";

const GATES: &str = "
# Gates: what a job demands before it uses a cache: `cacheseal verify CACHE --gate GATE`.
#   require    the proofs that are needed. Never empty. \"signature\": a seal. \"lockfile\": the lockfiles name what is
#              there, see `unproven` and `min_lockfile_coverage` in docs/POLICY.md.
#   signers    whose seals are accepted.
#   threshold  how many of them must have signed. Left out: one.
#   bindings   { name = \"value\" }: what a seal must say, as given to `cacheseal seal --bind`. Left out: nothing.
#   max_age    how old a seal may be, in days (d), hours (h) or minutes (m).
#   lockfile   \"exact\": sealed with the lockfiles of this checkout. \"any\": not compared, the cache may be stale.
#   links      \"any\": symbolic links may lead out of the roots. \"inside\": they may not.
#   hardlinks  \"inside\": no file may have another name outside the roots. \"any\": it may.
";

const RELEASE: &str = "
# For jobs that hold secrets or publish: sealed with the lockfiles of this very checkout, and lately. Lockfiles are
# only compared where something vouches for them: a policy that is merely pinned does not (see docs/POLICY.md).
[gate.release]
";

const RELEASE_RULES: &str = "\
max_age   = \"7d\"
lockfile  = \"exact\"
links     = \"any\"
hardlinks = \"inside\"
";

const CI: &str = "
# For everyday jobs: authentic, but it may come from an older lockfile. CircleCI keeps caches for 15 days.
[gate.ci]
";

const CI_RULES: &str = "\
max_age   = \"15d\"
lockfile  = \"any\"
links     = \"any\"
hardlinks = \"inside\"
";

const LOCKFILE_GATES: &str = "
# Gates: what a job demands before it uses a cache: `cacheseal verify CACHE --gate GATE`.
#   require    the proofs that are needed. Never empty. \"lockfile\": the lockfiles name what is there.
#   unproven   \"refuse\": every file must be proven. [\"~/.cargo/registry/index/**\"]: but files at these places.
#   links      \"any\": symbolic links may lead out of the roots. \"inside\": they may not.
#   hardlinks  \"inside\": no file may have another name outside the roots. \"any\": it may.

# Needs no key and no seal. Lockfiles are only believed where a guard was started before the restore, or nothing was
# restored over them (see docs/POLICY.md).
[gate.lockfile]
require   = [\"lockfile\"]
unproven  = \"refuse\"
links     = \"any\"
hardlinks = \"inside\"
";

/// The text of a commented `cacheseal.toml` without signers and with one gate, `lockfile`, which proves all of these
/// caches by their lockfiles.
#[must_use]
pub fn lockfile_starter(project: &str, caches: &[StarterCache]) -> String {
    let mut text = head(project);
    text.push_str(CACHES);
    for cache in caches {
        push_cache(&mut text, cache);
    }
    text.push_str(LOCKFILE_GATES);
    text
}

/// The text of a commented `cacheseal.toml` with one signer and two gates, `release` and `ci`. `signer` and
/// the caches' names must be names that the policy allows; without caches, an example stands in a comment.
#[must_use]
pub fn starter(project: &str, caches: &[StarterCache], signer: &str, key_file: &str) -> String {
    let mut text = head(project);
    text.push_str(CACHES);
    if caches.is_empty() {
        text.push_str(EXAMPLE_CACHE);
    }
    for cache in caches {
        push_cache(&mut text, cache);
    }

    text.push_str(SIGNERS);
    let _ = writeln!(text, "\n[signer.{signer}]");
    field(&mut text, "keys  ", &format!("[{{ file = {} }}]", string(key_file)));
    text.push_str("caches = [\"*\"]\n# refs = [\"refs/heads/main\"]\n# jobs = [\"deps\"]\n");

    text.push_str(GATES);
    for (head, rules) in [(RELEASE, RELEASE_RULES), (CI, CI_RULES)] {
        text.push_str(head);
        text.push_str("require   = [\"signature\"]\n");
        field(&mut text, "signers  ", &strings(&[signer]));
        text.push_str(rules);
    }
    text
}

fn head(project: &str) -> String {
    let mut text = String::from(HEAD);
    text.push_str(
        "\nversion = 1\n\n# The repository. It is signed into every seal: another project's seal is refused.\n",
    );
    field(&mut text, "project", &string(project));
    text
}

fn push_cache(text: &mut String, cache: &StarterCache) {
    text.push('\n');
    for line in cache.note.lines() {
        let _ = writeln!(text, "# {}", Escaped(line.as_bytes()));
    }
    let _ = writeln!(text, "[cache.{}]", cache.name);
    field(text, "roots    ", &strings(&cache.roots));
    if cache.lockfiles.is_empty() {
        text.push_str("# No lockfiles: gate `release` compares them, so this cache can pass gate `ci` only.\n");
    } else {
        field(text, "lockfiles", &strings(&cache.lockfiles));
    }
    field(text, "digest   ", &string("blake3"));
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name} = {value}");
}

fn strings(items: &[impl AsRef<str>]) -> String {
    let items: Vec<_> = items.iter().map(|item| string(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML basic string.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
