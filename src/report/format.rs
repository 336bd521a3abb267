//! The forms that a report of `verify` is shown in.

use super::{VerifyReport, json, junit, text};
use crate::base::Code;

/// A form of a report.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// Shows an outcome.
    pub render: fn(&VerifyReport) -> Vec<u8>,
    /// Shows an error that came before any outcome.
    pub error: fn(&ErrorReport<'_>) -> Vec<u8>,
}

/// An error that ended a command before any outcome.
#[derive(Debug, Clone, Copy)]
pub struct ErrorReport<'a> {
    /// The verb.
    pub command: &'a str,
    /// The cache's name, if there is one.
    pub cache: &'a str,
    /// The gate's name, if there is one.
    pub gate: &'a str,
    /// What is wrong.
    pub code: Code,
    /// What was expected and what was found.
    pub message: &'a str,
    /// What to do.
    pub hints: &'a [String],
}

/// Every form, the one for people first.
pub const FORMATS: &[Format] = &[text::FORMAT, json::FORMAT, junit::FORMAT];

impl Format {
    /// Whether it is the one for programs, which every command has.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.name == json::FORMAT.name
    }

    /// The form of a name.
    #[must_use]
    pub fn named(name: &str, formats: &'static [Self]) -> Option<&'static Self> {
        formats.iter().find(|format| format.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Exit, Refusals};
    use crate::cache::Verification;

    /// A new form is a file with two functions, and a row.
    #[test]
    fn a_form_is_a_row() {
        const COUNTED: Format = Format {
            name: "counted",
            render: |report| format!("{} {}", report.verdict, report.counts.len()).into_bytes(),
            error: |error| error.code.to_string().into_bytes(),
        };
        const MORE: &[Format] = &[text::FORMAT, COUNTED];
        let mut refusals = Refusals::new(9);
        refusals.push(crate::base::Refusal::new(Code::NoSeal, "a", "b", "c"));
        let found = Verification { refusals, facts: None, coverage: None, rules: Vec::new(), kept: None };
        let report = VerifyReport::new("verify", ("deps", "ci"), found, false, false);
        assert_eq!(report.exit, Exit::Untrusted);
        let format = Format::named("counted", MORE).unwrap();
        assert_eq!((format.render)(&report), b"refused 1");
        assert!(Format::named("counted", FORMATS).is_none());
        for format in FORMATS {
            assert!(!(format.render)(&report).is_empty(), "{}", format.name);
        }
    }

    #[test]
    fn a_report_is_read_back_as_it_was() {
        let mut refusals = Refusals::new(9);
        refusals.push(crate::base::Refusal::new(Code::ExtraEntry, &b"a b\xff\\"[..], "b", "c"));
        let found = Verification { refusals, facts: None, coverage: None, rules: Vec::new(), kept: None };
        let report = VerifyReport::new("verify", ("deps", "ci"), found, true, false);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["refusals"][0]["place"], r"a\040b\377\134");
        assert_eq!(serde_json::from_value::<VerifyReport>(json).unwrap(), report);
    }
}
