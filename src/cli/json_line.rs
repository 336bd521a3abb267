//! JSON on a line of its own.

use std::fmt::Write as _;

use serde_json::Value;

/// One line of printable ASCII. Much that JSON lets stand as it is could still move a cursor or reorder text.
pub(super) fn json_line(value: &Value) -> Vec<u8> {
    let mut line = String::new();
    for character in value.to_string().chars() {
        if matches!(character, ' '..='~') {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line.push('\n');
    line.into_bytes()
}
