"""The time zone of this machine."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

_LINK = Path("/etc/localtime")
_NAME = Path("/etc/timezone")


def zone_here() -> str:
    """Return the name of this machine's time zone; UTC if it is not known."""
    for name in (os.environ.get("TZ", "").lstrip(":"), _linked(), _named()):
        if name and _is_known(name):
            return name
    return "UTC"


def _linked() -> str:
    """Return the zone that the system's link names."""
    try:
        target = str(_LINK.resolve())
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]


def _named() -> str:
    try:
        return _NAME.read_text().strip()
    except (OSError, ValueError):
        return ""


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
