"""Freeing what no live pipeline needs, of this home and of nobody else.

Live is a pipeline that is neither archived nor deleted. What is on the engine is known by labels
that bear a mark of the home (`conducto_local.identity`): `flights.LABEL_HOME`,
`images.api.LABEL_IMAGE_HOME`, `debug.container.LABEL_DEBUG_HOME`; without one nothing is touched.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conducto.model.gc_calls import GcItem, GcReport, GcRequest
from conducto.model.records import Lifecycle
from conducto_local.debug.container import LABEL_DEBUG, LABEL_DEBUG_HOME
from conducto_local.home import Home
from conducto_local.identity import identity_of
from conducto_local.images.api import LABEL_IMAGE_HOME
from conducto_local.ports import Belonging, Engine, EngineError
from conducto_local.runner.flights import LABEL_HOME, LABEL_PIPELINE
from conducto_local.runner.kit import Kit
from conducto_local.runner.live import LivePipeline
from conducto_local.runner.scheduler import Scheduler
from conducto_local.runner.snapshots import LABEL_SNAPSHOT
from conducto_local.store.port import Store

logger = logging.getLogger(__name__)

#: Bytes of a block, as `os.lstat` counts them.
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Needs:
    """What live pipelines need.

    Attributes:
        pipelines: Ids of all pipelines that there are, archived ones too.
        loaded: Ids of those whose containers and networks the scheduler looks after.
        images: References of images that a live pipeline names.
        snapshots: References of snapshots that an attempt has.
        building: Images are being made now; half-made ones look as if nobody needed them.
    """

    pipelines: Collection[str]
    loaded: Collection[str]
    images: Collection[str]
    snapshots: Collection[str]
    building: bool


def unneeded_workers(found: Iterable[Belonging], needs: Needs) -> Iterator[Belonging]:
    """Yield containers and networks of pipelines, and of builds, that nobody looks after."""
    for one in found:
        pipeline = one.labels.get(LABEL_PIPELINE)
        if one.kind != "image" and not (
            needs.building if not pipeline else pipeline in needs.loaded
        ):
            yield one


def unneeded_shells(found: Iterable[Belonging], needs: Needs) -> Iterator[Belonging]:
    """Yield containers of debug shells that have ended, or whose pipeline is gone."""
    for one in found:
        pipeline = one.labels.get(LABEL_DEBUG)
        is_shell = one.kind == "container" and pipeline is not None
        if is_shell and not (one.running and pipeline in needs.pipelines):
            yield one


def unneeded_images(found: Iterable[Belonging], needs: Needs) -> Iterator[Belonging]:
    """Yield images that no live pipeline names and of which none that it names is made."""
    images = [one for one in found if one.kind == "image"]
    kept = [one.layers for one in images if one.name in needs.images and one.layers]
    for one in images:
        if LABEL_SNAPSHOT in one.labels:
            needed = one.name in needs.snapshots
        else:
            below = any(layers[: len(one.layers)] == one.layers for layers in kept)
            needed = needs.building or one.name in needs.images or below
        if not needed:
            yield one


class Collector:
    """Frees what no live pipeline needs."""

    def __init__(
        self, home: Home, store: Store, kits: Mapping[str, Kit], scheduler: Scheduler
    ) -> None:
        self._home = home
        self._store = store
        self._kits = kits
        self._scheduler = scheduler

    async def collect(self, request: GcRequest) -> GcReport:
        """Return what nobody needs, freed unless it is a dry run.

        An engine that cannot be reached is noted, and what is on it stays.
        """
        notes: list[str] = []
        items: list[GcItem] = []
        await self._scheduler.saved()
        for kit in self._kits.values():
            try:
                await kit.open()
                items += await self._on_engine(kit, request, notes)
            except EngineError as error:
                if self._is_used(kit):
                    notes.append(f"containers and images stay: {error}")
        items += await self._files(request)
        size = sum(item.bytes for item in items if item.freed or request.dry_run)
        logger.info("collected", extra={"items": len(items), "bytes": size})
        return GcReport(dry_run=request.dry_run, items=tuple(items), bytes=size, notes=tuple(notes))

    def _is_used(self, kit: Kit) -> bool:
        return any(self._kits[record.engine] is kit for record in self._store.records())

    async def _on_engine(self, kit: Kit, request: GcRequest, notes: list[str]) -> list[GcItem]:
        engine = kit.engine
        shells = await self._own(engine, LABEL_DEBUG_HOME)
        if not request.dry_run:
            await self._cool_down(kit, {one.labels.get(LABEL_DEBUG, "") for one in shells})
        workers = await self._own(engine, LABEL_HOME)
        images = await self._own(engine, LABEL_IMAGE_HOME)
        needs = await self._needs()
        if needs.building:
            notes.append("images are being built: those that exist were not looked at")
        found = [
            *unneeded_workers(workers, needs),
            *unneeded_shells(shells, needs),
            # Those on top first: one that others are made of takes no room of its own.
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

    async def _own(self, engine: Engine, label: str) -> list[Belonging]:
        """Return what bears a mark of this home in a label, also that of an earlier version."""
        marks = identity_of(self._home).marks
        return [one for mark in marks for one in await engine.find(label, mark)]

    def _is_wanted(self, image: str) -> bool:
        """Whether a launch has come meanwhile that may have found the image and counts on it."""
        return any(
            _is_building(live)
            or any(i.built is not None and i.built.reference == image for i in live.images.values())
            for live in self._scheduler.live.values()
            if live.record.lifecycle is not Lifecycle.ARCHIVED
        )

    def _forget(self, images: Collection[str]) -> None:
        """Have freed images made anew where an archived pipeline that is woken needs them."""
        for live in self._scheduler.live.values():
            for image in live.images.values():
                if image.built is not None and image.built.reference in images:
                    image.built = image.task = None
                    live.builder = None  # it remembers what it has made

    async def _cool_down(self, kit: Kit, opened: Collection[str]) -> None:
        """Let containers go that only idle; a network that a shell uses stays."""
        for live in list(self._scheduler.live.values()):
            if self._scheduler.kit(live) is kit and live.settled() and live.id not in opened:
                await self._scheduler.cool_down(live)

    async def _needs(self) -> Needs:
        records = self._store.records()
        live = [record for record in records if record.lifecycle is not Lifecycle.ARCHIVED]
        names, snapshots = await asyncio.to_thread(self._named, [record.id for record in live])
        loaded = self._scheduler.live
        for pipeline in loaded.values():
            if pipeline.record.lifecycle is Lifecycle.ARCHIVED:
                continue
            names.update(i.built.reference for i in pipeline.images.values() if i.built is not None)
        return Needs(
            pipelines={record.id for record in records},
            loaded={*loaded},
            images=names,
            snapshots=snapshots,
            building=any(map(_is_building, loaded.values())),
        )

    def _named(self, pipelines: Iterable[str]) -> tuple[set[str], set[str]]:
        names: set[str] = set()
        snapshots: set[str] = set()
        for pipeline_id in pipelines:
            names.update(r for i in self._store.images(pipeline_id) if (r := i.reference))
            for attempt in self._store.attempts(pipeline_id):
                if attempt.image is not None:
                    names.add(attempt.image)
            snapshots.update(str(a.snapshot) for a in self._store.snapshots(pipeline_id))
        return names, snapshots

    async def _files(self, request: GcRequest) -> list[GcItem]:
        known = {record.id for record in self._store.records()}
        orphans = [
            path
            for path in self._home.pipelines.iterdir()
            if path.is_dir() and path.name not in known
        ]
        found = [(path, "files") for path in orphans]
        clones = self._home.agent / "cache"
        if clones.is_dir() and not any(map(_is_building, self._scheduler.live.values())):
            found.append((clones, "cache"))
            if not request.dry_run:
                for live in self._scheduler.live.values():
                    live.builder = None  # it remembers clones
        return [await asyncio.to_thread(_erase, path, kind, request) for path, kind in found]


def _is_building(live: LivePipeline) -> bool:
    return any(i.task is not None and not i.task.done() for i in live.images.values())


async def _discard(engine: Engine, one: Belonging, request: GcRequest) -> GcItem:
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
    note = None if freed else "in use, or gone already"
    return item.model_copy(update={"freed": freed, "note": note})


def _erase(path: Path, kind: str, request: GcRequest) -> GcItem:
    item = GcItem(kind="cache" if kind == "cache" else "files", name=str(path), bytes=_size(path))
    if request.dry_run:
        return item
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        note = f"files of another user are in it; remove it yourself: sudo rm -r {path}"
        return item.model_copy(update={"bytes": 0, "note": note})
    return item.model_copy(update={"freed": True})


def _size(path: Path) -> int:
    """Return the bytes that a directory takes, as far as it can be read."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_blocks * _BLOCK  # noqa: PTH118
    return size
