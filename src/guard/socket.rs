//! The guard's socket: local, for one user, and on Linux nowhere on disk, so that no file can take its place.
//!
//! On Linux its name is in the abstract namespace: the kernel holds it as long as the process lives that took it, and
//! tells each side who the other is. Elsewhere it is a file in a directory that only its owner can enter.
//!
//! Who asks looks at the program file of the process that made the socket listen. The guard's own cannot be looked at:
//! that would take the right to read its memory, which nobody has. So another process of this program, the witness,
//! makes the socket listen in the guard's place. It holds nothing, not even the socket, and lives as long as the guard.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::base::Digest;

/// Most that wait to be accepted.
const BACKLOG: i32 = 16;

/// Where the guard of one policy, for one user and one job, can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketName {
    user: u32,
    hex: String,
}

/// A socket that nobody else can take.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    user: u32,
    /// The reading end of a pipe that the witness holds open.
    witness: Option<OwnedFd>,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    path: std::path::PathBuf,
}

/// Why the socket could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Somebody has it.
    #[error("the name is taken")]
    Taken,
    /// The system's error.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl SocketName {
    /// The name that follows from the user id, the canonical path of the policy, and what tells this job from another
    /// on the same machine; empty where nothing does.
    #[must_use]
    pub fn of(user: u32, policy: &Path, job: &str) -> Self {
        let path = policy.as_os_str().as_bytes();
        let text = [&path.len().to_be_bytes(), path, job.as_bytes()].concat();
        Self { user, hex: Digest::sha256(&text).to_string() }
    }

    /// Takes the name.
    pub fn listen(&self) -> Result<Listener, ListenError> {
        let listener = self.bind()?;
        rustix::net::listen(&listener.fd, BACKLOG).map_err(io::Error::from)?;
        Ok(listener)
    }

    /// Takes the name, and has a witness make it listen: another process of this program, which is given the socket and
    /// calls [`bear_witness`]. What `send` gives back is the reading end of the pipe that it writes to.
    pub fn listen_by(&self, send: impl FnOnce(OwnedFd) -> io::Result<OwnedFd>) -> Result<Listener, ListenError> {
        let mut listener = self.bind()?;
        let witness = send(listener.fd.try_clone()?)?;
        let mut ready = [0];
        if retry_on_intr(|| rustix::io::read(&witness, &mut ready)).map_err(io::Error::from)? != 1 {
            return Err(io::Error::other("its witness ended before it was ready").into());
        }
        listener.witness = Some(witness);
        Ok(listener)
    }

    /// Connects to whoever has the name. Every wait on the connection ends after `patience`.
    pub(super) fn connect(&self, patience: Duration) -> io::Result<OwnedFd> {
        let fd = new_socket()?;
        set_patience(fd.as_fd(), patience)?;
        retry_on_intr(|| rustix::net::connect(&fd, &self.address()?))?;
        Ok(fd)
    }
}

impl Listener {
    /// Accepts a connection, if it is by the user that the guard works for.
    pub(super) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        match retry_on_intr(|| accept_closed_on_exec(self.fd.as_fd())) {
            Ok(fd) if peer_has_user(fd.as_fd(), self.user) => Ok(Some(fd)),
            Ok(_) | Err(Errno::CONNABORTED | Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Readable when the witness has ended: nobody would believe this guard any more.
    pub(super) fn witness(&self) -> Option<BorrowedFd<'_>> {
        self.witness.as_ref().map(|witness| witness.as_fd())
    }
}

/// What the witness does: it makes the guard's socket listen, gives it up by `release`, says so through `pipe`, and
/// waits until nobody reads from that any more.
pub fn bear_witness(
    socket: BorrowedFd<'_>,
    release: impl FnOnce() -> io::Result<()>,
    pipe: BorrowedFd<'_>,
) -> io::Result<()> {
    rustix::net::listen(socket, BACKLOG)?;
    release()?;
    retry_on_intr(|| rustix::io::write(pipe, b"."))?;
    // An error is what a pipe without a reader has; nothing else is waited for.
    retry_on_intr(|| poll(&mut [PollFd::from_borrowed_fd(pipe, PollFlags::empty())], None))?;
    Ok(())
}

pub(super) fn set_patience(fd: BorrowedFd<'_>, patience: Duration) -> io::Result<()> {
    set_socket_timeout(fd, Timeout::Recv, Some(patience))?;
    set_socket_timeout(fd, Timeout::Send, Some(patience))?;
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod platform {
    use super::{
        AddressFamily, AsFd as _, BorrowedFd, Errno, ListenError, Listener, OwnedFd, SocketAddrUnix, SocketName,
        SocketType, io,
    };
    use rustix::net::SocketFlags;
    use std::os::unix::fs::MetadataExt as _;

    pub(super) fn new_socket() -> io::Result<OwnedFd> {
        Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
    }

    pub(super) fn accept_closed_on_exec(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        rustix::net::accept_with(fd, SocketFlags::CLOEXEC)
    }

    impl SocketName {
        pub(super) fn address(&self) -> Result<SocketAddrUnix, Errno> {
            SocketAddrUnix::new_abstract_name(format!("cacheseal-guard-{}-{}", self.user, self.hex).as_bytes())
        }

        pub(super) fn bind(&self) -> Result<Listener, ListenError> {
            let fd = new_socket()?;
            match rustix::net::bind(&fd, &self.address().map_err(io::Error::from)?) {
                Ok(()) => Ok(Listener { fd, user: self.user, witness: None }),
                Err(Errno::ADDRINUSE) => Err(ListenError::Taken),
                Err(errno) => Err(io::Error::from(errno).into()),
            }
        }
    }

    pub(super) fn peer_has_user(fd: BorrowedFd<'_>, user: u32) -> bool {
        rustix::net::sockopt::socket_peercred(fd).is_ok_and(|peer| peer.uid.as_raw() == user)
    }

    /// Whether the other side runs as this user, and is the very program file that this process is. A process that is
    /// ending has no program any more, and its socket may still be open: that is [`io::ErrorKind::NotFound`].
    pub(in super::super) fn check_peer(fd: BorrowedFd<'_>, user: u32) -> io::Result<()> {
        let peer = rustix::net::sockopt::socket_peercred(fd.as_fd())?;
        if peer.uid.as_raw() != user {
            return Err(io::Error::other(format!("a process of user {}", peer.uid.as_raw())));
        }
        let pid = peer.pid.as_raw_nonzero().get();
        let program = |process: &str| std::fs::metadata(format!("/proc/{process}/exe"));
        match (program(&pid.to_string()), program("self")) {
            (Ok(theirs), Ok(ours)) if (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            (Ok(_), Ok(_)) => Err(io::Error::other(format!("process {pid}, which runs another program file"))),
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {
                Err(io::Error::new(error.kind(), format!("process {pid} is ending")))
            }
            (Err(error), _) | (_, Err(error)) => {
                Err(io::Error::other(format!("process {pid}, of which nothing is known: {error}")))
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod platform {
    use super::{
        AddressFamily, BorrowedFd, Errno, ListenError, Listener, OwnedFd, SocketAddrUnix, SocketName, SocketType, io,
    };
    use rustix::io::{FdFlags, fcntl_setfd};
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    use std::path::PathBuf;

    pub(super) fn new_socket() -> io::Result<OwnedFd> {
        let fd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        Ok(fd)
    }

    pub(super) fn accept_closed_on_exec(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        let accepted = rustix::net::accept(fd)?;
        fcntl_setfd(&accepted, FdFlags::CLOEXEC)?;
        Ok(accepted)
    }

    impl SocketName {
        fn directory(&self) -> PathBuf {
            PathBuf::from(format!("/tmp/cacheseal-guard-{}", self.user))
        }

        /// The path, if its directory is one that only this user can enter.
        fn path(&self) -> Result<PathBuf, Errno> {
            let directory = self.directory();
            let found = std::fs::symlink_metadata(&directory)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            if !found.is_dir() || found.uid() != self.user || found.mode() & 0o077 != 0 {
                return Err(Errno::ACCESS);
            }
            // A socket's path has at most 104 bytes here.
            Ok(directory.join(self.hex.get(..32).unwrap_or(&self.hex)))
        }

        pub(super) fn address(&self) -> Result<SocketAddrUnix, Errno> {
            SocketAddrUnix::new(self.path()?)
        }

        pub(super) fn bind(&self) -> Result<Listener, ListenError> {
            match std::fs::DirBuilder::new().mode(0o700).create(self.directory()) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
                _ => {}
            }
            let path = self.path().map_err(io::Error::from)?;
            let fd = new_socket()?;
            let bind = || rustix::net::bind(&fd, &SocketAddrUnix::new(&path)?);
            let bound = match bind() {
                // Whoever left the file there may be gone.
                Err(Errno::ADDRINUSE) if self.is_deserted() => {
                    std::fs::remove_file(&path)?;
                    bind()
                }
                bound => bound,
            };
            match bound {
                Ok(()) => Ok(Listener { fd, user: self.user, witness: None, path }),
                Err(Errno::ADDRINUSE) => Err(ListenError::Taken),
                Err(errno) => Err(io::Error::from(errno).into()),
            }
        }

        fn is_deserted(&self) -> bool {
            let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            self.connect(std::time::Duration::from_secs(1)).is_err_and(|error| refused(&error))
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            // The next guard removes what this one could not.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// The directory of the socket lets nobody else in.
    pub(super) fn peer_has_user(_: BorrowedFd<'_>, _: u32) -> bool {
        true
    }

    /// The directory of the socket lets nobody else in; which program answers is not known here.
    #[expect(clippy::unnecessary_wraps, reason = "it can fail where the system tells more")]
    pub(in super::super) fn check_peer(_: BorrowedFd<'_>, _: u32) -> io::Result<()> {
        Ok(())
    }
}

pub(super) use platform::check_peer;
use platform::{accept_closed_on_exec, new_socket, peer_has_user};
