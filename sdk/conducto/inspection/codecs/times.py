"""Codecs of dates, times and durations."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

from conducto.inspection.codecs.base import CodecError, mismatch
from conducto.inspection.codecs.scalars import Scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = {
    "date": "date: a date such as 2026-01-31",
    "time": "time: a time such as 18:30",
    "datetime": "datetime: a date and time such as 2026-01-31T18:30",
    "timedelta": "duration: a duration such as 1h30m or 90s",
}
_SECOND = 1_000_000  # microseconds
_UNITS = {"d": 86_400 * _SECOND, "h": 3600 * _SECOND, "m": 60 * _SECOND, "s": _SECOND}
_MORE_UNITS = {"w": 7 * 86_400 * _SECOND, "ms": 1000, "us": 1}
_PART = r"(\d+)(?:\.(\d+))?(us|ms|[wdhms])"


class Time(Scalar):
    """A class of the module ``datetime``, in its ISO form."""

    def __init__(self, base: Any) -> None:
        duration = base.__name__ == "timedelta"
        super().__init__(
            base,
            _NAMES[base.__name__],
            _write_duration if duration else base.isoformat,
            self._read_duration if duration else self._read_iso,
        )

    def accepts(self, value: Any) -> bool:
        """Return whether ``value`` belongs to the type; a datetime is not a date."""
        a_date = self.base.__name__ == "date"
        return isinstance(value, self.base) and not (a_date and hasattr(value, "hour"))

    def _read_iso(self, text: str) -> Any:
        if text.endswith("Z") and self.base.__name__ != "date":  # Python 3.10 does not read it
            text = text[:-1] + "+00:00"
        return self.base.fromisoformat(text)

    def _read_duration(self, text: str) -> Any:
        import re

        body = text[1:] if text[:1] in ("-", "+") else text
        if body.replace(".", "", 1).isdecimal():
            body += "s"
        if not re.fullmatch(f"(?:{_PART})+", body, re.ASCII):
            raise mismatch(self.expected, text)
        micros = sum(_part(*found) for found in re.findall(_PART, body, re.ASCII))
        try:
            return self.base(microseconds=-micros if text[0] == "-" else micros)
        except OverflowError:
            raise CodecError(f"{text} is longer than Python's timedelta") from None


def _part(whole: str, fraction: str, unit: str) -> int:
    """Return the microseconds of a number and its unit."""
    size: int = _UNITS.get(unit) or _MORE_UNITS[unit]
    return int(whole) * size + int(fraction or 0) * size // int(10 ** len(fraction))


def _write_duration(value: Any) -> str:
    """Return a timedelta such as ``1d2h0.5s``, without loss."""
    micros = (value.days * 86_400 + value.seconds) * _SECOND + value.microseconds
    sign, rest, text = "-" if micros < 0 else "", abs(micros), ""
    for unit, size in _UNITS.items():
        number, rest = divmod(rest, size)
        fraction = f".{rest:06}".rstrip("0") if rest and unit == "s" else ""
        text += f"{number}{fraction}{unit}" if number or fraction else ""
    return sign + (text or "0s")
