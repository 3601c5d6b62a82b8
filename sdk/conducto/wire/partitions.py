"""Partitions: the days, hours, months or names that a program runs for, one pipeline each. Pure.

A key identifies a partition: ``2026-11``, ``2026-11-30``, ``2026-11-30T13``, a name, or the keys of
a grid with colons between them. A day begins and ends at midnight of its time zone, so it has 23 or
25 hours when the clocks change; an hour that the clocks repeat has its offset in the key,
``2026-10-25T02+0100``. A partition exists once its time has ended.

Standard library only, Python 3.8 and later.
"""

# ruff: noqa: D102, PYI034
# The base class documents the methods; Self is of Python 3.11.

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

if TYPE_CHECKING:
    Wire = Dict[str, Any]

UTC = "UTC"
MAX_PARTITIONS = 100_000
MAX_KEY = 200
#: Separates the keys of a grid.
CROSS = ":"
#: ``{kind: (pattern of its keys, an example)}``.
_KINDS = {
    "monthly": (re.compile(r"\d{4}-\d{2}"), "2026-11"),
    "daily": (re.compile(r"\d{4}-\d{2}-\d{2}"), "2026-11-30"),
    "hourly": (re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}([+-]\d{4})?"), "2026-11-30T13"),
}
_FORMS = {"monthly": "%Y-%m", "daily": "%Y-%m-%d", "hourly": "%Y-%m-%dT%H"}
_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


class Partition(str):
    """The key of a partition, which is text, and its times."""

    __slots__ = ("zone",)

    #: The time zone of its times.
    zone: str

    def __new__(cls, key: str, zone: str = UTC) -> Partition:
        """Return a key with a time zone."""
        made = super().__new__(cls, key)
        made.zone = zone
        return made

    def __getnewargs__(self) -> Tuple[str, str]:  # type: ignore[override]
        return str(self), self.zone

    def __str__(self) -> str:
        return str.__str__(self[:])

    @property
    def start(self) -> dt.datetime:
        """Its first moment.

        Raises:
            ValueError: it is a name.
        """
        return _at(self._period().start, self.zone)

    @property
    def end(self) -> dt.datetime:
        """The first moment after it; see `start`."""
        return _at(self._period().end, self.zone)

    @property
    def previous(self) -> Partition:
        """The one before it by the calendar, which may be before the first one; see `start`."""
        period = self._period()
        before = period.near(-1).key
        parts = [before if part == period.key else part for part in self.split(CROSS)]
        return Partition(CROSS.join(parts), self.zone)

    @property
    def parts(self) -> Tuple[Partition, ...]:
        """The keys of a grid's axes; of another partition, itself."""
        return tuple(Partition(part, self.zone) for part in self.split(CROSS))

    def _period(self) -> _Period:
        times = [part for part in self.split(CROSS) if kind_of(part) is not None]
        if len(times) != 1:
            raise ValueError(f"{self[:]}: is not the key of a day, an hour or a month")
        return _period_of(times[0], self.zone)

    def to_str(self) -> str:
        """Return its key and zone as an argument of a command."""
        return str(self) if self.zone == UTC else f"{self} {self.zone}"

    @staticmethod
    def from_str(text: str) -> Partition:
        """Return the partition of an argument.

        Raises:
            ValueError: it has no key, or an unknown time zone.
        """
        key, _, zone = text.partition(" ")
        found = Partition(_checked_name(key), zone or UTC)
        if zone:
            zone_of(zone)
        return found


def kind_of(key: str) -> Optional[str]:
    """Return ``monthly``, ``daily`` or ``hourly`` by the form of a key; None for a name."""
    return next((kind for kind, (form, _) in _KINDS.items() if form.fullmatch(key)), None)


def zone_of(name: str) -> dt.tzinfo:
    """Return a time zone.

    Raises:
        ValueError: it is unknown.
    """
    if name == UTC:
        return dt.UTC
    try:
        import zoneinfo  # noqa: PLC0415 (of Python 3.9; not for UTC)

        return zoneinfo.ZoneInfo(name)
    except (ImportError, ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"zone must be a time zone such as UTC or Europe/Berlin, got {name!r}: {error}"
        ) from None


def _checked_name(key: object) -> str:
    text = key if isinstance(key, str) else ""
    bad = not text.isprintable() or any(each == "/" or each.isspace() for each in text)
    if not bad and 0 < len(text) <= MAX_KEY:
        return text
    raise ValueError(
        f"the key of a partition must be text of 1 to {MAX_KEY} characters without spaces and "
        f"slashes, such as 2026-11-30, got {key!r}"
    )


# ---- times ---------------------------------------------------------------------------------------


class _Period:
    """The times of a month, a day or an hour; `_period_of` reads a key."""

    __slots__ = ("_fold", "_naive", "_zone", "key", "kind")

    def __init__(self, kind: str, naive: dt.datetime, fold: int, zone: dt.tzinfo) -> None:
        self.kind = kind
        self._naive, self._fold, self._zone = naive, fold, zone
        self.key = _named(naive, fold, zone) if kind == "hourly" else naive.strftime(_FORMS[kind])

    @property
    def start(self) -> dt.datetime:
        """The first moment, in UTC."""
        return _moment(self._naive, self._fold, self._zone)

    @property
    def end(self) -> dt.datetime:
        """The first moment after it, in UTC."""
        return self.near(1).start

    def near(self, step: int) -> _Period:
        """Return the next period for 1, or the previous one for -1."""
        naive, zone = self._naive, self._zone
        if self.kind == "monthly":
            months = naive.year * 12 + naive.month - 1 + step
            first = dt.datetime(months // 12, months % 12 + 1, 1)  # noqa: DTZ001 (of the zone)
            return _Period(self.kind, first, 0, zone)
        if self.kind == "daily":
            while True:
                naive += step * _DAY
                if _moment(naive, 0, zone) < _moment(naive + _DAY, 0, zone):  # some skip a day
                    return _Period(self.kind, naive, 0, zone)
        fold = self._fold + step
        if fold not in _folds(naive, zone):
            folds: List[int] = []
            while not folds:
                naive += step * _HOUR
                folds = _folds(naive, zone)
            fold = folds[0 if step > 0 else -1]
        return _Period(self.kind, naive, fold, zone)


def _moment(naive: dt.datetime, fold: int, zone: dt.tzinfo) -> dt.datetime:
    return naive.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC)


@lru_cache(maxsize=10_000)
def _is_plain(day: dt.date, zone: dt.tzinfo) -> bool:
    """Return whether the clocks do not change on a day or the days beside it."""
    noon = dt.datetime(day.year, day.month, day.day, 12, tzinfo=zone)
    return (noon - _DAY).utcoffset() == (noon + _DAY).utcoffset()


def _folds(naive: dt.datetime, zone: dt.tzinfo) -> List[int]:
    """Return the folds with which an hour exists, in order."""
    if zone is dt.UTC or _is_plain(naive.date(), zone):
        return [0]
    found: List[int] = []
    for fold in (0, 1):
        moment = _moment(naive, fold, zone)
        back = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        if back == naive and (not found or moment != _moment(naive, 0, zone)):
            found.append(fold)
    return found


def _named(naive: dt.datetime, fold: int, zone: dt.tzinfo) -> str:
    """Return the key of an hour."""
    key = naive.strftime("%Y-%m-%dT%H")
    if len(_folds(naive, zone)) == 1:
        return key
    return key + naive.replace(tzinfo=zone, fold=fold).strftime("%z")


def _period_of(key: str, zone_name: str) -> _Period:
    """Return the period of a key that has its form.

    Raises:
        ValueError: there is no such time.
    """
    kind, zone = kind_of(key) or "", zone_of(zone_name)
    try:
        naive = dt.datetime.strptime(key[:13], _FORMS[kind])  # noqa: DTZ007 (of the zone)
    except ValueError:
        raise ValueError(
            f"{key}: there is no such time; a key is, for example, {_KINDS[kind][1]}"
        ) from None
    if kind != "hourly":
        return _Period(kind, naive, 0, zone)
    found = {_named(naive, fold, zone): fold for fold in _folds(naive, zone)}
    if not found:
        raise ValueError(f"{key}: the clocks of {zone_name} skip this hour")
    if key not in found:
        raise ValueError(f"{key}: the key of this hour in {zone_name} is {' or '.join(found)}")
    return _Period(kind, naive, found[key], zone)


def _at(moment: dt.datetime, zone_name: str) -> dt.datetime:
    """Return a time with the offset of a zone as a constant, so that differences are exact.

    Python leaves the offsets out of the difference of two times of the same zone.
    """
    local = moment.astimezone(zone_of(zone_name))
    return local.replace(tzinfo=dt.timezone(local.utcoffset() or dt.timedelta()), fold=0)


# ---- the partitions of a program -----------------------------------------------------------------


class PartitionSet:
    """The partitions of a program."""

    def keys(self, now: dt.datetime) -> List[str]:
        """Return the keys of those that exist, in order."""
        raise NotImplementedError

    def newest(self, now: dt.datetime) -> Optional[str]:
        """Return the newest that had ended at a time; None without one."""
        raise NotImplementedError

    def partition(self, key: str, now: dt.datetime) -> Partition:
        """Return a partition that exists.

        Raises:
            ValueError: there is none with this key; the message has the nearest one.
        """
        raise NotImplementedError

    def between(self, first: Optional[str], last: Optional[str], now: dt.datetime) -> List[str]:
        """Return the keys from one to another, both included; None: from the first, to the newest.

        Raises:
            ValueError: one of them does not exist, or they are in the wrong order.
        """
        known = self.keys(now)
        for key in (first, last):
            if key is not None:
                self.partition(key, now)
        start = 0 if first is None else known.index(first)
        end = len(known) if last is None else known.index(last) + 1
        if start >= end and known:
            raise ValueError(f"{first} is after {last}; the range begins with the earlier one")
        return known[start:end]

    def to_wire(self) -> Wire:
        """Return JSON data from which `from_wire` makes an equal set."""
        raise NotImplementedError


class TimeSet(PartitionSet):
    """Months, days or hours of a time zone, from the first one on."""

    def __init__(self, kind: str, start: Union[str, dt.date], zone: str = UTC) -> None:
        self.kind = kind
        self.zone = zone
        zone_of(zone)
        text: object = start.strftime(_FORMS[kind]) if isinstance(start, dt.date) else start
        if isinstance(text, str) and kind_of(text) == "daily":
            if kind == "hourly":
                text += "T00"
            elif kind == "monthly" and text.endswith("-01"):
                text = text[:7]
        if not isinstance(text, str) or kind_of(text) != kind:
            raise ValueError(
                f"the start of {kind} partitions must be {_KINDS[kind][1]}, for example, got "
                f"{start!r}"
            )
        self.start = text
        self._first = _period_of(text, zone)

    def keys(self, now: dt.datetime) -> List[str]:
        found: List[str] = []
        period, after = self._first, self._first.near(1)
        while after.start <= now:
            found.append(period.key)
            period, after = after, after.near(1)
            if len(found) > MAX_PARTITIONS:
                raise ValueError(
                    f"there are more than {MAX_PARTITIONS:,} {self.kind} partitions since "
                    f"{self.start}; begin later, or use longer ones"
                )
        return found

    def newest(self, now: dt.datetime) -> Optional[str]:
        zone = zone_of(self.zone)
        local = now.astimezone(zone)
        naive = dt.datetime.strptime(local.strftime(_FORMS[self.kind]), _FORMS[self.kind])  # noqa: DTZ007
        found = _Period(self.kind, naive, local.fold, zone).near(-1)
        return found.key if found.start >= self._first.start else None

    def partition(self, key: str, now: dt.datetime) -> Partition:
        if kind_of(key) != self.kind:
            raise ValueError(
                f"{key!r} is not the key of a partition; they are {self.kind}, such as "
                f"{self.newest(now) or self.start}"
            )
        period = _period_of(key, self.zone)
        if period.start < self._first.start:
            raise ValueError(f"the partition {key} does not exist; the first one is {self.start}")
        if period.end > now:
            newest = self.newest(now)
            nearest = f"the newest one is {newest}" if newest else "there are none yet"
            ends = _at(period.end, self.zone).isoformat(timespec="minutes")
            raise ValueError(f"the partition {key} ends in the future, at {ends}; {nearest}")
        if period.start >= period.end:
            raise ValueError(f"{key}: the calendar of {self.zone} skips this day")
        return Partition(key, self.zone)

    def to_wire(self) -> Wire:
        return {"kind": self.kind, "start": self.start, "zone": self.zone}


class StaticSet(PartitionSet):
    """Partitions with given names."""

    def __init__(self, names: Sequence[str]) -> None:
        if isinstance(names, str) or not names:
            raise ValueError(
                f"co.static takes a list of names, such as ['de', 'fr'], got {names!r}"
            )
        self.names = [_checked_name(name) for name in names]
        for name in self.names:
            if CROSS in name:
                raise ValueError(f"the name of a partition has no colon, got {name!r}")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"two partitions have the name {twice[0]!r}; leave one of them out")

    def keys(self, now: dt.datetime) -> List[str]:  # noqa: ARG002 (they do not depend on time)
        return list(self.names)

    def newest(self, now: dt.datetime) -> Optional[str]:  # noqa: ARG002
        return None

    def partition(self, key: str, now: dt.datetime) -> Partition:  # noqa: ARG002
        if key not in self.names:
            import difflib  # noqa: PLC0415 (of an error)

            near = difflib.get_close_matches(key, self.names, 1, 0.0)[0]
            raise ValueError(f"there is no partition {key!r}; did you mean {near!r}?")
        return Partition(key)

    def to_wire(self) -> Wire:
        return {"kind": "static", "names": self.names}


class GridSet(PartitionSet):
    """Each combination of the partitions of several sets."""

    def __init__(self, axes: Sequence[PartitionSet]) -> None:
        if len(axes) < 2 or not all(isinstance(a, (TimeSet, StaticSet)) for a in axes):  # noqa: PLR2004
            raise ValueError(
                "co.grid takes two or more sets of partitions, such as co.grid(co.daily(...), "
                "co.static([...])); grids cannot be nested"
            )
        if sum(isinstance(axis, TimeSet) for axis in axes) > 1:
            raise ValueError("co.grid takes at most one of co.daily, co.hourly and co.monthly")
        self.axes = list(axes)
        self._zone = next((a.zone for a in axes if isinstance(a, TimeSet)), UTC)

    def keys(self, now: dt.datetime) -> List[str]:
        found = [""]
        for axis in self.axes:
            own = axis.keys(now)
            if len(found) * len(own) > MAX_PARTITIONS:
                raise ValueError(f"the grid has more than {MAX_PARTITIONS:,} partitions")
            found = [f"{key}{CROSS}{name}" if key else name for key in found for name in own]
        return found

    def newest(self, now: dt.datetime) -> Optional[str]:  # noqa: ARG002 (several are)
        return None

    def partition(self, key: str, now: dt.datetime) -> Partition:
        parts = key.split(CROSS)
        if len(parts) != len(self.axes):
            known = self.keys(now)
            example = f", such as {known[-1]}" if known else ""
            raise ValueError(
                f"{key!r} is not the key of a grid with {len(self.axes)} axes{example}"
            )
        for part, axis in zip(parts, self.axes):  # noqa: B905 (of Python 3.10)
            axis.partition(part, now)
        return Partition(key, self._zone)

    def between(self, first: Optional[str], last: Optional[str], now: dt.datetime) -> List[str]:
        """Return the keys whose first axis is in a range, or that are between two of the grid."""
        if any(key is not None and CROSS in key for key in (first, last)):
            return super().between(first, last, now)
        chosen = set(self.axes[0].between(first, last, now))
        return [key for key in self.keys(now) if key.split(CROSS)[0] in chosen]

    def to_wire(self) -> Wire:
        return {"kind": "grid", "axes": [axis.to_wire() for axis in self.axes]}


def from_wire(data: Any) -> PartitionSet:
    """Return the set of its JSON data.

    Raises:
        ValueError: it is invalid.
    """
    try:
        kind = data["kind"]
        if kind == "static":
            return StaticSet(data["names"])
        if kind == "grid":
            return GridSet([from_wire(axis) for axis in data["axes"]])
        if kind in _KINDS:
            return TimeSet(kind, data["start"], data.get("zone", UTC))
    except (KeyError, TypeError) as error:
        raise ValueError(f"invalid partitions {data!r}: {error}") from None
    raise ValueError(
        f"the kind of partitions must be {', '.join(_KINDS)}, static or grid, got {kind!r}"
    )


def daily(start: Union[str, dt.date], zone: str = UTC) -> PartitionSet:
    """Return partitions of a day each, from ``start`` on, such as ``"2024-01-01"``."""
    return TimeSet("daily", start, zone)


def hourly(start: Union[str, dt.date], zone: str = UTC) -> PartitionSet:
    """Return partitions of an hour each, from ``start`` on, such as ``"2024-01-01T00"``."""
    return TimeSet("hourly", start, zone)


def monthly(start: Union[str, dt.date], zone: str = UTC) -> PartitionSet:
    """Return partitions of a month each, from ``start`` on, such as ``"2024-01"``."""
    return TimeSet("monthly", start, zone)


def static(names: Sequence[str]) -> PartitionSet:
    """Return partitions with these names."""
    return StaticSet(names)


def grid(*axes: PartitionSet) -> PartitionSet:
    """Return a partition for each combination, such as each day and country."""
    return GridSet(axes)


def slices(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the keys in parts of at most a size."""
    for at in range(0, len(keys), size):
        yield keys[at : at + size]
