"""Output of a gigabyte, from the command to its readers, in bounded memory."""

from __future__ import annotations

import asyncio
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.worker import FakeApi, FakeClock

from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.logs.aws.logs import ChunkedLogs
from conducto_core.run.model.params import LogFileParams, LogLinesParams, LogSearchParams
from conducto_core.workers.model import HeartbeatResponse
from conducto_worker.agent.log_shipper import LogShipper
from support.cloud.aws import ACCOUNT, BUCKET, REGION, TABLE, make_table
from support.cloud.world import World
from support.trees import leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.logs.port import LogKey
    from conducto_core.workers.model import LogUpload, WorkerLogChunk
    from support.cloud.world import Hand
_BLOCK = 1 << 16
_MB = 1 << 20


@contextmanager
def separate_aws() -> Iterator[Clients]:
    """Yield clients of a moto that runs in another process, so that its memory does not count."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(url)
        clients = Clients(
            REGION, endpoint_url=url, aws_access_key_id=ACCOUNT, aws_secret_access_key="test"
        )
        make_table(clients)
        clients.get("s3").create_bucket(Bucket=BUCKET)
        yield clients
    finally:
        server.kill()
        server.wait()


def _await(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("moto did not start")


class Desk(FakeApi):
    """The API as a worker calls it, with its uploads to the bucket over HTTP."""

    def __init__(self, hand: Hand) -> None:
        super().__init__()
        self._hand = hand
        self.messages = 0
        self.uploaded = 0

    def log(self, chunk: WorkerLogChunk) -> Any:
        self.messages += 1
        return self._hand.desk.log(self._hand.identity, chunk)

    def log_upload(self, wanted: LogUpload, data: bytes) -> str:
        place = self._hand.desk.log_upload(self._hand.identity, wanted)
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(place.url, data, headers, method="PUT")
        urllib.request.urlopen(request, timeout=60).close()
        self.uploaded += len(data)
        return str(place.key)

    def heartbeat(self, heartbeat: Any) -> HeartbeatResponse:
        response = self._hand.desk.heartbeat(self._hand.identity, heartbeat)
        assert isinstance(response, HeartbeatResponse)
        return response


@pytest.mark.parametrize(
    "megabytes", [12, pytest.param(1024, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_large_output_is_written_and_read_in_bounded_memory(megabytes: int) -> None:
    joined: list[LogKey] = []
    with separate_aws() as clients:
        bucket = S3Bucket(clients, BUCKET)
        logs = ChunkedLogs(DynamoTable(clients, TABLE), bucket)
        world = World(logs=logs, blobs=bucket, join_output=joined.append)
        pipeline = world.launch(leaf("a"))
        world.serve()
        (hand,) = world.living()
        assert hand.job is not None
        api = Desk(hand)
        shipper = LogShipper(api, FakeClock())
        shipper.begin(hand.job.path, hand.job.attempt)
        before = _peak()
        lines = written(shipper, megabytes * _MB)
        assert shipper.drain(60)
        for key in joined:
            assert logs.join(key)
        hand.finish(exit_code=0)
        api_of = world.pipelines()
        whose = {"id": pipeline, "path": "/"}

        page = asyncio.run(api_of.read_log_lines(LogLinesParams(**whose, first=-3, count=3)))
        first = asyncio.run(
            api_of.read_log_lines(LogLinesParams(**whose, first=lines // 2, count=1))
        )
        matches = asyncio.run(_found(api_of, whose, f"line {lines // 2:012} "))
        size = asyncio.run(_downloaded(api_of, whose))

        assert page.total == lines
        assert page.lines == tuple(_line(n).decode()[:-1] for n in range(lines - 3, lines))
        assert first.lines == (_line(lines // 2).decode()[:-1],)
        assert matches == [lines // 2]
        assert size == lines * len(_line(0))
        assert len(joined) == (megabytes > 400)
        # 8 MB wait at the worker, readers are 16 MB ahead, and caches have 16 MB.
        assert _peak() - before < 200 * _MB


def written(shipper: LogShipper, size: int) -> int:
    """Print lines as a command does; return their number."""
    number = 0
    while number * len(_line(0)) < size:
        block = b"".join(map(_line, range(number, number + _BLOCK // len(_line(0)))))
        number += block.count(b"\n")
        shipper.write("stdout", block)
        while shipper.full:
            shipper.step()
    shipper.finish()
    return number


def _line(number: int) -> bytes:
    # A part of it does not compress well, like the output of many programs.
    return b"line %012d %08x\n" % (number, number * 2_654_435_761 % (1 << 32))


async def _found(api: Any, whose: dict[str, str], text: str) -> list[int | None]:
    matches: list[int | None] = []
    offset: int | None = 0
    while offset is not None:
        found = await api.search_log(LogSearchParams(**whose, text=text, offset=offset))
        matches += [match.line for match in found.matches]
        offset = found.next
    return matches


async def _downloaded(api: Any, whose: dict[str, str]) -> int:
    download = await api.download_log(LogFileParams(**whose))
    size = 0
    async for chunk in download.chunks:
        size += len(chunk)
    assert size == download.size
    return size


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
