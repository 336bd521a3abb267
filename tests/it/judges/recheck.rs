//! `guard recheck` beside programs that write as programs do: Python through mappings, on several file systems, and
//! package managers that install from what was verified.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use super::{judge, must, told};
use crate::guard::{Guarded, alone};
use crate::harness::{Project, Verdict};

/// A cache whose roots are sealed as they lie there, and verified under a guard that ends with it.
pub(super) struct Watched<'a>(&'a Project);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let _ = self.0.command().args(["guard", "stop"]).output();
    }
}

impl<'a> Watched<'a> {
    /// At a gate that lets files have names outside of the roots.
    #[track_caller]
    pub(super) fn verified(project: &'a Project, roots: &[&str]) -> Self {
        project.write(
            "cacheseal.toml",
            format!(
                "version = 1\nproject = \"p\"\n[cache.deps]\nroots = {roots:?}\n[signer.job]\nkeys = [{{ file = \"keys/job.pub\" }}]\n\
                 [gate.any]\nrequire = [\"signature\"]\nsigners = [\"job\"]\nmax_age = \"7d\"\nlockfile = \"any\"\nhardlinks = \"any\"\n"
            ),
        );
        project.seal();
        must(project.command().args(alone()).arg("--allow-filled"));
        let watched = Self(project);
        project.json(&["verify", "deps", "--gate", "any", "--guard"]).expect(0, &[]);
        watched
    }

    pub(super) fn recheck(&self, more: &[&str]) -> Verdict {
        self.0.json(&[&["guard", "recheck"], more].concat())
    }
}

/// How many files were looked at for a reason.
pub(super) fn number(verdict: &Verdict, name: &str) -> u64 {
    verdict.json["caches"][0][name].as_u64().unwrap_or_else(|| panic!("{:#}", verdict.json))
}

/// Restores and verifies a cache in a copy of a project, on an overlay if asked to, and writes to it through mappings
/// and by calls. Prints each deed with the exit status of the look after it.
const WRITES: &str = r##"
import json, mmap, os, shutil, subprocess, sys, time
program, project, at, overlay, *start = sys.argv[1:]
if overlay == "overlay":
    for name in ("lower", "upper", "work", "merged"):
        os.makedirs(f"{at}/{name}")
    subprocess.check_call(["mount", "-t", "overlay", "-o", f"lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work", "overlay", f"{at}/merged"])
    at = f"{at}/merged"
at = f"{at}/copy"
shutil.copytree(project, at, symlinks=True)
environment = {"HOME": f"{at}/home"}
os.chdir(f"{at}/app")

def run(*arguments):
    done = subprocess.run([program, *arguments, "--format", "json"], env=environment, stdout=subprocess.PIPE, text=True)
    return done.returncode, json.loads(done.stdout)

def must(*arguments):
    code, told = run(*arguments)
    assert code == 0, told

def mapped(path):
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    mapping[0]
    return mapping

def settle():
    probe = f"{at}/probe"
    begun = None
    while True:
        with open(probe, "w") as file:
            file.write("x")
        now = os.stat(probe).st_ctime_ns
        begun = begun or now
        if now > begun + 30_000_000:
            return os.remove(probe)

must(*start)
shutil.copytree(f"{at}/cache/deps", "deps", symlinks=True)
shutil.copytree(f"{at}/cache/store", f"{at}/home/store")
shutil.copytree(f"{at}/cache/seals", ".cacheseal")
path = "deps/pkg/index.js"
early = mapped(path)
settle()
must("verify", "deps", "--gate", "exact", "--guard")
found = {"looks": {}}

def look(what):
    code, told = run("guard", "recheck")
    codes = sorted({refusal["code"] for refusal in told["refusals"]})
    found["looks"][what] = [code, codes]
    return told["caches"][0]

found["untouched"] = look("untouched")
early[0:1] = b"X"
look("early mapping")
early[0:1] = b"m"
look("early mapping, undone")
late = mapped("deps/pkg/lib/a.js")
look("late mapping, read")
late[0:1] = b"X"
look("late mapping")
late[0:1] = b"e"
look("late mapping, undone")
was = os.stat("deps/tool")
with open("deps/tool", "r+b") as file:
    file.write(b"#!/bin/sq")
os.utime("deps/tool", ns=(was.st_atime_ns, was.st_mtime_ns))
look("written, times put back")
with open("deps/tool", "r+b") as file:
    file.write(b"#!/bin/sh")
look("written, undone")
os.chmod("deps/tool", 0o755)
found["last"] = look("chmod to the same")
subprocess.run([program, "guard", "stop"], env=environment, stdout=subprocess.DEVNULL)
print(json.dumps(found))
"##;

fn writes(project: &Project, above: &Path, overlay: bool) -> Value {
    let at = tempfile::tempdir_in(above).unwrap();
    let mut command = if overlay { judge("unshare") } else { judge("python3") };
    if overlay {
        command.args(if rustix::process::geteuid().is_root() { &["-m"][..] } else { &["-Urm"] });
        command.arg("python3");
    }
    let allowed = format!("--allow={}/*", above.display());
    let program = OsStr::new(env!("CARGO_BIN_EXE_cacheseal"));
    command.args(["-c", WRITES].map(OsStr::new)).args([
        program,
        project.outside("").as_os_str(),
        at.path().as_os_str(),
    ]);
    command.arg(if overlay { "overlay" } else { "plain" }).args(alone()).arg(allowed);
    // The overlay's own layers are written when it is.
    command.args(["upper", "work"].map(|layer| format!("--allow={}", at.path().join(layer).display())));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{above:?} {overlay}: {}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn python_writes_through_mappings_and_by_calls_and_each_is_found() {
    let guarded = Guarded::saved(Project::new());
    for above in [env!("CARGO_TARGET_TMPDIR"), "/dev/shm"].map(Path::new) {
        if !above.is_dir() {
            continue;
        }
        let kinds = [false, true].map(|overlay| {
            let found = writes(&guarded, above, overlay);
            for (what, told) in found["looks"].as_object().unwrap() {
                let is_harmless = what.contains("undone") || what.contains("same") || what.contains("read");
                let expected = if is_harmless || what == "untouched" {
                    serde_json::json!([0, []])
                } else {
                    serde_json::json!([11, ["changed-after-verify"]])
                };
                assert_eq!(*told, expected, "{} {overlay} {what}: {found:#}", above.display());
            }
            let (first, last) = (&found["untouched"], &found["last"]);
            println!("{} {overlay}: {first} {last}", above.display());
            let is_noticed = first["unread"].as_u64().unwrap() > 0;
            // Two files were written through mappings, one by calls.
            assert_eq!(last["touched"], if is_noticed { 3 } else { 1 }, "{found:#}");
            is_noticed
        });
        // What an overlay does with times is what the file system below it does.
        assert_eq!(kinds[0], kinds[1], "{}", above.display());
    }
}
