"""Proxies, private certificate authorities, and errors that say what to do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from tests.fakes.relay_cloud import RelayCloud

from conducto_client.transport.http import (
    NetworkSettingError,
    https_connection,
    proxy_for,
    tls_context,
)
from conducto_core.remote.model import LinkPolicy
from conducto_local.remote.network import LinkError, RejectedError, open_socket
from conducto_local.remote.policy import LinkSettings
from support.certificates import certificate_authority


def _settings(socket: str, token: str = "agent-token") -> LinkSettings:
    return LinkSettings("abcd2345", "http://x", socket, "acme", "ada", token, LinkPolicy())


class Proxy:
    """An HTTP proxy that connects everything to one port.

    Attributes:
        requests: First line of each request.
    """

    def __init__(self, port: int, status: str = "200 OK") -> None:
        self._port = port
        self._status = status
        self.requests: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.split(b"\r\n")[0].decode())
        writer.write(f"HTTP/1.1 {self._status}\r\n\r\n".encode())
        if self._status.startswith("200"):
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://ada:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


async def _error(socket: str, env: Mapping[str, str] | None = None) -> LinkError:
    with pytest.raises(LinkError) as caught:
        await open_socket(_settings(socket), {} if env is None else env)
    return caught.value


async def test_connection_goes_through_the_proxy_of_the_environment(cloud: RelayCloud) -> None:
    target = "ws://installation.invalid:80/socket"
    async with running(Proxy(cloud.port)) as proxy:
        opened = await open_socket(_settings(target), {"HTTP_PROXY": proxy.url})
        await opened.close()

    assert proxy.requests[0].startswith("CONNECT installation.invalid:80 ")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"https_proxy": "http://q:1", "HTTPS_PROXY": "http://p:1"}, "http://q:1"),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other,.example.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.org"}, "http://p:1"),
    ],
)
def test_proxy_is_chosen_as_by_other_programs(env: dict[str, str], expected: str | None) -> None:
    assert proxy_for("wss://link.example.com/live", env) == expected


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("407 Proxy Authentication Required", "requires a user and a password"),
        ("403 Forbidden", "refused the connection to installation.invalid with status 403"),
    ],
)
async def test_error_of_a_proxy_names_it_without_its_password(status: str, said: str) -> None:
    async with running(Proxy(1, status)) as proxy:
        error = await _error("wss://installation.invalid/socket", {"HTTPS_PROXY": proxy.url})

    assert said in str(error)
    assert "the proxy http://127.0.0.1:" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("scheme", ["socks5", "gopher"])
async def test_proxy_that_is_not_http_is_named_without_its_password(scheme: str) -> None:
    proxy = f"{scheme}://ada:secret@host:1"

    error = await _error("wss://installation.invalid/socket", {"HTTPS_PROXY": proxy})

    assert f"the proxy {scheme}://host:1 is not an address such as http://HOST:PORT" in str(error)
    assert "secret" not in str(error)


async def test_unreachable_proxy_and_installation_are_told_apart() -> None:
    proxied = await _error("wss://x.invalid/s", {"HTTPS_PROXY": "http://127.0.0.1:1"})
    direct = await _error("ws://127.0.0.1:1/s")
    unknown = await _error("ws://installation.invalid/s")

    assert str(proxied).startswith("the proxy http://127.0.0.1:1 cannot be reached (")
    assert str(direct) == "127.0.0.1 cannot be reached: Connection refused"
    assert "the name installation.invalid cannot be resolved" in str(unknown)
    assert "HTTPS_PROXY" in str(unknown)


async def test_rejected_token_says_to_link_again(cloud: RelayCloud) -> None:
    with pytest.raises(RejectedError, match="conducto agent link"):
        await open_socket(_settings(cloud.url, "revoked"), {})


async def test_private_authority_is_trusted_by_its_variable_only(tmp_path: Path) -> None:
    tls, authority = certificate_authority(tmp_path)
    async with RelayCloud(tls=tls, host="localhost") as cloud:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            opened = await open_socket(_settings(cloud.url), {name: str(authority)})
            await opened.close()
        error = await _error(cloud.url)

    assert "the certificate of localhost is not trusted" in str(error)
    assert "SSL_CERT_FILE" in str(error)


def test_unusable_file_of_an_authority_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")

    for path in (tmp_path / "empty.pem", tmp_path / "missing.pem"):
        with pytest.raises(NetworkSettingError, match="REQUESTS_CA_BUNDLE") as caught:
            tls_context({"REQUESTS_CA_BUNDLE": str(path)})
        assert str(path) in str(caught.value)


async def test_requests_of_the_command_line_use_the_same_proxy_andauthority(
    tmp_path: Path,
) -> None:
    tls, authority = certificate_authority(tmp_path)
    async with RelayCloud(tls=tls, host="localhost") as cloud, running(Proxy(cloud.port)) as proxy:
        env = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(authority)}
        connection = https_connection("https://localhost", 60.0, env)

        def status() -> int:
            connection.request("GET", "/")
            return connection.getresponse().status

        found = await asyncio.to_thread(status)

    assert found == 401  # of the installation: the request has no token
    assert proxy.requests[0].startswith("CONNECT localhost:443 HTTP/")


def test_proxy_with_another_scheme_is_rejected_without_its_password() -> None:
    with pytest.raises(NetworkSettingError, match="socks5://host:1 is not an address") as caught:
        https_connection("https://x", 1.0, {"HTTPS_PROXY": "socks5://ada:secret@host:1"})

    assert "secret" not in str(caught.value)
