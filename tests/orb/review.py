"""The review checks RC001 to RC012 that CircleCI's orb-tools make of an orb's source: review.py SOURCE [--online] [--tag TAG]

The official checks are an orb themselves and cannot run here. RC006 and RC007 ask the network, so only with --online;
RC011 is about releases, so only with --tag. FILTERS is a check of our own: examples filter jobs by expressions, since
CircleCI deprecated the filters of branches and tags. Ends with 1 if a check fails, and names the file."""

import argparse
import pathlib
import re
import sys
import urllib.request

import config

COMMAND_LENGTH_MAX = 64


def steps_of(steps):
    """Every step at any depth, conditions and teardowns opened."""
    for step in steps or []:
        if not isinstance(step, dict):
            continue
        for name, body in step.items():
            yield name, body
            if name in ("when", "unless"):
                yield from steps_of(body["steps"])
            if name == "run" and isinstance(body, dict):
                yield from steps_of(body.get("teardown"))


class Orb:
    def __init__(self, source):
        self.source = pathlib.Path(source)
        self.root = config.load(self.source / "@orb.yml")
        self.elements = [
            (path, kind, config.load(path)) for kind in config.ELEMENTS for path in sorted((self.source / kind).glob("**/*.yml"))
        ]

    def of(self, *kinds):
        return [(path, element) for path, kind, element in self.elements if kind in kinds]

    def runs(self):
        for path, element in self.of("commands", "jobs"):
            for name, body in steps_of(element.get("steps")):
                if name == "run":
                    yield path, body


def rc001(orb):
    if not orb.root.get("display", {}).get("source_url"):
        yield "@orb.yml: no display.source_url"


def rc002(orb):
    for path, element in orb.of(*config.ELEMENTS):
        if not element.get("description"):
            yield f"{path}: no description"


def rc003(orb):
    if not orb.of("examples"):
        yield "no examples"


def rc004(orb):
    for path, _ in orb.of("examples"):
        if "example" in path.stem:
            yield f"{path}: its name says `example`"


def rc005(orb):
    if len(orb.root.get("description", "")) < 64:
        yield "@orb.yml: a description of less than 64 characters"


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status == 200
    except OSError:
        return False


def rc006(orb):
    if not answers(orb.root["display"]["source_url"]):
        yield "@orb.yml: source_url does not answer"


def rc007(orb):
    url = orb.root["display"].get("home_url")
    if url and not answers(url):
        yield "@orb.yml: home_url does not answer"


def rc008(orb):
    for path, run in orb.runs():
        if not isinstance(run, dict) or not run.get("name"):
            yield f"{path}: a run step without a name"


def rc009(orb):
    for path, run in orb.runs():
        command = run if isinstance(run, str) else run["command"]
        if len(command) > COMMAND_LENGTH_MAX and "<<include(" not in command:
            yield f"{path}: a command of {len(command)} characters that is not included"


def rc010(orb):
    for path, element in orb.of("commands", "jobs", "executors"):
        for name in (path.stem, *(element.get("parameters") or {})):
            if "-" in name:
                yield f"{path}: `{name}` is not in snake_case"


def rc011(orb, tag):
    major = tag.removeprefix("v").split(".")[0]
    for path, element in orb.of("examples"):
        for reference in (element["usage"].get("orbs") or {}).values():
            if isinstance(reference, str) and reference.split("@")[0] == "cacheseal/cacheseal":
                if reference.split("@")[1].split(".")[0] != major:
                    yield f"{path}: {reference} is not of version {major}"


def rc012(orb):
    for path, element in orb.of("commands", "jobs"):
        names = [
            name
            for name, parameter in (element.get("parameters") or {}).items()
            if re.search(r"\$\{?[A-Za-z_]", str(parameter.get("default", "")))
        ]
        for step, body in steps_of(element.get("steps")):
            if step in ("save_cache", "restore_cache"):
                text = str([body.get("key"), body.get("keys")])
                for name in names:
                    if re.search(rf"<<\s*parameters\.{name}\s*>>", text):
                        yield f"{path}: the default of `{name}` holds a variable, which a cache key does not expand"


def filters(orb):
    for path, example in orb.of("examples"):
        for workflow in (example["usage"].get("workflows") or {}).values():
            for _, job in steps_of(workflow.get("jobs")):
                if isinstance((job or {}).get("filters"), dict):
                    yield f"{path}: filters of branches and tags are deprecated: write an expression"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--online", action="store_true")
    parser.add_argument("--tag")
    arguments = parser.parse_args()
    orb, failed = Orb(arguments.source), False
    checks = [rc001, rc002, rc003, rc004, rc005, rc008, rc009, rc010, rc012, filters]
    if arguments.online:
        checks += [rc006, rc007]
    found = {check.__name__: list(check(orb)) for check in checks}
    if arguments.tag:
        found["rc011"] = list(rc011(orb, arguments.tag))
    for name, offences in sorted(found.items()):
        print(f"{name.upper()} {'failed' if offences else 'passed'}")
        for offence in offences:
            print(f"  {offence}")
        failed = failed or bool(offences)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
