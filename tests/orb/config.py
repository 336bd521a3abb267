"""Compiles CircleCI configuration: packs an orb, resolves orbs, commands, executors, parameters and conditions.

Compilation is stricter than CircleCI's: what this file does not know is an error, never a guess."""

import copy
import pathlib
import re

import yaml

import expression


class ConfigError(Exception):
    """The configuration does not compile."""


class Loader(yaml.SafeLoader):
    """YAML 1.1 as CircleCI reads it (an unquoted `on` is a boolean), but a key that stands twice is an error."""


def _mapping(loader, node, deep=False):
    keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ConfigError(f"{node.start_mark}: {sorted(twice)} stands twice")
    loader.flatten_mapping(node)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(path):
    """Reads one YAML file."""
    try:
        return yaml.load(pathlib.Path(path).read_text("utf-8"), Loader) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}") from error


# Packing: `circleci orb pack`.

ELEMENTS = ("commands", "jobs", "executors", "examples")
INCLUDING = ("commands", "jobs", "executors")
INCLUDE = re.compile(r"<<\s*include\(([-\w/.]+)\)?\s*>>")


def pack(source):
    """The orb of a source directory, as one document. A file is not packed if it is one already."""
    source = pathlib.Path(source)
    if source.is_file():
        return load(source)
    orb = load(source / "@orb.yml")
    for kind in ELEMENTS:
        for path in sorted((source / kind).glob("**/*.yml")):
            elements = orb.setdefault(kind, {})
            if path.stem in elements:
                raise ConfigError(f"{path}: `{path.stem}` stands twice")
            element = load(path)
            elements[path.stem] = _included(element, source) if kind in INCLUDING else element
    return orb


def _included(value, source):
    """Every included file stands in for its `include`; its own `<<` are escaped, and it is not scanned again."""
    if isinstance(value, dict):
        return {key: _included(item, source) for key, item in value.items()}
    if isinstance(value, list):
        return [_included(item, source) for item in value]
    if isinstance(value, str):
        return INCLUDE.sub(lambda found: (source / found[1]).read_text("utf-8").replace("<<", "\\<<"), value)
    return value


def dump(document):
    """A document as YAML that CircleCI reads back."""
    return yaml.safe_dump(document, sort_keys=False, indent=4, width=1000, allow_unicode=True)


# Compiling: `circleci config process`.

NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
VALUE = re.compile(r"(?<!\\)<<\s*([\w.-]+)\s*>>")
# The options of each step, beside `name` and `when`, which all have. CircleCI ignores others, and so does this.
BUILT_IN = {
    "checkout": {"path"},
    "run": {"command", "shell", "environment", "background", "working_directory", "no_output_timeout", "teardown"},
    "save_cache": {"key", "paths"},
    "restore_cache": {"key", "keys"},
    "persist_to_workspace": {"root", "paths"},
    "attach_workspace": {"at"},
    "store_artifacts": {"path", "destination"},
    "store_test_results": {"path"},
}
REQUIRED = {
    "run": {"command"},
    "save_cache": {"key", "paths"},
    "persist_to_workspace": {"root", "paths"},
    "attach_workspace": {"at"},
    "store_artifacts": {"path"},
    "store_test_results": {"path"},
}
WHEN = ("always", "on_success", "on_fail")
TEARDOWN = {"run", "save_cache", "persist_to_workspace", "store_artifacts", "store_test_results"}
# What CircleCI knows besides, and this does not.
OTHER_STEPS = {"add_ssh_keys", "deploy", "install_signing_bundle", "setup_remote_docker", "with_tool_cache"}
OTHER_KEYS = {"functions", "job-groups", "experimental"}
WORKFLOW_KEYS = {"when", "unless", "jobs"}
EXECUTOR_KEYS = {"docker", "machine", "macos", "environment", "shell", "working_directory", "resource_class"}
JOB_KEYS = EXECUTOR_KEYS | {"description", "parameters", "executor", "steps"}


class Resolved(list):
    """Steps that were expanded where they were written, and mean the same wherever they are put."""


class Scope:
    """The names that one document defines: a configuration, or one orb of it."""

    def __init__(self, document, orbs=None, pipeline=None):
        self.document, self.pipeline = document, pipeline
        self.orbs = {}
        for alias, reference in (document.get("orbs") or {}).items():
            orb = reference if isinstance(reference, dict) else (orbs or {}).get(reference.split("@")[0])
            if orb is None:
                raise ConfigError(f"orb `{reference}` is not known here: give it with --orb")
            self.orbs[alias] = Scope(orb)

    def find(self, kind, name):
        """An element and the scope that it was written in."""
        alias, slash, element = name.partition("/")
        if slash:
            if alias not in self.orbs:
                raise ConfigError(f"`{name}`: no orb `{alias}`")
            return self.orbs[alias].find(kind, element)
        elements = self.document.get(kind) or {}
        if not NAME.match(name) or name not in elements:
            raise ConfigError(f"no {kind[:-1]} `{name}`")
        return elements[name], self

    def value(self, name, arguments):
        """What `<< name >>` stands for."""
        kind, _, rest = name.partition(".")
        if kind == "parameters" and rest in arguments:
            return arguments[rest]
        if kind == "pipeline" and self.pipeline is not None and rest in self.pipeline:
            return self.pipeline[rest]
        raise ConfigError(f"unknown variable `<< {name} >>`")

    def resolve(self, value, arguments):
        """A value with all its `<< … >>` replaced. A text that is nothing else keeps the type of the argument."""
        if isinstance(value, dict):
            return {key: self.resolve(item, arguments) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, arguments) for item in value]
        if not isinstance(value, str):
            return value
        if whole := re.fullmatch(r"\s*<<\s*([\w.-]+)\s*>>\s*", value):
            return self.value(whole[1], arguments)
        text = VALUE.sub(lambda found: _text(self.value(found[1], arguments)), value)
        # What an argument holds is not read again, so only the text as written is searched.
        if re.search(r"(?<!\\)<<", VALUE.sub("", value)):
            raise ConfigError(f"`<<` that is no variable must be written `\\<<`: {value!r}")
        return text

    def bind(self, element, given, caller, caller_arguments, what):
        """The arguments of an invocation, each of the declared type."""
        declared, bound = element.get("parameters") or {}, {}
        given = caller.resolve({key: item for key, item in (given or {}).items()}, caller_arguments)
        if unknown := sorted(set(given) - set(declared)):
            raise ConfigError(f"{what}: unexpected arguments {unknown}")
        for name, parameter in declared.items():
            if not NAME.match(name):
                raise ConfigError(f"{what}: parameter `{name}` has no proper name")
            here = name in given
            if not here and "default" not in parameter:
                raise ConfigError(f"{what}: argument `{name}` is missing")
            value, scope = (given[name], caller) if here else (parameter["default"], self)
            bound[name] = scope.typed(parameter, value, caller_arguments if here else {}, f"{what}: `{name}`")
        return bound

    def typed(self, parameter, value, arguments, what):
        """An argument as its declared type has it."""
        kind = parameter["type"]
        wanted = {"string": str, "env_var_name": str, "enum": str, "boolean": bool, "integer": int, "steps": list}
        if kind == "executor":
            return value if isinstance(value, dict) and value.get("resolved") else self.executor(value, arguments)
        if kind not in wanted:
            raise ConfigError(f"{what}: no type `{kind}`")
        if not isinstance(value, wanted[kind]) or kind == "integer" and isinstance(value, bool):
            raise ConfigError(f"{what}: expected {kind}, found {value!r}")
        if kind == "enum" and value not in parameter["enum"]:
            raise ConfigError(f"{what}: expected one of {parameter['enum']}, found {value!r}")
        if kind == "env_var_name" and not VARIABLE_NAME.match(value):
            raise ConfigError(f"{what}: expected the name of a variable, found {value!r}")
        return self.steps(value, arguments) if kind == "steps" else value

    def steps(self, steps, arguments):
        """Steps with every command expanded and every condition decided: built-in ones alone are left."""
        if isinstance(steps, Resolved):
            return steps
        found = Resolved()
        for step in steps:
            name, body = (step, {}) if isinstance(step, str) else _only(step)
            if name in ("when", "unless"):
                if self.condition(body["condition"], arguments) == (name == "when"):
                    found.extend(self.steps(body["steps"], arguments))
            elif name == "steps":
                found.extend(self.steps(self.resolve(body, arguments), arguments))
            elif name in OTHER_STEPS:
                raise ConfigError(f"step `{name}`: not imitated")
            elif name in BUILT_IN:
                found.append({name: self.built_in(name, body, arguments)})
            else:
                command, scope = self.find("commands", name)
                bound = scope.bind(command, body, self, arguments, f"command `{name}`")
                found.extend(scope.steps(command["steps"], bound))
        return found

    def built_in(self, name, body, arguments):
        """A step that CircleCI itself knows."""
        if name in (self.document.get("commands") or {}):
            raise ConfigError(f"a command named `{name}` is not emulated")
        body = {"command": body} if isinstance(body, str) else dict(body or {})
        # Resolved where its steps are.
        teardown = body.pop("teardown", None)
        body = self.resolve({key: item for key, item in body.items() if key in BUILT_IN[name] | {"name", "when"}}, arguments)
        if missing := sorted(REQUIRED.get(name, set()) - set(body)):
            raise ConfigError(f"step `{name}`: {missing} missing")
        if name == "restore_cache" and not {"key", "keys"} & set(body):
            raise ConfigError("step `restore_cache`: expected key or keys")
        if body.get("when", "always") not in WHEN:
            raise ConfigError(f"step `{name}`: when: expected one of {WHEN}, found {body['when']!r}")
        for key in {"paths", "keys"} & set(body):
            body[key] = [body[key]] if isinstance(body[key], str) else body[key]
        if teardown is not None and "teardown" in BUILT_IN[name]:
            body["teardown"] = [self.teardown(*_only(step), arguments) for step in teardown]
        return body

    def teardown(self, name, body, arguments):
        """A step that a run step leaves for the end of the job."""
        if name not in TEARDOWN:
            raise ConfigError(f"step `{name}` cannot stand in a teardown")
        body = self.built_in(name, body, arguments)
        if body.get("background") or "teardown" in body:
            raise ConfigError("a step in a teardown has no background and no teardown")
        return {name: {"when": "always", **body}}

    def condition(self, condition, arguments):
        """Whether the condition of a step or workflow holds: an expression, a logic statement or a parameter."""
        if isinstance(condition, str) and "<<" not in condition:
            return self.holds(condition)
        return _holds(self.resolve(condition, arguments))

    def holds(self, text):
        """Whether an expression about the pipeline holds."""
        try:
            return expression.holds(text, {f"pipeline.{key}": value for key, value in (self.pipeline or {}).items()})
        except expression.ExpressionError as error:
            raise ConfigError(f"expression `{text}`: {error}") from error

    def executor(self, value, arguments):
        """An executor by name, with arguments if it takes some."""
        name, given = (value, {}) if isinstance(value, str) else (value["name"], {**value})
        given.pop("name", None)
        executor, scope = self.find("executors", name)
        bound = scope.bind(executor, given, self, arguments, f"executor `{name}`")
        fields = {key: item for key, item in executor.items() if key not in ("parameters", "description")}
        if unknown := sorted(set(fields) - EXECUTOR_KEYS):
            raise ConfigError(f"executor `{name}`: not imitated: {unknown}")
        return {**scope.resolve(fields, bound), "resolved": True}

    def job(self, name, invocation):
        """A job as a workflow invokes it."""
        job, scope = self.find("jobs", name)
        if unknown := sorted(set(job) - JOB_KEYS):
            raise ConfigError(f"job `{name}`: not imitated: {unknown}")
        own = {"name", "requires", "context", "filters", "pre-steps", "post-steps"}
        given = {key: item for key, item in invocation.items() if key not in own}
        bound = scope.bind(job, given, self, {}, f"job `{name}`")
        fields = {key: scope.resolve(job[key], bound) for key in EXECUTOR_KEYS & set(job)}
        if "executor" in job:
            executor = scope.resolve(job["executor"], bound)
            executor = executor if isinstance(executor, dict) and executor.get("resolved") else scope.executor(executor, bound)
            environment = {**(executor.get("environment") or {}), **(fields.get("environment") or {})}
            fields = {**executor, **fields, "environment": environment}
        if not {"docker", "machine", "macos"} & set(fields):
            raise ConfigError(f"job `{name}`: no executor")
        steps = [*self.steps(invocation.get("pre-steps", []), {}), *scope.steps(job["steps"], bound)]
        steps += self.steps(invocation.get("post-steps", []), {})
        context = invocation.get("context") or []
        return {
            "name": invocation.get("name", name.replace("/", "-")),
            "requires": list(invocation.get("requires") or []),
            "contexts": [context] if isinstance(context, str) else list(context),
            "filters": {} if invocation.get("filters") is None else invocation["filters"],
            "executor": {key: item for key, item in fields.items() if key != "resolved"},
            "steps": _unescaped(list(steps)),
        }


def _text(value):
    if isinstance(value, (list, dict)):
        raise ConfigError(f"steps and executors cannot stand in a text: {value!r}")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _only(step):
    if not isinstance(step, dict) or len(step) != 1:
        raise ConfigError(f"expected a step of one key, found {step!r}")
    return next(iter(step.items()))


def _holds(condition):
    """A logic statement. False, zero and the empty text do not hold."""
    if not isinstance(condition, dict):
        return bool(condition)
    operator, operand = _only(condition)
    if operator == "and":
        return all(_holds(item) for item in operand)
    if operator == "or":
        return any(_holds(item) for item in operand)
    if operator == "not":
        return not _holds(operand)
    if operator == "equal":
        return all(item == operand[0] for item in operand)
    if operator == "matches":
        return re.search(operand["pattern"], operand["value"]) is not None
    raise ConfigError(f"no operator `{operator}`")


def _unescaped(value):
    if isinstance(value, dict):
        return {key: _unescaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    return value.replace("\\<<", "<<") if isinstance(value, str) else value


def compile_workflow(document, orbs, pipeline, workflow=None):
    """The jobs of one workflow that the branch or tag lets run, in an order in which they can."""
    document = copy.deepcopy(document)
    if unknown := sorted(OTHER_KEYS & set(document)):
        raise ConfigError(f"not imitated: {unknown}")
    parameters = {f"parameters.{key}": item["default"] for key, item in (document.get("parameters") or {}).items()}
    scope = Scope(document, orbs, {**pipeline, **parameters})
    workflows = document.get("workflows") or {}
    if workflow is None and len(workflows) != 1:
        raise ConfigError(f"say which workflow: {sorted(workflows)}")
    chosen = workflows[workflow or next(iter(workflows))]
    if unknown := sorted(set(chosen) - WORKFLOW_KEYS):
        raise ConfigError(f"workflow: not imitated: {unknown}")
    if any(key in chosen and scope.condition(chosen[key], {}) != (key == "when") for key in ("when", "unless")):
        return []
    jobs = []
    for item in chosen["jobs"]:
        name, invocation = (item, {}) if isinstance(item, str) else _only(item)
        # Steps of an invocation are resolved where they are expanded.
        jobs.append(scope.job(name, invocation or {}))
    return _ordered([job for job in jobs if _passes(job["filters"], scope)])


def _passes(filters, scope):
    """Filters of a job. An expression decides alone; else a tag starts only the jobs that have a filter for tags."""
    if isinstance(filters, str):
        return scope.holds(filters)
    if not isinstance(filters, dict):
        raise ConfigError(f"filters: expected an expression or a map, found {filters!r}")
    pipeline = scope.pipeline
    tag, branch = pipeline["git.tag"], pipeline["git.branch"]
    kind, name = ("tags", tag) if tag else ("branches", branch)
    rule = filters.get(kind)
    if rule is None:
        return not tag

    def matches(patterns):
        patterns = [patterns] if isinstance(patterns, str) else patterns
        return any(
            re.fullmatch(one[1:-1], name) if one.startswith("/") and one.endswith("/") else one == name for one in patterns
        )

    return ("only" not in rule or matches(rule["only"])) and not matches(rule.get("ignore", []))


def _ordered(jobs):
    names, ordered = {job["name"] for job in jobs}, []
    if len(names) != len(jobs):
        raise ConfigError("two jobs of a workflow have one name")
    while jobs:
        done = {job["name"] for job in ordered}
        ready = [job for job in jobs if {name for name in job["requires"] if name in names} <= done]
        if not ready:
            raise ConfigError(f"jobs require each other: {[job['name'] for job in jobs]}")
        ordered.append(ready[0])
        jobs.remove(ready[0])
    return ordered
