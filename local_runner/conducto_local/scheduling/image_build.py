"""The build of one image of a pipeline, with its log and state."""

import asyncio
import time

from conducto_core.model.records import ImageState
from conducto_local.ports import BuildPart, BuiltImage, ImageBuilder, ImageError
from conducto_local.scheduling.attempt_logs import LogDirectory, LogWriter
from conducto_local.scheduling.build_progress import BuildProgressWriter
from conducto_local.scheduling.live_pipeline import LivePipeline

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
