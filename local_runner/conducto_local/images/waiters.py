"""The build of one image of a pipeline, with its log and state."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from conducto_core.asl.rules.states import residual
from conducto_core.cache.rules import is_isolated
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import ImageRecord, ImageState
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import AttemptEnd
from conducto_local.engine.port import BuildPart, BuiltImage, EngineError, ImageBuilder, ImageError
from conducto_local.images.progress import BuildProgressWriter
from conducto_local.logs.store import LogDirectory, LogWriter
from conducto_local.run.context import SchedulerContext
from conducto_local.run.live_pipeline import ActiveAttempt, LiveImage, LivePipeline
from conducto_local.run.networks import Networks

#: The log of an image build is stored like that of an attempt. Its name has no "/", while names of
#: nodes start with one.
BUILD_ATTEMPT = 1


def log_name(image: str) -> str:
    """Return the name under which the log of an image build is stored."""
    return "image:" + image.replace("/", "%2f")


class _Log:
    """Passes the progress of a build to the pipeline, and stores its output."""

    def __init__(self, live: LivePipeline, name: str, writer: LogWriter) -> None:
        self._live = live
        self._name = name
        self._writer = writer
        self.steps = BuildProgressWriter(lambda line: writer.write("stderr", line))

    def step(self, state: ImageState) -> None:
        self.steps.state(state)
        if state is not ImageState.DONE:
            self._live.set_image(self._name, state=state)

    def part(self, part: BuildPart) -> None:
        self.steps.part(part)

    def write(self, text: str) -> None:
        self._writer.write("stdout", text.encode(errors="replace"))


async def build(
    live: LivePipeline, name: str, builder: ImageBuilder, logs: LogDirectory
) -> BuiltImage:
    """Build one image of a pipeline and update its record.

    Raises:
        ImageError: It cannot be built; the record has the error too.
        EngineError: The engine is unreachable.
    """
    writer = logs.writer(log_name(name), BUILD_ATTEMPT)
    log = _Log(live, name, writer)
    live.set_image(name, state=ImageState.QUEUED, error=None, started=time.time(), ended=None)
    try:
        built = await builder.build(live.pipeline.images[name], log)
    except ImageError as error:
        log.steps.end(str(error).partition("\n")[0])
        live.set_image(name, state=ImageState.ERROR, error=str(error), ended=time.time())
        raise
    except BaseException:
        live.set_image(name, state=ImageState.PENDING)
        raise
    finally:
        log.steps.end()
        writer.close()
    live.set_image(name, state=ImageState.DONE, reference=built.reference, ended=time.time())
    return built


def cancel(live: LivePipeline) -> list[asyncio.Task[None]]:
    """Stop the builds of a pipeline; return the tasks to wait for."""
    tasks = [i.task for i in live.images.values() if i.task is not None and not i.task.done()]
    for task in tasks:
        task.cancel()
    return tasks


# ----------------------------------------------------------------------------------------
# The images that attempts wait for, built when they are first needed.


logger = logging.getLogger(__name__)


class ImageWaiters:
    """The images of all loaded pipelines."""

    def __init__(
        self, common: SchedulerContext, engines: Networks, queue: Callable[[ActiveAttempt], None]
    ) -> None:
        self._common = common
        self._engines = engines
        self._queue = queue

    @staticmethod
    def image_of(live: LivePipeline, name: str) -> LiveImage:
        return live.images.setdefault(name, LiveImage(ImageRecord(name=name)))

    def need(self, live: LivePipeline, name: str) -> LiveImage:
        """Return an image of a pipeline; start its build if necessary."""
        image = self.image_of(live, name)
        if image.built is None and (image.task is None or image.task.done()):
            failed = image.failure is not None
            work = self._fail_again(live, image) if failed else self._build(live, name, image)
            image.task = self._common.tasks.spawn(work)
        return image

    def wait(self, active: ActiveAttempt) -> None:
        """Make an attempt wait for its image.

        An image that could not be built in this run fails further nodes at once; a node that failed
        because of it rebuilds it when it is retried.
        """
        image = active.live.images.get(active.spec.placement.image)
        if image is not None and active.spec.path in image.failed:
            image.forget_failure()
        self.need(active.live, active.spec.placement.image).waiting.append(active)

    def need_all(self, live: LivePipeline) -> None:
        """Start to build every image of the remaining Execs, but for those with a cache."""
        left = residual(live.tree)
        specs = [] if left is None else list(left.execs())
        needed = {spec.placement.image for spec in specs if not is_isolated(spec, live.record)}
        for name in dict.fromkeys(spec.placement.image for spec in specs):
            self.image_of(live, name).forget_failure()
            if name in needed:
                self.need(live, name)

    def forget(self, live: LivePipeline, paths: Iterable[str]) -> None:
        """Rebuild the images of these subtrees when they are next needed."""
        names = {
            node.spec.placement.image
            for path in paths
            for node in live.tree.subtree(live.tree.nodes[path])
        }
        live.builder = None  # a new one rereads code and repositories
        for name in names & live.images.keys():
            image = live.images[name]
            image.built = image.content = None
            image.forget_failure()
            if image.task is not None:
                image.task.cancel()  # its result would be out of date
                image.task = None
            if image.waiting:
                self.need(live, name)

    def retry_failed(self, live: LivePipeline) -> None:
        """Let images whose build failed be rebuilt, from the current code, when they are needed."""
        failed = [image for image in live.images.values() if image.failure is not None]
        for image in failed:
            image.forget_failure()
            image.content = None
        if failed:
            live.builder = None  # a new one rereads code and repositories

    def gone(self, live: LivePipeline, name: str, reference: str) -> None:
        """Note that an image is no longer on the engine; it is rebuilt when it is needed.

        It was removed by hand or by another installation, because images are shared by content.
        """
        image = live.images[name]
        if image.built is not None and image.built.reference == reference:
            image.built = image.task = image.content = None
            live.builder = None  # it caches its images

    async def builder(self, live: LivePipeline) -> ImageBuilder:
        """Return the image builder of a pipeline; open the engine if necessary."""
        engine_context = self._common.engine_context(live)
        await engine_context.open()
        if live.builder is None:
            live.builder = engine_context.builder()
        return live.builder

    def cancel(self) -> list[asyncio.Task[None]]:
        """Stop all builds; return the tasks to wait for."""
        return [task for live in self._common.live.values() for task in cancel(live)]

    async def _build(self, live: LivePipeline, name: str, image: LiveImage) -> None:
        try:
            builder = await self.builder(live)
            image.built = await build(live, name, builder, self._common.logs(live.id))
        except ImageError as error:
            self._failed(live, image, str(error))
        except EngineError as error:
            self._engines.lost(live, error)
        except Exception as error:
            # A bug in the runner must fail the waiting nodes, not leave them waiting forever.
            logger.exception("build failed in the runner", extra={"pipeline": live.id})
            message = f"the runner failed (details in agent.log): {error!r}"
            live.set_image(name, state=ImageState.ERROR, error=message, ended=time.time())
            self._failed(live, image, message)
        else:
            waiting, image.waiting = image.waiting, []
            now = time.time()
            for active in waiting:
                if not active.gone:
                    active.image_ready = now
                    self._queue(active)
        self._common.wake()

    async def _fail_again(self, live: LivePipeline, image: LiveImage) -> None:
        self._failed(live, image, image.failure or "")
        self._common.wake()

    def _failed(self, live: LivePipeline, image: LiveImage, message: str) -> None:
        waiting, image.waiting = image.waiting, []
        image.task = None
        image.failure = message
        image.failed |= {active.spec.path for active in waiting}
        for active in waiting:
            if not active.gone:
                active.result = AttemptEnd(message=message)
                failed = ev.AttemptFinished(active.spec.path, active.number, Cause.IMAGE)
                self._common.apply(live, failed)
