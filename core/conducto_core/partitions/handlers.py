"""The operation on the partitions of a program, the same for every target."""

import asyncio
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from conducto_core.api.serve import serves
from conducto_core.cache.handlers import CacheOperations
from conducto_core.cache.lineage import stale_paths
from conducto_core.cache.rules import files_of
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.partitions import operations, rules
from conducto_core.partitions.model import (
    MAX_STEPS,
    PartitionAggregate,
    PartitionsParams,
    PartitionState,
    ProgramPartitions,
)
from conducto_core.programs.relaunch import PipelinesOfProgram
from conducto_core.programs.rules.programs import program_of
from conducto_core.results.records import compressed, decompressed
from conducto_core.run.model import params as p
from conducto_core.run.model.states import State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode
from conducto_core.run.views import Viewed
from conducto_core.test_results.rules import program_id

#: Seconds after which no more pipelines are read for one response; the next one continues.
MAX_SECONDS = 10.0
#: Pipelines whose files are compared for one response, the newest.
MAX_STALE = 20
#: Bytes of the stored states of one program, unpacked.
MAX_STORED = 64 << 20
_writing = threading.Lock()


class PartitionStore(Protocol):
    """The states of the partitions of programs, of one organisation or one machine."""

    def read(self, name: str) -> bytes | None:
        """Return the stored states of a program; None without any."""

    def write(self, name: str, data: bytes) -> None:
        """Store the states of a program."""


class Partitions(CacheOperations):
    """The partitions of programs."""

    @abstractmethod
    async def partition_facts(self, pipeline_id: str) -> rules.PartitionFacts:
        """Return the partitions of a pipeline."""

    @abstractmethod
    def partition_store(self) -> PartitionStore:
        """Return the store of the states."""

    @serves(operations.PARTITIONS)
    async def list_partitions(self, params: PartitionsParams) -> ProgramPartitions:
        """Return the states of the partitions of a program."""
        program = p.ProgramParams(
            title=params.title, program=params.program, function=params.function
        )
        aggregate, complete = await self._partition_states(program)
        found = await asyncio.to_thread(rules.view, aggregate, self.time_now(), params.limit)
        return found.model_copy(update={"complete": complete})

    async def _partition_states(self, program: p.ProgramParams) -> tuple[PartitionAggregate, bool]:
        """Return the stored states with those of the pipelines that have changed since."""
        store, name = self.partition_store(), program_id(program)
        aggregate = await asyncio.to_thread(_read, store, name)
        until = time.monotonic() + MAX_SECONDS
        pipelines = PipelinesOfProgram(self, program, lambda: time.monotonic() < until)
        facts: list[rules.PartitionFacts] = []
        complete = True
        async for each in pipelines.newest(rules.MAX_SEEN):
            record = each.pipeline
            if each.agent is not None or not (record.partition or record.backfill):
                continue
            if aggregate.seen.get(record.id) == each.seq and each.settled:
                continue
            if time.monotonic() >= until:
                complete = False
                break
            try:
                facts.append(await self.partition_facts(record.id))
            except NotFoundError:  # it was deleted meanwhile
                continue
        facts.reverse()
        if facts:
            aggregate = await asyncio.to_thread(_update, store, name, lambda old: _with(old, facts))
        return await self._with_stale(aggregate), complete and not pipelines.has_more

    async def _with_stale(self, aggregate: PartitionAggregate) -> PartitionAggregate:
        for pipeline in aggregate.files[-MAX_STALE:]:
            try:
                attempts = await self.files_of_commands(pipeline)
            except (NotFoundError, RefusedError):  # it was deleted, or takes too long to read
                continue
            paths = await asyncio.to_thread(stale_paths, attempts, ())
            aggregate = await asyncio.to_thread(rules.with_stale, aggregate, pipeline, paths)
        return aggregate


def remember(store: PartitionStore, live: Viewed) -> None:
    """Store the states of the partitions of a pipeline that is deleted."""
    facts = facts_of(live)
    if facts.runs:
        name = program_id(program_of(live.record))
        _update(store, name, lambda old: rules.merged(old, facts))


def _with(
    aggregate: PartitionAggregate, facts: Sequence[rules.PartitionFacts]
) -> PartitionAggregate:
    for each in facts:
        aggregate = rules.merged(aggregate, each)
    return aggregate


def _update(
    store: PartitionStore, name: str, change: Callable[[PartitionAggregate], PartitionAggregate]
) -> PartitionAggregate:
    """Change the stored states at once: a deletion may store some between two reads."""
    with _writing:
        changed = change(_read(store, name))
        store.write(name, compressed(changed))
        return changed


def _read(store: PartitionStore, name: str) -> PartitionAggregate:
    return decompressed(store.read(name), PartitionAggregate, MAX_STORED)


# ---- the partitions of a pipeline in memory ------------------------------------------------------

_LETTERS: Final[Mapping[State, str]] = {
    State.PENDING: "p",
    State.QUEUED: "r",
    State.RUNNING: "r",
    State.DONE: "d",
    State.ERROR: "f",
    State.KILLED: "f",
}


def facts_of(live: Viewed) -> rules.PartitionFacts:
    """Return the partitions of a pipeline in memory."""
    call, record, status = live.pipeline.call, live.record, live.status()
    rounds = status.rounds
    head = (live.id, record.created, status.seq)
    latest = rounds[-1].started if rounds else record.created
    if call is None or call.partitions is None:
        return rules.PartitionFacts(*head, None, latest, ())
    runs: list[rules.FoundRun] = []
    if call.partition is not None:
        root = _generated(live.tree.root)
        runs = [_found(call.partition, None, root, settled=status.settled)]
    elif call.backfill:
        wanted = set(call.backfill)
        for group in _groups(live.tree.root):
            parent = group.path
            for child in group.children:
                key = _name(child)
                if key in wanted:
                    wanted.discard(key)
                    runs.append(_found(key, parent, child, settled=status.settled))
        if not status.settled:  # the others are not in the tree yet
            runs += [rules.FoundRun(key, "/", PartitionState.RUNNING, {}, 0) for key in wanted]
    has_files = any(
        isinstance(node, LiveExec) and files_of(node.spec, record) is not None
        for node in live.tree.nodes.values()
    )
    return rules.PartitionFacts(*head, call.partitions, latest, runs, has_files)


def _generated(root: LiveNode) -> LiveNode:
    """Return the tree that a command in a repository printed, or else the root."""
    children = root.children if isinstance(root, LiveGroup) else []
    if [_name(child) for child in children] != ["Generate", "Execute"]:
        return root
    place = children[1]
    return place if isinstance(place, LiveGroup) and place.children else root


def _groups(root: LiveNode) -> Iterable[LiveGroup]:
    """Yield the groups whose children are partitions: the root, and those that its Lazies fill."""
    if not isinstance(root, LiveGroup):
        return
    yield root
    for child in root.children:
        if isinstance(child, LiveGroup):
            yield from (one for one in child.children if isinstance(one, LiveGroup))


def _name(node: LiveNode) -> str:
    return node.path.rpartition("/")[2]


def _found(key: str, parent: str | None, node: LiveNode, *, settled: bool) -> rules.FoundRun:
    children = node.children[:MAX_STEPS] if isinstance(node, LiveGroup) else [node]
    steps = {
        rules.ONLY_STEP if child is node else _name(child): (
            rules.ABSENT if child.is_skipped() else _LETTERS[child.state]
        )
        for child in children
    }
    if node.state is State.PENDING:
        state = PartitionState.MISSING if settled else PartitionState.RUNNING
    else:
        state = PartitionState(_LETTERS[node.state])
    return rules.FoundRun(key, parent, state, steps, _attempts(node))


def _attempts(node: LiveNode) -> int:
    if isinstance(node, LiveGroup):
        return sum(map(_attempts, node.children))
    return node.attempt
