"""The output of commands, which workers upload in chunks."""

import base64
import zlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from secrets import token_hex
from typing import Any, TypeVar, get_args

from chalicelib.errors import ConflictError
from chalicelib.logs.port import LogKey, Storage, Uploaded
from chalicelib.people.port import Identity
from chalicelib.run.model import Input, OutputsArrived
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.workers.rules import WorkerEntry
from conducto_core.api.serve import serves
from conducto_core.command.json_logs import log_fields
from conducto_core.command.output import packed
from conducto_core.errors import RefusedError
from conducto_core.results.model import OutputStream
from conducto_core.results.outputs import MAX_LIVE, live_summary
from conducto_core.run.model.states import State
from conducto_core.workers import operations as workers_operations
from conducto_core.workers.model import (
    MAX_CHUNK,
    MAX_CHUNK_DATA,
    LogResponse,
    LogUpload,
    Report,
    UploadResponse,
    WorkerLogChunk,
)

#: ``{log field: field of a request}`` with the same meaning.
_LOGGED = {"path": "path", "attempt": "attempt", "run_id": "run"}
C = TypeVar("C")
R = TypeVar("R")


class WorkerGoneError(Exception):
    """The pipeline does not know this worker any more: it must leave (410)."""


def logged(
    method: Callable[[Any, C], Coroutine[Any, Any, R]],
) -> Callable[[Any, C], Coroutine[Any, Any, R]]:
    """Add the node, the attempt and the run of a request to each log record."""

    @wraps(method)
    async def call_with_fields(self: Any, call: C) -> R:
        with log_fields(**{name: getattr(call, field, None) for name, field in _LOGGED.items()}):
            return await method(self, call)

    return call_with_fields


def worker_of(identity: Identity) -> tuple[str, str, str]:
    """Return the organisation, the pipeline and the id of a worker; raises `WorkerGoneError`."""
    if identity.worker is None:
        raise WorkerGoneError("this call is for workers")
    pipeline_id, _, worker_id = identity.worker
    return identity.org, pipeline_id, worker_id


def registered_worker(live: CloudPipeline, worker_id: str) -> WorkerEntry:
    """Return a worker of a pipeline; raises `WorkerGoneError`."""
    worker = live.registry.workers.get(worker_id)
    if worker is None:
        raise WorkerGoneError(
            f"{live.id}: worker {worker_id} is no longer part of the pipeline; stop and leave"
        )
    return worker


def _has_received(worker: WorkerEntry | None, call: WorkerLogChunk | LogUpload | Report) -> bool:
    return worker is not None and worker.has_had(call.path, call.attempt)


def check_had(worker: WorkerEntry, call: WorkerLogChunk | LogUpload | Report) -> None:
    """Check that a worker has received the attempt of a request; raises `RefusedError`."""
    if not _has_received(worker, call):
        raise RefusedError(f"{call.path}: attempt {call.attempt} does not run on this worker")


class WorkerOutput:
    """Handles the output of one worker."""

    def __init__(
        self,
        me: Identity,
        engine: CommandProcessor,
        storage: Storage,
        clock: Callable[[], float],
    ) -> None:
        self._me, self._engine = me, engine
        self._storage, self._now = storage, clock

    @serves(workers_operations.LOG)
    @logged
    async def worker_log(self, call: WorkerLogChunk) -> LogResponse:
        org, pipeline_id, worker_id = worker_of(self._me)
        with self._engine.seen(org, pipeline_id) as live:
            its_own = _has_received(live.registry.workers.get(worker_id), call)
        if not its_own:  # this process may not have read the latest entries
            with self.worker() as (_, worker):
                check_had(worker, call)
        self.store(pipeline_id, call)
        return LogResponse(followed=self._storage.logs.has_reader(pipeline_id, self._now()))

    def store(self, pipeline_id: str, call: WorkerLogChunk) -> None:
        """Store a chunk of output; raises `RefusedError`, for example if output is missing."""
        key = LogKey(pipeline_id, call.path, call.attempt, call.stream)
        logs, times = self._storage.logs, packed(call.times)
        data = b"" if call.key is not None else _output_in(call)
        try:
            if call.key is not None:
                chunk = Uploaded(call.key, call.size, call.lines)
                logs.append_uploaded(key, call.offset, chunk, times)
            else:
                logs.append(key, call.offset, data, times)
        except ConflictError as error:
            raise RefusedError(
                f"{call.path}: output before byte {call.offset} is missing; "
                f"continue from byte {logs.size(key)}"
            ) from error
        except LookupError as error:
            raise RefusedError(f"{call.path}: upload the chunk again: {error}") from error
        if call.stream in get_args(OutputStream):
            self._note_outputs(call, key, data)
        if call.last:
            self._storage.join_output(key)

    @serves(workers_operations.LOG_UPLOAD)
    @logged
    async def worker_log_upload(self, call: LogUpload) -> UploadResponse:
        """Return an upload URL for a chunk of output that is too large for a request."""
        with self.worker() as (live, worker):
            check_had(worker, call)
            key = LogKey(live.id, call.path, call.attempt, call.stream)
        place = self._storage.logs.place_for(key, call.offset, token_hex(8))
        return UploadResponse(url=self._storage.blobs.upload_url(place, size=call.size), key=place)

    def _note_outputs(self, call: WorkerLogChunk, key: LogKey, data: bytes) -> None:
        """Add metrics and artifacts to the record of a running attempt, if their names are new."""
        org, pipeline_id, _ = worker_of(self._me)
        whole = self._storage.logs.read(key, 0, MAX_LIVE) if call.stream == "artifacts" else b""
        part = data if call.stream == "metrics" else b""

        def decide(live: CloudPipeline) -> Input | None:
            if live.exec_in(call.path, call.attempt, State.RUNNING) is None:
                return None
            summary = live_summary(live.in_flight[call.path].outputs, part, whole)
            if summary is None:
                return None
            return OutputsArrived(
                time=self._now(), path=call.path, attempt=call.attempt, outputs=summary
            )

        with self._engine.seen(org, pipeline_id) as live:
            is_new = decide(live) is not None
        if is_new:
            self._engine.submit(org, pipeline_id, decide)

    @contextmanager
    def worker(self) -> Iterator[tuple[CloudPipeline, WorkerEntry]]:
        """Yield the current pipeline and this worker of it; raises `WorkerGoneError`."""
        org, pipeline_id, worker_id = worker_of(self._me)
        with self._engine.reading(org, pipeline_id) as live:
            yield live, registered_worker(live, worker_id)


def _output_in(call: WorkerLogChunk) -> bytes:
    try:
        data = base64.b64decode(call.data, validate=True)
        if call.packed:
            data = zlib.decompressobj(wbits=31).decompress(data, MAX_CHUNK + 1)
    except (ValueError, zlib.error) as error:  # binascii.Error is a ValueError
        raise RefusedError(
            f"{call.path}: the chunk of output is not valid base64 or gzip: {error}"
        ) from error
    maximum = MAX_CHUNK if call.packed else MAX_CHUNK_DATA
    if len(data) > maximum:
        raise RefusedError(
            f"{call.path}: a chunk of output has at most {maximum} bytes, got more; split it"
        )
    return data
