"""Output on its way to the API: collected, then sent every few seconds or when it is large.

A little output travels with the heartbeats of its command. A large chunk is compressed and uploaded
to the bucket, and the API only records it.
"""

import base64
import gzip
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from conducto_core.command.output import CLOUD_RESOLUTION, LineClock, LineTime
from conducto_core.results.model import OutputStream
from conducto_core.workers.model import (
    JOINED_CHUNKS,
    MAX_CHUNK,
    MAX_CHUNK_TIMES,
    MAX_HEARTBEAT_CHUNKS,
    MAX_INLINE_CHUNK,
    HeartbeatResponse,
    LogUpload,
    WorkerLogChunk,
)
from conducto_worker.agent.port import Api, Clock, RefusedError, WorkerApiError

logger = logging.getLogger(__name__)

#: The streams of an attempt. The rest of an attempt is sent in this order: later nodes need the
#: result, and a large output must not delay it.
Kept = Literal[OutputStream, "stdout", "stderr", "resources"]

_TIMED: tuple[Literal["stdout", "stderr"], ...] = ("stdout", "stderr")

#: Seconds after which output is sent regardless of its size: while a client reads it, and
#: otherwise. The latter is longer than the time between heartbeats, which carry a little output.
LINGER_SECONDS = 1.0
UNREAD_SECONDS = 12.0
#: Output of this size is sent at once: of a command, and of other streams.
CHUNK_BYTES = MAX_CHUNK
SMALL_CHUNK_BYTES = 256 << 10
#: Maximum bytes of a chunk that a heartbeat carries.
HEARTBEAT_BYTES = 32 << 10
#: Output up to this size is not compressed.
_PLAIN_BYTES = 1 << 10
#: Seconds allowed for sending the rest of the output before its attempt is reported.
FLUSH_SECONDS = 60.0
#: Further seconds for an unsent result; an attempt whose result is still unsent is lost.
RESULT_SECONDS = 60.0
#: Maximum number of unsent bytes; beyond it the command has to wait.
MAX_WAITING = 8 << 20
_LEVEL = 6
_LOST = "some of its output could not be stored"
_RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)


class _Chunk(NamedTuple):
    """A message, and the output for it."""

    message: WorkerLogChunk
    data: bytes

    def direct(self) -> WorkerLogChunk:
        data, is_small = self.data, len(self.data) <= _PLAIN_BYTES
        return self._with(data if is_small else _gzip(data), packed=not is_small)

    def sendable(self, upload: Callable[[LogUpload, bytes], str]) -> WorkerLogChunk:
        """Return the message with its output or, if it is large, with the key of the upload."""
        message, data = self.message, self.data
        if message.stream not in _TIMED or len(data) <= _PLAIN_BYTES:
            return self.direct()
        packed = _gzip(data)
        if len(packed) <= MAX_INLINE_CHUNK:
            return self._with(packed, packed=True)
        wanted = LogUpload(
            path=message.path,
            attempt=message.attempt,
            stream="stdout" if message.stream == "stdout" else "stderr",
            offset=message.offset,
            size=len(packed),
        )
        uploaded = {"size": len(data), "lines": data.count(b"\n"), "key": upload(wanted, packed)}
        return message.model_copy(update=uploaded)

    def _with(self, data: bytes, *, packed: bool) -> WorkerLogChunk:
        text = base64.b64encode(data).decode("ascii")
        return self.message.model_copy(update={"data": text, "packed": packed})


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, _LEVEL, mtime=0)


@dataclass(slots=True)
class _Stream:
    """The unsent output of one stream.

    Attributes:
        offset: Number of bytes already sent.
        since: Time from which the unsent bytes have been waiting.
        closing: The stream is complete, so it is sent without delay.
        clock: Decides which output gets a record of its time; None: none does.
        times: The records of unsent output, behind the last one in front of it.
        waiting: A chunk that is on its way. It is not extended, because an earlier attempt to send
            it may have succeeded.
        sent_chunks: Number of chunks sent.
        ended: The API knows that the stream has ended, if it has many chunks.
    """

    path: str
    attempt: int
    stream: Kept
    offset: int = 0
    data: bytearray = field(default_factory=bytearray)
    since: float = 0.0
    closing: bool = False
    clock: LineClock | None = None
    times: deque[LineTime] = field(default_factory=deque)
    waiting: _Chunk | None = None
    sent_chunks: int = 0
    ended: bool = False

    @property
    def maximum(self) -> int:
        """Maximum bytes of a chunk."""
        return CHUNK_BYTES if self.stream in _TIMED else SMALL_CHUNK_BYTES

    def due(self, now: float, linger: float) -> float:
        if self.closing or len(self.data) >= self.maximum or self.waiting is not None:
            return 0.0
        return max(0.0, self.since + linger - now)

    def cut(self) -> "_Chunk":
        """Return the next chunk to send, which is not removed yet, without its output."""
        data = bytes(self.data[: self.maximum])
        end = self.offset + len(data)
        times = [each for each in self.times if each[0] < end]
        message = WorkerLogChunk(
            path=self.path,
            attempt=self.attempt,
            stream=self.stream,
            offset=self.offset,
            times=tuple(times[:MAX_CHUNK_TIMES]),
            last=self.closing and len(data) == len(self.data) and self.sent_chunks >= JOINED_CHUNKS,
        )
        return _Chunk(message, data)

    @property
    def done(self) -> bool:
        """Whether nothing is left to send; a stream with many chunks also has an end."""
        return not self.data and (self.ended or self.sent_chunks < JOINED_CHUNKS)

    def note_time(self) -> None:
        """Record the time at which the next bytes were read."""
        record = None if self.clock is None else self.clock.record(self.offset + len(self.data))
        if record is not None:
            self.times.append(record)

    def sent(self, size: int) -> None:
        """Drop sent bytes, and the records that no unsent byte needs."""
        del self.data[:size]
        self.offset += size
        self.waiting = None
        self.sent_chunks += 1
        while len(self.times) > 1 and self.times[1][0] <= self.offset:
            self.times.popleft()


class LogShipper:
    """Sends the output of one attempt after the other; safe to use from two threads.

    A chunk is sent until the API has it. It carries its offset in the stream, so a chunk that
    arrives twice does no harm. A chunk that the API rejects is dropped and logged.

    Attributes:
        failure: Why output of the current attempt is lost, or None.
    """

    def __init__(self, api: Api, clock: Clock, wall: Callable[[], float] = time.time) -> None:
        self._api = api
        self._wall = wall
        self._clock = clock
        self._streams: dict[Kept, _Stream] = {}
        self._finished: deque[_Stream] = deque()
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._failures = 0
        self._waiting = 0
        self._current = ("", 0)
        self._linger = LINGER_SECONDS
        self.failure: str | None = None

    def begin(self, path: str, attempt: int) -> None:
        with self._changed:
            self._linger = LINGER_SECONDS  # the first output is shown at once
            self.failure = None
            self._current = (path, attempt)
            self._streams = {name: _Stream(path, attempt, name) for name in get_args(Kept)}
            for name in _TIMED:
                self._streams[name].clock = LineClock(self._wall, CLOUD_RESOLUTION)

    def write(self, stream: Kept, data: bytes) -> None:
        """Add output, already masked."""
        if not data:
            return
        with self._changed:
            found = self._streams[stream]
            if not found.data:
                found.since = self._clock.now()
            found.note_time()
            found.data += data
            self._waiting += len(data)
            self._changed.notify_all()

    def finish(self) -> None:
        """Mark the output of the current attempt as complete."""
        with self._changed:
            for each in self._streams.values():
                each.closing = True
                if not each.done:
                    self._finished.append(each)
            self._streams = {}
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether so much output is unsent that the command has to wait."""
        return self._waiting > MAX_WAITING

    @property
    def empty(self) -> bool:
        return self._waiting == 0

    def step(self) -> float:
        """Send the chunk that is due; return the seconds until the next call."""
        with self._sending:
            return self._step()

    def _step(self) -> float:
        with self._changed:
            ready, delay = self._next()
            if ready is None:
                return delay
            chunk = ready.waiting = ready.waiting or ready.cut()
        about = {"path": ready.path, "attempt": ready.attempt}
        try:
            if chunk.message.key is None and not chunk.message.data:
                chunk = ready.waiting = chunk._replace(message=chunk.sendable(self._api.log_upload))
            followed = self._api.log(chunk.message).followed
        except RefusedError:
            size = len(chunk.data)
            logger.exception("output was rejected; %s bytes are lost", size, extra=about)
            is_current = (ready.path, ready.attempt) == self._current
            if is_current and ready.stream != "resources":
                self.failure = _LOST
        except WorkerApiError as error:
            logger.warning("cannot send output yet: %s", error, extra=about)
            self._failures += 1
            return _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS)) - 1]
        else:
            self._linger = LINGER_SECONDS if followed else UNREAD_SECONDS
        self._failures = 0
        self._sent(ready, chunk)
        return 0.0

    def with_heartbeat(
        self,
        path: str,
        attempt: int,
        send: Callable[[tuple[WorkerLogChunk, ...]], HeartbeatResponse],
    ) -> HeartbeatResponse:
        """Send a heartbeat of a command with a little output of it; return its response.

        Args:
            path: Path of the command.
            attempt: Its attempt.
            send: Sends a heartbeat with chunks; raises `ApiError`.
        """
        if not self._sending.acquire(blocking=False):
            return send(())  # output is being sent
        try:
            chosen = self._small(path, attempt)
            try:
                response = send(tuple(chunk.direct() for _, chunk in chosen))
            except RefusedError:
                if not chosen:
                    raise
                chosen = []  # `step` finds out which chunk is rejected
                response = send(())
            if chosen or response.followed:
                self._linger = LINGER_SECONDS if response.followed else UNREAD_SECONDS
            for stream, chunk in chosen:
                self._sent(stream, chunk)
            return response
        finally:
            self._sending.release()
            self.wake()

    def _small(self, path: str, attempt: int) -> list[tuple[_Stream, _Chunk]]:
        with self._changed:
            if (path, attempt) != self._current:
                return []
            small = [
                each
                for each in self._streams.values()
                if 0 < len(each.data) <= HEARTBEAT_BYTES and each.waiting is None
            ]
            return [(each, each.cut()) for each in small[:MAX_HEARTBEAT_CHUNKS]]

    def run(self, leaving: threading.Event) -> None:
        """Send output until ``leaving`` is set."""
        while not leaving.is_set():
            delay = self.step()
            with self._changed:
                if delay > 0 and not leaving.is_set():
                    self._changed.wait(delay)

    def wake(self) -> None:
        """Make `run` check whether to return."""
        with self._changed:
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Send all output; return False if it took too long."""
        return self._send_until(lambda: self.empty, seconds)

    def drain_attempt(self) -> None:
        """Send all output, or at least the result, metrics and artifacts of the current attempt.

        A node that uses the result starts as soon as the attempt is reported.
        """
        if self.drain(FLUSH_SECONDS):
            return
        logger.warning("output is not sent completely yet")
        if not self._send_until(lambda: not self._has_results(), RESULT_SECONDS):
            self.failure = _LOST

    def _send_until(self, done: Callable[[], bool], seconds: float) -> bool:
        end = self._clock.now() + seconds
        while not done():
            delay = self.step()
            if self._clock.now() >= end:
                break
            if delay > 0:
                self._clock.wait(delay)
        return done()

    def _has_results(self) -> bool:
        with self._changed:
            return any(
                each.stream in get_args(OutputStream)
                and (each.path, each.attempt) == self._current
                and bool(each.data)
                for each in self._finished
            )

    def _next(self) -> tuple[_Stream | None, float]:
        if self._finished:
            return self._finished[0], 0.0
        waiting = [each for each in self._streams.values() if each.data]
        if not waiting:
            return None, LINGER_SECONDS
        now = self._clock.now()
        delay, first = min(
            ((each.due(now, self._linger), each) for each in waiting), key=lambda pair: pair[0]
        )
        return (first, 0.0) if delay <= 0 else (None, delay)

    def _sent(self, stream: _Stream, chunk: _Chunk) -> None:
        with self._changed:
            stream.sent(len(chunk.data))
            stream.ended = chunk.message.last
            stream.since = self._clock.now()
            self._waiting -= len(chunk.data)
            while self._finished and self._finished[0].done:
                self._finished.popleft()
            self._changed.notify_all()
