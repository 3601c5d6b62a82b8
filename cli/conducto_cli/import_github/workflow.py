"""Workflow files of GitHub Actions: YAML with the line of each value, and its checks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Collection

    Content = dict[str, "Item"] | list["Item"] | str | None

#: GitHub accepts less; the rest is for comments.
MAX_BYTES = 1 << 20
MAX_VALUES = 50_000
_KINDS = {dict: "a mapping", list: "a list", str: "text", type(None): "empty"}


class WorkflowError(Exception):
    """A file is not a workflow, or GitHub would refuse it.

    Attributes:
        line: The line, from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Item:
    """A value of a file and its line; numbers and booleans are text.

    Attributes:
        plain: Whether it is text without quotes: then ``true`` is a boolean.
    """

    content: Content
    line: int
    plain: bool = False

    def get(self, key: str) -> Item | None:
        """Return a value of a mapping; None if it is missing or empty."""
        found = self.fields().get(key)
        return None if found is None or found.content is None else found

    def fields(self) -> dict[str, Item]:
        """Return the values of a mapping, or raise `WorkflowError`."""
        if self.content is None:
            return {}
        if isinstance(self.content, dict):
            return self.content
        raise self._error("a mapping")

    def each(self) -> list[Item]:
        """Return the values of a list; one of text is a list of it."""
        if isinstance(self.content, dict):
            raise self._error("a list")
        if self.content is None:
            return []
        return self.content if isinstance(self.content, list) else [self]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        if self.content is None:
            return ""
        raise self._error("text")

    @property
    def value(self) -> str | bool:
        """Text, or a boolean."""
        if self.plain and self.text in {"true", "false"}:
            return self.text == "true"
        return self.text

    def _error(self, expected: str) -> WorkflowError:
        return WorkflowError(self.line, f"expected {expected}, got {_KINDS[type(self.content)]}")


#: In place of a value that is missing.
EMPTY = Item(None, 1)


def parse(text: str) -> Item:
    """Return the content of a workflow file.

    Raises:
        WorkflowError: it is not YAML, not a workflow, or GitHub would refuse it.
    """
    if len(text.encode()) > MAX_BYTES:
        raise WorkflowError(1, f"the file has more than {MAX_BYTES:,} bytes")
    try:
        # The base loader leaves every value as text: `on` and 3.10 stay what they are.
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        workflow = EMPTY if root is None else _Reader().item(root)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise WorkflowError(line, f"this is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise WorkflowError(1, f"this is not YAML: {error}") from error
    except RecursionError as error:
        raise WorkflowError(1, "its values are nested too deeply") from error
    _check(workflow)
    return workflow


class _Reader:
    """Converts the nodes of YAML; aliases may repeat them, so their number is limited."""

    def __init__(self) -> None:
        self._count = 0

    def item(self, node: yaml.Node) -> Item:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > MAX_VALUES:
            raise WorkflowError(line, f"the file has more than {MAX_VALUES:,} values")
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Item] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.value in found:
                    where = key.start_mark.line + 1
                    raise WorkflowError(where, f"the key {key.value!r} is there twice, or no text")
                found[key.value] = self.item(value)
            return Item(found, line)
        if isinstance(node, yaml.SequenceNode):
            return Item([self.item(each) for each in node.value], line)
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        if plain and node.value in {"", "~", "null"}:
            return Item(None, line)
        return Item(node.value, line, plain=plain)


def _check(workflow: Item) -> None:
    if not isinstance(workflow.content, dict):
        raise WorkflowError(workflow.line, "this is not a workflow: it has no jobs")
    if "runs" in workflow.content:
        raise WorkflowError(
            workflow.content["runs"].line,
            "this is an action, not a workflow; translate the workflows that use it, and write its "
            "steps as commands",
        )
    jobs = workflow.get("jobs")
    if jobs is None or not jobs.fields():
        raise WorkflowError(workflow.line, "this is not a workflow: it has no jobs")
    for name, job in jobs.fields().items():
        _check_job(name, job, jobs.fields())


def _check_job(name: str, job: Item, jobs: Collection[str]) -> None:
    if re.fullmatch(r"[A-Za-z_][\w-]*", name) is None:
        raise WorkflowError(job.line, f"{name!r} is not a name of a job; use letters and digits")
    if job.get("uses") is None and job.get("steps") is None:
        raise WorkflowError(job.line, f"the job {name} has neither steps nor uses")
    for need in needs_of(job):
        if need.text not in jobs:
            message = f"the job {name} needs {need.text}, but there is no such job"
            raise WorkflowError(need.line, message)
    steps = job.get("steps")
    for step in [] if steps is None else steps.each():
        if (step.get("run") is None) == (step.get("uses") is None):
            raise WorkflowError(step.line, "a step has either run or uses")


def needs_of(job: Item) -> list[Item]:
    """Return the names of the jobs that a job needs."""
    needs = job.get("needs")
    return [] if needs is None else needs.each()
