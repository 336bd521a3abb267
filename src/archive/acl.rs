//! Access control lists as text (star's `SCHILY.acl`, which GNU tar and bsdtar write): programs that restore them set
//! the mode by them, so one may say no more than the mode does.

/// A list, and what it is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acl {
    /// For what will be made in a directory, not for the member itself.
    is_default: bool,
    text: Vec<u8>,
}

impl Acl {
    /// The list in the value of a record.
    pub(super) fn new(key: &[u8], value: &[u8]) -> Self {
        Self { is_default: key.ends_with(b".default"), text: value.to_vec() }
    }

    /// Whether it gives nobody more than the permission bits `mode` do, and the owner exactly the same.
    pub(super) fn says_no_more(&self, mode: u32, is_directory: bool) -> bool {
        if self.is_default && !is_directory {
            return false;
        }
        let [owner, group, others] = [mode >> 6, mode >> 3, mode].map(|bits| bits & 0o7);
        let mut seen = [0; 4];
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let fits = text.split(|byte| matches!(byte, b',' | b'\n')).all(|entry| {
            let Some(entry) = Entry::parse(entry) else { return false };
            let (index, fits) = match entry {
                Entry::Owner(bits) => (0, bits == owner),
                Entry::Group(bits) => (1, bits & !group == 0),
                Entry::Others(bits) => (2, bits & !others == 0),
                Entry::Mask(bits) => (3, bits & !group == 0),
                Entry::Named(bits) => return bits & !others == 0,
            };
            seen[index] += 1;
            fits
        });
        fits && matches!(seen, [1, 1, 1, 0 | 1])
    }
}

/// One entry, with its bits as in a mode.
enum Entry {
    Owner(u32),
    Group(u32),
    Others(u32),
    Mask(u32),
    /// For a user or group of its own.
    Named(u32),
}

impl Entry {
    /// Reads `user:NAME:rwx` in the one form that is written, with a number behind it or not.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = text.split(|byte| *byte == b':');
        let (tag, name, bits) = (fields.next()?, fields.next()?, bits(fields.next()?)?);
        let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        let is_number = fields.next().is_none_or(|id| !id.is_empty() && id.iter().all(u8::is_ascii_digit));
        if fields.next().is_some() || !is_name || !is_number {
            return None;
        }
        match (tag, name.is_empty()) {
            (b"user", true) => Some(Self::Owner(bits)),
            (b"group", true) => Some(Self::Group(bits)),
            (b"other", true) => Some(Self::Others(bits)),
            (b"mask", true) => Some(Self::Mask(bits)),
            (b"user" | b"group", false) => Some(Self::Named(bits)),
            _ => None,
        }
    }
}

/// `rwx` with `-` for each bit that is not set.
fn bits(text: &[u8]) -> Option<u32> {
    let text: &[u8; 3] = text.try_into().ok()?;
    text.iter().zip(b"rwx").try_fold(0, |bits, (found, letter)| match found {
        b'-' => Some(bits << 1),
        found if found == letter => Some(bits << 1 | 1),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says_no_more(text: &str, mode: u32) -> bool {
        Acl::new(b"SCHILY.acl.access", text.as_bytes()).says_no_more(mode, false)
    }

    #[test]
    fn a_list_may_say_what_the_mode_says() {
        for (text, mode) in [
            ("user::rw-,group::r--,other::r--", 0o644),
            ("user::rw-\ngroup::r--\nother::r--\n", 0o644),
            ("user::rwx,group::r-x,other::---", 0o755),
            ("user::rwx,user:daemon:r-x,group::r-x,mask::r-x,other::r-x", 0o755),
            ("user::rwx,user:daemon:r-x:1,group::r-x,group:adm:--x:4,mask::r-x,other::r-x", 0o755),
        ] {
            assert!(says_no_more(text, mode), "{text}");
        }
    }

    #[test]
    fn and_nothing_beyond_it() {
        for (text, mode) in [
            ("user::rwx,group::r--,other::r--", 0o644),
            ("user::rw-,group::r-x,other::r-x", 0o755),
            ("user::rw-,group::rw-,other::r--", 0o644),
            ("user::rw-,group::r--,other::rw-", 0o644),
            ("user::rw-,group::r--,mask::rwx,other::r--", 0o644),
            ("user::rw-,user:daemon:rw-,group::r--,mask::r--,other::r--", 0o644),
            ("user::rw-,user:daemon:r--,group::r--,mask::r--,other::---", 0o640),
            ("group::r--,other::r--", 0o644),
            ("user::rw-,user::rw-,group::r--,other::r--", 0o644),
            ("user::rw-,group::r--,other::r--,default:other::rwx", 0o644),
            ("u::rw-,g::r--,o::r--", 0o644),
            ("user::RW-,group::r--,other::r--", 0o644),
            ("user::rw,group::r--,other::r--", 0o644),
            ("user::rw-, group::r--,other::r--", 0o644),
            ("user::rw-,group::r--,other::r--#", 0o644),
            ("user::rw-,group::r--,other::r--:x", 0o644),
            ("", 0o644),
        ] {
            assert!(!says_no_more(text, mode), "{text}");
        }
        let default = Acl::new(b"SCHILY.acl.default", b"user::rwx,group::r-x,other::r-x");
        assert!(default.says_no_more(0o755, true));
        assert!(!default.says_no_more(0o755, false));
    }
}
