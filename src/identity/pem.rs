//! One PEM block (RFC 7468, its strict grammar) that fills its whole text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Characters of base64 on every line but the last.
const LINE_LEN: usize = 64;

/// A PEM block whose body has not been decoded.
pub(super) struct Block<'a> {
    /// The text between `-----BEGIN ` and `-----`.
    pub(super) label: &'a str,
    lines: Vec<&'a [u8]>,
}

impl<'a> Block<'a> {
    /// Reads a text that is one block. LF or CRLF ends a line; the last line may go without.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let text = text.strip_suffix(b"\n").map_or(text, without_return);
        let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        let end = boundary(lines.pop()?, b"-----END ")?;
        let mut lines = lines.into_iter().map(without_return);
        let label = boundary(lines.next()?, b"-----BEGIN ")?;
        (label == end).then(|| Self { label, lines: lines.collect() })
    }

    /// The decoded body.
    pub(super) fn der(&self) -> Option<Zeroizing<Vec<u8>>> {
        let (_, full) = self.lines.split_last()?;
        if full.iter().any(|line| line.len() != LINE_LEN) {
            return None;
        }
        decode(&Zeroizing::new(self.lines.concat()))
    }
}

/// The line before its line feed, without the carriage return that may stand there.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn boundary<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a str> {
    str::from_utf8(line.strip_prefix(start)?.strip_suffix(b"-----")?).ok()
}

/// Decodes canonical base64 with padding. The buffer is cleared even when decoding stops half way.
pub(super) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let len = STANDARD.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

/// Encodes as base64 with padding, in one line.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(bytes))
}

/// The text of a block whose body takes one line.
pub(super) fn write(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = encode(der);
    // Room for everything at once: growing would leave a copy of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + 2 * label.len() + LINE_LEN));
    for part in ["-----BEGIN ", label, "-----\n", &body, "\n-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}
