"""The states of a program's partitions, by the pipelines that ran them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from conducto.wire.partitions import from_wire
from conducto_core.errors import RefusedError, invalid
from conducto_core.partitions.model import (
    MAX_STEPS,
    PartitionAggregate,
    PartitionPlace,
    PartitionRun,
    PartitionState,
    PartitionStep,
    ProgramPartitions,
)
from conducto_core.tree.model import is_within

#: Pipelines that are remembered, and runs of one partition.
MAX_SEEN: Final = 2_000
MAX_RUNS: Final = 4
#: The name of the only step of a program that is one command.
ONLY_STEP: Final = "command"
ABSENT: Final = "-"
_WITHOUT_TIMES: Final = ("static", "grid")


class FoundRun(NamedTuple):
    """A partition in the tree of a pipeline.

    Attributes:
        steps: ``{name: letter}``.
    """

    key: str
    parent: str | None
    state: PartitionState
    steps: Mapping[str, str]
    attempts: int


class PartitionFacts(NamedTuple):
    """The partitions of one pipeline.

    Attributes:
        partitions: Their definition.
        latest: When the pipeline started last, in seconds since the epoch.
        runs: Those of the tree; a large backfill adds some while it runs.
        has_files: Commands of it declare files that they read.
    """

    pipeline: str
    created: float
    seq: int
    partitions: dict[str, Any] | None
    latest: float
    runs: Sequence[FoundRun]
    has_files: bool = False


# ---- the aggregate -------------------------------------------------------------------------------


def merged(aggregate: PartitionAggregate, facts: PartitionFacts) -> PartitionAggregate:
    """Return the states of a program's partitions with those of one of its pipelines."""
    steps = list(aggregate.steps)
    known = set(steps)
    order = list(dict.fromkeys(name for run in facts.runs for name in run.steps))
    steps += [name for name in order if name not in known]
    is_known = facts.pipeline in aggregate.seen
    # Those that waited for their place in the tree are not in it if the pipeline ended before.
    runs = {
        key: tuple(one for one in known if one.pipeline != facts.pipeline or one.attempts)
        for key, known in aggregate.runs.items()
    }
    for found in facts.runs:
        runs[found.key] = _with_run(runs.get(found.key, ()), found, facts, steps, is_known=is_known)
    seen = {**aggregate.seen, facts.pipeline: facts.seq}
    for id_ in list(seen)[:-MAX_SEEN]:
        del seen[id_]
    changes: dict[str, Any] = {"runs": runs, "steps": tuple(steps), "seen": seen}
    if facts.has_files:
        others = [one for one in aggregate.files if one != facts.pipeline and one in seen]
        changes["files"] = (*others, facts.pipeline)
    if facts.partitions is not None and facts.created >= aggregate.created:
        changes |= {
            "partitions": facts.partitions,
            "newest": facts.pipeline,
            "created": facts.created,
            "order": tuple(order),
        }
    return aggregate.model_copy(update=changes)


def _with_run(
    runs: Sequence[PartitionRun],
    found: FoundRun,
    facts: PartitionFacts,
    steps: Sequence[str],
    *,
    is_known: bool,
) -> tuple[PartitionRun, ...]:
    before = next((run for run in runs if run.pipeline == facts.pipeline), None)
    if before is not None and before.attempts == found.attempts:
        time = before.time
    else:
        time = facts.latest if is_known else facts.created
    run = PartitionRun(
        pipeline=facts.pipeline,
        parent=found.parent,
        state=found.state,
        letters="".join(found.steps.get(name, ABSENT) for name in steps),
        attempts=found.attempts,
        time=time,
    )
    others = [one for one in runs if one.pipeline != facts.pipeline]
    if found.state is PartitionState.MISSING and not found.attempts:
        return tuple(others)  # it has not run
    return tuple(sorted((*others, run), key=lambda one: -one.time)[:MAX_RUNS])


def with_stale(
    aggregate: PartitionAggregate, pipeline: str, paths: Iterable[str]
) -> PartitionAggregate:
    """Return the states with the nodes of a pipeline that are stale now, and no others of it."""
    found = list(paths)
    runs = dict(aggregate.runs)
    for key, known in aggregate.runs.items():
        if known and known[0].pipeline == pipeline:
            runs[key] = (_stale(key, known[0], found, aggregate.steps), *known[1:])
    return aggregate.model_copy(update={"runs": runs})


def _stale(key: str, run: PartitionRun, paths: Sequence[str], steps: Sequence[str]) -> PartitionRun:
    top = path_of(run.parent, key)
    mine = [path for path in paths if is_within(path, top)]
    tops = [top if name == ONLY_STEP else f"{top.rstrip('/')}/{name}" for name in steps]
    letters = "".join(
        ("s" if any(is_within(path, at) for path in mine) else "d") if letter in "ds" else letter
        for letter, at in zip(run.letters, tops, strict=False)
    )
    state = run.state
    if state in (PartitionState.DONE, PartitionState.STALE):
        state = PartitionState.STALE if mine else PartitionState.DONE
    return run.model_copy(update={"letters": letters, "state": state})


def path_of(parent: str | None, key: str) -> str:
    """Return the path of a partition in its pipeline."""
    return "/" if parent is None else f"{parent.rstrip('/')}/{key}"


def view(aggregate: PartitionAggregate, now: float, limit: int) -> ProgramPartitions:
    """Return the states for clients: also of partitions that no pipeline has run."""
    if aggregate.partitions is None:
        return ProgramPartitions(pipeline=aggregate.newest)
    moment = datetime.fromtimestamp(now, UTC)
    keys = from_wire(aggregate.partitions).keys(moment)
    chosen = keys[-limit:]
    newest = [aggregate.runs.get(key, (None,))[:1] for key in chosen]
    runs = [one[0] if one else None for one in newest]
    places: dict[_Place, int] = {}
    at = [
        -1 if run is None else places.setdefault(_Place(run.pipeline, run.parent), len(places))
        for run in runs
    ]
    names = [*aggregate.order, *(s for s in aggregate.steps if s not in aggregate.order)]
    index = {name: place for place, name in enumerate(aggregate.steps)}
    return ProgramPartitions(
        partitions=aggregate.partitions,
        pipeline=aggregate.newest,
        keys=tuple(chosen),
        states="".join("m" if run is None else run.state.value for run in runs),
        steps=tuple(
            PartitionStep(name=name, states="".join(_letter(run, index[name]) for run in runs))
            for name in names[:MAX_STEPS]
        ),
        places=tuple(PartitionPlace(pipeline=p.pipeline, parent=p.parent) for p in places),
        at=tuple(at),
        more=len(keys) - len(chosen),
    )


class _Place(NamedTuple):
    pipeline: str
    parent: str | None


def _letter(run: PartitionRun | None, index: int) -> str:
    return run.letters[index] if run is not None and index < len(run.letters) else ABSENT


def states_of(found: ProgramPartitions) -> dict[str, PartitionState]:
    """Return ``{key: state}``."""
    return {
        key: PartitionState(letter) for key, letter in zip(found.keys, found.states, strict=True)
    }


# ---- schedules -----------------------------------------------------------------------------------


def with_times(wire: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the definition of partitions that a schedule can launch; None for names and grids."""
    return None if wire is None or wire.get("kind") in _WITHOUT_TIMES else wire


def check_partitions(wire: Mapping[str, Any]) -> None:
    """Check the definition of partitions.

    Raises:
        DefinitionError: It is invalid, or has no times.
    """
    try:
        known = from_wire(dict(wire))
    except ValueError as error:
        raise invalid("partitions", str(error)) from None
    if with_times(known.to_wire()) is None:
        raise invalid(
            "partitions", "a schedule launches a month, a day or an hour; names and grids have none"
        )


def key_at(wire: Mapping[str, Any], due: float) -> str:
    """Return the partition that a due time launches: the newest that had ended.

    Raises:
        RefusedError: None had ended.
    """
    key = from_wire(dict(wire)).newest(datetime.fromtimestamp(due, UTC))
    if key is None:
        raise RefusedError(f"no partition had ended by then; the first one is {wire.get('start')}")
    return key
