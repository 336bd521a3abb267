//! What a guard has kept of the caches that it trusts, to be compared with what is there later.

use super::Guard;
use crate::base::Refusal;
use crate::cache::Kept;

/// Why a guard has kept nothing of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unkept {
    /// It does not trust what is there, or does not know it.
    Refused(Refusal),
    /// It trusts it for its lockfiles alone, so no seal says what each entry is.
    Unsealed,
}

impl Guard {
    /// What was kept of a guarded cache at the last verdict, if that trusted it, or when the job sealed it since then.
    pub fn kept(&self, cache: &str) -> Result<&Kept, Unkept> {
        let guarded = self.caches.iter().find(|one| one.name == cache).ok_or(Unkept::Unsealed)?;
        guarded.kept.as_ref().ok_or_else(|| match guarded.unkept() {
            Some((code, found)) => {
                let expected = "a cache that this guard has verified and trusts";
                Unkept::Refused(Refusal::new(code, cache, expected, found))
            }
            None => Unkept::Unsealed,
        })
    }

    /// Keeps what the job has sealed as [`Guard::sealed`] took note of.
    pub fn keep(&mut self, cache: &str, kept: Option<Kept>) {
        if let Some(guarded) = self.caches.iter_mut().find(|one| one.name == cache) {
            guarded.kept = kept;
        }
    }
}
