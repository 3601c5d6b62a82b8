"""The text for Prometheus at the agent's port needs the owner's token."""

import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.pipelines import MemoryPipelines

from conducto_core.telemetry.rules.metrics import PATH, Point
from support.api_server import TOKEN, running_server

AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


async def read():
    return [Point("conducto.queue.length", (), 3)]


@pytest.fixture
def server():
    with running_server(MemoryPipelines(), read_metrics=read) as running:
        yield running


def ask(server, headers, method="GET"):
    request = urllib.request.Request(server.endpoint.url + PATH, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers["content-type"], response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read().decode()


def test_the_owner_reads_the_values(server):
    status, kind, text = ask(server, AUTHORIZED)

    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    (family,) = text_string_to_metric_families(text)
    assert (family.name, family.samples[0].value) == ("conducto_queue_length", 3)


def test_others_do_not(server):
    assert ask(server, {})[0] == 401
    assert ask(server, {"authorization": "Bearer cdo_wrong"})[0] == 401
    assert ask(server, AUTHORIZED, "POST")[0] == 405
