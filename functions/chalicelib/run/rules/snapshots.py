"""Conversion of a pipeline's state to JSON and back, so that only new entries must be read.

A snapshot and the entries after it imply the same state as all entries; a test checks this with
random journals.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from chalicelib.people.port import Share
from chalicelib.run.model import BuiltImage
from chalicelib.run.port import Snapshot, TreeReader
from chalicelib.run.rules.changes import InFlight, WorkerUsage
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.rules.state import CloudImage, Listing
from chalicelib.workers.rules import WorkerEntry, WorkerStatus
from conducto.wire.services import of_form, to_form
from conducto_core.asl.rules.machine import CloudMachine, RunState
from conducto_core.buckets.rules import buckets_from_wire, buckets_to_wire
from conducto_core.cache.model import CacheInputs
from conducto_core.images.model import ImageSpec
from conducto_core.installation.names import LAYOUT
from conducto_core.machines.rules import read_machines
from conducto_core.run.model.records import (
    AttemptRecord,
    ImageRecord,
    NodeState,
    PipelineRecord,
    Wait,
)
from conducto_core.run.model.states import State
from conducto_core.run.rules.activity import Activity
from conducto_core.run.rules.live_nodes import LiveGroup, LiveNode
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import SpotUse, unpack_form
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules.placement import RungHistory
from conducto_core.workers.rules.pools import Pool
from conducto_core.workers.rules.start_failures import PoolStarts, StartFailure

#: Snapshots of another version are ignored: the whole journal is read instead. A change of the
#: fields needs a new version, since other versions of the functions read them, too.
VERSION = 10
_PLAIN = (
    "number",
    "taken",
    "inputs",
    "disturbed",
    "seq",
    "now",
    "used_at",
    "definition_key",
    "plan_key",
    "edits",
    "generated",
    "times",
    "queue",
    "holders",
    "runs",
    "planned_at",
    "deadlines",
    "fruitless",
    "notified",
    "epoch",
    "started",
    "ended",
    "lost_contexts",
    "spent",
    "children",
    "expansions",
    "candidates",
    "same_commands",
    "flights",
)
_WAITS = ("limited", "withheld")
_SETS = ("planned", "met", "joined", "late")
_ACTIVITY = TypeAdapter(Activity)
_LISTING = TypeAdapter(Listing | None)
_USAGE = TypeAdapter(list[WorkerUsage])


def can_be_taken(live: CloudPipeline) -> bool:
    """Return whether a snapshot can represent all of a pipeline's state now.

    Only the tree records that a Lazy's target is being emptied.
    """
    groups = (n for n in live.tree.nodes.values() if isinstance(n, LiveGroup))
    return not any(group.discarding for group in groups)


def snapshot_of(live: CloudPipeline) -> Snapshot:
    status = asdict(live.cloud_machine.run_state)
    status.update({name: sorted(status[name]) for name in _SETS})
    tree = live.tree
    nodes = sorted(tree.nodes.items())
    state: dict[str, Any] = {
        "version": VERSION,
        **{name: getattr(live, name) for name in (*_PLAIN, *_WAITS)},
        "record": live.record.model_dump(mode="json"),
        "activity": _ACTIVITY.dump_python(live.activity, mode="json"),
        "armed": tree.armed,
        "paused": tree.paused,
        "nodes": [
            tree.state_of(node).model_dump(mode="json")
            for path, node in nodes
            if path in tree.actors or _was_touched(node)
        ],
        "given_up": [p for p, n in nodes if isinstance(n, LiveGroup) and n.given_up],
        "past": dict(tree.past),
        "again": sorted(tree.again),
        "run_state": status,
        "specs": {n: i.model_dump(mode="json") for n, i in live.pipeline.images.items()},
        "images": {
            name: {
                "record": image.record.model_dump(mode="json"),
                "built": None if image.built is None else image.built.model_dump(mode="json"),
                "version": image.version,
            }
            for name, image in live.images.items()
        },
        "in_flight": {p: a.model_dump(mode="json") for p, a in live.in_flight.items()},
        "cached": {p: c.model_dump(mode="json") for p, c in live.cached.items()},
        "workers": [asdict(worker) for worker in live.registry.workers.values()],
        "ended_workers": [asdict(worker) for worker in live.registry.ended.values()],
        "starts": {name: asdict(starts) for name, starts in live.starts.items()},
        "pools": {name: _written_pool(pool) for name, pool in live.pools.items()},
        "share": live.share.model_dump(mode="json"),
        "warm": live.warm.model_dump(mode="json"),
        "withdrawn": live.withdrawn,
        "listing": _LISTING.dump_python(live.listing, mode="json"),
        "usage": _USAGE.dump_python(live.usage, mode="json"),
    }
    return Snapshot(live.number, state)


def _was_touched(node: LiveNode) -> bool:
    if node.condition is not None:
        return True
    if isinstance(node, LiveGroup):  # its state is computed from its children
        return bool(node.expired or node.tries or node.attempt or node.skipped != node.spec.skip)
    started = node.state is not State.PENDING or node.attempt or node.tries
    return bool(started or node.mem is not None or node.skipped != node.spec.skip)


def restore(
    org: str, definition: bytes, snapshot: Snapshot | None, tree_of: TreeReader
) -> CloudPipeline:
    """Return a pipeline at a snapshot, or at its launch without a valid snapshot."""
    if snapshot is None or snapshot.state.get("version") != VERSION:
        return CloudPipeline(org, unpack_form(definition), tree_of)
    state = snapshot.state
    key = state["definition_key"]
    current = definition if key is None else tree_of(key, "definition")
    live = CloudPipeline(org, unpack_form(current), tree_of)
    for name in _PLAIN:
        setattr(live, name, state[name])
    for name in _WAITS:
        setattr(live, name, None if state[name] is None else Wait(*state[name]))
    live.times = {path: (start, end) for path, (start, end) in live.times.items()}
    live.queue = {pool: dict.fromkeys(paths) for pool, paths in live.queue.items()}
    live.record = PipelineRecord.model_validate(state["record"])
    live.activity = _ACTIVITY.validate_python(state["activity"])
    live.pipeline.images.update(
        {name: ImageSpec.model_validate(spec) for name, spec in state["specs"].items()}
    )
    pipeline = live.resolved(live.edits)
    tree = TreeState(pipeline, map(NodeState.model_validate, state["nodes"]), armed=state["armed"])
    tree.paused = state["paused"]
    for path, node in tree.nodes.items():
        if isinstance(node, LiveGroup):
            node.given_up = path in state["given_up"]
    tree.past.update(state["past"])
    tree.again.update(state["again"])
    live.set_tree(pipeline, tree)
    live.adopt(CloudMachine(live.id, tree, _status(state["run_state"])))
    live.images = {name: _image(image) for name, image in state["images"].items()}
    live.in_flight = InFlight(
        (path, AttemptRecord.model_validate(record)) for path, record in state["in_flight"].items()
    )
    live.cached = {p: CacheInputs.model_validate(c) for p, c in state["cached"].items()}
    live.asked = {
        path: record.queued or live.now
        for path, record in live.in_flight.items()
        if path in tree.nodes and tree.nodes[path].spec.approval is not None
    }
    live.withdrawn = {path: tuple(why) for path, why in state.get("withdrawn", {}).items()}
    live.registry.workers = _workers(state["workers"])
    live.registry.ended = _workers(state["ended_workers"])
    live.starts = {name: _starts(fields) for name, fields in state["starts"].items()}
    live.pools = {name: _pool(fields) for name, fields in state["pools"].items()}
    live.share = Share.model_validate(state["share"])
    live.warm = WarmPool.model_validate(state["warm"])
    live.listing = _LISTING.validate_python(state["listing"])
    live.usage = _USAGE.validate_python(state["usage"])
    live.know_places()
    return live


def _status(written: Mapping[str, Any]) -> RunState:
    return RunState(**{**written, **{name: set(written[name]) for name in _SETS}})


def _written_pool(pool: Pool) -> dict[str, Any]:
    """Return the fields of a pool, without services that other versions do not know."""
    services = to_form(pool.services)
    fields = asdict(replace(pool, services=(), machine=None, buckets=()))
    for name in ("services", "machine", "buckets", *(() if pool.gpu else ("gpu",))):
        fields.pop(name)
    machine = {} if pool.machine is None else {"machine": pool.machine.text}
    buckets = {"buckets": buckets_to_wire(pool.buckets)} if pool.buckets else {}
    return {**fields, **({"services": services} if services else {}), **machine, **buckets}


def _pool(written: Mapping[str, Any]) -> Pool:
    spot = SpotUse(written.get("spot", SpotUse.SHARE))
    services = of_form(written.get("services", {}))
    groups = tuple(written["groups"])
    (machine,) = read_machines(written.get("machine", "")).values() or (None,)
    buckets = buckets_from_wire(written.get("buckets", {}))
    read = {
        "groups": groups,
        "spot": spot,
        "services": services,
        "machine": machine,
        "buckets": buckets,
    }
    return Pool(**{**written, **read})


def _workers(written: Iterable[Mapping[str, Any]]) -> dict[str, WorkerEntry]:
    made = [
        WorkerEntry(**{**fields, "status": WorkerStatus(fields["status"])}) for fields in written
    ]
    for worker in made:
        worker.setting = None if worker.setting is None else tuple(worker.setting)
    return {worker.id: worker for worker in made}


def _starts(written: Mapping[str, Any]) -> PoolStarts:
    return PoolStarts(
        **{
            **written,
            "failure": StartFailure(written["failure"]),
            **{name: RungHistory(**written.get(name, {})) for name in ("spot", "on_demand")},
        }
    )


def _image(written: Mapping[str, Any]) -> CloudImage:
    built = written["built"]
    return CloudImage(
        ImageRecord.model_validate(written["record"]),
        None if built is None else BuiltImage.model_validate(built),
        written["version"],
    )


# ----------------------------------------------------------------------------------------
# The schema of the cloud's records: its number, and the steps from the first schema. Pure.
#
# Each item of the table has the number of the schema in which it was written, and so does the key
# of each tree in the bucket. Readers get the current schema: an older record goes through the steps
# since then (docs/decisions/0013). A record of a newer schema is rejected, so that an older version
# of the functions cannot change it.
#
# Do not change a released step. To change a released record, append a step to `STEPS`.


#: Attribute of an item with the schema number.
ATTRIBUTE = "schema_version"

#: A kind of items, as `chalicelib.aws.table_keys` names it, or of objects in the bucket.
Kind = str
#: Returns the attributes of an item, or the JSON of an item or object, in the next schema, without
#: modifying its argument.
Change = Callable[[Any], Any]


class OtherVersionError(Exception):
    """The record was written by another version; the message has the remedy."""


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """A step from one schema to the next; kinds that are not listed are unchanged.

    Attributes:
        items: Changes of attributes. Attributes of an index cannot be changed this way: the index
            is not rewritten, and a changed one needs a new index.
        bodies: Changes of JSON: of each line in kinds with several (changes, notifications, spilled
            attempts).
    """

    items: Mapping[Kind, Change] = field(default_factory=dict)
    bodies: Mapping[Kind, Change] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema: the steps from the first schema to this one."""

    steps: Sequence[MigrationStep]

    @property
    def number(self) -> int:
        """Its number, counted from that of the layout."""
        return len(self.steps) + LAYOUT

    def item(self, kind: Kind, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return an item's attributes in this schema; its number stays that of its body."""
        written = self.number_of(kind, attributes)
        found: Any = dict(attributes)
        for step in self.steps[written - LAYOUT :]:
            found = step.items.get(kind, _as_it_is)(found)
        return {**found, ATTRIBUTE: written}

    def body(self, kind: Kind, written: int, document: Any) -> Any:
        """Return the JSON of schema ``written`` in this schema; raises `OtherVersionError`."""
        self._check(kind, written)
        for step in self.steps[written - LAYOUT :]:
            document = step.bodies.get(kind, _as_it_is)(document)
        return document

    def is_older(self, kind: Kind, written: int) -> bool:
        """Return whether a body of schema ``written`` has changed since; raises as `body`."""
        self._check(kind, written)
        return any(kind in step.bodies for step in self.steps[written - LAYOUT :])

    def number_of(self, kind: Kind, attributes: Mapping[str, Any]) -> int:
        """Return an item's schema number; raises `OtherVersionError`."""
        written = int(attributes[ATTRIBUTE])
        self._check(kind, written)
        return written

    def _check(self, kind: Kind, written: int) -> None:
        if written < LAYOUT:
            raise OtherVersionError(
                f"this {kind} has the layout {written} of the table, and this version reads the "
                f"layout {LAYOUT}: nothing was changed; deploy the version before again, or a new "
                "stage with: conducto deploy --stage NAME"
            )
        if written > self.number:
            raise OtherVersionError(
                f"a newer version of Conducto wrote this {kind} (schema {written}, this version "
                f"knows up to {self.number}): nothing was changed; deploy the newer version again"
            )


def _as_it_is(found: Any) -> Any:
    return found


#: The first schema of the layout is the only one so far.
STEPS: tuple[MigrationStep, ...] = ()
SCHEMA = Schema(STEPS)
