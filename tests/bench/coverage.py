#!/usr/bin/env python3
"""Measures what lockfiles prove of real caches, which real tools fill from their registries.

    python3 tests/bench/coverage.py [--kind KIND ...] [--work DIR] [--removals N] [--binary FILE]

Each kind makes a project in a directory of its own, fills its caches from empty and verifies them at a gate that
demands the lockfile alone. It prints how many files are proven of all, and groups what is not by the reason. Of trees
that are used in place it takes packages away, all in groups and N alone, and says which are not missed.

Nothing is asserted: registries change. `tests/it/judges/` has the same with small packages that are made there. A kind
that is made already in `--work` is measured again without its tools.
"""
import argparse
import collections
import contextlib
import csv
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KINDS = {}


def kind(function):
    """Registers what makes and measures one kind of cache."""
    KINDS[function.__name__.replace("_", "-")] = function
    return function


class Scene:
    """A project and a home of its own."""

    def __init__(self, name, options):
        self.name = name
        self.options = options
        self.top = os.path.join(options.work, name)
        self.app = os.path.join(self.top, "app")
        self.home = os.path.join(self.top, "home")
        self.made = os.path.exists(os.path.join(self.top, "made"))
        if not self.made:
            shutil.rmtree(self.top, ignore_errors=True)
        for directory in (self.app, self.home):
            os.makedirs(directory, exist_ok=True)
        self.env = {**os.environ, "HOME": self.home, "CI": "true", "PYTHONDONTWRITEBYTECODE": "1"}
        for variable in ("CARGO_HOME", "npm_config_cache", "UV_CACHE_DIR", "PIP_FIND_LINKS", "VIRTUAL_ENV"):
            self.env.pop(variable, None)

    def write(self, path, text):
        path = os.path.join(self.app, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *command, **more):
        """Runs a tool in the project, unless the caches are made already."""
        if self.made:
            return ""
        done = subprocess.run(command, cwd=self.app, env={**self.env, **more}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{self.name}: {' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def done(self):
        """The caches are as the tools left them."""
        with open(os.path.join(self.top, "made"), "w", encoding="utf-8"):
            pass
        self.made = True

    def path(self, place):
        """Where a place of a report is."""
        return os.path.join(self.home, place[2:]) if place.startswith("~/") else os.path.join(self.app, place)

    def policy(self, roots, lockfiles, unproven=()):
        self.write("cacheseal.toml", f"""version = 1
project = "coverage"
[cache.it]
roots = {json.dumps(roots)}
lockfiles = {json.dumps(lockfiles)}
[gate.lockfile]
require = ["lockfile"]
{f"unproven = {json.dumps(unproven)}" if unproven else ""}
""")

    def verify(self):
        command = [self.options.binary, "verify", "it", "--gate", "lockfile", "--trust-checkout", "--format", "json"]
        env = {"PATH": os.environ["PATH"], "HOME": self.home}
        pipe = subprocess.PIPE
        done = subprocess.run(command, cwd=self.app, env=env, stdout=pipe, stderr=pipe, check=False)
        return done.returncode, json.loads(done.stdout)

    def measure(self, label, tool, roots, lockfiles, unproven=()):
        """Prints a row, and below it what is not proven by what it is and why."""
        self.policy(roots, lockfiles, unproven)
        status, found = self.verify()
        coverage = found.get("coverage")
        if not coverage:
            print(f"{label} ({tool}): exit {status}: {found.get('error') or found['counts']}", flush=True)
            return
        proven, total = coverage["lockfile"]["files"], coverage["total"]["files"]
        packages = coverage.get("packages")
        print(f"{label} ({tool}): {packages} packages, {proven:,} / {total:,} files, exit {status} {found['counts']}",
              flush=True)
        groups = collections.defaultdict(list)
        for refusal in found["refusals"]:
            reason = re.sub(r"`[^`]*`|[0-9a-f]{16,}|\S+@\S+|\b\S+ \d+\.\d\S*", "…", refusal["found"])
            groups[refusal["code"], reason[:110]].append(refusal["place"])
        for (code, reason), places in sorted(groups.items(), key=lambda group: -len(group[1])):
            print(f"    {len(places):5} {code}: {reason}: {', '.join(places[:3])}", flush=True)

    def without(self, paths):
        """The verdict while these are away."""
        aside = os.path.join(self.top, "aside")
        os.makedirs(aside)
        moved = []
        try:
            for path in paths:
                to = os.path.join(aside, str(len(moved)))
                os.rename(path, to)
                moved.append((to, path))
                empty = os.path.dirname(path)
                while not os.listdir(empty):
                    os.rmdir(empty)
                    empty = os.path.dirname(empty)
            return self.verify()
        finally:
            for to, path in reversed(moved):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.rename(to, path)
            os.rmdir(aside)

    def removals(self, label, packages, noted=contextlib.nullcontext):
        """Takes packages away. `packages` are lists of paths by the place that must be named as missing; `noted` makes
        what a tool noted of packages fit while they are away."""
        if self.options.removals < 0:
            return
        names = sorted(packages, key=lambda name: (name.count("/node_modules/"), name), reverse=True)
        alone = names
        # Of what is bundled each file is named, of a thousand at most.
        for at_once in (min(400, len(names) // 2), 20):
            left, alone = alone, []
            for start in range(0, len(left), at_once):
                some = left[start:start + at_once]
                with noted(some):
                    _, found = self.without([path for name in some for path in packages[name]])
                named = [refusal["place"] for refusal in found["refusals"] if refusal["code"] == "lockfile-mismatch"]
                alone += [name for name in some
                          if not any(plain(place + "/").startswith(plain(name + "/")) for place in named)]
        named = len(names) - len(alone)
        print(f"{label}: {len(names)} packages, {named} named as missing while many are away", flush=True)
        sample = [name for name in names if name not in alone]
        random.Random(self.options.seed).shuffle(sample)
        alone += sample[:self.options.removals]
        refused = 0
        for name in alone:
            with noted([name]):
                status, found = self.without(packages[name])
            if status == 14 and "lockfile-mismatch" in found["counts"]:
                refused += 1
            else:
                print(f"    not missed: {name}: exit {status} {found.get('counts')}", flush=True)
        print(f"{label}: {len(alone)} taken away alone, the others and {self.options.removals} of these: {refused} are "
              "exit 14", flush=True)


def plain(place):
    """A place as the names of one Python package agree in it."""
    return re.sub(r"[-_.]+", "-", place).lower()


def version(*command):
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
    return re.search(r"\d+\.\d[\w.]*", text).group()


CARGO = """[package]
name = "app"
version = "0.1.0"
edition = "2021"
[dependencies]
axum = "0.8"
image = "0.25"
clap = { version = "4", features = ["derive"] }
reqwest = "0.12"
sqlx = { version = "0.8.6", features = ["postgres", "mysql", "sqlite", "runtime-tokio"] }
tracing-subscriber = { version = "0.3", features = ["env-filter", "json"] }
"""


@kind
def cargo(scene):
    scene.env.setdefault("RUSTUP_HOME", os.path.expanduser("~/.rustup"))
    if not scene.made:
        scene.write("Cargo.toml", CARGO)
        scene.write("src/main.rs", "fn main() {}\n")
        scene.run("cargo", "generate-lockfile")
        scene.run("cargo", "fetch", "--locked")
        scene.run("cargo", "vendor", "--locked", "vendor")
        scene.done()
    tool = f"cargo {version('cargo', '--version')}"
    cache, source = "~/.cargo/registry/cache", "~/.cargo/registry/src"
    scene.measure("cargo registry", tool, [cache, source], ["Cargo.lock"])
    scene.measure("cargo registry with its index", tool, ["~/.cargo/registry"], ["Cargo.lock"])
    scene.measure("cargo vendor", tool, ["vendor", cache], ["Cargo.lock"])
    vendored = glob.glob(os.path.join(scene.app, "vendor/*"))
    scene.removals("cargo vendor", {os.path.relpath(path, scene.app): [path] for path in vendored})


NPM = {
    "name": "app",
    "version": "1.0.0",
    "workspaces": ["packages/*"],
    "dependencies": {
        "alias-lodash": "npm:lodash@4",
        "alias-chalk": "npm:chalk@4",
        "argparse": "2.0.1",
        "esbuild": "0.21.5",
        "express": "4",
    },
    "devDependencies": {"eslint": "8", "jest": "29.7.0", "lerna": "8.1.2", "mocha": "10", "semantic-release": "23.0.0",
                        "webpack": "5.90.0"},
}


def npm_removals(scene, label):
    """Takes away each package of `node_modules` with its commands, and what npm noted of it: nothing that is there
    speaks of it any more."""
    record = os.path.join(scene.app, "node_modules/.package-lock.json")
    with open(record, encoding="utf-8") as file:
        text = file.read()
    packages = {}
    for location in json.loads(text)["packages"]:
        path = os.path.join(scene.app, location)
        if not location.startswith("node_modules/") or not os.path.lexists(path):
            continue
        modules = path[:path.rindex("node_modules/") + len("node_modules")]
        real = os.path.realpath(path)
        links = glob.glob(os.path.join(modules, ".bin/*"))
        packages[location] = [link for link in links if os.path.realpath(link).startswith(real + "/")] + [path]

    @contextlib.contextmanager
    def noted(locations):
        other = json.loads(text)
        for location in list(other["packages"]):
            if any(location == gone or location.startswith(gone + "/") for gone in locations):
                del other["packages"][location]
        with open(record, "w", encoding="utf-8") as file:
            json.dump(other, file)
        try:
            yield
        finally:
            with open(record, "w", encoding="utf-8") as file:
                file.write(text)

    scene.removals(label, packages, noted)


def npm_project(scene, label, manifest, *flags):
    if not scene.made:
        scene.write("package.json", json.dumps(manifest, indent=2))
        scene.write("packages/web/package.json", json.dumps({
            "name": "web", "version": "1.0.0", "bin": "web.js", "dependencies": {"lodash": "3.10.1", "chalk": "2"}}))
        scene.write("packages/web/web.js", "#!/usr/bin/env node\n")
        quiet = ("--no-audit", "--no-fund", "--no-update-notifier")
        # What it asks for to resolve is no part of the cache that `npm ci` fills.
        scene.run("npm", "install", "--package-lock-only", *quiet, "--cache", os.path.join(scene.top, "resolving"))
        scene.run("npm", "ci", *flags, *quiet)
        scene.done()
    tool = f"npm {version('npm', '--version')}"
    scene.measure(label, tool, ["node_modules", "~/.npm/_cacache"], ["package-lock.json"])
    npm_removals(scene, label)


@kind
def npm(scene):
    npm_project(scene, "npm, workspaces and aliases", NPM, "--ignore-scripts")


@kind
def npm_bundled(scene):
    npm_project(scene, "npm, bundleDependencies of the root", {**NPM, "bundleDependencies": True}, "--ignore-scripts")


@kind
def npm_scripts(scene):
    few = {"esbuild": "0.21.5", "express": "4", "eslint": "8"}
    npm_project(scene, "npm with install scripts", {**NPM, "dependencies": few, "devDependencies": {}})


PYTHON = """black
boto3
celery
charset-normalizer
cmake
django
fastapi[standard]
flask
grpcio
httpx[http2]
jupyterlab
markupsafe
matplotlib
mkdocs-material
mypy
ninja
notebook
numpy
pandas
pip
poetry
protobuf
pydantic
pytest
pyyaml
requests
ruff
scikit-learn
scipy
scrapy
setuptools
sphinx
sqlalchemy
streamlit
tox
twine
uv
"""


def distributions(scene, site):
    """The files of each distribution below `site-packages`, by its record."""
    site = os.path.join(scene.app, site)
    found = {}
    for record in glob.glob(os.path.join(site, "*.dist-info/RECORD")):
        with open(record, encoding="utf-8", newline="") as file:
            paths = [os.path.normpath(os.path.join(site, row[0])) for row in csv.reader(file) if row]
        own = os.path.dirname(record)
        below = [path for path in paths if path.startswith(site + os.sep) and not path.startswith(own + os.sep)]
        found[os.path.relpath(own, scene.app)] = [own] + sorted(path for path in set(below) if os.path.isfile(path))
    return found


def without_locks(scene):
    """Locks that everybody may write are refused by themselves."""
    for lock in glob.glob(os.path.join(scene.app, "*/.venv/.lock")):
        os.remove(lock)
    for above, _, files in os.walk(os.path.join(scene.home, ".cache/uv")):
        for name in files:
            if (name == ".lock" or name.endswith(".lock")) and "archive-v0" not in above:
                os.remove(os.path.join(above, name))


@kind
def python(scene):
    scene.env["UV_LINK_MODE"] = "copy"
    if not scene.made:
        scene.write("requirements.in", PYTHON)
        only = ("--only-binary", ":all:")
        scene.run("uv", "pip", "compile", "--quiet", *only, "--generate-hashes", "requirements.in", "-o",
                  "requirements.txt", "--cache-dir", os.path.join(scene.top, "resolving"))
        scene.run("python3", "-m", "pip", "download", "--quiet", *only, "--require-hashes", "-r", "requirements.txt",
                  "-d", "wheelhouse", "--no-deps", "--no-cache-dir")
        local = ("--no-index", "--find-links", "wheelhouse", "--require-hashes", "-r", "requirements.txt")
        scene.run("python3", "-m", "venv", "--without-pip", "pip/.venv")
        scene.run("pip", "--python", "pip/.venv/bin/python", "install", "--quiet", "--no-compile", *local)
        for name, arguments in (("index", ("--require-hashes", "-r", "requirements.txt")), ("links", local)):
            scene.run("uv", "venv", "--quiet", f"{name}/.venv")
            scene.run("uv", "pip", "install", "--quiet", "--python", f"{name}/.venv/bin/python", *only, *arguments)
        names = [line.strip() for line in PYTHON.splitlines()]
        scene.write("locked/pyproject.toml", '[project]\nname = "app"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
                    f"dependencies = {json.dumps(names)}\n")
        scene.run("uv", "lock", "--quiet", "--directory", "locked", "--cache-dir", os.path.join(scene.top, "resolving"))
        shutil.copy(os.path.join(scene.app, "locked/uv.lock"), scene.app)
        scene.run("uv", "sync", "--quiet", "--directory", "locked", "--frozen", "--no-install-project", "--no-build")
        without_locks(scene)
        scene.done()
    pip, uv = f"pip {version('pip', '--version')}", f"uv {version('uv', '--version')}"
    requirements = ["requirements.txt"]
    site = glob.glob(os.path.join(scene.app, "pip/.venv/lib/python3*/site-packages"))[0]
    below = os.path.relpath(site, os.path.join(scene.app, "pip"))
    scene.measure("wheelhouse", pip, ["wheelhouse"], requirements)
    for name, tool, label in (("pip", pip, "pip install from it"), ("index", uv, "uv pip install from the registry"),
                              ("links", uv, "uv pip install from the wheelhouse")):
        scene.measure(label, tool, [f"{name}/{below}", "wheelhouse"], requirements)
        if name != "links":
            scene.measure(f"{label}, whole environment", tool, [f"{name}/.venv", "wheelhouse"], requirements)
            scene.policy([f"{name}/{below}", "wheelhouse"], requirements)
            scene.removals(label, distributions(scene, f"{name}/{below}"))
    scene.measure("uv cache", uv, ["~/.cache/uv", "wheelhouse"], requirements)
    # What says which wheel it is, where it came from, and which Pythons there are.
    own = [f"~/.cache/uv/{name}" for name in (".gitignore", "CACHEDIR.TAG", "interpreter-*/**", "sdists-*/**",
                                              "simple-*/**", "wheels-*/**")]
    scene.measure("uv cache, its own files named in the policy", uv, ["~/.cache/uv", "wheelhouse"], requirements, own)
    scene.measure("uv sync", uv, [f"locked/{below}", "wheelhouse"], ["uv.lock"])
    scene.removals("uv sync", distributions(scene, f"locked/{below}"))


YARN = {"name": "app", "version": "1.0.0", "dependencies": {
    "esbuild": "0.21.5", "eslint": "8", "express": "4", "jest": "29.7.0", "lodash": "4", "mocha": "10", "rollup": "4",
    "webpack": "5.90.0"}}


@kind
def yarn_classic(scene):
    # Root has another cache.
    scene.env["YARN_CACHE_FOLDER"] = os.path.join(scene.home, ".cache/yarn")
    if not scene.made:
        scene.write("package.json", json.dumps(YARN, indent=2))
        scene.write(".yarnrc", 'yarn-offline-mirror "./mirror"\n')
        scene.run("yarn", "install", "--silent", "--ignore-scripts", "--non-interactive")
        scene.done()
    tool = f"Yarn {version('yarn', '--version')}"
    scene.measure("Yarn classic, mirror", tool, ["mirror"], ["yarn.lock"])
    scene.measure("Yarn classic, mirror and node_modules", tool, ["mirror", "node_modules"], ["yarn.lock"])
    scene.measure("Yarn classic, cache", tool, ["~/.cache/yarn/v6"], ["yarn.lock"])


@kind
def yarn_berry(scene):
    root = subprocess.run(["npm", "root", "--global"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    yarn = os.path.join(root, "@yarnpkg/cli-dist/bin/yarn.js")
    if not scene.made:
        scene.write("package.json", json.dumps(YARN, indent=2))
        scene.write(".yarnrc.yml", "enableGlobalCache: false\nenableScripts: false\nenableTelemetry: false\n")
        scene.write("yarn.lock", "")
        scene.run("node", yarn, "install", YARN_ENABLE_IMMUTABLE_INSTALLS="false")
        scene.done()
    tool = f"Yarn {version('node', yarn, '--version')}"
    scene.measure("Yarn 4 with esbuild and rollup", tool, [".yarn/cache"], ["yarn.lock"])
    conditional = [".yarn/cache/@esbuild-*.zip", ".yarn/cache/@rollup-rollup-*.zip"]
    scene.measure("the same, their zips named in the policy", tool, [".yarn/cache"], ["yarn.lock"], conditional)


# Debian's packages with modules of Go, and the path of the module in each.
GO = {
    "golang-github-spf13-cobra-dev": "github.com/spf13/cobra",
    "golang-github-spf13-pflag-dev": "github.com/spf13/pflag",
    "golang-github-spf13-viper-dev": "github.com/spf13/viper",
    "golang-github-stretchr-testify-dev": "github.com/stretchr/testify",
    "golang-github-pkg-errors-dev": "github.com/pkg/errors",
    "golang-github-davecgh-go-spew-dev": "github.com/davecgh/go-spew",
    "golang-github-gorilla-mux-dev": "github.com/gorilla/mux",
    "golang-github-gorilla-websocket-dev": "github.com/gorilla/websocket",
    "golang-github-burntsushi-toml-dev": "github.com/BurntSushi/toml",
    "golang-github-masterminds-sprig-dev": "github.com/Masterminds/sprig",
    "golang-github-sirupsen-logrus-dev": "github.com/sirupsen/logrus",
    "golang-github-mattn-go-sqlite3-dev": "github.com/mattn/go-sqlite3",
    "golang-github-klauspost-compress-dev": "github.com/klauspost/compress",
    "golang-github-prometheus-client-golang-dev": "github.com/prometheus/client_golang",
    "golang-github-prometheus-common-dev": "github.com/prometheus/common",
    "golang-github-aws-aws-sdk-go-dev": "github.com/aws/aws-sdk-go",
    "golang-github-docker-docker-dev": "github.com/docker/docker",
    "golang-github-hashicorp-hcl-dev": "github.com/hashicorp/hcl",
    "golang-github-fsnotify-fsnotify-dev": "github.com/fsnotify/fsnotify",
    "golang-github-google-uuid-dev": "github.com/google/uuid",
    "golang-github-gin-gonic-gin-dev": "github.com/gin-gonic/gin",
    "golang-github-mitchellh-mapstructure-dev": "github.com/mitchellh/mapstructure",
    "golang-github-fatih-color-dev": "github.com/fatih/color",
    "golang-github-mattn-go-isatty-dev": "github.com/mattn/go-isatty",
}


@kind
def go(scene):
    """No proxy: Go itself packs what Debian has of each module, out of a repository of git."""
    go = shutil.which("go1.27.3") or "go"
    if not scene.made:
        repositories = os.path.join(scene.top, "repositories")
        os.makedirs(repositories, exist_ok=True)
        scene.run("git", "config", "--global", f"url.file://{repositories}/.insteadOf", "https://github.com/")
        scene.run("git", "config", "--global", "user.email", "coverage@example.com")
        scene.run("git", "config", "--global", "user.name", "coverage")
        scene.run("git", "config", "--global", "uploadpack.allowFilter", "true")
        requires = []
        for package, module in GO.items():
            unpacked = os.path.join(scene.top, "debian", package)
            os.makedirs(unpacked, exist_ok=True)
            # As who may drop rights to download, apt must be able to write.
            os.chmod(unpacked, 0o777)
            subprocess.run(["apt-get", "download", "-q", package], cwd=unpacked, check=True, stdout=subprocess.DEVNULL)
            scene.run("dpkg", "-x", glob.glob(os.path.join(unpacked, "*.deb"))[0], unpacked)
            source = os.path.join(unpacked, "usr/share/gocode/src", module)
            to = os.path.join(repositories, module.split("/", 1)[1])
            shutil.copytree(source, to, symlinks=True, ignore=shutil.ignore_patterns("go.mod", "go.sum"))
            with open(os.path.join(to, "go.mod"), "w", encoding="utf-8") as file:
                file.write(f"module {module}\n\ngo 1.19\n")
            for command in (("init", "-q"), ("add", "-A", "-f"), ("commit", "-q", "-m", module), ("tag", "v1.0.0")):
                scene.run("git", "-C", to, *command)
            requires.append(f"\t{module} v1.0.0\n")
        scene.write("go.mod", "module example.com/app\n\ngo 1.19\n\nrequire (\n" + "".join(requires) + ")\n")
        direct = {"GOPROXY": "direct", "GONOSUMDB": "*", "GOSUMDB": "off", "GOFLAGS": "-mod=mod -modcacherw",
                  "GOTOOLCHAIN": "local"}
        scene.run(go, "mod", "download", "all", **direct)
        scene.done()
    tool = f"Go {version(go, 'version')}"
    scene.measure("Go modules as downloaded", tool, ["~/go/pkg/mod"], ["go.sum"])
    mod = os.path.join(scene.home, "go/pkg/mod")
    cleaned = os.path.join(scene.top, "home/go/pkg/mod/cache")
    for above, _, files in os.walk(cleaned):
        for name in files:
            if name == "list" or name.endswith(".info"):
                os.remove(os.path.join(above, name))
    for part in ("cache/download/sumdb", "cache/vcs"):
        shutil.rmtree(os.path.join(mod, part), ignore_errors=True)
    subprocess.run(["find", cleaned, "-type", "d", "-empty", "-delete"], check=True)
    scene.measure("Go modules after the clean-up of docs/LOCKFILES.md", tool, ["~/go/pkg/mod"], ["go.sum"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--work", help="where the caches are made, and stay")
    parser.add_argument("--removals", type=int, default=100,
                        help="packages to take away from each tree one at a time, none below 0")
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--binary", help="a program that is built already")
    options = parser.parse_args()
    if not options.binary:
        subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "cacheseal"], cwd=TOP, check=True)
        target = os.environ.get("CARGO_TARGET_DIR", os.path.join(TOP, "target"))
        options.binary = os.path.join(target, "release/cacheseal")
    options.binary = os.path.abspath(options.binary)
    temporary = None if options.work else tempfile.TemporaryDirectory(prefix="cacheseal-coverage-")
    options.work = os.path.realpath(options.work or temporary.name)
    for name in options.kind:
        KINDS[name](Scene(name, options))


if __name__ == "__main__":
    main()
