//! What comes and goes in temporary directories by itself, and runs nothing.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::policy::Glob;
use crate::tree::{Change, Difference, Kind, Stamp};

/// Files below a temporary directory that programs of this user write while they run, and why nobody reads code from
/// them. They may change and go away, as regular files of the same owner without exec bit; made anew they are a stray
/// write like any other.
const REWRITTEN: [(&str, &str); 4] = [
    ("hsperfdata_*/*", "counters that a Java machine writes about itself even when it idles"),
    (".X*-lock", "the process id of an X server"),
    (".s.PGSQL.*.lock", "the process id and port of a PostgreSQL server"),
    ("*.sock.lock", "the process id of a MySQL server"),
];

/// Digits of an identifier that the CI system's agent gives to what it runs.
const IDENTIFIER_DIGITS: usize = 24;

/// The lengths of the parts of a UUID.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Where files come and go.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// Temporary directories, without links.
    pub(super) temporary: BTreeSet<PathBuf>,
    /// The one of a GitHub runner.
    pub(super) runner: Option<PathBuf>,
    /// What variables name: later steps read it.
    pub(super) named: BTreeSet<PathBuf>,
    /// Names without a directory in the values of variables: who reads them knows the directory.
    pub(super) names: BTreeSet<OsString>,
}

impl Passing {
    /// Whether a difference is none of a restore's.
    pub(super) fn excuses(&self, path: &Path, difference: &Difference) -> bool {
        let Difference { change, before, after, .. } = difference;
        self.is_rewritten(path, before.as_ref(), after.as_ref())
            || self.is_of_agent(path, change, after.as_ref().or(before.as_ref()))
            || self.is_of_runner(path, change)
    }

    fn is_rewritten(&self, path: &Path, before: Option<&Stamp>, after: Option<&Stamp>) -> bool {
        let plain = |stamp: &Stamp| stamp.kind() == Kind::File && !stamp.is_executable();
        let same = before.is_some_and(|before| {
            plain(before) && after.is_none_or(|after| plain(after) && after.owner() == before.owner())
        });
        let mut below = self.temporary.iter().filter_map(|above| path.strip_prefix(above).ok());
        let matched = |below: &Path| {
            let glob =
                |(pattern, _): &(&str, &str)| Glob::parse(pattern).is_ok_and(|glob| glob.matches_bytes(bytes(below)));
            REWRITTEN.iter().any(glob)
        };
        same && below.any(matched)
    }

    /// A file directly in a temporary directory that is new or gone, with a name of the kind that the agent gives its own,
    /// which no variable names.
    fn is_of_agent(&self, path: &Path, change: &Change, file: Option<&Stamp>) -> bool {
        matches!(change, Change::Created(Kind::File) | Change::Removed(Kind::File))
            && file.is_some_and(|file| !file.is_executable())
            && path.parent().is_some_and(|above| self.temporary.contains(above))
            && path.file_name().is_some_and(|name| is_of_a_run(name) && !self.names.contains(name))
            && !self.named.contains(path)
    }

    /// New under a name with a UUID, which the runner gives what it makes for one step, or such a file taken away.
    fn is_of_runner(&self, path: &Path, change: &Change) -> bool {
        let below = self.runner.as_ref().and_then(|runner| path.strip_prefix(runner).ok());
        let fits = match change {
            Change::Created(_) => true,
            Change::Removed(kind) => *kind == Kind::File,
            Change::Changed(_) => false,
        };
        fits && below.is_some_and(|below| below.iter().any(has_uuid))
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Words and numbers between dashes, and among them one identifier as the agent gives it: 24 hexadecimal digits or a
/// UUID, once. Caches are named by longer digests. No dot: what is looked for by name has an extension or begins with
/// one.
fn is_of_a_run(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let parts: Vec<_> = name.split(|byte| b"-_".contains(byte)).collect();
    let is_hex = |part: &[u8]| part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let fits = |parts: &[&[u8]]| parts.iter().zip(UUID).all(|(part, length)| is_hex(part) && part.len() == length);
    let has_uuid = parts.windows(UUID.len()).any(fits);
    let long = parts.iter().map(|part| if is_hex(part) { part.len() } else { 0 }).filter(|digits| *digits > UUID[0]);
    let once = long.eq([if has_uuid { UUID[4] } else { IDENTIFIER_DIGITS }]);
    plain && name.first().is_some_and(u8::is_ascii_alphanumeric) && once
}

/// Whether a name has a UUID in it.
fn has_uuid(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let length = UUID.iter().sum::<usize>() + UUID.len() - 1;
    name.windows(length).any(|window| {
        let mut parts = window.split(|byte| *byte == b'-');
        UUID.iter().all(|length| {
            parts.next().is_some_and(|part| part.len() == *length && part.iter().all(u8::is_ascii_hexdigit))
        }) && parts.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_agent_have_one_identifier_of_a_run() {
        for (name, fits) in [
            ("step-64f0c2d91ab34e5f6a7b8c9d", true),
            ("64f0c2d91ab34e5f6a7b8c9d-0-build", true),
            ("agent_64f0c2d9-1ab3-4e5f-6a7b-8c9d00112233-0-build", true),
            ("64f0c2d9-1ab3-4e5f-6a7b-8c9d00112233", true),
            ("64f0c2d91ab34e5f6a7b8c9", false),
            ("64f0c2d91ab34e5f6a7b8c9d-64f0c2d91ab34e5f6a7b8c9d", false),
            ("64f0c2d9-1ab3-4e5f-6a7b-8c9d00112233-64f0c2d91ab34e5f6a7b8c9d", false),
            ("64f0c2d9-1ab3-4e5f-8c9d00112233", false),
            ("metro-file-map-0123456789abcdef0123456789abcdef-0123456789abcdef0123456789abcdef", false),
            ("cache-0123456789abcdef0123456789abcdef", false),
            (".bash_env-64f0c2d91ab34e5f6a7b8c9d-0-build", false),
            ("64f0c2d91ab34e5f6a7b8c9d.js", false),
            ("v8-compile-cache-0", false),
            ("agent", false),
        ] {
            assert_eq!(is_of_a_run(OsStr::new(name)), fits, "{name}");
        }
    }

    #[test]
    fn a_uuid_is_found_in_a_name() {
        for (name, found) in [
            ("set_env_1b4e28ba-2fa1-11d2-883f-0016d3cca427", true),
            ("1b4e28ba-2fa1-11d2-883f-0016d3cca427.sh", true),
            ("1b4e28ba-2fa1-11d2-883f-0016d3cca42", false),
            ("1b4e28ba2fa111d2883f0016d3cca427", false),
            ("set_env", false),
        ] {
            assert_eq!(has_uuid(OsStr::new(name)), found, "{name}");
        }
    }
}
