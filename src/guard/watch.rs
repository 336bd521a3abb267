//! The guard itself: what it saw when it began, what is different now, and which caches it can vouch for.
//!
//! In every look exactly one thing is exempt: the roots and the seal of the cache that is being verified at that
//! moment, which that verification judges. Everything else is watched, other guarded caches among it: as they were
//! when they were settled, or as they were at the start.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::guarded::{GuardedCache, Root, Sealing, Settled, new_obstacles, unverified_base};
use super::perimeter::Perimeter;
use super::territory::{Surroundings, Territory};
use crate::base::{Code, Escaped, Limits, Refusal, Refusals, Stream};
use crate::cache::Kept;
use crate::policy::PlacedRoot;
use crate::seal::manifest::forbidden_bits;
use crate::tree::{
    Change, Difference, Exceptions, Kind, Look, Obstacle, Options, Reach, Sight, is_there, is_vacant, look,
    look_with_leads, resolve,
};

/// What to watch, and how.
#[derive(Debug)]
pub struct Begin {
    /// The process's surroundings.
    pub surroundings: Surroundings,
    /// What the guard is about. Roots and seals of the guarded caches are added from `caches`.
    pub territory: Territory,
    /// The guarded caches: name, roots, and the directory of the seal.
    pub caches: Vec<(String, Vec<PlacedRoot>, PathBuf)>,
    /// Directories that stand for roots when the cache is sealed.
    pub elsewhere: Vec<Elsewhere>,
    /// Roots and seals may be there already.
    pub filled_allowed: bool,
    /// Nothing is restored while the guard watches: what fills the roots is the job itself.
    pub no_restore: bool,
    /// Stray writes are listed and decide nothing.
    pub report_only: bool,
    /// Threads that look.
    pub threads: usize,
    /// Caps on what is found.
    pub limits: Limits,
}

/// A directory that stands for a root of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The cache.
    pub cache: String,
    /// The root as the policy writes it.
    pub root: String,
    /// The directory, absolute.
    pub place: PathBuf,
}

/// Why a guard did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// A root, a directory that stands for one, or a seal is there.
    #[error("expected nothing at `{}` before the restore, found {found}", Escaped(.place.as_os_str().as_bytes()))]
    NotEmpty {
        /// Its path.
        place: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A root could not be looked at.
    #[error("`{}` could not be looked at: {source}", Escaped(.place.as_os_str().as_bytes()))]
    Unreadable {
        /// Its path.
        place: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A directory that this user could make readable is not, and something is to be watched below it.
    #[error("`{}` is to be watched, and `{}` cannot be read, which this user owns", Escaped(.hidden.as_os_str().as_bytes()), Escaped(.place.as_os_str().as_bytes()))]
    Hidden {
        /// The directory.
        place: PathBuf,
        /// What is below it.
        hidden: PathBuf,
    },
    /// The perimeter is larger than anyone could watch.
    #[error("`{}` {}", Escaped(&.0.path), .0.found)]
    Limit(Obstacle),
}

impl BeginError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotEmpty { .. } => Code::RootNotEmpty,
            Self::Unreadable { .. } | Self::Hidden { .. } => Code::Unreadable,
            Self::Limit(obstacle) => obstacle.code,
        }
    }
}

/// A directory that stands for a root, and whether anything was there when the guard began.
#[derive(Debug)]
struct Standin {
    root: String,
    place: PathBuf,
    filled: bool,
}

/// A guard that has begun.
#[derive(Debug)]
pub struct Guard {
    perimeter: Perimeter,
    /// The perimeter as it was when the guard began; never another.
    before: Look,
    pub(super) caches: Vec<GuardedCache>,
    elsewhere: Vec<Standin>,
    /// Where refused caches were set aside, as they were then.
    aside: Vec<(PathBuf, Look)>,
    /// Stray writes were found: nothing that lies elsewhere is to be sealed.
    strayed: bool,
    no_restore: bool,
    report_only: bool,
    threads: usize,
    limits: Limits,
    user: u32,
}

/// What was written where a restore has no business.
#[derive(Debug)]
pub struct Strays {
    /// One for each entry, and one for each guarded cache that changed and is not verified.
    pub refusals: Refusals,
    /// Roots and seal of the cache that is about to be verified.
    now: Look,
}

impl Guard {
    /// Looks at everything that a restore has no business with.
    pub fn begin(begin: Begin) -> Result<Self, BeginError> {
        let Begin { surroundings, mut territory, .. } = begin;
        let mut caches = Vec::new();
        for (name, roots, seal) in begin.caches {
            // Even an empty one would be taken for a seal that lost its contents.
            if is_there(&seal) && !begin.filled_allowed {
                return Err(BeginError::NotEmpty { place: seal, found: "the place of a seal" });
            }
            let mut guarded = Vec::new();
            for root in roots {
                let filled = is_filled(&root.absolute, begin.filled_allowed)?;
                guarded.push(Root { spelling: root.root.spelling, place: root.absolute, filled });
            }
            let cache = GuardedCache::new(name, guarded, seal);
            territory.guarded.extend(cache.places().map(Path::to_path_buf));
            caches.push(cache);
        }
        let mut elsewhere = Vec::new();
        for Elsewhere { root, place, .. } in begin.elsewhere {
            let place = resolve(&place);
            let filled = is_filled(&place, begin.filled_allowed)?;
            territory.allowed.push(place.clone());
            elsewhere.push(Standin { root, place, filled });
        }
        let mut guard = Self {
            perimeter: Perimeter::of(&surroundings, &territory),
            before: Look::default(),
            caches,
            elsewhere,
            aside: Vec::new(),
            strayed: false,
            no_restore: begin.no_restore,
            report_only: begin.report_only,
            threads: begin.threads,
            limits: begin.limits,
            user: surroundings.user,
        };
        let except = guard.exceptions();
        guard.first_look(&except);
        if let Some((place, hidden)) = guard.perimeter.hidden(&guard.before, &except) {
            return Err(BeginError::Hidden { place, hidden });
        }
        let seen: Vec<_> = guard.caches.iter().map(|cache| guard.look_at(cache)).collect();
        for (cache, seen) in guard.caches.iter_mut().zip(seen) {
            cache.before = seen;
        }
        let looks = guard.caches.iter().map(|cache| &cache.before).chain([&guard.before]);
        let beyond = looks.flat_map(Look::obstacles).find(|one| one.code != Code::Unreadable).cloned();
        match beyond {
            Some(obstacle) => Err(BeginError::Limit(obstacle)),
            None => Ok(guard),
        }
    }

    /// The names of the guarded caches.
    pub fn caches(&self) -> impl Iterator<Item = &str> {
        self.caches.iter().map(|cache| cache.name.as_str())
    }

    /// Whether stray writes decide nothing.
    #[must_use]
    pub fn is_report_only(&self) -> bool {
        self.report_only
    }

    /// How many entries outside the guarded caches are watched, and how many places could not be read.
    #[must_use]
    pub fn extent(&self) -> (u64, u64) {
        (self.before.entries(), self.before.obstacles().len() as u64)
    }

    /// Places that could not be read, or not wholly, each with the reason.
    pub fn partly_watched(&self) -> impl Iterator<Item = (Vec<u8>, String)> {
        let unreadable = self.before.obstacles().iter().map(|obstacle| (obstacle.path.clone(), obstacle.found.clone()));
        let large = self.before.large().iter();
        let large = large.map(|place| {
            let found = "too many entries: only what is directly in it is watched".to_owned();
            (place.as_os_str().as_bytes().to_vec(), found)
        });
        let mounted = self.perimeter.not_entered().map(|place| {
            let found = "something else is mounted there: name it with --watch to have it watched".to_owned();
            (place.as_os_str().as_bytes().to_vec(), found)
        });
        unreadable.chain(large).chain(mounted)
    }

    /// Looks at the whole perimeter, then at what the links and git directories lead to that it met.
    fn first_look(&mut self, except: &Exceptions) {
        let limits = self.limits.clone();
        let options = Options::new(self.threads, self.threads, &limits);
        let (first, leads) = look_with_leads(&self.perimeter.sights, except, self.user, &options);
        self.before = first;
        let more = self.perimeter.follow(&leads, &self.before);
        self.before.append(look(&more, except, self.user, &options));
    }

    /// What the look at the perimeter leaves out: what the command line allows, and what is watched by itself.
    fn exceptions(&self) -> Exceptions {
        let guarded = self.caches.iter().flat_map(GuardedCache::places);
        let aside = self.aside.iter().map(|(place, _)| place.as_path());
        self.perimeter.exceptions(guarded.chain(aside).map(Path::to_path_buf))
    }

    fn look(&self, sights: &[Sight], except: &Exceptions) -> Look {
        let options = Options::new(self.threads, self.threads, &self.limits);
        look(sights, except, self.user, &options)
    }

    /// The roots and the seal of a cache as they are now.
    fn look_at(&self, cache: &GuardedCache) -> Look {
        self.look(&cache.sights(), &Exceptions::default())
    }

    fn look_at_tree(&self, place: &Path) -> Look {
        self.look(&[Sight { path: place.to_path_buf(), reach: Reach::Tree }], &Exceptions::default())
    }

    /// Looks again, at everything but the roots and the seal of the cache that is about to be verified: those are for
    /// the verification to judge. Each refusal also goes to `differences`.
    #[must_use]
    pub fn strays(&self, verifying: Option<&str>, differences: Option<&Stream>) -> Strays {
        // What a guard only reports is no refusal.
        let differences = differences.filter(|_| !self.report_only);
        let refusals = Refusals::streamed(self.limits.refusals_max, differences);
        let mut strays = Strays { refusals, now: Look::default() };
        let now = self.look(&self.perimeter.sights, &self.exceptions());
        for difference in self.before.differences(&now) {
            strays.refusals.extend(self.outside(difference));
        }
        obstacles(&self.before, &now, &mut strays.refusals);
        for (place, before) in &self.aside {
            let meaning = "belongs to a cache that was refused and set aside";
            changes(before, &self.look_at_tree(place), meaning, &mut strays.refusals);
        }
        for cache in &self.caches {
            let now = self.look_at(cache);
            if verifying == Some(cache.name.as_str()) {
                strays.now = now;
            } else if let Some(meaning) = cache.meaning() {
                changes(&cache.before, &now, &meaning, &mut strays.refusals);
            } else if !(self.no_restore && verifying.is_none()) {
                // Where nothing is restored, it is the job that fills the roots until it seals them.
                strays.refusals.extend(cache.unverified(&now));
            }
        }
        strays
    }

    /// What became of one entry of the perimeter.
    fn outside(&self, difference: Difference) -> Option<Refusal> {
        let path = PathBuf::from(std::ffi::OsString::from_vec(difference.path.clone()));
        let rule = Some(self.perimeter.rule(&path));
        if self.perimeter.is_of_policy(&path) {
            return Some(stray_write(Code::PolicyChanged, difference, "decides what is trusted", rule));
        }
        let is_passage = || {
            let mut elsewhere = self.elsewhere.iter();
            elsewhere.any(|one| one.place.starts_with(&path)) || self.caches.iter().any(|cache| cache.lies_below(&path))
        };
        if difference.change == Change::Created(Kind::Directory) && is_passage() {
            // A directory on the way to a root comes with the root, and what is in it is watched by itself.
            let found = difference.after.and_then(|after| forbidden_bits(after.mode(), false))?;
            let expected = "a directory on the way to a root that others cannot write to";
            return Some(Refusal::new(Code::ForbiddenMode, difference.path, expected, found));
        }
        if self.perimeter.excuses(&path, &difference) {
            return None;
        }
        let written = !matches!(difference.change, Change::Removed(_));
        let meaning = self.perimeter.meaning(&path, written);
        Some(stray_write(Code::StrayWrite, difference, &meaning, rule))
    }

    /// Takes note of how the verification of a cache ended, and keeps what it trusted. `strays` is what was found just
    /// before it.
    pub fn settle(&mut self, cache: &str, settled: Settled, strays: Strays, kept: Option<Kept>) {
        let is_strayed = !strays.refusals.is_empty() && !self.report_only;
        if let Some(cache) = self.caches.iter_mut().find(|one| one.name == cache) {
            if is_strayed {
                cache.kept = None;
            } else {
                cache.settle(settled, strays.now, kept);
                return;
            }
        }
        self.note_strays(&strays);
    }

    /// Takes note of stray writes: whatever else the restore brought is not to be sealed.
    pub fn note_strays(&mut self, strays: &Strays) {
        if !strays.refusals.is_empty() && !self.report_only {
            self.strayed = true;
            self.caches.iter_mut().for_each(GuardedCache::stray);
        }
    }

    /// Takes note that the guard itself took the roots and the seal of a cache away, where nothing else was found.
    /// `aside` is where it has put them.
    pub fn disposed(&mut self, cache: &str, aside: Vec<PathBuf>) {
        let Some(at) = self.caches.iter().position(|one| one.name == cache) else { return };
        let now = self.caches.get(at).map(|cache| self.look_at(cache));
        if let (Some(cache), Some(now)) = (self.caches.get_mut(at), now) {
            cache.emptied(now);
        }
        for place in aside {
            let now = self.look_at_tree(&place);
            self.aside.push((place, now));
        }
    }

    /// Whether a cache may be sealed whose roots are where the policy says, but for those in `elsewhere`: pairs of a
    /// root and the directory that stands for it. No refusal means yes, and then the guard waits for [`Guard::sealed`].
    #[must_use]
    pub fn may_seal(&mut self, cache: &str, elsewhere: &[(String, PathBuf)], sealing: &Sealing<'_>) -> Refusals {
        let mut refusals = Refusals::new(self.limits.refusals_max);
        let Some(at) = self.caches.iter().position(|one| one.name == cache) else {
            refusals.push(unverified_base(cache.as_bytes(), "a cache that the guard does not watch".to_owned()));
            return refusals;
        };
        for (root, place) in elsewhere {
            let place = resolve(place);
            if let Some(found) = self.objection_elsewhere(root, &place) {
                refusals.push(unverified_base(place.as_os_str().as_bytes(), found.to_owned()));
            }
        }
        let named: Vec<_> = elsewhere.iter().map(|(root, _)| root.as_str()).collect();
        let now =
            self.caches.get(at).map(|cache| (cache.objections(sealing, self.no_restore, &named), self.look_at(cache)));
        if let (Some(cache), Some((objections, now))) = (self.caches.get_mut(at), now) {
            refusals.extend(objections);
            if refusals.is_empty() {
                cache.grant(now);
            }
        }
        refusals
    }

    fn objection_elsewhere(&self, root: &str, place: &Path) -> Option<&'static str> {
        match self.elsewhere.iter().find(|one| one.root == root && one.place == place) {
            None => Some("a directory that the guard was not told of when it started"),
            Some(one) if one.filled => Some("contents before the guard started, and no verification of them"),
            Some(_) if self.strayed => Some("a restore that also wrote where no cache has anything to write"),
            Some(_) if !self.no_restore => Some("nothing before the restore, and no verification after it"),
            Some(_) => None,
        }
    }

    /// Takes note that the job has sealed a cache as [`Guard::may_seal`] allowed: from now on it is watched as it was
    /// sealed. Roots that have changed since then are refused.
    #[must_use]
    pub fn sealed(&mut self, cache: &str) -> Refusals {
        let mut refusals = Refusals::new(self.limits.refusals_max);
        let now = self.caches.iter().find(|one| one.name == cache).map(|cache| self.look_at(cache));
        let guarded = self.caches.iter_mut().find(|one| one.name == cache);
        if let (Some(guarded), Some(now)) = (guarded, now) {
            refusals.extend(guarded.seal(now));
        } else {
            refusals.push(unverified_base(cache.as_bytes(), "a cache that the guard does not watch".to_owned()));
        }
        refusals
    }
}

/// An entry that was written where no cache has anything to write, and the rule that watches it.
fn stray_write(code: Code, difference: Difference, meaning: &str, rule: Option<String>) -> Refusal {
    let (expected, found) = match difference.change {
        Change::Created(kind) => ("nothing".to_owned(), format!("{}: {meaning}", kind.noun())),
        Change::Removed(kind) => (kind.noun().to_owned(), format!("nothing: what was there {meaning}")),
        Change::Changed(words) => ("the entry as it was before the restore".to_owned(), format!("{words}: {meaning}")),
    };
    let expected = rule.map_or(expected.clone(), |rule| format!("{expected} (watched: {rule})"));
    Refusal::new(code, difference.path, expected, found)
}

/// The changes of something that was settled.
fn changes(before: &Look, now: &Look, meaning: &str, refusals: &mut Refusals) {
    for difference in before.differences(now) {
        refusals.push(stray_write(Code::StrayWrite, difference, meaning, None));
    }
    obstacles(before, now, refusals);
}

/// What can no longer be looked at. What others have closed to this user is no restore's doing.
fn obstacles(before: &Look, now: &Look, refusals: &mut Refusals) {
    for obstacle in new_obstacles(before, now).filter(|obstacle| obstacle.own) {
        let Obstacle { code, path, found, .. } = obstacle.clone();
        refusals.push(Refusal::new(code, path, "a place that can be looked at", found));
    }
}

/// Whether something is there already.
fn is_filled(place: &Path, filled_allowed: bool) -> Result<bool, BeginError> {
    let place = place.to_path_buf();
    match is_vacant(&place) {
        Ok(Ok(())) => Ok(false),
        Ok(Err(_)) if filled_allowed => Ok(true),
        Ok(Err(Kind::Directory)) => Err(BeginError::NotEmpty { place, found: "a directory with contents" }),
        Ok(Err(kind)) => Err(BeginError::NotEmpty { place, found: kind.noun() }),
        Err(source) => Err(BeginError::Unreadable { place, source }),
    }
}
