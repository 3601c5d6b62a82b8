"""Base images, pulled or built from a user's Dockerfile."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from conducto.wire.fields import IMAGE_NAMES
from conducto_core.images import contexts
from conducto_core.images import dockerfile as dockerfiles
from conducto_core.images import dockerfile as layers
from conducto_core.images.contexts import Context, Digests, git_remarks
from conducto_core.images.model import ImageSpec
from conducto_core.images.sources import read_dockerfile
from conducto_core.run.model.records import ImageState
from conducto_local.engine.port import BuildLog, ImageError
from conducto_local.images.engine_images import EngineImages, ImageInfo
from conducto_local.images.progress import BuildLogWriter

# ----------------------------------------------------------------------------------------
# Work that several callers wait for and that runs once.


T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    transcript: BuildLogWriter
    passengers: int = 0


class WorkNeededError(Exception):
    """Work would start that is not allowed."""


@dataclass(slots=True)
class SingleFlight(Generic[T]):
    """Runs one task per key at a time; further callers wait for its result.

    Attributes:
        is_open: Work may start.
    """

    is_open: bool = True
    _flying: dict[str, _Flight[T]] = field(default_factory=dict)

    async def join(
        self, key: str, log: BuildLog, work: Callable[[BuildLogWriter], Coroutine[None, None, T]]
    ) -> T:
        """Return the result of the running task for ``key``, or start it.

        The task is cancelled only when all its callers are cancelled.

        Raises:
            WorkNeededError: No work may start.
        """
        if not self.is_open:
            raise WorkNeededError(key)
        active = self._flying.get(key)
        if active is None:
            transcript = BuildLogWriter()
            active = _Flight(asyncio.create_task(work(transcript)), transcript)
            self._flying[key] = active
            active.task.add_done_callback(lambda _task: self._land(key, active))
        active.transcript.join(log)
        active.passengers += 1
        try:
            return await asyncio.shield(active.task)
        except asyncio.CancelledError:
            if active.passengers == 1 and not active.task.done():
                self._land(key, active)
                active.task.cancel()
            raise
        finally:
            active.passengers -= 1
            active.transcript.leave(log)

    def _land(self, key: str, active: _Flight[T]) -> None:
        # After a cancellation, another task with the same key may already be running.
        if self._flying.get(key) is active:
            del self._flying[key]


#: Size in bytes from which the log has a remark about a context.
LARGE = 200 * 1000 * 1000
_NEEDS_CLIENT = re.compile(r"--mount=\S*type=(secret|ssh)")


@dataclass(frozen=True, slots=True)
class Base:
    """An image to build on.

    Attributes:
        reference: A name for FROM in a generated Dockerfile.
    """

    reference: str
    info: ImageInfo


@dataclass(slots=True)
class BuildContext:
    """The state that all builds of a process share.

    Attributes:
        slots: Limits the number of simultaneous pulls and builds.
        arch: Architecture of the engine.
    """

    engine: EngineImages
    slots: asyncio.Semaphore
    digests: Digests = field(default_factory=Digests)
    layers: SingleFlight[Base] = field(default_factory=SingleFlight)
    arch: str = ""

    def platform(self, spec: ImageSpec) -> str:
        """Return the platform of an image for another architecture than the engine's, or ""."""
        is_own = spec.arch in ("", self.arch)
        return "" if is_own else f"linux/{IMAGE_NAMES[spec.arch]}"

    async def found(self, reference: str) -> Base | None:
        """Return an image if the engine has it."""
        info = await self.engine.inspect(reference)
        return None if info is None else Base(reference, info)

    async def created_image(self, reference: str) -> Base:
        """Return an image that was just created.

        Raises:
            ImageError: It was removed meanwhile.
        """
        base = await self.found(reference)
        if base is None:
            raise ImageError(f"image {reference!r}: removed during the build; launch again")
        return base

    async def pulled(self, reference: str, log: BuildLogWriter) -> Base:
        """Return an image, pulled if the engine does not have it.

        Raises:
            ImageError: It cannot be pulled.
        """

        async def pull(said: BuildLogWriter) -> None:
            await self.engine.pull(reference, said)

        return await self.layer(reference, ImageState.PULLING, log, pull)

    async def layer(
        self,
        reference: str,
        step: ImageState,
        log: BuildLogWriter,
        make: Callable[[BuildLogWriter], Awaitable[None]],
    ) -> Base:
        """Return an image, which one caller makes if the engine does not have it."""
        found = await self.found(reference)
        if found is not None:
            return found

        async def make_layer(said: BuildLogWriter) -> Base:
            async with self.slots:
                said.step(step)
                await make(said)
            return await self.created_image(reference)

        return await self.layers.join(reference, log, make_layer)


async def resolve_base(shop: BuildContext, spec: ImageSpec, log: BuildLogWriter) -> Base:
    """Return the base image of a definition.

    Raises:
        ImageError: It cannot be pulled or built.
    """
    if spec.image is not None and shop.platform(spec):
        # A pull would replace the image of the engine's own architecture.
        text = f"FROM {spec.image}\n"
        spec = spec.model_copy(update={"image": None, "dockerfile_text": text})
    if spec.image is None:
        return await _built(shop, spec, log)
    base = await shop.pulled(spec.image, log)
    if not spec.image.startswith("sha256:"):
        return base
    # BuildKit takes an id for the name of a repository, so give it a name.
    reference = "conducto_base:" + base.info.id.removeprefix("sha256:")[:32]
    await shop.engine.tag(spec.image, reference)
    return replace(base, reference=reference)


async def _built(shop: BuildContext, spec: ImageSpec, log: BuildLogWriter) -> Base:
    source = await asyncio.to_thread(read_dockerfile, spec)
    args = spec.docker_build_args
    bases = [
        (reference, await _base_id(shop, reference, log))
        for reference in dockerfiles.base_references(source.text, args)
    ]
    tree = await asyncio.to_thread(contexts.tree_hash, source.context, shop.digests)
    platform = shop.platform(spec)
    foreign = (platform,) if platform else ()
    digest = layers.content_hash("built", source.text, source.name, tree, args, bases, *foreign)
    tag = layers.layer_tag("built", digest)

    async def build(said: BuildLogWriter) -> None:
        if source.syntax is not None:
            said.write(f"syntax {source.syntax}: ignored; the engine's default is used\n")
        said.lines(await asyncio.to_thread(remarks, source.context))
        head = contexts.pack_files({source.name: source.text.encode()})
        error = await shop.engine.build(
            tag,
            stream(head, contexts.pack(source.context)),
            said,
            dockerfile=source.name,
            build_args=spec.docker_build_args,
            labels={layers.LABEL_LAYER: "built"},
            platform=platform,
        )
        if error is not None:
            raise said.failure(f"{source.shown} failed to build: {error}{_hint(source.text)}")

    return await shop.layer(tag, ImageState.BUILDING, log, build)


async def _base_id(shop: BuildContext, reference: str, log: BuildLogWriter) -> str | None:
    try:
        return (await shop.pulled(reference, log)).info.id
    except ImageError as error:
        # Dockerfiles are parsed only roughly: the engine decides whether the image is needed.
        log.write(f"{error}\n")
        return None


def _hint(text: str) -> str:
    if _NEEDS_CLIENT.search(text) is None:
        return ""
    return " (RUN --mount=type=secret and type=ssh are not available in image builds here)"


def remarks(context: Context) -> list[str]:
    """Return remarks for the user about a context; reads some of its files."""
    return list(_remarks(context))


def _remarks(context: Context) -> Iterator[str]:
    for path in context.skipped:
        yield f"left out {path!r}: sockets, pipes and devices cannot be copied"
    yield from git_remarks(context)
    if context.size >= LARGE:
        parts = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in context.largest())
        yield (
            f"sending {context.size / 1e6:.0f} MB of {context.root!r} ({parts}); "
            f"leave out in {contexts.IGNORE_FILE} what the image does not need"
        )


async def stream(head: bytes, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks of a tar archive; the files are read outside the event loop's thread."""
    if head:
        yield head
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk
