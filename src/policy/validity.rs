//! When a key may be used: whole days, UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The days on which a key may be used. Both ends belong to it; an end that is not written is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// The first day.
    pub from: Option<Date>,
    /// The last day, until its end.
    pub until: Option<Date>,
}

/// On which side of its validity an instant lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Before the first day.
    NotYet,
    /// On one of the days.
    Valid,
    /// After the last day.
    Expired,
}

/// How long before the last day's end a key is worth a warning.
pub const WARNING: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Validity {
    /// Where an instant lies.
    #[must_use]
    pub fn standing(self, instant: Timestamp) -> Standing {
        if self.from.and_then(start).is_some_and(|start| instant < start) {
            Standing::NotYet
        } else if self.end().is_some_and(|end| instant >= end) {
            Standing::Expired
        } else {
            Standing::Valid
        }
    }

    /// The first instant after the last day.
    #[must_use]
    pub fn end(self) -> Option<Timestamp> {
        self.until.and_then(|day| day.tomorrow().ok()).and_then(start)
    }

    /// Whether the end is near: fewer than 30 days away, and not yet over.
    #[must_use]
    pub fn ends_soon(self, now: Timestamp) -> bool {
        self.end().is_some_and(|end| now < end && end.duration_since(now) <= WARNING)
    }
}

/// Midnight at the start of a day, UTC.
fn start(day: Date) -> Option<Timestamp> {
    day.to_zoned_datetime(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// A day as the policy writes it: `2027-06-30`, nothing else.
pub(super) fn parse_day(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|day| day.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn both_days_count_whole() {
        let validity = Validity { from: parse_day("2026-11-01"), until: parse_day("2026-11-30") };
        for (instant, standing) in [
            ("2026-10-31T23:59:59Z", Standing::NotYet),
            ("2026-11-01T00:00:00Z", Standing::Valid),
            ("2026-11-30T23:59:59.999Z", Standing::Valid),
            ("2026-12-01T00:00:00Z", Standing::Expired),
        ] {
            assert_eq!(validity.standing(at(instant)), standing, "{instant}");
        }
        assert_eq!(Validity::default().standing(at("0001-01-01T00:00:00Z")), Standing::Valid);
    }

    #[test]
    fn the_end_is_told_thirty_days_ahead() {
        let validity = Validity { from: None, until: parse_day("2026-11-30") };
        for (instant, soon) in [
            ("2026-10-31T23:59:59Z", false),
            ("2026-11-01T00:00:00Z", true),
            ("2026-11-30T23:59:59Z", true),
            ("2026-12-01T00:00:00Z", false),
        ] {
            assert_eq!(validity.ends_soon(at(instant)), soon, "{instant}");
        }
        assert!(!Validity::default().ends_soon(at("2026-11-01T00:00:00Z")));
    }

    #[test]
    fn days_have_one_spelling() {
        for text in ["2026-11-1", "2026-11-31", "20261101", "2026-11-01T00:00:00Z", " 2026-11-01", "tomorrow", ""] {
            assert_eq!(parse_day(text), None, "{text}");
        }
        assert!(parse_day("2028-02-29").is_some());
    }
}
