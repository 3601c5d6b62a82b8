"""The pipelines of this process, as far as it has read their journals."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary

from chalicelib.records import Records
from chalicelib.run.model import JournalEntry, WorkerLaunch
from chalicelib.run.port import TreeKind, Turn
from chalicelib.run.rules import snapshots
from chalicelib.run.rules.changes import PipelineChanges, WorkerUsage
from chalicelib.run.rules.pipeline import CloudPipeline, replay
from chalicelib.run.store import JournalStore
from conducto_core.errors import NotFoundError
from conducto_core.tree.model import Pipeline

#: Bytes of memory of a cached pipeline, in addition to those of each of its nodes.
PIPELINE_BYTES = 50_000
NODE_BYTES = 1_600
#: Maximum bytes of cached definitions and trees, as stored (compressed).
MAX_BYTES = 64 << 20


class DefinitionCache:
    """A thread-safe cache of definitions and generated trees, which never change.

    Args:
        store: Returns the store.
        maximum: Maximum bytes; the latest entry stays whatever its size.
    """

    def __init__(self, store: Callable[[], JournalStore], maximum: int = MAX_BYTES) -> None:
        self._store = store
        self._maximum = maximum
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, pipeline_id: str) -> bytes:
        return self._get(pipeline_id, "", lambda: self._store().definition(pipeline_id))

    def tree(self, pipeline_id: str, key: str, kind: TreeKind = "tree") -> bytes:
        """Return a generated tree, or another definition or plan of the pipeline."""
        return self._get(pipeline_id, key, lambda: self._store().tree(pipeline_id, key, kind))

    def drop(self, pipeline_id: str) -> None:
        """Remove a pipeline's definition and trees."""
        with self._lock:
            for known in [known for known in self._kept if known[0] == pipeline_id]:
                del self._kept[known]

    def _get(self, pipeline_id: str, key: str, read: Callable[[], bytes]) -> bytes:
        with self._lock:
            found = self._kept.get((pipeline_id, key))
            if found is not None:
                self._kept.move_to_end((pipeline_id, key))
                return found
        found = read()
        with self._lock:
            self._kept[pipeline_id, key] = found
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._maximum:
                self._kept.popitem(last=False)
        return found


@dataclass(slots=True)
class Arrived:
    """The results of a request in the journal.

    Attributes:
        changes: The results of its input.
        hires: Workers that entries launch which it wrote; the response to the write was lost.
        usage: Usage to meter because of them.
    """

    changes: PipelineChanges | None = None
    hires: tuple[WorkerLaunch, ...] = ()
    usage: list[WorkerUsage] = field(default_factory=list)


class PipelineCache:
    """The cached pipelines. Callers hold the lock of a pipeline while they use it."""

    def __init__(self, records: Records, cache_bytes: int) -> None:
        self._records = records
        self._cache_bytes = cache_bytes
        maximum = min(MAX_BYTES, cache_bytes // 4)
        self._definitions = DefinitionCache(lambda: records.store, maximum)
        self._kept: OrderedDict[str, CloudPipeline] = OrderedDict()
        self._expected: dict[str, Arrived] = {}
        # A lock exists as long as somebody uses it: a process sees any number of pipelines.
        self._locks: WeakValueDictionary[str, RLock] = WeakValueDictionary()
        self._lock = Lock()

    def lock_of(self, pipeline_id: str) -> RLock:
        with self._lock:
            return self._locks.setdefault(pipeline_id, RLock())

    def current(self, org: str, pipeline_id: str) -> tuple[CloudPipeline, Turn]:
        """Read the journal; return the current pipeline and the turn.

        Raises:
            NotFoundError: The organisation has no pipeline with that id.
        """
        live = self._kept.get(pipeline_id)
        if live is None:
            live = self._load(org, pipeline_id)
        elif live.org != org:
            raise _unknown(pipeline_id)
        self.discard(pipeline_id)
        news = self._records.store.news(live.id, live.number)
        for entry in news.entries:
            written = JournalEntry.model_validate(entry.input)
            changes = replay(live, written)
            self.expect_results(changes)
            self._note_own(written, live)
        self.put(live)
        return live, news.turn

    def cached(self, org: str, pipeline_id: str) -> CloudPipeline:
        """Return the pipeline as far as this process has read it; read it if it is not cached."""
        live = self._kept.get(pipeline_id)
        return live if live is not None and live.org == org else self.current(org, pipeline_id)[0]

    def begin(
        self, org: str, pipeline_id: str, definition: dict[str, Any], pipeline: Pipeline
    ) -> None:
        """Cache a pipeline that was just created, so that its tree is not resolved again.

        Args:
            org: The organisation that owns it.
            pipeline_id: Its id.
            definition: Its definition, which the cache then owns, like the tree.
            pipeline: The resolved tree.
        """
        tree_of = partial(self._definitions.tree, pipeline_id)
        with self.lock_of(pipeline_id):
            self.put(CloudPipeline(org, definition, tree_of, pipeline))

    def put(self, live: CloudPipeline) -> None:
        """Cache a pipeline whose state follows from its journal."""
        with self._lock:
            self._kept[live.id] = live
            self._kept.move_to_end(live.id)
            used = sum(map(_bytes_of, self._kept.values()))
            while len(self._kept) > 1 and used > self._cache_bytes:
                _, dropped = self._kept.popitem(last=False)
                used -= _bytes_of(dropped)

    def discard(self, pipeline_id: str) -> None:
        """Remove a pipeline's state, which is ahead of its journal or wrong."""
        with self._lock:
            self._kept.pop(pipeline_id, None)

    def forget(self, pipeline_id: str) -> None:
        """Remove a pipeline and its definition."""
        with self.lock_of(pipeline_id):
            self.discard(pipeline_id)
        self._definitions.drop(pipeline_id)

    def _load(self, org: str, pipeline_id: str) -> CloudPipeline:
        store, definitions = self._records.store, self._definitions
        if store.record(org, pipeline_id) is None:
            raise _unknown(pipeline_id)
        return snapshots.restore(
            org,
            definitions.get(pipeline_id),
            store.snapshot(pipeline_id),
            partial(definitions.tree, pipeline_id),
        )

    # ---- results of inputs ------------------------------------------------------------------

    def expect(self, submitted: str) -> None:
        """Keep the results of a request that the journal will have."""
        self._expected[submitted] = Arrived()

    def expect_results(self, changes: Mapping[str, PipelineChanges]) -> None:
        """Keep the results that requests of this process expect."""
        for each in changes.keys() & self._expected.keys():
            self._expected[each].changes = changes[each]

    def _note_own(self, entry: JournalEntry, live: CloudPipeline) -> None:
        found = self._expected.get(entry.writer)
        if found is not None:
            found.hires += entry.hires
            found.usage += live.metering

    def arrived(self, submitted: str) -> Arrived:
        """Return the results of a request that were read since the last call."""
        found = self._expected[submitted]
        self._expected[submitted] = Arrived()
        return found

    def give_up(self, submitted: str) -> None:
        """Stop to expect an input."""
        self._expected.pop(submitted, None)


def _bytes_of(live: CloudPipeline) -> int:
    return PIPELINE_BYTES + NODE_BYTES * len(live.tree.nodes)


def _unknown(pipeline_id: str) -> NotFoundError:
    return NotFoundError(f"no pipeline {pipeline_id!r}; 'conducto list' shows the existing ones")
