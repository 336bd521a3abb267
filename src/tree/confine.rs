//! Taking rights away from a thread: what reads an archive may write below some directories, and do nothing else with
//! files.

use super::handle::Directory;

/// How far a thread was confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// All that was meant.
    Full,
    /// As much as this kernel can.
    Partial,
    /// Not at all: this system has no Landlock, or it is switched off.
    None,
}

impl Confinement {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

/// From now on the calling thread, and every thread that it starts, opens, makes and removes nothing outside of
/// `directories`. What is open stays so. This is one wall more, not the only one: it holds if the others have a gap.
#[cfg(target_os = "linux")]
#[must_use]
pub fn confine(directories: &[&Directory]) -> Confinement {
    use landlock::{
        ABI, Access as _, AccessFs, PathBeneath, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
        RulesetStatus,
    };
    // Rights that a newer kernel knows and this one does not are left out, and told as partial.
    let all = AccessFs::from_all(ABI::V5);
    let needed = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSym;
    let enforce = || -> Result<RulesetStatus, RulesetError> {
        let mut ruleset = Ruleset::default().handle_access(all)?.create()?;
        for directory in directories {
            ruleset = ruleset.add_rule(PathBeneath::new(directory.fd(), needed))?;
        }
        Ok(ruleset.restrict_self()?.ruleset)
    };
    match enforce() {
        Ok(RulesetStatus::FullyEnforced) => Confinement::Full,
        Ok(RulesetStatus::PartiallyEnforced) => Confinement::Partial,
        Ok(RulesetStatus::NotEnforced) | Err(_) => Confinement::None,
    }
}

/// Elsewhere there is nothing like it.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn confine(_: &[&Directory]) -> Confinement {
    Confinement::None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use super::*;

    /// Where the kernel has Landlock, this is the proof that it is asked for the right thing.
    #[test]
    fn a_confined_thread_writes_below_its_directories_only() {
        let temporary = tempfile::tempdir().unwrap();
        let path = |name: &str| temporary.path().join(name);
        for name in ["one", "two", "outside"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("outside/secret"), "secret").unwrap();
        let open = |name: &str| Directory::open(&path(name)).unwrap();
        let (one, two) = (open("one"), open("two"));
        let outcome = std::thread::scope(|scope| {
            let confined = || {
                let confinement = confine(&[&one, &two]);
                fs::write(path("one/a"), "a").unwrap();
                fs::create_dir(path("two/b")).unwrap();
                std::os::unix::fs::symlink("a", path("one/link")).unwrap();
                let denied = |result: std::io::Result<()>| {
                    result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
                };
                let attempts = [
                    denied(fs::write(path("outside/new"), "new")),
                    denied(fs::write(path("outside/secret"), "other")),
                    denied(fs::read(path("outside/secret")).map(drop)),
                    denied(fs::read_dir(path("outside")).map(drop)),
                    denied(fs::create_dir(path("outside/new"))),
                    denied(fs::remove_file(path("outside/secret"))),
                    denied(fs::remove_file(path("one/a"))),
                    denied(std::os::unix::fs::symlink("x", path("outside/link"))),
                    denied(
                        rustix::fs::mknodat(
                            rustix::fs::CWD,
                            path("one/fifo"),
                            rustix::fs::FileType::Fifo,
                            rustix::fs::Mode::RWXU,
                            0,
                        )
                        .map_err(Into::into),
                    ),
                    // A thread that a confined one starts is confined too.
                    std::thread::spawn({
                        let path = path("outside/thread");
                        move || fs::write(path, "").is_err()
                    })
                    .join()
                    .unwrap(),
                ];
                (confinement, attempts)
            };
            scope.spawn(confined).join().unwrap()
        });
        // The thread that started it is not.
        fs::write(path("outside/here"), "").unwrap();
        match outcome {
            (Confinement::None, _) => {}
            (confinement, attempts) => assert_eq!(attempts, [true; 10], "{confinement:?}"),
        }
    }
}
