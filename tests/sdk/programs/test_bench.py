"""The shape of what `bench` finds; no time is asserted anywhere."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.cloud.suite import CLOUD
from bench.local.suite import LOCAL
from bench.registry import BenchError, Measurement, Metric, Ratio, Suite, groups_of
from bench.report import document, table, write
from bench.running import Results, run
from bench.samples import Sample

Measure = Callable[["Lab"], dict[str, float]]


class Lab:
    """Notes in which order things are done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def describe(self) -> dict[str, object]:
        return {}

    def settle(self) -> None:
        self.done.append("settled")


@contextlib.contextmanager
def open_lab() -> Iterator[Lab]:
    yield Lab()


def gives(name: str, *values: float) -> Measure:
    """A measurement that finds these values, one after the other."""
    rest = iter(values)

    def measure(lab: Lab) -> dict[str, float]:
        lab.done.append(name)
        return {"ms": next(rest)}

    return measure


def fails(_lab: Lab) -> dict[str, float]:
    raise BenchError("there is no engine")


MS = (Metric("ms", "ms"),)


def ours(*values: float, **fields: object) -> Measurement[Lab]:
    ratio = Ratio("ratio_to_floor", "ms", "s.floor.ms", budget=5, stretch=3)
    known = {"ratios": (ratio,), "group": "g", **fields}
    return Measurement("s.ours", "ours", gives("ours", *values), MS, **known)  # type: ignore[arg-type]


def suite_of(*measurements: Measurement[Lab]) -> Suite[Lab]:
    return Suite("s", measurements, open_lab)


def results_of(*measurements: Measurement[Lab]) -> Results:
    return run(measurements, Lab(), lambda _line: None)


def floor(*values: float) -> Measurement[Lab]:
    return Measurement("s.floor", "a floor", gives("floor", *values), MS, group="g")


def test_metrics_are_medians_and_ratios_are_taken_turn_by_turn() -> None:
    results = results_of(floor(1.0, 2.0, 4.0), ours(4.0, 6.0, 8.0))

    assert document(results, {"cpus": 2})["metrics"] == {
        "s.floor.ms": 2.0,
        "s.ours.ms": 6.0,
        "s.ours.ratio_to_floor": 3.0,
    }


def test_noise_is_the_spread_as_a_share_of_the_median() -> None:
    assert Sample((1.0, 2.0, 4.0)).noise == 1.5


def test_a_single_value_has_no_noise() -> None:
    results = results_of(Measurement("s.one", "", gives("one", 3.0), MS, repeats=1))

    assert document(results, {})["noise"] == {}


def test_a_floor_of_other_length_divides_the_median() -> None:
    assert Sample((9.0,)).over(Sample((1.0, 3.0, 4.0))).values == (3.0,)


def test_missed_budgets_are_named() -> None:
    results = results_of(floor(1.0, 1.0, 1.0), ours(6.0, 6.0, 6.0))

    found = document(results, {})
    assert found["over_budget"] == ["s.ours.ratio_to_floor"]
    assert found["budgets"] == {"s.ours.ratio_to_floor": 5}


def test_table_marks_missed_budgets_and_reached_stretch_goals() -> None:
    slow = table(results_of(floor(1.0, 1.0, 1.0), ours(6.0, 6.0, 6.0)))
    quick = table(results_of(floor(1.0, 1.0, 1.0), ours(2.0, 2.0, 2.0)))

    assert "OVER" in slow
    assert "0 of 1 budgets met" in slow
    assert "ok, stretch too" in quick
    assert "1 of 1 budgets met" in quick


def test_members_of_a_group_take_turns_and_the_lab_settles_after_it() -> None:
    lab = Lab()
    first = Measurement("s.floor", "", gives("floor", 1.0, 1.0), MS, group="g", repeats=2)
    other = Measurement("s.other", "", gives("other", 1.0), MS, repeats=1)

    run([first, other, ours(1.0, 1.0, repeats=2)], lab, lambda _line: None)

    assert lab.done == ["floor", "ours", "floor", "ours", "settled", "other", "settled"]


def test_failed_measurement_is_reported_and_ends_no_other() -> None:
    broken = Measurement("s.broken", "", fails, MS)

    results = results_of(broken, floor(1.0, 1.0, 1.0))

    found = document(results, {})
    assert found["failed"] == {"s.broken": "there is no engine"}
    assert found["metrics"] == {"s.floor.ms": 1.0}
    assert "s.broken: failed: there is no engine" in table(results)


def test_a_ratio_is_left_out_when_its_floor_failed() -> None:
    broken = Measurement("s.floor", "", fails, MS, group="g")

    results = results_of(broken, ours(1.0, 1.0, 1.0))

    assert list(document(results, {})["metrics"]) == ["s.ours.ms"]


def test_baselines_are_selected_with_their_measurements() -> None:
    suite = suite_of(floor(), ours(), Measurement("s.other", "", fails, MS))

    chosen = suite.select("ours")

    assert [measurement.name for measurement in chosen] == ["s.floor", "s.ours"]


def test_long_measurements_run_only_with_full() -> None:
    suite = suite_of(Measurement("s.long", "", fails, MS, full=True))

    assert suite.select() == []
    assert [measurement.name for measurement in suite.select(full=True)] == ["s.long"]


def test_the_file_holds_machine_and_metrics(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"

    write(path, document(results_of(floor(1.0, 1.0, 1.0)), {"cpus": 2}))

    found = json.loads(path.read_text())
    assert found["machine"]["cpus"] == 2
    assert found["metrics"] == {"s.floor.ms": 1.0}


@pytest.mark.parametrize("measurement", LOCAL.measurements, ids=lambda m: m.name)
def test_local_measurements_divide_by_their_baselines(
    measurement: Measurement[Lab],
) -> None:
    measured = {name for m in LOCAL.measurements for name in m.metric_names()}

    assert measurement.name.startswith("local.")
    assert measurement.floors() <= measured
    assert {ratio.of for ratio in measurement.ratios} <= {m.key for m in measurement.metrics}


@pytest.mark.parametrize("measurement", CLOUD.measurements, ids=lambda m: m.name)
def test_cloud_measurements_are_named_after_their_target(measurement: Measurement[Lab]) -> None:
    assert measurement.name.startswith("cloud.")
    assert measurement.metrics


@pytest.mark.parametrize("name", ["compile_1000", "ensure_workers_1000", "claim_and_report_300"])
def test_a_cloud_measurement_without_the_emulator_yields_all_its_metrics(name: str) -> None:
    with CLOUD.open_lab() as lab:
        (measurement,) = (m for m in CLOUD.measurements if m.name == f"cloud.{name}")
        found = measurement.measure(lab)

    assert set(found) == {metric.key for metric in measurement.metrics}
    assert all(value > 0 for value in found.values())


def test_local_names_are_unique() -> None:
    names = [name for m in LOCAL.measurements for name in m.metric_names()]
    ratios = [f"{m.name}.{ratio.key}" for m in LOCAL.measurements for ratio in m.ratios]

    assert len({*names, *ratios}) == len(names) + len(ratios)


def test_interleaved_baselines_are_grouped_with_their_measurements() -> None:
    groups = {m.name: group for group in groups_of(list(LOCAL.measurements)) for m in group}

    flat = groups["local.parallel_1000"]

    assert {"local.floor.make_1000", "local.two_level_1000"} <= {m.name for m in flat}
