//! The install script of a release: it puts a program in its place only if that is the one it knows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{judge, must, told};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const PLATFORMS: [&str; 4] = ["linux-amd64", "linux-arm64", "macos-amd64", "macos-arm64"];

/// A mirror with a release in it, and the script of that release.
struct Mirror {
    directory: tempfile::TempDir,
}

impl Mirror {
    /// Programs that say who they are.
    fn new() -> Self {
        let mirror = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(mirror.release()).unwrap();
        for platform in PLATFORMS {
            fs::write(mirror.program(platform), format!("#!/bin/sh\necho 'program for {platform}'\n")).unwrap();
        }
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        must(judge("bash").arg(checkout.join(".ci/release")).arg("sums").arg(mirror.release()));
        mirror
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn release(&self) -> PathBuf {
        self.path(&format!("mirror/v{VERSION}"))
    }

    fn program(&self, platform: &str) -> PathBuf {
        self.release().join(format!("cacheseal-{VERSION}-{platform}"))
    }

    /// The program for this machine.
    fn own(&self) -> PathBuf {
        let system = if cfg!(target_os = "macos") { "macos" } else { "linux" };
        let processor = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        self.program(&format!("{system}-{processor}"))
    }

    fn run(&self, script: &Path, more: &[&str]) -> Output {
        let to = ["--to", self.path("bin").to_str().unwrap()].map(str::to_owned);
        let more = more.iter().map(|one| (*one).to_owned());
        self.command(script).args(to.into_iter().chain(more)).output().unwrap()
    }

    /// The script, in a directory of its own, with this mirror and no word of where the program goes.
    fn command(&self, script: &Path) -> Command {
        let mut command = judge("sh");
        command.arg(script).args(["--from", &format!("file://{}", self.path("mirror").display())]);
        command.current_dir(self.path("")).env("HOME", self.path("home"));
        command
    }

    fn script(&self) -> PathBuf {
        self.release().join("install.sh")
    }

    fn install(&self) -> Output {
        self.run(&self.script(), &[])
    }

    /// The script ends with 1, says this, and leaves nothing behind.
    #[track_caller]
    fn refuses(&self, output: &Output, said: &str) {
        assert_eq!(output.status.code(), Some(1), "{}", told(output));
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{}", told(output));
        let left = fs::read_dir(self.path("bin")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{}", told(output));
    }
}

#[test]
fn the_program_of_the_release_is_installed() {
    let mirror = Mirror::new();
    let output = mirror.install();
    assert!(output.status.success(), "{}", told(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("program for "), "{}", told(&output));
    let installed = mirror.path("bin/cacheseal");
    assert_eq!(fs::read(&installed).unwrap(), fs::read(mirror.own()).unwrap());
    assert_eq!(fs::metadata(&installed).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(mirror.path("bin")).unwrap().count(), 1);
    // The sums are those of all other files.
    let release = mirror.release();
    must(judge("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&release));
    let sums = fs::read_to_string(release.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), fs::read_dir(&release).unwrap().count() - 1, "{sums}");
}

#[test]
fn another_program_is_refused_and_never_run() {
    for (what, contents) in [
        ("another", "#!/bin/sh\ntouch \"$HOME/ran\"\n".to_owned()),
        ("nothing", String::new()),
        ("cut short", "#!/bin/sh\necho 'program".to_owned()),
    ] {
        let mirror = Mirror::new();
        fs::create_dir(mirror.path("home")).unwrap();
        fs::write(mirror.own(), contents).unwrap();
        mirror.refuses(&mirror.install(), "nothing was installed");
        assert!(!mirror.path("home/ran").exists(), "{what}");
    }
}

#[test]
fn an_older_program_is_refused_under_the_new_name() {
    let mirror = Mirror::new();
    let older = mirror.path("mirror/v0.0.1");
    fs::create_dir(&older).unwrap();
    fs::write(older.join("cacheseal"), "#!/bin/sh\necho old\n").unwrap();
    fs::copy(older.join("cacheseal"), mirror.own()).unwrap();
    mirror.refuses(&mirror.install(), "nothing was installed");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let mirror = Mirror::new();
    let script = mirror.script();
    mirror.refuses(&mirror.run(&script, &["--too"]), "expected --to DIRECTORY or --from URL, found --too");
    mirror.refuses(&mirror.run(&script, &["--from", "file:///nowhere"]), "could not fetch");
    mirror.refuses(&mirror.run(&script, &["--from", "http://127.0.0.1:1"]), "could not fetch");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.sh");
    mirror.refuses(&mirror.run(&checkout, &[]), "knows no release");
    // A program that is there already stays when the new one is not the right one.
    fs::create_dir_all(mirror.path("bin")).unwrap();
    fs::write(mirror.path("bin/cacheseal"), "the one before").unwrap();
    fs::write(mirror.own(), "another").unwrap();
    assert_eq!(mirror.install().status.code(), Some(1));
    assert_eq!(fs::read_to_string(mirror.path("bin/cacheseal")).unwrap(), "the one before");
}

#[test]
fn a_directory_or_a_program_that_does_not_start_is_no_place() {
    let mirror = Mirror::new();
    fs::create_dir_all(mirror.path("bin/cacheseal")).unwrap();
    let output = mirror.install();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("found a directory: nothing was installed"), "{}", told(&output));
    assert_eq!(fs::read_dir(mirror.path("bin/cacheseal")).unwrap().count(), 0);
    fs::remove_dir(mirror.path("bin/cacheseal")).unwrap();
    // The right one by its digest, which this machine cannot start: the one before stays.
    fs::write(mirror.own(), "#!/nowhere\n").unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    must(judge("bash").arg(checkout.join(".ci/release")).arg("sums").arg(mirror.release()));
    fs::write(mirror.path("bin/cacheseal"), "the one before").unwrap();
    let output = mirror.install();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("the program does not start in"), "{}", told(&output));
    assert_eq!(fs::read_to_string(mirror.path("bin/cacheseal")).unwrap(), "the one before");
    assert_eq!(fs::read_dir(mirror.path("bin")).unwrap().count(), 1);
}

#[test]
fn where_the_program_goes_is_read_as_it_is_written() {
    let mirror = Mirror::new();
    let home = mirror.command(&mirror.script()).output().unwrap();
    assert!(home.status.success() && mirror.path("home/.local/bin/cacheseal").is_file(), "{}", told(&home));
    assert!(told(&home).contains("note: "), "{}", told(&home));
    // A slash at the end means nothing, and HOME is not needed.
    let to = mirror.path("bin");
    let path = format!("{}:{}", std::env::var("PATH").unwrap(), to.display());
    let mut command = mirror.command(&mirror.script());
    let output = command.arg("--to").arg(to.join("")).env("PATH", path).env_remove("HOME").output().unwrap();
    assert!(output.status.success() && to.join("cacheseal").is_file(), "{}", told(&output));
    assert!(!told(&output).contains("not on PATH"), "{}", told(&output));
    let help = mirror.command(&mirror.script()).arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).starts_with("usage: "), "{}", told(&help));
}

#[test]
fn a_place_that_cannot_be_used_is_told() {
    let mirror = Mirror::new();
    let tools = mirror.path("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(mirror.path("file"), "").unwrap();
    std::os::unix::fs::symlink(must_find("uname"), tools.join("uname")).unwrap();
    let in_a_file = mirror.path("file/bin");
    let refused = |arguments: &[&str], change: &dyn Fn(&mut Command), said: &str| {
        let mut command = mirror.command(&mirror.script());
        change(command.args(arguments));
        mirror.refuses(&command.output().unwrap(), said);
    };
    let nothing = |_: &mut Command| ();
    refused(&["--to", "-x"], &nothing, "found '-x'; a directory -x is ./-x");
    refused(&["--to"], &nothing, "expected something after --to");
    refused(&["--to", in_a_file.to_str().unwrap()], &nothing, "could not make the directory");
    // Nobody, root included, makes files there.
    refused(&["--to", "/proc/self"], &nothing, "could not write in /proc/self");
    refused(&[], &|command| _ = command.env_remove("HOME"), "HOME is not set");
    refused(&[], &|command| _ = command.env("PATH", &tools), "expected curl, found none");
}

fn must_find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|found| found.is_file()).unwrap()
}
