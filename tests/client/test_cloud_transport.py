"""The way to a cloud installation: addresses, large bodies and answers, API Gateway's own words."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.server import serve
from websockets.typing import Subprotocol

from conducto_client import AgentUnreachableError, ApiError
from conducto_client.transport.cloud import CloudClient, CloudTransport
from conducto_client.transport.port import Endpoint, StreamLostError
from conducto_core.api import cloud_operations as cloud
from conducto_core.run.model.requests import LaunchRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.server import ServerConnection

WHO = {"org": "acme", "user": "ann", "permissions": ["read"], "plan": "free", "version": "1.0"}


class Installation:
    """API Gateway and a bucket, as far as a test says.

    Attributes:
        responses: ``{(method, path): (status, headers, body)}``.
        requests: ``(method, path, headers, body)`` of all that came.
    """

    def __init__(self) -> None:
        self.responses: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        installation = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One write per response: two of them wait 40 ms for the client's delayed ACK.
            wbufsize = -1

            def response(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                installation.requests.append((self.command, self.path, headers, body))
                key = (self.command, self.path.partition("?")[0])
                missing = (403, {}, b'{"message": "Missing Authentication Token"}')
                status, given, data = installation.responses.get(key, missing)
                self.send_response(status)
                for name, value in {**given, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = response  # noqa: N815  http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # closing waits for them
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/stage"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def says(
        self, method: str, path: str, response: Any, status: int = 200, **headers: str
    ) -> None:
        data = response if isinstance(response, bytes) else json.dumps(response).encode()
        self.responses[method, path] = (status, headers, data)


@pytest.fixture
def there() -> Iterator[Installation]:
    made = Installation()
    yield made
    made.close()


@pytest.fixture
def client(there: Installation) -> Iterator[CloudClient]:
    with CloudClient(CloudTransport(Endpoint(there.url, "cdo_secret"))) as made:
        yield made


def test_path_of_the_address_prefixes_every_call(there: Installation, client: CloudClient) -> None:
    there.says("GET", "/stage/api/v1/whoami", WHO)

    assert client.who_am_i().user == "ann"
    assert there.requests[0][2]["authorization"] == "Bearer cdo_secret"


def test_a_large_body_goes_by_way_of_the_bucket(there: Installation, client: CloudClient) -> None:
    upload = {"url": there.url + "/bucket/k?signature=x", "key": "uploads/acme/ann/k"}
    there.says("POST", "/stage/api/v1/uploads", upload)
    there.says("PUT", "/stage/bucket/k", b"")
    refused = {"title": "t", "status": 409, "detail": "no more"}
    kind = {"Content-Type": "application/problem+json"}
    there.says("POST", "/stage/api/v1/pipelines", refused, 409, **kind)

    with pytest.raises(ApiError, match="no more"):
        client.launch(LaunchRequest(tree={"nodes": ["x" * cloud.MAX_DIRECT]}))

    _, put, launch = there.requests
    assert len(put[3]) > cloud.MAX_DIRECT
    assert "authorization" not in put[2]
    assert (launch[3], launch[2]["conducto-body"]) == (b"", "uploads/acme/ann/k")
    assert json.loads(put[3])["tree"]["nodes"][0].startswith("xx")


def test_a_large_answer_is_fetched_from_where_it_is(
    there: Installation, client: CloudClient
) -> None:
    there.says("GET", "/stage/api/v1/whoami", b"", 303, Location=there.url + "/bucket/answer")
    there.says("GET", "/stage/bucket/answer", WHO)

    assert client.who_am_i().org == "acme"
    assert "authorization" not in there.requests[1][2]


def test_response_in_preparation_is_polled_with_progress(there: Installation) -> None:
    place = ("GET", "/stage/api/v1/data/file")
    kind = {"Content-Type": "application/problem+json"}
    problem = {"title": "being prepared", "status": 202, "detail": "1 of 2 MB"}
    there.says(*place, problem, 202, **kind)
    told: list[str] = []

    def sleep(seconds: float) -> None:
        assert seconds == cloud.ASK_AGAIN_SECONDS
        if len(told) == 2:
            there.says(*place, b"", 303, Location=there.url + "/bucket/k")
            there.says("GET", "/stage/bucket/k", b"content")

    endpoint = Endpoint(there.url, "cdo_secret")
    with CloudClient(CloudTransport(endpoint, waiting=told.append, sleep=sleep)) as client:
        assert b"".join(client.read_data(None, "f")) == b"content"

    assert told == ["1 of 2 MB"] * 2


@pytest.mark.parametrize("pipeline", ["abc-def", "a/laptop/abc-def"])
def test_requests_for_output_wait_in_the_client(there: Installation, pipeline: str) -> None:
    place = ("GET", "/stage/api/v1/pipelines/abc-def/log")
    none = {"data": "", "offset": 0, "size": 0, "complete": False}
    there.says(*place, none)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            there.says(*place, {**none, "data": "aGk=", "size": 2})

    with CloudClient(CloudTransport(Endpoint(there.url, "cdo_secret"), sleep=sleep)) as client:
        assert client.log(pipeline, "/a", wait=20.0).size == 2
        there.says(*place, none)
        assert client.log(pipeline, "/a", wait=2.5).size == 0

    assert slept == [1.0, 1.0, 1.0, 1.0, 0.5]
    assert len(there.requests) == 3 + 3
    assert not any("wait=" in path and "wait=0" not in path for _, path, _, _ in there.requests)


def test_response_that_is_never_ready_raises_an_error(there: Installation) -> None:
    kind = {"Content-Type": "application/problem+json"}
    problem = {"title": "being prepared", "status": 202, "detail": "1 of 2 MB"}
    there.says("GET", "/stage/api/v1/data/file", problem, 202, **kind)
    endpoint = Endpoint(there.url, "cdo_secret")
    slept: list[float] = []

    with (
        CloudClient(CloudTransport(endpoint, sleep=slept.append)) as client,
        pytest.raises(ApiError, match="1 of 2 MB"),
    ):
        list(client.read_data(None, "f"))

    assert sum(slept) == 3600


def test_a_large_upload_that_is_being_prepared_is_not_sent_twice(there: Installation) -> None:
    upload = {"url": there.url + "/bucket/k?signature=x", "key": "uploads/acme/ann/k"}
    place = ("PUT", "/stage/api/v1/data/file")
    kind = {"Content-Type": "application/problem+json"}
    problem = {"title": "being prepared", "status": 202, "detail": "1 of 2 MB"}
    entry = {"name": "f", "kind": "file", "size": 5, "modified": 1.0}
    there.says("POST", "/stage/api/v1/uploads", upload)
    there.says("PUT", "/stage/bucket/k", b"")
    there.says(*place, problem, 202, **kind)

    def sleep(_seconds: float) -> None:
        there.says(*place, entry)

    with CloudClient(CloudTransport(Endpoint(there.url, "cdo_secret"), sleep=sleep)) as client:
        client.write_data(None, "f", b"x" * (cloud.MAX_DIRECT + 1))

    sent = [(method, headers.get("conducto-body")) for method, path, headers, _ in there.requests]
    assert sent == [
        ("POST", None),
        ("PUT", None),
        ("PUT", "uploads/acme/ann/k"),
        ("PUT", "uploads/acme/ann/k"),
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "has expired or was revoked\nlog in again: conducto login --url"),
        (403, "has expired or was revoked"),
        (429, "too many requests now\ntry again in a minute"),
        (500, "failed to respond\ntry again"),
        (503, "is busy or being deployed"),
        (504, "took too long to respond"),
    ],
)
def test_api_gateway_errors_are_explained(
    there: Installation, client: CloudClient, status: int, words: str
) -> None:
    there.says("GET", "/stage/api/v1/whoami", {"message": "Unauthorized"}, status)

    with pytest.raises(ApiError) as caught:
        client.who_am_i()

    assert words in str(caught.value)
    assert there.url in str(caught.value)


def test_stream_in_which_api_gateway_reports_a_failed_function_is_lost(
    there: Installation,
) -> None:
    def fail(connection: ServerConnection) -> None:
        connection.recv()
        about = {"connectionId": "c", "requestId": "r"}
        connection.send(json.dumps({"message": "Internal server error", **about}))

    with serve(fail, "127.0.0.1", 0, subprotocols=[Subprotocol("conducto.v1")]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host, port = server.socket.getsockname()
        status = {"version": "1.0", "pid": 1, "url": there.url, "started": 1.0}
        there.says("GET", "/stage/api/v1/agent", {**status, "socket": f"ws://{host}:{port}"})
        transport = CloudTransport(Endpoint(there.url, "cdo_x"))

        try:
            with pytest.raises(StreamLostError, match="API Gateway: Internal server error"):
                next(transport.stream("/api/v1/pipelines/abc/events", {}))
        finally:
            transport.close()
            server.shutdown()
            thread.join()


def test_service_errors_are_passed_on_unchanged(there: Installation, client: CloudClient) -> None:
    problem = {"title": "plan limit", "status": 403, "detail": "lacks the permission: launch"}
    kind = {"Content-Type": "application/problem+json"}
    there.says("GET", "/stage/api/v1/whoami", problem, 403, **kind)

    with pytest.raises(ApiError, match="lacks the permission: launch"):
        client.who_am_i()


def test_a_lost_upload_names_no_signed_address(there: Installation, client: CloudClient) -> None:
    upload = {"url": there.url + "/bucket/k?X-Amz-Signature=s3cret", "key": "k"}
    there.says("POST", "/stage/api/v1/uploads", upload)
    there.says("PUT", "/stage/bucket/k", b"<Error/>", 403)

    with pytest.raises(AgentUnreachableError) as caught:
        client.launch(LaunchRequest(tree={"nodes": ["x" * cloud.MAX_DIRECT]}))

    assert "s3cret" not in str(caught.value)
    assert "upload at 127.0.0.1" in str(caught.value)


def test_an_installation_that_is_not_there_is_named() -> None:
    transport = CloudTransport(Endpoint("http://127.0.0.1:9/api", "cdo_secret"))

    with (
        CloudClient(transport) as client,
        pytest.raises(AgentUnreachableError, match=r"127\.0\.0\.1:9/api does not answer") as caught,
    ):
        client.who_am_i()

    assert "cdo_secret" not in str(caught.value)
