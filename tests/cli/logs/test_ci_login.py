"""A CI run asks its service for an ID token."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from conducto.errors import UsageError
from conducto_cli.people import sign_in as ci_login

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://pipelines.example.org"


class GitHub(http.server.HTTPServer):
    """The endpoint of GitHub for ID tokens.

    Attributes:
        requests: Audience and authorization of each request.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: GitHub

    def do_GET(self) -> None:
        (audience,) = parse_qs(urlsplit(self.path).query)["audience"]
        self.server.requests.append((audience, self.headers["Authorization"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"value": "id-token"}).encode())


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2"
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", address)
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token")
        yield server
        server.shutdown()


def test_id_token_is_requested_for_the_installation(github: GitHub) -> None:
    assert ci_login.requested_id_token(URL) == "id-token"
    assert github.requests == [(URL, "Bearer request-token")]


def test_given_id_token_is_used(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ci_login.ID_TOKEN, "given")
    assert ci_login.requested_id_token(URL) == "given"
    assert github.requests == []


def test_run_without_an_id_token_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ci_login.ID_TOKEN, "ACTIONS_ID_TOKEN_REQUEST_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="permissions: id-token: write"):
        ci_login.requested_id_token(URL)
