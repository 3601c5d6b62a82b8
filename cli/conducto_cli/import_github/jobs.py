"""A job of a workflow, and its steps, as nodes of a pipeline."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conducto_cli.import_github.actions import (
    RunnerMachine,
    apply,
    install,
    tagged,
    without_install,
)
from conducto_cli.import_github.contexts import Context, Parameters, prefix_of
from conducto_cli.import_github.expressions import Code, UntranslatedError, condition, plain
from conducto_cli.import_github.matrix import Matrix, read
from conducto_cli.import_github.script import Call, Choice
from conducto_cli.import_github.workflow import EMPTY, Item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_cli.import_github.expressions import Text
    from conducto_cli.import_github.script import Value

#: Is called with the line and message of a part that has no counterpart.
Report = Callable[[int, str], None]

#: Images for runners without an action that sets up a language, by the first known command.
_TOOLS = {
    "python|python3|pip|pip3|pytest|tox": "python:3",
    "node|npm|npx|yarn": "node:lts",
    "go": "golang:1",
    "cargo|rustc|rustup": "rust:1",
    "bundle|gem|ruby|rake": "ruby:3",
}
_PORTS = {"postgres": "5432", "redis": "6379", "mysql": "3306", "mariadb": "3306", "mongo": "27017"}
_HEALTH = re.compile(r"--health-(\w+)[= ](?:\"([^\"]*)\"|'([^']*)'|(\S+))")
_SUDO = re.compile(
    r"(^|[;&|(]\s*|\b(?:then|do|else)\s+)sudo\s+(?:(?:-[EHn]+|--\S+)\s+)*(?!-)", re.MULTILINE
)
#: Variables that a runner sets.
_GIVEN = re.compile(r"\b(?:GITHUB|RUNNER)_[A-Z_]+\b")
_FILES = {f"GITHUB_{each}" for each in ("OUTPUT", "STATE", "STEP_SUMMARY")}
#: Files with variables for later commands of a job, and how these read them.
_SHARED = {
    "GITHUB_ENV": 'while IFS= read -r line; do export "$line"; done < "$GITHUB_ENV"',
    "GITHUB_PATH": 'export PATH="$(paste -sd: "$GITHUB_PATH"):$PATH"',
}
_UPLOAD = "actions/upload-artifact"
_OF_JOBS = {
    "environment": "an environment; put co.Approve in front of the job if it has reviewers",
    "concurrency": "a group of which one runs at a time; use limits=co.Limit(NAME, 1)",
    "outputs": "outputs; return them from a Python function, and use co.result(PATH)",
    "uses": "a reusable workflow; translate its file, and call the function",
}
_OF_CONTAINERS = {
    "credentials": "credentials of an image; log the machine's engine in",
    "volumes": "volumes; use docker_run_args=, on a machine only, or an image with the files",
}


@dataclass(slots=True)
class JobNode:
    """A statement of the script that makes a node.

    Attributes:
        name: Name of the node.
        command: Its command; none for a job with several.
        params: Its parameters.
        condition: Condition in front of it.
        remarks: Comments in front of it.
        always: Whether it runs after errors, too.
    """

    name: Text = ()
    command: Text = ()
    params: dict[str, Value] = field(default_factory=dict)
    condition: Code = field(default_factory=lambda: Code.from_constant(True))
    remarks: list[str] = field(default_factory=list)
    always: bool = False


class WorkflowJob:
    """A translated job.

    Attributes:
        id: Its key in the workflow.
        max_concurrent: Combinations that run at once, or "".
        matrix: The combinations that can run on Linux; there may be none.
        node: The node of the whole job; its name is that of a combination.
        steps: Those that it runs.
    """

    def __init__(
        self, id_: str, item: Item, workflow: Item, parameters: Parameters, report: Report
    ) -> None:
        """Translate a job."""
        self.id = id_
        self.node = JobNode()
        self.steps: list[JobNode] = []
        self._item = item
        self._workflow = workflow
        self._report = report
        self._reserved = parameters.reserved
        self._machine = RunnerMachine()
        self._pending: list[str] = []
        self._written: set[str] = set()
        computed = {k: each for k, each in _fields(workflow, "env").items() if "${{" in each.text}
        env = {**computed, **_fields(item, "env")}
        everything = {**_fields(workflow, "env"), **env}
        self._context = Context(parameters, self._matrix(), everything, self._addresses())
        self.matrix = self._on_linux()
        if not self.matrix.combinations:
            return
        self._context = replace(self._context, matrix=self.matrix)
        limit = (item.get("strategy") or EMPTY).get("max-parallel") or EMPTY
        self.max_concurrent = limit.text if limit.text.isdigit() else ""
        self._exports = self._environment(self._context, env, self.node)
        self._settings(item, self._context, self.node)
        self._mention(item, _OF_JOBS)
        self._add_services()
        found = [node for step in _each(item, "steps") for node in self._step(step)]
        last = [node for node in found if plain(node.name).startswith("Save ")]
        self.steps = [node for node in found if node not in last] + last
        self.node.remarks += self._pending
        if self.steps:
            self.steps[0].always = False  # nothing before it can fail
        else:
            self.steps = [JobNode((), ("true",), {"skip": True} if self.node.remarks else {})]
        self._set_image()
        self.node.name = self._title()

    def _mention(self, item: Item, proposals: dict[str, str]) -> None:
        for key, proposal in proposals.items():
            if (found := item.get(key)) is not None:
                self._remark(self.node, found, proposal)

    def _remark(self, node: JobNode, item: Item, message: object, *, skip: bool = False) -> None:
        """Report a part without a translation; ``skip`` if the node must not run without it."""
        text = f"skipped: {message}" if skip else str(message)
        node.params.update({"skip": True} if skip else {})
        self._report(item.line, text)
        node.remarks.append(f"Line {item.line}: {text}")

    # --- the job ----------------------------------------------------------------------------

    def _matrix(self) -> Matrix:
        try:
            return read(self._item, self._reserved)
        except UntranslatedError as error:
            self._remark(self.node, self._item.get("strategy") or EMPTY, error, skip=True)
            return Matrix([{}])

    def _on_linux(self) -> Matrix:
        """Return the combinations that can run on Linux."""
        runner = self._item.get("runs-on") or EMPTY
        labels = runner.get("labels") if isinstance(runner.content, dict) else runner
        self._runner = " ".join(each.text for each in (labels or EMPTY).each())
        found = self._runners = self._context.resolved(self._runner)
        foreign = dict.fromkeys(
            label for label in found if re.search("windows|macos", label, re.IGNORECASE)
        )
        if foreign:
            message = (
                f"the job {self.id} on {', '.join(foreign)} is left out: containers have Linux"
            )
            self._remark(self.node, runner, message)
            self._runners = [label for label in found if label not in foreign]
        pairs = zip(self._context.matrix.combinations, found, strict=True)
        kept = [each for each, label in pairs if label not in foreign]
        return Matrix(kept, self._reserved)

    def _title(self) -> Text:
        """Return the name of the node of a combination, which is different for each."""
        title = self._item.get("name")
        names = [] if title is None else self._context.resolved(title.text)
        known = not any("${{" in name or "/" in name for name in names)
        if title is not None and len({*names}) == len(names) and known:
            return self._context.text(title.text)
        text: list[str | Code] = []
        for key, name in self._distinct():
            slash = any("/" in str(each[key]) for each in self.matrix.combinations)
            code = Code(f'{name}.replace("/", "-")' if slash else name, frozenset({name}))
            text += [", ", code]
        return tuple(text[1:])

    def _distinct(self) -> list[tuple[str, str]]:
        """Return the first variables of the matrix whose values differ in each combination."""
        found = [*self.matrix.variables.items()]
        for count in range(1, len(found)):
            keys = [key for key, _ in found[:count]]
            rows = {tuple(each[key] for key in keys) for each in self.matrix.combinations}
            if len(rows) == len(self.matrix.combinations):
                return found[:count]
        return found

    def _environment(self, context: Context, env: dict[str, Item], node: JobNode) -> list[Text]:
        """Add variables to a node; return the lines of commands that set the others."""
        exports: list[Text] = []
        for name, item in env.items():
            try:
                known, lines = context.environment({name: item})
            except UntranslatedError as error:
                self._remark(node, item, f"the variable {name}: {error}", skip=True)
                continue
            exports += lines
            if known:
                node.params["env"] = {**as_dict(node.params.get("env")), **known}
        return exports

    def _settings(self, item: Item, context: Context, node: JobNode) -> None:
        """Set what jobs and steps have in common."""
        limit, ignored = item.get("timeout-minutes"), item.get("continue-on-error")
        if limit is not None and limit.text.isdigit():
            node.params["max_time"] = f"{limit.text}m"
        elif limit is not None:
            self._remark(node, limit, "a computed time limit; use max_time=")
        if ignored is not None:
            try:
                _, found = condition(ignored.text, context.python)
                node.params.update({} if found.constant is False else {"suppress_errors": found})
            except UntranslatedError as error:
                self._remark(node, ignored, error)
        test = item.get("if")
        if test is not None and (item.get("uses") or EMPTY).text.startswith(_UPLOAD):
            # A copy of the logs does no harm after success, when there may be none.
            node.params.update({"suppress_errors": True} if "failure()" in test.text else {})
            test = Item(test.text.replace("failure()", "always()"), test.line)
        if test is not None and "cache-hit" in test.text:
            self._remark(node, test, "it runs always; cache=True skips commands with equal inputs")
        elif test is not None:
            try:
                node.always, node.condition = condition(test.text, context.python)
            except UntranslatedError as error:
                message = f"if: {' '.join(test.text.split())}: {error}"
                self._remark(node, test, message, skip=True)

    # --- its container ----------------------------------------------------------------------

    def _addresses(self) -> dict[str, str]:
        """Return ``{name:port on a runner: address for a shell}`` of the services."""
        found = {}
        for name, service in _fields(self._item, "services").items():
            host, port = f"${prefix_of(name)}_HOST", f"${prefix_of(name)}_PORT"
            for number, (outside, inside) in enumerate(_ports(service)):
                found[f"{name}:{outside}"] = f"{host}:{inside if number else port}"
        return found

    def _add_services(self) -> None:
        made = {
            name.lower().replace("_", "-"): self._service(name, service)
            for name, service in _fields(self._item, "services").items()
        }
        self.node.params.update({"services": made} if made else {})

    def _service(self, name: str, service: Item) -> Call:
        given: dict[str, Value] = {}
        outer = Context(self._context.parameters, self.matrix, self._context.env)
        node = JobNode(remarks=self.node.remarks)
        if self._environment(outer, _fields(service, "env"), node):
            self._remark(node, service, f"a secret of the service {name}; write another value")
        given.update({"env": node.params.pop("env")} if "env" in node.params else {})
        self.node.params.update(node.params)
        if ports := _ports(service):
            given["port"] = Code(ports[0][1])
        if isinstance(service.content, dict):
            self._mention(service, _OF_CONTAINERS)
            options = service.get("options") or EMPTY
            for key, *words in _HEALTH.findall(options.text):
                given.update({"ready": "".join(words)} if key == "cmd" else {})
            if _HEALTH.sub("", options.text).strip():
                self._remark(node, options, "options of a service; use command=, or an image")
        return Call("co.Service", (self._image_text(_image(service)),), given)

    def _set_image(self) -> None:
        container, machine, params = self._item.get("container"), self._machine, self.node.params
        if container is not None and isinstance(container.content, dict):
            self._mention(container, _OF_CONTAINERS)
            self._exports += self._environment(self._context, _fields(container, "env"), self.node)
            if (options := container.get("options")) is not None:
                params["docker_run_args"] = options.text
        if container is not None:
            machine.image = _image(container).text
        place = self._item.get("container") or self._item
        text = Item(machine.image or self._default_image(), place.line)
        image = self._tagged(text)
        given: dict[str, Value] = {"copy_repo": True} if machine.code else {}
        given.update({key: [*words] for key, words in machine.packages.items()})
        if "requires_docker" in params:
            given["install_docker"] = True
        if machine.env:
            params["env"] = {**as_dict(params.get("env")), **machine.env}
        params["image"] = Call("co.Image", (image,), given) if given else image

    def _tagged(self, item: Item) -> Value:
        """Return the image, whose tag may be in the words of an action."""
        tags = [tagged(name) for name in self._context.resolved(item.text)]
        for text in (item.text, re.sub(r"\.[x*]$|-dev$", "", item.text)):
            if self._context.resolved(text) == tags:
                item = Item(text, item.line)
                break
        else:
            for key, variable in self.matrix.variables.items():
                if f"matrix.{key} " in item.text:
                    rows = zip(self.matrix.combinations, tags, strict=True)
                    options = {str(each[key]): tag for each, tag in rows}
                    return Choice(options, Code.variable(variable))
            item = Item(tags[0], item.line)
        return self._image_text(item)

    def _image_text(self, image: Item) -> Text:
        try:
            return self._context.text(image.text)
        except UntranslatedError as error:
            self._remark(self.node, image, f"an image: {error}", skip=True)
            return (image.text,)

    def _default_image(self) -> str:
        script = "\n".join((step.get("run") or EMPTY).text for step in _each(self._item, "steps"))
        for words, image in _TOOLS.items():
            if re.search(rf"(?:^|[;&|]\s*)(?:{words})\s", script, re.MULTILINE):
                return image
        found = [re.fullmatch(r"ubuntu-(\d\d\.04)", label) for label in self._runners]
        if all(found) and self._runner.startswith("${{"):
            return f"buildpack-deps:{self._runner}"
        return f"buildpack-deps:{'24.04' if found[0] is None else found[0][1]}"

    # --- its steps --------------------------------------------------------------------------

    def _step(self, step: Item) -> Iterator[JobNode]:
        node = JobNode()
        context = self._context.within(_fields(step, "env"))
        self._settings(step, context, node)
        run, uses = step.get("run"), step.get("uses")
        if node.condition.constant is False:
            return
        if uses is not None:
            inputs = {name: each.text for name, each in _fields(step, "with").items()}
            try:
                made = apply(uses.text, inputs, self._machine)
            except UntranslatedError as error:
                self._remark(node, uses, error)
                self._pending += node.remarks
                return
            for name, script in made:
                yield self._finish(step, Item(script, uses.line), name, context, node)
        elif run is not None:
            simple = not node.params and node.condition.constant is True and not node.always
            plain_machine = self._item.get("container") is None
            if simple and plain_machine:
                if install(run.text, self._machine):
                    return
                run = Item(without_install(run.text, self._machine), run.line)
            if {*_GIVEN.findall(run.text)} & _FILES - {"GITHUB_STEP_SUMMARY"}:
                proposal = "write them to a file that these read, or make the steps one command"
                self._remark(node, run, f"values for later steps; {proposal}")
            if re.search(r"^\s*(sudo )?docker(-compose)? ", run.text, re.MULTILINE):
                self.node.params["requires_docker"] = True
            name = (step.get("name") or EMPTY).text or _name_of(_SUDO.sub(r"\1", run.text))
            yield self._finish(step, run, name, context, node)

    def _finish(self, step: Item, run: Item, name: str, context: Context, base: JobNode) -> JobNode:
        remarks = [*self._pending, *base.remarks]
        self._pending = []
        node = JobNode((), (), dict(base.params), base.condition, remarks, base.always)
        own = self._environment(context, _fields(step, "env"), node)
        exports = [*self._shared(run), *self._exports, *own]
        script = run.text.strip("\n")
        if self._item.get("container") is None:
            script = _SUDO.sub(r"\1", script)  # commands in images of a language run as root
        env = as_dict(node.params.get("env"))
        try:
            text = context.script(script, env)
        except UntranslatedError as error:
            self._remark(node, run, error, skip=True)
            text = (script,)
        if self._context.services and re.search(r"localhost|127\.0\.0\.1", plain(text)):
            self._remark(node, run, "services are not on localhost; use $NAME_HOST and $NAME_PORT")
        self._give(run, context, env, node)
        node.command = self._command(
            text, exports, step, node, self._folder(step, context, env, node)
        )
        node.params.update({"env": env} if env else {})
        if context.secrets:
            node.params["secrets"] = sorted(context.secrets)
        try:
            title = context.text(name)
        except UntranslatedError:
            title = (_name_of(script),)
        node.name = tuple(p.replace("/", "-") if isinstance(p, str) else p for p in title)
        return node

    def _shared(self, run: Item) -> Iterator[Text]:
        """Yield lines that read the variables of earlier commands, and name the files for more."""
        for name, line in _SHARED.items():
            if name in self._written or name in run.text:
                yield (f'export {name}="/tmp/$CONDUCTO_PIPELINE_ID.{name}"',)
            if name in self._written:
                yield (f'[ ! -e "${name}" ] || {line}',)
        self._written |= {name for name in _SHARED if name in run.text}

    def _give(self, run: Item, context: Context, env: dict[str, Text], node: JobNode) -> None:
        """Set the variables of a runner that a script reads."""
        for name in sorted({*_GIVEN.findall(run.text)} - {"GITHUB_TOKEN", *_SHARED, *context.env}):
            path = name.lower().replace("_", ".", 1)
            try:
                env[name] = ("/dev/null",) if name in _FILES else context.text(f"${{{{ {path} }}}}")
            except UntranslatedError as error:
                self._remark(node, run, error, skip=True)

    def _command(
        self, text: Text, exports: list[Text], step: Item, node: JobNode, folder: Text
    ) -> Text:
        """Return the command of a step, which stops at errors as on a runner."""
        shell = self._setting("shell", step)
        name = shell.text.split()[0] if shell.content else ""
        if name not in {"", "bash", "sh", "python"}:
            self._remark(node, shell, f"the shell {name}; write the command for bash", skip=True)
        if name == "python":
            text = ("python3 - <<'CODE'\n", *text, "\nCODE")
        script = plain(text)
        joined = re.sub(r"\\\n\s*", "", script)
        several = "\n" in joined or ";" in joined or (name == "bash" and "|" in joined)
        head: list[str | Code] = [part for line in exports for part in (*line, "\n")]
        if folder:
            apart = several or bool(exports) or "||" in joined
            head += ["cd ", *folder, "\n" if apart else " && "]
            several = apart
        if several and name != "python" and not re.match(r"set -\w*e", script):
            head.insert(0, "set -eo pipefail\n" if name == "bash" else "set -e\n")
        return (*head, *text)

    def _folder(self, step: Item, context: Context, env: dict[str, Text], node: JobNode) -> Text:
        """Return the working directory of a step for a shell."""
        setting = self._setting("working-directory", step)
        try:
            found = context.script(setting.text, env)
        except UntranslatedError as error:
            self._remark(node, setting, f"the working directory: {error}", skip=True)
            return ()
        if any(isinstance(part, Code) for part in found):
            return found
        return () if plain(found) in {"", ".", "./"} else (shlex.quote(plain(found)),)

    def _setting(self, key: str, step: Item) -> Item:
        """Return a setting of a step with a script, or the default of its job or workflow."""
        defaults = [
            (item.get("defaults") or EMPTY).get("run") for item in (self._item, self._workflow)
        ]
        found = [step, *(each for each in defaults if each is not None)]
        values = [each.get(key) for each in found if step.get("run") is not None]
        return next((each for each in values if each is not None), EMPTY)


def as_dict(value: object) -> dict[str, Text]:
    """Return the variables of a parameter that may be missing."""
    return value if isinstance(value, dict) else {}


def _fields(item: Item, key: str) -> dict[str, Item]:
    found = item.get(key) if isinstance(item.content, dict) else None
    return {} if found is None else found.fields()


def _each(item: Item, key: str) -> list[Item]:
    found = item.get(key) if isinstance(item.content, dict) else None
    return [] if found is None else found.each()


def _image(container: Item) -> Item:
    return container if isinstance(container.content, str) else container.get("image") or EMPTY


def _ports(service: Item) -> list[tuple[str, str]]:
    """Return ``[(port on a runner, port of the service)]``."""
    image = _image(service).text.partition(":")[0].rpartition("/")[2]
    texts = [each.text for each in _each(service, "ports")] or [_PORTS.get(image, "")]
    found = [re.fullmatch(r"(?:(\d+):)?(\d+)(?:/\w+)?", text) for text in texts]
    return [(each[1] or each[2], each[2]) for each in found if each is not None]


def _name_of(script: str) -> str:
    """Return a name for a step without one: its first command without options and paths.

    >>> _name_of("python -m pytest tests -x"), _name_of("./gradlew build --info")
    ('pytest tests', 'gradlew build')
    """
    lines = [
        re.sub(r"^(cd \S+ && |python3? -m |\w+=\S* )+", "", each) for each in script.split("\n")
    ]
    lines = [each for each in lines if not re.match(r"\s*(#|set |export |cd |$)", each)]
    first, *rest = lines[0].split()[:3] if lines else ["command"]
    words = [first.rpartition("/")[2] or "command"]
    for word in rest:
        if re.fullmatch(r"[a-z][\w:-]*", word) is None:
            break
        words.append(word)
    return " ".join(words)
