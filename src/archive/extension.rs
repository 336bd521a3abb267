//! What precedes a member to say more of it: PAX records (POSIX.1-2001, pax "Extended Header") and the long names of
//! GNU tar. Both for one member, or one thing said twice, is refused: programs differ in which they take.

use std::collections::BTreeSet;

use super::acl::Acl;
use super::error::Fault;
use super::keys::{Meaning, check_global, cut, decimal, meaning};
use crate::base::{Code, Escaped};

/// What is said of the next member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) source: Option<Source>,
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    /// Bytes of contents, from PAX.
    pub(super) size: Option<u64>,
    /// An attribute or list that gives privileges.
    pub(super) privilege: Option<String>,
    /// Lists that may say no more than the mode does.
    acls: Vec<Acl>,
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
        for_each_record(data, |record| self.add_record(record))
    }

    fn add_record(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        match meaning(record.key, record.value)? {
            Meaning::Path => self.path = Some(record.value.to_vec()),
            Meaning::Link => self.link = Some(record.value.to_vec()),
            Meaning::Size(size) => self.size = Some(size),
            Meaning::Nothing => {}
            Meaning::Acl(acl) => self.acls.push(acl),
            Meaning::Privilege => self.privilege = Some(format!("the attribute `{}`", Escaped(record.key))),
        }
        Ok(())
    }

    /// Reads the data of a PAX header for all members that follow: comments, which change nothing.
    pub(super) fn pass_global(&self, data: &[u8]) -> Result<(), Fault> {
        for_each_record(data, |record| check_global(record.key, record.value))?;
        if self.is_empty() {
            Ok(())
        } else {
            Err(ambiguous("a member after its extension header", "a global PAX header"))
        }
    }

    /// Why a member with the permission bits `mode` may not be there: what gives more rights than they do.
    pub(super) fn privilege(&mut self, mode: u32, is_directory: bool) -> Option<String> {
        let is_beyond = self.acls.iter().any(|acl| !acl.says_no_more(mode, is_directory));
        self.privilege.take().or_else(|| is_beyond.then(|| "an access control list that says more".to_owned()))
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

/// Gives each record to `take`; each key may come once.
fn for_each_record(data: &[u8], mut take: impl FnMut(&Record<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
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
        take(&record)?;
    }
    Ok(())
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
    let record = record.get(digits + 1..).ok_or_else(|| fault("no record behind its length"))?;
    let (key, value) = cut(record, b'=').ok_or_else(|| fault("a record without `=`"))?;
    if key.is_empty() || key.contains(&0) || key.contains(&b'\n') {
        return Err(fault("an empty key, or one with a NUL or line end"));
    }
    Ok((Record { key, value }, after))
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
            "hdrcharset=UTF-16",
            "realtime.x=1",
            "X.y=1",
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
