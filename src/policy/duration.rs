//! How old a seal may be.

use std::fmt;
use std::str::FromStr;

use crate::base::Escaped;

/// A span of time as the policy writes it: a whole number and `d`, `h` or `m`; longer than nothing, at most
/// 3,650 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxAge {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Days,
    Hours,
    Minutes,
}

/// Why a text is not a [`MaxAge`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaxAgeError {
    /// Not a whole number and a unit.
    #[error("expected a whole number and `d`, `h` or `m`, like `7d`, found `{}`", Escaped(.0.as_bytes()))]
    Form(String),
    /// Nothing, or too long to mean anything.
    #[error("expected more than nothing and at most `3650d`, found `{}`", Escaped(.0.as_bytes()))]
    Range(String),
}

impl MaxAge {
    const SECONDS_MAX: u64 = 3_650 * 86_400;

    /// Ten years: as good as any age.
    pub(super) fn longest() -> Self {
        Self { count: 3_650, unit: Unit::Days }
    }

    /// The span in seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::from(self.count) * self.unit.seconds()
    }
}

impl Unit {
    fn letter(self) -> char {
        match self {
            Self::Days => 'd',
            Self::Hours => 'h',
            Self::Minutes => 'm',
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Self::Days => 86_400,
            Self::Hours => 3_600,
            Self::Minutes => 60,
        }
    }
}

impl FromStr for MaxAge {
    type Err = MaxAgeError;

    fn from_str(text: &str) -> Result<Self, MaxAgeError> {
        let form = || MaxAgeError::Form(text.to_owned());
        let (digits, unit) = [Unit::Days, Unit::Hours, Unit::Minutes]
            .into_iter()
            .find_map(|unit| Some((text.strip_suffix(unit.letter())?, unit)))
            .ok_or_else(form)?;
        let leading_zero = digits.len() > 1 && digits.starts_with('0');
        if digits.is_empty() || leading_zero || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        let range = || MaxAgeError::Range(text.to_owned());
        let age = Self { count: digits.parse().map_err(|_| range())?, unit };
        if (1..=Self::SECONDS_MAX).contains(&age.seconds()) { Ok(age) } else { Err(range()) }
    }
}

impl fmt::Display for MaxAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.letter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown_as_written() {
        for (text, seconds) in [
            ("7d", 604_800),
            ("12h", 43_200),
            ("24h", 86_400),
            ("90m", 5_400),
            ("1m", 60),
            ("3650d", 315_360_000),
            ("87600h", 315_360_000),
            ("5256000m", 315_360_000),
        ] {
            let age: MaxAge = text.parse().unwrap();
            assert_eq!((age.seconds(), age.to_string().as_str()), (seconds, text));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "d", "7", "7s", "7w", "7D", "7 d", " 7d", "07d", "+7d", "-7d", "1.5d", "7d12h", "7dd", "٧d"] {
            assert_eq!(text.parse::<MaxAge>(), Err(MaxAgeError::Form(text.to_owned())), "{text}");
        }
        for text in ["0d", "0m", "3651d", "87601h", "5256001m", "4294967296m", "99999999999999999999d"] {
            assert_eq!(text.parse::<MaxAge>(), Err(MaxAgeError::Range(text.to_owned())), "{text}");
        }
    }
}
