"""Launch forms of programs with partitions."""

from collections.abc import Sequence
from typing import Any


def with_partition(
    form: dict[str, Any], key: str | None, keys: Sequence[str] = (), *, start: str = "2020-01-01"
) -> dict[str, Any]:
    """Return a launch form of one partition, or of a backfill."""
    call = {
        "function": "nightly",
        "script": "/src/p.py",
        "command": ["python", "/src/p.py"],
        "directory": "/src",
        "partitions": {"kind": "daily", "start": start, "zone": "UTC"},
        "partition": key,
        "backfill": list(keys),
    }
    return {**form, "call": call}
