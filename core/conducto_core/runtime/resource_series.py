"""What a command used over time: a series of points that never becomes long.

It is kept as lines of JSON beside what the command printed: the first says when the series begins
and what the container may use, each other one is a sample. Whoever writes takes samples no more
often than the points of its series are long, so that an attempt of any length has few lines.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conducto_core.model.resources import Resources

#: Most points of a series; an even number.
MAX_POINTS = 240
#: Bytes of the lines of one attempt that are read; those of a year are fewer.
MAX_BYTES = 1 << 18
#: Of an attempt that ran for less time than this nothing is known.
SHORTEST_SECONDS = 2.0
_GB = 2**30
_MB = 2**20
_CPU_DIGITS = 3


@dataclass(slots=True)
class ResourceSeries:
    """Points of equal length, the first from 0 on.

    Attributes:
        interval: Seconds of one point.
        cpu: CPUs in use, the mean of each point.
        memory: Bytes in use, the most of each point.
    """

    interval: float
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def add(self, seconds: float, cpu: float, memory: int) -> None:
        """Take in a sample: what was used from the last one until ``seconds``.

        One that comes late fills the points it was awaited for; one that comes early, within a
        point that is there already, can only raise the memory of that.
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
        """Make one point of each two."""
        cpu, memory = self.cpu, self.memory
        pairs = range(0, len(cpu), 2)
        self.cpu = [sum(cpu[i : i + 2]) / len(cpu[i : i + 2]) for i in pairs]
        self.memory = [max(memory[i : i + 2]) for i in pairs]
        self.interval *= 2


class ResourceWriter:
    """Writes down what one attempt uses.

    Args:
        write: Appends a line.
        since: When the attempt's first second was, since the epoch.
        interval: Seconds between the first samples.
        limits: What the container may use, CPUs and GB, where whoever reads cannot know.
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
        """Seconds until the next sample is worth its line."""
        return self._series.interval

    def add(self, seconds: float, cpu: float, memory: int) -> None:
        """Write down a sample, as `ResourceSeries.add` takes it."""
        sample = (round(seconds, 1), round(max(0.0, cpu), _CPU_DIGITS), memory)
        self._series.add(*sample)
        text = json.dumps(sample)
        if self._head is not None:
            text, self._head = f"{json.dumps(self._head)}\n{text}", None
        self._write(text.encode() + b"\n")


def resources_in(
    lines: bytes, cpu_limit: float | None = None, mem_limit: float | None = None
) -> Resources:
    """Return what the lines of an attempt say.

    Args:
        lines: As a `ResourceWriter` wrote them; a line that is cut is left out.
        cpu_limit: CPUs the attempt may use, where the lines do not say it.
        mem_limit: GB it may use, likewise.
    """
    head, *samples = lines.splitlines() or [b""]
    try:
        begun = json.loads(head)
        series = ResourceSeries(float(begun["interval"]))
        since = float(begun["since"])
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
        cpu_limit=begun.get("cpu", cpu_limit),
        mem_limit=begun.get("mem", limit),
        since=since,
    )


def summary(used: Resources) -> str | None:
    """Return what was used as a sentence; None where that is not known.

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
