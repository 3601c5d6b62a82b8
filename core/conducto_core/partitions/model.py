"""The partitions of a program, and the states in which they are."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import ProgramParams

#: Maximum number of partitions in a response, the newest, and of the steps of each.
MAX_PARTITIONS = 20_000
MAX_STEPS = 50


class PartitionState(StrEnum):
    """The states of a partition, each by its letter.

    ``stale``: it is done, and files that its commands read have changed since.
    """

    MISSING = "m"
    RUNNING = "r"
    DONE = "d"
    FAILED = "f"
    STALE = "s"


class PartitionsParams(ProgramParams):
    """The program whose partitions are queried.

    Attributes:
        limit: Maximum number of partitions, the newest.
    """

    limit: int = Field(default=MAX_PARTITIONS, ge=1, le=MAX_PARTITIONS)


class PartitionStep(Record):
    """A step of the program: a node below the root of its tree.

    Attributes:
        states: A letter for each partition: ``d`` done, ``f`` failed, ``r`` running or queued,
            ``p`` pending, ``s`` done and stale, ``-`` skipped, or not in the tree.
    """

    name: str
    states: str


class PartitionPlace(Record):
    """A pipeline, or a group in it, with partitions.

    Attributes:
        parent: Path of the group whose children are the partitions; None: the whole pipeline is one
            partition.
    """

    pipeline: str
    parent: str | None = None


class ProgramPartitions(Record):
    """The partitions of a program, the oldest first.

    Attributes:
        partitions: Their definition; None: the program has none.
        pipeline: The newest pipeline of the program, which launches others like it.
        keys: Their keys.
        states: A letter for each (`PartitionState`).
        places: The pipelines that have run them.
        at: For each partition, the index of its place; -1 without one.
        more: Number of older ones that are left out.
        complete: Whether all pipelines were read.
    """

    partitions: dict[str, Any] | None = None
    pipeline: str | None = None
    keys: tuple[str, ...] = ()
    states: str = ""
    steps: tuple[PartitionStep, ...] = ()
    places: tuple[PartitionPlace, ...] = ()
    at: tuple[int, ...] = ()
    more: int = 0
    complete: bool = True


# ---- as it is stored -----------------------------------------------------------------------------


class PartitionRun(Record):
    """A partition in one pipeline.

    Attributes:
        letters: The state of each step of the aggregate.
        attempts: The sum of the numbers of its attempts: another one after a rerun.
        time: When the pipeline was launched, or when it started again and ran the partition, in
            seconds since the epoch. The latest run of a partition determines its state.
    """

    pipeline: str
    parent: str | None = None
    state: PartitionState
    letters: str = ""
    attempts: int = 0
    time: float = 0.0


class PartitionAggregate(Record):
    """The states of a program's partitions, as they are stored.

    Attributes:
        partitions: The definition of the newest pipeline.
        newest: That pipeline.
        created: When it was launched.
        seen: ``{pipeline: number of its newest change that is included}`` of those that may change.
        steps: Names of the steps, in the order of the letters.
        order: Names of the steps of the newest pipeline.
        files: Pipelines with commands whose files may change, the newest last.
        runs: ``{key: its newest runs}``, the latest first.
    """

    version: int = 1
    partitions: dict[str, Any] | None = None
    newest: str | None = None
    created: float = 0.0
    seen: dict[str, int] = {}
    steps: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    runs: dict[str, tuple[PartitionRun, ...]] = {}
