"""The series of what a command used: bounded, true, and read as it was written."""

import json

from hypothesis import given
from hypothesis import strategies as st

from conducto_core.command.usage import (
    MAX_BYTES,
    MAX_POINTS,
    Reading,
    ResourceSeries,
    ResourceWriter,
    reading_of,
    resources_in,
)

GB = 2**30
samples = st.lists(
    st.tuples(st.floats(0.5, 500), st.floats(0, 64), st.integers(0, 2**40)), max_size=400
)


@given(samples, st.sampled_from([1.0, 2.0, 5.0]))
def test_series_is_bounded_and_within_the_samples(
    found: list[tuple[float, float, int]], interval: float
) -> None:
    series, now = ResourceSeries(interval), 0.0
    for gap, cpu, memory in found:
        now += gap
        series.add(now, cpu, memory)

    assert len(series.cpu) == len(series.memory) <= MAX_POINTS
    assert abs(len(series.cpu) * series.interval - now) <= 1.5 * series.interval
    if series.cpu:
        assert max(series.cpu) <= max(cpu for _, cpu, _ in found) + 1e-9
        assert min(series.cpu) >= min(cpu for _, cpu, _ in found) - 1e-9
        assert max(series.memory) <= max(memory for *_, memory in found)


@given(st.integers(1, 5 * MAX_POINTS))
def test_the_highest_memory_survives_every_merge(when: int) -> None:
    series = ResourceSeries(2.0)
    for number in range(1, 5 * MAX_POINTS + 1):
        series.add(2.0 * number, 1.0, 999 if number == when else 1)
        if number == when:
            assert 999 in series.memory or number * 2.0 % series.interval

    assert set(series.cpu) == {1.0}


@given(samples)
def test_written_series_is_read_back(found: list[tuple[float, float, int]]) -> None:
    lines: list[bytes] = []
    writer = ResourceWriter(lines.append, interval=2.0, since=7.0, limits=(2.0, 1.0))
    series, now = ResourceSeries(2.0), 0.0
    for gap, cpu, memory in found:
        now += gap
        writer.add(now, cpu, memory)
        series.add(round(now, 1), round(cpu, 3), memory)

    read = resources_in(b"".join(lines), 8.0, 8.0)

    assert read.memory == tuple(series.memory)
    assert (writer.interval, len(read.cpu)) == (series.interval, len(series.cpu))
    if found:
        assert (read.interval, read.since) == (series.interval, 7.0)
        assert (read.cpu_limit, read.mem_limit) == (2.0, GB)


def test_the_mean_of_two_points_is_kept_and_their_highest_memory() -> None:
    series = ResourceSeries(1.0)
    for second in range(1, MAX_POINTS + 3):
        series.add(float(second), float(second % 2), second)

    assert series.interval == 2.0
    assert set(series.cpu[: MAX_POINTS // 2]) == {0.5}
    assert series.memory[:3] == [2, 4, 6]


def test_a_sample_that_comes_late_fills_the_time_it_is_about() -> None:
    series = ResourceSeries(2.0)

    series.add(2.1, 1.0, 10)
    series.add(8.0, 0.5, 20)
    series.add(8.1, 0.7, 30)

    assert (series.cpu, series.memory) == ([1.0, 0.5, 0.5, 0.5], [10, 20, 20, 30])


def test_a_week_of_samples_is_read_whole() -> None:
    lines: list[bytes] = []
    writer = ResourceWriter(lines.append, interval=2.0, since=1e9)
    now = 0.0
    while now < 7 * 86400:
        now += writer.interval
        writer.add(now, 12.345, 64 * GB)

    kept = b"".join(lines)
    assert len(kept) < MAX_BYTES / 2
    assert set(resources_in(kept).cpu) == {12.345}


def test_invalid_lines_are_left_out() -> None:
    head = json.dumps({"since": 1.0, "interval": 2.0})
    lines = f'{head}\n[2, 1, 5]\n[4, "x", 5]\nnull\n[1e999, 1, 1]\n[4, 0.5, 7]\n[6, 1'

    read = resources_in(lines.encode(), 1.0, 2.0)

    assert (read.cpu, read.memory) == ((1.0, 0.5), (5, 7))
    assert (read.cpu_limit, read.mem_limit) == (1.0, 2 * GB)
    assert resources_in(b"") == resources_in(b"x\n[2, 1, 5]\n") == resources_in(b"[]")
    assert resources_in(b"").cpu == ()


def test_the_engines_statistics_are_read_in_both_kinds_of_control_groups() -> None:
    def stats(**cached: int) -> dict[str, object]:
        return {
            "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
            "memory_stats": {"usage": 1000, "stats": cached},
        }

    assert reading_of(stats(inactive_file=400)) == Reading(1.5, 600)
    assert reading_of(stats(total_inactive_file=300)) == Reading(1.5, 700)
    assert reading_of(stats()) == Reading(1.5, 1000)
    # A container that has ended.
    assert reading_of({"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}) is None
    assert reading_of({}) is None
