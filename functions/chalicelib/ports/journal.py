"""Where pipelines are: their journals, and what is there to be read quickly."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chalicelib.ports.identity import Share
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import AttemptRecord, NodeChange, PipelineRecord


@dataclass(frozen=True, slots=True)
class CloudRecord:
    """A pipeline as listed, and to whom it belongs."""

    org: str
    record: PipelineRecord


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a pipeline.

    Attributes:
        number: Counted from 1, without gaps.
        input: What happened, as JSON (`chalicelib.domain.events`). No secrets; task tokens are in
            it.
        changes: The transitions that it led to, for who follows.
        attempts: Attempts that began or ended, as they are now.
        record: The pipeline's record afterwards, where it differs.
        workers: Workers that this entry adds to, or takes from, those the org has now.
        reserved: ... and to, or from, those that the org has reserved.
        admits: It is refused where the plan does not allow to reserve so many.
        share: The pipeline's share afterwards, where it differs.
        notifications: What somebody is to be told, secrets hidden: on its way from now on.
        open: `Store.open_pipelines` is to name the pipeline: it is not settled, or has workers.
    """

    number: int
    input: Mapping[str, Any]
    changes: Sequence[NodeChange] = ()
    attempts: Sequence[AttemptRecord] = ()
    record: PipelineRecord | None = None
    workers: int = 0
    reserved: int = 0
    admits: bool = False
    share: Share | None = None
    notifications: Sequence[NotificationRecord] = ()
    open: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A pipeline's state after an entry, so that its journal need not be read from the start."""

    number: int
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The notifications of one entry, on their way or arrived.

    Attributes:
        entry: Number of the entry.
        version: Counted up by each write, from 1.
        due: When somebody is to look after them, in seconds since the epoch; None: they have all
            arrived or been given up.
    """

    entry: int
    version: int
    due: float | None
    notifications: tuple[NotificationRecord, ...]


class Store(Protocol):
    """Pipelines and their journals (DynamoDB; what is large in S3)."""

    def create(self, record: CloudRecord, definition: bytes) -> None:
        """Keep a new pipeline. Raises `ConflictError` when the id is taken."""

    def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        """Return a pipeline's record, as it is now (a consistent read)."""

    def records(
        self, org: str, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[PipelineRecord, ...], str | None]:
        """Return pipelines of an org, the newest first, and where to go on ``after``."""

    def open_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of those whose newest entry is ``open``, over all orgs."""

    def resting_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of all others, over all orgs."""

    def forget(self, pipeline_id: str) -> None:
        """Delete all of a pipeline, its record last; one that is not there is no error."""

    def org_of(self, pipeline_id: str) -> str | None:
        """Return whose a pipeline is: for news from AWS, which name no org."""

    def definition(self, pipeline_id: str) -> bytes:
        """Return what `create` was given."""

    def keep_tree(self, pipeline_id: str, data: bytes) -> str:
        """Keep a generated tree and return its key; the same bytes give the same key."""

    def tree(self, pipeline_id: str, key: str) -> bytes:
        """Return a generated tree."""

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        """Write an entry and all that goes with it, or nothing.

        Raises:
            ConflictError: there is an entry of that number.
            PlanLimitError: ``entry.workers``, or ``entry.reserved`` of an entry that `admits`, is
                more than the org may add.
            ThrottledError: try again later.
        """

    def entries(self, pipeline_id: str, after: int) -> Iterator[Entry]:
        """Yield the entries beyond number ``after``, in order (consistent reads).

        Only ``number`` and ``input`` need be filled.
        """

    def snapshot(self, pipeline_id: str) -> Snapshot | None:
        """Return the newest snapshot."""

    def put_snapshot(self, pipeline_id: str, snapshot: Snapshot) -> None:
        """Keep a snapshot; an older one than is there is ignored."""

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        """Yield attempts of a node, or of all nodes, by path and number."""

    def changes(self, pipeline_id: str, after: int, limit: int) -> Sequence[NodeChange]:
        """Return the transitions numbered beyond ``after``, in order."""

    def outgoing(self, pipeline_id: str) -> Iterator[Outgoing]:
        """Yield what was to be told, sent or not, by entry (consistent reads)."""

    def put_outgoing(self, org: str, pipeline_id: str, outgoing: Outgoing) -> None:
        """Write how notifications stand.

        Raises:
            ConflictError: another one has written since: it is not the version after that one.
        """

    def outgoing_due(self, now: float) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)``, once each, of those with notifications that are due.

        What was written in the last seconds may be missing.
        """

    def note_worker(self, pipeline_id: str, worker_id: str, time: float) -> None:
        """Note that a worker was heard of; no entry of the journal."""

    def workers_seen(self, pipeline_id: str) -> Mapping[str, float]:
        """Return ``{worker id: when it was last heard of}``."""
