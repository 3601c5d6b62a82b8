"""A loaded pipeline: its tree, its active attempts, and its unsaved changes."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from conducto_core.model.nodes import NodeSpec, Pipeline, ancestors
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.outputs import OutputSummary
from conducto_core.model.records import (
    AttemptRecord,
    Counts,
    ImageRecord,
    PipelineRecord,
    PipelineStatus,
)
from conducto_core.model.requests import Workers
from conducto_core.model.states import State
from conducto_core.semantics import events as ev
from conducto_core.semantics.activity import stored
from conducto_core.semantics.admission_queue import Limit, QueuedAttempt
from conducto_core.semantics.machine import advance, settled
from conducto_core.semantics.pools import PoolKind, kind_of
from conducto_core.semantics.tree_state import Change, LiveExec, LiveNode, TreeState
from conducto_local.ports import BuiltImage, ImageBuilder
from conducto_local.scheduling.clock import steady
from conducto_local.scheduling.containers import Container
from conducto_local.store.port import ChangeRow, NodeRow, Redefinition, WriteBatch

#: Seconds between two writes of the status of an active pipeline.
STATUS_EVERY = 1.0


@dataclass(slots=True, eq=False)
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
        inputs: Content of its command's file of inputs.
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
    exit_code: int | None = None
    message: str | None = None
    peak_memory: int | None = None
    output_bytes: int | None = None
    outputs: OutputSummary | None = None
    interpreter: str | None = None
    inputs: str = ""
    fingerprint: str | None = None
    _started: float = 0.0

    def begin(self) -> None:
        """Record the start of its command."""
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
    """

    record: ImageRecord
    built: BuiltImage | None = None
    task: asyncio.Task[None] | None = None
    waiting: list[ActiveAttempt] = field(default_factory=list)
    version: int = 0
    failure: str | None = None
    failed: set[str] = field(default_factory=set)

    def forget_failure(self) -> None:
        """Let the next attempt that needs the image rebuild it."""
        self.failure = None
        self.failed.clear()


class LivePipeline:
    """A pipeline in memory.

    Attributes:
        flights: ``{path: active attempt}``.
        version: Increases with every change that subscribers may need.
        builder: Builds its images, once one was needed; caches images and code.
        cooling: Timer that removes its containers and network while it is settled.
        has_network: A network was created for it and not removed since.
        network_is_sure: ... and nothing has happened since that might have removed it.
        modifying: Serialises modifications.
        notified: Number of the newest notification.
        users: Number of active requests that change it or need its network.
        staff: Returns the numbers of its containers, once a scheduler has it.
        kept: Pools of ``new`` contexts whose container waits for the group's next command.
        lost_contexts: ``{pool: reason}`` of containers that were lost before their group ended.
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
        self.record = record
        self.pipeline = pipeline
        self.tree = tree
        self.images = dict(images)
        self.builder: ImageBuilder | None = None
        self.seq = seq
        self.modifying = asyncio.Lock()
        self.kept: set[str] = set()
        self.lost_contexts: dict[str, str] = {}
        self.pool_workers: Callable[[], Workers] | None = None
        self.notified = 0
        self.active_attempts: dict[str, ActiveAttempt] = {}
        self.cooling: asyncio.TimerHandle | None = None
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.version = 1
        self.subscribers = 0
        self.users = 0
        self.has_network = False
        self.network_is_sure = False
        self.network_lock = asyncio.Lock()
        self.started: float | None = record.status.started
        self.ended: float | None = record.status.ended
        self.activity = stored(record.status, record.touched)
        self._news = asyncio.Event()
        self._nodes: dict[str, LiveNode] = {}
        self._attempts: dict[tuple[str, int], AttemptRecord] = {}
        self._changes: list[ChangeRow] = []
        self._redefinition: Redefinition | None = None
        self._generated: dict[str, bytes | None] = {}
        self.edits: dict[str, dict[str, Any]] = {}
        self._edited: set[str] = set()
        self._images: dict[str, ImageRecord] = {}
        self._notifications: list[NotificationRecord] = []
        self._record_changed = False
        self._status_written = 0.0
        self._limits: dict[str, tuple[Limit, ...]] = {}
        self._sizes: dict[str, tuple[float, float]] = {}

    @property
    def id(self) -> str:
        """The pipeline's id."""
        return self.record.id

    def apply(self, event: ev.Event) -> list[ev.Command]:
        """Apply an event, record its changes, and return the commands to execute."""
        commands = advance(self.tree, event)
        now = time.time()
        changes = self.tree.take_changes()
        for change in changes:
            self._note(now, change)
        self.activity = self.activity.after(changes, self.tree, now)
        for node in self.tree.take_remembered():
            if self.tree.nodes.get(node.path) is node:
                self._nodes[node.path] = node
        self._changed()
        return commands

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the pipeline in memory during the block: changes of an unloaded one are lost."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    def settled(self) -> bool:
        """Return whether nothing runs, is queued, or will start by itself."""
        return settled(self.tree) and self.record.run_at is None

    def counts(self, path: str = "/") -> Counts:
        """Return the numbers of Execs below ``path`` by state."""
        return self.tree.counts(self.tree.nodes[path])

    def set_record(self, **changes: object) -> None:
        """Change fields of the pipeline's record."""
        self.record = self.record.model_copy(update=changes)
        self._record_changed = True
        self._changed()

    def set_attempt(self, record: AttemptRecord) -> None:
        """Record the current status of an attempt."""
        self._attempts[(record.path, record.number)] = record

    def notify(self, notification: NotificationRecord) -> None:
        """Record a notification, to be stored together with its cause."""
        self.notified = notification.number
        self._notifications.append(notification)

    def graft(self, target: str, generated: Pipeline, definition: bytes) -> None:
        """Add a tree that was generated into ``target``."""
        self._forget_below(target)
        self._generated[target] = definition
        self.pipeline.nodes.update(generated.nodes)
        self.pipeline.images.update(generated.images)
        for name in generated.images:
            self.images.setdefault(name, LiveImage(ImageRecord(name=name)))

    def redefine(
        self,
        pipeline: Pipeline,
        tree: TreeState,
        images: Mapping[str, LiveImage],
        redefinition: Redefinition,
    ) -> None:
        """Replace the definition, while everything is stored and no attempt is active.

        Args:
            pipeline: The new tree.
            tree: Its states; its recorded changes are published.
            images: Its images, not built yet.
            redefinition: The definition to store.
        """
        self.pipeline, self.tree, self.images = pipeline, tree, dict(images)
        self.builder = None  # a new one rereads code and repositories
        self.edits = {}
        self.kept.clear()
        self.lost_contexts.clear()
        self._limits.clear()
        self._sizes.clear()
        self._redefinition = redefinition
        self._nodes = {
            path: node
            for path, node in tree.nodes.items()
            if node.attempt or node.skipped != node.spec.skip
        }
        now = time.time()
        for change in tree.take_changes():
            self._note(now, change)
        self._changed()

    def discard(self, target: str) -> None:
        """Remove a generated tree."""
        self._forget_below(target)
        self._generated[target] = None
        self.pipeline.nodes[target] = self.tree.nodes[target].spec

    def _forget_below(self, target: str) -> None:
        below = "/" if target == "/" else target + "/"
        for known in (self._nodes, self.pipeline.nodes):
            for path in [p for p in known if p.startswith(below) and p != target]:
                del known[path]
        self._limits.clear()
        self._sizes.clear()

    def edit(self, edits: Mapping[str, dict[str, Any]], pipeline: Pipeline) -> dict[str, NodeSpec]:
        """Apply edits and the resulting tree; return the nodes that changed."""
        self.edits.update(edits)
        self._edited.update(edits)
        differing = {
            path: spec
            for path, spec in pipeline.nodes.items()
            if path in self.tree.nodes and self.tree.nodes[path].spec != spec
        }
        self.pipeline.nodes.update(
            {path: spec for path, spec in pipeline.nodes.items() if path in self.tree.nodes}
        )
        self._limits.clear()
        self._sizes.clear()
        return differing

    def set_image(self, name: str, **changes: object) -> None:
        """Change fields of an image's record."""
        image = self.images[name]
        image.record = image.record.model_copy(update=changes)
        self._images[name] = image.record
        self._changed()
        image.version = self.version

    def take_turn(self) -> WriteBatch | None:
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
            nodes=[_to_store(node) for node in self._nodes.values()],
            attempts=list(self._attempts.values()),
            changes=self._changes,
            generated=self._generated,
            edits={path: self.edits[path] for path in self._edited},
            images=list(self._images.values()),
            notifications=self._notifications,
            record=record,
            redefinition=self._redefinition,
        )
        self._redefinition = None
        self._nodes, self._attempts, self._changes = {}, {}, []
        self._generated, self._edited = {}, set()
        self._images, self._record_changed = {}, False
        self._notifications = []
        return turn

    def status(self) -> PipelineStatus:
        """Return the status, for lists."""
        return PipelineStatus(
            state=self.tree.root.state,
            counts=self.counts(),
            settled=self.settled(),
            seq=self.seq,
            started=self.started,
            ended=self.ended,
            active_seconds=self.activity.seconds,
            active_since=self.activity.since,
        )

    def workers(self) -> Workers | None:
        """Return the numbers of its workers; None if it is settled."""
        return None if self.pool_workers is None or self.settled() else self.pool_workers()

    async def news(self, version: int) -> None:
        """Wait until the pipeline is newer than ``version``."""
        while self.version <= version:
            await self._news.wait()

    def limits(self, spec: NodeSpec) -> tuple[Limit, ...]:
        """Return the limits that an Exec counts against."""
        parent = next(ancestors(spec.path), "")
        if parent not in self._limits:
            self._limits[parent] = tuple(
                Limit(
                    (self.id, path),
                    room,
                    f"max_concurrent={room} of {path} is reached",
                )
                for path in ancestors(spec.path)
                if (room := self.pipeline.nodes[path].max_concurrent) is not None
            )
        above = self._limits[parent]
        if kind_of(spec.pool) is PoolKind.CONTEXT:
            owner = spec.pool.partition(":")[2]
            reason = f"the container of {owner} runs one command at a time"
            return (*above, Limit((self.id, spec.pool), 1, reason))
        return above

    def size_of_context(self, pool: str) -> tuple[float, float]:
        """Return the maximum CPUs and GB of the Execs of a ``new`` context.

        For a pool that is no longer in the tree, both are 0.
        """
        size = self._sizes.get(pool)
        if size is None:
            members = [node.placement for node in self.pipeline.execs() if node.pool == pool]
            size = self._sizes[pool] = (
                max((place.cpu for place in members), default=0.0),
                max((place.mem for place in members), default=0.0),
            )
        return size

    def _changed(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

    def _note(self, now: float, change: Change) -> None:
        self.seq += 1
        active = self.active_attempts.get(change.path)
        if self.started is None and change.state is State.RUNNING:
            self.started = now
        exit_code = None if active is None else active.exit_code
        self._changes.append(ChangeRow(self.seq, now, *change, exit_code))
        node = self.tree.nodes.get(change.path)
        if node is not None:
            self._nodes[change.path] = node

    def _record_to_write(self) -> PipelineRecord | None:
        now = time.monotonic()
        done = self.settled()
        if done and self._changes:
            self.ended = self._changes[-1].time
        due = done or self._record_changed or now - self._status_written > STATUS_EVERY
        if not due and not self.record.status.settled:  # else it would not resume
            return None
        self._status_written = now
        self.record = self.record.model_copy(
            update={"status": self.status(), "touched": time.time()}
        )
        return self.record


def _to_store(node: LiveNode) -> NodeRow:
    """Return the row of a node; a queued node is stored as pending, as the queue is not stored."""
    queued = int(isinstance(node, LiveExec) and node.state is State.QUEUED)
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
    )
