"""Responses to the cloud: in parts, or at a signed URL if they are large."""

import asyncio
import base64
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import urlsplit

from conducto_client.transport.http import tls_context
from conducto_core.api import problems
from conducto_core.api.dispatch import Response, encode
from conducto_core.api.downloads import OCTETS, Download
from conducto_core.remote.model import (
    MAX_INLINE,
    PART_BYTES,
    AgentFrame,
    Ask,
    Part,
    ResponseHead,
    Stored,
)
from conducto_core.run.model.requests import Problem
from conducto_local.remote.connection import Channel, MakeFrame
from conducto_local.remote.policy import LinkSettings

# ----------------------------------------------------------------------------------------
# Bodies that are too large for frames: one request to a signed URL of the installation's storage.
#
# A URL of any other host is refused: otherwise a cloud could make the machine send requests into
# its own network.


_SECONDS = 600.0
_STORAGE = ".amazonaws.com"
_BLOCK = 1 << 20


class TransferError(Exception):
    """A transfer failed; the message has the host and the reason, never the URL's signature."""


class Transfers:
    """Downloads and uploads."""

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


#: Seconds after which a frame on a working connection has arrived.
SETTLED_SECONDS = 3.0
_TOO_LARGE = Problem(
    title="too large",
    status=HTTPStatus.BAD_GATEWAY,
    detail="the response is too large, and the cloud offered no place for it",
)


async def response_frames(
    transfers: Transfers, ask: Ask, answer: Response | Download
) -> list[MakeFrame]:
    """Return the frames of the response to a request; a large response is uploaded first.

    Raises:
        TransferError: It could not be uploaded.
    """
    head, chunks = _head_of(answer), _chunks_of(answer)
    content, size = spooled(), 0
    with content:
        async for chunk in chunks:
            content.write(chunk)
            size += len(chunk)
        content.seek(0)
        if size <= MAX_INLINE:
            return _parts(ask.id, head, content.read())
        if ask.upload is None:
            refusal = Response(_TOO_LARGE.status, problems.MEDIA_TYPE, encode(_TOO_LARGE))
            return _parts(ask.id, _head_of(refusal), refusal.body)
        await transfers.put(ask.upload.url, content, size, head.media_type)
        key = ask.upload.key
        return [lambda n: Stored(n=n, id=ask.id, key=key, head=head)]


def _parts(request: str, head: ResponseHead, body: bytes) -> list[MakeFrame]:
    starts = range(0, len(body), PART_BYTES) or (0,)
    return [
        partial(
            _part,
            request=request,
            index=index,
            last=index == len(starts) - 1,
            head=head if index == 0 else None,
            data=body[start : start + PART_BYTES],
        )
        for index, start in enumerate(starts)
    ]


async def send_frames(channel: Channel, frames: Sequence[MakeFrame]) -> int:
    """Send the frames of a response; return the number of lost connections before."""
    losses = channel.losses
    for frame in frames:
        await channel.send(frame)
    return losses


async def repeat_lost(channel: Channel, frames: Sequence[MakeFrame], losses: int) -> None:
    """Send frames again if their connection is lost before they must have arrived.

    Responses have no acknowledgements, which would double their messages.
    """
    while await channel.is_lost_within(SETTLED_SECONDS, losses):
        losses = await send_frames(channel, frames)


def _part(
    n: int, *, request: str, index: int, last: bool, head: ResponseHead | None, data: bytes
) -> AgentFrame:
    b64 = base64.b64encode(data).decode()
    return Part(n=n, id=request, index=index, last=last, head=head, b64=b64)


def _head_of(answer: Response | Download) -> ResponseHead:
    if isinstance(answer, Response):
        return ResponseHead(
            status=answer.status, media_type=answer.media_type, headers=answer.headers
        )
    kept = tuple(pair for pair in answer.headers() if pair[0] != "content-length")
    return ResponseHead(status=answer.status, media_type=OCTETS, headers=kept)


async def _chunks_of(answer: Response | Download) -> AsyncIterator[bytes]:
    if isinstance(answer, Response):
        yield answer.body
    else:
        async for chunk in answer.chunks:
            yield chunk
