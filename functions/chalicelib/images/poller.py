"""Polls image builds: when a client reads a pipeline, at AWS events, and every minute."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from chalicelib.images.builds import ImageBuilds, is_building
from chalicelib.run.model import BuiltImage, ImagesUpdated, Input
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.workers.slots import Submit

logger = logging.getLogger(__name__)

#: Minimum seconds between two polls of a pipeline's images.
PAUSE = 2.0

Reading = Callable[[str, str], AbstractContextManager[CloudPipeline]]


def image_update(live: CloudPipeline, moved: BuiltImage, now: float) -> Input | None:
    """Return the event for an image update, or None if it is outdated or changes nothing."""
    known = live.images.get(moved.name)
    if known is None or known.built is None or known.built.tag != moved.tag:
        return None
    if known.built == moved or not is_building(known.built, known.record.state):
        return None
    return ImagesUpdated(time=now, images=(moved,))


class BuildPoller:
    """Polls images that are being built."""

    def __init__(
        self, clock: Callable[[], float], builds: ImageBuilds, submit: Submit, reading: Reading
    ) -> None:
        self._clock = clock
        self._submit = submit
        self._reading = reading
        self._builds = builds
        self._looked: dict[str, float] = {}

    def poll(self, org: str, pipeline_id: str, *, at_once: bool = False) -> None:
        """Poll a pipeline's image builds, unless they were polled less than `PAUSE` seconds ago."""
        with self._reading(org, pipeline_id) as live:
            building = tuple(_building(live))
        if not building:
            self._looked.pop(pipeline_id, None)
            return
        now = self._clock()
        if not at_once and now - self._looked.get(pipeline_id, 0.0) < PAUSE:
            return
        self._looked[pipeline_id] = now
        for image in building:
            try:
                moved = self._builds.build_state(org, pipeline_id, image)
            except Exception:
                # The rest of the pipeline can still be read; the next poll retries.
                logger.exception("an image build was not polled", extra={"pipeline": pipeline_id})
            else:
                self._submit(org, pipeline_id, partial(image_update, moved=moved, now=now))


def _building(live: CloudPipeline) -> Iterator[BuiltImage]:
    for image in live.images.values():
        if image.built is not None and is_building(image.built, image.record.state):
            yield image.built
