"""Garbage collection of the resources that no live pipeline of this state directory needs.

A pipeline is live unless it is archived or deleted. Resources on the engine are identified by
labels with the mark of the state directory (`conducto_local.agent.state_dir`):
`attempt_records.LABEL_HOME`, `engine_images.LABEL_IMAGE_HOME`, `container.LABEL_DEBUG_HOME`.
Resources without a mark are never touched.
"""

import asyncio
import logging
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conducto.files.directory import TEMPORARY_PREFIX
from conducto.files.trees import remove_tree, walk_files
from conducto_core.installation.model import GcItem, GcReport, GcRequest
from conducto_core.run.model.records import Lifecycle
from conducto_local.agent.state_dir import StateDir, installation_id
from conducto_local.debug.terminal import LABEL_DEBUG, LABEL_DEBUG_HOME
from conducto_local.engine.port import Engine, EngineError, LabelledResource
from conducto_local.images.engine_images import LABEL_IMAGE_HOME
from conducto_local.run.attempt_records import LABEL_HOME, LABEL_PIPELINE
from conducto_local.run.context import EngineContext
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.run.snapshots import LABEL_SNAPSHOT
from conducto_local.store.port import (
    REPAIR,
    Store,
    StoreError,
    StoreFullError,
    UnknownPipelineError,
)

logger = logging.getLogger(__name__)

_UNKNOWN = (
    "it belongs to no known pipeline; 'conducto agent repair' makes one from it, or remove "
    "it yourself"
)
#: Block size of `os.lstat` in bytes.
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Leftover:
    """Files that are not needed.

    Attributes:
        note: Reason why they are kept anyway; None to remove them.
    """

    path: Path
    kind: Literal["files", "cache"] = "files"
    note: str | None = None
    pipeline: str | None = None


@dataclass(frozen=True, slots=True)
class KeepSet:
    """The resources that live pipelines need.

    Attributes:
        pipelines: Ids of all pipelines, including archived ones.
        loaded: Ids of the pipelines whose containers and networks the scheduler manages.
        images: References of images that a live pipeline uses.
        snapshots: References of snapshots of attempts.
        building: Images are being built; unfinished ones would look unneeded.
        unknown: Ids of directories without a pipeline, whose needs are unknown.
        unreadable: Some pipelines cannot be read, so any image may be needed.
    """

    pipelines: Collection[str]
    loaded: Collection[str]
    images: Collection[str]
    snapshots: Collection[str]
    building: bool
    unknown: Collection[str] = ()
    unreadable: bool = False


def unneeded_workers(
    found: Iterable[LabelledResource], needs: KeepSet
) -> Iterator[LabelledResource]:
    """Yield containers and networks of pipelines, and of builds, that are not managed any more."""
    for one in found:
        pipeline = one.labels.get(LABEL_PIPELINE)
        if one.kind != "image" and not (
            needs.building if not pipeline else pipeline in needs.loaded
        ):
            yield one


def unneeded_shells(
    found: Iterable[LabelledResource], needs: KeepSet
) -> Iterator[LabelledResource]:
    """Yield containers of debug shells that have ended, or whose pipeline no longer exists."""
    for one in found:
        pipeline = one.labels.get(LABEL_DEBUG)
        is_shell = one.kind == "container" and pipeline is not None
        if is_shell and not (one.running and pipeline in needs.pipelines):
            yield one


def unneeded_images(
    found: Iterable[LabelledResource], needs: KeepSet
) -> Iterator[LabelledResource]:
    """Yield images that no live pipeline uses, directly or as a base."""
    images = [one for one in found if one.kind == "image"]
    kept = [one.layers for one in images if one.name in needs.images and one.layers]
    for one in images:
        if LABEL_SNAPSHOT in one.labels:
            is_unknown = one.labels[LABEL_SNAPSHOT] in needs.unknown
            needed = needs.unreadable or is_unknown or one.name in needs.snapshots
        else:
            below = any(layers[: len(one.layers)] == one.layers for layers in kept)
            unsure = needs.building or needs.unreadable
            needed = unsure or one.name in needs.images or below
        if not needed:
            yield one


class GarbageCollector:
    """Removes the resources that no live pipeline needs."""

    def __init__(
        self,
        home: StateDir,
        store: Store,
        engine_contexts: Mapping[str, EngineContext],
        scheduler: Scheduler,
    ) -> None:
        self._home = home
        self._store = store
        self._engine_contexts = engine_contexts
        self._scheduler = scheduler
        self._started = time.time()

    async def collect(self, request: GcRequest) -> GcReport:
        """Return the unneeded resources; remove them unless it is a dry run.

        If an engine is unreachable, the report has a note and its resources are kept.
        """
        notes: list[str] = []
        items: list[GcItem] = []
        with suppress(StoreFullError):
            await self._scheduler.saved(wait=False)
        for engine_context in self._engine_contexts.values():
            try:
                await engine_context.open()
                items += await self._on_engine(engine_context, request, notes)
            except EngineError as error:
                if self._is_used(engine_context):
                    notes.append(f"containers and images are kept: {error}")
        items += await self._files(request)
        size = sum(item.bytes for item in items if item.freed or request.dry_run)
        logger.info("collected", extra={"items": len(items), "bytes": size})
        return GcReport(dry_run=request.dry_run, items=tuple(items), bytes=size, notes=tuple(notes))

    def _is_used(self, engine_context: EngineContext) -> bool:
        return any(
            self._engine_contexts[record.engine] is engine_context
            for record in self._store.records()
        )

    async def _on_engine(
        self, engine_context: EngineContext, request: GcRequest, notes: list[str]
    ) -> list[GcItem]:
        engine = engine_context.engine
        shells = await self._own(engine, LABEL_DEBUG_HOME)
        if not request.dry_run:
            await self._cool_down(
                engine_context, {one.labels.get(LABEL_DEBUG, "") for one in shells}
            )
        workers = await self._own(engine, LABEL_HOME)
        images = await self._own(engine, LABEL_IMAGE_HOME)
        records = self._store.records()
        known = {record.id for record in records} | self._store.damaged().keys()
        live = [record for record in records if record.lifecycle is not Lifecycle.ARCHIVED]
        named = await asyncio.to_thread(self._named, [record.id for record in live])
        names, snapshots, unreadable = named
        loaded = self._scheduler.live
        for pipeline in loaded.values():
            if pipeline.record.lifecycle is Lifecycle.ARCHIVED:
                continue
            names.update(i.built.reference for i in pipeline.images.values() if i.built is not None)
        for attempt in self._scheduler.unsaved_attempts():
            names.update(filter(None, (attempt.image,)))
            snapshots.update(filter(None, (attempt.snapshot,)))
        needs = KeepSet(
            pipelines=known,
            loaded={*loaded},
            images=names,
            snapshots=snapshots,
            building=any(map(_is_building, loaded.values())),
            unknown=set(self._home.pipeline_ids()) - known,
            unreadable=unreadable or bool(self._store.damaged()),
        )
        if needs.building:
            notes.append("images are being built: existing images were not checked")
        if needs.unreadable:
            notes.append(f"images are kept: a pipeline that may need them cannot be read. {REPAIR}")
        found = [
            *unneeded_workers(workers, needs),
            *unneeded_shells(shells, needs),
            # Derived images first: their sizes include their additional layers only.
            *sorted(unneeded_images(images, needs), key=lambda one: -len(one.layers)),
        ]
        found.sort(key=lambda one: ("container", "network", "image").index(one.kind))
        items = [
            await _discard(engine, one, request)
            for one in found
            if one.kind != "image" or not self._is_wanted(one.name)
        ]
        self._forget({item.name for item in items if item.freed and item.kind == "image"})
        return items

    async def _own(self, engine: Engine, label: str) -> list[LabelledResource]:
        return await engine.find(label, installation_id(self._home))

    def _is_wanted(self, image: str) -> bool:
        """Return whether a launch may have found the image meanwhile and relies on it."""
        return any(
            _is_building(live)
            or any(i.built is not None and i.built.reference == image for i in live.images.values())
            for live in self._scheduler.live.values()
            if live.record.lifecycle is not Lifecycle.ARCHIVED
        )

    def _forget(self, images: Collection[str]) -> None:
        """Forget removed images, so that an archived pipeline rebuilds them after it wakes."""
        for live in self._scheduler.live.values():
            for image in live.images.values():
                if image.built is not None and image.built.reference in images:
                    image.built = image.task = None
                    live.builder = None  # it caches its images

    async def _cool_down(self, engine_context: EngineContext, opened: Collection[str]) -> None:
        """Remove idle containers; a network that a shell uses is kept."""
        for live in list(self._scheduler.live.values()):
            if (
                self._scheduler.engine_context(live) is engine_context
                and live.settled()
                and live.id not in opened
            ):
                await self._scheduler.networks.release(live)

    def _named(self, pipelines: Iterable[str]) -> tuple[set[str], set[str], bool]:
        """Return the images and snapshots of pipelines, and whether some cannot be read."""
        names: set[str] = set()
        snapshots: set[str] = set()
        unreadable = False
        for pipeline_id in pipelines:
            try:
                names.update(r for i in self._store.images(pipeline_id) if (r := i.reference))
                attempts = self._store.attempts(pipeline_id)
                names.update(a.image for a in attempts if a.image is not None)
                snapshots.update(str(a.snapshot) for a in self._store.snapshots(pipeline_id))
            except UnknownPipelineError:
                continue  # it was deleted meanwhile
            except StoreError:
                unreadable = True
        return names, snapshots, unreadable

    async def _files(self, request: GcRequest) -> list[GcItem]:
        found = await asyncio.to_thread(self._leftovers, self._unknown())
        clones = self._home.agent / "cache"
        if clones.is_dir() and not any(map(_is_building, self._scheduler.live.values())):
            found.append(Leftover(clones, "cache"))
            if not request.dry_run:
                for live in self._scheduler.live.values():
                    live.builder = None  # it caches clones
        return [await asyncio.to_thread(_erase, one, request) for one in found]

    def _unknown(self) -> list[str]:
        known = {record.id for record in self._store.records()} | self._store.damaged().keys()
        return [one for one in self._home.pipeline_ids() if one not in known]

    def _leftovers(self, unknown: Collection[str]) -> list[Leftover]:
        home = self._home
        found = [Leftover(path) for path in home.discarded()]
        for pipeline_id in unknown:
            directory = home.pipeline(pipeline_id)
            note = None if directory.is_empty() else _UNKNOWN
            found.append(Leftover(directory.root, note=note, pipeline=pipeline_id))
        for pipeline_id in home.pipeline_ids():
            found += _uploads(home.pipeline(pipeline_id).data, self._started, pipeline_id)
        return [*found, *_uploads(home.user_data, self._started)]


def _is_building(live: LivePipeline) -> bool:
    return any(i.task is not None and not i.task.done() for i in live.images.values())


async def _discard(engine: Engine, one: LabelledResource, request: GcRequest) -> GcItem:
    snapshot = one.labels.get(LABEL_SNAPSHOT)
    pipeline = one.labels.get(LABEL_PIPELINE) or one.labels.get(LABEL_DEBUG) or snapshot
    item = GcItem(
        kind="snapshot" if snapshot and one.kind == "image" else one.kind,
        name=one.name,
        pipeline=pipeline or None,
        bytes=one.size,
    )
    if request.dry_run:
        return item
    try:
        freed = await engine.discard(one)
    except EngineError as error:
        return item.model_copy(update={"note": str(error)})
    note = None if freed else "in use, or already removed"
    return item.model_copy(update={"freed": freed, "note": note})


def _uploads(data: Path, before: float, pipeline_id: str | None = None) -> Iterator[Leftover]:
    """Yield unfinished uploads of an earlier agent, which are older than ``before``."""
    for entry in walk_files(str(data)):
        if entry.name.startswith(TEMPORARY_PREFIX):
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    yield Leftover(Path(entry.path), pipeline=pipeline_id)


def _erase(one: Leftover, request: GcRequest) -> GcItem:
    path = one.path
    item = GcItem(
        kind=one.kind, name=str(path), pipeline=one.pipeline, bytes=_size(path), note=one.note
    )
    if one.note is not None:
        return item.model_copy(update={"bytes": 0})
    if request.dry_run:
        return item
    try:
        if path.is_dir() and not path.is_symlink():
            remove_tree(str(path))
        else:
            path.unlink(missing_ok=True)
    except Exception as error:  # noqa: BLE001  one failure must not keep the others
        why = error.strerror if isinstance(error, OSError) else repr(error)
        note = f"cannot be removed ({why}); remove it yourself: sudo rm -r {shlex.quote(str(path))}"
        return item.model_copy(update={"bytes": 0, "note": note})
    return item.model_copy(update={"freed": True})


def _size(path: Path) -> int:
    """Return the disk usage of a file or directory in bytes, as far as it is readable."""
    size = 0
    with suppress(OSError):
        size += path.lstat().st_blocks * _BLOCK
    for entry in walk_files(str(path)) if path.is_dir() else ():
        with suppress(OSError):
            size += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
    return size
