"""Runs one job inside namespaces of its own, as `unshare` has made them: private /home, /root, /opt and /tmp, a read-only
rest, no network, and a user `circleci` who may use sudo without a password, as in CircleCI's own images.

Reads the job from standard input and writes what became of each step to standard output, both as JSON."""

import base64
import datetime
import glob
import hashlib
import json
import os
import pathlib
import platform
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile

UID, GID = 1001, 1002
STEP_SECONDS = 300
STORE = pathlib.Path("/mnt/store")
SCRATCH = pathlib.Path("/opt/circleci")
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AGENT = f"""#!/bin/sh
# The one command of the agent that jobs here may use.
[ "$*" = 'step halt' ] || exit 2
: >{SCRATCH}/scratch/halt
"""
PROFILE = """# A login shell reads this, and so the next one, and looks for programs in ~/bin, as Debian has it.
if [ -n "$BASH_VERSION" ] && [ -f "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
if [ -d "$HOME/bin" ]; then PATH="$HOME/bin:$PATH"; fi
"""


class StepError(Exception):
    """A step of CircleCI's own failed."""


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def furnish(store, directory, user, image, bundle):
    """Puts private directories over the shared ones. The store is hidden from everybody but root."""
    mount("-t", "tmpfs", "-o", "mode=0700", "tmpfs", "/mnt")
    STORE.mkdir()
    mount("--bind", store, STORE)
    etc = pathlib.Path("/mnt/etc")
    etc.mkdir()
    files = {
        "passwd": f"root:x:0:0:root:/root:/bin/bash\n{user}:x:{UID}:{GID}::/home/{user}:/bin/bash\n",
        "group": f"root:x:0:\n{user}:x:{GID}:\n",
        "shadow": f"root:*:1::::::\n{user}:*:1::::::\n",
        "hosts": "127.0.0.1 localhost circleci\n",
    }
    for name, text in files.items():
        (etc / name).write_text(text, "utf-8")
        mount("--bind", etc / name, f"/etc/{name}")
    if pathlib.Path("/etc/sudoers.d").is_dir():
        (etc / "sudoers.d").mkdir()
        (etc / "sudoers.d/circleci").write_text(f"{user} ALL=NOPASSWD: ALL\n", "utf-8")
        (etc / "sudoers.d/circleci").chmod(0o440)
        mount("--bind", etc / "sudoers.d", "/etc/sudoers.d")
    for name in ("home", "root", "opt", "tmp"):
        (directory / name).mkdir(mode=0o755)
    (directory / "tmp").chmod(0o1777)
    home = directory / "home" / user
    home.mkdir()
    (home / ".profile").write_text(PROFILE, "utf-8")
    (home / ".bashrc").write_text("# Nothing of its own.\n", "utf-8")
    for path in (home, *home.iterdir()):
        os.chown(path, UID, GID)
    circleci = directory / "opt/circleci"
    (circleci / "bin").mkdir(parents=True)
    (circleci / "scratch").mkdir()
    (circleci / "scratch").chmod(0o777)
    (circleci / "bin/circleci-agent").write_text(AGENT, "utf-8")
    (circleci / "bin/circleci-agent").chmod(0o755)
    shutil.copyfile(bundle, circleci / "repository.bundle")
    if image:
        shutil.copytree(image, directory / "opt/image", symlinks=True)
    for name in ("home", "root", "opt", "tmp"):
        mount("--bind", directory / name, f"/{name}")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm")
    mount("-o", "remount,ro,bind", "/")
    subprocess.run(["hostname", "circleci"], check=True)


class Job:
    """One job: its environment, its directory, its steps in their order."""

    def __init__(self, spec):
        self.spec = spec
        docker = (spec["executor"].get("docker") or [{}])[0]
        self.user = docker.get("user", "circleci")
        self.home = "/root" if self.user == "root" else f"/home/{self.user}"
        self.identity = {} if self.user == "root" else {"user": UID, "group": GID, "extra_groups": []}
        self.directory = self.path(spec["executor"].get("working_directory", "~/project"), "/")
        # By rising precedence; a step's own comes last.
        path = f"{self.home}/bin:{self.home}/.local/bin:{PATHS}:{SCRATCH}/bin"
        image = {"HOME": self.home, "PATH": path, "LANG": "C.UTF-8"}
        bash_env = f"/tmp/.bash_env-{secrets.token_hex(12)}-0-build"
        self.exported = {**spec["variables"], **spec["built_in"], "BASH_ENV": bash_env}
        own = {**_texts(docker.get("environment")), **_texts(spec["executor"].get("environment"))}
        self.environment = {**image, **self.exported, **own}
        self.background = []

    def path(self, text, base):
        """A path as CircleCI reads it: `~` is home, a variable is nothing special."""
        if text == "~" or text.startswith("~/"):
            text = self.home + text[1:]
        return os.path.normpath(os.path.join(base, text))

    def perform(self):
        """Every step in its order; after a failure only those that say so, and those that store. Teardowns come last."""
        pathlib.Path(self.directory).mkdir(parents=True, exist_ok=True)
        if self.identity:
            for path in (self.directory, *map(str, pathlib.Path(self.directory).parents)):
                if path.startswith(self.home):
                    os.chown(path, UID, GID)
        failed, told, teardowns = False, [], []

        def steps():
            yield from self.spec["steps"]
            yield from reversed(teardowns)

        for step in steps():
            (kind, body) = next(iter(step.items()))
            name = body.get("name") or (body["command"].strip().split("\n")[0] if kind == "run" else kind)
            when = body.get("when", "always" if kind.startswith("store_") else "on_success")
            record = {"name": name, "type": kind, "status": "skipped", "exit": None, "output": ""}
            told.append(record)
            if (SCRATCH / "scratch/halt").exists():
                continue
            if when == "on_success" and failed or when == "on_fail" and not failed:
                continue
            teardowns += body.get("teardown", [])
            try:
                record["exit"], record["output"] = getattr(self, f"step_{kind}")(body, record)
            except StepError as error:
                record["exit"], record["output"] = 1, str(error)
            record["status"] = "success" if record["exit"] in (0, None) else "failed"
            failed = failed or record["status"] == "failed"
        for process, record, log in self.background:
            log.seek(0)
            record["output"] = log.read().decode("utf-8", "replace")
            record["exit"] = process.poll()
        for record in told:
            record["output"] = self.masked(record["output"])
        return {"status": "failed" if failed else "success", "steps": told}

    def masked(self, text):
        """Secrets in the output of steps, as CircleCI hides them."""
        for secret in self.spec["secrets"]:
            if len(secret) >= 4 and secret not in ("true", "false"):
                text = text.replace(secret, "****")
        return text

    # Steps.

    def step_checkout(self, body, _):
        path = self.path(body.get("path", "."), self.directory)
        revision, branch = self.spec["revision"], self.spec["branch"] or "tag"
        script = (
            'mkdir -p "$1" && cd "$1" && git init -q . && git remote add origin "$2" && git fetch -q --tags origin '
            "'+refs/heads/*:refs/remotes/origin/*' && git checkout -q --force -B \"$4\" \"$3\""
        )
        command = ["sh", "-c", script, "sh", path, str(SCRATCH / "repository.bundle"), revision, branch]
        return self.command(command, {**self.environment, "GIT_TERMINAL_PROMPT": "0"}, self.directory)

    def step_run(self, body, record):
        shell = body.get("shell") or self.spec["executor"].get("shell") or "/bin/bash -eo pipefail"
        environment = {**self.environment, **_texts(body.get("environment"))}
        directory = self.path(body.get("working_directory", "."), self.directory)
        command = [*shlex.split(shell), "-c", body["command"]]
        if not body.get("background"):
            return self.command(command, environment, directory)
        log = tempfile.TemporaryFile(dir="/mnt")
        process = subprocess.Popen(
            command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.identity
        )
        self.background.append((process, record, log))
        return None, ""

    def command(self, command, environment, directory):
        """Runs a program as the job's user, and gives its exit status and what it said."""
        try:
            done = subprocess.run(
                command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=STEP_SECONDS, check=False, **self.identity,
            )
        except subprocess.TimeoutExpired as error:
            raise StepError(f"no end after {STEP_SECONDS} seconds: {error.output}") from error
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def tar(self, arguments, archive, mode):
        """GNU tar as the job's user; the archive is opened here, where the store is."""
        with open(archive, mode) as file:
            streams = {"stdin": file} if mode == "rb" else {"stdin": subprocess.DEVNULL, "stdout": file}
            done = subprocess.run(["tar", *arguments], stderr=subprocess.PIPE, check=False, **streams, **self.identity)
        if done.returncode != 0:
            raise StepError(f"tar: {done.stderr.decode('utf-8', 'replace')}")

    def step_save_cache(self, body, _):
        key, scope = self.key(body["key"]), self.spec["scope"]
        caches = _read(STORE / "caches.json", [])
        if any(cache["key"] == key and cache["scope"] == scope for cache in caches):
            return 0, f"Skipping cache generation, cache already exists for key: {key}"
        told, members = [], []
        for path in (self.path(path, self.directory) for path in body["paths"]):
            if os.path.lexists(path):
                members.append(path.lstrip("/"))
            else:
                told.append(f"Warning: could not archive {path} - Not found")
        archive = f"cache-{len(caches):04}.tar.gz"
        # Names are stored without the leading slash, and mean the same in every later job.
        self.tar(["-czf", "-", "-C", "/", *(["--", *members] if members else ["-T", "/dev/null"])], STORE / archive, "wb")
        caches.append({"scope": scope, "key": key, "archive": archive, "build": self.spec["number"]})
        (STORE / "caches.json").write_text(json.dumps(caches), "utf-8")
        return 0, "\n".join([*told, f"Stored cache to key {key}"])

    def step_restore_cache(self, body, _):
        keys = [*([body["key"]] if "key" in body else []), *body.get("keys", [])]
        for key in map(self.key, keys):
            caches = _read(STORE / "caches.json", [])
            found = [one for one in caches if one["scope"] == self.spec["scope"] and one["key"].startswith(key)]
            if found:
                # The newest match wins, even over an exact one. Files are laid over what is there.
                newest = found[-1]
                self.tar(["-xzf", "-", "-C", "/"], STORE / newest["archive"], "rb")
                return 0, f"Found a cache from build {newest['build']} at {newest['key']}"
        return 0, "No cache is found for key: " + ", ".join(map(self.key, keys))

    def step_persist_to_workspace(self, body, _):
        root = self.path(body["root"], self.directory)
        members = [path for pattern in body["paths"] for path in sorted(glob.glob(pattern, root_dir=root))]
        if not members:
            raise StepError(f"nothing in {root} matches {body['paths']}")
        workspace = STORE / "workspaces" / self.spec["built_in"]["CIRCLE_WORKFLOW_ID"]
        workspace.mkdir(parents=True, exist_ok=True)
        self.tar(["-czf", "-", "-C", root, "--", *members], workspace / f"{len(list(workspace.iterdir())):04}.tar.gz", "wb")
        return 0, "\n".join(members)

    def step_attach_workspace(self, body, _):
        at = self.path(body["at"], self.directory)
        done = self.command(["mkdir", "-p", at], self.environment, "/")
        if done[0] != 0:
            return done
        for layer in sorted((STORE / "workspaces" / self.spec["built_in"]["CIRCLE_WORKFLOW_ID"]).glob("*.tar.gz")):
            self.tar(["-xzf", "-", "-C", at], layer, "rb")
        return 0, ""

    def step_store_artifacts(self, body, _):
        return self.stored(body, "artifacts", body.get("destination", ""))

    def step_store_test_results(self, body, _):
        return self.stored(body, "test-results", "")

    def stored(self, body, kind, destination):
        path = self.path(body["path"], self.directory)
        if not os.path.exists(path):
            return 0, f"nothing to store: {path}"
        target = STORE / "jobs" / self.spec["directory"] / kind / destination.strip("/")
        target.mkdir(parents=True, exist_ok=True)
        where, what = (path, ".") if os.path.isdir(path) else os.path.split(path)
        self.tar(["-czf", "-", "-C", where, "--", what], "/mnt/stored", "wb")
        with open("/mnt/stored", "rb") as file:
            subprocess.run(["tar", "-xzf", "-", "-C", target], stdin=file, check=True)
        return 0, ""

    # Keys of caches.

    def key(self, template):
        """A key with its templates filled in."""
        key = re.sub(r"\{\{\s*(.*?)\s*\}\}", lambda found: self.template(found[1]), template)
        if len(key) > 900:
            raise StepError("a key has at most 900 characters")
        return key

    def template(self, text):
        exported = self.exported
        names = {".Branch": "CIRCLE_BRANCH", ".BuildNum": "CIRCLE_BUILD_NUM", ".Revision": "CIRCLE_SHA1"}
        if text in names:
            return exported.get(names[text], "")
        if found := re.fullmatch(r"\.Environment\.(\w+)", text):
            return exported.get(found[1], "<no value>")
        if found := re.fullmatch(r'checksum\s+"([^"]+)"', text):
            path = pathlib.Path(self.path(found[1], self.directory))
            if not path.is_file():
                raise StepError(f"template: error calling checksum: {path} is not there")
            return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode("ascii")
        if text == "arch":
            return f"linux-{platform.machine()}-6_62"
        if text == "epoch":
            return str(int(datetime.datetime.now(datetime.timezone.utc).timestamp()))
        raise StepError(f"no template `{text}`")


def _texts(environment):
    """Values of an environment as text. A list of maps is what some configurations write."""
    if isinstance(environment, list):
        environment = {key: value for item in environment for key, value in item.items()}
    texts = {}
    for key, value in (environment or {}).items():
        texts[key] = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return texts


def _read(path, default):
    return json.loads(path.read_text("utf-8")) if path.exists() else default


def main():
    """One job, from its description to its record."""
    spec = json.load(sys.stdin)
    store = pathlib.Path(spec["store"])
    job = Job(spec)
    user = "circleci" if job.user == "root" else job.user
    furnish(store, store / "jobs" / spec["directory"], user, spec["image"], spec["bundle"])
    told = job.perform()
    # Programs that were copied for this job alone: they are large, and nobody looks at them afterwards.
    shutil.rmtree(STORE / "jobs" / spec["directory"] / "opt")
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
