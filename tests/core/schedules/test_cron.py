"""Times of cron expressions around changes of the clocks, against a slow oracle.

The oracle shares nothing with the implementation: it reads the five fields itself, and looks at
every minute of the time zone.
"""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from conducto_core.schedules.rules.cron import next_times, times

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Apia",
)
YEARS = range(2020, 2030)
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def fields_of(expression):
    def values(text, low, high):
        found = set()
        for part in text.split(","):
            span, _, step = part.partition("/")
            first, _, last = span.partition("-")
            start, end = (low, high) if span == "*" else (int(first), int(last or first))
            found |= set(range(start, (high if step and not last else end) + 1, int(step or 1)))
        return found

    return [values(w, *bound) for w, bound in zip(expression.split(), _BOUNDS, strict=True)]


def matches(expression, fields, wall):
    minutes, hours, days, months, weekdays = fields
    words = expression.split()
    in_month = wall.day in days
    in_week = wall.isoweekday() % 7 in {day % 7 for day in weekdays}
    both = words[2].startswith("*") or words[4].startswith("*")
    day = in_month and in_week if both else in_month or in_week
    return day and wall.minute in minutes and wall.hour in hours and wall.month in months


def oracle(expression, zone, start, end):
    """Return all times with start < time <= end, minute by minute."""
    fields, info = fields_of(expression), ZoneInfo(zone)
    words = expression.split()
    found = set()
    if words[0].startswith("*") or words[1].startswith("*"):
        instant = start + timedelta(minutes=1)
        while instant <= end:
            if matches(expression, fields, instant.astimezone(info)):
                found.add(instant)
            instant += timedelta(minutes=1)
        return sorted(found)
    wall = (start - timedelta(days=2)).replace(tzinfo=None)
    while wall <= (end + timedelta(days=2)).replace(tzinfo=None):
        if matches(expression, fields, wall):
            real = wall
            while not exists(real, info):
                real += timedelta(minutes=1)
            found.add(real.replace(tzinfo=info).astimezone(UTC))
        wall += timedelta(minutes=1)
    return sorted(one for one in found if start < one <= end)


def exists(wall, info):
    back = wall.replace(tzinfo=info).astimezone(UTC).astimezone(info)
    return back.replace(tzinfo=None) == wall


def shifts(zone):
    """Return the times of each change of the clocks of a zone in ten years, up to 6 hours late."""
    info, found = ZoneInfo(zone), []
    moment = datetime(YEARS.start, 1, 1, tzinfo=UTC)
    last = moment.astimezone(info).utcoffset()
    while moment.year < YEARS.stop:
        offset = moment.astimezone(info).utcoffset()
        if offset != last:
            found.append(moment)
        last = offset
        moment += timedelta(hours=6)
    return found


def some_expression(rng):
    minute = rng.choice(["*", "*/7", "*/15", "0", "30", "1", "59", "0,30", "15-45/10", "29"])
    hour = rng.choice(["*", "*/2", "0", "1", "2", "3", "23", "1-3", "0,2", "2,3", "*/3", "22-23"])
    day = rng.choice(["*", "*", "*", "1", "*/2", "28-31", "15"])
    month = rng.choice(["*", "*", "3", "10,11", "3-4", "*/2"])
    weekday = rng.choice(["*", "*", "0", "7", "6", "1-5", "0,6"])
    return f"{minute} {hour} {day} {month} {weekday}"


def check(expression, zone, start, days=2):
    end = start + timedelta(days=days)
    expected = [one.timestamp() for one in oracle(expression, zone, start, end)]
    found = list(times(expression, zone, start.timestamp(), end.timestamp()))
    assert found == expected, (expression, zone, start.isoformat())


@pytest.mark.parametrize("zone", ZONES)
def test_cron_agrees_with_the_oracle_around_changes_of_the_clocks(zone):
    rng = random.Random(zone)
    moments = shifts(zone) or [datetime(2024, 2, 28, tzinfo=UTC)]
    for moment in rng.sample(moments, min(2, len(moments))):
        for _ in range(3):
            check(some_expression(rng), zone, moment - timedelta(minutes=rng.randrange(1, 1500)))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("zone", ZONES)
def test_cron_agrees_with_the_oracle_at_every_change_in_ten_years(zone):
    rng = random.Random(zone)
    for moment in shifts(zone) or [datetime(2024, 2, 28, tzinfo=UTC)]:
        for _ in range(40):
            check(some_expression(rng), zone, moment - timedelta(minutes=rng.randrange(1, 2000)))


@pytest.mark.parametrize(
    ("expression", "day", "expected"),
    [
        ("30 2 * * *", "2027-03-28", ["03:00"]),
        ("30 1 * * *", "2027-03-28", ["01:30"]),
        ("30 2 * * *", "2027-10-31", ["02:30"]),
        ("*/30 2 * * *", "2027-03-28", []),
        ("*/30 2 * * *", "2027-10-31", ["02:00", "02:30", "02:00", "02:30"]),
        ("0 2,3 * * *", "2027-03-28", ["03:00"]),
    ],
)
def test_berlin_at_a_change_of_the_clocks(expression, day, expected):
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(day).replace(tzinfo=berlin)
    end = start + timedelta(days=1) - timedelta(seconds=1)
    found = times(expression, "Europe/Berlin", start.timestamp() - 1, end.timestamp())
    assert [datetime.fromtimestamp(one, berlin).strftime("%H:%M") for one in found] == expected


def test_time_from_the_middle_of_a_repeated_hour_is_in_the_future():
    second = datetime(2027, 10, 31, 2, 10, fold=1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    (found,) = next_times("30 2 * * *", "Europe/Berlin", second, 1)
    assert found > second + 23 * 3600


def test_repeated_times_are_found_before_a_gap_of_a_year():
    start = datetime(2029, 3, 30, 18, 32, tzinfo=UTC)
    check("*/15 1 1 3-4 *", "Australia/Lord_Howe", start)
