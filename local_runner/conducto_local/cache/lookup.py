"""The decisions about cached commands of the agent, and the storage of their outcomes."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from conducto_core.cache import rules
from conducto_core.cache.files import FileUse
from conducto_core.cache.forecast import UNKNOWN_IMAGE, Look, forecast
from conducto_core.cache.model import CacheEntry, CacheForecast
from conducto_core.cache.rules import CacheDecision, Inputs
from conducto_core.cache.views import CachedFiles, DamagedObjectError
from conducto_core.command.text import CommandError, script_of
from conducto_core.programs.relaunch import AvailableImage, content_of
from conducto_core.programs.rules.fingerprints import changed_names, fingerprint
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.outcomes import AttemptEnd, changed_record
from conducto_core.tree.model import NodeSpec, Pipeline
from conducto_local.cache.store import CachedOutcome, SqliteCache
from conducto_local.engine.port import BuiltImage, UnbuiltImage
from conducto_local.images.manifests import Manifests
from conducto_local.images.waiters import ImageWaiters
from conducto_local.logs.store import Kept, LogDirectory
from conducto_local.run.attempt_records import started_record
from conducto_local.run.command import results_of
from conducto_local.run.context import SchedulerContext
from conducto_local.run.live_pipeline import ActiveAttempt, LivePipeline
from conducto_local.secrets.injection import InjectedSecrets, SecretProvider

logger = logging.getLogger(__name__)

#: The files that a command sees: their marks, or why they are not known.
Data = Mapping[str, str] | str
#: Streams of an attempt, as entries name them.
_KEPT: tuple[Kept, ...] = (
    *("result", "metrics", "annotations", "tests", "coverage"),
    *("stdout", "stderr", "files"),
)


class Waiting(NamedTuple):
    """The parts of the scheduler that a decision waits for.

    Attributes:
        images: The images of pipelines.
        files: The files of cached commands.
        saved: Returns when the entries of ended attempts are stored.
    """

    images: ImageWaiters
    files: CachedFiles
    saved: Callable[[], Awaitable[None]]


class Candidate(NamedTuple):
    """A command that may start, with its inputs.

    Attributes:
        shell: The shell that the definition of its image names.
        image: Its image; it may not be built.
    """

    record: PipelineRecord
    spec: NodeSpec
    shell: str
    image: AvailableImage
    secrets: InjectedSecrets
    results: Mapping[str, bytes]
    data: Data


class _Decided(NamedTuple):
    """A decision, with the key and the fingerprint of its command."""

    decision: CacheDecision
    key: str | None = None
    print: str | None = None


class _Flight(NamedTuple):
    """The attempt of a command with ``serialize``.

    Attributes:
        over: Set when it has ended, or does not start.
    """

    holder: ActiveAttempt
    over: asyncio.Event


class Caches:
    """Decides whether cached commands run, and stores the outcomes of those that ran.

    Args:
        common: The state of the scheduler.
        store: The entries.
        manifests: The lists of copied files.
        secrets: The secrets of commands.
        waiting: The parts that a decision waits for.
    """

    def __init__(
        self,
        common: SchedulerContext,
        store: SqliteCache,
        manifests: Manifests,
        secrets: SecretProvider,
        waiting: Waiting,
    ) -> None:
        self._common = common
        self._store = store
        self._images, self._files, self._saved = waiting
        self._manifests = manifests
        self._secrets = secrets
        self._flights: dict[str, _Flight] = {}

    async def decide(self, active: ActiveAttempt) -> CacheDecision:
        """Return the decision about a queued attempt; with ``serialize``, wait for an equal one."""
        while True:
            decision = await self._try(active)
            key = active.cache_key
            if decision.entry is not None or key is None or not rules.waits_for_equal(active.spec):
                return decision
            flight = self._flights.get(key)
            if flight is None and not active.gone:
                self._flights[key] = _Flight(active, asyncio.Event())
            if flight is None:
                return decision
            active.same_command = f"{flight.holder.live.id} {flight.holder.spec.path}"
            await flight.over.wait()
            active.same_command = None
            if active.gone:
                return decision

    def release(self, active: ActiveAttempt) -> None:
        """Let one of the commands run that wait for an attempt, unless its outcome is stored."""
        flight = self._flights.get(active.cache_key or "")
        if flight is not None and flight.holder is active:
            del self._flights[active.cache_key or ""]
            flight.over.set()

    async def _try(self, active: ActiveAttempt) -> CacheDecision:
        """Return a decision; a failure of the cache is a miss."""
        active.cache_key = None
        try:
            return await self._decided(active)
        except Exception as error:
            # The command runs without the cache; whatever is wrong there shows itself again.
            logger.exception("the cache could not be read", extra={"path": active.spec.path})
            return CacheDecision(reason=f"not cached: the cache could not be read: {error!r}")

    async def _decided(self, active: ActiveAttempt) -> CacheDecision:
        live, spec = active.live, active.spec
        off = rules.switched_off(live.record)
        if off is not None:
            return CacheDecision(reason=f"not cached: {off}")
        node = live.tree.nodes.get(spec.path)
        fresh = isinstance(node, LiveExec) and node.fresh
        forced = rules.forced(live.record, fresh=fresh)
        content = await self._content(live, spec.placement.image)
        if content is None:
            return CacheDecision(reason="not cached: its image is not available")
        active.results = await results_of(active, self._common.logs(live.id))
        delivery = await self._secrets.delivery(secret_set=live.record.secret_set)
        secrets = delivery.only(spec.secrets)
        cache = rules.files_of(spec, live.record)
        data: Data = {}
        if cache is not None:
            directory = self._common.home.pipeline(live.id).data
            data = (await asyncio.to_thread(self._files.marks, directory, cache.reads)).inputs
        shell = live.pipeline.images[spec.placement.image].shell
        command = Candidate(live.record, spec, shell, content, secrets, active.results, data)
        if forced is None:
            await self._saved()  # an equal command may just have ended
        found = self._decision(command, forced)
        active.cache_key, active.fingerprint = found.key, found.print
        return found.decision

    def _decision(self, command: Candidate, forced: str | None) -> _Decided:
        """Return the decision about a command, with the entries as they are now."""
        record, spec, data = command.record, command.spec, command.data
        try:
            fields, print_ = self.fields(command)
        except CommandError as error:
            return _Decided(CacheDecision(reason=f"not cached: {error}"))
        key: str | None = None
        entries: list[CacheEntry] = []
        others: list[CacheEntry] = []
        if forced is None and not isinstance(fields, str):
            key = rules.key_of(fields, rules.trust_of(record, command.secrets.origins))
            entries = self._store.find([key])
            others = [] if entries else self._store.of_node(rules.program_of(record), spec.path)
        reader, now = rules.reader_of(record), time.time()
        decision = rules.decide(spec, fields, entries, others, reader, now=now, forced=forced)
        codes = rules.codes_to_compare(decision, print_)
        code = self._manifests.changed(*codes) if codes is not None else []
        files = [] if isinstance(data, str) else self._changed(decision, data)
        return _Decided(rules.with_names(decision, print_, code, files), key, print_)

    async def forecast(
        self,
        record: PipelineRecord,
        pipeline: Pipeline,
        images: Mapping[str, AvailableImage | None],
    ) -> list[CacheForecast]:
        """Return the decisions about a tree; an image that must be built first is None."""
        await self._saved()
        delivery = await self._secrets.delivery()
        forced = rules.forced(record, fresh=False)

        def decide(
            spec: NodeSpec, results: Mapping[str, bytes], data: Mapping[str, str]
        ) -> Look | str:
            name = spec.placement.image
            image = images.get(name)
            if image is None:
                return UNKNOWN_IMAGE
            shell = pipeline.images[name].shell
            secrets = delivery.only(spec.secrets)
            found = self._decision(
                Candidate(record, spec, shell, image, secrets, results, data), forced
            )
            entry = found.decision.entry
            packed = None if entry is None else self._store.streams(entry.key)
            return Look(found.decision, {} if packed is None else rules.unpack_streams(packed))

        return await asyncio.to_thread(lambda: list(forecast(pipeline, record, decide)))

    def _changed(self, decision: CacheDecision, data: Mapping[str, str]) -> list[str]:
        """Return the names of the files that differ from those of the nearest entry."""
        packed = None if decision.nearest is None else self._store.streams(decision.nearest.key)
        return [] if packed is None else changed_names(_files_in(packed).read, data)

    def fields(self, command: Candidate) -> tuple[Mapping[str, str] | str, str | None]:
        """Return the fields of a command, or why it has none; and its fingerprint.

        Raises:
            CommandError: The command uses a file that is not in the image.
        """
        spec, image, secrets = command.spec, command.image, command.secrets
        hide, results = secrets.mask.text, command.results
        script = script_of(spec, image.path_map, image.workdir)
        content = content_of(image)
        inputs = Inputs(
            script=hide(script),
            env={name: hide(value) for name, value in spec.env.items()},
            secrets=secrets.origins,
            image=content,
            shell=command.shell,
            results=results,
            files=self._manifests.files(content.code) if spec.code else None,
            data=command.data,
            references=secrets.references,
        )
        print_ = fingerprint(spec, script, content, secrets.origins, hide, results=results)
        return rules.fields_of(spec, inputs, command.record), print_

    async def restore(self, active: ActiveAttempt, entry: CacheEntry) -> AttemptEnd | str:
        """Write the outcome of an entry as that of an attempt; or return why it is missing."""
        source = entry.source.text
        try:
            end = await asyncio.to_thread(self._restored, active, entry)
        except OSError as error:  # for example, the disk is full
            return f"the files of {source} cannot be written: {error}"
        except (DamagedObjectError, ValueError) as error:
            logger.warning("an entry of the cache is damaged and deleted: %s", error)
            self._store.delete(entry.key)
            end = None
        if end is None:
            return f"the entry of {source} was deleted"
        started = started_record(active, None, None, self._secrets.mask)
        active.record = changed_record(started, from_cache=entry.saving(), started=None)
        active.live.note_use(entry.key)
        return end

    def _restored(self, active: ActiveAttempt, entry: CacheEntry) -> AttemptEnd | None:
        """Write the streams and files of an entry; return None if it was deleted meanwhile."""
        packed = self._store.streams(entry.key)
        if packed is None:
            return None
        streams = rules.unpack_streams(packed)
        cache = rules.files_of(active.spec, active.live.record)
        if cache is not None:
            data = self._common.home.pipeline(active.live.id).data
            self._files.restore(data, cache.writes, _files_in(packed).wrote)
        logs = self._common.logs(active.live.id)
        _clear(logs, active)
        writer = logs.writer(active.spec.path, active.number)
        for stream in _KEPT:
            if streams.get(stream):
                writer.write(stream, streams[stream])
        writer.close()
        if writer.failure is not None:
            _clear(logs, active)
            raise OSError(writer.failure)
        return AttemptEnd(0, output_bytes=writer.output_bytes(), outputs=entry.outputs)

    def prepared(
        self, active: ActiveAttempt, image: AvailableImage, secrets: InjectedSecrets
    ) -> None:
        """Note the inputs with which an attempt runs: the image may be newer than the decision."""
        if active.cached is not None:
            data = {} if active.view is None else active.view.inputs
            live, spec = active.live, active.spec
            shell = live.pipeline.images[spec.placement.image].shell
            active.cached.fields, _ = self.fields(
                Candidate(live.record, spec, shell, image, secrets, active.results, data)
            )
            active.cached.trust = rules.trust_of(active.live.record, secrets.origins)

    def ended(self, active: ActiveAttempt, record: AttemptRecord) -> AttemptRecord:
        """Store the outcome of an attempt, if it may be; return its record."""
        cached, live = active.cached, active.live
        if cached is None:
            return record
        why = rules.not_stored(record, live.record)
        if why is None and active.view is not None:
            why = active.view.refusal
        if why is None and isinstance(cached.fields, str):
            why = cached.fields
        if why is not None or isinstance(cached.fields, str):
            return changed_record(record, not_stored=why)
        source = f"{live.id} {record.path} attempt {record.number}"
        streams = _streams(self._common.logs(live.id), record, source)
        size = sum(map(len, streams.values())) + (0 if active.view is None else active.view.size)
        entry = rules.entry_of(cached.fields, record, live.record, cached.trust, size)
        entry = self._compared(entry, streams)
        contents = () if active.view is None else active.view.use.contents()
        live.store_entry(CachedOutcome(entry, rules.pack_streams(streams), contents))
        return record

    def _compared(self, entry: CacheEntry, streams: Mapping[str, bytes]) -> CacheEntry:
        """Return an entry with the names of the outcomes that differ from those in the cache."""
        try:
            known = next(iter(self._store.find([entry.key])), None)
            packed = None if known is None else self._store.streams(entry.key)
            if packed is None:
                return entry
            return rules.with_varying(entry, streams, known, rules.unpack_streams(packed))
        except (sqlite3.Error, OSError, ValueError):  # the entry is replaced in any case
            logger.exception("an outcome was not compared with that in the cache")
            return entry

    def trim(self) -> None:
        """Delete entries and files that are not used any more; blocks."""
        now = time.time()
        self._store.trim(now)
        self._files.trim(self._store.contents(), now)

    async def _content(self, live: LivePipeline, name: str) -> AvailableImage | None:
        """Return the content of an image; it is built only if nothing else shows its content."""
        image = live.images.get(name)
        if image is not None and image.built is not None:
            return image.built
        if image is None or image.content is None:
            image = self._images.image_of(live, name)
            image.content = self._common.tasks.spawn(self._look_up(live, name))
        content = await asyncio.shield(image.content)
        if content is not None:
            return content
        image = self._images.need(live, name)
        if image.task is not None:
            await asyncio.wait([image.task])
        return image.built

    async def _look_up(self, live: LivePipeline, name: str) -> BuiltImage | UnbuiltImage | None:
        builder = await self._images.builder(live)
        return await builder.lookup(live.pipeline.images[name])


def _files_in(packed: bytes) -> FileUse:
    return FileUse.from_bytes(rules.unpack_streams(packed).get("files", b""))


def _clear(logs: LogDirectory, active: ActiveAttempt) -> None:
    """Delete the streams of an attempt that an agent wrote which was killed before it ended."""
    for stream in (*_KEPT, "artifacts", "stdout_times", "stderr_times"):
        logs.file(active.spec.path, active.number, stream).unlink(missing_ok=True)


def _streams(logs: LogDirectory, record: AttemptRecord, source: str) -> dict[str, bytes]:
    reader = logs.reader(record.path, record.number)
    found: dict[str, bytes] = {}
    for stream in _KEPT:
        size = reader.size(stream)
        start = max(0, size - rules.KEPT_OUTPUT) if stream in {"stdout", "stderr"} else 0
        data = reader.read(stream, start, size).data if size else b""
        is_output = stream in {"stdout", "stderr"}
        found[stream] = rules.kept_output(data, size, source) if is_output else data
    return found
