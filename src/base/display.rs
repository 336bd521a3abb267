//! Hostile text made harmless for terminals and logs.

use std::fmt::{self, Write as _};

/// Shows bytes with everything escaped that could move a cursor, forge a line or reorder text: control
/// characters, line and paragraph separators, bidi and other invisible format characters, bytes that are
/// not UTF-8. The backslash is doubled, so two names never look alike.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    c if is_hazardous(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Control characters and the Unicode format characters (category Cf, the separators Zl and Zp, and
/// variation selectors and tags) that change how the text around them is shown, and the letters and the sign that are
/// shown as nothing: fillers of Hangul and Khmer, and the blank of Braille.
fn is_hazardous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// "1 file", "2 files", "2 entries": a count with its noun.
#[must_use]
pub fn plural(count: u64, singular: &str, plural: &str) -> String {
    format!("{count} {}", if count == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_terminal_is_escaped() {
        for (raw, shown) in [
            (&b"plain/name.js"[..], "plain/name.js"),
            (b"new\nline", "new\\nline"),
            (b"\x1b[31mred", "\\u{1b}[31mred"),
            (b"a\xff", "a\\xff"),
            (b"back\\slash", "back\\\\slash"),
            ("\u{202e}gpj.exe".as_bytes(), "\\u{202e}gpj.exe"),
            ("zero\u{200b}width".as_bytes(), "zero\\u{200b}width"),
            ("a\u{3164}\u{2800}b".as_bytes(), "a\\u{3164}\\u{2800}b"),
            ("caf\u{e9}".as_bytes(), "caf\u{e9}"),
        ] {
            assert_eq!(Escaped(raw).to_string(), shown);
        }
    }
}
