"""Measurements as data, for tables, files and tests."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class BenchError(Exception):
    """A measurement failed; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a measurement yields.

    Attributes:
        key: Last part of its name in the results, e.g. ``ms_per_exec``.
        unit: Unit for the table, e.g. ``ms``.
        budget: Maximum; None if only a ratio has one.
        stretch: Ambitious goal.
    """

    key: str
    unit: str
    budget: float | None = None
    stretch: float | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric as a multiple of a baseline.

    Attributes:
        key: Last part of its name, e.g. ``ratio_to_make``.
        of: Key of the metric that is divided.
        floor: Full name of the baseline's metric.
    """

    key: str
    of: str
    floor: str
    budget: float | None = None
    stretch: float | None = None


class Lab(Protocol):
    """The fixtures of a suite."""

    def describe(self) -> Mapping[str, object]:
        """Return the conditions of the results, in addition to the machine, for JSON."""

    def settle(self) -> None:
        """Stop background work that would disturb the next group; called between groups."""


L = TypeVar("L", bound=Lab)


@dataclass(frozen=True, slots=True)
class Measurement(Generic[L]):
    """A measurement with its metrics.

    Attributes:
        name: ``suite.name``, the prefix of the names of its metrics.
        what: Description of one line.
        measure: Measures once and returns ``{metric key: value}`` with all keys of ``metrics``.
        group: Measurements of one group alternate, so that they meet the same conditions.
        full: Whether it runs only with ``--full``, because it is slow.
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
        """Return the full names of the metrics of its baselines."""
        return frozenset(ratio.floor for ratio in self.ratios)


@dataclass(frozen=True, slots=True)
class Suite(Generic[L]):
    """A set of measurements with common fixtures.

    Attributes:
        open_lab: Opens the fixtures, and removes them on exit.
    """

    name: str
    measurements: tuple[Measurement[L], ...]
    open_lab: Callable[[], AbstractContextManager[L]]

    def select(self, pattern: str = "", *, full: bool = False) -> list[Measurement[L]]:
        """Return the measurements whose names contain ``pattern``, and their baselines.

        The order is the suite's. Baselines are included even if they are slow.
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
    """Yield the measurements by group, in the order in which groups first appear."""
    groups: dict[str, list[Measurement[L]]] = {}
    for measurement in measurements:
        groups.setdefault(measurement.group or measurement.name, []).append(measurement)
    yield from groups.values()
