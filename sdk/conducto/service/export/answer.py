"""An export as a download."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

from conducto.service.downloads import Download, Span
from conducto.service.export.gathering import gather
from conducto.service.export.page import page_of
from conducto.service.export.words import file_name
from conducto.service.port import Pipelines


async def exported(
    pipelines: Pipelines, pipeline_id: str, made: float, span: Span | None
) -> Download:
    """Return a pipeline, as it is at ``made``, as the download of a page, or a part of it.

    Raises:
        NotFoundError: there is no such pipeline.
    """
    run = await gather(pipelines, pipeline_id, made)
    page = await asyncio.to_thread(page_of, run)
    first, count = (0, len(page)) if span is None else span.within(len(page))

    async def chunks() -> AsyncIterator[bytes]:
        yield page[first : first + count]

    version = sha256(page).hexdigest()[:32]
    return Download(file_name(run.summary.pipeline), len(page), first, count, version, chunks())
