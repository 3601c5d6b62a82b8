"""The keys and times of partitions, also when clocks change."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conducto.inspection.codecs import codec_of
from conducto.wire.partitions import (
    Partition,
    daily,
    from_wire,
    grid,
    hourly,
    monthly,
    static,
)

if TYPE_CHECKING:
    from conducto.wire.partitions import PartitionSet

NOW = dt.datetime(2026, 12, 1, 18, tzinfo=dt.UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")


def refused(known: PartitionSet, key: str) -> str:
    with pytest.raises(ValueError, match=r".") as error:
        known.partition(key, NOW)
    return str(error.value)


def test_a_day_exists_once_it_has_ended() -> None:
    days = daily("2026-11-28", "Europe/Berlin")

    assert days.keys(NOW) == ["2026-11-28", "2026-11-29", "2026-11-30"]
    assert days.newest(NOW) == "2026-11-30"
    assert refused(days, "2026-12-01") == (
        "the partition 2026-12-01 ends in the future, at 2026-12-02T00:00+01:00; the newest one is "
        "2026-11-30"
    )
    assert "the first one is 2026-11-28" in refused(days, "2026-11-27")
    assert "such as 2026-11-30" in refused(days, "yesterday")
    assert "there is no such time" in refused(days, "2026-11-31")


def test_partition_has_times() -> None:
    found = daily("2026-01-01", "Europe/Berlin").partition("2026-11-30", NOW)

    assert (f"{found}", found == "2026-11-30") == ("2026-11-30", True)
    assert found.start.isoformat() == "2026-11-30T00:00:00+01:00"
    assert found.end.isoformat() == "2026-12-01T00:00:00+01:00"
    assert found.previous == "2026-11-29"
    assert copy.deepcopy(found).zone == pickle.loads(pickle.dumps(found)).zone == "Europe/Berlin"


def test_days_have_23_and_25_hours_when_clocks_change() -> None:
    days = daily("2026-01-01", "Europe/Berlin")
    lengths = []
    for key in ("2026-03-29", "2026-10-25"):
        day = days.partition(key, NOW)
        lengths.append(day.end - day.start)

    assert lengths == [dt.timedelta(hours=23), dt.timedelta(hours=25)]


def test_repeated_hour_has_its_offset_and_skipped_hour_does_not_exist() -> None:
    autumn = hourly("2026-10-25", "Europe/Berlin")
    spring = hourly("2026-03-29", "Europe/Berlin")

    assert autumn.keys(NOW)[1:5] == [
        "2026-10-25T01",
        "2026-10-25T02+0200",
        "2026-10-25T02+0100",
        "2026-10-25T03",
    ]
    assert "is 2026-10-25T02+0200 or 2026-10-25T02+0100" in refused(autumn, "2026-10-25T02")
    assert autumn.partition("2026-10-25T02+0100", NOW).previous == "2026-10-25T02+0200"
    assert spring.keys(NOW)[:4] == [f"2026-03-29T{hour}" for hour in ("00", "01", "03", "04")]
    assert "the clocks of Europe/Berlin skip this hour" in refused(spring, "2026-03-29T02")


def test_day_that_a_zone_skips_does_not_exist() -> None:
    days = daily("2011-12-28", "Pacific/Apia")

    assert days.keys(NOW)[:3] == ["2011-12-28", "2011-12-29", "2011-12-31"]
    assert "skips this day" in refused(days, "2011-12-30")


@settings(max_examples=40)
@given(
    st.sampled_from(["daily", "hourly", "monthly"]),
    st.sampled_from(ZONES),
    st.dates(dt.date(2005, 1, 1), dt.date(2026, 10, 1)),
)
def test_partitions_follow_each_other_without_gaps(kind: str, zone: str, start: dt.date) -> None:
    known = {"daily": daily, "hourly": hourly, "monthly": monthly}[kind](start, zone)
    until = dt.datetime(start.year, start.month, start.day, tzinfo=dt.UTC)
    until += dt.timedelta(days=9 if kind == "hourly" else 70)
    parts = [known.partition(key, NOW) for key in known.keys(until)]

    for before, after in itertools.pairwise(parts):
        assert before.end == after.start
        assert after.previous == before
    assert len(set(parts)) == len(parts)
    assert known.newest(until) == parts[-1]
    assert from_wire(known.to_wire()).keys(until) == parts


def test_grid_combines_days_and_names() -> None:
    known = grid(daily("2026-11-29", "Europe/Berlin"), static(["de", "fr"]))
    found = known.partition("2026-11-30:de", NOW)

    assert known.keys(NOW) == [f"2026-11-{day}:{name}" for day in (29, 30) for name in ("de", "fr")]
    assert found.parts == ("2026-11-30", "de")
    assert (found.start.isoformat(), found.previous) == (
        "2026-11-30T00:00:00+01:00",
        "2026-11-29:de",
    )
    assert known.between("2026-11-30", None, NOW) == ["2026-11-30:de", "2026-11-30:fr"]
    assert "did you mean 'fr'?" in refused(known, "2026-11-30:f")
    assert "2 axes" in refused(known, "2026-11-30")


def test_names_have_no_times() -> None:
    found = static(["de"]).partition("de", NOW)

    with pytest.raises(ValueError, match="de: is not the key of a day"):
        _ = found.start


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: daily("2026-1-1"), "the start of daily partitions must be 2026-11-30"),
        (lambda: daily("2026-01-01", "Berlin"), "such as UTC or Europe/Berlin, got 'Berlin'"),
        (lambda: daily("2026-01-01", "../etc/passwd"), "zone must be a time zone"),
        (lambda: static([]), "takes a list of names"),
        (lambda: static("de"), "takes a list of names"),
        (lambda: static(["a", "a"]), "two partitions have the name 'a'"),
        (lambda: static(["a/b"]), "without spaces and slashes"),
        (lambda: static(["a:b"]), "has no colon"),
        (lambda: grid(static(["a"])), "two or more sets"),
        (lambda: grid(daily("2026-01-01"), daily("2026-01-01")), "at most one of"),
        (lambda: from_wire({"kind": "weekly"}), "the kind of partitions must be"),
        (lambda: from_wire({}), "invalid partitions"),
        (lambda: hourly("1900-01-01").keys(NOW), "more than 100,000"),
        (lambda: daily("2026-11-01").between("2026-11-05", "2026-11-02", NOW), "is after"),
    ],
)
def test_bad_definition_names_the_accepted_values(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_command_passes_the_zone_with_the_key() -> None:
    codec = codec_of(Partition)
    found = daily("2026-01-01", "Europe/Berlin").partition("2026-11-30", NOW)

    assert codec.encode(found) == "2026-11-30 Europe/Berlin"
    assert codec.decode("2026-11-30 Europe/Berlin").end == found.end
    assert codec.encode(Partition("2026-11-30")) == "2026-11-30"
    with pytest.raises(ValueError, match="a Partition"):
        codec.decode("2026-11-30 Mars")
