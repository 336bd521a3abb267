//! The forms that a report of `verify` is shown in: a row each.

use super::form::Format;
use super::{json, junit, text};

/// Every form, the one for people first.
pub const FORMATS: &[Format] = &[text::FORMAT, json::FORMAT, junit::FORMAT];

#[cfg(test)]
mod tests {
    use super::super::verdict::VerifyReport;
    use super::*;
    use crate::base::{Code, Exit, Refusal, Refusals};
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
        refusals.push(Refusal::new(Code::NoSeal, "a", "b", "c"));
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
        refusals.push(Refusal::new(Code::ExtraEntry, &b"a b\xff\\"[..], "b", "c"));
        let found = Verification { refusals, facts: None, coverage: None, rules: Vec::new(), kept: None };
        let report = VerifyReport::new("verify", ("deps", "ci"), found, true, false);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["refusals"][0]["place"], r"a\040b\377\134");
        assert_eq!(serde_json::from_value::<VerifyReport>(json).unwrap(), report);
    }
}
