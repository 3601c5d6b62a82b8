"""A loaded pipeline: its tree, its active attempts, and its unsaved changes."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from conducto_core.cache.rules import NO_TRUST, Trust
from conducto_core.cache.views import View
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import (
    Actor,
    AttemptRecord,
    ChangeRow,
    ImageRecord,
    PipelineRecord,
)
from conducto_core.run.model.requests import Workers
from conducto_core.run.model.states import State
from conducto_core.run.rules import waits
from conducto_core.run.rules.admission import QueuedAttempt, QueueLimit
from conducto_core.run.rules.live_nodes import LiveExec, LiveNode
from conducto_core.run.rules.machine import advance
from conducto_core.run.rules.outcomes import UNKNOWN, AttemptEnd
from conducto_core.run.rules.pipeline_state import PipelineState
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_local.agent import process as descriptors
from conducto_local.cache.store import CachedOutcome
from conducto_local.engine.port import BuiltImage, ImageBuilder, UnbuiltImage
from conducto_local.run.clock import steady
from conducto_local.run.containers import Container
from conducto_local.store.port import NodeRow, Redefinition, WriteBatch

#: Seconds between two writes of the status of an active pipeline.
STATUS_EVERY = 1.0


@dataclass(slots=True)
class CacheInputs:
    """The inputs of an attempt with a cache.

    Attributes:
        reason: Why it runs.
        fields: Their digests in the image in which it runs, or why they are not known.
        trust: The trust in its outcome.
    """

    reason: str
    fields: Mapping[str, str] | str = "it did not start"
    trust: Trust = NO_TRUST


@dataclass(slots=True, eq=False, weakref_slot=True)
class ActiveAttempt:
    """An attempt between its queueing and its end.

    Attributes:
        taken: It was admitted and has its share of the machine.
        gone: It was withdrawn or ended from outside; its task must drop it.
        stopping: It was asked to stop.
        leaves: Its container is removed with it.
        waited_again: Its image was missing when its container was to start, and was rebuilt.
        image_ready: When the image became available, if it waited for one.
        admitted: When it was admitted.
        ended: Seconds since the epoch, once its command has ended.
        fingerprint: That of its inputs, once its command is prepared; None for no image digest.
        results: ``{path: result}`` that its command uses.
        inputs: Content of its command's file of inputs.
        cached: Of a command with a cache: the reason why it runs, and its inputs.
        view: Its files, if its cache names some.
        cache_key: Of a queued command with a cache: the key of its entry.
        same_command: The equal command for which it waits, or None.
        actor: That of its node when it was queued.
    """

    live: "LivePipeline"
    spec: NodeSpec
    number: int
    mem: float
    queued: float
    ticket: QueuedAttempt | None = None
    container: Container | None = None
    running: bool = False
    taken: bool = False
    gone: bool = False
    stopping: bool = False
    leaves: bool = False
    waited_again: bool = False
    image_ready: float | None = None
    admitted: float | None = None
    started: float | None = None
    ended: float | None = None
    record: AttemptRecord | None = None
    result: AttemptEnd = UNKNOWN
    results: Mapping[str, bytes] = field(default_factory=dict)
    inputs: str = ""
    fingerprint: str | None = None
    cached: CacheInputs | None = None
    view: View | None = None
    cache_key: str | None = None
    same_command: str | None = None
    actor: Actor | None = None
    _started: float = 0.0

    def begin(self) -> None:
        self.started, self._started = time.time(), steady()

    def end(self) -> float:
        """Record the end of its command, unless it is recorded already; return its time.

        The duration comes from the monotonic clock.
        """
        if self.ended is None:
            now = time.time() if self.started is None else self.started + steady() - self._started
            self.ended = now
        return self.ended


@dataclass(slots=True)
class LiveImage:
    """An image of a pipeline: its record, and the image itself once it is built.

    Attributes:
        waiting: Attempts that wait for it.
        version: The pipeline's version at its last change.
        failure: The error of its build in this run.
        failed: Paths of the nodes that failed because of that.
        content: Its content before it is built, for the cache.
    """

    record: ImageRecord
    built: BuiltImage | None = None
    task: asyncio.Task[None] | None = None
    waiting: list[ActiveAttempt] = field(default_factory=list)
    version: int = 0
    failure: str | None = None
    failed: set[str] = field(default_factory=set)
    content: asyncio.Task[BuiltImage | UnbuiltImage | None] | None = None

    def forget_failure(self) -> None:
        """Let the next attempt that needs the image rebuild it."""
        self.failure = None
        self.failed.clear()


class LivePipeline(PipelineState):
    """A pipeline in memory.

    Attributes:
        active_attempts: ``{path: active attempt}``.
        version: Increases with every change that subscribers may need.
        builder: Builds its images, once one was needed; caches images and code.
        cooling: Timer that removes its containers and network while it is settled.
        has_network: A network was created for it and not removed since.
        network_is_sure: ... and nothing has happened since that might have removed it.
        modifying: Serialises modifications.
        users: Number of active requests that change it or need its network.
        pool_workers: Returns the numbers of its containers, once a scheduler has it.
        asked_before: ``{path: time}`` since which approvals wait that an earlier agent requested.
        retry_timer: Calls when the first retry is due.
        kept: Pools of ``new`` contexts whose container waits for the group's next command.
    """

    def __init__(
        self,
        record: PipelineRecord,
        pipeline: Pipeline,
        tree: TreeState,
        images: Mapping[str, LiveImage],
        *,
        seq: int = 0,
    ) -> None:
        super().__init__(record, pipeline, tree)
        self.images = dict(images)
        self.builder: ImageBuilder | None = None
        self.seq = seq
        self.modifying = asyncio.Lock()
        self.kept: set[str] = set()
        self.pool_workers: Callable[[], Workers] | None = None
        self.active_attempts: dict[str, ActiveAttempt] = {}
        self.cooling: asyncio.TimerHandle | None = None
        self.retry_timer: asyncio.TimerHandle | None = None
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.asked_before: dict[str, float] = {}
        self.version = 1
        self.subscribers = 0
        self.users = 0
        self.has_network = False
        self.network_is_sure = False
        self.network_lock = asyncio.Lock()
        self._news = asyncio.Event()
        self._settles = asyncio.Event()
        self._nodes: dict[str, LiveNode] = {}
        self._attempts: dict[tuple[str, int], AttemptRecord] = {}
        self._changes: list[ChangeRow] = []
        self._redefinition: Redefinition | None = None
        self._generated: dict[str, bytes | None] = {}
        self._edited: set[str] = set()
        self._images: dict[str, ImageRecord] = {}
        self._notifications: list[NotificationRecord] = []
        self._cached: list[CachedOutcome] = []
        self._used: list[tuple[str, float]] = []
        self._record_changed = False
        self._status_written = 0.0

    def apply(self, event: ev.Event) -> list[ev.DriverCommand]:
        """Apply an event, record its changes, and return the commands to execute."""
        now = self._time_of(event)
        commands = advance(self.tree, event)
        changes = self.tree.take_changes()
        effects = self.follow(commands, changes, now, self._end)
        self._publish(effects.changes)
        for node in self.tree.take_remembered():
            if self.tree.nodes.get(node.path) is node:
                self._nodes[node.path] = node
        self._changed()
        return effects.commands

    def _time_of(self, event: ev.Event) -> float:
        """Return the time of an event: that of its attempt, so that changes and records agree."""
        if not isinstance(event, ev.AttemptStarted | ev.AttemptFinished):
            return time.time()
        active = self.active_attempts.get(event.path)
        if active is None or active.number != event.attempt:
            return time.time()
        known = active.started if isinstance(event, ev.AttemptStarted) else active.ended
        return time.time() if known is None else known

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the pipeline in memory during the block: changes of an unloaded one are lost."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    def set_record(self, **changes: object) -> None:
        super().set_record(**changes)
        self._record_changed = True
        self._changed()

    def set_attempt(self, record: AttemptRecord) -> None:
        self._attempts[(record.path, record.number)] = record

    def attempt(self, path: str, number: int) -> AttemptRecord:
        """Return the record of an attempt that is not stored yet."""
        return self._attempts[(path, number)]

    def notify(self, notification: NotificationRecord) -> None:
        """Record a notification, to be stored together with its cause."""
        self._notifications.append(notification)

    def store_entry(self, outcome: CachedOutcome) -> None:
        """Store an entry of the cache once the end of its attempt is stored."""
        self._cached.append(outcome)

    def note_use(self, key: str) -> None:
        """Record the use of an entry of the cache once the attempt that uses it is stored."""
        self._used.append((key, time.time()))

    def store_graft(self, target: str, generated: Pipeline, definition: bytes) -> None:
        self.graft(target, generated)
        self._generated[target] = definition
        for name in generated.images:
            self.images.setdefault(name, LiveImage(ImageRecord(name=name)))

    def store_redefinition(
        self, images: Mapping[str, LiveImage], redefinition: Redefinition
    ) -> None:
        """Publish the changes of `redefine`, while everything before them is stored.

        Args:
            images: The images of the new definition, not built yet.
        """
        tree = self.tree
        self.images = dict(images)
        self.builder = None  # a new one rereads code and repositories
        self.kept.clear()
        self._redefinition = redefinition
        self._nodes = {
            path: node
            for path, node in tree.nodes.items()
            if node.attempt or node.skipped != node.spec.skip
        }
        self._publish(self.rows_of(tree.take_changes(), time.time(), self._end))
        self._changed()

    def discard(self, target: str) -> None:
        super().discard(target)
        self._generated[target] = None

    def forget_below(self, target: str) -> list[str]:
        """Remove the nodes below ``target`` from the definition; return their paths."""
        paths = super().forget_below(target)
        for path in paths:
            self._nodes.pop(path, None)
        return paths

    def edit(self, edits: Mapping[str, dict[str, Any]], pipeline: Pipeline) -> ev.NodesModified:
        """Apply edits and the resulting definition; return the event to apply."""
        self._edited.update(edits)
        return super().edit(edits, pipeline)

    def set_image(self, name: str, **changes: object) -> None:
        image = self.images[name]
        image.record = image.record.model_copy(update=changes)
        self._images[name] = image.record
        self._changed()
        image.version = self.version

    def take_changes(self) -> WriteBatch | None:
        """Return the unsaved changes, or None; they count as saved from now on."""
        parts = (
            self._nodes,
            self._changes,
            self._attempts,
            self._generated,
            self._edited,
            self._images,
            self._notifications,
        )
        if not any(parts) and not self._record_changed:
            return None
        record = self._record_to_write()
        turn = WriteBatch(
            nodes=[
                _to_store(node, self.tree.actors.get(path)) for path, node in self._nodes.items()
            ],
            attempts=list(self._attempts.values()),
            changes=self._changes,
            generated=self._generated,
            edits={path: self.edits[path] for path in self._edited},
            images=list(self._images.values()),
            notifications=self._notifications,
            record=record,
            redefinition=self._redefinition,
            cached=self._cached,
            used=self._used,
        )
        self._redefinition = None
        self._nodes, self._attempts, self._changes = {}, {}, []
        self._generated, self._edited = {}, set()
        self._images, self._record_changed = {}, False
        self._notifications = []
        self._cached, self._used = [], []
        return turn

    def uses_containers(self) -> bool:
        """Return whether an attempt is active that has a container or will have one."""
        return any(one.spec.approval is None for one in self.active_attempts.values())

    def workers(self) -> Workers | None:
        """Return the numbers of its workers; None if it is settled."""
        return None if self.pool_workers is None or self.settled() else self.pool_workers()

    async def news(self, version: int) -> None:
        """Wait until the pipeline is newer than ``version``."""
        while self.version <= version:
            await self._news.wait()

    async def pause(self, seconds: float) -> None:
        """Wait some seconds; if it settles meanwhile, until then: clients wait for its end."""
        if self.settled():
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settles.wait(), seconds)

    def limits(self, spec: NodeSpec) -> tuple[QueueLimit, ...]:
        groups = self.groups_above(spec.path)
        if groups not in self._limits:
            self._limits[groups] = (*map(self._limit, groups), _open_files())
        above = self._limits[groups]
        if kind_of(spec.pool) is PoolKind.CONTEXT:
            return (*above, QueueLimit((self.id, spec.pool), 1, waits.busy_container(spec.pool)))
        return above

    def _definition_changed(self) -> None:
        super()._definition_changed()
        self._limits: dict[tuple[str, ...], tuple[QueueLimit, ...]] = {}

    def _limit(self, group: str) -> QueueLimit:
        room = self.tree.nodes[group].spec.max_concurrent or 0
        return QueueLimit((self.id, group), room, waits.full_group(group, room))

    def _changed(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()
        if self.settled():
            self._settles.set()
        else:
            self._settles.clear()

    def _end(self, path: str) -> AttemptEnd:
        active = self.active_attempts.get(path)
        return UNKNOWN if active is None else active.result

    def _publish(self, changes: Iterable[ChangeRow]) -> None:
        self._changes.extend(changes)
        for change in changes:
            node = self.tree.nodes.get(change.path)
            if node is not None:
                self._nodes[change.path] = node

    def _record_to_write(self) -> PipelineRecord | None:
        now = time.monotonic()
        done = self.settled()
        due = done or self._record_changed or now - self._status_written > STATUS_EVERY
        if not due and not self.record.status.settled:  # else it would not resume
            return None
        self._status_written = now
        self.record = self.record.model_copy(
            update={"status": self.status(), "touched": time.time()}
        )
        return self.record


def _open_files() -> QueueLimit:
    """Return the limit of all commands of the agent."""
    room = descriptors.max_commands()
    return QueueLimit("open files", room, waits.open_files(descriptors.limit(), room))


def _to_store(node: LiveNode, actor: Actor | None) -> NodeRow:
    """Return the row of a node; a queued node is stored as pending, as the queue is not stored."""
    queued = int(isinstance(node, LiveExec) and node.state is State.QUEUED)
    known = node.known if isinstance(node, LiveExec) else None
    return NodeRow(
        path=node.path,
        state=State.PENDING if queued else node.state,
        skipped=node.skipped,
        cause=node.cause,
        warning=node.warning,
        attempt=node.attempt - queued,
        tries=node.tries - queued,
        expired=node.expired,
        mem=node.mem,
        stop_reason=node.stop_reason if isinstance(node, LiveExec) else None,
        lost=node.lost,
        lost_starts=node.lost_starts,
        retry_at=node.retry_at if isinstance(node, LiveExec) else None,
        fresh=isinstance(node, LiveExec) and node.fresh,
        known=None if known is None else json.dumps(known),
        condition=node.condition,
        actor=actor,
    )
