//! What the file system said of every file when it was verified, kept beside the manifest: a stamp that is the same
//! later stands for the bytes, on file systems where every write moves the change time.
//!
//! Directories and links need none. What is sealed of them costs no more to read than a stamp does.

use rustix::fs::{FileType, Stat};

use super::handle::mode_of;
use crate::seal::manifest::Manifest;

/// A change time that is no older than this before the first look at its device may be that of a later write too: the
/// clocks of file systems tick every 10 ms at the slowest.
const TICK: i64 = 20_000_000;
/// The same where times have no fractions of seconds.
const TICK_OF_SECONDS: i64 = 2 * SECOND;
const SECOND: i64 = 1_000_000_000;

/// The change time in nanoseconds. What has no such number is later than any other.
#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    clippy::cast_possible_wrap,
    reason = "the fields differ between systems; nanoseconds fit"
)]
pub(super) fn changed_at(stat: &Stat) -> i64 {
    let seconds = i64::from(stat.st_ctime).checked_mul(SECOND);
    seconds.and_then(|seconds| seconds.checked_add(stat.st_ctime_nsec as i64)).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_sign_loss, clippy::unnecessary_cast, reason = "device numbers are only compared")]
pub(super) fn device_of(stat: &Stat) -> u64 {
    stat.st_dev as u64
}

/// One file. The size is that of the manifest. Twenty-four bytes: a cache has hundreds of thousands of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileStamp {
    inode: u64,
    changed: i64,
    mode: u32,
    device: u32,
}

impl FileStamp {
    /// What is not a file, or was not looked at, has no device.
    const NONE: Self = Self { inode: 0, changed: 0, mode: 0, device: u32::MAX };

    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the fields differ between systems")]
    pub(super) fn of(stat: &Stat, device: usize) -> Self {
        let device = u32::try_from(device).unwrap_or(u32::MAX);
        Self { inode: stat.st_ino as u64, changed: changed_at(stat), mode: mode_of(stat), device }
    }
}

/// A device, and what a trial said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    number: u64,
    /// When the trial began, by the clock of the file system, if it moves the change time at every write.
    moves_since: Option<i64>,
    /// Whether any time on it has fractions of seconds.
    has_fractions: bool,
}

impl Device {
    pub(super) fn new(number: u64, moves_since: Option<i64>) -> Self {
        Self { number, moves_since, has_fractions: false }
    }

    #[cfg(test)]
    pub(super) fn moves(&self) -> bool {
        self.moves_since.is_some()
    }

    /// Stamps with an earlier change time stand for the bytes.
    fn sure_before(&self) -> Option<i64> {
        let tick = if self.has_fractions { TICK } else { TICK_OF_SECONDS };
        Some(self.moves_since?.saturating_sub(tick))
    }
}

/// Whether a file is as it was, as far as its stamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is.
    Same,
    /// Its stamp is another one.
    Touched,
    /// The same, and so late that a write within the same tick of the clock would not show.
    Recent,
    /// The same, on a file system that was not seen to move the change time at every write.
    Untried,
}

/// The stamps of a tree's files, by the listings and records of its manifest.
#[derive(Debug)]
pub struct Stamps {
    /// Where the stamps of each listing begin.
    starts: Vec<usize>,
    files: Vec<FileStamp>,
    devices: Vec<Device>,
}

impl Stamps {
    /// Puts what the threads of a walk found in the order of the manifest: listing, record, stamp.
    pub(super) fn new(
        manifest: &Manifest,
        found: impl Iterator<Item = (u32, u32, FileStamp)>,
        mut devices: Vec<Device>,
    ) -> Self {
        let mut starts = vec![0];
        let mut end = 0;
        for listing in (0..).map_while(|index| manifest.listing(index)) {
            end += listing.records().len();
            starts.push(end);
        }
        let mut files = vec![FileStamp::NONE; end];
        for (listing, record, stamp) in found {
            if let Some(device) = devices.get_mut(stamp.device as usize) {
                device.has_fractions |= stamp.changed % SECOND != 0;
            }
            let slot = starts.get(listing as usize).and_then(|start| files.get_mut(start + record as usize));
            if let Some(slot) = slot {
                *slot = stamp;
            }
        }
        Self { starts, files, devices }
    }

    /// How a file stands of which the file system says `stat` now, and the manifest that it has `size` bytes.
    pub(super) fn standing(&self, (listing, record): (u32, u32), size: u64, stat: &Stat) -> Standing {
        let first = self.starts.get(listing as usize);
        let stamp = first.and_then(|first| self.files.get(first + record as usize)).unwrap_or(&FileStamp::NONE);
        let Some(device) = self.devices.get(stamp.device as usize) else { return Standing::Untried };
        let now = FileStamp::of(stat, stamp.device as usize);
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let is_same = (stamp.inode, stamp.changed, stamp.mode) == (now.inode, now.changed, now.mode)
            && device.number == device_of(stat)
            && u64::try_from(stat.st_size) == Ok(size);
        match device.sure_before() {
            _ if !is_same || !is_file => Standing::Touched,
            None => Standing::Untried,
            Some(sure_before) if stamp.changed < sure_before => Standing::Same,
            Some(_) => Standing::Recent,
        }
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.files.capacity() * size_of::<FileStamp>() + self.starts.capacity() * size_of::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::super::handle::stat_of;
    use super::*;

    /// A file of ten bytes on device 7 that changed at `seconds` and `nanos`.
    #[allow(clippy::useless_conversion, reason = "the fields differ between systems")]
    fn stat(seconds: i64, nanos: i64) -> Stat {
        let mut stat = stat_of(tempfile::tempfile().unwrap().as_fd()).unwrap();
        (stat.st_ctime, stat.st_ctime_nsec) = (seconds.try_into().unwrap(), nanos.try_into().unwrap());
        (stat.st_dev, stat.st_size) = (7, 10);
        stat
    }

    /// What a file is taken for that is as it was, on a device of which a trial said `moves_since`.
    fn standing(was: &Stat, now: &Stat, moves_since: Option<i64>, has_fractions: bool) -> Standing {
        let device = Device { number: 7, moves_since, has_fractions };
        let stamps = Stamps { starts: vec![0], files: vec![FileStamp::of(was, 0)], devices: vec![device] };
        stamps.standing((0, 0), 10, now)
    }

    #[test]
    fn a_stamp_stands_for_the_bytes_where_a_later_write_would_have_another() {
        let began = Some(100 * SECOND);
        for (seconds, nanos, moves_since, fractions, expected) in [
            (90, 0, began, true, Standing::Same),
            (99, 979_999_999, began, true, Standing::Same),
            // Within a tick of the clock, and in the future.
            (99, 980_000_000, began, true, Standing::Recent),
            (200, 0, began, true, Standing::Recent),
            // Times without fractions of seconds.
            (97, 0, began, false, Standing::Same),
            (98, 0, began, false, Standing::Recent),
            // No trial succeeded, as on tmpfs, or there was none, as on FUSE.
            (90, 0, None, true, Standing::Untried),
        ] {
            let stat = stat(seconds, nanos);
            assert_eq!(standing(&stat, &stat, moves_since, fractions), expected, "{seconds}.{nanos:09}");
        }
        let mut elsewhere = stat(90, 0);
        let was = elsewhere;
        elsewhere.st_dev = 8;
        assert_eq!(standing(&was, &elsewhere, began, true), Standing::Touched, "a device that appeared later");
        let unknown = Stamps { starts: vec![0], files: vec![FileStamp::NONE], devices: Vec::new() };
        assert_eq!(unknown.standing((0, 0), 10, &was), Standing::Untried, "a file without a stamp");
    }
}
