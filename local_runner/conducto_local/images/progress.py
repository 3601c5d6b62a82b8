"""An engine's progress messages for builds and pulls, as readable lines.

The engine sends a stream of JSON objects in three formats: the classic builder's ``stream`` texts,
BuildKit's ``moby.buildkit.trace`` (a base64 protobuf message, decoded here because only five of its
fields are needed) and a pull's ``status`` objects.
"""

import base64
import binascii
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from conducto_core.images.build_plan import MAX_STEPS
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.responses import ImageStep
from conducto_local.engine.port import BuildLog, BuildPart, ImageError

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\^_]|\x1b\].*?(?:\x07|\x1b\\)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
#: Internal steps of BuildKit that are of no interest to users.
_INTERNAL = ("[internal]", "exporting", "resolve image config", "copy /context")
#: A step of the classic builder or of Podman (which puts the stage in front if there are several),
#: and their messages for a cached step.
_STEP = re.compile(r"((?:\[\d+/\d+\] )?(?:Step|STEP) (\d+/\d+)) ?: (.+)")
_USED = (" ---> Using cache", "--> Using cache")
#: Statuses of a pull that repeat many times a second.
_NOISE = ("Downloading", "Extracting", "Waiting", "Verifying Checksum", "Pulling fs layer")


def plain(text: str) -> str:
    """Return text without colours, cursor movements and overwritten parts of lines."""
    lines = _ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    # Text after a carriage return overwrites the line, as in progress bars: keep the last.
    return "\n".join(_CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)


@dataclass(slots=True)
class EngineProgress:
    """Parses the stream of one build or pull.

    Attributes:
        image_id: Id of the built image, once the engine has sent it.
        error: The engine's error message, if it failed.
        clock: Returns seconds since the epoch, for engines that send no times.
    """

    image_id: str | None = None
    error: str | None = None
    clock: Callable[[], float] = time.time
    _rest: bytes = b""
    _partial: dict[bytes, str] = field(default_factory=dict)
    _named: set[bytes] = field(default_factory=set)
    _parts: list[BuildPart] = field(default_factory=list)
    _step: BuildPart | None = None  # of the classic builder, which runs one at a time

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that the data completes; the data may be cut anywhere."""
        *complete, self._rest = (self._rest + data).split(b"\n")
        return [line for text in complete for line in self._object(text)]

    def finish(self) -> list[str]:
        """Return the rest, which has no line end."""
        last, self._rest = self._rest, b""
        lines = self._object(last)
        lines += [plain(text) for text in self._partial.values() if text]
        self._partial.clear()
        self._end_step(self.error)
        return lines

    def take_parts(self) -> list[BuildPart]:
        """Return the steps that started or ended since the last call, in their current state."""
        parts, self._parts = self._parts, []
        return parts

    def _object(self, text: bytes) -> list[str]:
        if not text.strip():
            return []
        try:
            said = json.loads(text)
        except ValueError:
            return [plain(text.decode(errors="replace"))]
        if not isinstance(said, dict):
            return []
        if "error" in said or "errorDetail" in said:
            detail = said.get("errorDetail")
            message = detail.get("message") if isinstance(detail, dict) else None
            self.error = plain(str(message if message is not None else said.get("error"))).strip()
            return []
        if said.get("id") == "moby.buildkit.trace":
            return self._trace(str(said.get("aux", "")))
        return self._message(said)

    def _message(self, said: dict[str, Any]) -> list[str]:
        if isinstance(said.get("aux"), dict):
            self.image_id = said["aux"].get("ID", self.image_id)
        if "stream" in said:
            lines = self._output(b"", str(said["stream"]))
            for line in lines:
                found = _STEP.fullmatch(line)
                if found is not None:
                    self._end_step(None)
                    self._step = BuildPart(found[1], f"[{found[2]}] {found[3]}", self.clock())
                    self._parts.append(self._step)
                elif self._step is not None and line.startswith(_USED):
                    self._step = replace(self._step, cached=True)
            return lines
        status = said.get("status")
        if not isinstance(status, str) or status.startswith(_NOISE):
            return []
        identity = said.get("id")
        return [plain(f"{identity}: {status}" if identity else status)]

    def _end_step(self, error: str | None) -> None:
        if self._step is not None:
            self._parts.append(replace(self._step, ended=self.clock(), error=error))
            self._step = None

    def _trace(self, encoded: str) -> list[str]:
        try:
            message = base64.b64decode(encoded)
            return [
                line for number, value in _fields(message) for line in self._part(number, value)
            ]
        except (binascii.Error, IndexError, ValueError):
            return []  # an unknown newer format; the build does not depend on it

    def _part(self, number: int, value: bytes | int) -> list[str]:
        if isinstance(value, int):
            return []
        fields = dict(_fields(value))
        digest = fields.get(1, b"")
        if not isinstance(digest, bytes):
            return []
        if number == 1:
            return self._vertex(digest, fields)
        if number == 3:  # noqa: PLR2004 - output of a step
            output = fields.get(4, b"")
            text = output.decode(errors="replace") if isinstance(output, bytes) else ""
            return self._output(digest, text)
        return []

    def _vertex(self, digest: bytes, fields: dict[int, bytes | int]) -> list[str]:
        raw = fields.get(3, b"")
        name = raw.decode(errors="replace") if isinstance(raw, bytes) else ""
        is_cached = bool(fields.get(4))
        has_begun = 5 in fields or is_cached  # noqa: PLR2004
        if not has_begun or name.startswith(_INTERNAL):
            return []
        error = fields.get(7)
        self._parts.append(
            BuildPart(
                digest.hex(),
                plain(name),
                _moment(fields.get(5)),
                _moment(fields.get(6)),
                is_cached,
                plain(error.decode(errors="replace")) if isinstance(error, bytes) else None,
            )
        )
        if digest in self._named:
            return []
        self._named.add(digest)
        return [plain(f"{name} (cached)" if is_cached else name)]

    def _output(self, source: bytes, text: str) -> list[str]:
        *complete, rest = (self._partial.get(source, "") + text).split("\n")
        self._partial[source] = rest
        return [plain(line) for line in complete]


def _moment(value: bytes | int | None) -> float | None:
    """Return a protobuf ``Timestamp`` in seconds since the epoch."""
    if not isinstance(value, bytes):
        return None
    seconds, nanos = (dict(_fields(value)).get(number, 0) for number in (1, 2))
    if not isinstance(seconds, int) or not isinstance(nanos, int) or not seconds:
        return None
    return seconds + nanos / 1e9


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield ``(field number, value)`` of a protobuf message: integers and byte strings only.

    Source: Protocol Buffers, "Encoding".
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        match key & 7:
            case 0:
                value, position = _varint(message, position)
                yield key >> 3, value
            case 2:
                length, position = _varint(message, position)
                yield key >> 3, message[position : position + length]
                position += length
            case 1:
                position += 8
            case 5:
                position += 4
            case kind:
                raise ValueError(f"wire type {kind}")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004
            return value, position


# ----------------------------------------------------------------------------------------
# The log of a build, for one or more listeners.


#: Number of lines of a failed build at the end of its error message.
TAIL = 15
#: Number of items kept for listeners that join later.
_KEPT = 2000


@dataclass(slots=True)
class BuildLogWriter:
    """The log of work that several definitions may wait for.

    A listener that joins later receives the earlier items too.
    """

    _listeners: list[BuildLog] = field(default_factory=list)
    _said: deque[ImageState | BuildPart | str] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def join(self, log: BuildLog) -> None:
        """Send all past and future items to ``log``."""
        for item in self._said:
            _notify(log, item)
        self._listeners.append(log)

    def leave(self, log: BuildLog) -> None:
        """Stop sending items to ``log``."""
        self._listeners.remove(log)

    def step(self, state: ImageState) -> None:
        self._append(state)

    def part(self, part: BuildPart) -> None:
        self._append(part)

    def write(self, text: str) -> None:
        self._append(text)

    def lines(self, lines: Iterable[str]) -> None:
        """Record lines without line ends."""
        for line in lines:
            self._append(line + "\n")

    def failure(self, what: str) -> ImageError:
        """Return an error with a message that ends with the last lines."""
        # `ImageState` is a string as well.
        others = (ImageState, BuildPart)
        texts = [item for item in self._said if not isinstance(item, others) and item.strip()]
        tail = "".join(texts[-TAIL:]).rstrip("\n")
        return ImageError(f"{what}\n{tail}" if tail else what)

    def _append(self, item: ImageState | BuildPart | str) -> None:
        self._said.append(item)
        for listener in self._listeners:
            _notify(listener, item)


def _notify(log: BuildLog, item: ImageState | BuildPart | str) -> None:
    if isinstance(item, ImageState):
        log.step(item)
    elif isinstance(item, BuildPart):
        log.part(item)
    else:
        log.write(item)


# ----------------------------------------------------------------------------------------
# The steps of an image build, stored beside the output of the build.
#
# They are lines of JSON in the log's other stream, so that they are limited, kept and deleted like
# the log. Each line is the current status of a step; the newest line of a key counts.


#: Marks the beginning of a build; a log has one build after the other.
_BEGIN = b"{}\n"


class BuildProgressWriter:
    """Writes the steps of one build."""

    def __init__(
        self, write: Callable[[bytes], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._write = write
        self._clock = clock
        self._number = 0
        self._state: ImageStep | None = None
        self._open: dict[str, ImageStep] = {}
        write(_BEGIN)

    def state(self, state: ImageState) -> None:
        """Record that the build has reached a state, which ends the previous one."""
        self.end()
        if state in (ImageState.DONE, ImageState.ERROR):
            return
        self._number += 1
        self._state = ImageStep(name=state.value, started=self._clock())
        self._put(str(self._number), self._state)

    def part(self, part: BuildPart) -> None:
        """Record that a step inside the state has started or ended."""
        step = ImageStep(
            name=part.name,
            within=None if self._state is None else self._state.name,
            started=part.started,
            ended=part.ended,
            cached=part.cached,
            error=part.error,
        )
        key = f"{self._number} {part.key}"
        self._put(key, step)
        if step.ended is None and not step.cached:
            self._open[key] = step
        else:
            self._open.pop(key, None)

    def end(self, error: str | None = None) -> None:
        """Record the end of all steps; with ``error``, the running ones failed."""
        now = self._clock()
        for key, step in self._open.items():
            self._put(key, step.model_copy(update={"ended": now, "error": error}))
        self._open.clear()
        if self._state is not None:
            self._put(
                str(self._number), self._state.model_copy(update={"ended": now, "error": error})
            )
            self._state = None

    def _put(self, key: str, step: ImageStep) -> None:
        line = {"key": key, **step.model_dump(exclude_defaults=True)}
        self._write(json.dumps(line).encode() + b"\n")


def steps_in(log: bytes) -> tuple[ImageStep, ...]:
    """Return the steps of the last build in a log, in the order of their starts."""
    found: dict[str, ImageStep] = {}
    for line in log.rpartition(_BEGIN)[2].splitlines():
        try:
            key, step = _read(line)
        except (ValueError, KeyError, TypeError):
            continue  # an incomplete line: the agent was killed while writing it
        if key in found or len(found) < MAX_STEPS:
            found[key] = step
    return tuple(found.values())


def _read(line: bytes) -> tuple[str, ImageStep]:
    fields = json.loads(line)
    return fields["key"], ImageStep(**{name: fields[name] for name in fields if name != "key"})
