"""A command on an emulated worker launches a pipeline over the network, with its own token."""

from __future__ import annotations

import shlex
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_core.images.model import ImageSources
from support.stand_ins import ensure

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

CODE = """
import os, urllib.error, urllib.request
import conducto as co

token = os.environ["CONDUCTO_LAUNCH_TOKEN"]
root = co.Serial()
root["a"] = co.Exec("echo from the child")
child = co.launch(root, title="child")
print(child.wait(timeout=200, check=True), child.target, "token", token)
headers = {"Authorization": "Bearer " + token}
url = os.environ["CONDUCTO_URL"] + "/api/v1/pipelines"
try:
    urllib.request.urlopen(urllib.request.Request(url, headers=headers))
except urllib.error.HTTPError as error:
    print("list:", error.code)
print(token[::-1])
"""


def status_of(url: str, token: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.long  # two workers; the parts: tests/functions/children/test_children.py
@pytest.mark.timeout(900)
def test_command_launches_a_child_and_its_token_ends_with_it(me: Cloud) -> None:
    ensure(["python:3.11-slim"])
    root = co.Serial(image=co.Image("python:3.11-slim", name="py"))
    root["parent"] = co.Exec(f"python3 -c {shlex.quote(CODE)}", launch=True, cpu=0.25, mem=0.5)

    run = me.launch(root, sources={"py": ImageSources()}).settled(600)

    done, listing, reverse = run.output("/parent").decode().splitlines()
    assert (done, listing) == ("done cloud token ********", "list: 403"), run.output(
        "/parent", "stderr"
    )
    (child,) = me.client.list(parent=run.id)
    assert (child.pipeline.title, child.state) == ("child", "done")
    url = f"{me.emulator.url}/api/v1/children/{child.pipeline.id}"
    assert status_of(url, reverse[::-1]) == 401
