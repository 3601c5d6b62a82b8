"""The API of the whole cloud: authentication, permissions, size limits and live events."""

from __future__ import annotations

import base64
import http.client
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

import conducto as co
from conducto_client.client import Client
from conducto_client.transport.cloud import CloudTransport
from conducto_client.transport.port import Endpoint
from conducto_core.api.operation import API_ROOT
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import State
from conducto_core.workers.model import MAX_CHUNK_DATA, ClaimDecision, Report, WorkerLogChunk
from conducto_emulator.tasks.tasks import Knobs
from conducto_worker.agent.port import WorkerGoneError
from support.cloud.emulated import ByHand, Cloud, Run
from support.cloud.throttled_table import throttled_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_core.run.model.requests import EventBatch

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True)
def _as_before(whole: Any) -> Iterator[None]:
    yield
    whole.board.knobs = Knobs()


def serial(**commands: str) -> Any:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25)
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


class Said(NamedTuple):
    """A response, which is a problem if its status is an error."""

    status: int
    media_type: str
    body: Any


def ask(me: Cloud, method: str, path: str, token: str | None = None, body: Any = None) -> Said:
    connection = http.client.HTTPConnection(urlsplit(me.emulator.url).netloc, timeout=60)
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, API_ROOT + path, data, headers)
        response = connection.getresponse()
        media_type = response.getheader("content-type", "")
        return Said(response.status, media_type, json.loads(response.read()))
    finally:
        connection.close()


def alone(me: Cloud, **commands: str) -> tuple[Run, ByHand]:
    """Launch a series, and be its worker."""
    me.emulator.board.knobs.delay = 3600
    run = me.launch(serial(**commands))
    run.until(lambda: bool(me.emulator.board.list(started_by=run.id, stopped=False)), "a task")
    (task,) = me.emulator.board.list(started_by=run.id, stopped=False)
    return run, ByHand(me, task)


def refused(said: Said, status: int, detail: str) -> None:
    assert (said.status, said.media_type) == (status, PROBLEM)
    assert said.body["status"] == status
    assert detail in said.body["detail"]


def test_missing_or_invalid_token_error_names_the_remedy(me: Cloud) -> None:
    refused(ask(me, "GET", "/pipelines"), 401, "carries no token")
    refused(ask(me, "GET", "/pipelines", "cdo_forged"), 401, "not valid")
    assert "conducto login" in ask(me, "GET", "/pipelines", "cdo_forged").body["remedy"]
    refused(ask(me, "GET", "/there/is/no/such/call", me.token), 404, "no such operation")


def test_a_workers_token_is_good_for_its_own_work_and_for_nothing_else(me: Cloud) -> None:
    run, worker = alone(me, a="true")
    mine = {"path": "/a", "attempt": 1}

    forged = worker.token[:-1] + ("a" if worker.token[-1] != "a" else "b")
    refused(ask(me, "POST", "/worker/heartbeat", forged, mine), 401, "not valid")
    refused(ask(me, "POST", "/worker/heartbeat", me.token, mine), 403, "worker")
    refused(ask(me, "GET", f"/pipelines/{run.id}", worker.token), 403, "read")

    other, colleague = alone(me, a="true")
    response = worker.claim(colleague.offer())
    assert response.decision is ClaimDecision.DROP
    assert other.attempts("/a")[:1] == ()
    other.control(Action.KILL, "/")
    run.control(Action.KILL, "/")


def test_token_of_a_stopped_worker_is_rejected(me: Cloud) -> None:
    run, worker = alone(me, a="true", b="true")
    offer = worker.offer()
    assert worker.claim(offer).decision is ClaimDecision.RUN
    (task,) = me.emulator.board.list(started_by=run.id, stopped=False)

    me.emulator.board.stop(task.arn, "the test takes it away")
    run.until(lambda: run.attempts("/a")[0].ended is not None, "it counts as gone")

    with pytest.raises(WorkerGoneError):
        worker.api.report(Report(path="/a", attempt=1, exit_code=0))
    with pytest.raises(WorkerGoneError):
        worker.claim(offer)
    assert str(run.attempts("/a")[0].cause) == "worker_lost"
    run.control(Action.KILL, "/")


def test_oversized_output_chunk_is_rejected_and_the_log_continues(me: Cloud) -> None:
    run, worker = alone(me, a="true")
    worker.claim(worker.offer())
    chunk = {"path": "/a", "attempt": 1, "stream": "stdout", "offset": 0}

    def sent(size: int) -> Said:
        data = base64.b64encode(b"x" * size).decode()
        return ask(me, "POST", "/worker/log", worker.token, {**chunk, "data": data})

    refused(sent(MAX_CHUNK_DATA + 1), 409, "split it")
    assert sent(3 * MAX_CHUNK_DATA).status in {400, 413, 422}
    worker.api.log(
        WorkerLogChunk.model_validate({**chunk, "data": base64.b64encode(b"fits").decode()})
    )

    assert run.output("/a") == b"fits"
    run.control(Action.KILL, "/")


def test_throttled_table_delays_a_pipeline_only(me: Cloud) -> None:
    wait = "until test -e /conducto/data/pipeline/go; do sleep 0.1; done"
    run = me.launch(serial(a=f"{wait}; echo a", b="echo b"))
    run.until(lambda: run.state("/a") == "running")

    with (
        throttled_table("transact_write_items", 8) as transactions,
        throttled_table("put_item", 3) as puts,
    ):
        me.client.write_data(run.id, "go", b"")
        run.settled()

    assert (len(transactions), len(puts)) == (8, 3)
    assert set(run.states().values()) == {"done"}
    assert (run.output("/a"), run.output("/b")) == (b"a\n", b"b\n")
    assert len(run.attempts("/a")) == len(run.attempts("/b")) == 1


def test_changes_come_by_the_socket_while_they_happen_and_so_does_output(me: Cloud) -> None:
    follower = Client(CloudTransport(Endpoint(me.emulator.url, me.token)))
    wait = "until test -e /conducto/data/pipeline/go; do sleep 0.1; done"
    run = me.launch(serial(a=f"echo one; {wait}; echo two", b="true"))
    batches: list[EventBatch] = []

    for batch in follower.events(run.id):
        batches.append(batch)
        if any(c.path == "/a" and c.state is State.RUNNING for c in batch.changes):
            run.until(lambda: run.output("/a") == b"one\n", "the first line")
            assert run.state("/a") == "running"
            follower.write_data(run.id, "go", b"")
        if batch.pipeline.settled:
            break
    follower.close()

    changes = [change for batch in batches for change in batch.changes]
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    assert [str(c.state) for c in changes if c.path == "/a"] == ["queued", "running", "done"]
    assert len(batches) > 2  # they came as they happened
    assert run.output("/a") == b"one\ntwo\n"


def test_pipelines_of_another_org_cannot_be_followed(me: Cloud) -> None:
    run = me.launch(serial(a="true"), run=False)
    other = Cloud(me.emulator, me.org + "-other")
    follower = Client(CloudTransport(Endpoint(me.emulator.url, other.token)))

    with pytest.raises(Exception, match="no pipeline"):
        next(iter(follower.events(run.id)))

    follower.close()
    other.close()


# ---- browsers ---------------------------------------------------------------------------------


class Browser:
    """The requests of a page at the web app's address.

    Attributes:
        page: The address.
        cookie: As the address set it.
    """

    def __init__(self, page: str) -> None:
        self.page = page
        self.cookie = ""

    def send(self, method: str, path: str, **headers: str) -> tuple[int, Any]:
        """Return status and JSON of a response."""
        connection = http.client.HTTPConnection(urlsplit(self.page).netloc, timeout=60)
        ours = {"Origin": self.page, "X-Conducto": "1", "Cookie": self.cookie}
        try:
            connection.request(method, path, headers={**ours, **headers})
            response = connection.getresponse()
            self.cookie = response.getheader("Set-Cookie", self.cookie).partition(";")[0]
            body = response.read()
            return response.status, json.loads(body) if body else None
        finally:
            connection.close()


def test_browser_signs_in_follows_and_signs_out_without_a_token(me: Cloud) -> None:
    login = me.client.login()
    page, code = login.url.rstrip("/"), login.code
    browser = Browser(page)
    session = browser.send("POST", f"{API_ROOT}/sessions", Authorization=f"Bearer {code}")[1]

    made = browser.send("POST", "/session", Authorization=f"Bearer {session['token']}")
    run = me.run(serial(a="true"))
    with connect(
        f"{page.replace('http', 'ws')}/socket",
        origin=Origin(page),
        subprotocols=[Subprotocol("conducto.v1")],
        additional_headers={"Cookie": browser.cookie},
    ) as socket:
        socket.send(json.dumps({"subscribe": run.id, "cursor": 0}))
        changes = json.loads(socket.recv(timeout=30))["changes"]
    who = browser.send("GET", f"{API_ROOT}/whoami")[1]
    strange = browser.send("GET", f"{API_ROOT}/whoami", **{"Sec-Fetch-Site": "cross-site"})
    ended = browser.send("DELETE", f"{API_ROOT}/sessions")
    after = browser.send("GET", f"{API_ROOT}/whoami")

    assert made == (204, None)
    assert {change["path"] for change in changes} >= {"/a"}
    assert (who["org"], who["user"]) == (me.org, "me")
    assert strange[0] == 401
    assert ended == (200, {"ended": True})
    assert after[0] == 401
