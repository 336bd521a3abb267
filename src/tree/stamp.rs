//! What the file system says of one entry.

use rustix::fs::{FileType, Stat};

use super::handle::{Kind, mode_of};

/// Enough of an entry to notice that it was written to, replaced, linked or given other rights. Forty bytes: a home
/// has hundreds of thousands of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    changed: i64,
    changed_nanoseconds: u32,
    mode: u32,
    user: u32,
    group: u32,
}

impl Stamp {
    #[allow(
        clippy::useless_conversion,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "the fields differ between systems; sizes are never negative, nanoseconds fit"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            inode: u64::from(stat.st_ino),
            size: stat.st_size as u64,
            changed: i64::from(stat.st_ctime),
            changed_nanoseconds: stat.st_ctime_nsec as u32,
            mode: mode_of(stat),
            user: stat.st_uid,
            group: stat.st_gid,
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::useless_conversion, reason = "the mode is narrower on macOS")]
    /// The type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of(FileType::from_raw_mode(self.mode as rustix::fs::RawMode)).unwrap_or(Kind::Special("an unknown entry"))
    }

    /// The owner's user id.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.user
    }

    /// The type and the permission bits.
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// Whether anybody may execute it.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// What is different in `after`, in words. A directory's inode, size and times say what happened in it, which is
    /// seen there, and overlaid file systems make up its inode anew; they count only for one that is `closed` to us. A
    /// fifo or a socket has no contents that a file system keeps, and whoever serves it may make it anew; a device has
    /// none either, but another one may take its place.
    pub(super) fn change(&self, after: &Self, closed: bool) -> Option<String> {
        let mut words = Vec::new();
        let (inode, contents) = match (self.kind(), after.kind()) {
            (Kind::Directory, Kind::Directory) => (closed, closed),
            (Kind::Special("a fifo" | "a socket"), Kind::Special(_)) => (false, false),
            (Kind::Special(_), Kind::Special(_)) => (true, false),
            _ => (true, true),
        };
        if self.kind() != after.kind() {
            words.push(format!("{}, was {}", after.kind().noun(), self.kind().noun()));
        } else if inode && self.inode != after.inode {
            words.push(format!("another {}", after.kind().noun().trim_start_matches("a ").trim_start_matches("an ")));
        }
        if contents && self.size != after.size {
            words.push(format!("{} bytes, was {}", after.size, self.size));
        }
        let bits = |stamp: &Self| stamp.mode & 0o7777;
        if bits(self) != bits(after) {
            words.push(format!("mode {:04o}, was {:04o}", bits(after), bits(self)));
        }
        if (self.user, self.group) != (after.user, after.group) {
            words.push(format!("owner {}:{}, was {}:{}", after.user, after.group, self.user, self.group));
        }
        let times = |stamp: &Self| (stamp.changed, stamp.changed_nanoseconds);
        if words.is_empty() && contents && times(self) != times(after) {
            words.push("written to, or changed in another way, since then".to_owned());
        }
        (!words.is_empty()).then(|| words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Stamp =
        Stamp { inode: 7, size: 12, changed: 100, changed_nanoseconds: 5, mode: 0o100_644, user: 1, group: 2 };
    const DIRECTORY: Stamp = Stamp { mode: 0o040_755, ..FILE };

    #[test]
    fn every_field_counts() {
        for (after, words) in [
            (FILE, None),
            (Stamp { inode: 8, ..FILE }, Some("another regular file")),
            (Stamp { size: 13, ..FILE }, Some("13 bytes, was 12")),
            (Stamp { mode: 0o100_755, ..FILE }, Some("mode 0755, was 0644")),
            (Stamp { mode: 0o120_777, ..FILE }, Some("a symlink, was a regular file, mode 0777, was 0644")),
            (Stamp { user: 0, ..FILE }, Some("owner 0:2, was 1:2")),
            (Stamp { group: 0, ..FILE }, Some("owner 1:0, was 1:2")),
            (Stamp { changed: 101, ..FILE }, Some("written to, or changed in another way, since then")),
            (Stamp { changed_nanoseconds: 6, ..FILE }, Some("written to, or changed in another way, since then")),
        ] {
            assert_eq!(FILE.change(&after, false).as_deref(), words);
        }
    }

    #[test]
    fn of_a_directory_that_can_be_read_only_its_rights_count() {
        let touched = Stamp { inode: 8, size: 99, changed: 101, ..DIRECTORY };
        assert_eq!(DIRECTORY.change(&touched, false), None);
        assert!(DIRECTORY.change(&touched, true).is_some());
        assert!(DIRECTORY.change(&Stamp { mode: 0o040_777, ..DIRECTORY }, false).is_some());
        assert!(DIRECTORY.change(&Stamp { user: 0, ..DIRECTORY }, false).is_some());
    }

    #[test]
    fn of_what_has_no_contents_type_and_rights_count() {
        let socket = Stamp { mode: 0o140_755, ..FILE };
        let fifo = Stamp { mode: 0o010_755, ..FILE };
        let device = Stamp { mode: 0o020_755, ..FILE };
        let touched = |stamp: Stamp| Stamp { size: 99, changed: 101, ..stamp };
        assert_eq!(socket.change(&Stamp { inode: 8, ..touched(socket) }, false), None);
        assert_eq!(fifo.change(&Stamp { inode: 8, ..touched(fifo) }, false), None);
        assert_eq!(device.change(&touched(device), false), None);
        for (before, after) in [
            (socket, fifo),
            (socket, FILE),
            (socket, Stamp { user: 0, ..socket }),
            (fifo, Stamp { mode: 0o010_777, ..fifo }),
            (device, Stamp { inode: 8, ..device }),
        ] {
            assert!(before.change(&after, false).is_some(), "{before:?} {after:?}");
        }
    }
}
