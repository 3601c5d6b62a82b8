"""Requests that go to public addresses only."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from conducto.integrations.http import DeliveryError, get_json, post_json
from conducto.integrations.public_address import PublicHandler, is_public
from support.certificates import certificate_authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "hooks.example.test"


@contextmanager
def tls_server(directory: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a server at the loopback, and the `Host` of each request."""
    hosts: list[str] = []
    context, trusted = certificate_authority(directory, HOST)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
        pytest.MonkeyPatch.context() as m,
    ):
        server.socket = context.wrap_socket(server.socket, server_side=True)
        m.setenv("SSL_CERT_FILE", str(trusted))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1], hosts
        server.shutdown()


class Rebinding:
    """A resolver whose second answer is another address than its first one."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def __call__(self, _host: str, _port: int) -> list[str]:
        return [self.answers.pop(0)]


def opened(port: int, resolve: Rebinding, accepts: frozenset[str]) -> int:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), PublicHandler(DeliveryError, resolve, accepts.__contains__)
    )
    with opener.open(f"https://{HOST}:{port}/", timeout=10) as response:
        return int(response.status)


def test_connection_is_made_to_the_address_that_was_checked(tmp_path: Path) -> None:
    accepted = frozenset({"127.0.0.1"})
    with tls_server(tmp_path) as (port, hosts):
        resolve = Rebinding("127.0.0.1", "10.0.0.1")
        status = opened(port, resolve, accepted)

        with pytest.raises(DeliveryError, match=f"{HOST} is not a public address"):
            opened(port, resolve, accepted)

    assert (status, hosts) == (200, [f"{HOST}:{port}"])  # the certificate is for the name, too


def test_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, hosts):
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            PublicHandler(DeliveryError, Rebinding("127.0.0.1"), lambda _: True),
        )
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            opener.open(f"https://other.example.test:{port}/", timeout=10)

    assert hosts == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("64:ff9b:1::5db8:d822", False),
        ("::169.254.169.254", False),
        ("::ffff:0:127.0.0.1", False),
        ("fec0::1", False),
        ("100::1", False),
        ("4000::1", False),
        ("ff0e::1", False),
        ("2002:5db8:d822::1", True),
        ("2002:a00:1::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
    ],
)
def test_address_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url", ["http://localhost:1/", "https://127.0.0.1:1/", "https://[::ffff:10.0.0.1]/"]
)
def test_private_address_is_refused_at_once(url: str) -> None:
    for request in (
        lambda: get_json(url, None, public_only=True),
        lambda: post_json(url, {}, None, public_only=True),
    ):
        with pytest.raises(DeliveryError, match="not a public address") as caught:
            request()
        assert not caught.value.temporary
