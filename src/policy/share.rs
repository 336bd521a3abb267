//! `min_lockfile_coverage`: a share of a cache.

use std::fmt;

use toml::Spanned;

use super::PolicyError;
use super::shape::Number;
use super::source::Source;

/// The share of a cache that lockfiles must prove, from 0 to 1, of its files and of its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinCoverage(f64);

// Never NaN.
impl Eq for MinCoverage {}

impl MinCoverage {
    /// Nothing is demanded.
    pub const NONE: Self = Self(0.0);

    pub(super) fn read(source: &Source, number: Option<&Spanned<Number>>) -> Result<Self, PolicyError> {
        let Some(number) = number else { return Ok(Self::NONE) };
        let share = number.get_ref().0;
        if (0.0..=1.0).contains(&share) {
            // Minus zero is zero.
            return Ok(Self(share.abs()));
        }
        Err(source.malformed(number, "a share from 0 to 1, like 0.95", share))
    }

    /// Whether `part` of `whole` is enough. Of nothing, nothing is enough.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of more than 2^53 bytes need not be exact")]
    pub fn is_met(self, part: u64, whole: u64) -> bool {
        part == whole || part as f64 >= self.0 * whole as f64
    }
}

impl fmt::Display for MinCoverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
