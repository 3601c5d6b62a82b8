"""The times of reading output from AWS, with the model of its latencies and moto for its content.

Reads are those of the API: a stream for all output, and those of the API for the last page.
The time that moto takes for calls of DynamoDB is subtracted, because it grows with the items of a
partition; the model has AWS's time instead.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from moto.core.botocore_stubber import BotocoreStubber

from bench.cloud.lab import CloudLab
from bench.registry import BenchError
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.logs.aws.logs import ChunkedLogs
from chalicelib.logs.handlers import lines_of
from chalicelib.logs.port import LogKey
from conducto_emulator.faults.latency import Latency
from support.cloud.aws import BUCKET, TABLE, aws

Found = dict[str, float]
_KEY = LogKey("bench", "/a", 1, "stdout")
_LINE = "2026-11-27 12:{:02}:{:02} step {:06} done, 0 errors, 17 warnings\n"
_HOUR = 3600
_PAGE = 1000
_LARGE_LINES = 1_600_000
_SEED = 1


def hour(seconds: int, *, joined: bool) -> Callable[[CloudLab], Found]:
    """Return a measurement of an hour of one line a second, in a chunk every ``seconds``."""

    def measure(_lab: CloudLab) -> Found:
        lines = [_line(second) for second in range(_HOUR)]
        chunks = ["".join(lines[n : n + seconds]) for n in range(0, _HOUR, seconds)]
        return _measured(chunks, joined=joined)

    return measure


def large(_lab: CloudLab) -> Found:
    """Measure 100 MB in chunks of 4 MB."""
    text = "".join(map(_line, range(_LARGE_LINES)))
    size = 4 << 20
    return _measured([text[n : n + size] for n in range(0, len(text), size)], joined=False)


def _line(number: int) -> str:
    return _LINE.format(number // 60 % 60, number % 60, number)


def _measured(chunks: list[str], *, joined: bool) -> Found:
    with aws() as clients:
        logs = _logs(clients)
        offset = 0
        for chunk in chunks:
            logs.append(_KEY, offset, chunk.encode())
            offset += len(chunk)
        with _as_slow_as_aws(clients):
            found = {"joining_s": _timed(lambda: _join(logs))} if joined else {}
            found |= {
                "whole_s": _timed(lambda: _whole(_logs(clients))),
                "last_page_s": _timed(lambda: _last_page(_logs(clients))),
            }
    return found


def _logs(clients: Clients) -> ChunkedLogs:
    """Return a store that has read nothing yet."""
    return ChunkedLogs(DynamoTable(clients, TABLE), S3Bucket(clients, BUCKET))


def _timed(read: Callable[[], None]) -> float:
    with _time_of_moto() as spent:
        started = time.perf_counter()
        read()
        return time.perf_counter() - started - sum(spent)


@contextlib.contextmanager
def _time_of_moto() -> Iterator[list[float]]:
    """Yield a list with the seconds of each call of DynamoDB in moto."""
    spent: list[float] = []
    respond = BotocoreStubber.__call__

    def timed(self: BotocoreStubber, event_name: str, request: Any, **more: Any) -> Any:
        started = time.perf_counter()
        try:
            return respond(self, event_name, request, **more)
        finally:
            if "dynamodb" in request.url:
                spent.append(time.perf_counter() - started)

    BotocoreStubber.__call__ = timed
    try:
        yield spent
    finally:
        BotocoreStubber.__call__ = respond


def _join(logs: ChunkedLogs) -> None:
    if not logs.join(_KEY):
        raise BenchError("the chunks were not joined")


def _whole(logs: ChunkedLogs) -> None:
    size = logs.size(_KEY)
    if sum(map(len, logs.stream(_KEY, 0, size))) != size:
        raise BenchError("the output is not complete")


def _last_page(logs: ChunkedLogs) -> None:
    if len(lines_of(logs, _KEY, -_PAGE, _PAGE, 1 << 20).lines) != _PAGE:
        raise BenchError("the last page is not complete")


@contextlib.contextmanager
def _as_slow_as_aws(clients: Clients) -> Iterator[None]:
    latency = Latency(_SEED)

    def wait(service: str) -> Callable[..., None]:
        def sleep(model: object, **_more: object) -> None:
            time.sleep(latency.of_call(service, str(getattr(model, "name", ""))))

        return sleep

    added = [(clients.get(name).meta.events, wait(name)) for name in ("dynamodb", "s3")]
    for events, handler in added:
        events.register("before-call", handler)
    try:
        yield
    finally:
        for events, handler in added:
            events.unregister("before-call", handler)
