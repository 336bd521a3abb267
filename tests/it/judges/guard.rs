//! strace watches a guard: it writes to no file, talks to nobody outside of this machine, and opens nothing of what it
//! watches but directories and git's configuration. And jest runs what a restore left in the temporary directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{judge, must};
use crate::guard::{Guarded, alone, alone_json, apart};
use crate::harness::{POLICY, Project, Run};

#[test]
fn a_guard_writes_nothing_and_reads_only_what_it_must() {
    let project = Project::new();
    project.seal();
    let kept = project.outside("kept");
    fs::create_dir(&kept).unwrap();
    fs::rename(project.path("deps"), kept.join("deps")).unwrap();
    fs::rename(project.home().join("store"), kept.join("store")).unwrap();
    fs::rename(project.path(".cacheseal"), kept.join("seals")).unwrap();
    fs::write(project.home().join(".bashrc"), "# secret\n").unwrap();
    let trace = project.outside("trace");
    let mut guard = judge("strace");
    guard.args(["-f", "-o", trace.to_str().unwrap(), "-e", "trace=%network,%file,execve"]);
    // Of the rest of this machine, others may write to it meanwhile, and every call is traced.
    guard.arg(env!("CARGO_BIN_EXE_cacheseal")).args(alone()).arg("--foreground");
    guard.current_dir(project.root()).env_clear().env("HOME", project.home()).stdout(Stdio::null());
    let mut guard = guard.spawn().unwrap();
    project.json(&["guard", "wait", "--timeout", "60"]).expect(0, &[]);
    fs::rename(kept.join("deps"), project.path("deps")).unwrap();
    fs::rename(kept.join("store"), project.home().join("store")).unwrap();
    fs::rename(kept.join("seals"), project.path(".cacheseal")).unwrap();
    let verdict = project.json(&["verify", "deps", "--gate", "exact", "--guard"]);
    assert!(verdict.json["seal"].is_object(), "{:#}", verdict.json);
    project.json(&["guard", "check", "--report-only"]).expect(0, &[]);
    project.json(&["guard", "stop"]).expect(0, &[]);
    assert!(guard.wait().unwrap().success());
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("socket(AF_UNIX"), "{trace}");
    for line in trace.lines() {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        let name = call.split('(').next().unwrap();
        let leads_out = name.starts_with("socket") && !call.contains("AF_UNIX");
        let opens = call.contains("O_WRONLY") || call.contains("O_RDWR") || call.contains("O_CREAT");
        // What its witness has for a standard error, and a file without a name, on which it tries a file system.
        let writes = opens && !call.contains("\"/dev/null\"") && !call.contains("O_TMPFILE");
        let changes = ["mkdir", "unlink", "rename", "link", "symlink", "chmod", "chown", "truncate", "mknod", "utime"];
        let changes = changes.iter().any(|change| name.starts_with(change) || name.starts_with(&format!("f{change}")));
        let reads_home = name.starts_with("open") && call.contains("bashrc");
        assert!(!leads_out && !writes && !changes && !reads_home, "{line}");
    }
}

/// Volumes in home and in the checkout, as containers have them, and one that only a variable's place holds.
const WITH_VOLUMES: &str = r#"
volume() { mkdir -p "$1" && mount -t tmpfs none "$1"; }
volume "$HOME/.npm-global" && volume node_modules/.cache && volume "$SDK/volume" || exit 90
"$@" >&2 || exit 91
for at in "$HOME/.npm-global" node_modules/.cache "$SDK" "$SDK/volume"; do
    echo planted >"$at/f"
    "$1" guard check >&2
    printf '%s ' $?
    rm "$at/f"
done
"$1" guard check >&2 && "$1" guard stop >&2
"#;

#[test]
fn volumes_in_home_and_the_checkout_are_watched() {
    let project = Project::empty_in(apart(), POLICY);
    project.fill();
    let guarded = Guarded::saved(project);
    // The checkout ends here, and not where this repository begins.
    fs::create_dir(guarded.path(".git")).unwrap();
    let mut command = judge("unshare");
    let namespaces = if rustix::process::geteuid().is_root() { &["-m"][..] } else { &["-Urm"] };
    command.args(namespaces).args(["sh", "-c", WITH_VOLUMES, "sh", env!("CARGO_BIN_EXE_cacheseal")]);
    command.args(alone()).current_dir(guarded.root());
    let output = command.env("HOME", guarded.home()).env("SDK", guarded.outside("sdk")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    // What is mounted in a place that is only named by a variable is said at the start, and not entered.
    assert_eq!(String::from_utf8_lossy(&output.stdout), "15 15 15 0 ", "{told}");
    assert!(told.contains("sdk/volume: something else is mounted there"), "{told}");
}

/// jest, as npm installs it. Kept between runs: nobody writes to it but npm.
/// More entries than a place may have that is only named somewhere: in home there is no such limit.
#[test]
fn what_home_holds_is_watched_as_home_whatever_else_names_it() {
    let project = Project::empty_in(Path::new("/dev/shm"), POLICY);
    project.fill();
    let guarded = Guarded::saved(project);
    let home = guarded.canonical_home();
    fs::create_dir_all(home.join("big/many")).unwrap();
    for number in 0..200_001 {
        fs::File::create(home.join(format!("big/many/{number}"))).unwrap();
    }
    fs::create_dir_all(home.join("clone/.git")).unwrap();
    let config = format!("[remote \"origin\"]\n\turl = {}\n", home.join("big").display());
    fs::write(home.join("clone/.git/config"), config).unwrap();
    let start = guarded.json(&alone().iter().map(String::as_str).collect::<Vec<_>>());
    start.expect(0, &[]);
    assert_eq!(start.json["notWhollyWatched"], serde_json::json!([]));
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    fs::write(home.join("big/many/planted"), "").unwrap();
    guarded.check().expect(15, &["stray-write"]);
    guarded.json(&["guard", "stop"]).expect(0, &[]);
}

fn jest() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("jest");
    if !directory.join("complete").exists() {
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("package.json"), "{}").unwrap();
        let mut npm = judge("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "jest@29"]).current_dir(&directory);
        must(&mut npm);
        fs::write(directory.join("complete"), "").unwrap();
    }
    directory.join("node_modules/jest/bin/jest.js")
}

/// Puts a line before the code of every file in jest's cache of transformed files, and makes their checksums fit.
const PLANT: &str = "
const fs = require('fs'), path = require('path'), { createHash } = require('crypto');
const sums = ['md5', 'sha1'].map(name => text => createHash(name).update(text).digest('hex').substring(0, 32));
for (const file of fs.readdirSync(process.argv[1], { recursive: true, withFileTypes: true })) {
  const at = path.join(file.parentPath ?? file.path, file.name);
  if (!file.isFile() || !at.includes('jest-transform-cache')) continue;
  const text = fs.readFileSync(at, 'utf8'), [sum] = text.split('\\n', 1), code = text.slice(sum.length + 1);
  const fits = sums.find(one => one(code) === sum);
  if (!fits) continue;
  const planted = `require('fs').writeFileSync(process.env.MARK, 'planted');${code}`;
  fs.writeFileSync(at, `${fits(planted)}\\n${planted}`);
}";

#[test]
fn jest_runs_what_lies_in_the_temporary_directory_and_the_guard_refuses_it() {
    let project = Project::new();
    project.write("package.json", "{\"jest\":{\"testPathIgnorePatterns\":[\"/deps/\"]}}");
    project.write("sum.js", "module.exports = (a, b) => a + b;\n");
    project.write("sum.test.js", "test('sum', () => expect(require('./sum')(1, 2)).toBe(3));\n");
    let guarded = Guarded::saved(project);
    let (temporary, mark) = (guarded.outside("tmp"), guarded.outside("mark"));
    let program = jest();
    let run_jest = || {
        let mut node = judge("node");
        node.arg(&program).args(["--ci", "--runInBand"]).current_dir(guarded.root());
        must(node.env("TMPDIR", &temporary).env("HOME", guarded.home()).env("MARK", &mark));
    };
    // What an honest run leaves there, and what an attacker makes of it.
    fs::create_dir(&temporary).unwrap();
    run_jest();
    assert!(!mark.exists());
    let planted = guarded.outside("planted");
    fs::rename(&temporary, &planted).unwrap();
    fs::create_dir(&temporary).unwrap();
    must(judge("node").args(["-e", PLANT]).arg(&planted));
    let start = || {
        let mut command = guarded.command();
        command.args(alone_json()).env("TMPDIR", &temporary);
        Run::of(command.output().unwrap()).verdict().expect(0, &[]);
    };
    start();
    guarded.restore();
    guarded.verify_guarded(&[]).expect(0, &[]);
    crate::harness::copy_tree(&planted, &temporary);
    let verified = guarded.verify_guarded(&[]);
    verified.expect(15, &["stray-write"]);
    assert!(verified.places().iter().all(|place| place.contains("/tmp/jest_")), "{:#}", verified.json);
    // The next step would have run it.
    run_jest();
    assert!(mark.exists(), "jest reads its cache of transformed files");
}
