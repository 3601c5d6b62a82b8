"""Bodies that are too large for frames: one request to a signed URL of the installation's storage.

A URL of any other host is refused: otherwise a cloud could make the machine send requests into its
own network.
"""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import urlsplit

from conducto_client.network import tls_context
from conducto_local.link.settings import LinkSettings

_SECONDS = 600.0
_STORAGE = ".amazonaws.com"
_BLOCK = 1 << 20


class TransferError(Exception):
    """A transfer failed; the message has the host and the reason, never the URL's signature."""


class Transfers:
    """Downloads and uploads.

    Args:
        settings: Returns the current link.
    """

    def __init__(self, settings: Callable[[], LinkSettings | None]) -> None:
        self._settings = settings

    async def get(self, url: str, limit: int) -> bytes:
        """Return a body of at most ``limit`` bytes; raises `TransferError`."""
        self._check(url)
        return await asyncio.to_thread(_get, url, limit)

    async def put(self, url: str, content: IO[bytes], size: int, media_type: str) -> None:
        """Upload a response; raises `TransferError`."""
        self._check(url)
        await asyncio.to_thread(_put, url, content, size, media_type)

    def _check(self, url: str) -> None:
        link = self._settings()
        parts = urlsplit(url)
        own = () if link is None else (urlsplit(link.url), urlsplit(link.socket))
        is_own = any(
            (one.hostname, _is_secure(one.scheme)) == (parts.hostname, parts.scheme == "https")
            for one in own
        )
        is_storage = parts.scheme == "https" and (parts.hostname or "").endswith(_STORAGE)
        if parts.scheme not in ("https", "http") or not (is_own or is_storage):
            raise TransferError(f"{parts.hostname!r} is not the storage of the installation")


def spooled() -> IO[bytes]:
    """Return a file in memory, or on the disk once it is large."""
    return SpooledTemporaryFile(max_size=4 * _BLOCK)


def _is_secure(scheme: str) -> bool:
    return scheme in ("https", "wss")


def _get(url: str, limit: int) -> bytes:
    with _open(urllib.request.Request(url)) as response:  # noqa: S310  the scheme was checked
        found = bytearray()
        while block := response.read(_BLOCK):
            found += block
            if len(found) > limit:
                raise TransferError(f"the body has more than {limit} bytes")
        return bytes(found)


def _put(url: str, content: IO[bytes], size: int, media_type: str) -> None:
    request = urllib.request.Request(url, content, method="PUT")  # noqa: S310  as above
    request.add_header("Content-Length", str(size))
    request.add_header("Content-Type", media_type)
    with _open(request):
        pass


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are errors: they could lead to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _open(request: urllib.request.Request) -> IO[bytes]:
    tls = urllib.request.HTTPSHandler(context=tls_context())
    opener = urllib.request.build_opener(tls, _NoRedirects)
    try:
        return opener.open(request, timeout=_SECONDS)  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        raise TransferError(f"{request.host} responded with status {error.code}") from error
    except OSError as error:
        raise TransferError(f"{request.host} cannot be reached: {error}") from error
