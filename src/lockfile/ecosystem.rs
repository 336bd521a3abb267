//! What an ecosystem has to say.

use std::fmt::Debug;

use super::{LockfileError, LockfileText, Plan};

/// A lockfile that `init` knows, and what it makes of a project that has it.
#[derive(Debug, Clone, Copy)]
pub struct Starter {
    /// Its path in the project. With `*` in its name, it may be several files, and all of them are needed.
    pub lockfile: &'static str,
    /// A line that only this form of the file has. Of the starters for one file, the first whose line is there is taken.
    pub marker: Option<&'static str>,
    /// The name of the cache.
    pub cache: &'static str,
    /// The directories that its tool fills, as a policy spells them.
    pub roots: &'static [&'static str],
    /// Directories of which everything can be proven by the lockfile: what `init --lockfile-only` proposes.
    pub proven: &'static [&'static str],
    /// What these directories hold, for people.
    pub note: &'static str,
}

/// An ecosystem: which lockfiles are its, and what they say.
pub trait Ecosystem: Sync {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// Whether a lockfile of this name, without directories, is its.
    fn reads(&self, file_name: &str) -> bool;

    /// Whether a lockfile at this path is its, where the name alone does not say so.
    fn reads_path(&self, path: &str) -> bool {
        let _ = path;
        false
    }

    /// Its lockfiles that `init` knows. Of several that fill the same directory, the first that is there is taken.
    fn starters(&self) -> &'static [Starter];

    /// Reads all its lockfiles of one cache. A file that is not whole and understood is an error, never less coverage.
    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError>;
}

/// What the lockfiles of one ecosystem ask for.
pub trait Locked: Debug + Send + Sync {
    /// How many packages they name.
    fn packages(&self) -> usize;

    /// Looks at the names in the roots and says what is to be proven. What it does not speak of is unproven.
    fn plan<'a>(&'a self, plan: &mut Plan<'a>);
}
