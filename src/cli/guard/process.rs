//! The guard as a process: nobody reads its memory, and another process of this program bears witness for it.

use std::io;
use std::path::PathBuf;

use serde_json::json;

use super::super::outcome::Outcome;
use crate::base::{Code, Exit};
use crate::checkout::Failure;
use crate::guard::{ListenError, Listener, SocketName};

/// The file that this process runs, whatever has become of its path.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[expect(clippy::unnecessary_wraps, reason = "other systems have to look for it")]
pub(super) fn own_program() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// Leaves no core, and on Linux lets no other process of the same user read or write this one's memory or trace it.
pub(super) fn close_to_others() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let closed = setrlimit(Resource::Core, none);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let closed =
        closed.and_then(|()| rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable));
    closed.map_err(|errno| {
        let error = io::Error::from(errno);
        Failure::new(Code::GuardGone, format!("the guard did not start: it cannot close its memory to others: {error}"))
    })
}

/// Takes the name, with a witness where the system tells who listens.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn listen(name: &SocketName) -> Result<Listener, ListenError> {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    name.listen_by(|socket| {
        let mut witness = Command::new(own_program()?)
            .arg0("cacheseal")
            .args(["guard", "witness"])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(socket))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        witness.stdout.take().map(Into::into).ok_or_else(|| io::Error::other("its witness has no output"))
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn listen(name: &SocketName) -> Result<Listener, ListenError> {
    name.listen()
}

/// The witness: its standard input is the guard's socket, its standard output a pipe to the guard.
pub(super) fn witness() -> Result<Outcome, Failure> {
    use std::os::fd::AsFd as _;
    // In place of the socket: whoever gets hold of this process gets nothing.
    let release = || Ok(rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?);
    crate::guard::bear_witness(io::stdin().as_fd(), release, io::stdout().as_fd()).map_err(|error| {
        Failure::new(Code::Usage, format!("expected a guard's socket as standard input: {error}"))
            .hint("`guard start` runs this command itself")
    })?;
    Ok(Outcome { exit: Exit::Ok, output: Vec::new(), json: json!(null), product: None })
}
