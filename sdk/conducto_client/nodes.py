"""The handle of a node of a launched pipeline."""

import base64
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import quote

from conducto.errors import ClientError
from conducto_client.actions import Actions, NodeChanges, Selection
from conducto_client.client import Client
from conducto_client.target import checked
from conducto_core.api.operation import API_ROOT
from conducto_core.approvals.model import DecideApproval
from conducto_core.command.model import Resources
from conducto_core.data.operations import DATA_FILE
from conducto_core.results.model import Artifact, MetricSeries
from conducto_core.run.model.params import MAX_LOG_LINES, LogLinesParams, Stream
from conducto_core.run.model.records import AttemptRecord, Counts
from conducto_core.run.model.requests import Action, ControlResult, NodeView
from conducto_core.run.model.responses import NodeDetail
from conducto_core.run.model.states import Cause, NodeType, State

T = TypeVar("T")

_STREAMS: tuple[Stream, ...] = ("stdout", "stderr")
#: Longest time that a request for output waits, in seconds.
_LOG_WAIT = 1.0


class NodeSnapshot:
    """A node as it was when it was read."""

    def __init__(self, view: NodeView) -> None:
        self._view = view

    @property
    def path(self) -> str:
        """Its path, e.g. ``/tests/login``."""
        return self._view.path

    @property
    def name(self) -> str:
        """The last part of its path; empty for the root."""
        return self._view.path.rpartition("/")[2]

    @property
    def type(self) -> NodeType:
        """Exec, Serial or Parallel."""
        return self._view.type

    @property
    def state(self) -> State:
        """Its state, which equals a text such as ``"done"``."""
        return self._view.state

    @property
    def cause(self) -> Cause | None:
        """The cause of its failure."""
        return self._view.cause

    @property
    def skipped(self) -> bool:
        """Whether it is skipped."""
        return self._view.skipped

    @property
    def warning(self) -> bool:
        """Whether it is done although an error below it was suppressed."""
        return self._view.warning

    @property
    def command(self) -> str | None:
        """The command of an Exec."""
        return self._view.command

    @property
    def exit_code(self) -> int | None:
        """Exit code of the newest attempt; None for a group, and while there is none."""
        return self._view.attempts[-1].exit_code if self._view.attempts else None

    @property
    def started(self) -> float | None:
        """Start of the newest attempt, in seconds since the epoch."""
        return self._view.attempts[-1].started if self._view.attempts else self._view.started

    @property
    def ended(self) -> float | None:
        """End of the newest attempt, in seconds since the epoch."""
        return self._view.attempts[-1].ended if self._view.attempts else self._view.ended

    @property
    def counts(self) -> Counts | None:
        """Execs below a group by state; None for an Exec."""
        return self._view.counts

    @property
    def has_metrics(self) -> bool:
        """Whether the newest attempt has metrics."""
        outputs = self._view.attempts[-1].outputs if self._view.attempts else None
        return outputs is not None and bool(outputs.metrics)

    @property
    def view(self) -> NodeView:
        """The complete record of the API."""
        return self._view


class LinkedArtifact(Artifact):
    """An artifact with an address.

    Attributes:
        url: Address of its file at the web app, for people who are signed in there, and for
            requests with a token. It contains no credentials.
    """

    url: str


class NodeHandle(NodeSnapshot):
    """A node of a launched pipeline, from ``pipeline[path]`` or ``pipeline.nodes()``.

    The properties are those of the moment when it was read; `refresh` reads it again. Methods
    raise `conducto.errors.ClientError`.
    """

    def __init__(self, actions: Actions, view: NodeView) -> None:
        super().__init__(view)
        self._actions = actions

    def __repr__(self) -> str:
        return f"<node {self.path} of {self._actions.pipeline_id}: {self.state.value}>"

    def refresh(self) -> Self:
        """Read the node again; return it."""
        self._view = self._actions.node(self.path)
        return self

    def detail(self) -> NodeDetail:
        """Return the details of the node, with the origin of each parameter."""
        return self._read(lambda client, pipeline_id: client.node(pipeline_id, self.path))

    def attempts(self) -> tuple[AttemptRecord, ...]:
        """Return all attempts, the first one first."""
        return self._read(lambda client, pipeline_id: client.attempts(pipeline_id, self.path))

    @property
    def result(self) -> Any:
        """The return value of a native function, as JSON; None if it returned none.

        Raises:
            conducto.errors.ClientError: the node is not done.
        """
        found = self._read(lambda client, pipeline_id: client.get_result(pipeline_id, self.path))
        if not found.exists and self.state is not State.DONE and self.refresh().state != "done":
            raise ClientError(f"{self.path}: is {self.state.value}, so it has no result")
        return found.value

    def metrics(self, *, attempt: int | None = None) -> tuple[MetricSeries, ...]:
        """Return the metrics of an attempt; the newest by default."""
        return self._read(
            lambda client, pipeline_id: client.metrics(pipeline_id, self.path, attempt=attempt)
        )

    def artifacts(self, *, attempt: int | None = None) -> tuple[LinkedArtifact, ...]:
        """Return the artifacts of an attempt, with their addresses; the newest by default."""

        def read(client: Client, pipeline_id: str) -> tuple[LinkedArtifact, ...]:
            found = client.artifacts(pipeline_id, self.path, attempt=attempt)
            status = client.status() if found else None
            app = "" if status is None else (status.app or status.url).rstrip("/")
            path = DATA_FILE.path.format(id=quote(pipeline_id))
            address = f"{app}{API_ROOT}{path}?name="
            return tuple(
                LinkedArtifact(**each.model_dump(), url=address + quote(each.name, safe=""))
                for each in found
            )

        return self._read(read)

    def resources(self, *, attempt: int | None = None) -> Resources:
        """Return the use of CPU and memory of an attempt; the newest by default."""
        return self._read(
            lambda client, pipeline_id: client.resources(pipeline_id, self.path, attempt=attempt)
        )

    def nodes(self, **filters: Unpack[Selection]) -> "list[NodeHandle]":
        """Return the nodes below it, in definition order; see `Pipeline.nodes`."""
        views = self._actions.below(self.path, **filters)
        return [NodeHandle(self._actions, view) for view in views if view.path != self.path]

    def logs(
        self, *, tail: int | None = None, stream: Stream | None = None, attempt: int | None = None
    ) -> str:
        """Return the output of an attempt as text.

        Args:
            tail: Only this many lines at the end, of each stream.
            stream: ``stdout`` or ``stderr``; by default both, stdout first.
            attempt: Its number; the newest by default.
        """
        if not self._view.attempts:
            self.refresh()
        if not self._view.attempts:
            return ""
        streams = _STREAMS if stream is None else (stream,)

        def read(client: Client, pipeline_id: str) -> str:
            which = (client, pipeline_id, self.path, attempt)
            if tail is None:
                return "".join(_decoded(_chunks(*which, name)) for name in streams)
            return "".join(_last_lines(*which, name, tail) for name in streams)

        return self._read(read)

    def follow_logs(
        self, *, stream: Stream = "stdout", attempt: int | None = None
    ) -> Generator[str, None, None]:
        """Yield the lines of an attempt's output until the attempt has ended.

        Args:
            stream: ``stdout`` or ``stderr``.
            attempt: Its number; by default the newest, or the first one that starts. There are no
                lines if the pipeline settles without one.
        """
        for line in self._lines(stream, attempt):
            if line is not None:
                yield line

    def _lines(self, stream: Stream, attempt: int | None) -> Generator[str | None, None, None]:
        """Yield lines with their ends, and None as a heartbeat."""
        number = attempt
        if number is None:
            number = yield from self._newest_attempt()
            if number is None:
                return
        rest, offset = b"", 0
        while True:
            at = offset
            chunk = self._read(
                lambda client, pipeline_id: client.log(
                    pipeline_id,
                    self.path,
                    attempt=number,
                    stream=stream,
                    offset=at,  # noqa: B023
                    wait=_LOG_WAIT,
                )
            )
            data = base64.b64decode(chunk.data)
            offset = chunk.offset + len(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield (line + b"\n").decode(errors="replace")
            if not data and chunk.complete:
                if rest:
                    yield rest.decode(errors="replace")
                return
            yield None

    def _newest_attempt(self) -> Generator[None, None, int | None]:
        """Wait for an attempt; return its number, or None if there will be none."""
        while True:
            settled = self._read(lambda client, pipeline_id: client.get(pipeline_id)).settled
            attempts = self.attempts()
            if attempts or settled:
                return attempts[-1].number if attempts else None
            yield None
            time.sleep(_LOG_WAIT)

    def reset(self, *, failed: bool = False) -> ControlResult:
        """Return the node and its subtree to pending; ``failed``: only the failed Execs in it."""
        return self._act(Action.RESET, failed=failed)

    def rerun(self, *, failed: bool = False) -> ControlResult:
        """Reset the node, as `reset`, and run the pipeline."""
        return self._act(Action.RERUN, failed=failed)

    def skip(self) -> ControlResult:
        """Skip the node."""
        return self._act(Action.SKIP)

    def unskip(self) -> ControlResult:
        """Revert `skip`."""
        return self._act(Action.UNSKIP)

    def kill(self) -> ControlResult:
        """Stop the running commands of the node."""
        return self._act(Action.KILL)

    def rebuild(self) -> ControlResult:
        """Build the images of the node again, reset it, and run the pipeline."""
        return self._act(Action.REBUILD)

    def modify(self, **changes: Unpack[NodeChanges]) -> ControlResult:
        """Change parameters; None removes the node's own value.

        A change applies to attempts that start later: reset a node that has run.
        """
        result = self._actions.on_nodes(Action.MODIFY, [self.path], **changes)
        self.refresh()
        return result

    def approve(
        self,
        *,
        comment: str | None = None,
        attempt: int | None = None,
        values: Mapping[str, object] | None = None,
    ) -> AttemptRecord:
        """Approve the node, which waits for a person; return its attempt.

        Args:
            comment: Kept with the attempt.
            attempt: The question that the person saw; needed if it was asked again after a change.
            values: Values of the fields of its form.

        Raises:
            conducto.errors.ApiError: it does not wait, or the user must not decide.
        """
        return self._decide(
            approve=True, comment=comment, attempt=attempt, values=dict(values or {})
        )

    def reject(self, *, comment: str | None = None, attempt: int | None = None) -> AttemptRecord:
        """Reject the node, which waits for a person; see `approve`."""
        return self._decide(approve=False, comment=comment, attempt=attempt)

    def _decide(self, **decision: object) -> AttemptRecord:
        request = checked(DecideApproval, path=self.path, **decision)
        pipeline_id = self._actions.pipeline_id
        attempt = self._actions.target.call(
            lambda client: client.decide_approval(pipeline_id, request)
        )
        self.refresh()
        return attempt

    def _act(self, action: Action, *, failed: bool = False) -> ControlResult:
        result = self._actions.on_nodes(action, [self.path], failed=failed)
        self.refresh()
        return result

    def _read(self, operation: Callable[[Client, str], T]) -> T:
        return self._actions.target.read(
            lambda client: operation(client, self._actions.pipeline_id)
        )


def _chunks(
    client: Client, pipeline_id: str, path: str, attempt: int | None, stream: Stream
) -> Iterator[bytes]:
    offset = 0
    while True:
        chunk = client.log(pipeline_id, path, attempt=attempt, stream=stream, offset=offset)
        data = base64.b64decode(chunk.data)
        yield data
        offset = chunk.offset + len(data)
        if not data or offset >= chunk.size:
            return


def _decoded(chunks: Iterator[bytes]) -> str:
    return b"".join(chunks).decode(errors="replace")


def _last_lines(  # noqa: PLR0917 - the place of a stream
    client: Client, pipeline_id: str, path: str, attempt: int | None, stream: Stream, count: int
) -> str:
    if count <= 0:
        return ""
    lines = client.log_lines(
        LogLinesParams(
            id=pipeline_id,
            path=path,
            attempt=attempt,
            stream=stream,
            first=-count,
            count=min(count, MAX_LOG_LINES),
        )
    ).lines
    return "".join(f"{line}\n" for line in lines)
