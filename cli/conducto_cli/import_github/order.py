"""From jobs with ``needs`` to a tree of Serial and Parallel that keeps every dependency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Needs = Mapping[str, Sequence[str]]
    Ancestors = Mapping[str, set[str]]

_LISTED = 3


@dataclass(frozen=True, slots=True)
class JobGroup:
    """Jobs, or groups of jobs, that run one after another or at the same time.

    Attributes:
        serial: Whether they run one after another.
        children: The jobs and groups.
        always: Whether later ones run after an error of earlier ones, too.
    """

    serial: bool
    children: tuple[Tree, ...]
    always: bool = False

    def jobs(self) -> Iterator[str]:
        for child in self.children:
            yield from [child] if isinstance(child, str) else child.jobs()

    @property
    def name(self) -> str:
        """A name made from those of its jobs."""
        jobs = list(self.jobs())
        if self.serial:
            return f"{jobs[0]} to {jobs[-1]}"
        prefix = re.match(r"([^-_]+)[-_]", jobs[0])
        if prefix is not None and all(job.startswith(prefix[0]) for job in jobs):
            return prefix[1]
        if len(jobs) <= _LISTED:
            return f"{', '.join(jobs[:-1])} and {jobs[-1]}"
        return f"{jobs[0]} and {len(jobs) - 1} more"


Tree = str | JobGroup


def arrange(needs: Needs) -> Tree:
    """Return the tree of jobs.

    Where the jobs are neither independent parts nor parts that follow each other, those without
    needs come first; then some jobs start later than they could.

    Args:
        needs: ``{job: the jobs that it needs}``, all of which are keys.

    Raises:
        ValueError: jobs need each other.
    """
    ancestors: dict[str, set[str]] = {}
    try:
        for job in TopologicalSorter(needs).static_order():
            ancestors[job] = {*needs[job]}.union(*(ancestors[each] for each in needs[job]))
    except CycleError as error:
        raise ValueError(" needs ".join(reversed(error.args[1]))) from error
    return _arrange(list(needs), ancestors)


def _arrange(jobs: list[str], ancestors: Ancestors) -> Tree:
    if len(jobs) == 1:
        return jobs[0]

    def ordered(one: str, other: str) -> bool:
        return one in ancestors[other] or other in ancestors[one]

    parts = _parts(jobs, ordered)
    serial = len(parts) == 1
    if serial:
        parts = _parts(jobs, lambda one, other: not ordered(one, other))
        parts.sort(key=lambda part: len(ancestors[part[0]].intersection(jobs)))
    if len(parts) == 1:
        first = [job for job in jobs if ancestors[job].isdisjoint(jobs)]
        parts = [first, [job for job in jobs if job not in first]]
    children: list[Tree] = []
    for part in parts:
        tree = _arrange(part, ancestors)
        same = isinstance(tree, JobGroup) and tree.serial == serial
        children += tree.children if isinstance(tree, JobGroup) and same else [tree]
    return JobGroup(serial, tuple(children))


def _parts(jobs: list[str], connected: Callable[[str, str], bool]) -> list[list[str]]:
    """Return the connected parts of a graph; the jobs of each keep their order."""
    parts: list[list[str]] = []
    for job in jobs:
        near = [part for part in parts if any(connected(job, each) for each in part)]
        parts = [part for part in parts if part not in near]
        parts.append([*(each for part in near for each in part), job])
    position = {job: index for index, job in enumerate(jobs)}
    return sorted(
        (sorted(part, key=position.__getitem__) for part in parts),
        key=lambda part: position[part[0]],
    )
