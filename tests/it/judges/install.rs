//! The install script of a release: it puts a program in its place only if that is the one it knows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

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
        let mut command = judge("sh");
        command.arg(script).args(["--to", self.path("bin").to_str().unwrap()]);
        command.args(["--from", &format!("file://{}", self.path("mirror").display())]).args(more);
        command.env("HOME", self.path("home")).output().unwrap()
    }

    fn install(&self) -> Output {
        self.run(&self.release().join("install.sh"), &[])
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
    let script = mirror.release().join("install.sh");
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
