"""Data files of the emulated cloud: commands and clients see the same ones."""

from __future__ import annotations

import http.client
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

import conducto as co
from conducto.model.api import Action
from conducto.model.calls import API_ROOT
from conducto.model.cloud_calls import BODY_KEY

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud, Run

pytestmark = [pytest.mark.docker, pytest.mark.cloud, pytest.mark.xdist_group("emulator")]

HERE = "/conducto/data/pipeline"
LARGE = 9 << 20


def tree(command: str) -> co.Serial:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25)
    root["a"] = co.Exec(command)
    return root


def asked(
    url: str, method: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, bytes, str]:
    """Send a request; return status, body and where the answer leads to."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("location", "")
    finally:
        connection.close()


def file_url(me: Cloud, run: Run, name: str) -> str:
    return f"{me.emulator.url}{API_ROOT}/pipelines/{run.id}/data/file?name={name}"


def fetched(me: Cloud, run: Run, name: str, part: str | None = None) -> tuple[int, bytes]:
    """Fetch a file as a client does: the bucket, to which it is sent, answers for parts."""
    given = {} if part is None else {"Range": part}
    mine = {"Authorization": f"Bearer {me.token}", **given}
    status, _, place = asked(file_url(me, run, name), "GET", mine)
    assert status == 303
    status, body, _ = asked(place, "GET", given)
    return status, body


def test_a_client_sees_what_commands_wrote_and_the_other_way_round(me: Cloud) -> None:
    run = me.launch(tree(f"cat {HERE}/given; echo made > {HERE}/result"), run=False)
    headers = {"Authorization": f"Bearer {me.token}", "Content-Type": "application/octet-stream"}
    status, answer, _ = asked(file_url(me, run, "given"), "PUT", headers, b"from outside\n")
    assert status == 200, answer

    run.control(Action.RUN)
    run.settled()

    assert run.output("/a") == b"from outside\n"
    assert [entry.name for entry in me.client.data(run.id)] == ["given", "result"]
    assert fetched(me, run, "result") == (200, b"made\n")


def test_a_large_file_comes_and_goes_by_the_bucket(me: Cloud) -> None:
    run = me.launch(tree("true"), run=False)
    content = os.urandom(LARGE)
    headers = {"Authorization": f"Bearer {me.token}"}
    _, upload, _ = asked(f"{me.emulator.url}{API_ROOT}/uploads", "POST", headers)
    place = json.loads(upload)
    assert asked(place["url"], "PUT", {}, content)[0] == 200

    status, answer, _ = asked(
        file_url(me, run, "large"), "PUT", {**headers, BODY_KEY: place["key"]}
    )

    assert status == 200, answer
    assert fetched(me, run, "large") == (200, content)
    assert fetched(me, run, "large", "bytes=10-19") == (206, content[10:20])
