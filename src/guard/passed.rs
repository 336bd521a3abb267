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

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use serde_json::{Value, json};

    use super::super::server::{Pace, serve};
    use super::super::socket::SocketName;
    use super::*;

    /// Asks a server in this process, with these descriptors, and gives back what it says that it got.
    fn asked_with(descriptors: &[BorrowedFd<'_>]) -> String {
        let here = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let name = SocketName::of(user, here.path(), "passed");
        let listener = name.listen().unwrap();
        let pace = Pace { lifetime: Duration::from_mins(10), heartbeat: Duration::from_secs(5) };
        let answer = |_: &Value, passed: Passed| match passed {
            Passed::Nothing => (json!("nothing"), true),
            Passed::Unfit(what) => (json!(what), true),
            Passed::File(mut file) => {
                file.write_all(b"written by the other side").unwrap();
                (json!("a file"), true)
            }
        };
        std::thread::scope(|scope| {
            let server = scope.spawn(|| serve(listener, pace, &|| Duration::ZERO, &answer));
            let mut connection = File::from(name.connect(Duration::from_mins(1)).unwrap());
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(9))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(descriptors.is_empty() || control.push(SendAncillaryMessage::ScmRights(descriptors)));
            // Only a part: descriptors come with the bytes that they were sent with, the others after them.
            let sent = sendmsg(&connection, &[IoSlice::new(b"\"a que")], &mut control, SendFlags::empty()).unwrap();
            assert_eq!(sent, 6);
            connection.write_all(b"stion\"\n").unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            server.join().unwrap().unwrap();
            serde_json::from_str(answer.trim()).unwrap()
        })
    }

    #[test]
    fn one_regular_file_that_can_be_written_is_taken_and_nothing_else() {
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(asked_with(&[]), "nothing");
        assert_eq!(asked_with(&[file.as_fd()]), "a file");
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "written by the other side");

        for count in 2..9 {
            assert!(asked_with(&vec![file.as_fd(); count]).starts_with("more than one"), "{count}");
        }
        // Nobody reads from it: whoever wrote to it would wait.
        let (_reader, writer) = io::pipe().unwrap();
        let named = tempfile::NamedTempFile::new().unwrap();
        let readable = File::open(named.path()).unwrap();
        let directory = File::open("/").unwrap();
        let null = File::options().write(true).open("/dev/null").unwrap();
        for (descriptor, found) in [
            (writer.as_fd(), "one that is no regular file"),
            (directory.as_fd(), "one that is no regular file"),
            (null.as_fd(), "one that is no regular file"),
            (readable.as_fd(), "a file that is open for reading only"),
        ] {
            assert_eq!(asked_with(&[descriptor]), found);
        }
    }

    #[test]
    fn what_is_taken_is_closed_on_exec_and_what_is_not_is_closed_at_once() {
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None);
        let (ours, theirs) = pair.unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let file = tempfile::tempfile().unwrap();
        send_with(ours.as_fd(), b"a", writer.as_fd()).unwrap();
        send_with(ours.as_fd(), b"b", file.as_fd()).unwrap();
        drop(writer);
        let mut incoming = Incoming::new(theirs.as_fd());
        let mut byte = [0];
        incoming.read_exact(&mut byte).unwrap();
        // The end of a pipe that nobody can write to any more.
        assert_eq!(reader.read(&mut byte).unwrap(), 0);
        incoming.read_exact(&mut byte).unwrap();
        assert!(matches!(incoming.into_passed(), Passed::Unfit(_)));

        send_with(ours.as_fd(), b"c", file.as_fd()).unwrap();
        let mut incoming = Incoming::new(theirs.as_fd());
        incoming.read_exact(&mut byte).unwrap();
        let Passed::File(taken) = incoming.into_passed() else { panic!("not taken") };
        assert!(rustix::io::fcntl_getfd(&taken).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    }
}
