"""The resource usage of a container, from the statistics of Docker, Podman and Fargate."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_NANO = 10**9
#: Memory that the kernel can reclaim at once: its name in cgroups 2, then in cgroups 1.
_RECLAIMABLE = ("inactive_file", "total_inactive_file")


class Reading(NamedTuple):
    """The resource usage of a container.

    Attributes:
        cpu_seconds: Since it started.
        memory: Bytes in use now, without cached files.
    """

    cpu_seconds: float
    memory: int


def reading_of(stats: Mapping[str, Any]) -> Reading | None:
    """Return the usage in a response of ``/containers/ID/stats``; None without a running container.

    Source: Docker Engine API, "Get container stats based on resource usage".
    """
    try:
        memory = stats["memory_stats"]
        cached = memory.get("stats") or {}
        reclaimable = next((cached[name] for name in _RECLAIMABLE if name in cached), 0)
        cpu = stats["cpu_stats"]["cpu_usage"]["total_usage"]
        return Reading(cpu / _NANO, max(0, int(memory["usage"]) - int(reclaimable)))
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
