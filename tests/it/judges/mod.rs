//! Tests whose judges are other programs: what openssl, mtree, strace and the rest say of our files, and what our
//! files and runs are worth after them. A judge that is not installed fails its tests: it never skips them. Trees of many
//! thousands of entries are here too, for the time they take.
#![expect(clippy::print_stdout, reason = "the figures of a sweep, for who runs it with `--nocapture`")]

mod berry;
mod cargo;
mod differences;
mod exports;
mod faults;
mod guard;
mod install;
mod junit;
mod kills;
mod lockfile_go;
mod lockfile_python;
mod npm;
mod openssl;
mod orb;
mod packs;
mod pnpm;
mod points;
mod reads;
mod realtrees;
mod recheck;
mod reference;
mod restores;
mod scale;
#[cfg(target_arch = "x86_64")]
mod short_reads;
mod tampering;
mod tars;
mod unpacks;
mod yarn;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{Project, Run, Verdict};
use crate::lockfile::Locked;

/// Where another program is, which must be installed.
pub(crate) fn judge_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("the judge `{program}` is not installed; `.ci/run` installs all of them"))
}

/// A command of another program.
pub(crate) fn judge(program: &str) -> Command {
    let mut command = Command::new(judge_path(program));
    // Messages and escapes are compared: no translation, no guess at encodings.
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs a command that must work, and gives its output.
#[track_caller]
pub(crate) fn must(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", told(&output));
    output.stdout
}

/// Runs a command with `input` on its stdin.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A judge that has seen enough may close its end.
    let _: std::io::Result<()> = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// What a program said, for messages.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The verdict at the gate `lock` while these are away, and the directories in which nothing else was.
pub(crate) fn without(locked: &Locked, paths: &[PathBuf]) -> Verdict {
    let aside = locked.project.outside("aside");
    fs::create_dir(&aside).unwrap();
    let moved: Vec<_> = paths.iter().enumerate().map(|(at, path)| (path, aside.join(at.to_string()))).collect();
    for (path, to) in &moved {
        fs::rename(path, to).unwrap();
        // Ends at the first that is not empty.
        let _ = path.ancestors().skip(1).map(fs::remove_dir).find(Result::is_err);
    }
    let verdict = locked.verify("lock");
    for (path, to) in moved.iter().rev() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(to, path).unwrap();
    }
    fs::remove_dir(aside).unwrap();
    verdict
}

/// Whether tests run as root, who alone may become others and mount.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Asserts that a run ended with `exit` and the error `code`.
#[track_caller]
pub(crate) fn assert_error(run: &Run, exit: i32, code: &str) {
    let expected = format!("error[{code}]");
    assert!(run.code == Some(exit) && run.stderr.starts_with(&expected), "{:?} {}{}", run.code, run.stdout, run.stderr);
}

impl Project {
    /// Seals cache `deps` with the key `job`.
    pub(crate) fn run_seal(&self) -> Run {
        self.run(&["seal", "deps", "--threads", "1", "--key", text(&self.private_key("job"))])
    }
}
