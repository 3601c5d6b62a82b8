"""The times of a cron expression in a time zone.

At a change of the clocks, the rules are those of Debian's cron. An expression whose minute or hour
starts with ``*`` follows the clock on the wall: it has no time in the hour that is left out, and
both times in the hour that comes twice. Any other one has each of its times once: a time that is
left out is the end of the gap, and of a time that comes twice, the first one counts.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from conducto_core.errors import invalid

_FIELDS: Final = 5
#: Names of common expressions.
_NAMED: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: No zone moves its clocks forward and back within this time.
_STEP: Final = timedelta(days=10)
_EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)


def normal_form(expression: str) -> str:
    """Return an expression with five fields and single spaces.

    Raises:
        DefinitionError: it is not valid, or has no time at all.
    """
    given = expression.strip()
    words = _NAMED.get(given.lower(), given).split()
    if len(words) != _FIELDS:
        raise invalid(
            "cron",
            f"{given!r} has {len(words)} fields, but a cron expression has five: minute, hour, day "
            "of the month, month, day of the week; for example 30 2 * * 1-5",
        )
    normal = " ".join(words)
    try:
        first = next(CronSim(normal, _EPOCH), None)
    except CronSimError as error:
        field = str(error).removeprefix("Bad ").replace("-", " ").lower()
        raise invalid("cron", f"{given!r}: the field {field} is not valid") from None
    if first is None:
        raise invalid("cron", f"{given!r} has no time: its day is in none of its months")
    return normal


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        DefinitionError: it is unknown.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a name may be the path of a directory
        raise invalid(
            "zone", f"no time zone {name!r}; use a name such as Europe/Berlin, or UTC"
        ) from None


def times(expression: str, zone: str, after: float, until: float | None = None) -> Iterator[float]:
    """Yield the times of a valid expression above ``after``, up to ``until``, in order.

    Times are in seconds since the epoch.
    """
    found = _times(expression, zone_of(zone), datetime.fromtimestamp(after, UTC))
    return found if until is None else takewhile(lambda time: time <= until, found)


def _times(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[float]:
    minute, hour = expression.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        return _by_wall_clock(expression, zone, after)
    return _once_each(expression, zone, after)


# CronSim's own handling of time zones misses times where clocks change by half an hour or at
# midnight, so it only sees local times without a zone.


def _by_wall_clock(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[float]:
    """Yield every moment at which the clock on the wall shows a time of the expression."""
    offset, since = _offset(after, zone), after
    walls = CronSim(expression, _wall(after, offset))
    while (wall := next(walls, None)) is not None:
        moment = (wall - offset).replace(tzinfo=UTC)
        shift = _first_shift(since, moment, zone)
        if shift is None:
            since = moment
            yield moment.timestamp()
            continue
        since, offset = shift, _offset(shift, zone)
        walls = CronSim(expression, _wall(since, offset) - timedelta(seconds=1))


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _wall(moment: datetime, offset: timedelta) -> datetime:
    return moment.replace(tzinfo=None) + offset


def _first_shift(since: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first change of the clocks after ``since``, up to ``until``."""
    old = _offset(since, zone)
    while since < until:
        step = min(since + _STEP, until)
        if _offset(step, zone) != old:
            return _shift_between(since, step, zone)
        since = step
    return None


def _shift_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment of a change of the clocks: the offsets of the arguments differ."""
    old = _offset(before, zone)
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == old:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _once_each(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[float]:
    """Yield each local time once; one that does not exist is the end of the gap."""
    newest = after.timestamp()
    for wall in CronSim(expression, _wall(after, _offset(after, zone))):
        local = wall.replace(tzinfo=zone)
        while local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
            wall += timedelta(minutes=1)  # noqa: PLW2901  the loop looks for its real time
            local = wall.replace(tzinfo=zone)
        if local.timestamp() > newest:
            newest = local.timestamp()
            yield newest


def next_times(expression: str, zone: str, after: float, number: int) -> tuple[float, ...]:
    """Return the next times of a valid expression above ``after``."""
    return tuple(islice(times(expression, zone, after), number))
