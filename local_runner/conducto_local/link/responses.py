"""Responses to the cloud: in parts, or at a signed URL if they are large."""

import base64
from collections.abc import AsyncIterator
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
from conducto_local.link.transfers import Transfers, spooled

_TOO_LARGE = Problem(
    title="too large",
    status=HTTPStatus.BAD_GATEWAY,
    detail="the response is too large, and the cloud offered no place for it",
)


async def send_response(
    channel: Channel, transfers: Transfers, ask: Ask, answer: Response | Download
) -> None:
    """Send the response to a request.

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
            await _send_parts(channel, ask.id, head, content.read())
        elif ask.upload is None:
            refusal = Response(_TOO_LARGE.status, problems.MEDIA_TYPE, encode(_TOO_LARGE))
            await _send_parts(channel, ask.id, _head_of(refusal), refusal.body)
        else:
            await transfers.put(ask.upload.url, content, size, head.media_type)
            key = ask.upload.key
            await channel.send(lambda n: Stored(n=n, id=ask.id, key=key, head=head))


async def _send_parts(channel: Channel, request: str, head: ResponseHead, body: bytes) -> None:
    starts = range(0, len(body), PART_BYTES) or (0,)
    for index, start in enumerate(starts):
        frame = partial(
            _part,
            request=request,
            index=index,
            last=index == len(starts) - 1,
            head=head if index == 0 else None,
            data=body[start : start + PART_BYTES],
        )
        await channel.send(frame)


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
