"""Waits for a pipeline and follows its changes, over restarts of the agent."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

from conducto.errors import ClientError, PipelineNotFoundError, WaitTimeoutError
from conducto_client.errors import AgentUnreachableError, ApiError
from conducto_client.target import Target
from conducto_core.run.model.records import NodeChange
from conducto_core.run.model.requests import EventBatch, PipelineSummary

#: Seconds after which a server that is unreachable is an error.
RECONNECT_SECONDS = 60.0
#: Longest time between two steps, in seconds: callers check their deadline after each.
HEARTBEAT_SECONDS = 1.0
#: Seconds between two attempts to reconnect.
RETRY_SECONDS = 0.2
#: Heartbeats without a change after which the state is read: pausing is not a change of a node.
_QUIET = 2
_REJECTED = frozenset({401, 403})
_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Watcher:
    """Reads the events of one pipeline.

    Attributes:
        reconnect: Seconds to try to reconnect.
        retry: Seconds between two attempts.
        clock: Seconds that never go back.
    """

    target: Target
    pipeline_id: str
    reconnect: float = RECONNECT_SECONDS
    retry: float = RETRY_SECONDS
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def summary(self) -> PipelineSummary:
        """Return the current state of the pipeline.

        Raises:
            PipelineNotFoundError: it does not exist.
        """
        try:
            return self.target.read(lambda client: client.get(self.pipeline_id))
        except ApiError as error:
            raise missing(error) from error

    def wait(self, timeout: float | None) -> Generator[PipelineSummary, None, None]:
        """Yield the state at least once per heartbeat, until the pipeline has settled.

        Raises:
            WaitTimeoutError: it has not settled after ``timeout`` seconds.
            AgentUnreachableError: the server stays unreachable.
            ApiError: the server rejects the request, or keeps failing.
        """
        end = None if timeout is None else self.clock() + timeout
        now = self.summary()
        newest = now.seq
        with closing(self._batches(newest)) as batches:
            while True:
                yield now
                if now.settled:
                    return
                if end is not None and self.clock() >= end:
                    raise WaitTimeoutError(
                        f"pipeline {self.pipeline_id} is {now.state.value} after {timeout:g} s; "
                        f"it continues: wait again, or see 'conducto show {self.pipeline_id}'"
                    )
                batch = next(batches)
                if batch is not None and batch.pipeline.seq >= newest:
                    now = batch.pipeline

    def follow(self, cursor: int) -> Generator[NodeChange | None, None, None]:
        """Yield the changes after ``cursor``, and None as a heartbeat, until it has settled."""
        now = self.summary()
        if now.settled and now.seq <= cursor:
            return
        with closing(self._batches(cursor)) as batches:
            for batch in batches:
                if batch is None:
                    yield None
                    continue
                for change in batch.changes:
                    cursor = change.seq
                    yield change
                if batch.pipeline.settled and batch.pipeline.seq <= cursor:
                    return

    def _batches(self, cursor: int) -> Generator[EventBatch | None, None, None]:
        """Yield changes without end, over lost connections; None at least once per heartbeat."""
        lost: float | None = None
        rejected = False
        while True:
            try:
                with closing(self._connection(cursor)) as batches:
                    for batch in batches:
                        lost, rejected = None, False
                        if batch is not None and batch.changes:
                            cursor = batch.changes[-1].seq
                        yield batch
            except (AgentUnreachableError, ApiError) as error:
                if isinstance(error, AgentUnreachableError) or _is_passing(error):
                    lost = self.clock() if lost is None else lost
                    if self.clock() - lost >= self.reconnect:
                        raise self._lost(error) from error
                elif error.status not in _REJECTED or rejected:
                    raise missing(error) from error
                else:
                    # A new agent or a new login has another token, which the next client reads.
                    rejected = True
            yield None
            time.sleep(self.retry)

    def _connection(self, cursor: int) -> Generator[EventBatch | None, None, None]:
        """Yield changes of one connection, and the state if there are none."""
        quiet = 0
        with (
            self.target.host.open(start=False) as client,
            closing(client.event_stream(self.pipeline_id, cursor, HEARTBEAT_SECONDS)) as batches,
        ):
            for batch in batches:
                yield batch
                quiet = quiet + 1 if batch is None else 0
                if quiet == _QUIET:
                    quiet = 0
                    yield EventBatch(changes=(), pipeline=client.get(self.pipeline_id))

    def _lost(self, error: AgentUnreachableError | ApiError) -> AgentUnreachableError | ApiError:
        if isinstance(error, ApiError):
            return error
        return AgentUnreachableError(
            f"pipeline {self.pipeline_id}: the server has been unreachable for "
            f"{self.reconnect:g} s, so its state is unknown; wait again to reconnect\n{error}"
        )


def missing(error: ApiError) -> ClientError:
    """Return the error of a request for the pipeline as a whole, which may not exist."""
    return PipelineNotFoundError(str(error)) if error.status == _NOT_FOUND else error


def _is_passing(error: ApiError) -> bool:
    """Return whether a later request may succeed: the server is overloaded, or it failed."""
    return error.status == _TOO_MANY_REQUESTS or error.status >= _SERVER_ERROR
