"""Checks, limits and masking of results, metrics and artifacts."""

import json
import math
import tracemalloc
from itertools import pairwise

import pytest

from conducto.wire.outputs import MAX_METRIC_NAMES, MAX_POINTS, MAX_RESULT, is_metric_name
from conducto_core.command.masking import Mask
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import (
    MAX_ARTIFACTS,
    MAX_LIVE,
    LiveOutputs,
    PointCollector,
    artifacts_in,
    collect,
    live_summary,
    metrics_in,
    objects_in,
    thinned,
)

NOTHING = Mask(())
SECRET = Mask(["hunter2!", "123456"])


def points(*lines: object) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_command_that_left_nothing_has_no_outputs() -> None:
    assert collect({}, NOTHING).summary is None


def test_result_is_kept_as_compact_json() -> None:
    outputs = collect({"result": b'{"a": [1, 2.5, null, "x"]}'}, NOTHING)

    assert outputs.streams == {"result": b'{"a":[1,2.5,null,"x"]}'}
    assert outputs.summary == OutputSummary(result=22)


def test_secrets_are_masked_in_texts_keys_and_numbers_of_a_result() -> None:
    value = {"hunter2!": ["say hunter2! twice", 123456, True, 7]}

    kept = collect({"result": json.dumps(value).encode()}, SECRET).streams["result"]

    assert json.loads(kept) == {"********": ["say ******** twice", "********", True, 7]}


def test_result_that_is_not_finite_becomes_null() -> None:
    assert collect({"result": b"[NaN, Infinity]"}, NOTHING).streams["result"] == b"[null,null]"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not json", "the result was not kept: Expecting value"),
        (b"\xff", "the result was not kept: "),
        (b"[" * 200 + b"]" * 200, "more than 100 levels"),
        (b"[" * 100_000, "the result was not kept: "),
        (b'"' + b"x" * MAX_RESULT + b'"', "the maximum is 1,048,576"),
    ],
    ids=["text", "bytes", "deep", "bottomless", "large"],
)
def test_result_that_cannot_be_kept_is_a_warning(content: bytes, reason: str) -> None:
    outputs = collect({"result": content}, NOTHING)

    assert outputs.summary is None
    (warning,) = outputs.warnings
    assert reason in warning
    assert outputs.warning_text.startswith(b"conducto: ")


def test_metrics_are_grouped_by_name_in_their_order() -> None:
    lines = points(
        {"name": "loss", "value": 0.5, "step": 10, "time": 1.0},
        {"name": "accuracy", "value": 0.9},
        {"name": "loss", "value": 0.25, "step": 20, "time": 2.0},
        {"name": "accuracy", "value": 0.95},
    )

    outputs = collect({"metrics": lines}, NOTHING)

    loss, accuracy = metrics_in(outputs.streams["metrics"])
    assert (loss.values, loss.steps, loss.times) == ((0.5, 0.25), (10, 20), (1.0, 2.0))
    assert (accuracy.values, accuracy.steps) == ((0.9, 0.95), (0, 1))
    assert outputs.summary == OutputSummary(metrics=("loss", "accuracy"))


def test_values_that_are_not_finite_are_null() -> None:
    lines = b'{"name": "a", "value": NaN}\n{"name": "a", "value": 1e999}\n'

    (series,) = metrics_in(collect({"metrics": lines}, NOTHING).streams["metrics"])

    assert series.values == (None, None)


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"[1]",
        b'{"value": 1}',
        b'{"name": "a"}',
        b'{"name": "a", "value": "1"}',
        b'{"name": "a", "value": true}',
        b'{"name": "", "value": 1}',
        b'{"name": "a\\nb", "value": 1}',
        b'{"name": "a", "value": 1, "st',
    ],
)
def test_invalid_point_is_a_warning_and_the_others_are_kept(line: bytes) -> None:
    outputs = collect({"metrics": line + b'\n{"name": "good", "value": 1}\n'}, NOTHING)

    assert outputs.summary == OutputSummary(metrics=("good",))
    assert outputs.warnings[0].startswith("1 points of metrics were not kept")


def test_metrics_beyond_the_limits_are_thinned_and_their_names_limited() -> None:
    many = points(*({"name": "a", "value": n} for n in range(MAX_POINTS + 2)))
    names = points(*({"name": f"n{n}", "value": n} for n in range(MAX_METRIC_NAMES)))

    outputs = collect({"metrics": many + names}, NOTHING)

    series = metrics_in(outputs.streams["metrics"])
    assert len(series) == MAX_METRIC_NAMES
    assert series[0].count == MAX_POINTS + 2
    assert len(series[0].values) <= MAX_POINTS // 20
    assert (series[0].values[0], series[0].values[-1]) == (0, MAX_POINTS + 1)
    assert outputs.warnings != ()


def test_points_are_thinned_while_they_are_read() -> None:
    points, held = PointCollector(max_all=20), 0

    for number in range(1000):
        assert points.add(f"m{number % 2}", (number, None, None))
        held = max(held, sum(len(one.kept) for one in points.series.values()))

    assert held <= 2 * 20 + 1
    series = points.series["m1"].series("m1", points.limit)
    assert series.count == 500
    assert (series.steps[0], series.steps[-1], series.values[-1]) == (0, 499, 999)
    assert 5 <= len(series.values) <= 10
    assert len({after - before for before, after in pairwise(series.steps[:-1])}) == 1


def test_lines_are_not_collected_before_they_are_read() -> None:
    lines = b'{"name":"m","value":1}\n' * 20_000

    tracemalloc.start()
    collector = PointCollector(max_all=20)
    for line in objects_in(lines):
        collector.add("m", (line["value"], None, None))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < len(lines) // 2


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 21, 1000])
def test_thinned_points_have_both_ends_and_equal_distances(count: int) -> None:
    kept = thinned(list(range(count)), 10)

    assert len(kept) <= 10
    assert kept[:1] + kept[-1:] == ([0] if count else [])[:1] + ([count - 1] if count else [])
    steps = {after - before for before, after in pairwise(kept[:-1])}
    assert len(steps) <= 1


def live(outputs: LiveOutputs, *frames: tuple[str, object]) -> dict[str, bytes]:
    streams = {"metrics": b"", "artifacts": b""}
    for name, line in frames:
        kept = outputs.add(f"{name} {json.dumps(line)}".encode())
        if kept is not None:
            streams[kept[0]] += kept[1]
    return streams


def test_points_of_a_running_command_are_masked_and_numbered() -> None:
    outputs = LiveOutputs(SECRET)

    streams = live(
        outputs,
        ("metrics", {"name": "loss", "value": math.nan, "time": 5}),
        ("metrics", {"name": "123456", "value": 1}),
        ("metrics", {"name": "loss", "value": 0.25}),
        ("metrics", {"name": "loss", "value": "much"}),
        ("metrics", {"name": "", "value": 1}),
        ("other", {"name": "loss", "value": 1}),
        ("artifacts", {"name": "a.png", "title": "for hunter2!", "type": "image/png"}),
        ("artifacts", {"title": "without a name"}),
    )

    loss, hidden = metrics_in(streams["metrics"])
    assert (loss.values, loss.steps, loss.times) == ((None, 0.25), (0, 1), (5, None))
    assert hidden.name == "********"
    assert [one.title for one in artifacts_in(streams["artifacts"])] == ["for ********"]
    assert outputs.summary == OutputSummary(metrics=("loss", "********"), artifacts=1)


def test_points_of_a_running_command_are_limited() -> None:
    outputs, point = LiveOutputs(NOTHING), {"name": "m", "value": 1}
    names = [("metrics", {"name": f"n{n}", "value": 1}) for n in range(MAX_METRIC_NAMES)]

    kept = live(outputs, *[("metrics", point)] * (MAX_POINTS + 100), *names)["metrics"]

    series = metrics_in(kept)
    assert len(series) == MAX_METRIC_NAMES
    assert kept.count(b"\n") == MAX_POINTS + 50 + MAX_METRIC_NAMES - 1
    assert sum(len(line) + 1 for line in [b"x" * (MAX_LIVE - len(kept)), kept]) > MAX_LIVE
    assert outputs.add(b"metrics " + b" " * MAX_LIVE) is None


def test_final_points_replace_those_that_arrived() -> None:
    arrived = live(LiveOutputs(NOTHING), *[("metrics", {"name": "m", "value": 1})] * 2)["metrics"]
    final = collect({"metrics": points(*[{"name": "m", "value": 2}] * 5)}, NOTHING)

    stream = arrived + final.streams["metrics"]

    assert metrics_in(stream)[0].values == (2.0,) * 5
    assert metrics_in(stream, limit=3)[0].values == (2.0,) * 3
    for cut in range(len(stream)):  # a part of it has been sent
        assert {one.values for one in metrics_in(stream[:cut])} <= {(1.0,), (1.0, 1.0)}


def test_final_artifacts_replace_those_that_arrived() -> None:
    entry = {"name": "a", "title": "A"}
    arrived = live(LiveOutputs(NOTHING), ("artifacts", entry), ("artifacts", entry))["artifacts"]
    final = collect({"artifacts": points(entry, {"name": "b"})}, NOTHING)

    assert [one.name for one in artifacts_in(arrived)] == ["a"]
    assert [one.name for one in artifacts_in(arrived + final.streams["artifacts"])] == ["a", "b"]


def test_artifacts_of_a_running_command_are_counted_by_name() -> None:
    outputs = LiveOutputs(NOTHING)
    again = [("artifacts", {"name": "best.png"})] * (MAX_ARTIFACTS + 1)

    arrived = live(outputs, *again, ("artifacts", {"name": "last.png"}))["artifacts"]

    assert outputs.summary.artifacts == 2
    assert [one.name for one in artifacts_in(arrived)] == ["best.png", "last.png"]
    summary = live_summary(None, artifacts=arrived)
    assert summary == OutputSummary(artifacts=2)
    assert live_summary(summary, artifacts=arrived * 2) is None


def test_summary_of_a_running_command_is_that_of_the_names_that_arrived() -> None:
    arrived = live(
        LiveOutputs(NOTHING), *[("metrics", {"name": name, "value": 1}) for name in "aba"]
    )["metrics"]
    final = collect({"metrics": points({"name": "c", "value": 2})}, NOTHING).streams["metrics"]

    first = live_summary(None, arrived + b'{"name":"cu')
    assert first == OutputSummary(metrics=("a", "b"))
    assert live_summary(first, arrived + final) is None


def test_artifacts_keep_the_order_of_their_last_declaration() -> None:
    lines = points(
        {"name": "a.png", "title": "old", "size": 1},
        {"name": "b.txt", "size": 2, "type": "text/plain"},
        {"name": "a.png", "title": "hunter2!", "size": 3},
        {"size": 4},
    )

    outputs = collect({"artifacts": lines}, SECRET)

    found = artifacts_in(outputs.streams["artifacts"])
    assert [(each.name, each.title, each.size) for each in found] == [
        ("b.txt", "", 2),
        ("a.png", "********", 3),
    ]
    assert outputs.warnings == ("1 artifacts were not kept: their entries are invalid",)


def test_invalid_artifacts_are_one_warning() -> None:
    outputs = collect({"artifacts": b"\n" * 1000 + b'{"size": 1}\n'}, NOTHING)

    assert outputs.warnings == ("1,001 artifacts were not kept: their entries are invalid",)


def test_number_of_artifacts_is_limited() -> None:
    lines = points(*({"name": f"{n}"} for n in range(MAX_ARTIFACTS + 1)))

    outputs = collect({"artifacts": lines}, NOTHING)

    assert outputs.summary == OutputSummary(artifacts=MAX_ARTIFACTS)
    assert outputs.warnings == ("only the first 1,000 artifacts were kept; 1 entries were not",)


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("accuracy", True),
        ("val/top-5 (%)", True),
        ("précision", True),
        ("", False),
        (" a", False),
        ("a ", False),
        ("a\tb", False),
        ("x" * 101, False),
    ],
)
def test_metric_names(name: str, *, valid: bool) -> None:
    assert is_metric_name(name) is valid
