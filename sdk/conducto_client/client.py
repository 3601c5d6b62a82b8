"""The API as methods, named as in `conducto_core.ports.pipelines`."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

from pydantic import ValidationError

from conducto_client.errors import AgentUnreachableError, ApiError
from conducto_client.transport import Body, Reply, StreamLostError, Transport
from conducto_core.model import params
from conducto_core.model.base import Record
from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.gc import GcReport, GcRequest
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.operations import pipelines
from conducto_core.model.operations.pipelines import API_ROOT, AnyOperation, Operation
from conducto_core.model.records import AttemptRecord, ImageRecord
from conducto_core.model.remote_shells import (
    RemoteShell,
    RemoteShellEntry,
    RemoteShellParams,
    RemoteShellRequest,
)
from conducto_core.model.requests import (
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
from conducto_core.model.resources import Resources, ResourcesParams
from conducto_core.model.responses import (
    DataEntry,
    DataList,
    Deleted,
    ImageLog,
    Login,
    LogLines,
    LogMatches,
    PipelineList,
)
from conducto_core.model.secrets import DeleteSecrets, PutSecrets, SecretList
from conducto_core.model.shells import ShellTicket
from conducto_core.model.usage import Usage, UsageParams

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

RESUME_DELAYS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
#: Seconds after which a stream that is lost counts as one that could be opened.
LASTED = 30.0
_OK = 200
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416
#: Bytes of a download that are held in memory.
PIECE = 4 << 20
_OCTETS = {"Content-Type": "application/octet-stream"}


class Client:
    """Whatever a person can do with pipelines, over one transport.

    Every method raises `ApiError` when the server refuses and `AgentUnreachableError` when there
    is none. One client belongs to one thread; `events` may run in a thread of its own.

    Args:
        transport: The way to the server.
        resume_delays: Seconds to wait before each try to resume a stream; then the server
            counts as gone.

    Attributes:
        gate: Held while an answer is parsed; whoever ends a thread that uses this client needs it.
    """

    def __init__(
        self, transport: Transport, *, resume_delays: Sequence[float] = RESUME_DELAYS
    ) -> None:
        self._transport = transport
        self._resume_delays = resume_delays
        self.gate: AbstractContextManager[object] = nullcontext()

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
        return self.call(pipelines.LAUNCH, params.NoParams(), request)

    def list(self, **filters: Any) -> tuple[PipelineSummary, ...]:
        """Every pipeline that matches, the newest first; without filters, all but archived ones.

        Args:
            filters: Fields of `conducto_core.model.params.ListParams`.
        """
        found: list[PipelineSummary] = []
        query = params.ListParams(**filters)
        while True:
            page = self.list_page(query)
            found += page.pipelines
            if page.next is None:
                return tuple(found)
            query = query.model_copy(update={"after": page.next})

    def list_page(self, query: params.ListParams) -> PipelineList:
        """One page of the pipelines that match."""
        return self.call(pipelines.LIST, query)

    def get(self, pipeline_id: str) -> PipelineSummary:
        """One pipeline; an unambiguous beginning of its id is enough."""
        return self.call(pipelines.GET, params.PipelineParams(id=pipeline_id))

    def definition(self, pipeline_id: str) -> LaunchRequest:
        """A pipeline as it was launched; `launch` makes another one of it."""
        return self.call(pipelines.DEFINITION, params.PipelineParams(id=pipeline_id))

    def tree(self, pipeline_id: str, *, root: str = "/", **options: Any) -> Iterator[NodeView]:
        """Yield the nodes of a subtree, parents before children, page by page.

        Args:
            pipeline_id: Which pipeline.
            root: Path of the subtree's root.
            options: Further fields of `conducto_core.model.params.TreeParams`.
        """
        query = params.TreeParams(id=pipeline_id, root=root, **options)
        while True:
            page = self.nodes(query)
            yield from page.nodes
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})

    def tree_page(
        self, pipeline_id: str, *, root: str = "/", after: str | None = None, limit: int = 1000
    ) -> TreePage:
        """One page of a subtree; its ``seq`` is the cursor to go on with in `events`."""
        return self.nodes(params.TreeParams(id=pipeline_id, root=root, after=after, limit=limit))

    def nodes(self, query: params.TreeParams) -> TreePage:
        """One page of a subtree, or of what a search in it finds."""
        return self.call(pipelines.TREE, query)

    def node(self, pipeline_id: str, path: str) -> NodeDetail:
        """Everything about one node."""
        return self.call(pipelines.NODE, params.NodeParams(id=pipeline_id, path=path))

    def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Every attempt of a node, the first one first."""
        return self.call(pipelines.ATTEMPTS, params.NodeParams(id=pipeline_id, path=path)).attempts

    def log(
        self,
        pipeline_id: str,
        path: str,
        *,
        attempt: int | None = None,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int = 0,
        limit: int = 1 << 20,
        wait: float = 0.0,
    ) -> LogChunk:
        """A piece of an output stream; a negative ``offset`` counts from the end.

        To follow it, ask with ``wait`` from the end of the last piece until ``complete``.
        """
        query = params.LogParams(
            id=pipeline_id,
            path=path,
            attempt=attempt,
            stream=stream,
            offset=offset,
            limit=limit,
            wait=wait,
        )
        return self.call(pipelines.LOG, query)

    def log_lines(self, query: params.LogLinesParams) -> LogLines:
        """Some lines of an output stream."""
        return self.call(pipelines.LOG_LINES, query)

    def search_log(self, query: params.LogSearchParams) -> LogMatches:
        """Lines of an output stream that hold what is looked for."""
        return self.call(pipelines.LOG_SEARCH, query)

    def download_log(self, query: params.LogFileParams) -> Iterator[bytes]:
        """Yield an output stream as it is now, piece by piece."""
        return self._download(pipelines.LOG_FILE, query)

    def resources(self, pipeline_id: str, path: str, *, attempt: int | None = None) -> Resources:
        """What an attempt used while it ran; nothing where nobody knows."""
        query = ResourcesParams(id=pipeline_id, path=path, attempt=attempt)
        return self.call(pipelines.RESOURCES, query)

    def export(self, pipeline_id: str) -> bytes:
        """A pipeline as it is now, as one HTML file that needs nothing else."""
        return b"".join(self._download(pipelines.EXPORT, params.PipelineParams(id=pipeline_id)))

    def images(self, pipeline_id: str) -> tuple[ImageRecord, ...]:
        """The images of a pipeline and how their builds stand."""
        return self.call(pipelines.IMAGES, params.PipelineParams(id=pipeline_id)).images

    def image_log(self, pipeline_id: str, image: str) -> str:
        """What the build of an image printed so far."""
        query, text = params.ImageLogParams(id=pipeline_id, image=image), ""
        while True:
            piece = self.image_log_page(query)
            text += piece.text
            if piece.next >= piece.size or piece.next == piece.offset:
                return text
            query = query.model_copy(update={"offset": piece.next})

    def image_log_page(self, query: params.ImageLogParams) -> ImageLog:
        """A piece of what the build of an image printed; like `log`."""
        return self.call(pipelines.IMAGE_LOG, query)

    def data(
        self, pipeline_id: str | None, name: str = "", *, limit: int = params.MAX_DATA_PAGE
    ) -> Iterator[DataEntry]:
        """Yield the entries of a directory of a pipeline's data; None is the user's data."""
        query = params.ListUserDataParams(name=name, limit=limit)
        while True:
            page = self.data_page(pipeline_id, query)
            yield from page.entries
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})

    def data_page(self, pipeline_id: str | None, query: params.ListUserDataParams) -> DataList:
        """One page of a directory of data."""
        if pipeline_id is None:
            return self.call(pipelines.USER_DATA, query)
        return self.call(pipelines.DATA, params.ListDataParams(id=pipeline_id, **dict(query)))

    def read_data(self, pipeline_id: str | None, name: str) -> Iterator[bytes]:
        """Yield the content of a data file, piece by piece; None is the user's data."""
        if pipeline_id is None:
            return self._download(pipelines.USER_DATA_FILE, params.UserDataParams(name=name))
        return self._download(pipelines.DATA_FILE, params.DataParams(id=pipeline_id, name=name))

    def write_data(self, pipeline_id: str | None, name: str, content: Body) -> DataEntry:
        """Put a data file; it appears once it is whole. None is the user's data."""
        if pipeline_id is None:
            query = params.UserDataParams(name=name)
            return self._answer(pipelines.PUT_USER_DATA, query, content, _OCTETS)
        pipeline_query = params.DataParams(id=pipeline_id, name=name)
        return self._answer(pipelines.PUT_DATA, pipeline_query, content, _OCTETS)

    def delete_data(self, pipeline_id: str | None, name: str) -> Deleted:
        """Delete a data file, or a directory with what is in it; None is the user's data."""
        if pipeline_id is None:
            return self.call(pipelines.DELETE_USER_DATA, params.UserDataParams(name=name))
        return self.call(pipelines.DELETE_DATA, params.DataParams(id=pipeline_id, name=name))

    def control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        """Order something on a set of nodes, all or nothing."""
        return self.call(pipelines.CONTROL, params.PipelineParams(id=pipeline_id), request)

    def secrets(self) -> SecretList:
        """Every secret, without values."""
        return self.call(pipelines.SECRETS, params.NoParams())

    def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets over those of the same name, all or nothing."""
        return self.call(pipelines.PUT_SECRETS, params.NoParams(), request)

    def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; the answer's ``changed`` are those that were there."""
        return self.call(pipelines.DELETE_SECRETS, params.NoParams(), request)

    def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """What a debug shell for an attempt needs, secrets included."""
        return self.call(pipelines.DEBUG, params.PipelineParams(id=pipeline_id), request)

    def open_shell(self, pipeline_id: str, request: DebugRequest) -> ShellTicket:
        """Ask for a ticket, which opens the WebSocket of a debug shell."""
        return self.call(pipelines.OPEN_SHELL, params.PipelineParams(id=pipeline_id), request)

    def open_remote_shell(self, pipeline_id: str, request: RemoteShellRequest) -> RemoteShell:
        """Start a debug shell on a worker of the cloud."""
        return self.call(
            pipelines.OPEN_REMOTE_SHELL, params.PipelineParams(id=pipeline_id), request
        )

    def enter_remote_shell(self, shell: RemoteShell) -> RemoteShellEntry:
        """The way into it, or what it waits for still."""
        return self.call(pipelines.ENTER_REMOTE_SHELL, _which(shell))

    def end_remote_shell(self, shell: RemoteShell) -> None:
        """End it; one that has ended is no error."""
        self.call(pipelines.END_REMOTE_SHELL, _which(shell))

    def usage(self, month: str | None = None, *, nodes: int = 0) -> Usage:
        """What commands took and cost, by month and pipeline, with the dearest nodes of each."""
        return self.call(pipelines.USAGE, UsageParams(month=month, nodes=nodes))

    def status(self) -> AgentStatus:
        """The process that answers."""
        return self.call(pipelines.AGENT_STATUS, params.NoParams())

    def stop_agent(self, *, if_idle: bool = False) -> int:
        """Ask the agent to stop; returns its pid, which is gone a little later."""
        return self.call(pipelines.STOP_AGENT, params.StopParams(if_idle=if_idle)).pid

    def gc(self, *, dry_run: bool = False) -> GcReport:
        """Free what no live pipeline of this machine needs, or say what that would be."""
        return self.call(pipelines.GC, params.NoParams(), GcRequest(dry_run=dry_run))

    def login(self) -> Login:
        """Make an address that opens the web app once, with the rights of this client."""
        return self.call(pipelines.LOGIN, params.NoParams())

    def events(self, pipeline_id: str, cursor: int = 0) -> Iterator[EventBatch]:
        """Yield the changes after ``cursor``, then live ones, without loss or repetition.

        Does not end by itself: stop iterating. A lost connection is made anew from the last
        change that was yielded.

        Raises:
            AgentUnreachableError: the connection stays lost.
        """
        failures = 0
        while True:
            with self.gate:
                query = params.EventParams(id=pipeline_id, cursor=cursor)
                address = _address(pipelines.EVENTS, query)
            begun = time.monotonic()
            try:
                for frame in self._transport.stream(*address):
                    with self.gate:
                        batch = EventBatch.model_validate_json(frame)
                    failures = 0
                    if batch.changes:
                        cursor = batch.changes[-1].seq
                    yield batch
            except StreamLostError as error:
                if time.monotonic() - begun > LASTED:
                    failures = 0  # it was quiet for so long that somebody hung up
                if failures == len(self._resume_delays):
                    raise AgentUnreachableError(
                        f"the live events of pipeline {pipeline_id} broke off: {error}; "
                        f"'conducto show {pipeline_id}' looks again"
                    ) from error
                time.sleep(self._resume_delays[failures])
                failures += 1

    def call(self, operation: Operation[P, B, R], query: P, body: Record | None = None) -> R:
        """Call any operation of `conducto_core.model.operations`."""
        # What was not given stays out: of `Changes`, only fields that are given change anything.
        data = None if body is None else body.model_dump_json(exclude_unset=True).encode()
        if data is not None and len(data) > operation.max_body:
            raise ApiError(_too_large(operation, len(data)))
        key = {pipelines.IDEMPOTENCY_KEY: uuid4().hex} if operation.remembered else None
        return self._answer(operation, query, data, key)

    def _answer(
        self,
        operation: Operation[P, B, R],
        query: P,
        body: Body | None,
        headers: dict[str, str] | None,
    ) -> R:
        with self.gate:
            path, values = _address(operation, query)
        reply = self._transport.request(operation.method, path, values, body, headers)
        if reply.status != _OK:
            raise ApiError(problem_in(reply))
        try:
            with self.gate:
                return operation.response.model_validate_json(reply.body)
        except ValidationError as error:
            raise ApiError(_foreign_answer(operation.name, reply)) from error

    def _download(self, operation: AnyOperation, query: Record) -> Iterator[bytes]:
        path, values = _address(operation, query)
        offset, version = 0, None
        while True:
            headers = {"Range": f"bytes={offset}-{offset + PIECE - 1}"}
            reply = self._transport.request(operation.method, path, values, None, headers)
            if reply.status == _RANGE_NOT_SATISFIABLE and offset == _size_in(reply):
                return  # it is empty
            if reply.status not in (_OK, _PARTIAL):
                raise ApiError(problem_in(reply))
            if version not in (None, reply.headers.get("etag")):
                raise ApiError(_changed(operation))
            version = reply.headers.get("etag")
            yield reply.body
            offset += len(reply.body)
            if reply.status == _OK or offset >= _size_in(reply):
                return


def problem_in(reply: Reply) -> Problem:
    """Return the problem that a reply which is not a success carries."""
    try:
        return Problem.model_validate_json(reply.body)
    except ValidationError:
        return _foreign_answer("the request", reply)


def _size_in(reply: Reply) -> int:
    """Return the size of the whole content, -1 where the answer does not say."""
    size = reply.headers.get("content-range", "").rpartition("/")[2]
    return int(size) if size.isdecimal() else -1


def _changed(operation: AnyOperation) -> Problem:
    return Problem(
        title="changed",
        status=409,
        detail=f"{operation.name}: the file became another one while it was read",
        remedy="read it again",
    )


def _which(shell: RemoteShell) -> RemoteShellParams:
    return RemoteShellParams(id=shell.pipeline, shell=shell.id)


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
        remedy="client and server may differ in version: stop a local agent with 'conducto agent "
        "stop', or install the version of your cloud installation",
    )


def _address(operation: AnyOperation, query: Record) -> tuple[str, dict[str, str]]:
    """Return the path and the query; defaults are left out of the query."""
    in_path, values = {}, {}
    for name, value in query.model_dump(mode="json", exclude_defaults=True).items():
        if f"{{{name}}}" in operation.path:
            in_path[name] = quote(value, safe="")
        else:
            values[name] = value if isinstance(value, str) else str(value).lower()
    return f"{API_ROOT}{operation.path.format_map(in_path)}", values
