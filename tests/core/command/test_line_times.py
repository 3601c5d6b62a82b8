"""The index of the times at which output was read."""

from conducto_core.command.output import RECORD, LineClock, packed, times_within, unpacked

TIMES = [(0, 10.0), (100, 11.0), (250, 12.0)]


def within(start: int, end: int) -> tuple[tuple[int, float], ...]:
    data, size = packed(TIMES), RECORD.size
    return times_within(lambda n, first: data[first * size : (first + n) * size], 3, start, end)


def test_records_of_a_part_begin_with_the_one_in_front_of_it() -> None:
    assert within(0, 300) == tuple(TIMES)
    assert within(99, 100) == ((0, 10.0),)
    assert within(100, 200) == ((100, 11.0),)
    assert within(120, 251) == ((100, 11.0), (250, 12.0))
    assert within(9000, 9000) == ((250, 12.0),)


def test_empty_index_has_no_times() -> None:
    assert times_within(lambda _n, _first: b"", 0, 0, 10) == ()


def test_incomplete_record_is_ignored() -> None:
    assert unpacked(packed(TIMES)[:-1]) == TIMES[:2]


def test_output_in_quick_succession_has_one_record() -> None:
    now = 100.0
    clock = LineClock(lambda: now)
    found = []
    for step in (0.0, 0.05, 0.04, 0.02, 5.0, -60.0):
        now += step
        found.append(clock.record(len(found)))

    assert [each is not None for each in found] == [True, False, False, True, True, True]
