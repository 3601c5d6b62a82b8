"""DNS: AWS's names lead to ministack, all others to the machine's own resolver.

With it nothing needs an endpoint: each name that the project and its SDKs make up is AWS's own.

    python -m system.deploy.name_server ADDRESS UPSTREAM
"""

from __future__ import annotations

import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

AWS = ("amazonaws.com", "cloudfront.net")
#: No image is pulled from there: it limits how often, and the stand-ins take its images' places.
ABSENT = ("docker.io",)
A = 1
PORT = 53
TIMEOUT_SECONDS = 5
_HEADER = 12


def question(query: bytes) -> tuple[str, int, int]:
    """Return the name that is asked for, the type, and where the question ends."""
    at, labels = _HEADER, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace").lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack(">H", query[at + 1 : at + 3])[0], at + 5


def response(query: bytes, address: str, upstream: str) -> bytes:
    """Return the response to a query."""
    name, kind, end = question(query)
    if _is_below(name, ABSENT):
        return query[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + query[_HEADER:end]
    if not _is_below(name, AWS):
        return _forwarded(query, upstream)
    record = b""
    if kind == A:  # other types of an AWS name have no records
        record = b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 5, 4) + socket.inet_aton(address)
    counts = struct.pack(">HHHHH", 0x8180, 1, int(bool(record)), 0, 0)
    return query[:2] + counts + query[_HEADER:end] + record


def _is_below(name: str, domains: tuple[str, ...]) -> bool:
    return any(name == each or name.endswith(f".{each}") for each in domains)


def _forwarded(query: bytes, upstream: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(TIMEOUT_SECONDS)
        other.sendto(query, (upstream, PORT))
        return other.recv(4096)


def main(address: str, upstream: str) -> None:
    """Serve for as long as the process lives."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, PORT))

    def serve(query: bytes, client: tuple[str, int]) -> None:
        with suppress(OSError, IndexError, struct.error):  # the client asks again
            server.sendto(response(query, address, upstream), client)

    with ThreadPoolExecutor(8) as pool:
        while True:
            pool.submit(serve, *server.recvfrom(4096))


if __name__ == "__main__":
    main(*sys.argv[1:3])
