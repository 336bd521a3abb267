//! One tar header: 512 bytes, in the formats v7, ustar (POSIX.1-1988) and GNU. Everything that programs read in
//! different ways is refused.

use super::error::Fault;
use crate::base::{Code, Escaped};

/// Bytes of a header and of everything that is counted in an archive.
pub(super) const BLOCK: usize = 512;

/// What a header says, before anything that precedes it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) form: Form,
    pub(super) type_flag: u8,
    /// The prefix of ustar already joined to it.
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    /// Permission bits, at most `0o7777`.
    pub(super) mode: u32,
    /// Bytes of contents that follow.
    pub(super) size: u64,
}

/// The format of a header, by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    V7,
    Ustar,
    Gnu,
}

/// Where the fields lie, in the order of the header.
mod field {
    use std::ops::Range;

    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const TYPE_FLAG: usize = 156;
    pub(super) const LINK: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..265;
    pub(super) const OWNER_NAMES: Range<usize> = 265..329;
    pub(super) const DEVICES: [Range<usize>; 2] = [329..337, 337..345];
    pub(super) const PREFIX: Range<usize> = 345..500;
    pub(super) const AFTER_PREFIX: Range<usize> = 500..512;
    pub(super) const AFTER_DEVICES: Range<usize> = 345..512;
}

/// The size that octal digits cannot tell, bytes: 8 GiB.
pub(super) const OCTAL_SIZE_END: u64 = 1 << 33;
/// User and group ids have 32 bits: GNU tar fails at larger ones.
pub(super) const OWNER_END: u64 = 1 << 32;
/// Times have 64 bits, one of them for the sign.
const TIME_END: u64 = 1 << 63;
/// Larger sizes overflow in programs that count with a sign.
const SIZE_END: u64 = 1 << 62;

impl Header {
    /// Reads a header; `None` for a block of zeros.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Option<Self>, Fault> {
        if are_zeros(block) {
            return Ok(None);
        }
        check_sum(block)?;
        let type_flag = block[field::TYPE_FLAG];
        refuse_type(type_flag)?;
        let form = form(block)?;
        let mode = number(part(block, field::MODE), "a mode")?.ok_or_else(|| malformed("a mode", "no digits"))?;
        let mode = permissions(mode, type_flag)?;
        let size = number(part(block, field::SIZE), "a size")?.ok_or_else(|| malformed("a size", "no digits"))?;
        if size >= SIZE_END {
            return Err(malformed("a size below 2^62", size.to_string()));
        }
        aside(part(block, field::UID), "a uid", OWNER_END)?;
        aside(part(block, field::GID), "a gid", OWNER_END)?;
        let time = part(block, field::MTIME);
        if !is_before_1970(time) {
            aside(time, "a time", TIME_END)?;
        }
        let name = text(part(block, field::NAME))?;
        let link = text(part(block, field::LINK))?.to_vec();
        let name = joined(form, block, name)?;
        Ok(Some(Self { form, type_flag, name, link, mode, size }))
    }

    /// Whether a block may be meant as a header at all: its magic or its checksum is right.
    pub(super) fn is_likely(block: &[u8; BLOCK]) -> bool {
        check_sum(block).is_ok() || part(block, field::MAGIC).starts_with(b"ustar")
    }
}

/// Whether all bytes are zero. Without an early end, which costs more than it saves.
pub(super) fn are_zeros(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

/// A field, which lies in the block.
fn part(block: &[u8; BLOCK], range: std::ops::Range<usize>) -> &[u8] {
    &block[range]
}

/// Types whose headers GNU tar fills in ways of its own, so that the code says which option wrote them.
fn refuse_type(type_flag: u8) -> Result<(), Fault> {
    let found = match type_flag {
        b'S' => return Err(Fault::new(Code::SparseFile, "a file without holes", "a sparse file")),
        b'V' => "a volume label",
        b'M' => "the rest of a file that began in another volume",
        b'D' => "the names in a directory, for an incremental backup",
        _ => return Ok(()),
    };
    Err(Fault::new(Code::UnsupportedMember, "a file, directory or link", found))
}

/// The permission bits of a mode. Some writers repeat the type in front of them.
fn permissions(mode: u64, type_flag: u8) -> Result<u32, Fault> {
    let repeated = match type_flag {
        b'2' => 0o120_000,
        b'3' => 0o020_000,
        b'4' => 0o060_000,
        b'5' => 0o040_000,
        b'6' => 0o010_000,
        _ => 0o100_000,
    };
    let kind = mode & !0o7777;
    let bits = u32::try_from(mode & 0o7777).ok().filter(|_| kind == 0 || kind == repeated);
    bits.ok_or_else(|| {
        malformed("permission bits up to 7777, behind the type of the member or none", format!("{mode:o}"))
    })
}

/// A negative number in base 256 of 64 bits: a time before 1970.
fn is_before_1970(field: &[u8]) -> bool {
    let (high, low) = field.split_at(field.len().saturating_sub(8));
    !high.is_empty() && high.iter().all(|byte| *byte == 0xff) && low.first().is_some_and(|first| first & 0x80 != 0)
}

fn malformed(expected: &'static str, found: impl Into<String>) -> Fault {
    Fault::new(Code::MalformedHeader, expected, found)
}

/// A number that nothing here needs: it only has to be one for every program. Spaces alone are none for GNU tar.
fn aside(field: &[u8], what: &'static str, end: u64) -> Result<(), Fault> {
    match number(field, what)? {
        Some(value) if value < end => Ok(()),
        None if !field.contains(&b' ') => Ok(()),
        _ => Err(malformed(what, format!("`{}`", Escaped(field)))),
    }
}

/// The sum of all bytes, the checksum field counted as spaces.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), Fault> {
    let fault = |found| Fault::new(Code::ChecksumMismatch, "the checksum of the header", found);
    // 512 bytes cannot make it wrap.
    let sum = |bytes: &[u8]| bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    let stored = part(block, field::CHECKSUM);
    let computed = u64::from(sum(block) - sum(stored) + 8 * u32::from(b' '));
    let written = number(stored, "a checksum").ok().flatten().ok_or_else(|| fault("none".to_owned()))?;
    if written == computed { Ok(()) } else { Err(fault(format!("{written}, where {computed} would be right"))) }
}

/// The format, and what of the header it does not use.
fn form(block: &[u8; BLOCK]) -> Result<Form, Fault> {
    let zeros = |range| are_zeros(part(block, range));
    match part(block, field::MAGIC) {
        b"ustar\x0000" => {
            devices(block)?;
            if zeros(field::AFTER_PREFIX) {
                Ok(Form::Ustar)
            } else {
                Err(malformed("zeros at the end of the header", "other bytes"))
            }
        }
        b"ustar  \0" => {
            devices(block)?;
            // Here old GNU archives keep times and the maps of sparse files, others the prefix of the name.
            if zeros(field::AFTER_DEVICES) {
                Ok(Form::Gnu)
            } else {
                Err(Fault::new(Code::AmbiguousHeader, "zeros at the end of a GNU header", "other bytes"))
            }
        }
        // GNU tar writes device numbers, always zero, where v7 has nothing.
        b"\0\0\0\0\0\0\0\0" if zeros(field::OWNER_NAMES) && zeros(field::AFTER_DEVICES) && are_no_devices(block) => {
            Ok(Form::V7)
        }
        magic => Err(malformed("the magic of ustar, GNU or v7", format!("`{}`", Escaped(magic)))),
    }
}

fn devices(block: &[u8; BLOCK]) -> Result<(), Fault> {
    field::DEVICES.into_iter().try_for_each(|range| number(part(block, range), "a device number").map(|_| ()))
}

fn are_no_devices(block: &[u8; BLOCK]) -> bool {
    let is_zero = |range| part(block, range).iter().all(|byte| matches!(*byte, 0 | b'0'));
    field::DEVICES.into_iter().all(is_zero)
}

/// A field of text: up to the first NUL, after which only NULs may follow.
fn text(field: &[u8]) -> Result<&[u8], Fault> {
    let len = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let (text, rest) = field.split_at(len);
    if are_zeros(rest) {
        Ok(text)
    } else {
        Err(Fault::new(Code::AmbiguousHeader, "nothing after the end of a name", "more bytes after its NUL"))
    }
}

/// The name with the prefix that ustar has for it.
fn joined(form: Form, block: &[u8; BLOCK], name: &[u8]) -> Result<Vec<u8>, Fault> {
    let prefix = if form == Form::Ustar { text(part(block, field::PREFIX))? } else { b"" };
    Ok(if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() })
}

/// A numeric field: octal digits between spaces and NULs, or a positive base-256 number. `None` without digits.
fn number(field: &[u8], what: &'static str) -> Result<Option<u64>, Fault> {
    match field.split_first() {
        Some((first, rest)) if first & 0x80 != 0 => base_256(*first, rest, what).map(Some),
        _ => octal(field, what),
    }
}

/// The GNU extension for numbers that octal digits cannot tell: big-endian behind a byte `0x80`.
fn base_256(first: u8, rest: &[u8], what: &'static str) -> Result<u64, Fault> {
    if first != 0x80 {
        return Err(malformed(what, "a negative number, or one that is too large"));
    }
    let (high, low) = rest.split_at(rest.len().saturating_sub(8));
    if high.iter().any(|byte| *byte != 0) {
        return Err(malformed(what, "a number that is too large"));
    }
    let value = low.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    // A number that fits in octal has one form only. The field loses one digit to the byte in front of it.
    let digits = u32::try_from(rest.len()).unwrap_or(0);
    if 8_u64.checked_pow(digits).is_some_and(|end| value < end) {
        return Err(Fault::new(Code::AmbiguousHeader, "octal digits for a number that fits", "base 256"));
    }
    Ok(value)
}

fn octal(field: &[u8], what: &'static str) -> Result<Option<u64>, Fault> {
    let mut rest = field.iter().skip_while(|byte| **byte == b' ').peekable();
    let mut value = None;
    while let Some(digit) = rest.next_if(|byte| matches!(byte, b'0'..=b'7')) {
        // At most twelve digits, so it fits.
        value = Some(value.unwrap_or(0_u64) << 3 | u64::from(digit - b'0'));
    }
    if rest.all(|byte| matches!(byte, b' ' | 0)) {
        Ok(value)
    } else {
        Err(malformed(what, format!("`{}`", Escaped(field))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(field: &[u8]) -> Result<Option<u64>, Code> {
        number(field, "").map_err(|fault| fault.code)
    }

    #[test]
    fn numbers_have_one_reading() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"000644 \0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777777\0", Some(OCTAL_SIZE_END - 1)),
            (b"777777777777", Some((1 << 36) - 1)),
            (b"\0\0\0\0\0\0\0\0", None),
            (b"        ", None),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(OCTAL_SIZE_END)),
        ] {
            assert_eq!(code(field), Ok(value), "{}", Escaped(field));
        }
    }

    #[test]
    fn other_numbers_are_refused() {
        for field in [
            &b"0000648\0"[..],
            b"-000644\0",
            b"+000644\0",
            b"0x00644\0",
            b"64 4    ",
            b"644\x00644\0",
            b"\x00000644",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
            b"\xc0\0\0\0\0\0\0\x02\0\0\0\0",
            b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(code(field), Err(Code::MalformedHeader), "{}", Escaped(field));
        }
        assert_eq!(code(b"\x80\0\0\0\0\0\0\0\0\0\0\x04"), Err(Code::AmbiguousHeader));
    }
}
