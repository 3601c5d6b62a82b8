"""Results, metrics and artifacts of a command: their checks, limits and masking. No I/O.

A command leaves three files in its run directory (`conducto.results` writes them): ``result`` has
one JSON value, ``metrics`` and ``artifacts`` have a JSON object per line. They are kept as streams
of the attempt, like its output, and the attempt's record has a summary (`OutputSummary`).
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from conducto.wire.outputs import (
    MAX_METRIC_NAMES,
    MAX_POINTS,
    MAX_RESULT,
    is_metric_name,
    too_large,
)
from conducto_core.model.outputs import Artifact, MetricSeries, OutputStream, OutputSummary
from conducto_core.runtime.command_server import MAX_FILE
from conducto_core.runtime.masking import Mask

#: Maximum levels of lists and objects in a result; readers of JSON have limits of their own.
MAX_DEPTH = 100
#: Maximum points of all metrics of an attempt; more metrics are thinned further.
MAX_ALL_POINTS = 50_000
MAX_ARTIFACTS = 1_000
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
    """Return the outputs in the files that a command left."""
    if not files:
        return CollectedOutputs()
    warnings: list[str] = []
    streams: dict[OutputStream, bytes] = {}
    result = _result(files.get("result", b""), mask, warnings)
    if result is not None:
        streams["result"] = result
    series = _metrics(files.get("metrics", b""), mask, warnings)
    if series:
        streams["metrics"] = _lines([one.model_dump(mode="json") for one in series])
    artifacts = _artifacts(files.get("artifacts", b""), mask, warnings)
    if artifacts:
        streams["artifacts"] = _lines([one.model_dump(mode="json") for one in artifacts])
    summary = OutputSummary(
        result=None if result is None else len(result),
        metrics=tuple(one.name for one in series),
        artifacts=len(artifacts),
    )
    return CollectedOutputs(summary if streams else None, streams, tuple(warnings))


def metrics_in(data: bytes) -> tuple[MetricSeries, ...]:
    """Return the metrics in a kept stream."""
    return tuple(MetricSeries.model_validate_json(line) for line in data.splitlines())


def artifacts_in(data: bytes) -> tuple[Artifact, ...]:
    """Return the artifacts in a kept stream."""
    return tuple(Artifact.model_validate_json(line) for line in data.splitlines())


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
    points: dict[str, list[_Point]] = {}
    bad = 0
    for line in _objects(data):
        name, point = line.get("name"), _point(line)
        if not isinstance(name, str) or not is_metric_name(name) or point is None:
            bad += 1
        elif name in points or len(points) < MAX_METRIC_NAMES:
            points.setdefault(name, []).append(point)
        else:
            bad += 1
    if bad:
        warnings.append(
            f"{bad:,} points of metrics were not kept: they are invalid, or there are more than "
            f"{MAX_METRIC_NAMES} names"
        )
    limit = min(MAX_POINTS, MAX_ALL_POINTS // max(1, len(points)))
    return [_series(mask.text(name), found, limit) for name, found in points.items()]


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


def _series(name: str, points: list[_Point], limit: int) -> MetricSeries:
    numbered = [
        (value, position if step is None else step, time)
        for position, (value, step, time) in enumerate(points)
    ]
    kept = thinned(numbered, limit)
    return MetricSeries(
        name=name,
        values=tuple(value for value, _, _ in kept),
        steps=tuple(step for _, step, _ in kept),
        times=tuple(time for _, _, time in kept),
        count=len(points),
    )


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
    for line in _objects(data):
        try:
            artifact = Artifact.model_validate(masked_value(line, mask))
        except ValueError:
            warnings.append("an artifact was not kept: its entry is invalid")
            continue
        found.pop(artifact.name, None)  # declared again: the last position and title
        found[artifact.name] = artifact
    if len(found) > MAX_ARTIFACTS:
        warnings.append(f"only the first {MAX_ARTIFACTS:,} of {len(found):,} artifacts were kept")
    return list(found.values())[:MAX_ARTIFACTS]


def _warn_if_cut(name: str, data: bytes, warnings: list[str]) -> None:
    if len(data) >= MAX_FILE:
        warnings.append(f"only the first {MAX_FILE >> 20} MB of the {name} were kept")


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in the lines; a line that is cut or broken counts as an empty one."""
    for line in data.splitlines():
        try:
            value = json.loads(line, parse_constant=lambda _name: None)
        except (ValueError, RecursionError):
            value = {}
        yield value if isinstance(value, dict) else {}


def _lines(values: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values).encode()
