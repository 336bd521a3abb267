//! Tamperings of a real tree, each with its refusals and a way back.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{judge, must};

/// A tree with entries picked to be tampered with.
pub(super) struct Tree {
    root: PathBuf,
    /// A file of the tree itself, not executable and not empty.
    victim: PathBuf,
}

/// A tampering, its exit status and codes.
pub(super) struct Tampering {
    pub(super) what: &'static str,
    pub(super) codes: &'static [&'static str],
    pub(super) apply: fn(&Tree),
    pub(super) undo: fn(&Tree),
}

/// Names that real trees seldom have, planted before they are sealed.
const PLANTED: &str = "planted";
const WITH_NEWLINE: &[u8] = b"new\nline";
const NOT_UTF8: &[u8] = b"\xff\xfe";

impl Tree {
    /// Plants the odd entries in the tree at `root` and picks the rest. Not sealed yet.
    pub(super) fn plant(root: &Path) -> Self {
        let victim = first_plain_file(root).expect("a file that is not empty");
        let tree = Self { root: root.to_owned(), victim };
        fs::create_dir(tree.planted(b"")).unwrap();
        for name in [WITH_NEWLINE, NOT_UTF8, b"plain"] {
            fs::write(tree.planted(name), name).unwrap();
        }
        symlink("plain", tree.planted(b"link")).unwrap();
        tree
    }

    fn planted(&self, name: &[u8]) -> PathBuf {
        self.root.join(PLANTED).join(OsStr::from_bytes(name))
    }

    fn aside(&self) -> PathBuf {
        self.root.join("renamed by a test")
    }
}

/// The first file in the order of names that has contents and no executable bit.
fn first_plain_file(directory: &Path) -> Option<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            return first_plain_file(&path);
        }
        let plain = metadata.is_file() && metadata.len() > 0 && metadata.permissions().mode() & 0o111 == 0;
        plain.then_some(path)
    })
}

/// Flips a bit of the first byte; a second time undoes it.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn flip_mode(path: &Path, bits: u32) {
    let mode = fs::symlink_metadata(path).unwrap().permissions().mode();
    fs::set_permissions(path, Permissions::from_mode(mode ^ bits)).unwrap();
}

fn relink(path: &Path, target: &str) {
    fs::remove_file(path).unwrap();
    symlink(target, path).unwrap();
}

/// Every case, with every refusal that it must get and no other.
pub(super) const TAMPERINGS: &[Tampering] = &[
    Tampering {
        what: "a byte changed, size kept",
        codes: &["digest-mismatch"],
        apply: |t| flip(&t.victim),
        undo: |t| flip(&t.victim),
    },
    Tampering {
        what: "a file added",
        codes: &["extra-entry"],
        apply: |t| fs::write(t.aside(), "").unwrap(),
        undo: |t| fs::remove_file(t.aside()).unwrap(),
    },
    Tampering {
        what: "a file removed",
        codes: &["missing-entry"],
        apply: |t| fs::remove_file(t.planted(b"plain")).unwrap(),
        undo: |t| fs::write(t.planted(b"plain"), "plain").unwrap(),
    },
    Tampering {
        what: "a file renamed",
        codes: &["missing-entry", "extra-entry"],
        apply: |t| fs::rename(&t.victim, t.aside()).unwrap(),
        undo: |t| fs::rename(t.aside(), &t.victim).unwrap(),
    },
    Tampering {
        what: "the exec bit flipped",
        codes: &["mode-mismatch"],
        apply: |t| flip_mode(&t.victim, 0o100),
        undo: |t| flip_mode(&t.victim, 0o100),
    },
    Tampering {
        what: "a file made a symlink",
        codes: &["type-mismatch"],
        apply: |t| relink(&t.planted(b"plain"), "link"),
        undo: |t| {
            fs::remove_file(t.planted(b"plain")).unwrap();
            fs::write(t.planted(b"plain"), "plain").unwrap();
        },
    },
    Tampering {
        what: "a symlink retargeted",
        codes: &["link-mismatch"],
        apply: |t| relink(&t.planted(b"link"), "./plain"),
        undo: |t| relink(&t.planted(b"link"), "plain"),
    },
    Tampering {
        what: "an empty directory added",
        codes: &["extra-entry"],
        apply: |t| fs::create_dir(t.aside()).unwrap(),
        undo: |t| fs::remove_dir(t.aside()).unwrap(),
    },
    Tampering {
        what: "a fifo added",
        codes: &["special-file"],
        apply: |t| drop(must(judge("mkfifo").arg(t.aside()))),
        undo: |t| fs::remove_file(t.aside()).unwrap(),
    },
    Tampering {
        what: "setuid set",
        codes: &["forbidden-mode"],
        apply: |t| flip_mode(&t.victim, 0o4000),
        undo: |t| flip_mode(&t.victim, 0o4000),
    },
    Tampering {
        what: "a file with a newline in its name changed",
        codes: &["digest-mismatch"],
        apply: |t| flip(&t.planted(WITH_NEWLINE)),
        undo: |t| flip(&t.planted(WITH_NEWLINE)),
    },
    Tampering {
        what: "a file whose name is not UTF-8 changed",
        codes: &["digest-mismatch"],
        apply: |t| flip(&t.planted(NOT_UTF8)),
        undo: |t| flip(&t.planted(NOT_UTF8)),
    },
];
