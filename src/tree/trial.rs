//! Whether a file system moves the change time of a file at every write, tried and not looked up.
//!
//! A write through a mapping is the one that some do not notice: tmpfs never does, ext4, xfs and btrfs do when the page
//! is first written. So a file of our own is mapped, read, stamped, written through the mapping, and looked at again.
//! Without unsafe code nothing can be stored into a mapping from here. The kernel does it: `process_vm_writev(2)` to the
//! own process takes the same way, through the page tables and with the same fault, as a store of any program.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::Stat;

use super::stamps::{Device, changed_at, device_of};

/// The devices that a walk meets, each with a trial that runs beside the walk.
#[derive(Debug, Default)]
pub(super) struct Devices(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Devices of directories that were met.
    directories: Vec<u64>,
    met: Vec<Met>,
}

#[derive(Debug)]
struct Met {
    device: u64,
    trial: Option<(i64, JoinHandle<bool>)>,
}

impl Devices {
    /// A directory was met, nothing in it was read yet. If it is the first of its device, a trial begins. `is_root` says
    /// that there may be a file of a name beside it for a moment.
    pub(super) fn meet(&self, directory: BorrowedFd<'_>, stat: &Stat, is_root: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let device = device_of(stat);
        if known.directories.contains(&device) {
            return;
        }
        known.directories.push(device);
        // The file may be of another device than its directory: overlaid file systems have several.
        let Some((file, made)) = file_of_our_own(directory, stat, is_root) else { return };
        let number = known.number(device_of(&made));
        let began = changed_at(&made);
        if let Some(met) = known.met.get_mut(number)
            && met.trial.is_none()
        {
            // Where the system gives no thread, nothing is known.
            let trial = std::thread::Builder::new().spawn(move || moves(&file));
            met.trial = trial.ok().map(|trial| (began, trial));
        }
    }

    /// The number of a device among those met.
    pub(super) fn number(&self, stat: &Stat) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).number(device_of(stat))
    }

    /// What the trials came to, by number.
    pub(super) fn finish(self) -> Vec<Device> {
        let known = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let finish = |met: Met| {
            let trial = met.trial.and_then(|(began, trial)| trial.join().is_ok_and(|moves| moves).then_some(began));
            Device::new(met.device, trial)
        };
        known.met.into_iter().map(finish).collect()
    }
}

impl Known {
    fn number(&mut self, device: u64) -> usize {
        let number = self.met.iter().position(|met| met.device == device);
        number.unwrap_or_else(|| {
            self.met.push(Met { device, trial: None });
            self.met.len() - 1
        })
    }
}

#[cfg(target_os = "linux")]
use linux::{file_of_our_own, moves};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use memmap2::{MmapOptions, MmapRaw};
    use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
    use nix::unistd::Pid;
    use rustix::fs::{AtFlags, Mode, OFlags, fstatfs, ftruncate, openat, unlinkat};

    use super::{BorrowedFd, OwnedFd, Stat};
    use crate::tree::handle::stat_of;
    use crate::tree::stamps::changed_at;

    /// How long to wait before the write of each attempt, in milliseconds: the clocks of file systems tick every 1 to
    /// 10. The first attempt at which the time moves is enough, so that only those that never move it take all of it.
    const PAUSES: [u64; 6] = [0, 1, 2, 4, 8, 16];
    /// Each attempt writes to a page of its own: only the first write to a page is noticed. No page is larger.
    const STEP: usize = 64 << 10;
    /// What statfs(2) says of FUSE, where a program of any user answers for times.
    const FUSE: i128 = 0x6573_5546;

    /// A file without a name in a directory; where the file system has none such, one beside it that loses its name at
    /// once. `None` where there can be no file, and of FUSE.
    pub(super) fn file_of_our_own(directory: BorrowedFd<'_>, stat: &Stat, is_root: bool) -> Option<(OwnedFd, Stat)> {
        const MODE: Mode = Mode::RUSR.union(Mode::WUSR);
        const FLAGS: OFlags = OFlags::RDWR.union(OFlags::CLOEXEC).union(OFlags::EXCL);
        let file = match openat(directory, c".", FLAGS | OFlags::TMPFILE, MODE) {
            Ok(file) => file,
            Err(_) if is_root => file_beside(directory, stat, FLAGS, MODE)?,
            Err(_) => return None,
        };
        if i128::from(fstatfs(&file).ok()?.f_type) == FUSE {
            return None;
        }
        ftruncate(&file, (PAUSES.len() * STEP) as u64).ok()?;
        let made = stat_of(file.as_fd()).ok()?;
        Some((file, made))
    }

    pub(super) fn file_beside(root: BorrowedFd<'_>, stat: &Stat, flags: OFlags, mode: Mode) -> Option<OwnedFd> {
        let above = super::super::handle::open_directory(root, b"..").ok()?;
        let name = format!(".cacheseal-trial-{}", stat.st_ino);
        let file = openat(&above, &*name, flags | OFlags::CREATE | OFlags::NOFOLLOW, mode).ok()?;
        unlinkat(&above, &*name, AtFlags::empty()).ok()?;
        Some(file)
    }

    /// Whether writes through a mapping of the file move its change time.
    pub(super) fn moves(file: &OwnedFd) -> bool {
        let Ok(map) = MmapOptions::new().len(PAUSES.len() * STEP).map_raw(file) else { return false };
        (0_usize..).zip(PAUSES).any(|(page, pause)| attempt(file, &map, page * STEP, pause).unwrap_or(false))
    }

    /// One attempt; `None` where the system lets no process do this, as some containers do.
    fn attempt(file: &OwnedFd, map: &MmapRaw, at: usize, pause: u64) -> Option<bool> {
        let there = [RemoteIoVec { base: map.as_ptr().addr() + at, len: 1 }];
        let time = || Some(changed_at(&stat_of(file.as_fd()).ok()?));
        // Once read, the page is there, and the write must ask for it anew.
        process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut [0])], &there).ok()?;
        let before = time()?;
        std::thread::sleep(Duration::from_millis(pause));
        process_vm_writev(Pid::this(), &[IoSlice::new(b"x")], &there).ok()?;
        Some(time()? != before)
    }
}

/// Elsewhere nothing is tried, and nothing is believed.
#[cfg(not(target_os = "linux"))]
fn file_of_our_own(_: BorrowedFd<'_>, _: &Stat, _: bool) -> Option<(OwnedFd, Stat)> {
    None
}

#[cfg(not(target_os = "linux"))]
fn moves(_: &OwnedFd) -> bool {
    false
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::path::Path;

    use rustix::fs::{Mode, OFlags};

    use super::super::handle::stat_of;
    use super::*;

    fn tried(above: &Path) -> Option<bool> {
        let directory = tempfile::tempdir_in(above).unwrap();
        let open = fs::File::open(directory.path()).unwrap();
        let devices = Devices::default();
        let stat = stat_of(open.as_fd()).unwrap();
        devices.meet(open.as_fd(), &stat, true);
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let [device] = devices.finish().try_into().ok()?;
        Some(device.moves())
    }

    #[test]
    fn tmpfs_does_not_notice_a_write_through_a_mapping() {
        let shared = Path::new("/dev/shm");
        if shared.is_dir() {
            assert_eq!(tried(shared), Some(false));
        }
    }

    #[test]
    fn a_trial_ends_the_same_each_time() {
        let of_target = || tried(Path::new(env!("CARGO_MANIFEST_DIR")));
        assert_eq!(of_target(), of_target());
    }

    #[test]
    fn a_file_beside_a_root_loses_its_name_at_once() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("root")).unwrap();
        let root = fs::File::open(directory.path().join("root")).unwrap();
        let stat = stat_of(root.as_fd()).unwrap();
        let beside = || linux::file_beside(root.as_fd(), &stat, OFlags::RDWR | OFlags::EXCL, Mode::RUSR | Mode::WUSR);
        let file = beside().unwrap();
        assert_eq!(stat_of(file.as_fd()).unwrap().st_nlink, 0);
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["root"]);
        // What already has the name is neither taken nor removed.
        let name = directory.path().join(format!(".cacheseal-trial-{}", stat.st_ino));
        fs::write(&name, "another's").unwrap();
        assert!(beside().is_none());
        assert_eq!(fs::read(&name).unwrap(), b"another's");
    }
}
