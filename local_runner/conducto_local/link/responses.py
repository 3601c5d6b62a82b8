"""Responses to the cloud: in parts, or at a signed URL if they are large."""

import base64
from collections.abc import AsyncIterator, Sequence
from functools import partial
from http import HTTPStatus

from conducto_core.api import problems
from conducto_core.api.dispatch import Response, encode
from conducto_core.model.relay import (
    MAX_INLINE,
    PART_BYTES,
    AgentFrame,
    Ask,
    Part,
    ResponseHead,
    Stored,
)
from conducto_core.model.requests import Problem
from conducto_core.ports.downloads import OCTETS, Download
from conducto_local.link.channel import Channel
from conducto_local.link.connection import MakeFrame
from conducto_local.link.transfers import Transfers, spooled

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
