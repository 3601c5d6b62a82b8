"""The decisions about cached commands of the cloud, and the storage of their outcomes.

A decision is an input of the journal (`CacheDecided`) in the entry that made the command ready, so
that it costs no worker and no execution.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import NamedTuple

from chalicelib.cache.store import Flight
from chalicelib.images.builds import ImageBuilds
from chalicelib.images.manifests import Manifests
from chalicelib.logs.port import LogKey, Storage, Stream
from chalicelib.records import Records
from chalicelib.run.model import BuiltImage, CacheDecided, CacheHit, CacheMiss, CacheWait
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.secrets.injection import InjectedSecrets, SecretCache
from conducto.wire.outputs import MAX_RESULT
from conducto_core.billing.rules import dollars_of
from conducto_core.cache import rules
from conducto_core.cache.files import FileUse
from conducto_core.cache.forecast import UNKNOWN_IMAGE, Look, forecast
from conducto_core.cache.model import CacheEntry, CacheForecast, CacheInputs
from conducto_core.cache.rules import CacheDecision, Inputs
from conducto_core.cache.views import DamagedObjectError
from conducto_core.command.text import CommandError, script_of
from conducto_core.installation.names import contents_directory, pipeline_directory
from conducto_core.machines.rules import worker_size
from conducto_core.programs.relaunch import content_of, fingerprint_in
from conducto_core.programs.rules.fingerprints import changed_names
from conducto_core.results.outputs import MAX_STREAM
from conducto_core.results.rules import Attempt, read_sources, sources_of
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.secrets.rules import secret_access
from conducto_core.tree.model import NodeSpec, Pipeline

logger = logging.getLogger(__name__)

#: Maximum number of decisions of one entry.
BATCH = 200
#: Maximum bytes of the packed streams of an entry.
MAX_STREAMS = 300 << 10
#: Maximum bytes of the files that a hit places before a worker exists, and seconds for it; and
#: seconds for reading files of which no digest is known. The request ends after 29 s.
MAX_PLACED = 2 << 30
PLACING_SECONDS = 12.0
READING_SECONDS = 8.0
_STREAMS: tuple[Stream, ...] = (
    *("result", "metrics", "annotations", "tests", "coverage"),
    *("stdout", "stderr", "files"),
)
#: The input of a command whose ``code`` is not in the bucket.
NOT_UPLOADED = "its files, which are not uploaded"


class Candidate(NamedTuple):
    """A command that may start, with its inputs.

    Attributes:
        shell: The shell that the definition of its image names.
        image: Its image, which may not be built; None: it is not known.
        data: Marks of the files that it sees, or why they are not known.
    """

    org: str
    record: PipelineRecord
    spec: NodeSpec
    shell: str
    image: BuiltImage | None
    secrets: InjectedSecrets
    results: Mapping[str, bytes]
    data: Mapping[str, str] | str


class _Decided(NamedTuple):
    """A decision, with the packed streams of a hit.

    Attributes:
        print: The fingerprint of its command.
        key: Its key, if it is looked up.
    """

    decision: CacheDecision
    streams: bytes | None
    print: str | None
    key: str | None


class CacheDecisions:
    """Decides about the candidates of pipelines, and stores entries.

    Args:
        secrets: The secrets that this process has read.
    """

    def __init__(
        self,
        records: Records,
        storage: Storage,
        threads: int,
        clock: Callable[[], float],
        builds: ImageBuilds,
        *,
        secrets: SecretCache,
    ) -> None:
        self._records = records
        self._storage = storage
        self._threads = threads
        self._clock = clock
        self._builds = builds
        self._secrets = secrets
        self._manifests: dict[str, Manifests] = {}

    def decide(self, live: CloudPipeline) -> CacheDecided:
        """Return decisions about the first candidates of a pipeline."""
        return self._decide(live, list(islice(live.candidates, BATCH)), {})

    def look_again(self, live: CloudPipeline, over: Mapping[str, str]) -> CacheDecided | None:
        """Return decisions about commands that wait for equal ones; None: nothing has changed.

        ``over``: ``{key: holder}`` of flights whose holders have ended.
        """
        decided = self._decide(live, list(islice(live.same_commands, BATCH)), over)
        known = live.same_commands
        moved = any(known[each.path] != [each.holder, each.key] for each in decided.waits)
        return decided if decided.hits or decided.misses or moved else None

    def _decide(
        self, live: CloudPipeline, paths: Sequence[str], over: Mapping[str, str]
    ) -> CacheDecided:
        threads = max(1, min(self._threads, len(paths)))
        if threads == 1:
            found = [self._try(live, path, over) for path in paths]
        else:
            contexts = [copy_context() for _ in paths]
            with ThreadPoolExecutor(threads) as pool:
                calls = zip(contexts, paths, strict=True)
                run = [
                    pool.submit(c.run, partial(self._try, live, path, over)) for c, path in calls
                ]
                found = [each.result() for each in run]
        hits = tuple(each for each in found if isinstance(each, CacheHit))
        misses = tuple(each for each in found if isinstance(each, CacheMiss))
        waits = tuple(each for each in found if isinstance(each, CacheWait))
        now, late = self._clock(), live.cloud_machine.run in live.runs
        return CacheDecided(time=now, hits=hits, misses=misses, waits=waits, late=late)

    def _try(
        self, live: CloudPipeline, path: str, over: Mapping[str, str]
    ) -> CacheHit | CacheMiss | CacheWait:
        """Decide about one command; a failure of the cache is a miss."""
        attempt = live.in_flight[path].number
        try:
            return self._decided(live, live.tree.nodes[path], over)
        except Exception as error:
            logger.exception("the cache could not be read", extra={"path": path})
            reason = f"not cached: the cache could not be read: {error!r}"
            return CacheMiss(path=path, attempt=attempt, reason=reason)

    def _decided(
        self, live: CloudPipeline, node: object, over: Mapping[str, str]
    ) -> CacheHit | CacheMiss | CacheWait:
        if not isinstance(node, LiveExec):
            raise TypeError(f"not an Exec: {node!r}")
        spec, record = node.spec, live.record
        queued = live.in_flight[spec.path]
        access = secret_access(record)
        given = self._secrets.get(live.org, access, queued.queued or live.now)
        secrets = given.only(spec.secrets)
        results = self._results(live, node)
        mask = secrets.mask()
        forced = rules.forced(record, fresh=node.fresh)
        data = self._data(live, spec) if forced is None else {}
        command = _candidate(live, spec, secrets, results, data)
        found = self._decision(command, forced)
        flight = None
        if found.key is not None and found.streams is None and rules.waits_for_equal(spec):
            flight = Flight(live.id, spec.path, node.attempt, self._clock())
            holder = self._acquire(live, found.key, flight, over)
            if holder is not None:
                path, number, key = spec.path, node.attempt, found.key
                return CacheWait(path=path, attempt=number, holder=holder.text, key=key)
            found = self._decision(command, forced)  # another one may have ended meanwhile
        decision = found.decision
        if decision.entry is None or found.streams is None:
            held, why = None if flight is None else found.key, decision.reason
            return CacheMiss(path=spec.path, attempt=node.attempt, reason=why, flight=held)
        if flight is not None and found.key is not None:
            self._records.cache.release(live.org, found.key, flight.holder)
        streams = rules.unpack_streams(found.streams)
        not_placed = self._place(live, spec, decision.entry, streams)
        if not_placed is not None:
            return CacheMiss(path=spec.path, attempt=node.attempt, reason=not_placed)
        size = self._restore(live, queued, streams)
        self._records.cache.note_use(live.org, decision.entry.key, self._clock())
        cost = dollars_of(worker_size(spec.path, spec.placement), decision.entry.seconds)
        attempt = queued.model_copy(
            update={
                "command": mask.text(queued.command),
                "env": {name: mask.text(value) for name, value in spec.env.items()},
                "fingerprint": found.print,
                "from_cache": decision.entry.saving(cost),
            }
        )
        known = live.tree.known_of(spec.path, lambda: streams.get("result", b""))
        return CacheHit(
            attempt=attempt, output_bytes=size, outputs=decision.entry.outputs, known=known
        )

    def _acquire(
        self, live: CloudPipeline, key: str, flight: Flight, over: Mapping[str, str]
    ) -> Flight | None:
        """Let an attempt hold a flight; or note that its pipeline waits, and return the holder."""
        cache, ended = self._records.cache, over.get(key, "")
        if cache.acquire(live.org, key, flight, ended) is None:
            return None
        cache.wait(live.org, key, live.id, flight.since)
        return cache.acquire(live.org, key, flight, ended)  # it may have ended before the note

    def _decision(self, command: Candidate, forced: str | None) -> _Decided:
        """Return the decision about a command, with the entries as they are now."""
        org, record, spec, secrets = command.org, command.record, command.spec, command.secrets
        try:
            fields = self.fields(command)
        except CommandError as error:
            fields = str(error)
        hide, results = secrets.mask().text, command.results
        print_ = fingerprint_in(spec, command.image, secrets.origins, hide, results)
        key, found, others = None, None, []
        if forced is None and not isinstance(fields, str):
            key = rules.key_of(fields, rules.trust_of(record, secrets.origins))
            found = self._records.cache.get(org, key)
            if found is None:
                newest = self._records.cache.newest(org, rules.program_of(record), spec.path)
                others = [] if newest is None else [newest]
        entries = [] if found is None else [found[0]]
        reader, now = rules.reader_of(record), self._clock()
        decision = rules.decide(spec, fields, entries, others, reader, now=now, forced=forced)
        if decision.entry is not None and found is not None:
            return _Decided(decision, found[1], print_, key)
        codes = rules.codes_to_compare(decision, print_)
        code = [] if codes is None else self._manifests_of(org).changed(*codes)
        files = self._changed(org, decision, command.data)
        return _Decided(rules.with_names(decision, print_, code, files), None, print_, key)

    def forecast(
        self,
        org: str,
        record: PipelineRecord,
        pipeline: Pipeline,
        images: Mapping[str, BuiltImage],
    ) -> Iterator[CacheForecast]:
        """Yield the decisions about a tree that is not launched yet."""
        now = self._clock()
        given = self._secrets.get(org, secret_access(record), now)
        forced = rules.forced(record, fresh=False)

        def decide(
            spec: NodeSpec, results: Mapping[str, bytes], data: Mapping[str, str]
        ) -> Look | str:
            name = spec.placement.image
            image = images.get(name)
            if image is None:
                return UNKNOWN_IMAGE
            shell = pipeline.images[name].shell
            code = content_of(image).code
            if spec.code and code and self._manifests_of(org).files(code) is None:
                return NOT_UPLOADED
            secrets = given.only(spec.secrets)
            command = Candidate(org, record, spec, shell, image, secrets, results, data)
            found = self._decision(command, forced)
            packed = found.streams
            return Look(found.decision, {} if packed is None else rules.unpack_streams(packed))

        return forecast(pipeline, record, decide)

    def fields(self, command: Candidate) -> dict[str, str] | str:
        """Return the fields of a command in its image as it is now, or why it has none.

        Raises:
            CommandError: The command uses a file that is not in the image.
        """
        spec, built = command.spec, command.image
        if built is None:
            return "its image is not known"
        content, hide = content_of(built), command.secrets.mask().text
        inputs = Inputs(
            script=hide(script_of(spec, built.path_map, built.workdir)),
            env={name: hide(value) for name, value in spec.env.items()},
            secrets=command.secrets.origins,
            image=content,
            shell=command.shell,
            results=command.results,
            files=self._manifests_of(command.org).files(content.code) if spec.code else None,
            data=command.data,
            references=command.secrets.references,
        )
        return rules.fields_of(spec, inputs, command.record)

    def claimed(
        self,
        live: CloudPipeline,
        node: LiveExec,
        secrets: InjectedSecrets,
        results: Mapping[str, bytes],
    ) -> CacheInputs | str | None:
        """Return the inputs with which an attempt starts, or why it is not stored; None: neither.

        The image and the secrets may be newer than the decision.
        """
        if node.spec.cache is None:
            return None
        try:
            fields = self.fields(_candidate(live, node.spec, secrets, results, {}))
        except Exception as error:
            logger.exception("a command is not cached", extra={"path": node.path})
            return f"its inputs could not be read: {error!r}"
        if isinstance(fields, str):
            return fields
        trust = rules.trust_of(live.record, secrets.origins)
        return CacheInputs(
            fields=fields,
            private_to=trust.private_to,
            with_secrets=trust.with_secrets,
            has_files=rules.files_of(node.spec, live.record) is not None,
        )

    def _data(self, live: CloudPipeline, spec: NodeSpec) -> Mapping[str, str] | str:
        """Return the marks of the files that a command would see, or why it has no key."""
        cache = rules.files_of(spec, live.record)
        if cache is None:
            return {}
        places = pipeline_directory(live.id), contents_directory(live.org)
        try:
            return self._storage.data.marks(*places, cache.reads, READING_SECONDS).inputs
        except TimeoutError as error:
            return str(error)

    def _changed(
        self, org: str, decision: CacheDecision, data: Mapping[str, str] | str
    ) -> Sequence[str]:
        """Return the names of the files that differ from those of the nearest entry."""
        if decision.nearest is None or not data or isinstance(data, str):
            return ()
        found = self._records.cache.get(org, decision.nearest.key)
        if found is None:
            return ()
        return changed_names(_files_in(rules.unpack_streams(found[1])).read, data)

    def _place(
        self, live: CloudPipeline, spec: NodeSpec, entry: CacheEntry, streams: Mapping[str, bytes]
    ) -> str | None:
        """Write the files of an entry to the data; or return why they are missing."""
        cache, source = rules.files_of(spec, live.record), entry.source.text
        if cache is None:
            return None
        if entry.size > MAX_PLACED:
            return f"the files of {source} have more than {MAX_PLACED >> 30} GB"
        places = pipeline_directory(live.id), contents_directory(live.org)
        wrote = _files_in(streams).wrote
        try:
            self._storage.data.place(*places, cache.writes, wrote, PLACING_SECONDS)
        except DamagedObjectError as error:
            logger.warning("an entry of the cache is damaged and deleted: %s", error)
            self._records.cache.delete(live.org, entry.key)
            return f"the entry of {source} was deleted"
        except TimeoutError:
            return f"the files of {source} were not written in {PLACING_SECONDS:g} s"
        return None

    def _results(self, live: CloudPipeline, node: LiveExec) -> dict[str, bytes]:
        def read(attempts: Sequence[Attempt]) -> Iterator[bytes]:
            for each in attempts:
                key = LogKey(live.id, each.path, each.number, "result")
                yield self._storage.logs.read(key, 0, MAX_RESULT)

        return read_sources(sources_of(node.spec, live.tree.nodes), read)

    def _restore(
        self, live: CloudPipeline, queued: AttemptRecord, streams: Mapping[str, bytes]
    ) -> int:
        """Write the streams of an entry as those of an attempt; return the size of its output.

        Before the entry of the journal, so that no later command misses the result. Bytes that an
        interrupted request has written are not written again.
        """
        for stream in _STREAMS:
            if streams.get(stream):
                key = LogKey(live.id, queued.path, queued.number, stream)
                self._storage.logs.append(key, 0, streams[stream])
        return sum(len(streams.get(stream, b"")) for stream in ("stdout", "stderr"))

    def _manifests_of(self, org: str) -> Manifests:
        if org not in self._manifests:
            self._manifests[org] = self._builds.manifests(org)
        return self._manifests[org]


def _candidate(
    live: CloudPipeline,
    spec: NodeSpec,
    secrets: InjectedSecrets,
    results: Mapping[str, bytes],
    data: Mapping[str, str] | str,
) -> Candidate:
    name = spec.placement.image
    shell, built = live.pipeline.images[name].shell, live.images[name].built
    return Candidate(live.org, live.record, spec, shell, built, secrets, results, data)


def store_entry(
    records: Records,
    storage: Storage,
    org: str,
    record: PipelineRecord,
    attempt: AttemptRecord,
    *,
    ran: CacheInputs,
) -> None:
    """Store the outcome of an attempt that ended.

    If the request dies before it, the outcome is not in the cache.
    """
    source = f"{record.id} {attempt.path} attempt {attempt.number}"
    streams: dict[str, bytes] = {}
    for stream in _STREAMS:
        key = LogKey(record.id, attempt.path, attempt.number, stream)
        size = storage.logs.size(key)
        is_output = stream in {"stdout", "stderr"}
        start = max(0, size - rules.KEPT_OUTPUT) if is_output else 0
        data = storage.logs.read(key, start, MAX_STREAM) if size else b""
        streams[stream] = rules.kept_output(data, size, source) if is_output else data
    fields, size = ran.fields, sum(map(len, streams.values()))
    use = _files_in(streams)
    if ran.has_files:
        if not streams["files"]:  # a worker of an earlier version, which saw all data
            return
        fields = {**fields, "files": rules.files_field(use.read)}
    packed = rules.pack_streams(streams)
    if len(packed) > MAX_STREAMS:
        about = {"pipeline": record.id, "path": attempt.path}
        logger.warning("an outcome is too large for the cache", extra=about)
        return
    trust = rules.Trust(ran.private_to, ran.with_secrets)
    if use.contents():
        places = pipeline_directory(record.id), contents_directory(org)
        size += storage.data.save_contents(*places, use.wrote)
    entry: CacheEntry = rules.entry_of(fields, attempt, record, trust, size)
    known = records.cache.get(org, entry.key)
    if known is not None:
        entry = rules.with_varying(entry, streams, known[0], rules.unpack_streams(known[1]))
    records.cache.put(org, entry, packed)


def _files_in(streams: Mapping[str, bytes]) -> FileUse:
    return FileUse.from_bytes(streams.get("files", b""))
