//! All lockfiles of a cache, whatever their ecosystems.

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan, Starter};
use super::{cargo, go, gradle, maven, npm, pnpm, python, yarn};
use crate::base::Escaped;

/// The ecosystems whose lockfiles are read. A file name belongs to the first that reads it. Of several that fill the
/// same directory, `init` takes the first.
pub const ECOSYSTEMS: &[&dyn Ecosystem] =
    &[&cargo::Cargo, &pnpm::Pnpm, &yarn::Yarn, &npm::Npm, &go::Go, &python::Python, &gradle::Gradle, &maven::Maven];

/// Lockfiles that nothing here reads: they can be sealed and compared, and prove nothing.
pub const SEALED_ONLY: &[Starter] = &[
    sealed_only("Gemfile.lock", "bundler", &["vendor/bundle"], "installed gems"),
    sealed_only("gradle.lockfile", "gradle", &["~/.gradle/caches/modules-2"], "downloaded artefacts"),
    sealed_only("bun.lock", "bun", &["node_modules", "~/.bun/install/cache"], "installed packages"),
    sealed_only("bun.lockb", "bun", &["node_modules", "~/.bun/install/cache"], "installed packages"),
    sealed_only("composer.lock", "composer", &["vendor"], "installed packages"),
    sealed_only("packages.lock.json", "nuget", &["~/.nuget/packages"], "unpacked packages"),
    sealed_only("Podfile.lock", "cocoapods", &["Pods"], "installed pods"),
    sealed_only(".pre-commit-config.yaml", "pre-commit", &["~/.cache/pre-commit"], "environments of hooks"),
];

const fn sealed_only(
    lockfile: &'static str,
    cache: &'static str,
    roots: &'static [&'static str],
    note: &'static str,
) -> Starter {
    Starter { lockfile, marker: None, cache, roots, proven: &[], note }
}

/// All lockfiles that `init` knows.
pub fn starters() -> impl Iterator<Item = &'static Starter> {
    ECOSYSTEMS.iter().flat_map(|ecosystem| ecosystem.starters()).chain(SEALED_ONLY)
}

/// The ecosystem of a lockfile, by its path.
#[must_use]
pub fn ecosystem_of(file: &str) -> Option<usize> {
    let name = file.rsplit('/').next().unwrap_or(file);
    ECOSYSTEMS.iter().position(|ecosystem| ecosystem.reads(name) || ecosystem.reads_path(file))
}

/// The lockfiles of a cache, read.
#[derive(Debug)]
pub struct LockedSet {
    locked: Vec<Box<dyn Locked>>,
}

impl LockedSet {
    /// Reads the lockfiles of a cache: pairs of the path in the policy and the bytes in the checkout.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, LockfileError> {
        let mut texts: Vec<Vec<LockfileText<'_>>> = vec![Vec::new(); ECOSYSTEMS.len()];
        for (file, bytes) in files {
            let slot = ecosystem_of(file).and_then(|index| texts.get_mut(index));
            let Some(slot) = slot else {
                let mut names: Vec<_> = ECOSYSTEMS.iter().map(|ecosystem| ecosystem.name()).collect();
                names.sort_by_key(|name| name.to_lowercase());
                let (names, shown) = (names.join(", "), Escaped(file.as_bytes()));
                let message = format!("expected a lockfile of {names}, found `{shown}`: see docs/LOCKFILES.md");
                return Err(LockfileError::unsupported(file, None, message));
            };
            slot.push(LockfileText::new(file, bytes)?);
        }
        let mut locked = Vec::new();
        for (ecosystem, texts) in ECOSYSTEMS.iter().zip(texts) {
            if !texts.is_empty() {
                locked.push(ecosystem.read(&texts)?);
            }
        }
        Ok(Self { locked })
    }

    /// How many packages are locked.
    #[must_use]
    pub fn packages(&self) -> usize {
        self.locked.iter().map(|locked| locked.packages()).sum()
    }

    /// What is to be proven in these roots.
    pub fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        for locked in &self.locked {
            locked.plan(plan);
        }
    }
}
