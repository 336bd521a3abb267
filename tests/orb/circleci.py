"""A small local CircleCI, for tests of the orb. README.md says what it emulates and what it does not.

  circleci.py pack SOURCE                     the orb of a directory, as one document
  circleci.py inline CONFIG --orb NAME=SRC    a configuration with its orbs put in, in place of their names
  circleci.py process CONFIG --orb NAME=SRC   the jobs that a configuration comes to
  circleci.py run CONFIG --store DIR --repository DIR …   runs a workflow; tells as JSON what became of it
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import uuid

import config
import expression

CONTAINER = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
REPOSITORY = "https://github.com/acme/app"


class Pipeline:
    """One push: a workflow at a revision, with the caches and contexts of its project."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.store = pathlib.Path(arguments.store)
        (self.store / "jobs").mkdir(parents=True, exist_ok=True)
        self.revision = self.git("rev-parse", f"{arguments.tag or arguments.branch}^{{commit}}")
        self.values = values_of(arguments, self.revision, len(list((self.store / "jobs").iterdir())) + 1)
        self.workflow_id = str(uuid.uuid4())

    def git(self, *command):
        """What git says of the repository."""
        directory = ["-c", "safe.directory=*", "-C", self.arguments.repository]
        return subprocess.run(["git", *directory, *command], check=True, capture_output=True, text=True).stdout.strip()

    def run(self, jobs):
        """Runs jobs one after the other. A job that requires one that failed is not run."""
        status, told = {}, []
        with tempfile.TemporaryDirectory() as scratch:
            bundle = pathlib.Path(scratch) / "repository.bundle"
            self.git("bundle", "create", "-q", str(bundle), "--all")
            for job in jobs:
                if any(status.get(name, "success") != "success" for name in job["requires"]):
                    record = {"status": "not run", "steps": []}
                elif not self.authorised(job["contexts"]):
                    record = {"status": "unauthorized", "steps": []}
                else:
                    record = self.job(job, bundle)
                status[job["name"]] = record["status"]
                told.append({"name": job["name"], **record})
        every = {record["status"] for record in told}
        overall = "success" if every <= {"success"} else "unauthorized" if "unauthorized" in every else "failed"
        return {"status": overall, "jobs": told}

    def context(self, name):
        """A context: its variables, and the expression that restricts it."""
        given = dict(one.split("=", 1) for one in self.arguments.context)
        if name not in given:
            raise config.ConfigError(f"no context `{name}`")
        return json.loads(pathlib.Path(given[name]).read_text("utf-8"))

    def authorised(self, names):
        """Whether every context lets this pipeline in. What cannot be evaluated does not."""
        values = {**{f"pipeline.{key}": value for key, value in self.values.items()}, "job.ssh.enabled": False}
        restrictions = [self.context(name)["expression"] for name in names]
        try:
            return all(expression.holds(one, values) for one in restrictions if one)
        except expression.ExpressionError:
            return False

    def job(self, job, bundle):
        """Runs one job in a container."""
        number = len(list((self.store / "jobs").iterdir())) + 1
        directory = f"{number:04}-{job['name']}"
        (self.store / "jobs" / directory).mkdir()
        # Builds of forks get no contexts and caches of their own.
        fork = self.arguments.fork
        variables = {}
        for name in [] if fork else job["contexts"]:
            variables.update(self.context(name)["variables"])
        spec = {
            **{key: job[key] for key in ("steps", "executor")},
            "store": str(self.store.resolve()),
            "directory": directory,
            "number": number,
            "bundle": str(bundle),
            "image": self.arguments.image and str(pathlib.Path(self.arguments.image).resolve()),
            "scope": fork or "acme/app",
            "revision": self.revision,
            "branch": self.values["git.branch"],
            "variables": variables,
            "secrets": list(variables.values()),
            "built_in": self.built_in(job, number),
        }
        command = [*CONTAINER, sys.executable, "-B", str(pathlib.Path(__file__).with_name("container.py"))]
        done = subprocess.run(command, input=json.dumps(spec), capture_output=True, text=True, check=False, umask=0o022)
        if done.returncode != 0:
            raise config.ConfigError(f"the container of job `{job['name']}` failed: {done.stderr}")
        return {"number": number, "directory": str(self.store / "jobs" / directory), **json.loads(done.stdout)}

    def built_in(self, job, number):
        """The variables that CircleCI sets."""
        branch, tag, fork = self.values["git.branch"], self.values["git.tag"], self.arguments.fork
        variables = {
            "CI": "true",
            "CIRCLECI": "true",
            "CIRCLE_BUILD_NUM": str(number),
            "CIRCLE_JOB": job["name"],
            "CIRCLE_PIPELINE_ID": self.values["id"],
            "CIRCLE_PROJECT_REPONAME": "app",
            "CIRCLE_PROJECT_USERNAME": "acme",
            "CIRCLE_REPOSITORY_URL": REPOSITORY,
            "CIRCLE_SHA1": self.revision,
            # As CircleCI leaves it, unexpanded.
            "CIRCLE_WORKING_DIRECTORY": job["executor"].get("working_directory", "~/project"),
            "CIRCLE_WORKFLOW_ID": self.workflow_id,
            "CIRCLE_WORKFLOW_JOB_ID": str(uuid.uuid4()),
            **({"CIRCLE_TAG": tag} if tag else {"CIRCLE_BRANCH": branch}),
        }
        if fork:
            variables |= {"CIRCLE_PR_NUMBER": "7", "CIRCLE_PR_REPONAME": "app", "CIRCLE_PR_USERNAME": fork.split("/")[0]}
        return variables


def values_of(arguments, revision="0" * 40, number=1):
    """The values of the pipeline that a push or a schedule starts."""
    return {
        "id": str(uuid.uuid4()),
        "number": number,
        # The pull request of a fork has the number 7 here.
        "git.branch": "" if arguments.tag else "pull/7" if arguments.fork else arguments.branch,
        "git.tag": arguments.tag or "",
        "git.revision": revision,
        "config_source": arguments.config_source,
        "trigger_source": "scheduled_pipeline" if arguments.schedule else "webhook",
        "schedule.name": arguments.schedule or "",
    }


def packed(arguments):
    """The orbs that were named, by the names that configurations use."""
    return {name: config.pack(source) for name, source in (one.split("=", 1) for one in arguments.orb)}


def compiled(arguments, pipeline):
    """The jobs of the configuration that was named."""
    return config.compile_workflow(config.load(arguments.config), packed(arguments), pipeline, arguments.workflow)


def as_root(command):
    """Runs this program again as root, who alone can make containers here."""
    os.execvp("sudo", ["sudo", "-n", "--", sys.executable, "-B", *command])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("pack").add_argument("source")
    for verb in ("inline", "process", "run"):
        command = verbs.add_parser(verb)
        command.add_argument("config")
        command.add_argument("--orb", action="append", default=[], metavar="NAME=SOURCE")
        if verb == "inline":
            continue
        command.add_argument("--workflow")
        command.add_argument("--branch", default="main")
        command.add_argument("--tag")
        command.add_argument("--config-source", default="repository")
        command.add_argument("--fork", metavar="OWNER/NAME", help="build a pull request from this fork")
        command.add_argument("--schedule", metavar="NAME", help="a schedule starts the pipeline, and no push")
    command.add_argument("--store", required=True, help="caches, workspaces and jobs")
    command.add_argument("--repository", required=True)
    command.add_argument("--image", help="a directory that every job finds as /opt/image")
    command.add_argument("--context", action="append", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    try:
        return VERBS[arguments.verb](arguments)
    except config.ConfigError as error:
        print(f"config error: {error}", file=sys.stderr)
        return 2


def pack(arguments):
    print(config.dump(config.pack(arguments.source)), end="")


def inline(arguments):
    """What runs an orb before it is published. Inline orbs have elements alone, no examples."""
    document, orbs = config.load(arguments.config), packed(arguments)
    for alias, reference in document["orbs"].items():
        orb = orbs[reference.split("@")[0]]
        document["orbs"][alias] = {kind: orb[kind] for kind in config.INCLUDING if kind in orb}
    print(config.dump(document), end="")


def process(arguments):
    json.dump(compiled(arguments, values_of(arguments)), sys.stdout, indent=1)


def run(arguments):
    if os.geteuid() != 0:
        as_root(sys.argv)
    pipeline = Pipeline(arguments)
    told = pipeline.run(compiled(arguments, pipeline.values))
    if "SUDO_UID" in os.environ:
        # Whoever asked must be able to delete it.
        subprocess.run(["chown", "-R", os.environ["SUDO_UID"], arguments.store], check=True)
    json.dump(told, sys.stdout, indent=1)
    return 0 if told["status"] == "success" else 1


VERBS = {"pack": pack, "inline": inline, "process": process, "run": run}

if __name__ == "__main__":
    sys.exit(main())
