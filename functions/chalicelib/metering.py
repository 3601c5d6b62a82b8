"""What is counted of an organisation's use."""

from datetime import UTC, datetime


def month_of(time: float) -> str:
    """Return the month that a time belongs to, e.g. ``2026-11`` (UTC)."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m")
