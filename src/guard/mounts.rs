//! What is mounted where, by the kernel's own list. It is read once: a restore cannot mount.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// File systems whose files are the kernel's: nobody stores anything there. A short list may lack one: then it is gone
/// through, within limits.
const KERNEL: [&str; 19] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "pstore",
    "bpf",
    "mqueue",
    "hugetlbfs",
    "configfs",
    "efivarfs",
    "binfmt_misc",
    "autofs",
    "nsfs",
    "fusectl",
];

/// File systems of other machines, which may be slow without end. Those in a program of a user, FUSE, are told by their
/// names' beginning.
const NETWORK: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "glusterfs", "lustre"];

/// Whose files a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Local,
    Remote,
    Kernel,
}

/// Mount points, each with what is mounted there. Elsewhere than on Linux none are known.
#[derive(Debug, Default)]
pub(super) struct Mounts(BTreeMap<PathBuf, Origin>);

impl Mounts {
    /// Those that this process sees.
    pub(super) fn of_process() -> Self {
        std::fs::read("/proc/self/mountinfo").map_or_else(|_| Self::default(), |text| Self::parse(&text))
    }

    pub(super) fn parse(text: &[u8]) -> Self {
        let of_line = |line: &[u8]| {
            let mut fields = line.split(|byte| *byte == b' ');
            let place = PathBuf::from(OsString::from_vec(unescaped(fields.nth(4)?)));
            let kind = std::str::from_utf8(fields.skip_while(|field| *field != b"-").nth(1)?).ok()?;
            let origin = match kind {
                kind if KERNEL.contains(&kind) => Origin::Kernel,
                kind if NETWORK.contains(&kind) || kind.starts_with("fuse") => Origin::Remote,
                _ => Origin::Local,
            };
            Some((place, origin))
        };
        Self(text.split(|byte| *byte == b'\n').filter_map(of_line).collect())
    }

    /// The mount point that holds a path, and what is mounted there. Of `/` the kind does not count: there is no other.
    pub(super) fn of(&self, path: &Path) -> (PathBuf, Origin) {
        let mut above = path.ancestors().filter(|above| above.parent().is_some());
        let found = above.find_map(|above| Some((above.to_path_buf(), *self.0.get(above)?)));
        found.unwrap_or_else(|| (PathBuf::from("/"), Origin::Local))
    }

    /// The mount points below a path.
    pub(super) fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        self.0.keys().filter(move |place| place.starts_with(path) && *place != path)
    }
}

/// Blanks and backslashes are written as three octal digits.
#[expect(clippy::indexing_slicing, reason = "three digits were found there; a panic is a refusal")]
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        let (byte, length) = octal.filter(|_| *first == b'\\').map_or((*first, 0), |byte| (byte, 3));
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let text = b"21 1 8:1 / / rw shared:1 - 9p root rw\n\
            22 21 0:5 / /proc rw - proc proc rw\n\
            23 21 0:6 / /mnt/my\\040disk rw shared:2 master:3 - fuse.sshfs host:/ rw\n\
            24 21 0:7 / /tmp rw - tmpfs tmpfs rw\nnonsense\n";
        let mounts = Mounts::parse(text);
        for (path, place, origin) in [
            ("/proc/self/fd", "/proc", Origin::Kernel),
            ("/mnt/my disk/x", "/mnt/my disk", Origin::Remote),
            ("/mnt/other", "/", Origin::Local),
            ("/tmp", "/tmp", Origin::Local),
            ("/", "/", Origin::Local),
        ] {
            assert_eq!(mounts.of(Path::new(path)), (PathBuf::from(place), origin), "{path}");
        }
        assert!(mounts.below(Path::new("/mnt")).eq([Path::new("/mnt/my disk")]));
    }
}
