//! Looking whether what was verified is still as it was.

use std::path::PathBuf;

use super::place::{RootState, Workspace};
use crate::base::{Algorithm, Code, Limits, Refusal, Refusals};
use crate::policy::{Cache, Glob, PlacedRoot};
use crate::seal::manifest::Manifest;
use crate::tree::{
    Counts, Directory, Expectation, Found, HardLinks, Known, Memory, Options, SealDirectory, Stamps, all_missing,
    compare, compare_absent,
};

/// The roots of a cache as a seal says that they are, and what the file system said of their files when they were
/// verified.
#[derive(Debug)]
pub struct Kept {
    roots: Vec<KeptRoot>,
    hardlinks_inside: bool,
}

/// One root.
#[derive(Debug)]
pub struct KeptRoot {
    /// The root as the policy writes it.
    pub spelling: String,
    /// Its entries; nothing for a root that was sealed as absent.
    pub tree: Option<(Manifest, Option<Stamps>)>,
}

impl Kept {
    /// Roots in the policy's order. `hardlinks_inside` says that no file may have a name outside of them.
    #[must_use]
    pub fn new(roots: Vec<KeptRoot>, hardlinks_inside: bool) -> Self {
        Self { roots, hardlinks_inside }
    }

    /// The roots of a seal that was made just now, whose manifests have these names and SHA-256s: one for each root,
    /// none for an absent one. Nothing if they do not lie in the seal as such. There are no stamps, so that every file
    /// is read when it is looked at.
    #[must_use]
    pub fn of_seal(
        workspace: &Workspace,
        cache: &Cache,
        roots: &[PlacedRoot],
        manifests: &[Option<(String, String)>],
        limits: &Limits,
    ) -> Option<Self> {
        let Ok(Found::There(seal)) = SealDirectory::open(workspace.policy_directory(), &cache.name) else {
            return None;
        };
        let root = |(root, manifest): (&PlacedRoot, &Option<(String, String)>)| {
            let spelling = root.root.spelling.clone();
            let Some((name, sha256)) = manifest else { return Some(KeptRoot { spelling, tree: None }) };
            let (bytes, digest) = seal.manifest(name, limits.manifest_bytes_max).ok()?;
            let manifest = Manifest::parse(&bytes, *cache.digest, limits).ok()?;
            (digest.to_string() == *sha256).then_some(KeptRoot { spelling, tree: Some((manifest, None)) })
        };
        let kept: Option<Vec<_>> = roots.iter().zip(manifests).map(root).collect();
        (manifests.len() == roots.len()).then_some(Self { roots: kept?, hardlinks_inside: false })
    }

    /// Entries over all roots.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.roots.iter().filter_map(|root| Some(root.tree.as_ref()?.0.totals().entries)).sum()
    }
}

/// What to look at again, and how.
pub struct RecheckRequest<'a> {
    /// Where the roots are.
    pub workspace: &'a Workspace,
    /// Home as it is now, canonical.
    pub home: Option<PathBuf>,
    /// What they were.
    pub kept: &'a Kept,
    /// The cache's roots, in the policy's order.
    pub roots: &'a [PlacedRoot],
    /// Whether every file is read, whatever its stamp says.
    pub full: bool,
    /// New entries pass if one of these matches their place.
    pub new_allowed: &'a [Glob],
    /// Threads and limits.
    pub options: Options<'a>,
}

/// The outcome: all is as it was if and only if there is no refusal.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recheck {
    /// Every entry that is not as it was.
    pub refusals: Refusals,
    /// How the rest was looked at.
    pub counts: Counts,
}

/// Compares the roots with what they were. Writes nothing.
#[must_use]
pub fn recheck(request: &RecheckRequest<'_>) -> Recheck {
    let cap = request.options.limits.refusals_max;
    let mut found = Recheck { refusals: Refusals::new(cap), counts: Counts::default() };
    if let Some(place) = request.workspace.displaced(request.home.as_deref()) {
        let place = place.to_string_lossy();
        found.refuse(&place, "the directory below which the roots were verified", "another one at its path, or none");
        return found;
    }
    let mut hardlinks = HardLinks::default();
    for (kept, placed) in request.kept.roots.iter().zip(request.roots) {
        match request.workspace.root(placed) {
            Ok(RootState::Unsafe(kind)) => {
                found.refuse(&kept.spelling, "a real directory below real directories", kind.noun());
            }
            Ok(RootState::Absent) => {
                if let Some((manifest, _)) = &kept.tree {
                    let mut missing = Refusals::new(cap);
                    all_missing(&kept.spelling, manifest, &mut missing);
                    found.refusals.append(missing.under(Code::ChangedAfterVerify));
                }
            }
            Ok(RootState::There(directory)) => found.tree(kept, directory, request, &mut hardlinks),
            Err(error) => found.refuse(&kept.spelling, "a directory", &error.to_string()),
        }
    }
    if request.kept.hardlinks_inside {
        let outside = hardlinks.outside().map(|refusal| Refusal { code: Code::ChangedAfterVerify, ..refusal });
        found.refusals.extend(outside);
    }
    found
}

impl Recheck {
    fn refuse(&mut self, place: &str, expected: &str, found: &str) {
        self.refusals.push(Refusal::new(Code::ChangedAfterVerify, place, expected, found));
    }

    fn tree(&mut self, kept: &KeptRoot, root: Directory, request: &RecheckRequest<'_>, hardlinks: &mut HardLinks) {
        let spelling = kept.spelling.as_str();
        let stamps = kept.tree.as_ref().and_then(|(_, stamps)| stamps.as_ref()).filter(|_| !request.full);
        let known = Known { stamps, new_allowed: request.new_allowed };
        let expected =
            |manifest| Expectation { spelling, manifest, links_inside: false, memory: Memory::Known(&known) };
        let comparison = if let Some((manifest, _)) = &kept.tree {
            compare(root, &expected(manifest), &request.options)
        } else {
            if matches!((root.is_empty(), root.forbidden()), (Ok(true), Ok(None))) {
                // Nothing, as it was.
            } else if known.allows(spelling.into(), true) {
                self.counts.new += 1;
            } else {
                self.refuse(spelling, "nothing: the root was absent when it was sealed", "a directory");
            }
            compare_absent(root, &expected(&Manifest::new(Algorithm::Blake3, Vec::new())), &request.options)
        };
        self.counts.add(comparison.counts);
        self.refusals.append(comparison.refusals);
        hardlinks.append(comparison.hardlinks);
    }
}
