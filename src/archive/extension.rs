//! What precedes a member to say more of it: PAX records (POSIX.1-2001, pax "Extended Header") and the long names of
//! GNU tar. Both for one member, or one thing said twice, is refused: programs differ in which they take.

use std::collections::BTreeSet;

use super::error::Fault;
use super::header::OWNER_END;
use crate::base::{Code, Escaped};

/// What is said of the next member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) source: Option<Source>,
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    /// Bytes of contents, from PAX.
    pub(super) size: Option<u64>,
    /// An extended attribute that gives privileges.
    pub(super) privilege: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Pax,
    Gnu,
}

impl Extension {
    /// Adds the data of a PAX header for one member.
    pub(super) fn add_pax(&mut self, data: &[u8]) -> Result<(), Fault> {
        if self.source.is_some() {
            return Err(ambiguous("one header of PAX records, and no GNU long name beside it", "a second extension"));
        }
        self.source = Some(Source::Pax);
        if data.is_empty() {
            return Err(malformed("PAX records", "none"));
        }
        let mut seen: BTreeSet<&[u8]> = BTreeSet::new();
        let mut rest = data;
        while !rest.is_empty() {
            let (record, after) = split_record(rest)?;
            rest = after;
            if !seen.insert(record.key) {
                return Err(ambiguous("each PAX key once", format!("`{}` twice", Escaped(record.key))));
            }
            self.add_record(&record)?;
        }
        Ok(())
    }

    fn add_record(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        let Record { key, value } = *record;
        if value.is_empty() {
            return Err(malformed("a value in each PAX record", format!("none for `{}`", Escaped(key))));
        }
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.link = Some(name(value)?),
            b"size" => self.size = Some(size(value)?),
            b"uid" | b"gid" => {
                decimal(value).filter(|owner| *owner < OWNER_END).ok_or_else(|| no_number(record))?;
            }
            b"mtime" | b"atime" | b"ctime" | b"LIBARCHIVE.creationtime" => {
                is_time(value).then_some(()).ok_or_else(|| no_number(record))?;
            }
            b"hdrcharset" if !matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => {
                return Err(malformed("names in UTF-8 or as bytes", format!("`{}`", Escaped(value))));
            }
            b"uname" | b"gname" | b"comment" | b"hdrcharset" => {}
            _ if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" => {
                return Err(Fault::new(Code::SparseFile, "a file without holes", format!("`{}`", Escaped(key))));
            }
            _ if is_privilege(key) => self.privilege = Some(format!("the attribute `{}`", Escaped(key))),
            // GNU tar's own describe volumes.
            _ if is_of_vendor(key) && !key.starts_with(b"GNU.") => {}
            _ => return Err(malformed("PAX keys that POSIX or a vendor defines", format!("`{}`", Escaped(key)))),
        }
        Ok(())
    }

    /// Adds the data of a GNU long name, for the member or for what it links to.
    pub(super) fn add_gnu(&mut self, data: &[u8], is_link: bool) -> Result<(), Fault> {
        if self.source == Some(Source::Pax) {
            return Err(ambiguous("no GNU long name beside PAX records", "both"));
        }
        self.source = Some(Source::Gnu);
        let field = if is_link { &mut self.link } else { &mut self.path };
        if field.is_some() {
            return Err(ambiguous("one GNU long name", "two"));
        }
        let text = data.strip_suffix(b"\0").unwrap_or(data);
        if text.is_empty() || text.contains(&0) {
            return Err(malformed("a GNU long name", "an empty one, or a NUL within"));
        }
        *field = Some(text.to_vec());
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.source.is_none()
    }
}

fn malformed(expected: &'static str, found: impl Into<String>) -> Fault {
    Fault::new(Code::MalformedExtension, expected, found)
}

fn ambiguous(expected: &'static str, found: impl Into<String>) -> Fault {
    Fault::new(Code::AmbiguousHeader, expected, found)
}

struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

/// Splits `LENGTH KEY=VALUE\n` off the front. The length counts the whole record, its own digits included.
fn split_record(data: &[u8]) -> Result<(Record<'_>, &[u8]), Fault> {
    const FORM: &str = "PAX records of the form `LENGTH KEY=VALUE`, each with a line end";
    let fault = |found: &str| malformed(FORM, found);
    let digits = data.iter().position(|byte| *byte == b' ').ok_or_else(|| fault("no length"))?;
    let len = data.get(..digits).and_then(decimal).and_then(|len| usize::try_from(len).ok());
    let len = len.filter(|len| *len > digits + 1).ok_or_else(|| fault("no length"))?;
    let (record, after) = data.split_at_checked(len).ok_or_else(|| fault("a length beyond the records"))?;
    let record = record.strip_suffix(b"\n").ok_or_else(|| fault("a record without a line end"))?;
    let record = record.get(digits + 1..).unwrap_or_default();
    let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(|| fault("a record without `=`"))?;
    let (key, value) = record.split_at(equals);
    if key.is_empty() || key.contains(&0) || key.contains(&b'\n') {
        return Err(fault("an empty key, or one with a NUL or line end"));
    }
    Ok((Record { key, value: value.get(1..).unwrap_or_default() }, after))
}

/// Decimal digits without sign or leading zeros.
fn decimal(text: &[u8]) -> Option<u64> {
    let is_plain = text.iter().all(u8::is_ascii_digit) && (text == b"0" || text.first() != Some(&b'0'));
    is_plain.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// Seconds since 1970, with a fraction; times before have a sign. GNU tar takes no second beyond 64 bits.
fn is_time(text: &[u8]) -> bool {
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let seconds = |part: &[u8]| digits(part) && std::str::from_utf8(part).is_ok_and(|text| text.parse::<i64>().is_ok());
    let text = text.strip_prefix(b"-").unwrap_or(text);
    match text.iter().position(|byte| *byte == b'.') {
        None => seconds(text),
        Some(point) => {
            let (whole, fraction) = text.split_at(point);
            seconds(whole) && digits(fraction.get(1..).unwrap_or_default())
        }
    }
}

fn size(value: &[u8]) -> Result<u64, Fault> {
    decimal(value)
        .filter(|size| *size < 1 << 62)
        .ok_or_else(|| malformed("a size below 2^62 in decimal digits", format!("`{}`", Escaped(value))))
}

fn name(value: &[u8]) -> Result<Vec<u8>, Fault> {
    if value.contains(&0) { Err(malformed("a name", "a NUL within")) } else { Ok(value.to_vec()) }
}

fn no_number(record: &Record<'_>) -> Fault {
    malformed("a number", format!("`{}` for `{}`", Escaped(record.value), Escaped(record.key)))
}

/// `VENDOR.keyword`, as POSIX has it for what it does not define itself.
fn is_of_vendor(key: &[u8]) -> bool {
    let vendor = key.split(|byte| *byte == b'.').next().unwrap_or_default();
    vendor.len() < key.len()
        && !vendor.is_empty()
        && vendor.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
}

/// File capabilities and what else only root may set.
fn is_privilege(key: &[u8]) -> bool {
    let attribute = key.strip_prefix(b"SCHILY.xattr.").or_else(|| key.strip_prefix(b"LIBARCHIVE.xattr."));
    let is_label = |name: &[u8]| name == b"security.selinux";
    attribute.is_some_and(|name| (name.starts_with(b"security.") || name.starts_with(b"trusted.")) && !is_label(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pax(records: &[u8]) -> Result<Extension, Code> {
        let mut extension = Extension::default();
        extension.add_pax(records).map(|()| extension).map_err(|fault| fault.code)
    }

    /// A record with the length that it should have.
    fn record(text: &str) -> Vec<u8> {
        let digits = (1..9).find(|digits| (text.len() + digits + 2).to_string().len() == *digits).unwrap();
        format!("{} {text}\n", text.len() + digits + 2).into_bytes()
    }

    #[test]
    fn records_are_split_by_their_length() {
        let records = ["path=a\nb=c", "size=4", "mtime=-1.5", "SCHILY.dev=64513", "uname=root", "linkpath=d"];
        let extension = pax(&records.map(record).concat()).unwrap();
        assert_eq!(extension.path.as_deref(), Some(&b"a\nb=c"[..]));
        assert_eq!(extension.link.as_deref(), Some(&b"d"[..]));
        assert_eq!((extension.size, extension.privilege), (Some(4), None));
    }

    #[test]
    fn capabilities_are_noticed() {
        assert!(pax(&record("SCHILY.xattr.security.capability=x")).unwrap().privilege.is_some());
        assert!(pax(&record("SCHILY.xattr.user.note=x")).unwrap().privilege.is_none());
    }

    #[test]
    fn each_malformation_is_refused() {
        for records in
            [&b""[..], b"path=a\n", b"10 path=a", b"8 path=a\n", b"11 path=a\n", b"-9 path=a\n", b"010 path=a\n"]
        {
            assert_eq!(pax(records), Err(Code::MalformedExtension), "{}", Escaped(records));
        }
        for text in [
            "path",
            "=",
            "=a",
            "path=",
            "path=a\0",
            "size=04",
            "size=-4",
            "size=0x4",
            "size=4 ",
            "size=4\0",
            "size=18446744073709551615",
            "mtime=x",
            "mtime=1.",
            "mtime=.5",
            "mtime=9223372036854775808",
            "uid=4294967296",
            "uid=x",
            "charset=x",
            "hdrcharset=UTF-16",
            "realtime.x=1",
            "GNU.volume.label=x",
            "pa\nth=x",
        ] {
            assert_eq!(pax(&record(text)), Err(Code::MalformedExtension), "{text}");
        }
        assert_eq!(pax(&[record("path=a"), record("path=b")].concat()), Err(Code::AmbiguousHeader));
        assert_eq!(pax(&record("GNU.sparse.major=1")), Err(Code::SparseFile));
    }

    #[test]
    fn long_names_end_at_their_end() {
        let gnu = |data: &[u8]| {
            let mut extension = Extension::default();
            extension.add_gnu(data, false).map(|()| extension.path).map_err(|fault| fault.code)
        };
        assert_eq!(gnu(b"long\0"), Ok(Some(b"long".to_vec())));
        assert_eq!(gnu(b"long"), Ok(Some(b"long".to_vec())));
        for data in [&b""[..], b"\0", b"a\0b\0", b"a\0\0"] {
            assert_eq!(gnu(data), Err(Code::MalformedExtension));
        }
    }
}
