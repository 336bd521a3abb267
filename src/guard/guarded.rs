//! One guarded cache: how its roots and its seal looked when that was settled, and whether what grows from them may
//! be sealed.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::base::{Code, Refusal, plural};
use crate::cache::Kept;
use crate::policy::Policy;
use crate::tree::{Change, Kind, Look, Obstacle, Reach, Sight};
use crate::verify::weaker_gate;

/// What a verification that ended well rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The gate.
    pub gate: String,
    /// The signers whose signatures counted.
    pub signers: Vec<String>,
    /// The names and values that the seal says.
    pub bindings: BTreeMap<String, String>,
    /// The lockfile proves all of it.
    pub proven: bool,
}

/// How a verification ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The cache is trusted.
    Trusted(Ground),
    /// The cache is trusted, by a gate that lets entries pass which nothing proves.
    Unproven,
    /// Nothing was restored.
    Miss,
    /// The cache is too old for the gate, and nothing else is wrong with it.
    Stale,
    /// Nothing was decided.
    Undecided,
    /// Anything else.
    Refused,
}

/// What is known of the contents of a cache's roots.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// No verification yet.
    Unverified,
    /// A verification found nothing, or what was refused has been taken away.
    Empty,
    /// A verification trusted them.
    Trusted(Ground),
    /// A verification did not trust them, for a reason that another gate may see in another way.
    Doubted(&'static str),
    /// They were refused, or came with a stray write. Ends only when the roots are gone.
    Refused(&'static str),
}

/// A root of a guarded cache.
#[derive(Debug)]
pub(super) struct Root {
    /// The root as the policy writes it.
    pub(super) spelling: String,
    pub(super) place: PathBuf,
    /// Something was there when the guard began.
    pub(super) filled: bool,
}

/// A cache whose roots and seal a restore may fill.
#[derive(Debug)]
pub(super) struct GuardedCache {
    pub(super) name: String,
    pub(super) roots: Vec<Root>,
    pub(super) seal: PathBuf,
    standing: Standing,
    /// The last verification trusted what is there.
    verified: bool,
    /// The job has sealed what is there.
    sealed: bool,
    /// Roots and seal as they were when that was settled last, or when the guard began.
    pub(super) before: Look,
    /// The roots as they were when the guard allowed the job to seal them.
    granted: Option<Look>,
    /// What was verified or sealed, until something else becomes of it.
    pub(super) kept: Option<Kept>,
}

impl GuardedCache {
    pub(super) fn new(name: String, roots: Vec<Root>, seal: PathBuf) -> Self {
        let before = Look::default();
        let standing = Standing::Unverified;
        Self { name, roots, seal, standing, verified: false, sealed: false, before, granted: None, kept: None }
    }

    /// The roots, then the seal.
    pub(super) fn places(&self) -> impl Iterator<Item = &Path> {
        self.roots.iter().map(|root| root.place.as_path()).chain([self.seal.as_path()])
    }

    pub(super) fn sights(&self) -> Vec<Sight> {
        self.places().map(|path| Sight { path: path.to_path_buf(), reach: Reach::Tree }).collect()
    }

    /// Whether a directory lies on the way to one of the places.
    pub(super) fn lies_below(&self, directory: &Path) -> bool {
        self.places().any(|place| place != directory && place.starts_with(directory))
    }

    /// What a change there means, if the contents are known; `None` while nothing vouches for them.
    pub(super) fn meaning(&self) -> Option<String> {
        let done = match (self.sealed, self.verified) {
            (true, _) => "sealed",
            (false, true) => "verified",
            (false, false) => return None,
        };
        Some(format!("belongs to the cache `{}`, which was {done} before", self.name))
    }

    /// What was written there while nothing vouches for it, as one refusal: an archive has thousands of entries.
    pub(super) fn unverified(&self, now: &Look) -> Option<Refusal> {
        let mut changes = self.before.differences(now);
        // A root that is an empty directory is as vacant as one that is not there.
        changes.retain(|change| change.change != Change::Created(Kind::Directory) || !self.is_root(&change.path));
        let unseen = new_obstacles(&self.before, now).map(|obstacle| obstacle.path.clone());
        let paths: Vec<_> = changes.into_iter().map(|change| change.path).chain(unseen).collect();
        let first = paths.iter().min()?;
        let expected = match self.standing {
            Standing::Empty => format!("no change since the verification that found cache `{}` empty", self.name),
            _ => format!("no change in the roots and the seal of cache `{}` before it is verified", self.name),
        };
        let found = format!("{}, the first of them here", plural(paths.len() as u64, "change", "changes"));
        Some(Refusal::new(Code::UnverifiedRoots, first.clone(), expected, found))
    }

    fn is_root(&self, path: &[u8]) -> bool {
        self.roots.iter().any(|root| root.place.as_os_str().as_bytes() == path)
    }

    /// Takes note of how a verification ended that began after `now` was looked at.
    pub(super) fn settle(&mut self, settled: Settled, now: Look, kept: Option<Kept>) {
        self.verified = matches!(settled, Settled::Trusted(_) | Settled::Unproven);
        self.kept = kept.filter(|_| self.verified);
        self.sealed = false;
        self.granted = None;
        if self.verified || settled == Settled::Miss {
            // The look was taken before the contents were read, so it is of them or of something older.
            self.before = now;
        }
        let standing = match settled {
            Settled::Miss => Standing::Empty,
            Settled::Refused => Standing::Refused("contents that were not trusted when they were verified"),
            // A refusal is not forgotten because a weaker gate has none.
            _ if matches!(self.standing, Standing::Refused(_)) => return,
            Settled::Trusted(ground) => Standing::Trusted(ground),
            Settled::Unproven => Standing::Doubted("contents of which a gate let some pass that nothing proves"),
            Settled::Stale => Standing::Doubted("contents that were too old when they were verified"),
            Settled::Undecided => Standing::Doubted("contents whose verification came to no verdict"),
        };
        self.standing = standing;
    }

    /// Takes note of a stray write: what came with it is not to be sealed.
    pub(super) fn stray(&mut self) {
        self.standing = Standing::Refused("a restore that also wrote where no cache has anything to write");
    }

    /// Takes note that the guard itself took roots and seal away.
    pub(super) fn emptied(&mut self, now: Look) {
        self.standing = Standing::Empty;
        (self.verified, self.sealed, self.kept) = (false, false, None);
        self.before = now;
    }

    /// What speaks against sealing what was made of the roots but for those in `elsewhere`, which lie elsewhere.
    pub(super) fn objections(&self, sealing: &Sealing<'_>, no_restore: bool, elsewhere: &[&str]) -> Vec<Refusal> {
        let objection = |root: &&Root| self.objection(root, sealing, no_restore);
        let in_place = self.roots.iter().filter(|root| !elsewhere.contains(&root.spelling.as_str()));
        let refusal = |root: &Root| Some(unverified_base(root.spelling.as_bytes(), objection(&root)?));
        in_place.filter_map(refusal).collect()
    }

    fn objection(&self, root: &Root, sealing: &Sealing<'_>, no_restore: bool) -> Option<String> {
        match &self.standing {
            Standing::Empty => None,
            Standing::Unverified if root.filled => {
                Some("contents before the guard started, and no verification of them".to_owned())
            }
            Standing::Unverified if no_restore => None,
            Standing::Unverified => Some("nothing before the restore, and no verification after it".to_owned()),
            Standing::Doubted(found) | Standing::Refused(found) => Some((*found).to_owned()),
            Standing::Trusted(ground) if ground.proven => None,
            Standing::Trusted(ground) => {
                let Sealing { policy, signer, bindings } = *sealing;
                let (gate, why) = weaker_gate(policy, &self.name, signer, &ground.signers, &ground.bindings, bindings)?;
                let verified = format!("contents that were verified at the gate `{}`", ground.gate);
                Some(format!("{verified}; the gate `{}` would not accept what they rest on: {why}", &gate.name))
            }
        }
    }

    /// Takes note that the job may seal the roots as they are now.
    pub(super) fn grant(&mut self, now: Look) {
        self.granted = Some(now);
    }

    /// Takes note that the job has sealed the roots, if they are as they were when it was allowed to. What was read
    /// is then what is there. Else, what speaks against it.
    pub(super) fn seal(&mut self, now: Look) -> Vec<Refusal> {
        let Some(granted) = self.granted.take() else {
            return vec![unverified_base(
                self.name.as_bytes(),
                "a seal that the guard did not allow before".to_owned(),
            )];
        };
        let is_of_seal = |path: &[u8]| Path::new(std::ffi::OsStr::from_bytes(path)).starts_with(&self.seal);
        let mut changes = granted.differences(&now);
        changes.retain(|change| !is_of_seal(&change.path));
        if changes.is_empty() {
            (self.sealed, self.kept) = (true, None);
            self.before = now;
        }
        let expected = "roots that stay as they are while they are sealed";
        changes
            .into_iter()
            .map(|change| Refusal::new(Code::ChangedWhileRead, change.path, expected, "a change"))
            .collect()
    }

    /// Why there is nothing to compare the roots with; `None` for a cache that was trusted for its lockfiles alone.
    pub(super) fn unkept(&self) -> Option<(Code, &'static str)> {
        match &self.standing {
            _ if self.sealed => Some((Code::UnverifiedRoots, "a seal that was made of directories elsewhere")),
            // A guard that was started anew cannot tell itself from one that was never asked.
            Standing::Unverified => Some((Code::GuardGone, "a guard that has verified nothing of it since it started")),
            Standing::Empty => {
                Some((Code::NothingRestored, "nothing: the verification was a miss, or it was taken away"))
            }
            Standing::Doubted(found) | Standing::Refused(found) => Some((Code::UnverifiedRoots, *found)),
            Standing::Trusted(_) => None,
        }
    }
}

/// A seal that a job wants to make.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The signer whose key it is.
    pub signer: &'a str,
    /// The names and values that it will say.
    pub bindings: &'a BTreeMap<String, String>,
}

/// A refusal to seal.
pub(super) fn unverified_base(place: &[u8], found: String) -> Refusal {
    let expected = "contents that grew from nothing, or from what was verified, under the guard";
    Refusal::new(Code::UnverifiedBase, place, expected, found)
}

/// What could not be looked at now and could before, as paths.
pub(super) fn new_obstacles<'a>(before: &'a Look, now: &'a Look) -> impl Iterator<Item = &'a Obstacle> {
    now.obstacles().iter().filter(|obstacle| !before.obstacles().contains(obstacle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_that_was_not_allowed_settles_nothing() {
        let mut cache = GuardedCache::new("deps".to_owned(), Vec::new(), PathBuf::from("/none"));
        let codes = |refusals: Vec<Refusal>| refusals.into_iter().map(|refusal| refusal.code).collect::<Vec<_>>();
        assert_eq!(codes(cache.seal(Look::default())), [Code::UnverifiedBase]);
        cache.grant(Look::default());
        assert_eq!(codes(cache.seal(Look::default())), []);
        // What was allowed is used up.
        assert_eq!(codes(cache.seal(Look::default())), [Code::UnverifiedBase]);
    }
}
