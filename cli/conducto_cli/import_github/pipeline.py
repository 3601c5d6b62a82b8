"""Workflows as the script of a pipeline."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from textwrap import wrap
from typing import TYPE_CHECKING

from conducto.wire.printable import printable, printable_lines
from conducto_cli.import_github.contexts import EVENT, Parameters
from conducto_cli.import_github.expressions import Code, plain
from conducto_cli.import_github.jobs import JobNode, WorkflowJob, as_dict
from conducto_cli.import_github.order import JobGroup, arrange
from conducto_cli.import_github.script import (
    WIDTH,
    Call,
    assignment,
    identifier,
    names_in,
    quoted,
    source,
)
from conducto_cli.import_github.triggers import events_of, refs, triggers
from conducto_cli.import_github.workflow import EMPTY, Item, WorkflowError, needs_of, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from conducto_cli.import_github.expressions import Text
    from conducto_cli.import_github.jobs import Report
    from conducto_cli.import_github.order import Tree
    from conducto_cli.import_github.script import Value

_STEP = "    "
#: Characters of a target that is repeated.
_LONG = 40
_NEW = "NEW"
_CONSTANT = "# The commands of a job share one container.\nNEW = co.ContainerReuseContext.NEW"


@dataclass(frozen=True, slots=True)
class Translation:
    """The script of workflows.

    Attributes:
        script: Its text.
        problems: ``(file, line, message)`` of each part without a counterpart.
    """

    script: str
    problems: list[tuple[str, int, str]]


def translate(files: Iterable[tuple[str, str]], script: str) -> Translation:
    """Translate workflows, ``[(name of the file, its text)]``, to one script of that name.

    Raises:
        WorkflowError: a file is not a workflow; the message has its name and the line.
    """
    taken = {"co", _NEW}
    problems: dict[tuple[str, int, str], None] = {}
    workflows: list[_Workflow] = []
    for name, text in files:
        found: list[tuple[str, int, str]] = []
        try:
            workflows.append(_Workflow(name, parse(text), taken, found))
            workflows[-1].describe(f"{script} {workflows[-1].name}" if workflows[1:] else script)
        except WorkflowError as error:
            raise WorkflowError(error.line, f"{name}:{error.line}: {error}") from error
        problems |= dict.fromkeys(sorted(found))
    bodies = [body for workflow in workflows for body in workflow.functions]
    parts = ["import conducto as co"]
    if any(f"={_NEW}" in body for body in bodies):
        parts[0] += f"\n\n{_CONSTANT}"
    end = f'if __name__ == "__main__":\n{_STEP}co.main(default={workflows[0].name})\n'
    doc = "\n\n".join(workflow.doc for workflow in workflows)
    body = "\n\n\n".join([*parts, *bodies, end])
    doc = f"{doc}\n" if "\n" in doc else doc
    return Translation(f'"""{doc}"""\n\n{body}', [*problems])


class _Workflow:
    """A workflow: a function that makes the tree, and one for each job with several commands.

    Attributes:
        name: Name of the first function.
        functions: Their sources.
        doc: Paragraph for the docstring of the script.
    """

    def __init__(
        self, file: str, item: Item, taken: set[str], problems: list[tuple[str, int, str]]
    ) -> None:
        self._item = item
        self._file = file
        self._report: Report = lambda line, text: problems.append((file, line, text))
        title = item.get("name")
        self._title = PurePath(file).stem if title is None else _line(title.text)
        self.name = identifier(self._title, taken)
        known = {"event": 'str = "workflow_dispatch"', **_inputs(item)}
        items = (item.get("jobs") or EMPTY).fields()
        taken |= {*known, *EVENT.values()}
        reserved = taken.union(identifier(name, set()) for name in items)
        self._parameters = Parameters(known, self._title, refs(item), frozenset(reserved))
        needs = {name: [each.text for each in needs_of(job)] for name, job in items.items()}
        jobs = [
            WorkflowJob(name, job, item, self._parameters, self._report)
            for name, job in items.items()
        ]
        self._jobs = {job.id: job for job in jobs if job.steps}
        self._functions = {
            job.id: identifier(f"{job.id}_job" if job.id in taken else job.id, taken)
            for job in self._jobs.values()
            if len(job.steps) > 1
        }
        images = Counter(source(job.node.params["image"]) for job in self._jobs.values())
        shared = [image for image, count in images.most_common(1) if count > 1 or len(images) == 1]
        self._image = next((image for image in shared if "{" not in image), "")
        found = [job.node.params["image"] for job in self._jobs.values()]
        self._shared = {source(image): image for image in found}.get(self._image)
        for job in self._jobs.values():
            if source(job.node.params["image"]) == self._image:
                del job.node.params["image"]
        if (group := item.get("concurrency")) is not None:
            self._report(
                group.line, "a group of which one runs; duplicate = CANCEL_OLD in .conducto.cfg"
            )
        functions = [self._function(self._jobs[name]) for name in self._functions]
        self.functions = [self._main(self._tree(needs)), *functions]

    def describe(self, script: str) -> None:
        found = [*triggers(self._item, script, self._parameters.used, self._report)]
        lead = ["", "Triggers launch it with this .conducto.cfg:"] if found else []
        lines = [f"{self._title}, from {_line(self._file)}.", *lead, *found]
        self.doc = printable_lines("\n".join(lines)).replace("\\", "/").replace('"""', "'''")

    # --- the tree ---------------------------------------------------------------------------

    def _tree(self, needs: dict[str, list[str]]) -> JobGroup:
        """Return the tree of the jobs; those that are left out pass their needs on."""
        try:
            arrange(needs)
        except ValueError as error:
            line = (self._item.get("jobs") or EMPTY).line
            raise WorkflowError(line, f"jobs need each other: {error}") from error
        for name in needs.keys() - self._jobs.keys():
            for others in needs.values():
                if name in others:
                    others[:] = [each for each in others if each != name] + needs[name]
        needs = {name: found for name, found in needs.items() if name in self._jobs}
        needed = {each for found in needs.values() for each in found}
        last = [name for name in needs if self._jobs[name].node.always and name not in needed]
        last = [name for name in last if needs[name]]
        for name in needs:
            if self._jobs[name].node.always and needs[name] and name not in last:
                line = (self._item.get("jobs") or EMPTY).fields()[name].line
                self._report(
                    line, f"{name} runs after failures, and others need it; here it does not"
                )
        first = {name: found for name, found in needs.items() if name not in last}
        tree = arrange(first) if first else JobGroup(True, ())
        if last:
            return JobGroup(True, (tree, arrange({name: [] for name in last})), always=True)
        return tree if isinstance(tree, JobGroup) else JobGroup(True, (tree,))

    def _main(self, tree: JobGroup) -> str:
        env = (self._item.get("env") or EMPTY).fields()
        known: dict[str, Value] = {
            k: each.text for k, each in env.items() if "${{" not in each.text
        }
        params: dict[str, Value] = {} if self._shared is None else {"image": self._shared}
        params.update({"env": known} if known else {})
        nodes = [node for job in self._jobs.values() for node in job.steps]
        params.update({"secrets": []} if any("secrets" in node.params for node in nodes) else {})
        params.update({"stop_on_error": False} if tree.always else {})
        call = Call("co.Serial" if tree.serial else "co.Parallel", (), params)
        lines = [assignment("root", call)]
        for child in tree.children:
            lines += self._group(child, "")
        body = "\n".join(lines)
        used = [each for each in self._parameters.used if re.search(rf"\b{each}\b", body)]
        self._parameters.used = {name: self._parameters.used[name] for name in used}
        used = [f"{name}: {given}" for name, given in self._parameters.used.items()]
        head = [_define(self.name, used, call.function), f'{_STEP}"""Run {self._title}."""']
        return "\n".join([*head, *lines, f"{_STEP}return root"])

    def _group(self, tree: Tree, place: str) -> Iterator[str]:
        if isinstance(tree, str):
            yield from self._job(self._jobs[tree], place)
        elif tree.children:
            path = f"{place}{tree.name}"
            call = Call("co.Serial" if tree.serial else "co.Parallel")
            yield assignment(f"root[{quoted((path,))}]", call)
            for child in tree.children:
                yield from self._group(child, f"{path}/")

    def _job(self, job: WorkflowJob, place: str) -> Iterator[str]:
        """Yield the lines that attach a job to the tree, in loops if it has a matrix."""
        if job.node.condition.constant is False:
            return
        yield from _head(job.node)
        indent = _STEP if job.node.condition.constant else _STEP * 2
        target = f"root[{quoted((f'{place}{job.id}',))}]"
        if job.matrix.variables:
            given = {"max_concurrent": Code(limit)} if (limit := job.max_concurrent) else {}
            if len(target) > _LONG:
                target, path = "group", target
                yield assignment(f"group = {path}", Call("co.Parallel", (), given), indent)
            else:
                yield assignment(target, Call("co.Parallel", (), given), indent)
            for loop in job.matrix.loops(indent):
                yield f"{indent}{loop}"
                indent += _STEP
            target += f"[{quoted(job.node.name)}]"
        if job.id in self._functions:
            arguments = tuple(Code(name) for name in self._variables(job))
            call = Call(self._functions[job.id], arguments)
        else:
            (step,) = job.steps
            yield from _head(step, indent)
            indent = indent if step.condition.constant else indent + _STEP
            params = {**job.node.params, **step.params}
            if "env" in params:
                params["env"] = {**as_dict(job.node.params.get("env")), **as_dict(params["env"])}
            call = Call("co.Exec", (step.command,), params)
        yield assignment(target, call, indent)

    def _variables(self, job: WorkflowJob) -> list[str]:
        """Return the variables that the function of a job needs."""
        used = {*names_in([*job.node.params.values()])}
        for node in job.steps:
            used |= {*names_in([node.name, node.command, *node.params.values()])}
            used |= node.condition.names
        known = [*job.matrix.variables.values(), *self._parameters.used]
        return [name for name in known if name in used]

    def _function(self, job: WorkflowJob) -> str:
        """Return the source of the function of a job with several commands."""
        kinds = {name: given.partition(" ")[0] for name, given in self._parameters.used.items()}
        for key, values in job.matrix.dimensions.items():
            booleans = all(isinstance(each, bool) for each in values)
            kinds[job.matrix.variables[key]] = "bool" if booleans else "str"
        used = [f"{name}: {kinds[name]}" for name in self._variables(job)]
        params: dict[str, Value] = {**job.node.params, "container_reuse_context": Code(_NEW)}
        always = [node for node in job.steps if node.always]
        params.update({"stop_on_error": False} if always else {})
        lines = [_define(self._functions[job.id], used, "co.Serial")]
        lines.append(assignment("job", Call("co.Serial", (), params)))
        if always:
            lines.append(assignment('job["steps"]', Call("co.Serial")))
        names: Counter[str] = Counter()
        for node in [*(each for each in job.steps if each not in always), *always]:
            names[plain(node.name)] += 1
            count = names[plain(node.name)]
            place = "steps/" if always and not node.always else ""
            title: Text = (place, *node.name, f" {count}" if count > 1 else "")
            lines += _head(node)
            call = Call("co.Exec", (node.command,), node.params)
            indent = _STEP if node.condition.constant else _STEP * 2
            lines.append(assignment(f"job[{quoted(title)}]", call, indent))
        return "\n".join([*lines, f"{_STEP}return job"])


def _define(name: str, parameters: list[str], result: str) -> str:
    """Return the head of a function."""
    line = f"def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= WIDTH:
        return line
    listed = "".join(f"{_STEP}{each},\n" for each in parameters)
    return f"def {name}(\n{listed}) -> {result}:"


def _head(node: JobNode, indent: str = _STEP) -> Iterator[str]:
    """Yield the comments and the condition in front of a node."""
    for remark in node.remarks:
        start = f"{indent}# "
        yield from wrap(_line(remark), WIDTH, initial_indent=start, subsequent_indent=start)
    if node.condition.constant is None:
        yield f"{indent}if {node.condition.text}:"


def _inputs(workflow: Item) -> Mapping[str, str]:
    """Return ``{parameter: annotation and default}`` of the inputs of a workflow."""
    found = {}
    for event in ("workflow_dispatch", "workflow_call"):
        inputs = events_of(workflow).get(event, EMPTY).get("inputs") or EMPTY
        for name, given in inputs.fields().items():
            kind = (given.get("type") or EMPTY).text
            text = (given.get("default") or EMPTY).text
            boolean = kind == "boolean"
            default = f"bool = {text == 'true'}" if boolean else f"str = {quoted((text,))}"
            found[identifier(name, set())] = default
    return found


def _line(text: str) -> str:
    """Return text for a comment or docstring."""
    return printable(" ".join(text.split())).replace("\\", "/").replace('"', "'")
