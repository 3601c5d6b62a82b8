"""Accepted and rejected requests of the local server, over raw sockets."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping

import pytest
from tests.fakes.pipelines import MemoryPipelines
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from conducto_client import AgentUnreachableError, ApiError, Client, Endpoint, HttpTransport
from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.operation import API_ROOT, MAX_BODY, MAX_LAUNCH_BODY, AnyOperation, Bytes
from conducto_core.debug.model import DebugRequest
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, ControlRequest, NodeView
from conducto_core.run.model.states import NodeType, State
from conducto_local.engine.port import EngineError
from support.api_server import TOKEN, RunningServer, running_server

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
AGENT = "/api/v1/agent"


@pytest.fixture
def pipelines() -> MemoryPipelines:
    fake = MemoryPipelines()
    root = NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)
    fake.add("p", [root])
    return fake


@pytest.fixture
def server(pipelines: MemoryPipelines) -> Iterator[RunningServer]:
    with running_server(pipelines) as running:
        yield running


def ask(
    server: RunningServer,
    path: str = AGENT,
    headers: Mapping[str, str] = AUTHORIZED,
    method: str = "GET",
    body: bytes | None = None,
) -> tuple[int, dict[str, str], dict[str, object]]:
    """Return status, headers and JSON body of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, dict(response.headers), json.loads(response.read())
    finally:
        connection.close()


def test_the_owner_is_answered(server: RunningServer) -> None:
    status, headers, answer = ask(server)

    assert status == 200
    assert headers["content-type"] == "application/json"
    assert (answer["url"], answer["version"]) == (server.endpoint.url, "1.2.3")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer ü"},
        {"Sec-WebSocket-Protocol": f"conducto.token.{TOKEN}"},
    ],
)
def test_request_without_token_is_rejected(server: RunningServer, headers: dict[str, str]) -> None:
    status, answered, problem = ask(server, headers=headers)

    assert status == 401
    assert answered["content-type"] == "application/problem+json"
    assert answered["www-authenticate"] == "Bearer"
    assert problem["title"] == "wrong token"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1"]
)
def test_another_host_name_is_refused(server: RunningServer, host: str) -> None:
    headers = {**AUTHORIZED, "Host": host.format(port=server.port)}

    status, _, problem = ask(server, headers=headers)

    assert status == 421
    assert problem["title"] == "wrong host"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_every_name_of_the_loopback_is_accepted(server: RunningServer, host: str) -> None:
    headers = {**AUTHORIZED, "Host": f"{host}:{server.port}"}

    status, _, _ = ask(server, headers=headers)

    assert status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "null"]
)
def test_a_page_of_another_origin_is_refused(server: RunningServer, origin: str) -> None:
    headers = {**AUTHORIZED, "Origin": origin.format(port=server.port)}

    status, _, problem = ask(server, headers=headers)

    assert status == 403
    assert problem["title"] == "wrong origin"


def test_page_of_the_agent_gets_a_response(server: RunningServer) -> None:
    headers = {**AUTHORIZED, "Origin": f"http://localhost:{server.port}"}

    status, _, _ = ask(server, headers=headers)

    assert status == 200


def test_a_path_outside_the_api_is_a_problem_too(server: RunningServer) -> None:
    status, headers, problem = ask(server, "/favicon.ico")

    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    assert problem["status"] == 404


def test_the_methods_of_a_path_stand_in_a_header(server: RunningServer) -> None:
    status, headers, _ = ask(server, "/api/v1/pipelines", method="PUT")

    assert status == 405
    assert headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if one.body not in {None, Bytes}],
    ids=lambda one: one.name,
)
def test_deep_json_is_refused_on_every_route(
    server: RunningServer, operation: AnyOperation
) -> None:
    query = "?path=/a" if "path" in operation.params.model_fields else ""
    path = f"{API_ROOT}{operation.path.format(id='p', name='x', shell='s')}{query}"
    headers = {**AUTHORIZED, "Content-Type": "application/json"}

    status, _, problem = ask(server, path, headers, operation.method, b"[" * 100_000)

    assert (status, problem["title"]) == (400, "body too deep")


def test_a_body_that_is_a_form_is_refused(server: RunningServer) -> None:
    headers = {**AUTHORIZED, "Content-Type": "application/x-www-form-urlencoded"}

    status, _, problem = ask(server, "/api/v1/pipelines", headers, "POST", b"tree=1")

    assert status == 415
    assert "application/json" in str(problem["detail"])


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/api/v1/pipelines/p/control", MAX_BODY), ("/api/v1/pipelines", MAX_LAUNCH_BODY)],
)
def test_a_declared_body_above_the_limit_is_refused_unread(
    server: RunningServer, path: str, limit: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    head += f"Authorization: Bearer {TOKEN}\r\nContent-Length: {limit + 1}\r\n\r\n"

    status, answer = raw_exchange(server, head.encode())

    assert status == 413
    assert f"may have {limit} bytes" in answer


def test_a_body_that_outgrows_the_limit_is_refused(server: RunningServer) -> None:
    head = f"POST /api/v1/pipelines/p/control HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    head += f"Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n"
    size = MAX_BODY + 1
    body = f"{size:x}\r\n".encode() + b" " * size + b"\r\n"

    status, _ = raw_exchange(server, head.encode() + body)

    assert status == 413


def test_request_with_two_lengths_is_refused_and_its_connection_closed(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    hidden = f"POST /api/v1/pipelines/p/control HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    hidden += f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    hidden += 'Content-Length: 16\r\n\r\n{"action":"run"}'
    head = f"POST /api/v1/pipelines/p/control HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    head += f"Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n"
    body = f"0\r\n\r\n{hidden}"
    head += f"Content-Length: {len(body)}\r\n\r\n"

    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall((head + body).encode())
        received = b"".join(iter(lambda: sock.recv(65536), b""))

    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"Transfer-Encoding" in received
    assert pipelines.actions == []


def raw_exchange(server: RunningServer, data: bytes) -> tuple[int, str]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(data)
        response = http.client.HTTPResponse(sock)
        response.begin()
        return response.status, response.read().decode()


def test_a_missing_engine_is_a_problem_of_its_own(server: RunningServer) -> None:
    class NoEngine(MemoryPipelines):
        async def get_agent(self) -> None:  # type: ignore[override]
            raise EngineError("no container engine runs; start it with 'systemctl start docker'")

    with running_server(NoEngine()) as other:
        status, _, problem = ask(other)

    assert status == 503
    assert (problem["type"], problem["title"]) == ("about:blank#engine", "no engine")
    assert "systemctl start docker" in str(problem["detail"])


def websocket_url(server: RunningServer, pipeline: str = "p") -> str:
    return f"ws://127.0.0.1:{server.port}/api/v1/pipelines/{pipeline}/events?cursor=0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer no"}, 401),
        ({**AUTHORIZED, "Origin": "http://evil.example"}, 403),
    ],
)
def test_a_stream_is_guarded_like_a_request(
    server: RunningServer, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(websocket_url(server), additional_headers=headers, proxy=None)

    assert caught.value.response.status_code == status
    assert json.loads(caught.value.response.body)["status"] == status


def test_a_browser_brings_its_token_as_a_subprotocol(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    offered = [Subprotocol("conducto.v1"), Subprotocol(f"conducto.token.{TOKEN}")]

    with connect(websocket_url(server), subprotocols=offered, proxy=None) as websocket:
        pipelines.finish("p", "/")
        frame = json.loads(websocket.recv(timeout=5))

    assert websocket.subprotocol == "conducto.v1"
    assert frame["changes"][0]["path"] == "/"


def unread_stream(server: RunningServer) -> ClientConnection:
    """Return a connection, for ``with``, of a client that reads no events."""
    return connect(
        websocket_url(server),
        additional_headers=AUTHORIZED,
        proxy=None,
        max_queue=1,
        close_timeout=0.1,
    )


def test_unread_stream_blocks_no_other_client(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    with unread_stream(server):
        for _ in range(20_000):
            pipelines.change("p", "/", State.QUEUED)

        status, _, answer = ask(server, "/api/v1/pipelines/p")

    assert status == 200
    assert answer["seq"] == 20_000


def test_server_stops_beside_a_closed_stream_that_its_client_does_not_read(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    with unread_stream(server) as stream:
        for _ in range(20_000):
            pipelines.change("p", "/", State.QUEUED)
        stream.protocol.send_close(1000)
        stream.socket.sendall(b"".join(stream.protocol.data_to_send()))

        with Client(HttpTransport(server.endpoint)) as client:
            client.stop_agent()

        assert server.stopped.wait(20)


def test_a_reader_that_leaves_is_forgotten(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    events = Client(HttpTransport(server.endpoint)).events("p")
    pipelines.finish("p", "/")
    next(events)
    assert pipelines.readers("p") == 1

    events.close()

    assert pipelines.wait_for_readers("p", 0)


def test_the_owner_can_stop_the_server(server: RunningServer) -> None:
    with Client(HttpTransport(server.endpoint)) as client:
        client.stop_agent()

    assert server.stopped.wait(10)


def test_a_server_at_work_refuses_to_stop_for_a_newer_version(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    pipelines.change("p", "/", State.RUNNING)
    client = Client(HttpTransport(server.endpoint))

    with pytest.raises(ApiError, match="pipelines are running: p;") as caught:
        client.stop_agent(if_idle=True)
    assert caught.value.status == 409
    assert client.status().pid > 0
    client.close()


def test_a_server_that_stops_ends_its_streams(pipelines: MemoryPipelines) -> None:
    with running_server(pipelines) as server:
        client = Client(HttpTransport(server.endpoint), resume_delays=(0.01, 0.01))
        events = client.events("p")
        pipelines.finish("p", "/")
        next(events)

    with pytest.raises(AgentUnreachableError, match="broke off"):
        next(events)


def test_a_client_follows_the_server_to_its_new_place(pipelines: MemoryPipelines) -> None:
    endpoints: list[Endpoint] = []
    with running_server(pipelines) as first:
        client = Client(HttpTransport(first.endpoint, find=lambda: endpoints[-1]))
        events = client.events("p")
        pipelines.finish("p", "/")
        before = [change.seq for change in next(events).changes]
    with running_server(pipelines) as second:
        endpoints.append(second.endpoint)
        pipelines.finish("p", "/")

        after = [change.seq for change in next(events).changes]
        status = client.status()

        events.close()
        client.close()
    assert (before, after) == ([1, 2], [3, 4])
    assert status.url == second.endpoint.url


def test_action_on_a_closed_connection_arrives_once(
    pipelines: MemoryPipelines,
) -> None:
    with running_server(pipelines) as first:
        client = Client(HttpTransport(first.endpoint))
        client.status()
    with running_server(pipelines, port=first.port):
        client.stop_agent()
        client.close()


def whole_message(sock: socket.socket) -> bytes:
    with sock.makefile("rb") as stream:
        head = b"".join(iter(stream.readline, b"\r\n")) + b"\r\n"
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return head + stream.read(int(length or b"0"))


@contextlib.contextmanager
def losing_answers(port: int, lost: int) -> Iterator[tuple[Endpoint, list[bytes]]]:
    """Pass requests on to ``port``, and lose the first responses; yields requests as they came."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pass_on() -> None:
            with contextlib.suppress(OSError):  # the listener is shut down in the end
                while True:
                    client, _ = listener.accept()
                    with client, socket.create_connection(("127.0.0.1", port)) as server:
                        requests.append(whole_message(client))
                        server.sendall(requests[-1])
                        answer = whole_message(server)
                        if len(requests) > lost:
                            client.sendall(answer)

        thread = threading.Thread(target=pass_on, daemon=True)
        thread.start()
        # The host that requests name is the server's, wherever they are sent.
        yield Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN), requests
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


class HostOf(HttpTransport):
    """Names another host than the one it talks to."""

    def __init__(self, endpoint: Endpoint, host: str) -> None:
        super().__init__(endpoint)
        self._host = host

    def request(self, method, path, query, body, headers=None):
        return super().request(method, path, query, body, {**(headers or {}), "Host": self._host})


def key_of(request: bytes) -> bytes:
    return request.lower().partition(b"idempotency-key: ")[2].partition(b"\r\n")[0]


def test_action_with_a_lost_response_is_sent_again_and_executed_once(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    host = f"127.0.0.1:{server.port}"
    with (
        losing_answers(server.port, lost=1) as (endpoint, requests),
        Client(HostOf(endpoint, host)) as client,
    ):
        result = client.control("p", ControlRequest(action=Action.SKIP, paths=("/",)))

    assert result.paths == ("/",)
    assert len(pipelines.actions) == 1
    assert len(requests) == 2
    assert len({key_of(request) for request in requests}) == 1
    assert key_of(requests[0])


def test_non_idempotent_request_is_not_sent_twice(
    server: RunningServer, pipelines: MemoryPipelines
) -> None:
    host = f"127.0.0.1:{server.port}"
    with (
        losing_answers(server.port, lost=9) as (endpoint, requests),
        Client(HostOf(endpoint, host)) as client,
        pytest.raises(AgentUnreachableError, match="does not answer"),
    ):
        client.debug("p", DebugRequest(path="/"))

    assert len(requests) == 1
    assert len(pipelines.shells) == 1


def test_answers_on_a_warm_connection_wait_for_no_acknowledgement(server: RunningServer) -> None:
    rounds, delayed_acknowledgement = 25, 0.04
    with Client(HttpTransport(server.endpoint)) as client:
        client.status()
        begin = time.monotonic()
        for _ in range(rounds):
            client.status()
        took = time.monotonic() - begin

    assert took < rounds * delayed_acknowledgement / 2


def test_unused_address_is_reported_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(AgentUnreachableError, match="conducto agent start"):
        Client(HttpTransport(Endpoint(f"http://127.0.0.1:{port}", "t"))).status()


def test_the_token_is_in_no_line_of_the_log(
    server: RunningServer, pipelines: MemoryPipelines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    ask(server)
    ask(server, headers={"Authorization": "Bearer nobody-knows"})
    pipelines.finish("p", "/")
    next(Client(HttpTransport(server.endpoint)).events("p"))

    assert TOKEN not in caplog.text
    assert "nobody-knows" not in caplog.text


def test_a_token_is_not_shown_with_its_endpoint() -> None:
    assert "sesame" not in repr(Endpoint("http://127.0.0.1:1", "sesame"))


def test_refusals_of_the_scheduler_keep_their_words(pipelines: MemoryPipelines) -> None:
    class Refusing(MemoryPipelines):
        async def get_pipeline(self, params: PipelineParams) -> None:  # type: ignore[override]
            raise RefusedError(f"{params.id} is asleep; wake it with 'conducto wake'")

    with running_server(Refusing()) as server:
        status, _, problem = ask(server, "/api/v1/pipelines/abc")

    assert (status, problem["detail"]) == (409, "abc is asleep; wake it with 'conducto wake'")
