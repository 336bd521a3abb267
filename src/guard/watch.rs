//! The guard itself: what it saw when it began, what is different now, and which roots it can vouch for.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::places::{Perimeter, Surroundings, Territory};
use crate::base::{Code, Escaped, Limits, Refusal, Refusals};
use crate::policy::PlacedRoot;
use crate::tree::{Change, Difference, Exceptions, Kind, Look, Obstacle, Options, is_there, is_vacant, look, resolve};

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
            Self::Unreadable { .. } => Code::Unreadable,
            Self::Limit(obstacle) => obstacle.code,
        }
    }
}

/// What is known of the contents of a root, or of the directory that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// Nothing was there when the guard began.
    EmptyBefore,
    /// Something was there when the guard began.
    FilledBefore,
    /// Nothing was there after the restore.
    Empty,
    /// The contents were verified.
    Verified,
    /// The contents were trusted, though nothing proves all of them.
    Unproven,
    /// A verification did not end well.
    Refused,
    /// A restore wrote where it has no business.
    Strayed,
}

impl Base {
    /// What speaks against sealing what was made of it.
    fn objection(self, no_restore: bool) -> Option<&'static str> {
        match self {
            Self::Empty | Self::Verified => None,
            Self::EmptyBefore if no_restore => None,
            Self::EmptyBefore => Some("nothing before the restore, and no verification after it"),
            Self::FilledBefore => Some("contents before the guard started, and no verification of them"),
            Self::Unproven => Some("contents of which a gate let some pass that nothing proves"),
            Self::Refused => Some("contents that were not trusted when they were verified"),
            Self::Strayed => Some("a restore that also wrote outside the roots"),
        }
    }
}

#[derive(Debug)]
struct Watched {
    cache: String,
    root: String,
    place: PathBuf,
    /// Whether the place stands for the root.
    elsewhere: bool,
    base: Base,
}

/// A guard that has begun.
#[derive(Debug)]
pub struct Guard {
    perimeter: Perimeter,
    before: Look,
    watched: Vec<Watched>,
    caches: Vec<String>,
    no_restore: bool,
    report_only: bool,
    threads: usize,
    limits: Limits,
    user: u32,
}

/// How a verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The cache is trusted, and all of it is proven.
    Trusted,
    /// The cache is trusted, by a gate that lets entries pass which nothing proves.
    Unproven,
    /// Nothing was restored.
    Miss,
    /// Anything else.
    Refused,
}

/// What was written where a restore has no business.
#[derive(Debug)]
pub struct Strays {
    /// One for each entry.
    pub refusals: Refusals,
    now: Look,
}

impl Guard {
    /// Looks at everything that a restore has no business with.
    pub fn begin(begin: Begin) -> Result<Self, BeginError> {
        let Begin { surroundings, mut territory, .. } = begin;
        let mut watched = Vec::new();
        for (cache, roots, seal) in &begin.caches {
            for root in roots {
                let base = vacancy(root.absolute.clone(), begin.filled_allowed)?;
                let (root, place) = (root.root.spelling.clone(), root.absolute.clone());
                territory.guarded.push((cache.clone(), place.clone()));
                watched.push(Watched { cache: cache.clone(), root, place, elsewhere: false, base });
            }
            // Even an empty one would be taken for a seal that lost its contents.
            if is_there(seal) && !begin.filled_allowed {
                return Err(BeginError::NotEmpty { place: seal.clone(), found: "the place of a seal" });
            }
            territory.guarded.push((cache.clone(), seal.clone()));
        }
        for Elsewhere { cache, root, place } in begin.elsewhere {
            let place = resolve(&place);
            let base = vacancy(place.clone(), begin.filled_allowed)?;
            territory.allowed.push(place.clone());
            watched.push(Watched { cache, root, place, elsewhere: true, base });
        }
        let perimeter = Perimeter::of(&surroundings, &territory);
        let mut guard = Self {
            perimeter,
            before: Look::default(),
            watched,
            caches: begin.caches.into_iter().map(|(cache, ..)| cache).collect(),
            no_restore: begin.no_restore,
            report_only: begin.report_only,
            threads: begin.threads,
            limits: begin.limits,
            user: surroundings.user,
        };
        guard.before = guard.look(&guard.exceptions());
        match guard.before.obstacles().iter().find(|obstacle| obstacle.code != Code::Unreadable) {
            Some(obstacle) => Err(BeginError::Limit(obstacle.clone())),
            None => Ok(guard),
        }
    }

    /// The guarded caches.
    #[must_use]
    pub fn caches(&self) -> &[String] {
        &self.caches
    }

    /// Whether stray writes decide nothing.
    #[must_use]
    pub fn is_report_only(&self) -> bool {
        self.report_only
    }

    /// How many entries are watched, and how many places could not be read.
    #[must_use]
    pub fn extent(&self) -> (u64, u64) {
        (self.before.entries(), self.before.obstacles().len() as u64)
    }

    fn exceptions(&self) -> Exceptions {
        self.perimeter.exceptions(|_| false)
    }

    fn look(&self, except: &Exceptions) -> Look {
        look(
            &self.perimeter.sights,
            except,
            self.user,
            &Options { threads: self.threads, processors: self.threads, limits: &self.limits },
        )
    }

    /// Looks again. With the name of a cache that is about to be verified, its roots and its seal are looked at too,
    /// so that they can be watched from then on; what is different there is for the verification to judge.
    #[must_use]
    pub fn strays(&self, verifying: Option<&str>) -> Strays {
        let except = self.exceptions();
        let now = match verifying {
            Some(verified) => self.look(&self.perimeter.exceptions(|cache| cache == verified)),
            None => self.look(&except),
        };
        let mut refusals = Refusals::new(self.limits.refusals_max);
        for difference in self.before.differences(&now) {
            let path = PathBuf::from(std::ffi::OsString::from_vec(difference.path.clone()));
            // Directories on the way to a root come with the root.
            let on_the_way = difference.change == Change::Created(Kind::Directory) && except.lie_below(&path);
            if !on_the_way && !except.cover(&path) {
                refusals.push(self.refusal(&path, difference));
            }
        }
        let known = self.before.obstacles();
        for obstacle in now.obstacles().iter().filter(|obstacle| !known.contains(obstacle)) {
            let Obstacle { code, path, found } = obstacle.clone();
            refusals.push(Refusal::new(code, path, "a place that can be looked at", found));
        }
        Strays { refusals, now }
    }

    fn refusal(&self, path: &std::path::Path, difference: Difference) -> Refusal {
        let code = if self.perimeter.is_of_policy(path) { Code::PolicyChanged } else { Code::StrayWrite };
        let meaning = match difference.change {
            _ if code == Code::PolicyChanged => "decides what is trusted".to_owned(),
            Change::Removed(_) => self.perimeter.meaning(path, false),
            Change::Created(_) | Change::Changed(_) => self.perimeter.meaning(path, true),
        };
        let (expected, found) = match difference.change {
            Change::Created(kind) => ("nothing".to_owned(), format!("{}: {meaning}", kind.noun())),
            Change::Removed(kind) => (kind.noun().to_owned(), format!("nothing: what was there {meaning}")),
            Change::Changed(words) => {
                ("the entry as it was before the restore".to_owned(), format!("{words}: {meaning}"))
            }
        };
        Refusal::new(code, difference.path, expected, found)
    }

    /// Takes note of how the verification of a cache ended. `strays` is what was found just before it.
    pub fn settle(&mut self, cache: &str, settled: Settled, strays: Strays) {
        let clean = strays.refusals.is_empty() || self.report_only;
        if !clean {
            self.note_strays(&strays);
            return;
        }
        let base = match settled {
            Settled::Trusted => Base::Verified,
            Settled::Unproven => Base::Unproven,
            Settled::Miss => Base::Empty,
            Settled::Refused => Base::Refused,
        };
        for watched in self.watched.iter_mut().filter(|watched| watched.cache == cache && !watched.elsewhere) {
            watched.base = base;
        }
        // What was only reported is to be reported again.
        if matches!(settled, Settled::Trusted | Settled::Unproven) && strays.refusals.is_empty() {
            // The look was taken before the contents were read, so it is of them or of something older.
            self.perimeter.close(cache);
            self.before = strays.now;
        }
    }

    /// Takes note of stray writes: whatever else the restore brought is not to be sealed.
    pub fn note_strays(&mut self, strays: &Strays) {
        if !strays.refusals.is_empty() && !self.report_only {
            for watched in &mut self.watched {
                watched.base = Base::Strayed;
            }
        }
    }

    /// Takes note that the roots and the seal of a cache were taken away, by the guard itself and where nothing else
    /// was found: what it left is what it watches from now on.
    pub fn disposed(&mut self, cache: &str) {
        for watched in self.watched.iter_mut().filter(|watched| watched.cache == cache && !watched.elsewhere) {
            watched.base = Base::Empty;
        }
        self.before = self.look(&self.exceptions());
    }

    /// What speaks against sealing a cache whose roots are where the policy says, but for those in `elsewhere`: pairs
    /// of a root and the directory that stands for it.
    #[must_use]
    pub fn objections(&self, cache: &str, elsewhere: &[(String, PathBuf)]) -> Refusals {
        let mut refusals = Refusals::new(self.limits.refusals_max);
        let expected = "contents that grew from nothing, or from what was verified, under the guard";
        for (root, place) in elsewhere {
            let place = resolve(place);
            let told = |watched: &&Watched| watched.elsewhere && watched.root == *root && watched.place == place;
            let objection = match self.watched.iter().find(told) {
                Some(watched) => watched.base.objection(self.no_restore),
                None => Some("a directory that the guard was not told of when it started"),
            };
            if let Some(found) = objection {
                refusals.push(Refusal::new(Code::UnverifiedBase, place.into_os_string().into_vec(), expected, found));
            }
        }
        let in_place = |watched: &&Watched| {
            watched.cache == cache && !watched.elsewhere && !elsewhere.iter().any(|(root, _)| *root == watched.root)
        };
        for watched in self.watched.iter().filter(in_place) {
            if let Some(found) = watched.base.objection(self.no_restore) {
                refusals.push(Refusal::new(Code::UnverifiedBase, watched.root.as_str(), expected, found));
            }
        }
        refusals
    }
}

/// Whether nothing is there yet.
fn vacancy(place: PathBuf, filled_allowed: bool) -> Result<Base, BeginError> {
    match is_vacant(&place) {
        Ok(Ok(())) => Ok(Base::EmptyBefore),
        Ok(Err(_)) if filled_allowed => Ok(Base::FilledBefore),
        Ok(Err(Kind::Directory)) => Err(BeginError::NotEmpty { place, found: "a directory with contents" }),
        Ok(Err(kind)) => Err(BeginError::NotEmpty { place, found: kind.noun() }),
        Err(source) => Err(BeginError::Unreadable { place, source }),
    }
}
