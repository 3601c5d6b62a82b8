"""The changes of pipelines that somebody follows in the cloud."""

import asyncio
import logging
from collections.abc import Iterator

from conducto_core.api.dispatch import Match, Service
from conducto_core.api.problems import ProblemError
from conducto_core.remote.model import MAX_FRAME, Batch, Follow
from conducto_core.run.model.requests import EventBatch
from conducto_core.run.operations import EVENTS
from conducto_local.remote.asks import Policy
from conducto_local.remote.connection import Channel
from conducto_local.remote.summaries import brief

logger = logging.getLogger(__name__)

#: Maximum bytes of a batch: a frame has some other fields.
_MAX_BATCH = MAX_FRAME - 500
#: Maximum number of pipelines that are followed at the same time.
_MAX_FOLLOWED = 200
#: Characters to which an image's error is cut in a batch that would be too large.
_BRIEF = 200


class Follows:
    """Streams of changes, one for each followed pipeline."""

    def __init__(self, service: Service, policy: Policy, channel: Channel) -> None:
        self._service = service
        self._policy = policy
        self._channel = channel
        self._streams: dict[str, _Stream] = {}

    async def handle(self, follow: Follow) -> None:
        stream = self._streams.get(follow.pipeline)
        if follow.stop:
            await self._stop(follow.pipeline)
        elif stream is None or stream.cursor > follow.cursor:
            await self._stop(follow.pipeline)
            self._start(follow)

    def _start(self, follow: Follow) -> None:
        request = self._policy.request(EVENTS, follow.caller, follow.pipeline)
        refusal = self._policy.refusal(request)
        if refusal is None and len(self._streams) < _MAX_FOLLOWED:
            stream = _Stream(self._service, self._channel, follow.pipeline, follow.cursor)
            self._streams[follow.pipeline] = stream
        else:
            why = "too many pipelines are followed" if refusal is None else refusal.detail
            about = {"pipeline": follow.pipeline, "user": follow.caller.user, "reason": why}
            logger.info("cloud may not follow a pipeline", extra=about)

    async def _stop(self, pipeline: str) -> None:
        stream = self._streams.pop(pipeline, None)
        if stream is not None:
            await stream.close()

    async def close(self) -> None:
        for pipeline in list(self._streams):
            await self._stop(pipeline)


class _Stream:
    """The changes of one pipeline; a batch is sent when the one before is acknowledged."""

    def __init__(self, service: Service, channel: Channel, pipeline: str, cursor: int) -> None:
        self.cursor = cursor
        self._service = service
        self._channel = channel
        self._pipeline = pipeline
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        match = Match(EVENTS, {"id": self._pipeline})
        try:
            records = await self._service.subscribe(match, f"cursor={self.cursor}")
        except ProblemError as error:
            logger.info(
                "cannot follow", extra={"pipeline": self._pipeline, "why": error.problem.detail}
            )
            return
        try:
            async for record in records:
                if isinstance(record, EventBatch):
                    await self._send(record)
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("stream to the cloud failed", extra={"pipeline": self._pipeline})
        finally:
            close = getattr(records, "aclose", None)
            if close is not None:
                await close()

    async def _send(self, batch: EventBatch) -> None:
        for part in fitting(batch):
            await self._channel.send_acked(
                lambda n, part=part: Batch(  # type: ignore[misc]
                    n=n, pipeline=self._pipeline, batch=part
                )
            )
            if part.changes:
                self.cursor = part.changes[-1].seq


def fitting(batch: EventBatch, limit: int = _MAX_BATCH) -> Iterator[EventBatch]:
    """Yield a batch as batches of at most ``limit`` bytes, in an order that clients can apply.

    Counts and times belong to the last change, so they follow all changes.
    """
    if len(batch.model_dump_json().encode()) <= limit:
        yield batch
        return
    smaller = list(_halves(batch))
    if len(smaller) == 1:
        yield _shortened(batch)
        return
    for part in smaller:
        yield from fitting(part, limit)


def _halves(batch: EventBatch) -> Iterator[EventBatch]:
    """Yield two batches with half of the largest collection each, or one if nothing is left."""
    bare: dict[str, object] = {"changes": (), "counts": {}, "times": {}, "images": ()}
    if len(batch.changes) > 1 or (batch.changes and (batch.counts or batch.times or batch.images)):
        middle = (len(batch.changes) + 1) // 2
        yield batch.model_copy(update={**bare, "changes": batch.changes[:middle]})
        yield batch.model_copy(update={"changes": batch.changes[middle:]})
        return
    for name in ("counts", "times", "images"):
        value = getattr(batch, name)
        if len(value) > 1:
            middle = len(value) // 2
            first, second = _split(value, middle)
            yield batch.model_copy(update={**bare, name: first})
            yield batch.model_copy(update={name: second})
            return
    yield batch


def _split(value: object, middle: int) -> tuple[object, object]:
    if isinstance(value, dict):
        items = list(value.items())
        return dict(items[:middle]), dict(items[middle:])
    assert isinstance(value, tuple)  # noqa: S101  the types of the fields
    return value[:middle], value[middle:]


def _shortened(batch: EventBatch) -> EventBatch:
    """Return a batch with a short summary and short errors of images."""
    images = tuple(
        one if one.error is None else one.model_copy(update={"error": one.error[:_BRIEF] + "…"})
        for one in batch.images
    )
    return batch.model_copy(update={"pipeline": brief(batch.pipeline), "images": images})
