//! What other programs read in our archives; and `pack` under signals and on a full disk.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::exports::{BYTES, GLOBS, NAMES, sealed};
use super::points::{Point, assert_no_failures, injected, points, sweep};
use super::realtrees::{npm_project, seal};
use super::{is_root, judge, must, text, told};
use crate::harness::{Project, Run};

/// Programs that unpack `$0` into the directory that they are run in, and the locale that they take names in.
const EXTRACTORS: &[(&str, &str, &str)] = &[
    ("GNU tar", "C", "tar -xf \"$0\""),
    ("bsdtar", "C", "bsdtar -xf \"$0\""),
    ("bsdtar in UTF-8", "C.UTF-8", "bsdtar -xf \"$0\""),
    ("Python", "C.UTF-8", "python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall()' \"$0\""),
    ("busybox", "C", "busybox tar -xf \"$0\""),
];

/// The same for archives that are compressed.
const DECOMPRESSORS: &[(&str, &str, &str)] =
    &[("GNU tar", "C", "tar --zstd -xf \"$0\""), ("bsdtar", "C", "bsdtar -xf \"$0\"")];

/// Unpacks with another program, and lets `verify` say whether what came out is what was sealed.
fn extracted_is_trusted(project: &Project, cache: &str, gate: &str, archive: &Path, program: &(&str, &str, &str)) {
    let (what, locale, script) = program;
    let into = project.outside("extracted");
    fs::create_dir(&into).unwrap();
    let mut extract = judge("sh");
    extract.env("LC_ALL", locale).args(["-c", script]).arg(archive).current_dir(&into);
    must(&mut extract);
    let checkout = into.join("checkout");
    for part in ["cacheseal.toml", "keys", "package-lock.json", "deps.lock"] {
        if project.path(part).exists() {
            must(judge("cp").arg("-a").arg(project.path(part)).arg(&checkout));
        }
    }
    fs::create_dir_all(into.join("home")).unwrap();
    let mut verify = project.command();
    verify.args(["verify", cache, "--gate", gate, "--trust-checkout"]);
    let output = verify.current_dir(&checkout).env("HOME", into.join("home")).output().unwrap();
    assert!(output.status.success(), "{what}: {}", told(&output));
    fs::remove_dir_all(into).unwrap();
}

fn pack(project: &Project, cache: &str, name: &str) -> std::path::PathBuf {
    let archive = project.outside(name);
    let run = project.run(&["pack", cache, "-o", text(&archive)]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    archive
}

fn every_program_reads_it(project: &Project, cache: &str, gate: &str) {
    let plain = pack(project, cache, "a.tar");
    for program in EXTRACTORS {
        extracted_is_trusted(project, cache, gate, &plain, program);
    }
    let compressed = pack(project, cache, "a.tar.zst");
    for program in DECOMPRESSORS {
        extracted_is_trusted(project, cache, gate, &compressed, program);
    }
}

#[test]
fn awkward_names_come_out_of_every_program() {
    let project = sealed("sha256", &[NAMES, GLOBS, BYTES]);
    // Too long for a header, in every way.
    for name in NAMES.iter().chain(BYTES) {
        let name = OsStr::from_bytes(name);
        let directory = project.path("deps/long").join("d".repeat(120)).join(name).join("e".repeat(120));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), "").unwrap();
        symlink(Path::new(&"t".repeat(101)).join(name), directory.join("link")).unwrap();
    }
    for len in [86, 87, 99, 100, 101, 155, 156, 254, 255] {
        fs::write(project.path("deps").join("f".repeat(len)), "").unwrap();
        fs::create_dir(project.path("deps/long").join("g".repeat(len))).unwrap();
    }
    project.seal();
    every_program_reads_it(&project, "deps", "exact");
}

#[test]
fn installed_packages_come_out_of_every_program() {
    let (project, _) = npm_project();
    seal(&project, "npm");
    every_program_reads_it(&project, "npm", "ci");
}

#[test]
fn an_archive_of_many_frames_comes_out_of_every_program() {
    let project = Project::new();
    let large: Vec<u8> = (0_u32..5_000_000).flat_map(|n| ((n / 5) ^ (n >> 2)).to_le_bytes()).collect();
    project.write("deps/large", large);
    project.seal();
    every_program_reads_it(&project, "deps", "exact");
    let archive = pack(&project, "deps", "b.tar.zst");
    let listed = must(judge("zstd").args(["-t", "-vv", "-l"]).arg(&archive));
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains("# Zstandard Frames: 5\n") && listed.contains("Check: XXH64"), "{listed}");
    must(judge("zstd").args(["-t", "-q"]).arg(&archive));
    must(judge("tar").args(["--zstd", "-tf"]).arg(&archive));
}

#[test]
fn what_a_refusal_has_left_in_a_pipe_no_program_takes_for_an_archive() {
    let project = Project::new();
    for number in 100..400 {
        project.write(&format!("deps/many/{number}"), vec![b'x'; 64 << 10]);
    }
    project.seal();
    // Behind frames that are whole.
    project.write("deps/many/399", vec![b'y'; 64 << 10]);
    let output = project.command().args(["pack", "deps", "-o", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(11));
    assert!(output.stdout.len() > 1_000, "{} bytes", output.stdout.len());
    for (program, arguments) in [("zstd", &["-t"][..]), ("tar", &["--zstd", "-t"]), ("bsdtar", &["-tf", "-"])] {
        let read = super::fed(judge(program).args(arguments), &output.stdout);
        assert!(!read.status.success(), "{program}: {}", told(&read));
    }
}

/// One thread, so that calls come in one order.
const PACK: &[&str] = &["pack", "deps", "-o", "../out/a.tar"];

struct Sealed {
    project: Project,
    archive: Vec<u8>,
}

impl Sealed {
    fn new() -> Self {
        let project = Project::new();
        project.seal();
        let archive = fs::read(pack(&project, "deps", "whole.tar")).unwrap();
        fs::create_dir(project.outside("out")).unwrap();
        Self { project, archive }
    }

    fn out(&self) -> Vec<String> {
        let entries = fs::read_dir(self.project.outside("out")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// The archive is there whole, or it is not there. Tells whether it is.
    fn is_whole(&self) -> Result<bool, String> {
        match fs::read(self.project.outside("out/a.tar")) {
            Ok(bytes) if bytes == self.archive => Ok(true),
            Ok(bytes) => Err(format!("{} bytes of {}", bytes.len(), self.archive.len())),
            Err(_) => Ok(false),
        }
    }

    /// A run that is left alone packs, and takes away what another left.
    fn recovers(&self) -> Result<(), String> {
        let _ = fs::remove_file(self.project.outside("out/a.tar"));
        let run = self.project.run(PACK);
        if run.code != Some(0) {
            return Err(format!("the next run failed: {}{}", run.stdout, run.stderr));
        }
        let out = self.out();
        if !self.is_whole()? || out != ["a.tar"] {
            return Err(format!("litter: {out:?}"));
        }
        fs::remove_file(self.project.outside("out/a.tar")).map_err(|error| error.to_string())
    }
}

fn own_points(project: &Project) -> Vec<Point> {
    let points = points(project, PACK);
    fs::remove_file(project.outside("out/a.tar")).unwrap();
    let own = points.iter().position(|point| point.call == "getcwd").unwrap();
    points[own..].to_vec()
}

#[test]
fn killed_anywhere_no_half_archive_stays() {
    let first = Sealed::new();
    let points = own_points(&first.project);
    let whole = AtomicUsize::new(0);
    let failures = sweep(&points, Sealed::new, |sealed, point| {
        let told = |failure| format!("killed at {}: {failure}", point.line);
        let output = injected(&sealed.project, point, "signal=KILL", PACK);
        if output.status.signal() != Some(9) && output.status.code() != Some(137) {
            return Err(told(format!("it was not killed: {}", super::told(&output))));
        }
        whole.fetch_add(sealed.is_whole().map_err(told)?.into(), Ordering::Relaxed);
        sealed.recovers().map_err(told)
    });
    println!("killed at {} points, {} of them with the archive in place", points.len(), whole.into_inner());
    assert_no_failures(&failures);
    assert!(points.len() > 100);
}

#[test]
fn signals_end_it_without_a_trace() {
    let first = Sealed::new();
    let points = own_points(&first.project);
    let interrupted = AtomicUsize::new(0);
    let pairs: Vec<_> = points.iter().zip(["signal=TERM", "signal=INT", "signal=HUP"].iter().cycle()).collect();
    let failures = sweep(&pairs, Sealed::new, |sealed, (point, signal)| {
        let output = injected(&sealed.project, point, signal, PACK);
        let failed = |failure: &str| Err(format!("{signal} at {}: {failure} {}", point.line, told(&output)));
        let out = sealed.out();
        match output.status.code() {
            // Before it listens, or as a shell tells it.
            None | Some(129 | 130 | 143) if out.is_empty() => {}
            Some(4) if out.is_empty() && told(&output).contains("error[interrupted]") => {
                interrupted.fetch_add(1, Ordering::Relaxed);
            }
            // It was too late.
            Some(0) if sealed.is_whole()? && out == ["a.tar"] => {}
            _ => return failed(&format!("{out:?}")),
        }
        sealed.recovers()
    });
    let interrupted = interrupted.into_inner();
    println!("signals at {} points, {interrupted} of them told as such", points.len());
    assert_no_failures(&failures);
    assert!(interrupted > 50, "{interrupted}");
}

/// Packs onto a file system of its own, which is gone with the run, and copies what is on it out.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o "$1" tmpfs ../out || exit 99
"$2" pack deps -o ../out/a.tar
status=$?
cp -a ../out ../after || exit 99
exit $status"#;

#[test]
fn a_full_disk_leaves_nothing() {
    let sealed = Sealed::new();
    let mut outcomes = std::collections::BTreeMap::new();
    for pages in [1, 2, 20, 40, 51, 52, 53, 54, 55, 56, 60, 80] {
        let after = sealed.project.outside("after");
        let mut command = judge("unshare");
        command.args(if is_root() { &["-m"][..] } else { &["-Urm"] });
        command.args(["sh", "-c", ON_A_SMALL_DISK, "sh", &format!("size={}", pages * 4096)]);
        command.arg(env!("CARGO_BIN_EXE_cacheseal")).current_dir(sealed.project.root());
        let run = Run::of(command.env("HOME", sealed.project.home()).output().unwrap());
        assert!(after.exists(), "could not mount a small disk: {}", run.stderr);
        let left: Vec<_> = fs::read_dir(&after).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        *outcomes.entry(run.code).or_insert(0) += 1;
        if run.code == Some(0) {
            assert_eq!(fs::read(after.join("a.tar")).unwrap(), sealed.archive, "{pages} pages");
            assert_eq!(left.len(), 1);
        } else {
            super::assert_error(&run, 4, "unwritable");
            assert!(left.is_empty(), "{pages} pages: {left:?}");
        }
        fs::remove_dir_all(after).unwrap();
    }
    println!("full disks: {outcomes:?}");
    assert!(outcomes[&Some(4)] >= 5 && outcomes[&Some(0)] >= 2, "{outcomes:?}");
}
