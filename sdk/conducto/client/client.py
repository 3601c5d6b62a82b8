"""The API as methods, named as in `conducto.service.port`."""

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from conducto.client.errors import AgentUnreachableError, ApiError
from conducto.client.transport import Reply, StreamLostError, Transport
from conducto.model import calls
from conducto.model.api import (
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    LogChunk,
    NodeView,
    PipelineSummary,
    Problem,
    TreePage,
)
from conducto.model.base import Record
from conducto.model.calls import API_ROOT, AnyOperation, Operation
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.records import AttemptRecord
from conducto.model.secret_calls import DeleteSecrets, PutSecrets, SecretList

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

RESUME_DELAYS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
_OK = 200


class Client:
    """Whatever a person can do with pipelines, over one transport.

    Every method raises `ApiError` when the server refuses and `AgentUnreachableError` when there
    is none. One client belongs to one thread; `events` may run in a thread of its own.

    Args:
        transport: The way to the server.
        resume_delays: Seconds to wait before each try to resume a stream; then the server
            counts as gone.
    """

    def __init__(
        self, transport: Transport, *, resume_delays: Sequence[float] = RESUME_DELAYS
    ) -> None:
        self._transport = transport
        self._resume_delays = resume_delays

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self._transport.close()

    def launch(self, request: LaunchRequest) -> PipelineSummary:
        """Hand in a tree; returns the new pipeline."""
        return self.call(calls.LAUNCH, calls.NoParams(), request)

    def list(self) -> tuple[PipelineSummary, ...]:
        """Every pipeline that is not archived, the newest first."""
        return self.call(calls.LIST, calls.NoParams()).pipelines

    def get(self, pipeline_id: str) -> PipelineSummary:
        """One pipeline; an unambiguous beginning of its id is enough."""
        return self.call(calls.GET, calls.PipelineParams(id=pipeline_id))

    def tree(self, pipeline_id: str, *, root: str = "/") -> Iterator[NodeView]:
        """Yield the nodes of a subtree, parents before children, page by page."""
        after = None
        while True:
            page = self.tree_page(pipeline_id, root=root, after=after)
            yield from page.nodes
            if page.next is None:
                return
            after = page.next

    def tree_page(
        self, pipeline_id: str, *, root: str = "/", after: str | None = None, limit: int = 1000
    ) -> TreePage:
        """One page of a subtree; its ``seq`` is the cursor to go on with in `events`."""
        params = calls.TreeParams(id=pipeline_id, root=root, after=after, limit=limit)
        return self.call(calls.TREE, params)

    def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Every attempt of a node, the first one first."""
        return self.call(calls.ATTEMPTS, calls.NodeParams(id=pipeline_id, path=path)).attempts

    def log(
        self,
        pipeline_id: str,
        path: str,
        *,
        attempt: int | None = None,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int = 0,
        limit: int = 1 << 20,
    ) -> LogChunk:
        """A piece of an output stream; a negative ``offset`` counts from the end."""
        params = calls.LogParams(
            id=pipeline_id, path=path, attempt=attempt, stream=stream, offset=offset, limit=limit
        )
        return self.call(calls.LOG, params)

    def image_log(self, pipeline_id: str, image: str) -> str:
        """What the build of an image printed so far."""
        return self.call(calls.IMAGE_LOG, calls.ImageParams(id=pipeline_id, image=image)).text

    def control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        """Order something on a set of nodes, all or nothing."""
        return self.call(calls.CONTROL, calls.PipelineParams(id=pipeline_id), request)

    def secrets(self) -> SecretList:
        """Every secret, without values."""
        return self.call(calls.SECRETS, calls.NoParams())

    def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets over those of the same name, all or nothing."""
        return self.call(calls.PUT_SECRETS, calls.NoParams(), request)

    def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; the answer's ``changed`` are those that were there."""
        return self.call(calls.DELETE_SECRETS, calls.NoParams(), request)

    def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """What a debug shell for an attempt needs, secrets included."""
        return self.call(calls.DEBUG, calls.PipelineParams(id=pipeline_id), request)

    def status(self) -> AgentStatus:
        """The process that answers."""
        return self.call(calls.AGENT_STATUS, calls.NoParams())

    def stop_agent(self, *, if_idle: bool = False) -> int:
        """Ask the agent to stop; returns its pid, which is gone a little later."""
        return self.call(calls.STOP_AGENT, calls.StopParams(if_idle=if_idle)).pid

    def events(self, pipeline_id: str, cursor: int = 0) -> Iterator[EventBatch]:
        """Yield the changes after ``cursor``, then live ones, without loss or repetition.

        Does not end by itself: stop iterating. A lost connection is made anew from the last
        change that was yielded.

        Raises:
            AgentUnreachableError: the connection stays lost.
        """
        failures = 0
        while True:
            params = calls.EventParams(id=pipeline_id, cursor=cursor)
            try:
                for frame in self._transport.stream(*_address(calls.EVENTS, params)):
                    batch = EventBatch.model_validate_json(frame)
                    failures = 0
                    if batch.changes:
                        cursor = batch.changes[-1].seq
                    yield batch
            except StreamLostError as error:
                if failures == len(self._resume_delays):
                    raise AgentUnreachableError(
                        f"the live events of pipeline {pipeline_id} broke off: {error}; "
                        f"'conducto show {pipeline_id}' looks again"
                    ) from error
                time.sleep(self._resume_delays[failures])
                failures += 1

    def call(self, operation: Operation[P, B, R], params: P, body: Record | None = None) -> R:
        """Carry out any operation of `conducto.model.calls`; the other methods are made of it."""
        path, query = _address(operation, params)
        # What was not given stays out: of `Changes`, only fields that are given change anything.
        data = None if body is None else body.model_dump_json(exclude_unset=True).encode()
        if data is not None and len(data) > operation.max_body:
            raise ApiError(_too_large(operation, len(data)))
        reply = self._transport.request(operation.method, path, query, data)
        if reply.status != _OK:
            raise ApiError(problem_in(reply))
        try:
            return operation.response.model_validate_json(reply.body)
        except ValidationError as error:
            raise ApiError(_foreign_answer(operation.name, reply)) from error


def problem_in(reply: Reply) -> Problem:
    """Return the problem that a reply which is not a success carries."""
    try:
        return Problem.model_validate_json(reply.body)
    except ValidationError:
        return _foreign_answer("the request", reply)


def _too_large(operation: AnyOperation, size: int) -> Problem:
    # Said here as well: a server may hang up on a body of which it has read enough.
    return Problem(
        title="body too large",
        status=413,
        detail=f"{operation.name}: the body may have {operation.max_body} bytes, has {size}",
    )


def _foreign_answer(what: str, reply: Reply) -> Problem:
    return Problem(
        title="not an answer of Conducto",
        status=reply.status,
        detail=f"{what}: the server answered {reply.status} with something else than expected",
        remedy="client and agent may differ in version: stop the agent with 'conducto agent stop'",
    )


def _address(operation: AnyOperation, params: Record) -> tuple[str, dict[str, str]]:
    """Return the path and the query; defaults are left out of the query."""
    in_path, query = {}, {}
    for name, value in params.model_dump(mode="json", exclude_defaults=True).items():
        if f"{{{name}}}" in operation.path:
            in_path[name] = quote(value, safe="")
        else:
            query[name] = value if isinstance(value, str) else str(value).lower()
    return f"{API_ROOT}{operation.path.format_map(in_path)}", query
