"""What a container has used so far, from the statistics that Docker, Podman and Fargate tell."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_NANO = 10**9
#: Memory that the kernel can take back at once; the first is of control groups 2, the other of 1.
_RECLAIMABLE = ("inactive_file", "total_inactive_file")


class Reading(NamedTuple):
    """What a container has used.

    Attributes:
        cpu_seconds: Since it began.
        memory: Bytes in use now, without files that are only cached.
    """

    cpu_seconds: float
    memory: int


def reading_of(stats: Mapping[str, Any]) -> Reading | None:
    """Return what an answer of ``/containers/ID/stats`` says; None: the container is not there.

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
