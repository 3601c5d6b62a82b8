"""Results, metrics and artifacts of a command: their checks, limits and masking. No I/O.

A command leaves three files in its run directory (`conducto.results` writes them): ``result`` has
one JSON value, ``metrics`` and ``artifacts`` have a JSON object per line. They are kept as streams
of the attempt, like its output, and the attempt's record has a summary (`OutputSummary`).

Points and artifacts also arrive while the command runs (`LiveOutputs`). Their streams have two
parts: the lines that arrived, then, between empty lines, what the files had at the end. The second
part replaces the first one; it is missing while the command runs, and if its container is lost.
"""

import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from conducto.wire.outputs import (
    MAX_METRIC_NAMES,
    MAX_POINTS,
    MAX_RESULT,
    is_left_out,
    is_metric_name,
    too_large,
)
from conducto_core.command.masking import Mask
from conducto_core.command.server import MAX_FILE
from conducto_core.results.model import Artifact, MetricSeries, OutputStream, OutputSummary

#: Maximum levels of lists and objects in a result; readers of JSON have limits of their own.
MAX_DEPTH = 100
#: Maximum points of all metrics of an attempt; more metrics are thinned further.
MAX_ALL_POINTS = 50_000
MAX_ARTIFACTS = 1_000
#: Maximum bytes of points and artifacts that are kept before the command has ended.
MAX_LIVE = 4 << 20
#: Bytes that are read of one stream; more than the limits above allow.
MAX_STREAM = 16 << 20

T = TypeVar("T")
_Point = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class CollectedOutputs:
    """The outputs of a command, as they are kept: masked and within the limits.

    Attributes:
        summary: None if there is nothing.
        streams: ``{stream: bytes}``.
        warnings: Sentences about values that were not kept.
    """

    summary: OutputSummary | None = None
    streams: Mapping[OutputStream, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def warning_text(self) -> bytes:
        """The warnings, as lines for the command's stderr."""
        return "".join(f"conducto: {line}\n" for line in self.warnings).encode()


def collect(files: Mapping[str, bytes], mask: Mask) -> CollectedOutputs:
    if not files:
        return CollectedOutputs()
    warnings: list[str] = []
    streams: dict[OutputStream, bytes] = {}
    result = _result(files.get("result", b""), mask, warnings)
    if result is not None:
        streams["result"] = result
    series = _metrics(files.get("metrics", b""), mask, warnings)
    if series:
        streams["metrics"] = _final([one.model_dump(mode="json") for one in series])
    artifacts = _artifacts(files.get("artifacts", b""), mask, warnings)
    if artifacts:
        streams["artifacts"] = _final([one.model_dump(mode="json") for one in artifacts])
    summary = OutputSummary(
        result=None if result is None else len(result),
        metrics=tuple(one.name for one in series),
        artifacts=len(artifacts),
    )
    return CollectedOutputs(summary if streams else None, streams, tuple(warnings))


class LiveOutputs:
    """The points and artifacts of a running command, as they are kept until it has ended.

    Attributes:
        summary: Those that arrived.
    """

    def __init__(self, mask: Mask) -> None:
        self.summary = OutputSummary()
        self._mask = mask
        self._counts: dict[str, int] = {}
        self._artifacts: set[str] = set()
        self._free = MAX_LIVE

    def add(self, frame: bytes) -> tuple[OutputStream, bytes] | None:
        """Return the line to append to a stream; None for a frame that is not kept."""
        name, _, text = frame.partition(b" ")
        if len(frame) > self._free or name not in {b"metrics", b"artifacts"}:
            return None
        line = next(objects_in(text), {})
        found = self._point(line) if name == b"metrics" else self._artifact(line)
        if found is None:
            return None
        data = _lines([found])
        self._free -= len(data)
        return ("metrics" if name == b"metrics" else "artifacts"), data

    def _point(self, line: dict[str, Any]) -> dict[str, Any] | None:
        name, point = line.get("name"), _point(line)
        if point is None or not isinstance(name, str) or not is_metric_name(name):
            return None
        name = self._mask.text(name)
        count = self._counts.get(name, 0)
        if count == 0:
            if len(self._counts) == MAX_METRIC_NAMES:
                return None
            names = (*self.summary.metrics, name)
            self.summary = self.summary.model_copy(update={"metrics": names})
        self._counts[name] = count + 1
        if is_left_out(count):
            return None
        value, step, time = point
        return {"name": name, "value": value, "step": count if step is None else step, "time": time}

    def _artifact(self, line: dict[str, Any]) -> dict[str, Any] | None:
        try:
            artifact = _artifact(line, self._mask)
        except ValueError:
            return None
        if artifact.name not in self._artifacts:
            if len(self._artifacts) == MAX_ARTIFACTS:
                return None
            self._artifacts.add(artifact.name)
            update = {"artifacts": len(self._artifacts)}
            self.summary = self.summary.model_copy(update=update)
        return artifact.model_dump(mode="json")


def metrics_in(data: bytes, limit: int = MAX_POINTS) -> tuple[MetricSeries, ...]:
    """Return the metrics in a kept stream, each with at most ``limit`` points.

    A stream that is being written may end anywhere.
    """
    arrived, final = _parts(data)
    if final is not None:
        return tuple(shortened(MetricSeries.model_validate(one), limit) for one in final)
    points = PointCollector()
    for line in objects_in(arrived):
        point = _point(line)
        if point is not None:
            points.add(str(line.get("name")), point)
    limit = min(limit, points.limit)
    return tuple(one.series(name, limit) for name, one in points.series.items())


def shortened(series: MetricSeries, limit: int) -> MetricSeries:
    """Return a metric with at most ``limit`` points, at least two."""
    if len(series.values) <= limit:
        return series
    points = thinned(list(zip(series.values, series.steps, series.times, strict=True)), limit)
    values, steps, times = zip(*points, strict=True)
    return series.model_copy(update={"values": values, "steps": steps, "times": times})


def artifacts_in(data: bytes) -> tuple[Artifact, ...]:
    """Return the artifacts in a kept stream; it may end anywhere."""
    arrived, final = _parts(data)
    lines = objects_in(arrived) if final is None else final
    found: dict[str, Artifact] = {}
    for one in (Artifact.model_validate(line) for line in lines if line):
        found.pop(one.name, None)
        found[one.name] = one
    return tuple(found.values())


def live_summary(
    before: OutputSummary | None, metrics: bytes = b"", artifacts: bytes = b""
) -> OutputSummary | None:
    """Return the summary of outputs with those that arrived; None if it has no others.

    Args:
        before: The summary so far.
        metrics: A part of the stream, which may start and end anywhere.
        artifacts: The whole stream so far: an artifact may be declared again.
    """
    summary = before or OutputSummary()
    names = [name for name, line in _named_lines(metrics) if "value" in line]
    new = tuple(dict.fromkeys(name for name in names if name not in summary.metrics))
    declared = {name for name, line in _named_lines(artifacts) if "type" in line}
    changed = summary.model_copy(
        update={
            "metrics": (*summary.metrics, *new)[:MAX_METRIC_NAMES],
            "artifacts": max(summary.artifacts, len(declared)),
        }
    )
    return None if changed == summary else changed


def _named_lines(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and line of the objects that arrived before the final ones."""
    arrived, _, _ = (b"\n" + data).partition(b"\n\n")
    return ((str(line["name"]), line) for line in objects_in(arrived) if "name" in line)


def _parts(data: bytes) -> tuple[bytes, Iterator[dict[str, Any]] | None]:
    """Return the lines that arrived, and the objects at the end if they are complete."""
    arrived, _, final = (b"\n" + data).partition(b"\n\n")
    return arrived, objects_in(final[:-1]) if final.endswith(b"\n\n") else None


def _final(values: list[dict[str, Any]]) -> bytes:
    return b"\n" + _lines(values) + b"\n"


def masked_value(value: Any, mask: Mask) -> Any:
    """Return a JSON value with the secrets in its texts, names and numbers hidden."""
    if not mask:
        return value
    if isinstance(value, str):
        return mask.text(value)
    if isinstance(value, dict):
        return {mask.text(name): masked_value(each, mask) for name, each in value.items()}
    if isinstance(value, list):
        return [masked_value(each, mask) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = json.dumps(value)
        hidden = mask.text(text)
        return value if hidden == text else hidden
    return value


def _result(data: bytes, mask: Mask, warnings: list[str]) -> bytes | None:
    if not data:
        return None
    try:
        value = json.loads(data, parse_constant=lambda _name: None)
        if not _is_flat(value, MAX_DEPTH):
            warnings.append(f"the result was not kept: it has more than {MAX_DEPTH} levels")
            return None
        value = masked_value(value, mask)
        encoded = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        too_long = len(data) > MAX_RESULT
        warnings.append(too_large(len(data)) if too_long else f"the result was not kept: {error}")
        return None
    if len(encoded) > MAX_RESULT:
        warnings.append(too_large(len(encoded)))
        return None
    return encoded


def _is_flat(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_flat(each, levels - 1) for each in inner)


def _metrics(data: bytes, mask: Mask, warnings: list[str]) -> list[MetricSeries]:
    _warn_if_cut("metrics", data, warnings)
    points = PointCollector()
    bad = 0
    for line in objects_in(data):
        name, point = line.get("name"), _point(line)
        is_valid = isinstance(name, str) and is_metric_name(name)
        if not is_valid or point is None or not points.add(str(name), point):
            bad += 1
    if bad:
        warnings.append(
            f"{bad:,} points of metrics were not kept: they are invalid, or there are more than "
            f"{MAX_METRIC_NAMES} names"
        )
    return [one.series(mask.text(name), points.limit) for name, one in points.series.items()]


def _point(line: dict[str, Any]) -> _Point | None:
    if "value" not in line:
        return None
    try:
        return _number(line["value"]), _number(line.get("step")), _number(line.get("time"))
    except TypeError:
        return None


def _number(value: Any) -> float | None:
    """Return a finite number, or None.

    Raises:
        TypeError: it is not a number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


@dataclass(slots=True)
class _Points:
    """The points of one metric: every ``stride``-th one and the last one.

    Attributes:
        last: The last point, also if it is not in ``kept``.
    """

    kept: list[_Point] = field(default_factory=list)
    last: _Point = (None, None, None)
    count: int = 0
    stride: int = 1

    def add(self, point: _Point) -> bool:
        value, step, time = point
        self.last = (value, self.count if step is None else step, time)
        is_kept = self.count % self.stride == 0
        if is_kept:
            self.kept.append(self.last)
        self.count += 1
        return is_kept

    def thin(self, limit: int) -> None:
        while len(self.kept) > limit:
            del self.kept[1::2]
            self.stride *= 2

    def series(self, name: str, limit: int) -> MetricSeries:
        is_last_kept = (self.count - 1) % self.stride == 0
        kept = thinned(self.kept if is_last_kept else [*self.kept, self.last], limit)
        return MetricSeries(
            name=name,
            values=tuple(value for value, _, _ in kept),
            steps=tuple(step for _, step, _ in kept),
            times=tuple(time for _, _, time in kept),
            count=self.count,
        )


class PointCollector:
    """The points of all metrics, which are thinned while they are read: their memory is bounded.

    Args:
        max_all: Maximum points of all metrics; twice as many are held while they are read.
    """

    def __init__(self, max_all: int = MAX_ALL_POINTS) -> None:
        self.series: dict[str, _Points] = {}
        self.held = 0
        self._max_all = max_all

    @property
    def limit(self) -> int:
        return min(MAX_POINTS, self._max_all // max(1, len(self.series)))

    def add(self, name: str, point: _Point) -> bool:
        """Add a point; return False if there are too many names."""
        if name not in self.series:
            if len(self.series) == MAX_METRIC_NAMES:
                return False
            self.series[name] = _Points()
        self.held += self.series[name].add(point)
        if self.held > 2 * self._max_all:
            for one in self.series.values():
                one.thin(self.limit)
            self.held = sum(len(one.kept) for one in self.series.values())
        return True


def thinned(points: list[T], limit: int) -> list[T]:
    """Return at most ``limit`` points at equal distances, with the first and the last one."""
    if len(points) <= limit:
        return points
    stride = -(-(len(points) - 1) // (limit - 1))
    kept = points[::stride]
    if (len(points) - 1) % stride:
        kept.append(points[-1])
    return kept


def _artifacts(data: bytes, mask: Mask, warnings: list[str]) -> list[Artifact]:
    _warn_if_cut("artifacts", data, warnings)
    found: dict[str, Artifact] = {}
    bad = more = 0
    for line in objects_in(data):
        try:
            artifact = _artifact(line, mask)
        except ValueError:
            bad += 1
            continue
        if found.pop(artifact.name, None) is None and len(found) == MAX_ARTIFACTS:
            more += 1
        else:
            found[artifact.name] = artifact  # declared again: the last position and title
    if bad:
        warnings.append(f"{bad:,} artifacts were not kept: their entries are invalid")
    if more:
        warnings.append(
            f"only the first {MAX_ARTIFACTS:,} artifacts were kept; {more:,} entries were not"
        )
    return list(found.values())


def _artifact(line: dict[str, Any], mask: Mask) -> Artifact:
    if not line:
        raise ValueError(line)  # as validation does, which takes long for millions of empty lines
    return Artifact.model_validate(masked_value(line, mask))


def _warn_if_cut(name: str, data: bytes, warnings: list[str]) -> None:
    if len(data) >= MAX_FILE:
        warnings.append(f"only the first {MAX_FILE >> 20} MB of the {name} were kept")


def objects_in(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in the lines; a line that is cut or broken counts as an empty one."""
    for line in io.BytesIO(data):  # a list of all lines could be very large
        try:
            # The error for an empty line takes long: there may be millions of them.
            value = {} if line.isspace() else json.loads(line, parse_constant=lambda _name: None)
        except (ValueError, RecursionError):
            value = {}
        yield value if isinstance(value, dict) else {}


def _lines(values: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values).encode()
