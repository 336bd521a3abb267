//! A question as it comes over the socket, and the descriptor that may come with it.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// What came with a question beside its text.
#[derive(Debug, Default)]
pub enum Passed {
    /// Nothing.
    #[default]
    Nothing,
    /// A regular file that can be written: a write to it waits for nobody.
    File(File),
    /// Something else, in words. It is closed.
    Unfit(&'static str),
}

/// The text of a question, as a reader that takes the descriptors out.
pub(super) struct Incoming<'a> {
    socket: BorrowedFd<'a>,
    passed: Passed,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(socket: BorrowedFd<'a>) -> Self {
        Self { socket, passed: Passed::Nothing }
    }

    pub(super) fn into_passed(self) -> Passed {
        self.passed
    }

    fn take(&mut self, descriptor: OwnedFd) {
        self.passed = match self.passed {
            Passed::Nothing => fit(descriptor),
            _ => MORE,
        };
    }
}

const MORE: Passed = Passed::Unfit("more than one descriptor, or one that did not arrive");

/// Whether a descriptor is one that the guard writes to: a pipe or a device could keep it waiting.
fn fit(descriptor: OwnedFd) -> Passed {
    let is_regular =
        fstat(&descriptor).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let is_writable =
        fcntl_getfl(&descriptor).is_ok_and(|flags| (flags & OFlags::RWMODE).intersects(OFlags::WRONLY | OFlags::RDWR));
    match (is_regular, is_writable) {
        (false, _) => Passed::Unfit("one that is no regular file"),
        (true, false) => Passed::Unfit("a file that is open for reading only"),
        (true, true) => Passed::File(File::from(descriptor)),
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // Of more descriptors than there is room for, the kernel closes those that are left.
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            retry_on_intr(|| recvmsg(self.socket, &mut [IoSliceMut::new(bytes)], &mut control, closed_on_exec()))?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                for descriptor in descriptors {
                    close_on_exec(&descriptor)?;
                    self.take(descriptor);
                }
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            self.passed = MORE;
        }
        Ok(received.bytes)
    }
}

/// Sends the beginning of `bytes` together with `descriptor`. Gives back how many bytes that were.
pub(super) fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    Ok(retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()))?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod platform {
    use super::{OwnedFd, RecvFlags, io};

    pub(super) fn closed_on_exec() -> RecvFlags {
        RecvFlags::CMSG_CLOEXEC
    }

    #[expect(clippy::unnecessary_wraps, reason = "it can fail where the flag is set afterwards")]
    pub(super) fn close_on_exec(_: &OwnedFd) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod platform {
    use super::{OwnedFd, RecvFlags, io};
    use rustix::io::{FdFlags, fcntl_setfd};

    pub(super) fn closed_on_exec() -> RecvFlags {
        RecvFlags::empty()
    }

    pub(super) fn close_on_exec(descriptor: &OwnedFd) -> io::Result<()> {
        Ok(fcntl_setfd(descriptor, FdFlags::CLOEXEC)?)
    }
}

use platform::{close_on_exec, closed_on_exec};
