"""Opening the connection: TLS, proxies, and precise errors for everything that can fail.

The environment of the agent decides, as for other programs: ``HTTPS_PROXY`` and ``NO_PROXY``,
and ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE`` for a private certificate authority.
"""

import os
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
    WebSocketException,
)

from conducto_client.transport.http import NetworkSettingError, proxy_for, tls_context
from conducto_core.api.operation import SUBPROTOCOL
from conducto_core.remote.model import MAX_FRAME
from conducto_local.remote.policy import LinkSettings

OPEN_SECONDS = 20.0
_NEEDS_LOGIN = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class LinkError(Exception):
    """There is no connection; the message has the reason and the remedy."""


class RejectedError(LinkError):
    """The installation does not accept this agent; probably, only a person can change that."""


class SupersededError(LinkError):
    """Another process is connected with the identity of this agent."""


async def open_socket(link: LinkSettings, env: Mapping[str, str] = os.environ) -> ClientConnection:
    """Open the WebSocket of an installation.

    Raises:
        RejectedError: The installation rejected the token.
        LinkError: It is unreachable.
    """
    proxy = proxy_for(link.socket, env)
    secure = link.socket.startswith("wss:")
    try:
        opened = await connect(
            link.socket,
            additional_headers={"Authorization": f"Bearer {link.token}"},
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            ssl=tls_context(env) if secure else None,
            proxy=proxy,
            open_timeout=OPEN_SECONDS,
            max_size=4 * MAX_FRAME,  # a frame that is too large gets a precise error
            compression=None,
            user_agent_header=None,
            ping_interval=None,  # API Gateway does not count them; the link has pings of its own
        )
    except (OSError, ImportError, WebSocketException) as error:
        raise link_error(link.socket, proxy, error) from error
    _probe(opened.transport.get_extra_info("socket"))
    return opened


def _probe(sock: socket.socket | None) -> None:
    """Let the kernel notice a lost network within a minute; its probes are not messages."""
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def link_error(url: str, proxy: str | None, error: Exception) -> LinkError:
    """Return a connection's error with its reason and the remedy."""
    host = urlsplit(url).hostname or url
    via = f" through the proxy {_without_password(proxy)}" if proxy else ""
    match error:
        case ProxyError() | InvalidProxy() | ImportError():
            return _proxy_error(host, proxy, error)
        case InvalidStatus():
            return _status_error(host, error.response.status_code)
        case InvalidHandshake():
            return LinkError(f"{host} is not the WebSocket of an installation{via}: {error}")
        case NetworkSettingError():
            return LinkError(f"{error} where the agent starts")
        case ssl.SSLError():
            return LinkError(_tls_problem(host, via, error))
        case _:
            return LinkError(_network_problem(host, proxy, via, error))


def _status_error(host: str, status: int) -> LinkError:
    if status in _REFUSED:
        return RejectedError(
            f"{host} rejected the agent's token (status {status}): it expired or was revoked; "
            "link the machine again: conducto agent link"
        )
    return LinkError(
        f"{host} responded with status {status} instead of opening a WebSocket; a proxy or "
        "firewall may block WebSockets"
    )


def _tls_problem(host: str, via: str, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {host} is not trusted ({error.verify_message}); if your network "
            "inspects TLS, set SSL_CERT_FILE to the certificates of its authority where the agent "
            "starts"
        )
    return f"no TLS connection to {host}{via}: {error.reason or error}"


def _network_problem(host: str, proxy: str | None, via: str, error: Exception) -> str:
    match error:
        case socket.gaierror():
            hint = "" if proxy else ", or set HTTPS_PROXY if it needs a proxy"
            name = host if proxy is None else f"{urlsplit(proxy).hostname} of the proxy"
            return f"the name {name} cannot be resolved ({error.strerror}); check the network{hint}"
        case TimeoutError():
            hint = "" if proxy else "; if the network needs a proxy, set HTTPS_PROXY"
            return f"{host} did not respond{via} within {OPEN_SECONDS:.0f} seconds{hint}"
        case _:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else str(error) or type(error).__name__
            if proxy is None:
                return f"{host} cannot be reached: {reason}"
            return (
                f"the proxy {_without_password(proxy)} cannot be reached ({reason}); check "
                f"HTTPS_PROXY, or add {host} to NO_PROXY"
            )


def _proxy_error(host: str, proxy: str | None, error: Exception) -> LinkError:
    name = _without_password(proxy)
    match error:
        case InvalidProxy() | ImportError():  # SOCKS needs another package
            detail = (
                "is not an address such as http://HOST:PORT; correct HTTPS_PROXY where the agent "
                "starts"
            )
        case InvalidProxyStatus() if error.response.status_code == _NEEDS_LOGIN:
            detail = "requires a user and a password; set HTTPS_PROXY=http://USER:PASSWORD@HOST"
        case InvalidProxyStatus():
            detail = (
                f"refused the connection to {host} with status {error.response.status_code}; "
                f"allow it there, or add {host} to NO_PROXY"
            )
        case InvalidProxyMessage():
            detail = "does not respond as an HTTP proxy; check HTTPS_PROXY"
        case _:
            detail = f"cannot be used: {error}; check HTTPS_PROXY and NO_PROXY"
    return LinkError(f"the proxy {name} {detail}")


def _without_password(proxy: str | None) -> str:
    parts = urlsplit(proxy or "")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
