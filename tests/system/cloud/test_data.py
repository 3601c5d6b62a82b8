"""Data files of the emulated cloud: commands and clients see the same ones."""

from __future__ import annotations

import http.client
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

import conducto as co
from chalicelib.data.copy_jobs import MAX_AT_ONCE
from conducto_client import Client
from conducto_client.calls import CHUNK
from conducto_client.transport.cloud import CloudTransport
from conducto_client.transport.port import Endpoint
from conducto_core.api.operation import API_ROOT
from conducto_core.run.model.params import LogFileParams, LogLinesParams, LogSearchParams
from conducto_core.run.model.requests import Action

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud, Run

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

HERE = "/conducto/data/pipeline"


def tree(command: str) -> co.Serial:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25)
    root["a"] = co.Exec(command)
    return root


def asked(
    url: str, method: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, bytes, str]:
    """Send a request; return status, body and the location of the response."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.getheader("location", "")
    finally:
        connection.close()


def file_url(me: Cloud, run: Run, name: str) -> str:
    return f"{me.emulator.url}{API_ROOT}/pipelines/{run.id}/data/file?name={name}"


def fetched(me: Cloud, run: Run, name: str, part: str | None = None) -> tuple[int, bytes]:
    """Fetch a file as a browser does: the bucket, to which it is sent, answers for parts."""
    given = {} if part is None else {"Range": part}
    mine = {"Authorization": f"Bearer {me.token}", **given}
    status, _, place = asked(file_url(me, run, name), "GET", mine)
    assert status == 303
    status, body, _ = asked(place, "GET", given)
    return status, body


def test_clients_and_commands_share_data_files(me: Cloud) -> None:
    run = me.launch(tree(f"cat {HERE}/given; echo made > {HERE}/result"), run=False)
    headers = {"Authorization": f"Bearer {me.token}", "Content-Type": "application/octet-stream"}
    status, response, _ = asked(file_url(me, run, "given"), "PUT", headers, b"from outside\n")
    assert status == 200, response

    run.control(Action.RUN)
    run.settled()

    assert run.output("/a") == b"from outside\n"
    assert [entry.name for entry in me.client.data(run.id)] == ["given", "result"]
    assert fetched(me, run, "result") == (200, b"made\n")
    assert fetched(me, run, "result", "bytes=1-2") == (206, b"ad")


@pytest.mark.parametrize("size", [0, 5, CHUNK, 2 * CHUNK + 7])
def test_client_reads_back_its_data_of_any_size(me: Cloud, size: int) -> None:
    content = os.urandom(size)
    with Client(CloudTransport(Endpoint(me.emulator.url, me.token))) as client:
        for whose in (me.launch(tree("true"), run=False).id, None):
            entry = client.write_data(whose, "a/file", content)

            assert entry.size == size
            assert b"".join(client.read_data(whose, "a/file")) == content

            client.delete_data(whose, "a")
            assert list(client.data(whose)) == []


@pytest.mark.long
def test_slow_files_are_transferred_beyond_the_request_timeout(me: Cloud) -> None:
    size = MAX_AT_ONCE + 7
    run = me.run(tree(f"head -c {size} /dev/zero | tr '\\0' x > {HERE}/large"))
    told: list[str] = []
    endpoint = Endpoint(me.emulator.url, me.token)
    with Client(CloudTransport(endpoint, waiting=told.append)) as client:
        came = sum(chunk.count(b"x") for chunk in client.read_data(run.id, "large"))
        first = len(told)
        entry = client.write_data(run.id, "back", b"y" * size)
        back = sum(chunk.count(b"y") for chunk in client.read_data(run.id, "back"))

    assert (came, entry.size, back) == (size, size, size)
    assert first > 0
    assert told[0] == "large is being copied: 0 of 34 MB"
    assert len(told) > first


def test_a_log_comes_whole_and_by_lines(me: Cloud) -> None:
    run = me.run(tree("seq 1 200000"))
    expected = "".join(f"{number}\n" for number in range(1, 200_001))
    with Client(CloudTransport(Endpoint(me.emulator.url, me.token))) as client:
        whole = b"".join(client.download_log(LogFileParams(id=run.id, path="/a")))
        page = client.log_lines(LogLinesParams(id=run.id, path="/a", first=199_998))
        found = client.search_log(
            LogSearchParams(id=run.id, path="/a", text="^1999.9$", regex=True)
        )

    assert whole.decode() == expected
    assert (page.lines, page.total) == (("199999", "200000"), 200_000)
    assert [match.line for match in found.matches] == [199_908 + 10 * n for n in range(10)]
