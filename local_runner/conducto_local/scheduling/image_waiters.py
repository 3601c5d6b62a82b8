"""The images that attempts wait for: begun when they are needed, by those who need them."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from conducto_core.model.records import ImageRecord, ImageState
from conducto_core.model.states import Cause
from conducto_core.semantics import events as ev
from conducto_core.semantics.residual import residual
from conducto_local.ports import EngineError, ImageBuilder, ImageError
from conducto_local.scheduling import image_build
from conducto_local.scheduling.context import SchedulerContext
from conducto_local.scheduling.live_pipeline import ActiveAttempt, LiveImage, LivePipeline
from conducto_local.scheduling.networks import Networks

logger = logging.getLogger(__name__)


class ImageWaiters:
    """The images of all loaded pipelines.

    Args:
        common: What all parts share.
        engines: Hears that an engine is gone.
        queue: Queues an attempt whose image is there.
    """

    def __init__(
        self, common: SchedulerContext, engines: Networks, queue: Callable[[ActiveAttempt], None]
    ) -> None:
        self._common = common
        self._engines = engines
        self._queue = queue

    def need(self, live: LivePipeline, name: str) -> LiveImage:
        """Return an image of a pipeline; begin to build it if it is not there."""
        image = live.images.get(name)
        if image is None:
            image = live.images[name] = LiveImage(ImageRecord(name=name))
        if image.built is None and (image.task is None or image.task.done()):
            failed = image.failure is not None
            work = self._fail_again(live, image) if failed else self._build(live, name, image)
            image.task = self._common.tasks.spawn(work)
        return image

    def wait(self, active: ActiveAttempt) -> None:
        """Have an attempt wait for its image.

        One that could not be built in this run fails other nodes at once; a node that has failed
        because of it and tries again has it built again.
        """
        image = active.live.images.get(active.spec.placement.image)
        if image is not None and active.spec.path in image.failed:
            image.forget_failure()
        self.need(active.live, active.spec.placement.image).waiting.append(active)

    def need_all(self, live: LivePipeline) -> None:
        """Begin to build every image that an Exec uses which is left to run."""
        left = residual(live.tree)
        specs = () if left is None else left.execs()
        for name in dict.fromkeys(spec.placement.image for spec in specs):
            if name in live.images:
                live.images[name].forget_failure()
            self.need(live, name)

    def forget(self, live: LivePipeline, paths: Iterable[str]) -> None:
        """Build the images of these subtrees anew when they are next needed."""
        names = {
            node.spec.placement.image
            for path in paths
            for node in live.tree.subtree(live.tree.nodes[path])
        }
        live.builder = None  # a new one reads code and repositories again
        for name in names & live.images.keys():
            image = live.images[name]
            image.built = None
            image.forget_failure()
            if image.task is not None:
                image.task.cancel()  # or its older result would count
                image.task = None
            if image.waiting:
                self.need(live, name)

    def gone(self, live: LivePipeline, name: str, reference: str) -> None:
        """Hear that the engine has not an image any more: it is made anew when it is needed.

        Somebody has removed it, by hand or as another home's, for images are shared by content.
        """
        image = live.images[name]
        if image.built is not None and image.built.reference == reference:
            image.built = image.task = None
            live.builder = None  # it remembers what it has made

    async def builder(self, live: LivePipeline) -> ImageBuilder:
        """Return what makes the images of a pipeline; the engine is open then."""
        engine_context = self._common.engine_context(live)
        await engine_context.open()
        if live.builder is None:
            live.builder = engine_context.builder()
        return live.builder

    def cancel(self) -> list[asyncio.Task[None]]:
        """Stop all builds; return the tasks to wait for."""
        return [task for live in self._common.live.values() for task in image_build.cancel(live)]

    async def _build(self, live: LivePipeline, name: str, image: LiveImage) -> None:
        try:
            builder = await self.builder(live)
            image.built = await image_build.build(live, name, builder, self._common.logs(live.id))
        except ImageError as error:
            self._failed(live, image, str(error))
        except EngineError as error:
            self._engines.lost(live, error)
        except Exception as error:
            # A bug of ours must fail the nodes that wait, not leave them waiting for ever.
            logger.exception("build failed in the runner", extra={"pipeline": live.id})
            message = f"the runner failed, see agent.log: {error!r}"
            live.set_image(name, state=ImageState.ERROR, error=message, ended=time.time())
            self._failed(live, image, message)
        else:
            self._ready(image)
        self._common.wake()

    async def _fail_again(self, live: LivePipeline, image: LiveImage) -> None:
        self._failed(live, image, image.failure or "")
        self._common.wake()

    def _ready(self, image: LiveImage) -> None:
        waiting, image.waiting = image.waiting, []
        now = time.time()
        for active in waiting:
            if not active.gone:
                active.image_ready = now
                self._queue(active)

    def _failed(self, live: LivePipeline, image: LiveImage, message: str) -> None:
        waiting, image.waiting = image.waiting, []
        image.task = None
        image.failure = message
        image.failed |= {active.spec.path for active in waiting}
        for active in waiting:
            if not active.gone:
                active.message = message
                failed = ev.AttemptFinished(active.spec.path, active.number, Cause.IMAGE)
                self._common.apply(live, failed)
