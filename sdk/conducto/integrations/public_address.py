"""Requests to public addresses only: not to services beside the sender, which trust it.

The name of a host is resolved once, and the connection is made to the address that was checked: a
name that resolves to another address a moment later (DNS rebinding) changes nothing. `Host` and the
certificate are still those of the name.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import urllib.request
from http.client import HTTPSConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    #: Returns the addresses of a host and a port.
    Resolve = Callable[[str, int], Sequence[str]]

#: The IPv6 addresses of the public network. All others are of the machine, of a site, or reserved,
#: such as other forms of IPv4 addresses.
_UNICAST = ipaddress.ip_network("2000::/3")
#: IPv6 addresses that stand for IPv4 addresses (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_BITS = 0xFFFFFFFF


def is_public(address: str) -> bool:
    """Return whether an address is in the public network, also if IPv6 stands for IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & _IPV4_BITS)
        if inner is not None:
            return is_public(str(inner))
        if found not in _UNICAST:
            return False
    return found.is_global and not found.is_multicast


def addresses_of(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


class PublicHandler(urllib.request.HTTPSHandler):
    """Opens connections to public addresses only; see the module.

    Args:
        error: The exception for a host that is not at an accepted address.
        resolve: Returns the addresses of a host.
        accepts: Returns whether an address may be connected to.
    """

    def __init__(
        self,
        error: type[Exception],
        resolve: Resolve = addresses_of,
        accepts: Callable[[str], bool] = is_public,
    ) -> None:
        super().__init__()
        self._error = error
        self._resolve = resolve
        self._accepts = accepts
        self._trusted = ssl.create_default_context()

    def https_open(self, request: urllib.request.Request) -> Any:
        """Send a request."""
        return self.do_open(self._connection, request)

    def _connection(self, host: str, /, **options: Any) -> _PublicConnection:
        connection = _PublicConnection(host, timeout=options["timeout"], context=self._trusted)
        connection.checked = self._checked
        return connection

    def _checked(self, host: str, port: int) -> Sequence[str]:
        addresses = self._resolve(host, port)
        if not addresses or not all(map(self._accepts, addresses)):
            raise self._error(f"{host} is not a public address; requests are sent to those")
        return addresses


class _PublicConnection(HTTPSConnection):
    """A connection to an address that was checked.

    Attributes:
        checked: Returns the addresses of a host, all of which are accepted.
    """

    checked: Resolve

    def __init__(self, host: str, *, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, timeout=timeout, context=context)
        self._trusted = context

    def connect(self) -> None:
        """Connect to the first address that accepts a connection."""
        plain = self._connected(self.checked(self.host, self.port))
        self.sock = self._trusted.wrap_socket(plain, server_hostname=self.host)

    def _connected(self, addresses: Sequence[str]) -> socket.socket:
        error: OSError | None = None
        for address in addresses:
            try:
                return socket.create_connection((address, self.port), self.timeout)
            except OSError as failed:
                error = failed
        raise error or OSError("no address")
