"""A free organisation of the emulated cloud reaches its limit, pays, and scales out."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_client.client import Client
from conducto_client.transport.http import HttpTransport
from conducto_client.transport.port import Endpoint
from conducto_core.billing.operations import CHECKOUT, GET_BILLING
from conducto_core.run.model.params import NoParams
from conducto_core.run.model.states import State
from conducto_emulator.emulator import Emulator
from conducto_emulator.resources import Options
from conducto_emulator.stripe.server import EmulatedBilling
from support.cloud.emulated import Cloud
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.cloud, pytest.mark.docker, pytest.mark.long]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Cloud]:
    ensure(["busybox:latest"])
    emulator = Emulator(Options(tmp_path / "files", minute=3600.0, billing=EmulatedBilling))
    try:
        emulator.start()
        made = Cloud(emulator, "acme")
        yield made
        made.close()
    finally:
        emulator.close()


def test_payment_scales_the_waiting_pipeline_out_without_the_schedule(shop: Cloud) -> None:
    """The emulator's minute is an hour: only the event can have started the workers."""
    client = Client(HttpTransport(Endpoint(shop.emulator.url, shop.token)))
    root = co.Parallel(image="busybox:latest")
    for name in "abcd":
        root[name] = co.Exec("until test -e /conducto/data/pipeline/go; do sleep 1; done")
    run = shop.launch(root)
    run.until(lambda: list(run.states().values()).count("running") >= 2, "two commands run")
    assert client.call(GET_BILLING, NoParams()).plan == "free"

    page = client.call(CHECKOUT, NoParams()).url
    form = urllib.parse.urlencode({"email": "ann@acme.example", "card": "4242424242424242"})
    with pytest.raises(urllib.error.HTTPError, match="303"):
        _opener().open(page, form.encode())
    leaves = ("/a", "/b", "/c", "/d")
    run.until(lambda: all(run.states()[path] == "running" for path in leaves), "it scales out")

    assert client.call(GET_BILLING, NoParams()).status == "active"
    client.write_data(run.id, "go", b"x")
    run.settled()
    assert run.client.get(run.id).state is State.DONE
    client.close()


def _opener() -> urllib.request.OpenerDirector:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    return urllib.request.build_opener(Stay)
