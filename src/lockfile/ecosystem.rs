//! What an ecosystem has to say.

use std::fmt::Debug;

use super::{LockfileError, LockfileText, Plan};

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

    /// Directories of which everything can be proven, as a policy spells them: what `init --lockfile-only` proposes
    /// for this lockfile. None where there is none.
    fn whole_roots(&self, file_name: &str) -> &'static [&'static str] {
        let _ = file_name;
        &[]
    }

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
