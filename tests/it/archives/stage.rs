//! A checkout and a home that hold other things than the archive, and the binary run in them on one archive.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::sample::Sample;
use crate::harness::{POLICY, Project, Run, Verdict};

/// A third root, absent when sealed; a gate for each rule about links.
const ROOTS: (&str, &str) = (r#"["deps", "~/store"]"#, r#"["deps", "~/store", "~/never"]"#);
const GATE: &str = r#"
[gate.inside]
require = ["signature"]
signers = ["job"]
max_age = "7d"
lockfile = "any"
links = "inside"
"#;

/// The policy of the kit.
pub(crate) fn policy() -> String {
    POLICY.replace(ROOTS.0, ROOTS.1) + GATE
}

/// Where hostile names lead that are absolute.
pub(crate) const ELSEWHERE: &str = "/cacheseal-evil";

/// One thing on disk, as exactly as it can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Noted {
    path: PathBuf,
    mode: u32,
    inode: u64,
    /// Of its last change, and of the last change of its contents: seconds and nanoseconds.
    times: [i64; 4],
    contents: Vec<u8>,
}

impl Noted {
    fn without_times_of_directory(&self) -> Self {
        let is_directory = self.mode & 0o170_000 == 0o040_000;
        Self { times: if is_directory { [0; 4] } else { self.times }, ..self.clone() }
    }
}

/// A sealed project whose trees were taken away and whose places are held by canaries.
pub(crate) struct Stage {
    pub(crate) project: Project,
    pub(crate) sample: Sample,
    before: Vec<Noted>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::after(|_| {})
    }

    /// With something done to the sealed project before it becomes the sample.
    pub(crate) fn after(edit: impl FnOnce(&Project)) -> Self {
        let project = Project::empty(&policy());
        fill(&project);
        project.seal();
        edit(&project);
        Self::of(project)
    }

    /// Takes a sealed project.
    pub(crate) fn of(project: Project) -> Self {
        let sample = Sample::read(&project);
        for path in [project.path("deps"), project.path(".cacheseal"), project.home().join("store")] {
            fs::remove_dir_all(path).unwrap();
        }
        for canary in ["deps/canary", ".git/hooks/pre-commit", ".npmrc"] {
            project.write(canary, "canary\n");
        }
        for canary in ["store/canary", ".npmrc", ".bashrc", ".cargo/config.toml"] {
            let path = project.home().join(canary);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "canary\n").unwrap();
        }
        fs::create_dir(project.outside("archives")).unwrap();
        let before = noted(&project);
        Self { project, sample, before }
    }

    /// Writes an archive to a file, as the attacker does.
    pub(crate) fn file(&self, archive: &[u8]) -> PathBuf {
        let path = self.project.outside("archives/archive");
        fs::write(&path, archive).unwrap();
        path
    }

    /// The verdict on an archive in a file, at the gate `any` unless `more` names another.
    #[track_caller]
    pub(crate) fn verify(&self, archive: &[u8], more: &[&str]) -> Verdict {
        let file = self.file(archive);
        self.run(&["verify", "--archive", file.to_str().unwrap()], more).verdict()
    }

    /// The verdict of `unpack` over the trees that are there.
    #[track_caller]
    pub(crate) fn unpack(&self, archive: &[u8], more: &[&str]) -> Verdict {
        let file = self.file(archive);
        self.run(&["unpack", "--replace", file.to_str().unwrap()], more).verdict()
    }

    /// A command on an archive, as JSON.
    pub(crate) fn run(&self, verb: &[&str], more: &[&str]) -> Run {
        let gate: &[&str] = if more.contains(&"--gate") { &[] } else { &["--gate", "any"] };
        self.project.run(&[verb, more, gate, &["--format", "json"]].concat())
    }

    /// Nothing but the archive itself has changed, been added or gone.
    #[track_caller]
    pub(crate) fn assert_untouched(&self, row: &str) {
        assert_same(&self.before, &noted(&self.project), row);
    }

    /// The same, but that a directory may have held something for a while.
    #[track_caller]
    pub(crate) fn assert_restored(&self, row: &str) {
        let timeless = |all: &[Noted]| all.iter().map(Noted::without_times_of_directory).collect::<Vec<_>>();
        assert_same(&timeless(&self.before), &timeless(&noted(&self.project)), row);
    }
}

#[track_caller]
fn assert_same(before: &[Noted], after: &[Noted], row: &str) {
    if after != before {
        let strange: Vec<_> = after.iter().filter(|noted| !before.contains(noted)).collect();
        let gone: Vec<_> = before.iter().filter(|noted| !after.contains(noted)).map(|noted| &noted.path).collect();
        panic!("{row}: something changed: {strange:#?}, where these were: {gone:#?}");
    }
    assert!(fs::symlink_metadata(ELSEWHERE).is_err(), "{row}: `{ELSEWHERE}` was made");
}

/// One of everything that can be sealed, small.
pub(crate) fn fill(project: &Project) {
    project.fill();
    project.write("deps/pkg/twin.js", "module.exports = 1\n");
    project.write("deps/big", b"0123456789abcdef".repeat(200));
    project.relink("deps/pkg/away", "../../../elsewhere");
    fs::write(project.home().join("store/blob"), vec![7; 3_000]).unwrap();
}

fn noted(project: &Project) -> Vec<Noted> {
    let mut found = Vec::new();
    let mut pending = vec![project.outside("")];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let contents = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let times = [metadata.ctime(), metadata.ctime_nsec(), metadata.mtime(), metadata.mtime_nsec()];
        let (mode, inode) = (metadata.mode(), metadata.ino());
        if metadata.is_dir() && path != project.outside("archives") {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if path != project.outside("archives") {
            found.push(Noted { path, mode, inode, times, contents });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
