"""An in-memory `conducto.service.port.Pipelines` that a test scripts.

Nothing runs by itself: the test says what happens (`FakePipelines.change`, `.write`), from any
thread, and whoever reads the API sees it.
"""

import asyncio
import base64
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from conducto.model.api import (
    Action,
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    LogChunk,
    NodeView,
    PipelineSummary,
    TreePage,
)
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.records import AttemptRecord, ImageRecord, PipelineRecord
from conducto.model.secret_calls import DeleteSecrets, PutSecrets, SecretList
from conducto.model.states import IN_FLIGHT, STATE_OF_CAUSE, Cause, NodeType, State
from conducto.semantics.errors import DefinitionError
from conducto.service.port import NotFoundError, RefusedError
from conducto.testing.pipeline_state import PipelineState, next_attempts, ordered
from conducto.testing.secrets import MemorySecrets
from conducto_local.secrets import answers

_IN_FLIGHT_OR_PENDING = IN_FLIGHT | {State.PENDING}


class FakePipelines:
    """Pipelines in memory.

    Args:
        nodes_of: Turns the tree of a `LaunchRequest` into nodes; the default reads
            ``{"nodes": {path: {fields of NodeView}}}``.

    Attributes:
        orders: ``(pipeline id, request)`` of every control call that was accepted.
        launches: Every launch that was accepted.
        shells: ``(pipeline id, request)`` of every debug shell that was planned.
        secret_store: What `put_secrets` stored.
    """

    def __init__(
        self, nodes_of: Callable[[Mapping[str, Any]], Iterable[NodeView]] | None = None
    ) -> None:
        self.orders: list[tuple[str, ControlRequest]] = []
        self.launches: list[LaunchRequest] = []
        self.shells: list[tuple[str, DebugRequest]] = []
        self.secret_store = MemorySecrets()
        self._nodes_of = _plain_nodes if nodes_of is None else nodes_of
        self._pipelines: dict[str, PipelineState] = {}
        self._lock = threading.RLock()

    def add(
        self, pipeline_id: str, nodes: Iterable[NodeView], record: PipelineRecord | None = None
    ) -> PipelineSummary:
        """Put a pipeline there; ``nodes`` has the root first and parents before children."""
        given = PipelineRecord(id=pipeline_id, title=pipeline_id) if record is None else record
        pipeline = PipelineState(given, {node.path: node for node in nodes})
        for node in list(pipeline.nodes.values()):
            if node.type is not NodeType.EXEC:
                counted = node.model_copy(update={"counts": pipeline.counts(node.path)})
                pipeline.nodes[node.path] = counted
        with self._lock:
            self._pipelines[pipeline_id] = pipeline
        return pipeline.summary()

    def change(
        self,
        pipeline_id: str,
        path: str,
        state: State,
        *,
        cause: Cause | None = None,
        exit_code: int | None = None,
        **fields: Any,
    ) -> None:
        """Let a node reach ``state``; its groups follow.

        ``running`` begins an attempt, a finished state ends it; ``fields`` are set on the
        attempt.
        """
        with self._lock:
            pipeline = self._find(pipeline_id)
            node = _node(pipeline, path)
            attempts = next_attempts(
                node, state, {"cause": cause, "exit_code": exit_code, **fields}
            )
            pipeline.publish(
                node.model_copy(update={"state": state, "cause": cause, "attempts": attempts})
            )
            pipeline.roll_up(path)
        self._ring(pipeline)

    def finish(self, pipeline_id: str, path: str, cause: Cause | None = None) -> None:
        """Let a node run and end, with an exit code of 0 or 1."""
        self.change(pipeline_id, path, State.RUNNING)
        state = STATE_OF_CAUSE[cause]
        self.change(pipeline_id, path, state, cause=cause, exit_code=0 if cause is None else 1)

    def write(
        self, pipeline_id: str, path: str, data: bytes, *, attempt: int = 1, stream: str = "stdout"
    ) -> None:
        """Let an attempt print."""
        with self._lock:
            output = self._find(pipeline_id).output
            key = (path, attempt, stream)
            output[key] = output.get(key, b"") + data

    def set_image(self, pipeline_id: str, image: ImageRecord, log: str = "") -> None:
        """Let an image be as ``image`` says, and its build have printed ``log``."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            pipeline.images[image.name] = image
            pipeline.image_logs[image.name] = log
        self._ring(pipeline)

    def readers(self, pipeline_id: str) -> int:
        """How many read the pipeline's events now."""
        return len(self._find(pipeline_id).readers)

    def wait_for_readers(self, pipeline_id: str, count: int, seconds: float = 5.0) -> bool:
        """Wait until ``count`` read the pipeline's events; False when that does not come."""
        deadline = time.monotonic() + seconds
        while self.readers(pipeline_id) != count:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    async def launch(self, request: LaunchRequest) -> PipelineSummary:
        """Add a pipeline with the ids ``p1``, ``p2`` and so on."""
        nodes = list(self._nodes_of(request.tree))
        if not nodes:
            raise DefinitionError(None, "the tree has no nodes")
        self.launches.append(request)
        record = PipelineRecord(
            id=f"p{len(self._pipelines) + 1}",
            title="" if request.title is None else request.title,
            doc=request.doc,
            tags=request.tags,
            engine=request.engine,
            armed=request.run,
            run_at=request.run_at,
            program=request.program,
            created=time.time(),
        )
        return self.add(record.id, nodes, record)

    async def list(self) -> tuple[PipelineSummary, ...]:
        """Every pipeline, the newest first."""
        with self._lock:
            return tuple(p.summary() for p in reversed(self._pipelines.values()))

    async def get(self, pipeline_id: str) -> PipelineSummary:
        """One pipeline."""
        with self._lock:
            return self._find(pipeline_id).summary()

    async def tree(
        self, pipeline_id: str, *, root: str = "/", after: str | None = None, limit: int = 1000
    ) -> TreePage:
        """Nodes of a subtree."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            _node(pipeline, root)
            nodes = pipeline.below(root)
            paths = [node.path for node in nodes]
            start = 0 if after is None else paths.index(_node(pipeline, after).path) + 1
            page = nodes[start : start + limit]
            more = start + limit < len(nodes)
            following = page[-1].path if more else None
            return TreePage(seq=len(pipeline.changes), nodes=tuple(page), next=following)

    async def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Every attempt of a node."""
        with self._lock:
            return _node(self._find(pipeline_id), path).attempts

    async def log(
        self,
        pipeline_id: str,
        path: str,
        *,
        attempt: int | None = None,
        stream: str = "stdout",
        offset: int = 0,
        limit: int = 1 << 20,
    ) -> LogChunk:
        """A piece of an output stream."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            record = _attempt(_node(pipeline, path), attempt)
            data = pipeline.output.get((path, record.number, stream), b"")
        start = max(0, len(data) + offset) if offset < 0 else min(offset, len(data))
        return LogChunk(
            data=base64.b64encode(data[start : start + limit]).decode(),
            offset=start,
            size=len(data),
            complete=record.state not in _IN_FLIGHT_OR_PENDING,
        )

    async def image_log(self, pipeline_id: str, image: str) -> str:
        """What `set_image` was given."""
        with self._lock:
            logs = self._find(pipeline_id).image_logs
            if image not in logs:
                raise NotFoundError(f"pipeline {pipeline_id} has no image {image!r}")
            return logs[image]

    async def control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        """Carry out an order in the simplest way that can be seen."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            nodes = [_node(pipeline, path) for path in request.paths]
            if request.action in (Action.RUN, Action.PAUSE):
                armed = request.action is Action.RUN
                pipeline.record = pipeline.record.model_copy(update={"armed": armed})
                nodes = []
            elif not nodes:
                raise RefusedError(f"{request.action} needs at least one path")
            for node in nodes:
                pipeline.publish(ordered(node, request.action))
                pipeline.roll_up(node.path)
            self.orders.append((pipeline.record.id, request))
        self._ring(pipeline)
        paths = tuple(node.path for node in nodes)
        return ControlResult(affected=len(paths), paths=paths)

    async def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """A plan of which only the node and its command are true."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            node = _node(pipeline, request.path)
            if request.attempt is not None:
                _attempt(node, request.attempt)
            number = node.attempts[-1].number if node.attempts else None
            self.shells.append((pipeline.record.id, request))
        return DebugPlan(  # noqa: S604 (a shell's path)
            pipeline=pipeline.record.id,
            path=node.path,
            attempt=number if request.attempt is None else request.attempt,
            image="debian",
            shell="/bin/sh",
            script=f"#!/bin/sh\n{node.command}\n",
            cpu=1,
            mem=1,
            folder="/nowhere",
        )

    async def events(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Changes after ``cursor``, then live ones, each batch as soon as there is one."""
        with self._lock:
            pipeline = self._find(pipeline_id)
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            loop.call_soon_threadsafe(news.set)

        pipeline.readers.add(ring)
        try:
            seen: EventBatch | None = None
            while True:
                with self._lock:
                    changes = tuple(pipeline.changes[cursor:])
                    batch = EventBatch(changes=changes, pipeline=pipeline.summary())
                if changes or (seen is not None and batch.pipeline != seen.pipeline):
                    cursor += len(changes)
                    yield batch
                seen = batch
                await news.wait()
                news.clear()
        finally:
            pipeline.readers.discard(ring)

    async def secrets(self) -> SecretList:
        """Every secret, without values."""
        return answers.listing(self.secret_store)

    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets in memory."""
        return answers.put(self.secret_store, request)

    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets."""
        return answers.delete(self.secret_store, request)

    async def status(self) -> AgentStatus:
        """A process that does not exist."""
        return AgentStatus(
            pid=0, url="", version="test", started=0.0, pipelines=len(self._pipelines)
        )

    def _find(self, beginning: str) -> PipelineState:
        if beginning in self._pipelines:
            return self._pipelines[beginning]
        found = [p for name, p in self._pipelines.items() if name.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        how_many = "no pipeline" if not found else "more than one pipeline"
        raise NotFoundError(f"{how_many} has an id that begins with {beginning!r}")

    def _ring(self, pipeline: PipelineState) -> None:
        for ring in tuple(pipeline.readers):
            ring()


def _plain_nodes(tree: Mapping[str, Any]) -> Iterable[NodeView]:
    nodes: Mapping[str, Mapping[str, Any]] = tree.get("nodes", {})
    return [NodeView(path=path, **{"state": State.PENDING, **n}) for path, n in nodes.items()]


def _node(pipeline: PipelineState, path: str) -> NodeView:
    if path not in pipeline.nodes:
        raise NotFoundError(f"{path}: no such node in pipeline {pipeline.record.id}")
    return pipeline.nodes[path]


def _attempt(node: NodeView, number: int | None) -> AttemptRecord:
    for attempt in reversed(node.attempts):
        if number is None or attempt.number == number:
            return attempt
    which = "attempt" if number is None else f"attempt {number}"
    raise NotFoundError(f"{node.path}: no {which}")
