//! pip, uv and Poetry: what they install or keep, honest and poisoned, beside our verdict. No network: wheels are made
//! here, and the one index that Poetry needs is on the loopback interface.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheseal::base::Digest;

use super::recheck::Watched;
use super::{judge, must, text, without};
use crate::lockfile::zips::zip;
use crate::lockfile::{Locked, tgz};

const HONEST: &str = "def main(): print('honest')\n";
const EVIL: &str = "def main(): print('evil')\n";

/// A wheel of `demo 1.0` with everything that installers have to map.
fn wheel(tag: &str, module: &str) -> Vec<u8> {
    let wheel = format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n");
    let members: [(&str, &str, u32); 10] = [
        ("demo/__init__.py", module, 0o644),
        ("demo/sub.py", "class Tool:\n    @staticmethod\n    def run(): pass\n", 0o644),
        ("demo/tool.sh", "#!/bin/sh\n", 0o755),
        ("demo-1.0.data/scripts/demo-x", "#!python\nimport demo\ndemo.main()\n", 0o755),
        ("demo-1.0.data/data/share/demo.txt", "x\n", 0o644),
        ("demo-1.0.data/headers/demo.h", "int x;\n", 0o644),
        ("demo-1.0.data/purelib/pure.py", "a = 1\n", 0o644),
        ("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n", 0o644),
        ("demo-1.0.dist-info/WHEEL", &wheel, 0o644),
        (
            "demo-1.0.dist-info/entry_points.txt",
            "[console_scripts]\ndemo = demo:main\ndemo-2 = demo.sub:Tool.run\n\n[gui_scripts]\ndemog = demo:main\n",
            0o644,
        ),
    ];
    let mut record = String::new();
    for (path, contents, _) in members {
        let digest = URL_SAFE_NO_PAD.encode(Digest::sha256(contents.as_bytes()).0);
        let _ = writeln!(record, "{path},sha256={digest},{}", contents.len());
    }
    record.push_str("demo-1.0.dist-info/RECORD,,\n");
    let mut all: Vec<_> = members.iter().map(|(path, contents, mode)| (*path, contents.as_bytes(), *mode)).collect();
    all.push(("demo-1.0.dist-info/RECORD", record.as_bytes(), 0o644));
    zip(&all)
}

/// A source distribution of `demo 1.0` that builds itself without any other package.
fn source() -> Vec<u8> {
    let backend = r#"import zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "demo-1.0-py3-none-any.whl"
    info = "demo-1.0.dist-info/"
    with zipfile.ZipFile(directory + "/" + name, "w") as wheel:
        wheel.writestr("demo/__init__.py", "def main(): print('honest')\n")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "demo/__init__.py,,\n")
    return name
"#;
    let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\n\
                   [project]\nname = \"demo\"\nversion = \"1.0\"\n";
    tgz(&[
        ("demo-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n", 0o644),
        ("demo-1.0/pyproject.toml", project.as_bytes(), 0o644),
        ("demo-1.0/backend.py", backend.as_bytes(), 0o644),
    ])
}

/// A tool with nothing in its environment but PATH and the project's home.
fn tool(locked: &Locked, program: &str) -> Command {
    let mut command = judge(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
    command.env("HOME", locked.project.home()).current_dir(locked.project.root());
    command
}

/// The `site-packages` of an environment in the project.
fn site(locked: &Locked, environment: &str) -> String {
    let output = must(tool(locked, "python3").args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]));
    format!("{environment}/lib/python{}/site-packages", String::from_utf8(output).unwrap().trim())
}

/// An empty environment.
fn environment(locked: &Locked, name: &str) -> PathBuf {
    let path = locked.project.root().join(name);
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    must(tool(locked, "python3").args(["-m", "venv", "--without-pip", name]));
    path
}

/// What the installed package prints.
fn printed(locked: &Locked, environment: &Path) -> String {
    let mut python = Command::new(environment.join("bin/python"));
    python.env_clear().env("PYTHONDONTWRITEBYTECODE", "1").current_dir(locked.project.home());
    String::from_utf8(must(python.args(["-c", "import demo; demo.main()"]))).unwrap()
}

/// Sets the roots of the cache `deps`.
fn set_roots(locked: &Locked, roots: &[&str]) {
    let path = locked.project.path("cacheseal.toml");
    let policy = fs::read_to_string(&path).unwrap();
    let policy: Vec<_> = policy
        .lines()
        // Places of `unproven` lie below a root.
        .filter(|line| !line.starts_with("unproven = "))
        .map(|line| if line.starts_with("roots = ") { format!("roots = {roots:?}") } else { line.to_owned() })
        .collect();
    fs::write(path, policy.join("\n")).unwrap();
}

fn wheelhouse() -> Locked {
    let locked = Locked::new(&["wheelhouse"], "requirements.txt");
    let wheel = wheel("py3-none-any", HONEST);
    locked.write("requirements.txt", format!("demo==1.0 --hash=sha256:{}\n", Digest::sha256(&wheel)));
    locked.write("wheelhouse/demo-1.0-py3-none-any.whl", wheel);
    locked
}

fn pip_install(locked: &Locked, environment: &Path, more: &[&str]) -> String {
    let mut pip = tool(locked, "pip");
    pip.arg("--python").arg(environment.join("bin/python")).args(["--isolated", "install", "--no-index"]);
    pip.args(["--find-links", "wheelhouse", "--require-hashes", "-r", "requirements.txt"]).args(more);
    String::from_utf8(must(&mut pip)).unwrap()
}

#[test]
fn pip_installs_what_is_proven_and_does_not_see_what_is_poisoned() {
    let locked = wheelhouse();
    let site = site(&locked, ".venv");
    set_roots(&locked, &["wheelhouse", &site]);
    let environment = environment(&locked, ".venv");
    pip_install(&locked, &environment, &["--no-compile"]);
    assert_eq!(printed(&locked, &environment), "honest\n");
    locked.trusted("pip");
    // The whole environment: all that pip wrote is proven, scripts too; what made the environment is not.
    set_roots(&locked, &["wheelhouse", ".venv"]);
    assert_unproven_are_of_the_environment(&locked);
    set_roots(&locked, &["wheelhouse", &site]);
    let module = format!("{site}/demo/__init__.py");
    locked.write(&module, EVIL);
    assert!(pip_install(&locked, &environment, &["--no-compile"]).contains("already satisfied"));
    assert_eq!(printed(&locked, &environment), "evil\n");
    locked.refused("pip", &["lockfile-mismatch"], &module);
    // Compiled files are named for what they are.
    locked.write(&module, HONEST);
    pip_install(&locked, &environment, &["--compile", "--force-reinstall"]);
    let verdict = locked.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    let refusals = verdict.json["refusals"].as_array().unwrap();
    let compiled = |refusal: &serde_json::Value| refusal["found"].as_str().unwrap().contains("compiled here");
    assert!(refusals.iter().all(compiled), "{:#}", verdict.json);
}

/// A wheel of `name 1.0` with one module.
fn plain_wheel(name: &str) -> Vec<u8> {
    let info = |file: &str| format!("{name}-1.0.dist-info/{file}");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    let wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let members = [(format!("{name}.py"), ""), (info("METADATA"), &metadata), (info("WHEEL"), wheel)];
    let mut record = String::new();
    for (path, contents) in &members {
        let digest = URL_SAFE_NO_PAD.encode(Digest::sha256(contents.as_bytes()).0);
        let _ = writeln!(record, "{path},sha256={digest},{}", contents.len());
    }
    let _ = writeln!(record, "{},,", info("RECORD"));
    let record_path = info("RECORD");
    let mut all: Vec<_> = members.iter().map(|(path, text)| (path.as_str(), text.as_bytes(), 0o644)).collect();
    all.push((&record_path, record.as_bytes(), 0o644));
    zip(&all)
}

#[test]
fn each_release_that_is_taken_away_after_pip_and_uv_is_missed() {
    let locked = wheelhouse();
    let mut requirements = fs::read_to_string(locked.path("requirements.txt")).unwrap();
    for (name, marker) in [("one", ""), ("two", " ; python_version >= \"3\""), ("none", " ; sys_platform == \"win32\"")]
    {
        let wheel = plain_wheel(name);
        let _ = writeln!(requirements, "{name}==1.0{marker} --hash=sha256:{}", Digest::sha256(&wheel));
        locked.write(&format!("wheelhouse/{name}-1.0-py3-none-any.whl"), wheel);
    }
    locked.write("requirements.txt", requirements);
    let site = site(&locked, ".venv");
    set_roots(&locked, &["wheelhouse", &site]);
    for tool in ["pip", "uv"] {
        let environment = environment(&locked, ".venv");
        if tool == "pip" {
            pip_install(&locked, &environment, &["--no-compile"]);
        } else {
            uv_install(&locked, &environment);
        }
        locked.trusted(tool);
        assert!(!locked.path(&format!("{site}/none.py")).exists());
        for (name, modules) in [("demo", &["demo", "pure.py"][..]), ("one", &["one.py"]), ("two", &["two.py"])] {
            let info = format!("{name}-1.0.dist-info");
            let paths = modules.iter().copied().chain([info.as_str()]);
            let paths: Vec<_> = paths.map(|path| locked.path(&format!("{site}/{path}"))).collect();
            let verdict = without(&locked, &paths);
            verdict.expect_of(format!("{tool}: {name}"), 14, &["lockfile-mismatch"]);
            assert_eq!(verdict.json["refusals"][0]["place"], format!("{site}/{info}"), "{:#}", verdict.json);
        }
    }
}

/// Asserts that nothing of a package is unproven, and that everything that is belongs to the environment itself.
fn assert_unproven_are_of_the_environment(locked: &Locked) {
    let verdict = locked.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    for refusal in verdict.json["refusals"].as_array().unwrap() {
        let place = refusal["place"].as_str().unwrap();
        let of_package = place.contains("demo") || place.contains("site-packages");
        let written_by_uv = place.ends_with("uv_cache.json");
        assert!(!of_package || written_by_uv, "{refusal:#}");
    }
}

#[test]
fn a_wheel_that_pip_built_and_keeps_is_installed_poisoned_and_refused() {
    let locked = Locked::new(&["~/.cache/pip"], "requirements.txt");
    locked.write("requirements.txt", format!("demo==1.0 --hash=sha256:{}\n", Digest::sha256(&source())));
    locked.write("wheelhouse/demo-1.0.tar.gz", source());
    pip_install(&locked, &environment(&locked, ".venv"), &[]);
    let mut kept = Vec::new();
    find(&locked.path("~/.cache/pip/wheels"), &mut kept);
    let kept: Vec<_> = kept.into_iter().filter(|path| path.extension().is_some_and(|end| end == "whl")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    fs::write(&kept[0], wheel("py3-none-any", EVIL)).unwrap();
    let second = environment(&locked, ".venv");
    let said = pip_install(&locked, &second, &[]);
    assert!(said.contains("Using cached"), "{said}");
    assert_eq!(printed(&locked, &second), "evil\n");
    let place = format!("~/{}", text(kept[0].strip_prefix(locked.project.home()).unwrap()));
    locked.refused("pip", &["unproven-entry"], &place);
    // The source distribution that was locked is proven.
    set_roots(&locked, &["wheelhouse"]);
    locked.trusted("wheelhouse");
}

fn find(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            find(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn uv_install(locked: &Locked, environment: &Path) {
    let mut uv = tool(locked, "uv");
    uv.args(["pip", "install", "--offline", "--no-index", "--find-links", "wheelhouse", "--require-hashes"]);
    must(uv.args(["--link-mode", "copy", "-r", "requirements.txt", "--python"]).arg(environment.join("bin/python")));
}

#[test]
fn uv_installs_what_its_cache_was_poisoned_with_and_it_is_refused() {
    let locked = wheelhouse();
    let site = site(&locked, ".venv");
    let first = environment(&locked, ".venv");
    uv_install(&locked, &first);
    assert_eq!(printed(&locked, &first), "honest\n");
    set_roots(&locked, &["wheelhouse", ".venv"]);
    // Everybody may write uv's locks, which is refused by itself; they are empty and made anew.
    fs::remove_file(first.join(".lock")).unwrap();
    assert_unproven_are_of_the_environment(&locked);
    // A file of uv's own says when the wheel was written: the rest is proven.
    fs::remove_file(locked.path(&format!("{site}/demo-1.0.dist-info/uv_cache.json"))).unwrap();
    set_roots(&locked, &["wheelhouse", &site]);
    let verdict = locked.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    let refusals = verdict.json["refusals"].as_array().unwrap();
    assert!(refusals.len() == 1 && refusals[0]["place"].as_str().unwrap().ends_with("/RECORD"), "{refusals:#?}");

    set_roots(&locked, &["wheelhouse", "~/.cache/uv"]);
    let all = without_locks(&locked);
    let unpacked = all.iter().find(|path| path.ends_with("demo/__init__.py")).unwrap();
    let verdict = locked.verify("lock");
    verdict.expect(14, &["unproven-entry"]);
    for refusal in verdict.json["refusals"].as_array().unwrap() {
        assert!(!refusal["place"].as_str().unwrap().contains("archive-v0"), "{refusal:#}");
    }
    fs::write(unpacked, EVIL).unwrap();
    let second = environment(&locked, ".venv");
    uv_install(&locked, &second);
    assert_eq!(printed(&locked, &second), "evil\n");
    without_locks(&locked);
    let verdict = locked.verify("lock");
    verdict.expect(14, &["lockfile-mismatch", "unproven-entry"]);
    let place = format!("~/{}", text(unpacked.strip_prefix(locked.project.home()).unwrap()));
    let refusals = verdict.json["refusals"].as_array().unwrap();
    let named = |refusal: &&serde_json::Value| refusal["code"] == "lockfile-mismatch";
    let named: Vec<_> = refusals.iter().filter(named).map(|refusal| refusal["place"].as_str().unwrap()).collect();
    assert_eq!(named, [place]);
}

#[test]
fn what_uv_links_from_a_verified_cache_is_as_it_was() {
    let locked = wheelhouse();
    let install = |name: &str| {
        let environment = environment(&locked, name);
        let mut uv = tool(&locked, "uv");
        uv.args(["pip", "install", "--offline", "--no-index", "--find-links", "wheelhouse", "--require-hashes"]);
        uv.args(["--link-mode", "hardlink", "-r", "requirements.txt", "--python"]);
        must(uv.arg(environment.join("bin/python")));
        environment
    };
    install(".venv");
    without_locks(&locked);
    let watched = Watched::verified(&locked.project, &["~/.cache/uv"]);
    let second = install(".venv2");
    assert_eq!(printed(&locked, &second), "honest\n");
    // Its locks, and what it has asked the new environment's Python.
    let added = ["~/.cache/uv/**.lock", "~/.cache/uv/interpreter-v*/**"];
    let allowed: Vec<_> = added.iter().flat_map(|pattern| ["--allow-new", pattern]).collect();
    watched.recheck(&allowed).expect(0, &[]);
    // The link is the file: what is written to it is written to the cache.
    fs::write(locked.path(&format!("{}/demo/__init__.py", site(&locked, ".venv2"))), EVIL).unwrap();
    watched.recheck(&allowed).expect(11, &["changed-after-verify"]);
}

/// The files of uv's cache, its locks removed.
fn without_locks(locked: &Locked) -> Vec<PathBuf> {
    let mut all = Vec::new();
    find(&locked.path("~/.cache/uv"), &mut all);
    let is_lock = |path: &Path| path.ends_with(".lock") || path.extension().is_some_and(|end| end == "lock");
    all.iter().filter(|path| is_lock(path)).for_each(|lock| fs::remove_file(lock).unwrap());
    all
}

/// An index of the files of one directory (PEP 503) on the loopback interface, gone when it is dropped.
struct Index {
    server: Child,
    url: String,
}

const SERVER: &str = r#"
import hashlib, http.server, os, sys
files = sys.argv[1]
def read(name):
    with open(os.path.join(files, name), "rb") as file:
        return file.read()
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        if self.path.startswith("/simple/"):
            row = '<a href="/files/%s#sha256=%s">%s</a>'
            rows = [row % (name, hashlib.sha256(read(name)).hexdigest(), name) for name in sorted(os.listdir(files))]
            kind, body = "text/html", ("<!DOCTYPE html><html><body>%s</body></html>" % "".join(rows)).encode()
        else:
            kind, body = "application/octet-stream", read(os.path.basename(self.path))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
    do_HEAD = do_GET
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

impl Index {
    fn of(files: &Path) -> Self {
        let mut python = judge("python3");
        python.args(["-c", SERVER]).arg(files).stdout(Stdio::piped());
        let mut server = python.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { server, url: format!("http://127.0.0.1:{}/simple/", port.trim()) }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.server.kill();
        let _: std::io::Result<_> = self.server.wait();
    }
}

#[test]
fn poetry_installs_a_planted_wheel_that_is_refused() {
    let locked = Locked::new(&["~/.cache/pypoetry/artifacts"], "poetry.lock");
    let files = locked.project.outside("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("demo-1.0-py3-none-any.whl"), wheel("py3-none-any", HONEST)).unwrap();
    let index = Index::of(&files);
    let project = format!(
        "[project]\nname = \"app\"\nversion = \"0.1.0\"\nrequires-python = \">=3.9,<4\"\ndependencies = [\"demo==1.0\"]\n\n\
         [[tool.poetry.source]]\nname = \"loop\"\nurl = \"{}\"\npriority = \"primary\"\n",
        index.url
    );
    locked.write("pyproject.toml", project);
    let poetry = |arguments: &[&str]| {
        let mut poetry = tool(&locked, "poetry");
        poetry.env("POETRY_VIRTUALENVS_IN_PROJECT", "true").env("POETRY_VIRTUALENVS_OPTIONS_NO_PIP", "true");
        must(poetry.arg("--no-interaction").args(arguments));
    };
    poetry(&["lock"]);
    let site = site(&locked, ".venv");
    let environment = locked.project.root().join(".venv");
    poetry(&["install", "--no-root"]);
    assert_eq!(printed(&locked, &environment), "honest\n");
    locked.trusted("artifacts");
    set_roots(&locked, &["~/.cache/pypoetry/artifacts", &site]);
    locked.trusted("artifacts and what was installed");
    set_roots(&locked, &["~/.cache/pypoetry/artifacts", ".venv"]);
    assert_unproven_are_of_the_environment(&locked);

    let mut kept = Vec::new();
    find(&locked.path("~/.cache/pypoetry/artifacts"), &mut kept);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let python = site.split('/').find_map(|part| part.strip_prefix("python")).unwrap().replace('.', "");
    let tag = format!("py{python}-none-any");
    let planted = kept[0].with_file_name(format!("demo-1.0-{tag}.whl"));
    fs::write(&planted, wheel(&tag, EVIL)).unwrap();
    fs::remove_dir_all(&environment).unwrap();
    poetry(&["install", "--no-root"]);
    assert_eq!(printed(&locked, &environment), "evil\n");
    set_roots(&locked, &["~/.cache/pypoetry/artifacts"]);
    let place = format!("~/{}", text(planted.strip_prefix(locked.project.home()).unwrap()));
    locked.refused("poetry", &["unproven-entry"], &place);
}

#[test]
fn the_lock_of_uv_proves_a_wheelhouse() {
    let locked = wheelhouse();
    locked.write(
        "pyproject.toml",
        "[project]\nname = \"app\"\nversion = \"0.1.0\"\nrequires-python = \">=3.9\"\ndependencies = [\"demo==1.0\"]\n",
    );
    let index = Index::of(&locked.path("wheelhouse"));
    must(tool(&locked, "uv").args(["lock", "--default-index", &index.url]));
    let policy = fs::read_to_string(locked.project.path("cacheseal.toml")).unwrap();
    locked.write("cacheseal.toml", policy.replace("requirements.txt", "uv.lock"));
    locked.trusted("uv.lock");
    let mut sync = tool(&locked, "uv");
    sync.args([
        "sync",
        "--frozen",
        "--no-install-project",
        "--link-mode",
        "copy",
        "--python-preference",
        "only-system",
    ]);
    must(&mut sync);
    let site = site(&locked, ".venv");
    set_roots(&locked, &["wheelhouse", &site]);
    locked.trusted("uv sync");
    set_roots(&locked, &["wheelhouse"]);
    locked.write("wheelhouse/demo-1.0-py3-none-any.whl", wheel("py3-none-any", EVIL));
    locked.refused("uv.lock", &["lockfile-mismatch"], "wheelhouse/demo-1.0-py3-none-any.whl");
}
