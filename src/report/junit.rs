//! Reports for test viewers: one test case for a cache at a gate, one failure in it for each code.

use std::fmt::Write as _;

use super::Report;
use super::text::refusals_listed;
use crate::base::{Code, Exit, Refusals};

impl Report<'_> {
    /// The report as a `JUnit` document.
    #[must_use]
    pub fn junit(&self) -> String {
        let text = self.text();
        let mut inner = String::new();
        if self.outcome == Exit::Miss && self.exit == Exit::Ok {
            inner.push_str("      <skipped message=\"nothing was restored, which is allowed\"/>\n");
        } else {
            inner.push_str(&findings(self.refusals));
        }
        document(self.cache, self.gate, &inner, &text)
    }
}

/// An error that ended `verify` before any verdict, as a `JUnit` document.
#[must_use]
pub fn error_junit(cache: &str, gate: &str, code: Code, message: &str) -> String {
    let inner = element("error", code, message, message);
    document(cache, gate, &inner, "")
}

/// An element for each code: a failure where something was decided, an error where nothing could be.
fn findings(refusals: &Refusals) -> String {
    let mut out = String::new();
    for (code, count) in refusals.counts() {
        let name = if matches!(code.exit(), Exit::Io) { "error" } else { "failure" };
        out.push_str(&element(name, code, &format!("{count} {code}"), &refusals_listed(refusals, code)));
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
