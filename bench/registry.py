"""What a measurement is: data, so that a table, a file and a test can be made of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class BenchError(Exception):
    """A measurement cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that a measurement yields.

    Attributes:
        key: Last part of its name in the results, e.g. ``ms_per_exec``.
        unit: For the table, e.g. ``ms``.
        budget: What it may be at most; None where only a ratio has one.
        stretch: What we would like it to be.
    """

    key: str
    unit: str
    budget: float | None = None
    stretch: float | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric as a multiple of a floor.

    Attributes:
        key: Last part of its name, e.g. ``ratio_to_make``.
        of: Key of the metric that is divided.
        floor: Full name of the metric to divide by.
    """

    key: str
    of: str
    floor: str
    budget: float | None = None
    stretch: float | None = None


class Lab(Protocol):
    """What the measurements of a suite share."""

    def describe(self) -> Mapping[str, object]:
        """Return what the numbers depend on besides the machine, JSON-able."""

    def settle(self) -> None:
        """Called between groups: let go of what would go on costing time."""


L = TypeVar("L", bound=Lab)


@dataclass(frozen=True, slots=True)
class Measurement(Generic[L]):
    """Something to do, and the numbers that come of it.

    Attributes:
        name: ``suite.what``, the beginning of the names of its metrics.
        what: A line for a person.
        measure: Does it once and returns ``{metric key: value}``, all keys of ``metrics``.
        group: Measurements of one group are done in turns, so that they meet the same machine.
        full: Only when everything is asked for, because it takes long.
    """

    name: str
    what: str
    measure: Callable[[L], Mapping[str, float]]
    metrics: tuple[Metric, ...]
    ratios: tuple[Ratio, ...] = ()
    group: str = ""
    repeats: int = 3
    full: bool = False

    def metric_names(self) -> tuple[str, ...]:
        """Return the full names of its metrics, without ratios."""
        return tuple(f"{self.name}.{metric.key}" for metric in self.metrics)

    def floors(self) -> frozenset[str]:
        """Return the full names of the metrics that its ratios divide by."""
        return frozenset(ratio.floor for ratio in self.ratios)


@dataclass(frozen=True, slots=True)
class Suite(Generic[L]):
    """The measurements of one side.

    Attributes:
        open_lab: Opens what they share; at its end nothing of it is left.
    """

    name: str
    measurements: tuple[Measurement[L], ...]
    open_lab: Callable[[], AbstractContextManager[L]]

    def select(self, pattern: str = "", *, full: bool = False) -> list[Measurement[L]]:
        """Return the measurements whose name holds ``pattern``, and the floors these need.

        The order is the suite's. Floors come along even if ``full`` alone would bring them.
        """
        chosen = {m.name for m in self.measurements if pattern in m.name and (full or not m.full)}
        owners = {metric: m for m in self.measurements for metric in m.metric_names()}
        waiting = [m for m in self.measurements if m.name in chosen]
        while waiting:
            for floor in waiting.pop().floors():
                owner = owners[floor]
                if owner.name not in chosen:
                    chosen.add(owner.name)
                    waiting.append(owner)
        return [m for m in self.measurements if m.name in chosen]


def groups_of(measurements: list[Measurement[L]]) -> Iterator[list[Measurement[L]]]:
    """Yield the measurements group by group, in the order in which groups first appear."""
    groups: dict[str, list[Measurement[L]]] = {}
    for measurement in measurements:
        groups.setdefault(measurement.group or measurement.name, []).append(measurement)
    yield from groups.values()
