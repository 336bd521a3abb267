//! Reports for test viewers: one test case for a cache at a gate, one failure in it for each code.

use std::fmt::Write as _;

use super::form::{ErrorReport, Format};
use super::text::{counted, listed_of, verdict_text};
use super::verdict::VerifyReport;
use crate::base::{Code, Exit};

pub(super) const FORMAT: Format = Format { name: "junit", render, error };

fn render(report: &VerifyReport) -> Vec<u8> {
    let inner = if report.is_allowed_miss() {
        "      <skipped message=\"nothing was restored, which is allowed\"/>\n".to_owned()
    } else {
        findings(report)
    };
    document(&report.cache, &report.gate, &inner, &verdict_text(report)).into_bytes()
}

fn error(report: &ErrorReport<'_>) -> Vec<u8> {
    let inner = element("error", report.code, report.message, report.message);
    document(report.cache, report.gate, &inner, "").into_bytes()
}

/// An element for each code: a failure where something was decided, an error where nothing could be.
fn findings(report: &VerifyReport) -> String {
    let mut out = String::new();
    for (code, count) in &report.counts {
        let name = if matches!(code.exit(), Exit::Io) { "error" } else { "failure" };
        let listed = listed_of(&report.refusals, *code, counted(&report.counts, *code));
        out.push_str(&element(name, *code, &format!("{count} {code}"), &listed));
    }
    out
}

fn element(name: &str, code: Code, message: &str, text: &str) -> String {
    format!("      <{name} type=\"{code}\" message=\"{}\">{}</{name}>\n", Escaped(message), Escaped(text))
}

fn document(cache: &str, gate: &str, inner: &str, text: &str) -> String {
    let count = |name: &str| u8::from(inner.contains(&format!("<{name} ")));
    let (failures, errors) = (count("failure"), count("error"));
    // A case is counted once, as what is worst in it.
    let errors = if failures > 0 { 0 } else { errors };
    let counts = format!("tests=\"1\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{}\"", count("skipped"));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = write!(
        out,
        "<testsuites name=\"cacheseal\" {counts}>\n  <testsuite name=\"cacheseal verify\" {counts}>\n    \
         <testcase classname=\"cacheseal.{}\" name=\"gate {}\">\n{inner}",
        Escaped(cache),
        Escaped(gate)
    );
    if !text.is_empty() {
        let _ = writeln!(out, "      <system-out>{}</system-out>", Escaped(text));
    }
    out.push_str("    </testcase>\n  </testsuite>\n</testsuites>\n");
    out
}

/// Text for elements and quoted attributes. A character that XML 1.0 cannot hold in any spelling is named.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // A parser would make a space of these in an attribute.
                '\n' | '\t' | '\r' => write!(f, "&#{};", u32::from(character))?,
                '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => write!(f, "\\u{{{:x}}}", u32::from(character))?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_named() {
        for (text, shown) in [
            ("a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;"),
            ("a\nb\t\r", "a&#10;b&#9;&#13;"),
            ("\u{0}\u{1b}\u{ffff}\u{fffe}", "\\u{0}\\u{1b}\\u{ffff}\\u{fffe}"),
            ("]]>", "]]&gt;"),
            ("caf\u{e9}\u{1f980}", "caf\u{e9}\u{1f980}"),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
        }
    }
}
