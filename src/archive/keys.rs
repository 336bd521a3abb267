//! What PAX keys mean: the few that are applied, those that change nothing in any program, and the few whose refusal
//! has a code of its own. Every other key is refused: some program may know it.

use super::acl::Acl;
use super::error::Fault;
use super::header::OWNER_END;
use crate::base::{Code, Escaped};

/// What a record says of its member.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Its name.
    Path,
    /// Where it leads to.
    Link,
    /// The length of its contents.
    Size(u64),
    /// Nothing that is sealed, and no right.
    Nothing,
    /// Rights, which its mode may give as well.
    Acl(Acl),
    /// Rights that no mode gives.
    Privilege,
}

/// Attributes that only describe a file.
const LABEL: &[u8] = b"security.selinux";
/// The contents of a file in the place of its own, for macOS.
const COMPRESSED: &[u8] = b"com.apple.decmpfs";
/// Flags of a file that give and take no right.
const FLAGS: [&[u8]; 4] = [b"nodump", b"hidden", b"compressed", b"nocow"];

/// What a record means, or why it is refused.
pub(super) fn meaning(key: &[u8], value: &[u8]) -> Result<Meaning, Fault> {
    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
        return attribute(key, name);
    }
    refuse_by_name(key)?;
    if value.is_empty() {
        return Err(malformed("a value in each PAX record", format!("none for `{}`", Escaped(key))));
    }
    // Some programs end there, others stop reading.
    if value.contains(&0) {
        return Err(malformed("a value without NUL", format!("one for `{}`", Escaped(key))));
    }
    if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
        return attribute(key, name);
    }
    let is_right = match key {
        b"path" => return Ok(Meaning::Path),
        b"linkpath" => return Ok(Meaning::Link),
        b"size" => return size(value).map(Meaning::Size),
        b"SCHILY.acl.access" | b"SCHILY.acl.default" => return Ok(Meaning::Acl(Acl::new(key, value))),
        _ if key.starts_with(b"SCHILY.acl.") => return Ok(Meaning::Privilege),
        b"uid" | b"gid" => decimal(value).is_some_and(|owner| owner < OWNER_END),
        b"mtime" | b"atime" | b"ctime" | b"LIBARCHIVE.creationtime" => is_time(value),
        b"SCHILY.dev" | b"SCHILY.ino" | b"SCHILY.nlink" | b"SCHILY.devmajor" | b"SCHILY.devminor" => {
            decimal(value).is_some()
        }
        b"hdrcharset" => matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8"),
        b"LIBARCHIVE.symlinktype" => matches!(value, b"file" | b"dir"),
        b"SCHILY.fflags" => value.split(|byte| *byte == b',').all(|flag| FLAGS.contains(&flag)),
        b"uname" | b"gname" | b"comment" | b"charset" | b"RHT.security.selinux" => true,
        _ => return Err(malformed("PAX keys that every program reads alike", format!("`{}`", Escaped(key)))),
    };
    if is_right {
        Ok(Meaning::Nothing)
    } else {
        Err(malformed("a value that its key may have", format!("`{}` for `{}`", Escaped(value), Escaped(key))))
    }
}

/// What has no place in a record for all members that follow: everything but a comment.
pub(super) fn check_global(key: &[u8], value: &[u8]) -> Result<(), Fault> {
    refuse_by_name(key)?;
    if key != b"comment" {
        let found = format!("`{}` in a global PAX header", Escaped(key));
        return Err(Fault::new(Code::GlobalHeader, "records for one member at a time", found));
    }
    meaning(key, value).map(|_| ())
}

/// Keys of which the code says which option of a tar program wrote them.
fn refuse_by_name(key: &[u8]) -> Result<(), Fault> {
    let found = || format!("`{}`", Escaped(key));
    if key.starts_with(b"GNU.sparse.") || matches!(key, b"SCHILY.realsize" | b"SUN.holesdata") {
        return Err(Fault::new(Code::SparseFile, "a file without holes", found()));
    }
    if key.starts_with(b"GNU.volume.") || key == b"GNU.dumpdir" {
        return Err(Fault::new(Code::UnsupportedMember, "no volume label and no dump of a directory", found()));
    }
    Ok(())
}

/// What an extended attribute means. bsdtar and GNU tar decode percent signs in its name, each in some records: it must
/// be harmless both as it is and decoded.
fn attribute(key: &[u8], name: &[u8]) -> Result<Meaning, Fault> {
    let decoded = percent_decoded(name);
    let readings = [name, &decoded];
    let begins = |prefix: &[u8]| readings.iter().any(|name| name.starts_with(prefix));
    let is_harmless = |name: &[u8]| {
        name == LABEL || name != COMPRESSED && (name.starts_with(b"user.") || name.starts_with(b"com.apple."))
    };
    if decoded.iter().all(u8::is_ascii_graphic) && readings.into_iter().all(is_harmless) {
        Ok(Meaning::Nothing)
    } else if begins(b"security.") || begins(b"trusted.") || begins(b"system.") {
        Ok(Meaning::Privilege)
    } else {
        Err(malformed("attributes that every program takes alike", format!("`{}`", Escaped(key))))
    }
}

/// `%` and two hexadecimal digits are one byte; any other `%` is itself.
fn percent_decoded(name: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, after @ ..] = rest {
        let digits =
            after.first_chunk::<2>().filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = digits.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = byte.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        rest = if byte.is_some() { after.split_at(2).1 } else { after };
        decoded.push(byte.unwrap_or(*first));
    }
    decoded
}

/// What stands before the first `byte`, and what behind it.
pub(super) fn cut(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (front, back) = text.split_at(text.iter().position(|other| *other == byte)?);
    Some((front, back.split_first()?.1))
}

/// Decimal digits without sign or leading zeros.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let is_plain = text.iter().all(u8::is_ascii_digit) && (text == b"0" || text.first() != Some(&b'0'));
    is_plain.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// Seconds since 1970, with a fraction; times before have a sign. GNU tar takes no second beyond 64 bits.
fn is_time(text: &[u8]) -> bool {
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let seconds = |part: &[u8]| digits(part) && std::str::from_utf8(part).is_ok_and(|text| text.parse::<i64>().is_ok());
    let text = text.strip_prefix(b"-").unwrap_or(text);
    match cut(text, b'.') {
        None => seconds(text),
        Some((whole, fraction)) => seconds(whole) && digits(fraction),
    }
}

fn size(value: &[u8]) -> Result<u64, Fault> {
    decimal(value)
        .filter(|size| *size < 1 << 62)
        .ok_or_else(|| malformed("a size below 2^62 in decimal digits", format!("`{}`", Escaped(value))))
}

fn malformed(expected: &'static str, found: impl Into<String>) -> Fault {
    Fault::new(Code::MalformedExtension, expected, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(key: &str, value: &[u8]) -> Result<Meaning, Code> {
        meaning(key.as_bytes(), value).map_err(|fault| fault.code)
    }

    #[test]
    fn attributes_are_judged_by_the_name_that_programs_read() {
        for vendor in ["SCHILY.xattr.", "LIBARCHIVE.xattr."] {
            for (name, expected) in [
                ("user.note", Ok(Meaning::Nothing)),
                ("user.a%3Db", Ok(Meaning::Nothing)),
                ("user.100%", Ok(Meaning::Nothing)),
                ("com.apple.metadata:kMDItemWhereFroms", Ok(Meaning::Nothing)),
                ("security.selinux", Ok(Meaning::Nothing)),
                ("security.capability", Ok(Meaning::Privilege)),
                ("security%2Ecapability", Ok(Meaning::Privilege)),
                ("%73ecurity.ima", Ok(Meaning::Privilege)),
                ("security.selinux%00", Ok(Meaning::Privilege)),
                ("security%2Eselinux", Ok(Meaning::Privilege)),
                ("trusted.overlay.opaque", Ok(Meaning::Privilege)),
                ("system.posix_acl_access", Ok(Meaning::Privilege)),
                ("com.apple.decmpfs", Err(Code::MalformedExtension)),
                ("com.apple%2edecmpfs", Err(Code::MalformedExtension)),
                ("user%2Enote", Err(Code::MalformedExtension)),
                ("user.%0A", Err(Code::MalformedExtension)),
                ("user.\u{e9}", Err(Code::MalformedExtension)),
                ("User.note", Err(Code::MalformedExtension)),
                ("", Err(Code::MalformedExtension)),
            ] {
                assert_eq!(code(&format!("{vendor}{name}"), b"eA"), expected, "{vendor}{name}");
            }
        }
        assert_eq!(code("SCHILY.xattr.user.note", b""), Ok(Meaning::Nothing));
        assert_eq!(code("SCHILY.xattr.user.note", b"a\0b"), Ok(Meaning::Nothing));
    }

    #[test]
    fn only_plain_flags_change_nothing() {
        for (flags, is_nothing) in [
            ("nodump", true),
            ("hidden,compressed", true),
            ("schg", false),
            ("nodump,uappnd", false),
            ("nodump,", false),
        ] {
            assert_eq!(code("SCHILY.fflags", flags.as_bytes()).is_ok(), is_nothing, "{flags}");
        }
    }

    #[test]
    fn percent_signs_are_decoded_where_digits_follow() {
        for (name, decoded) in [("a%2Eb", "a.b"), ("%", "%"), ("%2", "%2"), ("%zz%41", "%zzA"), ("%+1", "%+1")] {
            assert_eq!(percent_decoded(name.as_bytes()), decoded.as_bytes());
        }
    }
}
