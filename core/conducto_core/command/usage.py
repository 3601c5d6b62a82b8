"""The resource usage of a command over time, as a series of points with a maximum length.

It is stored as lines of JSON next to the output: the first has the start of the series and the
limits of the container, each other one is a sample. The writer takes no more samples than points,
so that an attempt of any length has few lines.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from conducto_core.command.model import Resources

#: Maximum number of points of a series; an even number.
MAX_POINTS = 240
#: Maximum bytes of one attempt's lines to read; an attempt of a year has fewer.
MAX_BYTES = 1 << 18
#: The usage of a shorter attempt is unknown.
SHORTEST_SECONDS = 2.0
_GB = 2**30
_MB = 2**20
_CPU_DIGITS = 3


@dataclass(slots=True)
class ResourceSeries:
    """Points of equal length, the first starting at 0.

    Attributes:
        interval: Seconds of one point.
        cpu: CPUs in use, the average of each point.
        memory: Bytes in use, the maximum of each point.
    """

    interval: float
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def add(self, seconds: float, cpu: float, memory: int) -> None:
        """Add a sample: the usage from the last one until ``seconds``.

        A late sample fills all points since the last one; an early one, within an existing point,
        can only raise that point's memory.
        """
        end = round(seconds / self.interval)
        while end > MAX_POINTS:
            self._merge()
            end = round(seconds / self.interval)
        if end <= len(self.cpu):
            if self.memory:
                self.memory[-1] = max(self.memory[-1], memory)
            return
        more = end - len(self.cpu)
        self.cpu += [cpu] * more
        self.memory += [memory] * more

    def _merge(self) -> None:
        cpu, memory = self.cpu, self.memory
        pairs = range(0, len(cpu), 2)
        self.cpu = [sum(cpu[i : i + 2]) / len(cpu[i : i + 2]) for i in pairs]
        self.memory = [max(memory[i : i + 2]) for i in pairs]
        self.interval *= 2


class ResourceWriter:
    """Writes the resource usage of one attempt.

    Args:
        write: Appends a line.
        since: Start of the attempt, in seconds since the epoch.
        interval: Seconds between the first samples.
        limits: CPUs and GB that the container may use, if the reader cannot know them.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        interval: float,
        since: float,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self._write = write
        self._series = ResourceSeries(interval)
        self._head: dict[str, Any] | None = {"since": round(since, 3), "interval": interval}
        if limits is not None:
            self._head |= {"cpu": limits[0], "mem": int(limits[1] * _GB)}

    @property
    def interval(self) -> float:
        """Seconds until the next sample."""
        return self._series.interval

    def add(self, seconds: float, cpu: float, memory: int) -> None:
        """Write a sample; see `ResourceSeries.add`."""
        sample = (round(seconds, 1), round(max(0.0, cpu), _CPU_DIGITS), memory)
        self._series.add(*sample)
        text = json.dumps(sample)
        if self._head is not None:
            text, self._head = f"{json.dumps(self._head)}\n{text}", None
        self._write(text.encode() + b"\n")


def resources_in(
    lines: bytes, cpu_limit: float | None = None, mem_limit: float | None = None
) -> Resources:
    """Return the usage in the lines of an attempt.

    Args:
        lines: Written by a `ResourceWriter`; an incomplete line is ignored.
        cpu_limit: CPUs that the attempt may use, if the lines do not contain it.
        mem_limit: GB that it may use, likewise.
    """
    head, *samples = lines.splitlines() or [b""]
    try:
        started = json.loads(head)
        series = ResourceSeries(float(started["interval"]))
        since = float(started["since"])
    except (ValueError, KeyError, TypeError):
        return Resources()
    for line in samples:
        try:
            seconds, cpu, memory = json.loads(line)
            sample = (float(seconds), float(cpu), int(memory))
            series.add(*sample)
        except (ValueError, TypeError, OverflowError):
            continue
    limit = None if mem_limit is None else int(mem_limit * _GB)
    return Resources(
        interval=series.interval,
        cpu=tuple(round(each, _CPU_DIGITS) for each in series.cpu),
        memory=tuple(series.memory),
        cpu_limit=started.get("cpu", cpu_limit),
        mem_limit=started.get("mem", limit),
        since=since,
    )


def summary(used: Resources) -> str | None:
    """Return the usage as a sentence; None if unknown.

    >>> summary(Resources(cpu=(1.4, 2.0), memory=(5, 850_000_000), cpu_limit=2, mem_limit=2**31))
    '1.7 of 2 CPUs on average, 811 MB of 2 GB at its peak'
    """
    if not used.cpu or not used.memory:
        return None
    mean = sum(used.cpu) / len(used.cpu)
    cpu = f"{round(mean, 1):g}" if mean >= 1 else f"{mean:.2g}"
    cpus = f"{cpu} CPUs" if used.cpu_limit is None else f"{cpu} of {_cpus(used.cpu_limit)}"
    memory = _size(max(used.memory))
    if used.mem_limit is not None:
        memory = f"{memory} of {_size(used.mem_limit)}"
    return f"{cpus} on average, {memory} at its peak"


def _cpus(limit: float) -> str:
    return f"{limit:g} CPU" if limit == 1 else f"{limit:g} CPUs"


def _size(count: int) -> str:
    return f"{count / _GB:.3g} GB" if count >= _GB else f"{count / _MB:.0f} MB"


# ----------------------------------------------------------------------------------------
# The resource usage of a container, from the statistics of Docker, Podman and Fargate.


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


class PeakMemory:
    """The peaks that the kernel reports after each command of a container, in bytes.

    They are those of the container's lifetime: only a new one is the last command's.
    """

    def __init__(self) -> None:
        self._highest = 0

    def of_command(self, peak: int | None) -> int | None:
        if peak is None or peak <= self._highest:
            return None
        self._highest = peak
        return peak


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
