"""The contents of an export, read from the port in a bounded number of requests.

One page holds a tree of up to `MAX_NODES` nodes. For a larger one it has the Execs that failed or
run, then as many whole levels from the root as fit, and a part of the next.
"""

import base64
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.export.texts import last_lines
from conducto_core.run.model.params import LogParams, PipelineParams, TreeParams
from conducto_core.run.model.records import Counts
from conducto_core.run.model.requests import (
    AgentStatus,
    LogChunk,
    NodeView,
    PipelineSummary,
    TreePage,
)
from conducto_core.run.model.states import FAILED, FINISHED, IN_FLIGHT, NodeType, State
from conducto_core.tree.model import ancestors

# ----------------------------------------------------------------------------------------
# The tree of an export: the children shown for each node, and the number of hidden ones.


#: Maximum levels of groups; deeper nodes are shown below the last one. Browsers cut at 512
#: elements.
MAX_LEVELS = 60


@dataclass(slots=True)
class Branch:
    """A node with its children that are shown.

    Attributes:
        name: Its path relative to the node that it is shown below.
    """

    node: NodeView
    name: str
    level: int
    children: list["Branch"] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        """Whether other nodes can be below it."""
        return self.node.type is not NodeType.EXEC

    @property
    def is_urgent(self) -> bool:
        """Whether an Exec below it failed or is in flight."""
        return any(self.counts()[state] for state in FAILED | IN_FLIGHT)

    def counts(self) -> dict[State, int]:
        """Return its Execs by state, itself if it is one."""
        if not self.is_group:
            return {self.node.state: 1}
        counts = Counts() if self.node.counts is None else self.node.counts
        return {state: getattr(counts, state.value) for state in State}

    def hidden(self) -> dict[State, int]:
        """Return the hidden Execs below it, by state."""
        left = self.counts() if self.is_group else {}
        for child in self.children:
            for state, count in child.counts().items():
                left[state] = left.get(state, 0) - count
        return {state: count for state, count in left.items() if count > 0}


def outline(nodes: Sequence[NodeView]) -> Branch | None:
    """Return the root with all shown nodes, each below its nearest shown group."""
    groups: dict[str, Branch] = {}
    for node in nodes:
        if node.type is not NodeType.EXEC:
            branch = _branch(node, groups)
            if branch.level <= MAX_LEVELS:
                groups[node.path] = branch
    for node in nodes:
        above = _above(node.path, groups)
        if above is None:
            continue
        if node.type is NodeType.EXEC:
            above.children.append(_branch(node, groups))
        elif node.path in groups:
            above.children.append(groups[node.path])
    return groups.get("/") or next((_branch(node, {}) for node in nodes), None)


def _branch(node: NodeView, groups: Mapping[str, Branch]) -> Branch:
    above = _above(node.path, groups)
    if above is None:
        return Branch(node, node.path, 0)
    start = len(above.node.path.rstrip("/")) + 1
    return Branch(node, node.path[start:], above.level + 1)


def _above(path: str, groups: Mapping[str, Branch]) -> Branch | None:
    return next((groups[one] for one in ancestors(path) if one in groups), None)


# ----------------------------------------------------------------------------------------
# The contents of an export, and their limits.


#: Maximum number of nodes shown.
MAX_NODES = 2_000
#: Maximum numbers of failed and of running Execs among them.
MAX_FAILED, MAX_RUNNING = 1_000, 100
#: Maximum number of failed Execs with output, and lines of each.
MAX_OUTPUTS, OUTPUT_LINES = 50, 40
#: Maximum number of other Execs with the end of their output, its lines, and the bytes read.
MAX_ENDS, END_LINES, END_BYTES = 40, 5, 2_000


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A pipeline at one point in time.

    Attributes:
        nodes: The nodes shown, the root first, in definition order; an Exec that failed or runs may
            be there without its groups.
        failed: Nodes that failed by themselves, Execs and groups that timed out, in definition
            order, killed ones last.
        ends: ``{path: end of the newest attempt's output}``, of Execs that did not fail.
        made: Time of the report, in seconds since the epoch.
        version: Version of the server.
        whole: The nodes are all nodes of the tree.
    """

    summary: PipelineSummary
    nodes: tuple[NodeView, ...]
    failed: tuple[NodeView, ...]
    ends: Mapping[str, str]
    made: float
    version: str
    whole: bool


#: Number of Execs above which levels are read without attempts: the cloud reads all attempts of a
#: pipeline for a page that needs many of them.
_LARGE = 20_000
#: More levels than any tree has, so that the search ends even if a tree shrinks meanwhile.
_MAX_LEVELS = 1 << 14


class Source(Protocol):
    """The operations of `conducto_core.api.pipelines.Pipelines` that an export needs."""

    async def get_pipeline(self, params: PipelineParams) -> PipelineSummary:
        """Return the pipeline."""

    async def get_tree(self, params: TreeParams) -> TreePage:
        """Return a page of its nodes."""

    async def read_log(self, params: LogParams) -> LogChunk:
        """Return a part of an output stream."""

    async def get_agent(self) -> AgentStatus:
        """Return the status of the server."""


async def collect(source: Source, params: PipelineParams, made: float) -> ExportReport:
    """Return the contents of an export of a pipeline made at ``made``.

    Raises:
        NotFoundError: there is no such pipeline.
    """
    summary = await source.get_pipeline(params)
    reader = _Reader(source, summary)
    failed = [node async for node in reader.failed()]
    nodes, whole = await reader.nodes(failed)
    return ExportReport(
        summary=summary,
        nodes=nodes,
        failed=tuple(failed),
        ends=await reader.ends(nodes),
        made=made,
        version=(await source.get_agent()).version,
        whole=whole,
    )


class _Reader:
    """Reads the parts of one pipeline."""

    def __init__(self, source: Source, summary: PipelineSummary) -> None:
        self._source = source
        self._id = summary.pipeline.id
        self._counts = summary.counts
        self._execs = summary.counts.total + summary.counts.skipped  # at least as many
        self._attempts: Literal["newest", "none"] = "none" if self._execs > _LARGE else "newest"

    async def failed(self) -> AsyncIterator[NodeView]:
        found = 0
        for state in (State.ERROR, State.KILLED):
            if found < MAX_FAILED:
                async for node in self._failed_as(state, MAX_OUTPUTS - found):
                    if found < MAX_FAILED:
                        found += 1
                        yield node

    async def _failed_as(self, state: State, with_output: int) -> AsyncIterator[NodeView]:
        after: str | None = None
        if with_output > 0:
            page = await self._page(
                state=state, failed=True, limit=with_output, attempts="newest", tails=True
            )
            for node in page.nodes:
                yield node
            if page.next is None:
                return
            after = page.next
        query = {"state": state, "failed": True, "attempts": self._attempts}
        async for node in self._found(MAX_FAILED, after, **query):
            yield node

    async def _found(
        self, maximum: int, after: str | None = None, **query: Any
    ) -> AsyncIterator[NodeView]:
        while maximum > 0:
            page = await self._page(limit=maximum, after=after, **query)
            for node in page.nodes:
                yield node
            if page.next is None:
                return
            maximum, after = maximum - len(page.nodes), page.next

    async def nodes(self, failed: Iterable[NodeView]) -> tuple[tuple[NodeView, ...], bool]:
        if self._execs <= MAX_NODES:
            page = await self._page(limit=MAX_NODES)
            if page.next is None:
                return page.nodes, True
        urgent = {node.path: node for node in failed}
        if self._counts.running:
            async for node in self._found(MAX_RUNNING, state=State.RUNNING, attempts="newest"):
                urgent[node.path] = node
        broad = await self._levels(MAX_NODES - len(urgent))
        root, *others = broad.values()
        ahead = (node for path, node in urgent.items() if path not in broad)
        return (root, *ahead, *others), False

    async def _levels(self, room: int) -> dict[str, NodeView]:
        """Return ``{path: node}`` of whole levels and of a part of the next, root first."""
        depth = await self._deepest(room)
        found: dict[str, NodeView] = {}
        for below in (depth, depth + 1):
            page = await self._page(depth=below, limit=room, attempts=self._attempts)
            for node in page.nodes:
                if len(found) < room:
                    found.setdefault(node.path, node)
        return found

    async def _deepest(self, room: int) -> int:
        """Return the largest depth whose nodes fit into ``room``."""
        fits, fails = 0, 1
        while fails < _MAX_LEVELS and await self._has_room(fails, room):
            fits, fails = fails, 2 * fails
        while fails - fits > 1:
            middle = (fits + fails) // 2
            if await self._has_room(middle, room):
                fits = middle
            else:
                fails = middle
        return fits

    async def _has_room(self, depth: int, room: int) -> bool:
        return (await self._page(depth=depth, limit=room, attempts="none")).next is None

    async def ends(self, nodes: Iterable[NodeView]) -> dict[str, str]:
        """Return ``{path: end of its output}`` of Execs that did not fail, running ones first."""
        tried = [node for node in nodes if node.attempts and node.state not in FAILED]
        tried.sort(key=lambda node: node.state in FINISHED)
        found = {}
        for node in tried[:MAX_ENDS]:
            with suppress(NotFoundError, RefusedError):  # it may be deleted by now
                found[node.path] = await self._end(node.path)
        return {path: text for path, text in found.items() if text}

    async def _end(self, path: str) -> str:
        asked = LogParams(id=self._id, path=path, offset=-END_BYTES, limit=END_BYTES)
        chunk = await self._source.read_log(asked)
        text = base64.b64decode(chunk.data).decode(errors="replace")
        if chunk.offset > 0:  # the first line is incomplete
            text = text.partition("\n")[2] or text
        return last_lines(text, END_LINES)

    async def _page(self, **query: Any) -> TreePage:
        return await self._source.get_tree(TreeParams(id=self._id, **query))
