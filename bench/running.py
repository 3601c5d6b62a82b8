"""Runs a suite and collects the results."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.registry import BenchError, L, Measurement, groups_of
from bench.samples import Sample


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        unit: ``x`` for a ratio.
    """

    name: str
    unit: str
    sample: Sample
    budget: float | None = None
    stretch: float | None = None

    @property
    def within_budget(self) -> bool | None:
        """Whether the median is within the budget; None without a budget."""
        return None if self.budget is None else self.sample.median <= self.budget


@dataclass(slots=True)
class Results:
    """The results of a run.

    Attributes:
        rows: In the order of the suite.
        failed: ``{measurement: reason}``.
        seconds: Duration of the run.
    """

    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def over_budget(self) -> list[Row]:
        """The rows that are over their budget."""
        return [row for row in self.rows if row.within_budget is False]


Say = Callable[[str], None]


def run(measurements: Sequence[Measurement[L]], lab: L, say: Say) -> Results:
    """Run the measurements group by group; return the results.

    A failed measurement is recorded and does not stop the others.
    """
    started = time.monotonic()
    results = Results()
    values: dict[str, list[float]] = {}
    for group in groups_of(list(measurements)):
        _run_group(group, lab, say, values, results.failed)
        lab.settle()
    samples = {name: Sample(tuple(found)) for name, found in values.items()}
    for measurement in measurements:
        if measurement.name not in results.failed:
            results.rows += rows_of(measurement, samples)
    results.seconds = time.monotonic() - started
    return results


def _run_group(
    group: Sequence[Measurement[L]],
    lab: L,
    say: Say,
    values: dict[str, list[float]],
    failed: dict[str, str],
) -> None:
    for turn in range(max(measurement.repeats for measurement in group)):
        for measurement in group:
            if turn >= measurement.repeats or measurement.name in failed:
                continue
            if turn == 0:
                say(f"{measurement.name}: {measurement.what}")
            try:
                found = measurement.measure(lab)
            except (BenchError, OSError) as error:
                failed[measurement.name] = str(error)
                say(f"{measurement.name}: failed: {error}")
                continue
            for metric in measurement.metrics:
                values.setdefault(f"{measurement.name}.{metric.key}", []).append(found[metric.key])


def rows_of(measurement: Measurement[L], samples: Mapping[str, Sample]) -> list[Row]:
    """Return a measurement's rows: its metrics, then the ratios whose baseline was measured."""
    name = measurement.name
    rows = [
        Row(f"{name}.{m.key}", m.unit, samples[f"{name}.{m.key}"], m.budget, m.stretch)
        for m in measurement.metrics
    ]
    for ratio in measurement.ratios:
        floor = samples.get(ratio.floor)
        if floor is not None:
            multiple = samples[f"{name}.{ratio.of}"].over(floor)
            rows.append(Row(f"{name}.{ratio.key}", "x", multiple, ratio.budget, ratio.stretch))
    return rows
